"""The place where segments are shipped to: a shared folder of them, in which a damaged one is named."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from personagen.builder.core.errors import FolderError
from personagen.builder.core.foreign_text import quote
from personagen.builder.segments.segment import Header, SegmentName, digest_of, parse_name, read_header, read_tail
from personagen.builder.segments.shared_folder import SharedFolder, open_shared_folder

CONTENT = "segments"
"""What is in a store, for errors."""


class DamagedSegmentError(FolderError):
    """A segment cannot be read, or is not as it was sealed; the message names it."""


@dataclass(frozen=True, slots=True)
class SegmentStore:
    """A folder of segments.

    Attributes:
        folder: the folder.

    """

    folder: SharedFolder

    @property
    def url(self) -> str:
        """Path or address of the folder."""
        return self.folder.url

    def sizes(self) -> dict[str, int]:
        """Return the sizes of the segments in bytes, by the names of their files in order; empty: no folder yet.

        Raises:
            FolderError: the folder cannot be read.

        """
        return {file: size for file, size in self.folder.sizes().items() if parse_name(file) is not None}

    def others(self) -> list[str]:
        """Return the names of parquet files that have no name of a segment, hidden ones left out.

        Raises:
            FolderError: the folder cannot be read.

        """
        files = [file for file in self.folder.sizes() if file.endswith(".parquet") and not file.startswith(".")]
        return [file for file in files if parse_name(file) is None]

    def put(self, path: Path) -> None:
        """Copy a file into the folder, under its own name. Raises FolderError if it cannot be written."""
        self.folder.put(path)

    def header(self, file: str) -> Header:
        """Read the header of a segment; of an address only the end of the file is read.

        Raises:
            FolderError: it is damaged or renamed, or the folder cannot be read.

        """
        tail = self.folder.attempt("read", lambda: self._tail(file))
        with self._refusing(file):
            header, name = read_header(tail), parse_name(file)
            if name is None or (header.part, header.worker, header.order) != (name.part, name.worker, name.order):
                digest = name.digest if name is not None else "the first 16 digits of its SHA-256"
                wanted = SegmentName(header.part, header.worker, header.order, digest)
                raise FolderError(f"was renamed: give it its name back, {quote(str(wanted), limit=140)}")
            return header

    def _tail(self, file: str) -> bytes:
        with self.folder.open(file) as opened:
            return read_tail(opened)

    @contextmanager
    def local(self, file: str) -> Iterator[Path]:
        """Yield a segment as a file of this machine, once its bytes have the digest of its name.

        Raises:
            FolderError: it is damaged, or cannot be read.

        """
        folder = self.folder
        with ExitStack() as stack:
            path = Path(folder.root) / file
            if folder.remote is not None:
                make = partial(tempfile.TemporaryDirectory, prefix="personagen-")
                path = Path(stack.enter_context(folder.attempt("read", make))) / "segment.parquet"
                folder.attempt("read", lambda: folder.remote.get_file(f"{folder.root}/{file}", str(path)))
            digest, name = folder.attempt("read", lambda: digest_of(path)), parse_name(file)
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


def open_store(url: str) -> SegmentStore:
    """Return the store at a path or address; see `open_shared_folder`."""
    return SegmentStore(open_shared_folder(url, CONTENT))


def local_store(folder: Path) -> SegmentStore:
    """Return a folder of this machine as a store."""
    return SegmentStore(SharedFolder(str(folder), str(folder), CONTENT))


def explain_damage(error: Exception) -> str:
    """Return what is wrong with a segment, as the end of a sentence about it."""
    text = str(error)
    if isinstance(error, ValueError) and text.startswith(("has ", "was ")):
        return text
    return f"was cut or altered ({quote(text, limit=100)})"
