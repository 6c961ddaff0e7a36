"""Files of a run that vanish while it goes on end it at the next commit; no second process starts meanwhile."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from personagen.builder.core.errors import FolderError
from personagen.builder.core.progress import RunStatus
from personagen.builder.generate import generate
from personagen.builder.release.run.locking import locked
from personagen.builder.release.run.run_folder import run_folder_of
from tests.helpers.flow import Recorder, bytes_of, make, recipe_for
from tests.helpers.servers.fake_openai import FakeOpenAI

ROWS = 60

TRY_LOCK = """
import sys
from pathlib import Path
from personagen.builder.core.errors import FolderError
from personagen.builder.release.run.locking import locked
try:
    with locked(Path(sys.argv[1])):
        print("locked")
except FolderError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def calm(model: FakeOpenAI, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Bytes of the undisturbed release."""
    out = tmp_path_factory.mktemp("calm") / "out"
    make(recipe_for(model.url, {"rows": ROWS}), out)
    return bytes_of(out)


@pytest.mark.parametrize("name", ["", "lock", "journal.sqlite", "journal.sqlite*", "release"])
def test_a_file_that_vanishes_ends_the_run(
    name: str, model: FakeOpenAI, calm: dict[str, bytes], tmp_path: Path
) -> None:
    """Early: not when all is paid for. The same command goes on, and pays for nothing twice."""
    out, done = tmp_path / "out", list[int]()
    recipe = recipe_for(model.url, {"rows": ROWS, "backend.concurrency": 2, "shard_rows": 5})

    def remove(status: RunStatus) -> None:
        if status.accepted >= 10 and not done:
            done.append(len(model.requests))
            for path in run_folder_of(out).glob(name) if name else [run_folder_of(out)]:
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    start = len(model.requests)
    with pytest.raises(
        FolderError, match=r"was (moved or )?remove\S* .*while this run used it; |^cannot write \S+"
    ) as e:
        generate(recipe, out, progress=Recorder(remove))
    assert "\n" not in str(e.value) and not out.exists() and len(model.requests) <= done[0] + 12
    sent = len(model.requests)
    make(recipe, out)
    if name:
        assert len(model.requests) - start == ROWS and sent - start < ROWS
    plain = recipe_for(model.url, {"rows": ROWS})
    make(plain, out, reuse=True)
    assert bytes_of(out) == calm


@pytest.mark.skipif(sys.platform == "win32", reason="a lock file in use cannot be removed")
def test_a_second_process_is_refused_although_the_lock_file_was_removed(tmp_path: Path) -> None:
    root = tmp_path / "out.run"
    with locked(root):
        (root / "lock").unlink()
        words = [sys.executable, "-c", TRY_LOCK, str(root)]
        second = subprocess.run(words, capture_output=True, text=True, check=True)
        assert second.stdout.startswith(f"another process is writing to {root}; wait for it")
    with locked(root):
        pass
