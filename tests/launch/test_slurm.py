"""The array script of Slurm: what sbatch reads, and what bash does with signals, servers and requeues."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from personagen.builder.core.errors import LaunchError
from personagen.builder.launch.commands import PartCommands, make_commands
from personagen.builder.launch.slurm import SlurmSettings, render_script, submit, submit_join, write_script
from tests.helpers.processes.slurm import FakeSlurm, directives, install, near_the_limit
from tests.launch.test_commands import HOSTILE

WORKER = """#!{python}
import json, os, pathlib, signal, sys, time
log = pathlib.Path({folder!r}) / "worker.jsonl"
def stop(number, frame):
    time.sleep(0.3)
    write("shipped", number)
    os._exit(128 + number)
def write(*words):
    with log.open("a") as file:
        file.write(json.dumps(words) + "\\n")
signal.signal(signal.SIGTERM, stop)
write("started", sys.argv[1:])
if pathlib.Path({folder!r}, "endless").exists():
    print("ready", flush=True)
    while True:
        time.sleep(0.1)
sys.exit(int(pathlib.Path({folder!r}, "code").read_text()))
"""
"""A worker in place of Python: records its words, and runs until a signal or exits with a code."""

SERVER = """import http.server, pathlib, sys
class Handler(http.server.BaseHTTPRequestHandler):
    tries = 0
    def do_GET(self):
        Handler.tries += 1
        self.send_response(503 if Handler.tries < 2 else 200)
        self.end_headers()
pathlib.Path("server.port").write_text(sys.argv[1])
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.fixture
def slurm(tmp_path: Path) -> FakeSlurm:
    """Stand-ins for the commands of Slurm."""
    return install(tmp_path / "bin")


@pytest.fixture
def worker(tmp_path: Path) -> Path:
    """A worker that exits with 0."""
    path = tmp_path / "worker"
    path.write_text(WORKER.format(python=sys.executable, folder=str(tmp_path)))
    path.chmod(0o755)
    (tmp_path / "code").write_text("0")
    return path


def commands(tmp_path: Path, **changes: Any) -> PartCommands:
    return make_commands(**{"recipe": tmp_path / "recipe.yaml", "parts": 3, "journals": "s3://b/run"} | changes)


def write(tmp_path: Path, settings: SlurmSettings, **changes: Any) -> Path:
    path = tmp_path / "personagen.sbatch"
    write_script(path, render_script(commands(tmp_path, **changes), settings))
    return path


def records(tmp_path: Path) -> list[list[Any]]:
    path = tmp_path / "worker.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def wait_until_ready(task: "subprocess.Popen[str]") -> None:
    assert task.stdout is not None and task.stdout.readline() == "ready\n"


def test_sbatch_reads_the_options_of_the_array(tmp_path: Path) -> None:
    settings = SlurmSettings(
        at_most=2, time="1-00:00:00", mem="16G", partition="gpu", cpus_per_part=4, gpus_per_part=1, grace_s=90,
        sbatch=("--account=lab", "--exclude=n[1-4]"), setup=("module load cuda",),
    )  # fmt: skip
    assert directives(render_script(commands(tmp_path), settings)) == [
        "--job-name=personagen",
        "--array=0-2%2",
        "--nodes=1",
        "--ntasks=1",
        "--cpus-per-task=4",
        "--gres=gpu:1",
        "--mem=16G",
        "--time=1-00:00:00",
        "--partition=gpu",
        "--output=personagen-%A_%a.log",
        "--open-mode=append",
        "--signal=B:USR1@90",
        "--requeue",
        "--account=lab",
        "--exclude=n[1-4]",
    ]
    assert directives(render_script(commands(tmp_path), SlurmSettings()))[:2] == [
        "--job-name=personagen",
        "--array=0-2",
    ]


