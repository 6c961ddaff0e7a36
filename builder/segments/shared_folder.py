"""A folder that several machines write files to: one of this machine, or an address of a file system of fsspec."""

import re
import stat
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, TypeVar

from personagen.builder.core.errors import FolderError
from personagen.builder.core.files import copy_file, make_folder, write_bytes
from personagen.builder.core.foreign_text import quote

Result = TypeVar("Result")

_HOST = re.compile(r"(\[[^\]]*\]|[^:]*)(:\d*)?")
"""Host and port."""

_ONE_SLASH = re.compile(r"([a-z][a-z0-9+.-]+):/(?!/)")
"""Beginning of an address with a slash too few; a drive of Windows has one letter."""


@dataclass(frozen=True, slots=True)
class SharedFolder:
    """A folder of files that are written once.

    Attributes:
        url: its path or address, as the user gave it and without secrets.
        root: its path within the file system.
        content: what is in it, for errors: "segments".
        remote: file system of fsspec; None: that of this machine.

    """

    url: str
    root: str
    content: str
    remote: Any = None

    def sizes(self) -> Mapping[str, int]:
        """Return the sizes of the files in bytes, by their names in order; empty: there is no folder yet.

        Raises:
            FolderError: the folder cannot be read.

        """
        sizes = self.attempt("read", self._remote_sizes if self.remote else lambda: _local_sizes(Path(self.root)))
        return dict(sorted(sizes.items()))

    def _remote_sizes(self) -> dict[str, int]:
        self.remote.invalidate_cache()
        try:
            entries = self.remote.ls(self.root, detail=True)
        except FileNotFoundError:
            return {}
        return {PurePosixPath(entry["name"]).name: entry["size"] or 0 for entry in entries if entry["type"] == "file"}

    def put(self, path: Path) -> None:
        """Copy a file into the folder, under its own name; in a folder it has its name once it is complete.

        Raises:
            FolderError: it cannot be written.

        """
        self._write(path.name, lambda target: copy_file(path, target), lambda to: self.remote.put_file(str(path), to))

    def write(self, name: str, content: bytes) -> None:
        """Write a file, as `put` does."""
        self._write(name, lambda target: write_bytes(target, [content]), lambda to: self.remote.pipe_file(to, content))

    def _write(self, name: str, local: Callable[[Path], None], remote: Callable[[str], None]) -> None:
        def write() -> None:
            if self.remote is None:
                make_folder(Path(self.root))
                local(Path(self.root) / name)
            else:
                self.remote.mkdirs(self.root, exist_ok=True)
                remote(f"{self.root}/{name}")

        self.attempt("write", write)

    def open(self, name: str) -> AbstractContextManager[BinaryIO]:
        """Open a file to read it; errors are those of the file system, for a caller within `attempt`."""
        if self.remote is None:
            return (Path(self.root) / name).open("rb")
        opened: AbstractContextManager[BinaryIO] = self.remote.open(f"{self.root}/{name}", "rb")
        return opened

    def read(self, name: str) -> bytes:
        """Return the content of a file. Raises FolderError if it cannot be read."""

        def read() -> bytes:
            with self.open(name) as opened:
                return opened.read()

        return self.attempt("read", read)

    def attempt(self, action: str, work: Callable[[], Result]) -> Result:
        """Return the result of work on the file system; raise what it raises as a FolderError."""
        try:
            return work()
        except FolderError:
            raise
        except Exception as error:  # each file system raises the errors of its own library
            system = error.strerror if isinstance(error, OSError) else None
            reason = system.lower() if system else quote(f"{type(error).__name__}: {error}", limit=300)
            raise FolderError(
                f"cannot {action} the {self.content} in {self.url}: {reason}; check the address and its access, and "
                "run the same command again"
            ) from error


def open_shared_folder(url: str, content: str) -> SharedFolder:
    """Return the folder at a path or address; nothing is read or written yet.

    Raises:
        FolderError: the path is empty, the address lacks a slash or has a password in it, or its file system is not
            installed.

    """
    if not url or url == "file://":
        raise FolderError(f"no folder is named for {content}: got {url!r}; name a folder or an address")
    if (slash := _ONE_SLASH.match(url)) is not None:
        raise FolderError(
            f"{quote(url, limit=200)} is neither a folder nor an address for {content}: after {slash[1]}: are two "
            f"slashes; write {slash[1]}://, or ./{slash[1]}: for a folder of that name"
        )
    if "://" not in url:
        return SharedFolder(url, url, content)
    import fsspec
    from fsspec.implementations.local import LocalFileSystem

    require_no_password(url, content)
    try:
        remote, root = fsspec.core.url_to_fs(url)
    except Exception as error:  # each file system raises the errors of its own library
        raise FolderError(
            f"cannot use {quote(url, limit=200)} for {content}: {quote(f'{error}', limit=300)}; check the address, "
            "install the package of its file system, or name a folder"
        ) from error
    if isinstance(remote, LocalFileSystem):
        return SharedFolder(url, root, content)
    return SharedFolder(url.rstrip("/"), root.rstrip("/"), content, remote)


def require_no_password(url: str, content: str) -> None:
    """Raise FolderError if an address has a password; the message does not repeat it."""
    if any(map(_begins_with_password, url.split("://")[1:])):
        scheme = url.partition("://")[0]
        raise FolderError(
            f"the address of the {content}, {scheme}://..., has a password, which would end in logs; give it to the "
            "file system by its environment variables or its configuration"
        )


def _begins_with_password(text: str) -> bool:
    """Return whether what is behind the `://` of an address begins with a user and a password.

    A password may have a slash, although an address should not: then what is before it is no host with a port.
    """
    authority, _, path = text.partition("/")
    user, is_given, _ = authority.rpartition("@")
    return ":" in user if is_given else "@" in path and _HOST.fullmatch(authority) is None


def _local_sizes(folder: Path) -> dict[str, int]:
    sizes: dict[str, int] = {}
    with suppress(FileNotFoundError):  # of the folder: there is none yet
        for entry in folder.iterdir():
            with suppress(FileNotFoundError):  # a draft of another worker, which has its name by now
                status = entry.stat()
                if stat.S_ISREG(status.st_mode):
                    sizes[entry.name] = status.st_size
    return sizes
