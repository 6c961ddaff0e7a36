"""Commands in forks behave like commands in new processes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.processes.forked import ForkedProcess, run_forked

SHOW = "import os, sys; print(sys.argv[1:], os.getcwd(), os.environ.get('MINE')); print('x', file=sys.stderr)"


@pytest.mark.parametrize(
    "code", [SHOW, f"{SHOW}; sys.exit(3)", f"{SHOW}; sys.exit('no')", f"{SHOW}; 1 / 0", "import os; os.abort()"]
)
def test_output_and_exit_code_are_those_of_a_new_process(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words, env = [sys.executable, "-c", code, "a", "b c"], {**os.environ, "MINE": "é"}
    wanted = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    done = run_forked(words, env)
    assert (done.returncode, done.stdout) == (wanted.returncode, wanted.stdout)
    assert done.stderr.splitlines()[-1:] == wanted.stderr.splitlines()[-1:]


def test_a_module_runs_as_a_command() -> None:
    done = run_forked([sys.executable, "-m", "personagen.builder", "--version"])
    assert done.returncode == 0 and done.stdout.startswith("personagen")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_signals_end_it_as_a_new_process(number: signal.Signals) -> None:
    code = "import time; print('begun', flush=True); time.sleep(600)"
    with ForkedProcess([sys.executable, "-c", code]) as process:
        assert process.stdout.readline() == "begun\n" and process.poll() is None
        process.send_signal(number)
        process.communicate()
    assert process.returncode == -number


def test_it_is_killed_after_an_error_of_the_test() -> None:
    code = "import time; print('begun', flush=True); time.sleep(600)"
    with pytest.raises(RuntimeError, match="of the test"), ForkedProcess([sys.executable, "-c", code]) as process:
        raise RuntimeError("of the test")
    assert process.returncode == -signal.SIGKILL
    with pytest.raises(subprocess.TimeoutExpired), ForkedProcess([sys.executable, "-c", code]) as slow:
        slow.communicate(timeout=0.01)
    assert slow.returncode == -signal.SIGKILL


def test_signals_after_its_end_are_lost() -> None:
    """Its exit code may not be reported yet."""
    with ForkedProcess([sys.executable, "-c", "pass"]) as process:
        process.stdout.read()  # it has ended, or is about to: its report may be on its way
        for _ in range(100):
            process.send_signal(signal.SIGCONT)
        assert process.wait() == 0


def test_no_module_has_read_the_environment_before() -> None:
    code = "import sys; print('huggingface_hub' in sys.modules, 'pyarrow' in sys.modules)"
    assert run_forked([sys.executable, "-c", code]).stdout == "False True\n"