def test_the_script_is_clean(tmp_path: Path) -> None:
    script = write(tmp_path, SlurmSettings(server=f"x --port {{port}} {HOSTILE}"), options=(f"--model={HOSTILE}",))
    subprocess.run(["bash", "-n", script], check=True)
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed")
    done = subprocess.run(
        ["shellcheck", "--severity=warning", script],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "a\n#SBATCH --wrap=x"}, "--name: got 'a\\n#SBATCH --wrap=x', wanted letters"),
        ({"time": "1 h"}, "--time: got '1 h', wanted letters"),
        ({"mem": ""}, "--mem: got '', wanted letters"),
        ({"partition": "a b"}, "--partition: got 'a b', wanted letters"),
        ({"sbatch": ("--account=x\nrm -rf /",)}, "--sbatch: got '--account=x\\nrm -rf /', wanted one long option"),
        ({"sbatch": ("rm -rf /",)}, "--sbatch: got 'rm -rf /', wanted one long option of sbatch"),
        ({"sbatch": ("--account=x --array=0-99",)}, "--sbatch: got '--account=x --array=0-99', wanted one long option"),
        ({"sbatch": ("-a0-99",)}, "--sbatch: got '-a0-99', wanted one long option"),
        ({"sbatch": ("--arr=0-50",)}, "--sbatch: '--arr=0-50' is set by the script"),
        (
            {"sbatch": ("--array=0-9",)},
            "--sbatch: '--array=0-9' is set by the script, which depends on it; leave it out",
        ),
        ({"sbatch": ("--signal=USR2",)}, "--sbatch: '--signal=USR2' is set by the script"),
        ({"server": "vllm serve M"}, "--server: got 'vllm serve M', wanted a command with {port}"),
    ],
    ids=str,
)
def test_what_a_line_for_sbatch_cannot_hold_is_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(LaunchError) as refused:
        render_script(commands(tmp_path), SlurmSettings(**changes))
    assert str(refused.value).startswith(message) and "\n" not in str(refused.value)


def test_another_file_is_not_replaced(tmp_path: Path) -> None:
    script = write(tmp_path, SlurmSettings())
    assert write(tmp_path, SlurmSettings(mem="1G")) == script and "--mem=1G" in script.read_text()
    script.write_text("#!/bin/sh\nmine\n")
    with pytest.raises(LaunchError, match="is no script of this command, and is not replaced"):
        write(tmp_path, SlurmSettings())
    script.unlink()
    script.mkdir()
    with pytest.raises(LaunchError, match=r"cannot read .*: is a directory; give another name"):
        write(tmp_path, SlurmSettings())


def test_hostile_words_reach_the_worker_unchanged(tmp_path: Path, slurm: FakeSlurm, worker: Path) -> None:
    changes = {
        "recipe": tmp_path / HOSTILE,
        "journals": HOSTILE,
        "options": (f"--model={HOSTILE}",),
        "work": tmp_path / HOSTILE,
    }
    script = write(tmp_path, SlurmSettings(python=str(worker), join=f"/{HOSTILE}"), **changes)
    for task, arguments in ((2, ()), (0, ("join",))):
        with slurm.start(script, task, *arguments) as batch:
            assert (batch.wait(), batch.stderr.read() if batch.stderr else "") == (0, "")
    expected = make_commands(parts=3, **changes)
    module = ["-P", "-m", "personagen"]
    assert records(tmp_path) == [
        ["started", [*module, *expected.fill(2)]],
        ["started", [*module, *expected.join(f"/{HOSTILE}")]],
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("bin", "code", "personagen.sbatch", "worker", "worker.jsonl"),
    ]


@pytest.mark.parametrize("code", [0, 1, 2, 127, 130])
def test_a_task_has_the_exit_code_of_its_worker(code: int, tmp_path: Path, slurm: FakeSlurm, worker: Path) -> None:
    (tmp_path / "code").write_text(str(code))
    with slurm.start(write(tmp_path, SlurmSettings(python=str(worker)))) as batch:
        assert batch.wait() == code
    assert slurm.requeued == []


