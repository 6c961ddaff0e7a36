"""Lock the folder of a run, and remove it again if it was made in vain."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from personagen.builder.core.errors import FolderError
from personagen.builder.core.file_names import JOURNAL, LOCK, RESUME
from personagen.builder.core.files import explain, make_folder, real_path, sync
from personagen.builder.llm.journal import is_empty

BATCHES = "batches"


@contextmanager
def locked(root: Path, drafts: Iterable[Path] = ()) -> Iterator[None]:
    """Create the folder if it is missing, and lock it until the end of the block.

    A block that fails before the first reply leaves nothing behind: the folders that were created for it, its drafts
    and an empty journal are removed.

    Args:
        root: folder of the run.
        drafts: files that the block may write before the first reply.

    Raises:
        FolderError: another process has the lock, or the folder cannot be written.

    """
    missing = [folder for folder in (root, *root.parents) if not folder.exists()]
    new_drafts = [path for path in drafts if not path.exists()]
    try:
        make_folder(root)
        lock = FileLock(root / LOCK)
        lock.acquire(timeout=0)
        for folder in (root, real_path(root).parent):
            sync(folder)
    except Timeout as error:
        raise FolderError(
            f"another process is writing to {root}; wait for it or choose another folder with --out"
        ) from error
    except OSError as error:
        raise FolderError(f"cannot write {root}: {explain(error)}") from error
    try:
        yield
    except BaseException:
        if missing and is_unused(root):
            _remove(root, missing, new_drafts)
        raise
    finally:
        lock.release()


def is_unused(root: Path) -> bool:
    """Return whether a run has neither a reply nor an open batch, and so nothing to lose."""
    return is_empty(root / JOURNAL) and not any((root / BATCHES).glob("*.json"))


def _remove(root: Path, folders: Iterable[Path], drafts: Iterable[Path]) -> None:
    """Remove the files of a run without a reply, and folders that are empty then; a run with other files stays."""
    files = [*drafts, root / JOURNAL, root / LOCK]
    with suppress(OSError):
        if not {*root.iterdir()} <= {*files, root / BATCHES}:
            return
        for path in files:
            path.unlink(missing_ok=True)
        if (root / BATCHES).exists():
            (root / BATCHES).rmdir()
        for folder in folders:
            folder.rmdir()


def require_own_folder(out: Path, kind: str) -> None:
    """Raise FolderError if a folder of results holds other files than those of its command.

    Args:
        out: folder of the results; its state is in a folder within.
        kind: what the folder may hold, with its article: "a comparison".

    """
    try:
        is_foreign = out.exists() and any(out.iterdir()) and not (out / RESUME / LOCK).exists()
    except OSError as error:
        raise FolderError(f"cannot read {out}: {explain(error)}") from error
    if is_foreign:
        raise FolderError(f"{out} holds something else than {kind}; choose another folder with --out")
