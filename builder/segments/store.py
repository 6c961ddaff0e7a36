"""The place where segments are shipped to: a folder, or an address of any file system that fsspec knows."""

import re
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, TypeVar

from personagen.builder.core.errors import FolderError
from personagen.builder.core.files import copy_file, make_folder
from personagen.builder.core.foreign_text import quote
from personagen.builder.segments.segment import Header, SegmentName, digest_of, parse_name, read_header, read_tail

Result = TypeVar("Result")

_PASSWORD = re.compile(r"://[^/@]*:[^@]*@")


class DamagedSegmentError(FolderError):
    """A segment cannot be read, or is not as it was sealed; the message names it."""


@dataclass(frozen=True, slots=True)
class SegmentStore:
    """A folder of segments.

    Attributes:
        url: its path or address, as the user gave it and without secrets.
        root: its path within the file system.
        remote: file system of fsspec; None: that of this machine.

    """

    url: str
    root: str
    remote: Any = None

    def sizes(self) -> dict[str, int]:
        """Return the sizes of the segments in bytes, by the names of their files in order; empty: no folder yet.

        Raises:
            FolderError: the folder cannot be read.

        """
        found = self._all_sizes()
        return {file: found[file] for file in sorted(found) if parse_name(file) is not None}

    def others(self) -> list[str]:
        """Return the names of parquet files that have no name of a segment, hidden ones left out.

        Raises:
            FolderError: the folder cannot be read.

        """
        files = sorted(file for file in self._all_sizes() if file.endswith(".parquet") and not file.startswith("."))
        return [file for file in files if parse_name(file) is None]

    def _all_sizes(self) -> Mapping[str, int]:
        if self.remote is None:
            return self._try("read", lambda: _local_sizes(Path(self.root)))
        return self._try("read", self._remote_sizes)

    def _remote_sizes(self) -> dict[str, int]:
        self.remote.invalidate_cache()
        try:
            entries = self.remote.ls(self.root, detail=True)
        except FileNotFoundError:
            return {}
        return {PurePosixPath(entry["name"]).name: entry["size"] or 0 for entry in entries if entry["type"] == "file"}

    def put(self, path: Path) -> None:
        """Copy a file into the folder, under its own name.

        Raises:
            FolderError: it cannot be written.

        """
        if self.remote is None:
            self._try("write", lambda: _put_local(path, Path(self.root)))
        else:
            self._try("write", lambda: self.remote.mkdirs(self.root, exist_ok=True))
            self._try("write", lambda: self.remote.put_file(str(path), f"{self.root}/{path.name}"))

    def header(self, file: str) -> Header:
        """Read the header of a segment; of an address only the end of the file is read.

        Raises:
            FolderError: it is damaged or renamed, or the folder cannot be read.

        """
        tail = self._try("read", lambda: self._tail(file))
        with self._refusing(file):
            header, name = read_header(tail), parse_name(file)
            if name is None or (header.part, header.worker, header.order) != (name.part, name.worker, name.order):
                digest = name.digest if name is not None else "the first 16 digits of its SHA-256"
                wanted = SegmentName(header.part, header.worker, header.order, digest)
                raise FolderError(f"was renamed: give it its name back, {quote(str(wanted), limit=140)}")
            return header

    def _tail(self, file: str) -> bytes:
        opening = partial(self.remote.open, f"{self.root}/{file}", "rb") if self.remote else None
        opened: BinaryIO
        with opening() if opening else (Path(self.root) / file).open("rb") as opened:
            return read_tail(opened)

    @contextmanager
    def local(self, file: str) -> Iterator[Path]:
        """Yield a segment as a file of this machine, once its bytes have the digest of its name.

        Raises:
            FolderError: it is damaged, or cannot be read.

        """
        with ExitStack() as stack:
            path = Path(self.root) / file
            if self.remote is not None:
                make = partial(tempfile.TemporaryDirectory, prefix="personagen-")
                path = Path(stack.enter_context(self._try("read", make))) / "segment.parquet"
                self._try("read", lambda: self.remote.get_file(f"{self.root}/{file}", str(path)))
            digest, name = self._try("read", lambda: digest_of(path)), parse_name(file)
            with self._refusing(file):
                if name is None or not digest.startswith(name.digest):
                    raise ValueError("was cut or altered: its SHA-256 is not that of its name")
                yield path

    @contextmanager
    def _refusing(self, file: str) -> Iterator[None]:
        """Raise the error of a damaged segment as one that names it and what to do."""
        import pyarrow as pa

        try:
            yield
        except FolderError as error:
            raise FolderError(f"segment {quote(file, limit=120)} in {self.url} {error}") from error
        except (ValueError, OSError, pa.ArrowException) as error:
            where = f"segment {quote(file, limit=120)} in {self.url}"
            raise DamagedSegmentError(f"{where} {explain_damage(error)}") from error

    def _try(self, action: str, work: Callable[[], Result]) -> Result:
        """Return the result of work on the file system; raise what it raises as a FolderError."""
        try:
            return work()
        except FolderError:
            raise
        except Exception as error:  # each file system raises the errors of its own library
            system = error.strerror if isinstance(error, OSError) else None
            reason = system.lower() if system else quote(f"{type(error).__name__}: {error}", limit=300)
            raise FolderError(
                f"cannot {action} the segments in {self.url}: {reason}; check the address and its access, and run the "
                "same command again"
            ) from error


def open_store(url: str) -> SegmentStore:
    """Return the store at a path or address; nothing is read or written yet.

    Raises:
        FolderError: the address has a password in it, or its file system is not installed.

    """
    if "://" not in url:
        return SegmentStore(url, url)
    import fsspec
    from fsspec.implementations.local import LocalFileSystem

    if _PASSWORD.search(url):
        scheme = url.partition("://")[0]
        raise FolderError(
            f"the address of the segments, {scheme}://..., has a password, which would end in logs; give it to the "
            "file system by its environment variables or its configuration"
        )
    try:
        remote, root = fsspec.core.url_to_fs(url)
    except Exception as error:  # each file system raises the errors of its own library
        raise FolderError(
            f"cannot use {quote(url, limit=200)} for segments: {quote(f'{error}', limit=300)}; check the address, "
            "install the package of its file system, or name a folder"
        ) from error
    if isinstance(remote, LocalFileSystem):
        return SegmentStore(url, root)
    return SegmentStore(url.rstrip("/"), root.rstrip("/"), remote)


def explain_damage(error: Exception) -> str:
    """Return what is wrong with a segment, as the end of a sentence about it."""
    text = str(error)
    if isinstance(error, ValueError) and text.startswith(("has ", "was ")):
        return text
    return f"was cut or altered ({quote(text, limit=100)})"


def _local_sizes(folder: Path) -> Mapping[str, int]:
    sizes: dict[str, int] = {}
    with suppress(FileNotFoundError):  # of the folder: there is none yet
        for entry in folder.iterdir():
            with suppress(FileNotFoundError):  # a draft of another worker, which has its name by now
                status = entry.stat()
                if stat.S_ISREG(status.st_mode):
                    sizes[entry.name] = status.st_size
    return sizes


def _put_local(path: Path, folder: Path) -> None:
    make_folder(folder)
    copy_file(path, folder / path.name)