def test_a_task_near_its_limit_ships_and_is_requeued(tmp_path: Path, slurm: FakeSlurm, worker: Path) -> None:
    (tmp_path / "endless").touch()
    script = write(tmp_path, SlurmSettings(python=str(worker)))
    with slurm.start(script, 1) as batch:
        wait_until_ready(batch)
        near_the_limit(batch)
        assert batch.wait() == 143
        assert batch.stderr is not None and batch.stderr.read().splitlines() == [
            "part 1/3: the time limit is near; the worker ships its replies",
            "part 1/3: requeued: the task continues from its journal",
        ]
    assert slurm.requeued == ["requeue 1000_1"]
    assert [record[0] for record in records(tmp_path)] == ["started", "shipped"]
    (tmp_path / "endless").unlink()
    with slurm.start(script, 1) as batch:
        assert batch.wait() == 0


def test_a_task_that_cannot_be_requeued_says_so(tmp_path: Path, slurm: FakeSlurm, worker: Path) -> None:
    (tmp_path / "endless").touch()
    slurm.refuse()
    with slurm.start(write(tmp_path, SlurmSettings(python=str(worker)))) as batch:
        wait_until_ready(batch)
        near_the_limit(batch)
        assert batch.wait() == 143
        assert batch.stderr is not None and batch.stderr.read().splitlines()[-2:] == [
            "slurm_requeue error: Requested operation is presently disabled",
            "part 0/3: scontrol refuses to requeue the task; submit the script again to continue",
        ]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_cancelled_task_ships_and_is_not_requeued(
    number: signal.Signals, tmp_path: Path, slurm: FakeSlurm, worker: Path
) -> None:
    """Slurm itself requeues a task that it preempts."""
    (tmp_path / "endless").touch()
    with slurm.start(write(tmp_path, SlurmSettings(python=str(worker)))) as batch:
        wait_until_ready(batch)
        batch.send_signal(number)
        batch.send_signal(number)
        assert batch.wait() == 143
    assert [record[0] for record in records(tmp_path)] == ["started", "shipped"]
    assert slurm.requeued == []


