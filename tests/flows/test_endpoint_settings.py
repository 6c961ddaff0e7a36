"""Settings of an endpoint in whole runs: they reach the server, and their values reach no file and no message."""

from pathlib import Path

import pytest

from personagen.builder.core.errors import PersonaGenError
from tests.helpers.command import Run, run_here
from tests.helpers.flow import bytes_of, make, recipe_for
from tests.helpers.servers.fake_openai import FakeOpenAI, Fault

run = pytest.fixture(run_here)

SECRET = "gw-5d41402abc4b2a76"
VALUES = ("a-literal-title", "a-literal-team", SECRET)
RECIPE = """
rows: 14
emotions: [joy, anger]
depth: none
text: {language: null}
draw: {max_tokens: 77}
backend:
  kind: openai
  model: fake-1
  base_url: URL
  headers: {X-Title: a-literal-title, X-Gateway-Key: "Bearer ${GATEWAY_KEY}"}
  query: {team: a-literal-team, code: "${GATEWAY_KEY}"}
"""


def test_values_of_headers_and_query_are_written_nowhere(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in the release nor in the folder of its run, nor on the terminal."""
    monkeypatch.setenv("GATEWAY_KEY", SECRET)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
    with FakeOpenAI(secrets={"x-title": VALUES[0], "x-gateway-key": f"Bearer {SECRET}"}) as server:
        Path("recipe.yaml").write_text(RECIPE.replace("URL", server.url), encoding="utf-8")
        done = [run("plan", "recipe.yaml"), run("generate", "recipe.yaml", "--out", "out"), run("inspect", "out")]
    assert [outcome.code for outcome in done] == [0, 0, 0]
    assert {url.partition("?")[2] for url in server.urls} == {f"team={VALUES[1]}&code={SECRET}"}
    assert {request["max_tokens"] for request in server.requests} == {77}
    files = bytes_of(Path("out")) | bytes_of(Path("out.run"))
    assert len(files) > 8
    for value in VALUES:
        assert not [name for name, content in files.items() if value.encode() in content]
        assert value not in "".join(outcome.out + outcome.err for outcome in done)


def test_a_server_that_repeats_a_secret_does_not_reveal_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_KEY", SECRET)
    fault = Fault("status", status=400, body={"error": {"message": f"bad header Bearer {SECRET}"}})
    headers = {"X-Gateway-Key": "Bearer ${GATEWAY_KEY}"}
    with FakeOpenAI(faults=[fault]) as server, pytest.raises(PersonaGenError) as caught:
        make(recipe_for(server.url, {"backend.headers": headers}), tmp_path / "out")
    assert SECRET not in str(caught.value) and "\n" not in str(caught.value)
    assert not [name for name, content in bytes_of(tmp_path).items() if SECRET.encode() in content]


def test_a_missing_variable_ends_the_run_before_any_call(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GATEWAY_KEY", raising=False)
    with FakeOpenAI() as server:
        Path("recipe.yaml").write_text(RECIPE.replace("URL", server.url), encoding="utf-8")
        done = run("generate", "recipe.yaml", "--out", "out")
    line = "personagen: backend openai: query: code: the environment variable GATEWAY_KEY is not set; set it\n"
    assert (done.code, done.err, server.requests) == (1, line, [])
    assert run("plan", "recipe.yaml").code == 0
