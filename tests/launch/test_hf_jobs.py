"""Hugging Face Jobs: what the Hub receives, and what a user reads when it refuses or a job fails."""

import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from personagen.builder.launch.job_bundle import unpack
from personagen.builder.version import __version__
from tests.helpers.command import Outcome, command_line, python
from tests.helpers.processes.forked import ForkedProcess
from tests.helpers.servers.hub.server import Hub

TOKEN = "hf_write_0123456789"
URL = "hf://buckets/user/run"
PACKAGE = f"personagen @ https://packages.example/personagen-{__version__}-py3-none-any.whl"
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub(tokens={TOKEN: "write", "hf_read_0123456789": "read"}) as running:
        yield running


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "my recipe.yaml"
    path.write_text("rows: 14\nbackend: {kind: openai, model: m}\n")
    return path


def words_of(recipe: Path, *words: str, parts: int = 2) -> list[str]:
    """Return the words of `personagen launch hf-jobs`."""
    return [sys.executable, "-c", command_line("launch", "hf-jobs", recipe.name, f"-n{parts}", *words)]


def launched(hub: Hub, recipe: Path, *words: str, parts: int = 2, package: str | None = PACKAGE, **env: str) -> Outcome:
    """Run `personagen launch hf-jobs` in the folder of the recipe; journals and package are given."""
    installed = () if package is None else ("--requirement", package)
    command = words_of(recipe, "--journals", URL, *installed, *words, parts=parts)
    with ForkedProcess(command, os.environ | hub.env() | {"HF_TOKEN": TOKEN} | env, recipe.parent) as process:
        out, err = process.communicate()
    return Outcome(process.wait(), out, err)


def submitted(hub: Hub, parts: int = 2) -> list[str]:
    """Return the lines that a user reads while the jobs are submitted."""
    return [f"part {part}/{parts}: {hub.url}/jobs/user/{job.id}" for part, job in enumerate(hub.jobs.all)]


def refused(hub: Hub, done: Outcome) -> str:
    """Require that no job was submitted; return the line that says why."""
    assert (done.code, done.out, hub.jobs.all, done.err.count("\n")) == (1, "", [], 1), done
    return done.err.removeprefix("personagen: ").rstrip("\n")


def test_each_part_is_a_job(hub: Hub, recipe: Path) -> None:
    done = launched(
        *(hub, recipe, "--flavor=l4x1", "--secret", "OPENAI_API_KEY", "--timeout=12h"),
        *("--retries=3", "--rows=7", "--per-worker"),
        OPENAI_API_KEY="sk-0123456789abcdef",
    )
    assert (done.code, done.err.splitlines()) == (0, submitted(hub))
    assert done.out.splitlines() == [f"{hub.url}/jobs/user/{job.id}" for job in hub.jobs.all]
    for part, job in enumerate(hub.jobs.all):
        spec = dict(job.spec)
        assert spec.pop("labels") == {
            "personagen": hub.jobs.all[0].spec["labels"]["personagen"],
            "part": f"{part}-of-2",
            "recipe": job.spec["labels"]["recipe"],
            "name": job.spec["labels"]["name"],
        }
        assert len(spec.pop("environment")["PERSONAGEN_JOB"]) < 1_000
        assert spec == {
            "command": [
                *("uv", "run", "--with", PACKAGE, "--python", PYTHON),
                *("python", "-m", "personagen.builder.launch.job_bundle", f"--part={part}/2"),
            ],
            "arguments": [],
            "flavor": "l4x1",
            "secrets": {"HF_TOKEN": TOKEN, "OPENAI_API_KEY": "sk-0123456789abcdef"},
            "timeoutSeconds": 12 * 3600,
            "attempts": 4,
            "dockerImage": "ghcr.io/astral-sh/uv:python3.12-bookworm",
        }


def test_a_job_has_the_options_of_the_command_line(hub: Hub, recipe: Path, tmp_path: Path) -> None:
    words = ("--rows=7", "--per-worker", "--requirement=s3fs")
    assert launched(hub, recipe, *words).code == 0
    spec = hub.jobs.all[1].spec
    assert spec["command"][:6] == ["uv", "run", "--with", PACKAGE, "--with", "s3fs"]
    assert unpack(spec["environment"]["PERSONAGEN_JOB"], tmp_path / "job") == (
        *("fill", str(tmp_path / "job" / "recipe.yaml"), f"--journals={URL}", "--per-worker"),
    )
    sent = json.loads((tmp_path / "job" / "recipe.yaml").read_text())
    assert sent == {"rows": 7, "backend": {"kind": "openai", "model": "m"}}


def test_secrets_are_in_no_other_part_of_a_job(hub: Hub, recipe: Path) -> None:
    assert launched(hub, recipe, "--secret=MY_KEY", MY_KEY="0123456789abcdef").code == 0
    for job in hub.jobs.all:
        rest = json.dumps({name: value for name, value in job.spec.items() if name != "secrets"})
        assert TOKEN not in rest and "0123456789abcdef" not in rest


