"""Write files and folders so that they survive a power cut: the one way in which PersonaGen changes a disk.

`write_text`, `write_json`, `write_bytes`, `copy_file`   a file: the old content or the new content, never a part
`write_atomically`                                      the same, for a writer that needs a path
`make_folder`, `move`, `publish_folder`                 folders and names
`sync`, `sync_tree`                                     files that others wrote

A file is flushed before it gets its name, and a folder after a name in it has changed. What has returned is on the
disk, and so a file that is written after another one is never there without it.
"""

import errno
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from personagen.builder.core.errors import FolderError
from personagen.builder.core.foreign_text import quote

UNSYNCABLE = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM})
"""Errors of folders that their file system cannot flush, or that this user may write and not read."""

GLOB_CHARACTERS = re.compile(r"[\[\]*?]")
"""Characters that have a meaning in patterns of paths."""

NETWORK_DISKS = frozenset(
    {
        "9p", "afs", "beegfs", "ceph", "cifs", "glusterfs", "gpfs", "lustre", "nfs", "nfs4", "panfs", "pvfs2", "s3fs",
        "smb3", "smbfs", "sshfs", "wekafs",
    }
)  # fmt: skip
"""Kinds of file systems that other machines write to too, whose locks and flushes a database cannot rely on."""

IMPOSSIBLE_PATH = (
    errno.ENOTDIR, errno.EEXIST, errno.ENOENT, errno.ENAMETOOLONG, errno.ELOOP, errno.EISDIR, errno.EINVAL,
)  # fmt: skip
"""Errors of paths that no change of the disk makes writable."""


def require_usable_name(path: Path) -> None:
    """Raise FolderError for the path of an output that parquet or a shell takes for another one."""
    shown = quote(str(path), limit=200)
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise FolderError(f"{shown} is not UTF-8, which data files need; choose another name with --out") from None
    if "\0" not in str(path) and any(os.path.exists(name) for name in (path, f"{path}.run")):  # noqa: PTH110 - no error
        return  # a run in this folder goes on
    if "\0" in str(path) or "\n" in str(path):
        raise FolderError(f"{shown} has a line break or a zero byte; choose another name with --out")
    try:
        home = path.expanduser()
    except RuntimeError:  # "~" before a name that is no user
        return
    if home != path:
        raise FolderError(f"{shown} was not expanded by the shell; write --out {home}")


def is_loaded_plainly(folder: Path) -> bool:
    """Return whether `load_dataset` takes the path of a folder as it is, and not as a pattern of paths."""
    return not GLOB_CHARACTERS.search(str(folder))


