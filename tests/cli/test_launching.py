"""The commands of `launch`: which words they pass on, and what they refuse before anything starts."""

import json
import sys
from pathlib import Path

import pytest

from tests.helpers.command import Run
from tests.helpers.processes.slurm import install

MODEL = ("--backend=openai", "--model=m")


def words_of(script: Path, name: str) -> str:
    """Return the line of an array script that sets a variable."""
    (line,) = [line for line in script.read_text().splitlines() if line.startswith(f"{name}=(")]
    return line


def test_options_reach_the_parts_as_they_were_given(run: Run) -> None:
    here = Path.cwd()
    (here / "r.yaml").write_text("rows: 70\n")
    (here / "mine.tsv").write_text("")
    (here / "key").write_text("sk-1")
    shared = ("--emotions=joy, anger", "--base-url=http://h/v1", "--rpm=60", "--max-tokens=9", "--api-key-file=key")
    own = ("--per-worker", "--ship-every=30", "--accept-lost-replies", "--work=disk")
    done = run("launch", "slurm", "r.yaml", "-n2", *MODEL, *shared, *own, "--python=py", "--journals=j")
    assert (done.code, done.out) == (0, "personagen.sbatch\n"), done.err
    options = (
        "'--emotions=joy, anger' --backend=openai --model=m --base-url=http://h/v1 --rpm=60 --max-tokens=9 "
        f"--api-key-file={here}/key --journals={here}/j"
    )
    start = f"(py -P -m personagen {{}} {here}/r.yaml {options} "
    script = here / "personagen.sbatch"
    own_options = {"--per-worker", "--ship-every=30.0", "--accept-lost-replies"}
    fill = words_of(script, "fill").removeprefix("fill=")
    assert fill.startswith(start.format("fill"))
    assert {*fill.removeprefix(start.format("fill")).removesuffix(")").split()} == own_options
    assert words_of(script, "join") == f"join={start.format('generate')}--out={here}/personagen)"
    assert f"work={here}/disk\n" in script.read_text()


def test_options_that_were_not_given_are_not_passed_on(run: Run) -> None:
    assert run("launch", "slurm", "-n1").code == 0
    here = Path.cwd()
    assert words_of(here / "personagen.sbatch", "fill") == (
        f"fill=({sys.executable} -P -m personagen fill --journals={here}/personagen.journals)"
    )


def test_an_array_is_submitted_with_its_join(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slurm = install(tmp_path / "bin")
    monkeypatch.setenv("PATH", slurm.env()["PATH"])
    done = run("launch", "slurm", "-n4", "--submit", "--join=out", "--journals=s3://b/run", "--json")
    assert json.loads(done.out) == {
        "script": "personagen.sbatch", "journals": "s3://b/run", "parts": 4, "job": "1000", "join": "1001",
    }  # fmt: skip
    assert done.err.splitlines() == [
        "submitted: job 1000, 4 parts",
        "submitted: job 1001 writes the release to out",
    ]
    assert f"--out={Path.cwd()}/out)" in words_of(Path("personagen.sbatch"), "join")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("slurm",), 2, "Missing option '-n' / '--parts'. (see `personagen launch slurm --help`)"),
        (("slurm", "-n0"), 2, "Invalid value for '-n' / '--parts': 0 is not in the range 1<=x<=10000. (see "),
        (("slurm", "-n2", "--join=out"), 2, "--join is submitted after the array; add --submit (see "),
        (
            ("slurm", "-n2", "--server=x {port}", "--base-url=http://h"),
            2,
            "--server and --base-url exclude each other: ",
        ),
        (("slurm", "-n2", "--server=vllm"), 1, "--server: got 'vllm', wanted a command with {port}"),
        (("local", "-n2", "none.yaml"), 1, "cannot read recipe none.yaml: "),
        (("local", "-n2", "--rows=0"), 1, "command line: rows: "),
        (("ray", "-n2", "--api-key-file=none"), 1, "cannot read --api-key-file none: no such file or directory"),
        (("local", "-n2", "--journals=s3://k:s@b/run"), 1, "the address of the segments, s3://..., has a password"),
        (("hf-jobs", "-n2"), 1, "got --journals 'personagen.journals', which is on this machine, and a job is not"),
        (("elsewhere", "-n2"), 2, "No such command 'elsewhere'. (see `personagen launch --help`)"),
    ],
    ids=str,
)
def test_what_all_parts_would_meet_is_refused_first(words: tuple[str, ...], code: int, message: str, run: Run) -> None:
    done = run("launch", *words)
    assert (done.code, done.out) == (code, "")
    assert done.err.startswith(f"personagen: {message}") and done.err.count("\n") == 1
    assert list(Path.cwd().iterdir()) == []


def test_parts_that_fail_are_named(run: Run) -> None:
    """A name of the journals that is a file: each worker refuses it with its own line."""
    Path("j").write_text("")
    done = run("launch", "local", "-n2", *MODEL, "--base-url=http://127.0.0.1:9/v1", "--journals=j", "--work=w")
    assert (done.code, done.out) == (1, "")
    lines = done.err.splitlines()
    assert lines[-1] == (
        "personagen: 2 of 2 parts are incomplete: parts 0/2 (exit code 1), 1/2 (exit code 1); run the same command to "
        "continue"
    )
    assert sum(line.startswith("part 0/2: personagen: ") for line in lines) == 1