def test_waiting_shows_the_logs_of_failed_jobs(hub: Hub, recipe: Path) -> None:
    def ends(spec: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
        log = tuple(f"line {number}\x1b[31m" for number in range(30))
        return ("ERROR", log) if spec["labels"]["part"] == "1-of-3" else ("COMPLETED", ())

    hub.jobs.ends = ends
    done = launched(hub, recipe, "--wait", parts=3)
    lines = done.err.splitlines()
    urls = [f"{hub.url}/jobs/user/{job.id}" for job in hub.jobs.all]
    assert (done.code, done.out) == (1, "")
    assert lines[:5] == [
        *submitted(hub, 3),
        f"part 0/3: completed {urls[0]}",
        f"part 1/3: error {urls[1]}",
    ]
    assert lines[5:25] == [f"part 1/3: line {number}\\x1b[31m" for number in range(10, 30)]
    assert lines[25:] == [
        f"part 2/3: completed {urls[2]}",
        "personagen: 1 of 3 parts are incomplete: part 1/3 (not completed); run the same command again: jobs continue "
        "from the replies that were shipped",
    ]


def test_a_running_job_is_awaited(hub: Hub, recipe: Path) -> None:
    hub.jobs.looks = 3
    assert launched(hub, recipe, parts=1).code == 0
    code = f"""
from personagen.builder.hub.client import connect
from personagen.builder.launch.hf_jobs import PartJob, wait_for
print(wait_for(connect(None), [PartJob(0, {hub.jobs.all[0].id!r}, "user", "URL")], print, poll_s=0.01))
"""
    done = python(code, recipe.parent, **hub.env() | {"HF_TOKEN": TOKEN})
    assert done == Outcome(0, "part 0/1: completed URL\n[0]\n", "")


def test_waiting_for_jobs_that_complete(hub: Hub, recipe: Path) -> None:
    done = launched(hub, recipe, "--wait", "--json", parts=1)
    assert (done.code, json.loads(done.out)) == (0, {"journals": URL, "parts": 1})


def test_a_submission_whose_answer_was_lost_is_not_repeated(hub: Hub, recipe: Path) -> None:
    hub.fail(r"POST /api/jobs/user", cut=1, after=True)
    done = launched(hub, recipe)
    assert (done.code, len(hub.jobs.all)) == (0, 2)


def test_jobs_that_were_submitted_before_a_failure_are_named(hub: Hub, recipe: Path) -> None:
    hub.fail(r"POST /api/jobs/user", nth=2, status=403)
    done = launched(hub, recipe, parts=3)
    assert (done.code, done.out) == (1, "")
    assert done.err.splitlines() == [
        *submitted(hub, 3),
        f"personagen: 1 of 3 jobs are submitted (user/{hub.jobs.all[0].id}), the rest is not: cannot submit the job of "
        "part 1: the token has no permission for it (403); use one with write permission; cancel each with "
        "`hf jobs cancel ID`, or wait for them and launch again",
    ]


def possible(hub: Hub, part: int, parts: int = 2) -> str:
    """Return the line on a job that may be submitted."""
    launch = hub.jobs.all[0].spec["labels"]["personagen"]
    return (
        f"part {part}/{parts}: its job may be submitted; list the jobs of this command by `hf jobs ps --namespace user "
        f"--label personagen={launch}`"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_while_jobs_are_submitted_leaves_none_that_is_not_shown(
    number: signal.Signals, hub: Hub, recipe: Path
) -> None:
    gate = hub.hold(r"POST /api/jobs/user", nth=2)
    words = words_of(recipe, "--journals", URL, "--requirement", PACKAGE)
    with ForkedProcess(words, os.environ | hub.env() | {"HF_TOKEN": TOKEN}, recipe.parent) as process:
        gate.wait()
        process.send_signal(number)
        out, err = process.communicate()
    assert (process.wait(), out) == (128 + number, "")
    assert err.splitlines()[:2] == [*submitted(hub)[:1], possible(hub, 1)]


def test_a_submission_that_stays_unknown_is_named(hub: Hub, recipe: Path) -> None:
    """The answer is lost, and so is that to the question whether the job exists."""
    hub.fail(r"POST /api/jobs/user", nth=2, cut=1, after=True)
    hub.fail(r"GET /api/jobs/user", status=404)
    done = launched(hub, recipe)
    assert (done.code, len(hub.jobs.all)) == (1, 2)
    lines = done.err.splitlines()
    assert lines[:2] == [submitted(hub)[0], possible(hub, 1)]
    assert lines[2].startswith(f"personagen: 1 of 2 jobs are submitted (user/{hub.jobs.all[0].id}), the rest is not: ")


def test_a_refused_first_job_is_one_line(hub: Hub, recipe: Path) -> None:
    done = launched(hub, recipe, HF_TOKEN="hf_read_0123456789")
    assert done.code == 1 and done.err == (
        "personagen: cannot submit the job of part 0: the token has no permission for it (403); use one with write "
        "permission\n"
    )
    assert hub.jobs.all == []


@pytest.mark.parametrize("journals", ["runs/j", "file:///tmp/j", "memory://j"])
def test_journals_of_this_machine_are_refused(journals: str, hub: Hub, recipe: Path) -> None:
    done = launched(hub, recipe, "--journals", journals)
    assert done.code == 1 and done.err == (
        f"personagen: got --journals '{journals}', which is on this machine, and a job is not; wanted a URL that the "
        "jobs can write, such as hf://buckets/USER/NAME/journals\n"
    )


def test_variables_that_a_job_lacks_are_named(hub: Hub, recipe: Path) -> None:
    recipe.write_text("backend: {kind: openai, model: m, headers: {X-Key: '${TEAM_KEY}'}}\n")
    done = launched(hub, recipe)
    assert done.err == "personagen: the recipe reads ${TEAM_KEY}, which the jobs do not have; add --secret TEAM_KEY\n"
    done = launched(hub, recipe, "--secret=TEAM_KEY")
    assert done.err == "personagen: --secret: the environment variable TEAM_KEY is not set; set it\n"
    done = launched(hub, recipe, "--secret=TEAM_KEY", "--secret=A=b")
    assert done.code == 1
    assert hub.jobs.all == []


def test_a_value_in_place_of_a_name_is_refused(hub: Hub, recipe: Path) -> None:
    done = launched(hub, recipe, "--secret=A=b")
    assert done.err == (
        "personagen: --secret: got 'A=b', wanted the name of an environment variable; never its value\n"
    )


def test_a_file_that_a_job_would_get_as_its_command_is_refused(hub: Hub, recipe: Path) -> None:
    (recipe.parent / "python").write_text("")
    done = launched(hub, recipe)
    assert done.err == (
        "personagen: the working directory has a file 'python', which a job would get as its command; run this "
        "elsewhere\n"
    )


def test_the_jobs_get_the_token_of_the_command(hub: Hub, recipe: Path) -> None:
    done = launched(hub, recipe, "--token", TOKEN, "--secret=HF_TOKEN", HF_TOKEN="hf_read_0123456789")
    assert done.code == 0
    assert [job.spec["secrets"] for job in hub.jobs.all] == [{"HF_TOKEN": TOKEN}] * 2


def test_a_checkout_is_not_installed_by_its_name(hub: Hub, recipe: Path) -> None:
    """Nothing but this project decides what an index has under its name."""
    line = refused(hub, launched(hub, recipe, package=None))
    assert line == (
        "this PersonaGen is installed from a place that a job cannot read; give --requirement 'personagen @ "
        "git+URL@COMMIT', or the URL of a wheel in place of that of git"
    )


def test_the_embedded_backend_needs_requirements(hub: Hub, recipe: Path) -> None:
    recipe.write_text("rows: 14\n")
    assert refused(hub, launched(hub, recipe, package=None)).startswith("backend embedded: its model is a package ")
    assert launched(hub, recipe).code == 0


def test_a_job_calls_the_server_of_this_environment(hub: Hub, recipe: Path, tmp_path: Path) -> None:
    """A key for a private server is for that server alone."""
    assert launched(hub, recipe, OPENAI_BASE_URL="https://models.example/v1").code == 0
    unpack(hub.jobs.all[0].spec["environment"]["PERSONAGEN_JOB"], tmp_path / "job")
    sent = json.loads((tmp_path / "job" / "recipe.yaml").read_text())
    assert sent["backend"] == {"kind": "openai", "model": "m", "base_url": "https://models.example/v1"}


@pytest.mark.parametrize(
    ("words", "env"), [(["--base-url=http://localhost:8000"], {}), ([], {"OPENAI_BASE_URL": "http://127.0.0.1:8000"})]
)
def test_a_server_of_this_machine_is_refused(words: list[str], env: dict[str, str], hub: Hub, recipe: Path) -> None:
    assert "which is this machine, and a job is not" in refused(hub, launched(hub, recipe, *words, **env))


@pytest.mark.parametrize("option", ["--requirement", "--image", "--flavor", "--namespace", "--timeout"])
def test_a_secret_in_an_option_is_refused_and_not_printed(option: str, hub: Hub, recipe: Path) -> None:
    for secret in (TOKEN, "0123456789abcdef"):
        done = launched(hub, recipe, f"{option}=x{secret}", "--secret=MINE", MINE="0123456789abcdef")
        line = refused(hub, done)
        assert line.startswith(f"{option} holds a secret, which the page of a job shows") and secret not in line