@contextmanager
def write_atomically(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside `target`; rename it to `target` if the block succeeds, delete it if it fails.

    A reader of `target` finds the old content or the new content, never a part, also after a power cut.

    Raises:
        OSError: the file cannot be written or renamed.

    """
    part = target.with_name(f"{target.name}.part")
    try:
        yield part
        sync(part)
        part.replace(target)
        sync(target.parent)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def write_bytes(target: Path, chunks: Iterable[bytes]) -> None:
    """Write a file atomically. Raises OSError if that fails."""
    with write_atomically(target) as part, part.open("wb") as file:
        file.writelines(chunks)


def write_text(target: Path, text: str) -> None:
    """Write a UTF-8 file atomically. Raises FolderError if that fails."""
    try:
        with write_atomically(target) as part:
            part.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise FolderError(f"cannot write {target}: {explain(error)}") from error


def write_json(target: Path, value: Any, *, ensure_ascii: bool = False) -> None:
    """Write a JSON file, indented by one space, as `write_text` does."""
    write_text(target, json.dumps(value, indent=1, ensure_ascii=ensure_ascii) + "\n")


def copy_file(source: Path, target: Path) -> None:
    """Copy the content of a file atomically. Raises OSError if that fails."""
    with write_atomically(target) as part:
        shutil.copyfile(source, part)


def make_folder(folder: Path, mode: int = 0o777) -> None:
    """Create a folder and its missing parents, the targets of links included. Raises OSError if that fails.

    Args:
        folder: the folder.
        mode: its permissions, less those that the user's mask withholds; parents have the usual ones.

    """
    folder = real_path(folder)
    try:
        folder.mkdir(mode)
    except FileExistsError:
        if not folder.is_dir():
            raise
        return
    except FileNotFoundError:
        make_folder(folder.parent)
        folder.mkdir(mode, exist_ok=True)
    sync(folder.parent)


def move(source: Path, target: Path) -> None:
    """Rename a file or folder whose content is on the disk. Raises OSError if that fails."""
    source.replace(target)
    for parent in dict.fromkeys([target.parent, source.parent]):  # never neither name
        sync(parent)


def publish_folder(staged: Path, target: Path) -> None:
    """Move a complete folder to `target`; a folder with files that is there is renamed with a number.

    If `target` is a link, the folder that it leads to is replaced. On another file system than `staged`, the files are
    copied there first. At every moment, `target` is the old folder, the new folder, or missing for the time of two
    renames. A power cut leaves the new folder complete under one of its three names: `staged`, that of
    `incoming_folder`, `target`. The old one is under its name or its number.

    Raises:
        OSError: the folder cannot be flushed, copied or renamed.

    """
    target = real_path(target)
    incoming = incoming_folder(target)
    make_folder(target.parent)
    sync_tree(staged)
    shutil.rmtree(incoming, ignore_errors=True)  # left by a power cut
    try:
        move(staged, incoming)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy_tree(staged, incoming)
    set_aside(target)
    move(incoming, target)
    shutil.rmtree(staged, ignore_errors=True)  # after a copy


def incoming_folder(target: Path) -> Path:
    """Return the name beside `target` that a folder has while it is published."""
    return target.with_name(f".{target.name}.personagen-incoming")


def _copy_tree(source: Path, target: Path) -> None:
    try:
        target.mkdir()
        for path in sorted(source.rglob("*")):
            copy = target / path.relative_to(source)
            copy.mkdir() if path.is_dir() else shutil.copyfile(path, copy)
        sync_tree(target)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise
    sync(target.parent)


def set_aside(target: Path) -> None:
    """Rename a folder with a number; remove an empty one. Raises OSError if that fails."""
    target = real_path(target)
    if not target.exists():
        return
    if any(target.iterdir()):
        move(target, numbered(target))
    else:
        target.rmdir()


def numbered(path: Path) -> Path:
    """Return the first path that does not exist: personagen.1, personagen.2, ..."""
    return next(name for n in count(1) if not (name := path.with_name(f"{path.name}.{n}")).exists())


def is_mount_point(path: Path) -> bool:
    """Return whether a file system or a folder is mounted at a path, so that it cannot be renamed."""
    if os.path.ismount(path):  # the method of paths does not exist on Windows
        return True
    with suppress(OSError, UnicodeDecodeError):  # Linux: `is_mount` does not see a folder of the same disk
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
        return str(path) in {line.split()[4].replace("\\040", " ") for line in lines}
    return False


def network_disk_of(path: Path, mounts: str | None = None) -> str | None:
    """Return the kind of the network file system that a path is on, such as "nfs4"; None: a local disk.

    Args:
        path: the path, existing or not.
        mounts: content of /proc/self/mountinfo, see proc(5). None: that of this machine; other systems than Linux have
            none, and count as local.

    """
    if mounts is None:
        try:
            mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
    lines = mounts.splitlines()
    entries = [(line.split()[4].replace("\\040", " "), line.partition(" - ")[2].split()) for line in lines]
    parents = {str(parent) for parent in (real_path(path), *real_path(path).parents)}
    # The last mount at a place hides those before it, and the deepest place is the nearest.
    nearest = max((len(place), number) for number, (place, _) in enumerate(entries) if place in parents)[1]
    kind = entries[nearest][1][0]
    return kind if kind.removeprefix("fuse.") in NETWORK_DISKS else None


def real_path(path: Path) -> Path:
    """Return an absolute path without links; its last parts need not exist."""
    return Path(os.path.realpath(path))


def sync_tree(folder: Path) -> None:
    """Flush every file and folder below a folder to the disk, and then the folder. Raises OSError if that fails."""
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            sync_tree(entry)
        elif entry.is_file():
            sync(entry)
    sync(folder)


def sync(path: Path) -> None:
    """Flush a file, or the names in a folder, to the disk. Raises OSError if that fails."""
    is_folder = path.is_dir()
    if is_folder and os.name == "nt":
        return  # Windows does not open folders, and flushes their names by itself
    try:
        descriptor = os.open(path, os.O_RDONLY if is_folder else os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if not (is_folder and error.errno in UNSYNCABLE):
            raise


def rounded(value: Any, digits: int = 6) -> Any:
    """Round every float of a JSON value to significant digits: beyond six, processors differ."""
    if isinstance(value, float):
        return float(f"{value:.{digits}g}")
    if isinstance(value, Mapping):
        return {key: rounded(part, digits) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(rounded(part, digits) for part in value)
    return value


def redact_path(source: str) -> str:
    """Return the file name without its folders, so that local paths do not leak; return other strings unchanged."""
    return Path(source).name if Path(source).exists() else source


def explain(error: OSError) -> str:
    """Return the reason of an operating system error and what to do about it.

    Another folder is advised only where the path cannot ever be written, so that a run with replies is not begun anew.
    """
    again = "run the command again; nothing that was paid for is lost"
    advice = {
        errno.ENOSPC: f"free some space and {again}",
        errno.EDQUOT: f"free some space and {again}",
        errno.EACCES: f"change its permissions and {again}",
        errno.EPERM: f"change its permissions and {again}",
        errno.EROFS: f"make the disk writable and {again}",
        errno.EMFILE: f"lower --concurrency or raise the limit of open files (ulimit -n), and {again}",
        errno.ENFILE: f"close other programs, and {again}",
    }
    advice |= dict.fromkeys(IMPOSSIBLE_PATH, "choose another folder with --out")
    return f"{(error.strerror or str(error)).lower()}; {advice.get(error.errno or 0, f'check the disk and {again}')}"