def test_each_task_has_a_server_on_a_port_of_its_own(tmp_path: Path, slurm: FakeSlurm, worker: Path) -> None:
    (tmp_path / "endless").touch()
    (tmp_path / "server.py").write_text(SERVER)
    script = write(tmp_path, SlurmSettings(python=str(worker), server=f"true && {sys.executable} server.py {{port}}"))
    ports = []
    for task in (0, 1):
        with slurm.start(script, task, job=4000) as batch:
            wait_until_ready(batch)
            ports.append(int((tmp_path / "server.port").read_text()))
            batch.send_signal(signal.SIGTERM)
            assert batch.wait() == 143
    started = [record[1][-1] for record in records(tmp_path) if record[0] == "started"]
    assert started == [f"--base-url=http://127.0.0.1:{port}/v1" for port in ports]
    assert ports == [10_000 + 4001, 10_000 + 4002]
    log = (tmp_path / "personagen-4000_0.server.log").read_text()
    assert "GET /v1/models" in log and " 503 " in log


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, "127.0.0.1"),
        ({"NO_PROXY": ".minio.internal"}, "127.0.0.1,.minio.internal"),
        ({"no_proxy": "a,b", "NO_PROXY": "c"}, "127.0.0.1,a,b"),
    ],
)
def test_what_needs_no_proxy_stays_so_beside_the_server(
    given: dict[str, str], wanted: str, tmp_path: Path, slurm: FakeSlurm, worker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        if name in given:
            monkeypatch.setenv(name, given[name])
    server = 'echo "$no_proxy $NO_PROXY {port}" >proxies; exit 3'
    with slurm.start(write(tmp_path, SlurmSettings(python=str(worker), server=server))) as batch:
        assert batch.wait() == 1
    assert (tmp_path / "proxies").read_text().split()[:2] == [wanted, wanted]


@pytest.mark.parametrize(
    "settings",
    [
        SlurmSettings(server="vllm serve M --port {port} --api-key sk-very-secret-0123456789"),
        SlurmSettings(setup=("export OPENAI_API_KEY=sk-very-secret-0123456789",)),
        SlurmSettings(sbatch=("--comment=sk-very-secret-0123456789",)),
    ],
)
def test_a_secret_in_the_script_is_refused(
    settings: SlurmSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-0123456789")
    with pytest.raises(LaunchError, match=r"^the script would hold the value of a secret environment var") as refused:
        write(tmp_path, settings)
    assert "very-secret" not in str(refused.value) and not (tmp_path / "personagen.sbatch").exists()


def test_a_path_that_is_not_valid_in_utf8_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match=r"is not valid UTF-8; rename the file$"):
        write(tmp_path, SlurmSettings(), recipe=Path("/a/n\udcff.yaml"))


def test_the_server_ends_with_its_task(tmp_path: Path, slurm: FakeSlurm, worker: Path) -> None:
    (tmp_path / "server.py").write_text(SERVER)
    script = write(tmp_path, SlurmSettings(python=str(worker), server=f"true && {sys.executable} server.py {{port}}"))
    for _ in range(2):  # the second one gets the same port
        with slurm.start(script) as batch:
            assert batch.wait() == 0
    ports = {record[1][-1] for record in records(tmp_path)}
    assert len(ports) == 1


def test_a_server_that_does_not_start_is_named_with_its_log(tmp_path: Path, slurm: FakeSlurm, worker: Path) -> None:
    script = write(tmp_path, SlurmSettings(python=str(worker), server="echo no such model {port}; exit 3"))
    with slurm.start(script) as batch:
        assert batch.wait() == 1
        lines = batch.stderr.read().splitlines() if batch.stderr else []
    assert lines[0] == (
        "part 0/3: the server has ended before it answered; the end of its log, personagen-1000_0.server.log:"
    )
    assert re.fullmatch(r"no such model \d+", lines[1])
    assert records(tmp_path) == []


def test_a_server_that_never_answers_is_given_up(tmp_path: Path, slurm: FakeSlurm, worker: Path) -> None:
    settings = SlurmSettings(python=str(worker), server="echo loading {port}; sleep 600", server_wait_s=2)
    with slurm.start(write(tmp_path, settings)) as batch:
        assert batch.wait() == 1
        lines = batch.stderr.read().splitlines() if batch.stderr else []
    assert re.match(r"part 0/3: the server does not answer on port \d+ after 2 s; the end of its log", lines[0])


def test_a_time_limit_that_is_too_short_for_the_server_ends_the_task(
    tmp_path: Path, slurm: FakeSlurm, worker: Path
) -> None:
    script = write(tmp_path, SlurmSettings(python=str(worker), server="sleep 600; {port}"))
    with slurm.start(script) as batch:
        while not (tmp_path / "personagen-1000_0.server.log").exists():
            time.sleep(0.01)
        near_the_limit(batch)
        assert batch.wait() == 1
        assert batch.stderr is not None and batch.stderr.read().splitlines()[-1] == (
            "part 0/3: not requeued: the server did not answer before the time limit was near; raise --time"
        )
    assert slurm.requeued == [] and records(tmp_path) == []


def test_the_array_and_its_join_are_submitted(
    tmp_path: Path, slurm: FakeSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", slurm.env()["PATH"])
    script = write(tmp_path, SlurmSettings())
    assert (submit(script), submit_join(script, "1000")) == ("1000", "1001")
    assert slurm.submitted == [
        ["--parsable", str(script)],
        ["--parsable", "--dependency=afterok:1000", "--kill-on-invalid-dep=yes", "--array=0", str(script), "join"],
    ]
    slurm.refuse()
    with pytest.raises(LaunchError, match=r"sbatch refuses .* \(exit code 1\): 'sbatch: error: .*Invalid account'"):
        submit(script)


def test_a_machine_without_slurm_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        LaunchError, match=r"sbatch is not installed here; run it on a machine of the cluster: sbatch /"
    ):
        submit(tmp_path / "personagen.sbatch")
    (tmp_path / "sbatch").write_text("")
    (tmp_path / "sbatch").chmod(0o755)
    with pytest.raises(LaunchError, match=r"sbatch cannot be run \(OSError\); run it by hand on"):
        submit(tmp_path / "personagen.sbatch")
