"""What a job has of this environment: servers that it can reach, and every variable on which requests depend."""

import pytest

from personagen.builder.core.errors import LaunchError
from personagen.builder.launch.job_environment import (
    hub_variables,
    is_loopback,
    read_secrets,
    require_public,
    require_variables,
    with_servers,
)
from personagen.builder.planning.recipe.parsing import parse_recipe

TOKEN = "hf_write_0123456789"
LOCAL = [
    *("localhost", "LOCALHOST.", "a.localhost", "127.0.0.1", "127.9.9.9", "127.1", "2130706433", "0x7f000001"),
    *("0.0.0.0", "0", "::", "::1", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1"),
]


@pytest.mark.parametrize("host", LOCAL)
def test_addresses_of_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["api.openai.com", "localhost.example", "10.0.0.1", "2001:db8::1", "", "ä.example"])
def test_other_addresses(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize("kind", ["openai", "batch"])
def test_each_model_has_the_server_of_the_environment(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", " https://models.example/v1 ")
    text = (
        f"backend: [{{kind: {kind}, model: m}}, {{kind: openai, model: n, base_url: 'https://own.example'}}, "
        "{kind: transformers, model: o}]"
    )
    recipe = parse_recipe(text, "test")
    changed = with_servers(recipe)
    assert [model.base_url for model in changed.backends] == ["https://models.example/v1", "https://own.example", None]
    assert changed.fingerprint() == recipe.fingerprint()
    single = with_servers(parse_recipe(f"backend: {{kind: {kind}, model: m}}", "test"))
    assert single.backends[0].base_url == "https://models.example/v1"


@pytest.mark.parametrize("text", ["rows: 7", "backend: {kind: transformers, model: m}"])
def test_a_model_without_a_server_has_none(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:8000")
    assert with_servers(parse_recipe(text, "test")) == parse_recipe(text, "test")


def test_without_a_variable_the_server_is_that_of_openai(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "")
    assert with_servers(parse_recipe("backend: {kind: openai, model: m}", "test")).backends[0].base_url is None


@pytest.mark.parametrize("host", [f"[{host}]" if ":" in host else host for host in LOCAL])
def test_a_server_of_this_machine_is_refused(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = "which is this machine, and a job is not; wanted the URL of a server that jobs can reach$"
    list_of_models = (
        "backend: [{kind: openai, model: m, base_url: 'https://h.example'}, "
        f"{{kind: batch, model: n, base_url: 'http://{host}:8000/v1'}}]"
    )
    with pytest.raises(LaunchError, match=f"^backend.base_url: got 'http://.*:8000', {wanted}"):
        with_servers(parse_recipe(list_of_models, "test"))
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://{host}:8000/v1")
    with pytest.raises(LaunchError, match=f"^OPENAI_BASE_URL: got 'http://.*:8000', {wanted}"):
        with_servers(parse_recipe("backend: {kind: openai, model: m}", "test"))


def test_a_variable_that_is_no_base_url_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "https://me:0123456789abcdef@models.example")
    with pytest.raises(LaunchError, match=r"^OPENAI_BASE_URL: holds a user or password; ") as refused:
        with_servers(parse_recipe("backend: {kind: openai, model: m}", "test"))
    assert "0123456789abcdef" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(("OPENAI_ORG_ID", kind) for kind in ("openai", "batch")),
        *(("OPENAI_PROJECT_ID", kind) for kind in ("openai", "batch")),
        ("OPENAI_CUSTOM_HEADERS", "batch"),
    ],
)
def test_a_variable_that_changes_requests_is_a_secret_of_the_jobs(
    name: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "x")
    recipe = parse_recipe(f"backend: [{{kind: transformers, model: m}}, {{kind: {kind}, model: n}}]", "test")
    with pytest.raises(
        LaunchError,
        match=f"^{name} is set and changes requests, and the jobs do not have it; add --secret {name}, or unset it$",
    ):
        require_variables(recipe, ())
    require_variables(recipe, (name,))
    require_variables(parse_recipe("backend: {kind: transformers, model: m}", "test"), ())


def test_the_token_of_the_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_other_0123456789")
    assert read_secrets(("HF_TOKEN",), TOKEN) == {"HF_TOKEN": TOKEN}
    assert read_secrets((), None) == {"HF_TOKEN": "hf_other_0123456789"}
    monkeypatch.setenv("HF_TOKEN", "")
    with pytest.raises(
        LaunchError, match=r"^no token for the jobs; log in with `hf auth login`, set HF_TOKEN, or give"
    ):
        read_secrets(("HF_TOKEN",), None)


@pytest.mark.parametrize(
    ("value", "passed"),
    [("https://hub.example", True), ("", False), ("http://127.0.0.1:8000", False), ("http://localhost", False)],
)
def test_a_job_uses_the_hub_that_runs_it(value: str, passed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", value)
    assert hub_variables() == ({"HF_ENDPOINT": value} if passed else {})


@pytest.mark.parametrize(
    "text",
    [
        TOKEN,
        f"https://host.example/{TOKEN}/x.whl",
        *("git+https://abc@host.example/p", "git+https://me:abc@host.example/p", "x @ https://me:abc@host.example/x"),
        *("git+ssh://me:abc@host.example/p", "HTTPS://abc@host.example", "https://a%40b:abc%40host.example/p"),
        *("https://me:a/bc@host.example/p", "https://${ME}:abc@host.example/p", "me:abc@registry.example/image"),
        *("https://host.example/x.whl?token=abc", "https://host.example/x.whl?a=1&x=sk-0123456789"),
        "a; https://b.example, git+https://abc@host.example/p",
    ],
)
def test_a_secret_where_the_page_of_a_job_shows_it(text: str) -> None:
    with pytest.raises(
        LaunchError,
        match=r"^--requirement holds a secret, which the page of a job shows; in the URL of a --requirement write "
        r"\$\{NAME\} in its place, and add --secret NAME$",
    ):
        require_public("--requirement", text, {"HF_TOKEN": TOKEN})


@pytest.mark.parametrize(
    "text",
    [
        *("s3fs>=1,<2", "personagen[metrics] @ git+https://host.example/p@0123456789", "https://host.example:8443/x"),
        *("git+ssh://git@host.example:22/p", "https://[2001:db8::1]:8000/x", "https://host.example/x?version=1#a=b"),
        *("python:3.12@sha256:fedcba9876543210", "registry.example:5000/image:tag", "12h", "cpu-basic"),
        *(
            "git+https://${KEY}@host.example/p",
            "git+https://me:${KEY}@host.example/p",
            "https://h.example?token=${KEY}",
        ),
    ],
)
def test_a_text_without_a_secret(text: str) -> None:
    require_public("--image", text, {"HF_TOKEN": TOKEN, "KEY": "0123456789abcdef"})


def test_a_reference_is_to_a_secret_of_the_jobs() -> None:
    with pytest.raises(LaunchError, match=r"^--requirement reads \$\{KEY\}, which the jobs do not have; add --secret"):
        require_public("--requirement", "git+https://${KEY}@host.example/p", {"HF_TOKEN": TOKEN})
