"""Lock the folder of a run, and remove it again if it was made in vain."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from personagen.builder.core.errors import FolderError
from personagen.builder.core.file_names import JOURNAL, LOCK, RESUME
from personagen.builder.core.files import explain, make_folder, real_path, require_usable_name, sync
from personagen.builder.llm.journal import is_empty
from personagen.builder.llm.storage.opening import identity
from personagen.builder.release.run.space import require_floor, require_right_to_write

BATCHES = "batches"


class RunGuard:
    """Watch of the files by which a run holds its folder."""

    def __init__(self, root: Path, staging: Path | None = None) -> None:
        """Remember the folder and its lock; `staging`: folder of the release, which is remembered once it exists."""
        self._root = root
        self._files: dict[Path, tuple[int, int] | None] = {path: identity(path) for path in (root, root / LOCK)}
        self._staging = staging

    def require_in_place(self) -> None:
        """Raise FolderError if one of the files was removed or replaced, or if the disk is nearly full."""
        if self._staging is not None and self._staging not in self._files and identity(self._staging):
            self._files[self._staging] = identity(self._staging)
        for path, known in self._files.items():
            if identity(path) != known:
                raise FolderError(
                    f"{path} was removed or replaced while this run used it; the replies so far are in the journal of "
                    f"{self._root.name}: run the command again"
                )
        require_floor(self._root)


@contextmanager
def locked(
    root: Path, drafts: Iterable[Path] = (), staging: Path | None = None, *, in_use: str | None = None
) -> Iterator[RunGuard]:
    """Create the folder if it is missing, and lock it until the end of the block.

    Beside the lock file, the folder itself is locked where the system can: the file may be removed by a clean-up.

    A block that fails before the first reply leaves nothing behind: its folders, drafts and empty journal are removed.

    Args:
        root: folder of the run.
        drafts: files that the block may write before the first reply.
        staging: folder of the release that is written, for the guard.
        in_use: error if another process has the lock. None: that of a release.

    Yields:
        Guard of the folder, for use after every commit.

    Raises:
        FolderError: another process has the lock, or the folder cannot be written.

    """
    missing = [folder for folder in (root, *root.parents) if not folder.exists()]
    new_drafts = [path for path in drafts if not path.exists()]
    held = ExitStack()
    lock = FileLock(root / LOCK)
    try:
        make_folder(root)
        lock.acquire(timeout=0)
        held.enter_context(_folder_lock(root))
        for folder in (root, real_path(root).parent):
            sync(folder)
    except (Timeout, BlockingIOError) as error:
        lock.release()
        message = f"another process is writing to {root}; wait for it or choose another folder with --out"
        raise FolderError(in_use or message) from error
    except OSError as error:
        held.close()
        lock.release()
        raise FolderError(f"cannot write {root}: {explain(error)}") from error
    try:
        yield RunGuard(root, staging)
    except BaseException:
        if missing and is_unused(root):
            _remove(root, missing, new_drafts)
        raise
    finally:
        held.close()
        lock.release()


@contextmanager
def _folder_lock(folder: Path) -> Iterator[None]:
    """Lock a folder itself. Raises BlockingIOError if another process has the lock."""
    if sys.platform == "win32":  # where a lock file in use cannot be removed
        yield
        return
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:
            pass  # network file systems lock files only
        yield
    finally:
        os.close(descriptor)


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
    """Raise FolderError if a folder of results holds other files than those of its command, or cannot be written.

    Args:
        out: folder of the results; its state is in a folder within.
        kind: what the folder may hold, with its article: "a comparison".

    """
    require_usable_name(out)
    try:
        is_foreign = out.exists() and any(out.iterdir()) and not (out / RESUME / LOCK).exists()
    except OSError as error:
        raise FolderError(f"cannot read {out}: {explain(error)}") from error
    if is_foreign:
        raise FolderError(f"{out} holds something else than {kind}; choose another folder with --out")
    require_right_to_write(out)
