"""The place where segments are shipped to: a folder, or an address of any file system that fsspec knows."""

import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from personagen.builder.core.errors import FolderError
from personagen.builder.core.files import copy_file, explain, make_folder
from personagen.builder.core.foreign_text import quote
from personagen.builder.segments.segment import Header, digest_of, parse_name, read_header

JOURNALS = "personagen.journals"
"""Folder of segments by default."""

Result = TypeVar("Result")

_PASSWORD = re.compile(r"[^/]*://[^/@]*:[^/@]*@")


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
        if self.remote is None:
            found = self._try("read", lambda: _local_sizes(Path(self.root)))
        else:
            found = self._try("read", self._remote_sizes)
        return {file: found[file] for file in sorted(found) if parse_name(file) is not None}

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
            FolderError: it is damaged, or the folder cannot be read.

        """
        with self._refusing(file):
            if self.remote is None:
                header = read_header(Path(self.root) / file)
            else:
                with self.remote.open(f"{self.root}/{file}", "rb") as opened:
                    header = read_header(opened)
            name = parse_name(file)
            if name is None or (header.part, header.worker, header.order) != (name.part, name.worker, name.order):
                raise ValueError("has the name of another one")
            return header

    @contextmanager
    def local(self, file: str) -> Iterator[Path]:
        """Yield a segment as a file of this machine, once its bytes have the digest of its name.

        Raises:
            FolderError: it is damaged, or cannot be read.

        """
        with tempfile.TemporaryDirectory(prefix="personagen-") as folder:
            path = Path(self.root) / file
            if self.remote is not None:
                path = Path(folder) / "segment.parquet"
                self._try("read", lambda: self.remote.get_file(f"{self.root}/{file}", str(path)))
            name = parse_name(file)
            with self._refusing(file):
                if name is None or not digest_of(path).startswith(name.digest):
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
            raise DamagedSegmentError(self.url, file, error) from error

    def _try(self, action: str, work: Callable[[], Result]) -> Result:
        """Return the result of work on the file system; raise what it raises as a FolderError."""
        try:
            return work()
        except FolderError:
            raise
        except Exception as error:  # each file system raises the errors of its own library
            reason = explain(error) if isinstance(error, OSError) and error.strerror else quote(f"{error}", limit=300)
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

    if _PASSWORD.match(url):
        scheme = url.partition("://")[0]
        raise FolderError(
            f"the address of the segments, {scheme}://..., has a password, which would end in logs; give it to the "
            "file system by its environment variables or its configuration"
        )
    try:
        remote, root = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise FolderError(
            f"cannot use {quote(url)} for segments: {error}; install the file system, or name a folder"
        ) from error
    if remote.protocol == "file" or "file" in remote.protocol:
        return SegmentStore(url, root)
    return SegmentStore(url.rstrip("/"), root.rstrip("/"), remote)


def explain_damage(error: Exception) -> str:
    """Return what is wrong with a segment, as the end of a sentence about it."""
    text = str(error)
    if isinstance(error, ValueError) and text.startswith(("has ", "was ")):
        return text
    return f"was cut or altered ({quote(text, limit=100)})"


def _local_sizes(folder: Path) -> Mapping[str, int]:
    if not folder.exists():
        return {}
    return {entry.name: entry.stat().st_size for entry in folder.iterdir() if entry.is_file()}


def _put_local(path: Path, folder: Path) -> None:
    make_folder(folder)
    copy_file(path, folder / path.name)
