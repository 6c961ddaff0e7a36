"""Hugging Face Jobs: what the Hub receives, and what a user reads when it refuses or a job fails."""

import json
import os
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


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub(tokens={TOKEN: "write", "hf_read_0123456789": "read"}) as running:
        yield running


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "my recipe.yaml"
    path.write_text("rows: 14\nbackend: {kind: openai, model: m}\n")
    return path


def launched(hub: Hub, recipe: Path, *words: str, parts: int = 2, **env: str) -> Outcome:
    """Run `personagen launch hf-jobs` in the folder of the recipe."""
    arguments = ("launch", "hf-jobs", recipe.name, f"-n{parts}", *words)
    words = [sys.executable, "-c", command_line(*arguments)]
    with ForkedProcess(words, os.environ | hub.env() | {"HF_TOKEN": TOKEN} | env, recipe.parent) as process:
        out, err = process.communicate()
    return Outcome(process.wait(), out, err)


def test_each_part_is_a_job(hub: Hub, recipe: Path) -> None:
    done = launched(
        *(hub, recipe, "--journals", URL, "--flavor=l4x1", "--secret", "OPENAI_API_KEY", "--timeout=12h"),
        *("--retries=3", "--rows=7", "--per-worker"),
        OPENAI_API_KEY="sk-0123456789abcdef",
    )
    assert (done.code, done.err) == (0, "")
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
                *("uv", "run", "--with", f"personagen=={__version__}"),
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
    words = ("--rows=7", "--per-worker", "--requirement=.", "--requirement=s3fs")
    assert launched(hub, recipe, "--journals", URL, *words).code == 0
    spec = hub.jobs.all[1].spec
    assert spec["command"][:6] == ["uv", "run", "--with", ".", "--with", "s3fs"]
    assert unpack(spec["environment"]["PERSONAGEN_JOB"], tmp_path / "job") == (
        *("fill", str(tmp_path / "job" / "recipe.yaml"), f"--journals={URL}", "--per-worker"),
    )
    sent = json.loads((tmp_path / "job" / "recipe.yaml").read_text())
    assert sent == {"rows": 7, "backend": {"kind": "openai", "model": "m"}}


def test_secrets_are_in_no_other_part_of_a_job(hub: Hub, recipe: Path) -> None:
    assert launched(hub, recipe, "--journals", URL, "--secret=MY_KEY", MY_KEY="0123456789abcdef").code == 0
    for job in hub.jobs.all:
        rest = json.dumps({name: value for name, value in job.spec.items() if name != "secrets"})
        assert TOKEN not in rest and "0123456789abcdef" not in rest


def test_the_extras_are_those_of_the_recipe(hub: Hub, recipe: Path) -> None:
    recipe.write_text("rows: 14\nchecks: {label: flag}\n")
    assert launched(hub, recipe, "--journals", URL, parts=1).code == 0
    assert f"personagen[embedded,metrics]=={__version__}" in hub.jobs.all[0].spec["command"]


def test_waiting_shows_the_logs_of_failed_jobs(hub: Hub, recipe: Path) -> None:
    def ends(spec: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
        log = tuple(f"line {number}\x1b[31m" for number in range(30))
        return ("ERROR", log) if spec["labels"]["part"] == "1-of-3" else ("COMPLETED", ())

    hub.jobs.ends = ends
    done = launched(hub, recipe, "--journals", URL, "--wait", parts=3)
    lines = done.err.splitlines()
    urls = [f"{hub.url}/jobs/user/{job.id}" for job in hub.jobs.all]
    assert (done.code, done.out) == (1, "")
    assert lines[:5] == [
        *(f"part {part}/3: {url}" for part, url in enumerate(urls)),
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
    assert launched(hub, recipe, "--journals", URL, parts=1).code == 0
    code = f"""
from personagen.builder.hub.client import connect
from personagen.builder.launch.hf_jobs import PartJob, wait_for
print(wait_for(connect(None), [PartJob(0, {hub.jobs.all[0].id!r}, "user", "URL")], print, poll_s=0.01))
"""
    done = python(code, recipe.parent, **hub.env() | {"HF_TOKEN": TOKEN})
    assert done == Outcome(0, "part 0/1: completed URL\n[0]\n", "")


def test_waiting_for_jobs_that_complete(hub: Hub, recipe: Path) -> None:
    done = launched(hub, recipe, "--journals", URL, "--wait", "--json", parts=1)
    assert (done.code, json.loads(done.out)) == (0, {"journals": URL, "parts": 1})


def test_a_submission_whose_answer_was_lost_is_not_repeated(hub: Hub, recipe: Path) -> None:
    hub.fail(r"POST /api/jobs/user", cut=1, after=True)
    done = launched(hub, recipe, "--journals", URL)
    assert (done.code, len(hub.jobs.all)) == (0, 2)


def test_jobs_that_were_submitted_before_a_failure_are_named(hub: Hub, recipe: Path) -> None:
    hub.fail(r"POST /api/jobs/user", nth=2, status=403)
    done = launched(hub, recipe, "--journals", URL, parts=3)
    assert done.code == 1 and done.err == (
        f"personagen: 1 of 3 jobs are submitted ({hub.jobs.all[0].id}), the rest is not: cannot submit the job of part "
        "1: the token has no permission for it (403); use one with write permission; cancel each with "
        "`hf jobs cancel ID`, or wait for them and launch again\n"
    )


def test_a_refused_first_job_is_one_line(hub: Hub, recipe: Path) -> None:
    done = launched(hub, recipe, "--journals", URL, HF_TOKEN="hf_read_0123456789")
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
    done = launched(hub, recipe, "--journals", URL)
    assert done.err == "personagen: the recipe reads ${TEAM_KEY}, which the jobs do not have; add --secret TEAM_KEY\n"
    done = launched(hub, recipe, "--journals", URL, "--secret=TEAM_KEY")
    assert done.err == "personagen: --secret: the environment variable TEAM_KEY is not set; set it\n"
    done = launched(hub, recipe, "--journals", URL, "--secret=TEAM_KEY", "--secret=A=b")
    assert done.code == 1
    assert hub.jobs.all == []


def test_a_value_in_place_of_a_name_is_refused(hub: Hub, recipe: Path) -> None:
    done = launched(hub, recipe, "--journals", URL, "--secret=A=b")
    assert done.err == (
        "personagen: --secret: got 'A=b', wanted the name of an environment variable; never its value\n"
    )


def test_a_file_that_a_job_would_get_as_its_command_is_refused(hub: Hub, recipe: Path) -> None:
    (recipe.parent / "python").write_text("")
    done = launched(hub, recipe, "--journals", URL)
    assert done.err == (
        "personagen: the working directory has a file 'python', which a job would get as its command; run this "
        "elsewhere\n"
    )
