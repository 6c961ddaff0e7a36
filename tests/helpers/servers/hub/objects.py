"""The contents of files, on disk by their hash: what git keeps by sha1, what git LFS keeps by sha256."""

import hashlib
import re
import shutil
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

LFS_NAMES = re.compile(
    r"\.(7z|arrow|avro|bin|bz2|flac|ftz|gif|gz|h5|jpeg|jpg|lz4|mp3|mp4|npy|npz|ogg|onnx|parquet|pdf|"
    r"pickle|pkl|png|pt|pth|rar|safetensors|sqlite|tar|tgz|wasm|wav|webm|webp|xz|zip|zst)$",
    re.IGNORECASE,
)
LFS_BYTES = 10 * 1024 * 1024
CHUNK = 1024 * 1024
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {}\n"


@dataclass(frozen=True, slots=True)
class File:
    """A file of a commit.

    Attributes:
        oid: git's sha1, of the content or of the pointer to it.
        size: bytes of the content.
        lfs: sha256 of the content where git LFS keeps it, else "".

    """

    oid: str
    size: int
    lfs: str = ""

    @property
    def etag(self) -> str:
        """What the content is known by to clients."""
        return self.lfs or self.oid


def blob_oid(content: bytes) -> str:
    """Hash as git does."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def pointer(sha256: str, size: int) -> File:
    """Stand for a content that git LFS keeps."""
    return File(blob_oid(POINTER.format(sha256, size).encode()), size, sha256)


def goes_to_lfs(path: str, size: int, sample: bytes) -> bool:
    """Tell whether the Hub wants a file by git LFS: by its name, its size, or because it is no text."""
    return size > 0 and (LFS_NAMES.search(path) is not None or size > LFS_BYTES or b"\0" in sample)


class Objects:
    """Contents in a folder; each is complete and true to its hash as soon as it is there."""

    def __init__(self, folder: Path) -> None:
        """Use `folder`, made if it is missing; what never arrived whole is swept out."""
        self._folder = folder
        self._incoming = folder / "incoming"
        shutil.rmtree(self._incoming, ignore_errors=True)
        self._incoming.mkdir(parents=True)

    def path(self, file: File) -> Path:
        """Say where the content of a file is."""
        return self._place("lfs", file.lfs) if file.lfs else self._place("git", file.oid)

    def size(self, sha256: str) -> int | None:
        """Give the size of a content that git LFS keeps; None where it has not arrived."""
        path = self._place("lfs", sha256)
        return path.stat().st_size if path.is_file() else None

    def add(self, content: bytes) -> File:
        """Keep a content in git."""
        file = File(blob_oid(content), len(content))
        if not self.path(file).is_file():
            with self._writing(self.path(file)) as out:
                out.write(content)
        return file

    def copy(self, path: Path) -> File:
        """Keep a copy of a file, where the Hub would."""
        with path.open("rb") as source:
            sample = source.read(512)
            size = path.stat().st_size
            if not goes_to_lfs(path.name, size, sample):
                return self.add(sample + source.read())
            source.seek(0)
            sha256 = hashlib.file_digest(source, "sha256").hexdigest()
        if self.size(sha256) is None:
            with self._writing(self._place("lfs", sha256)) as out, path.open("rb") as source:
                shutil.copyfileobj(source, out, CHUNK)
        return pointer(sha256, size)

    async def receive(self, stream: AsyncIterator[bytes], sha256: str) -> bool:
        """Keep what arrives by git LFS, if its hash is the one it was announced with."""
        digest = hashlib.sha256()
        with self._writing(self._place("lfs", sha256)) as out:
            async for chunk in stream:
                digest.update(chunk)
                out.write(chunk)
            if digest.hexdigest() != sha256:
                Path(out.name).unlink()
                return False
        return True

    async def receive_part(self, stream: AsyncIterator[bytes], upload: str, number: int) -> str:
        """Keep one part of a large content; gives the tag it is known by."""
        digest = hashlib.md5()
        with self._writing(self._part(upload, number)) as out:
            async for chunk in stream:
                digest.update(chunk)
                out.write(chunk)
        return digest.hexdigest()

    def join(self, upload: str, numbers: list[int], sha256: str) -> bool:
        """Make one content of its parts, if its hash is the one it was announced with."""
        digest = hashlib.sha256()
        with self._writing(self._place("lfs", sha256)) as out:
            for number in numbers:
                with self._part(upload, number).open("rb") as source:
                    while chunk := source.read(CHUNK):
                        digest.update(chunk)
                        out.write(chunk)
            if digest.hexdigest() != sha256:
                Path(out.name).unlink()
                return False
        shutil.rmtree(self._part(upload, 0).parent)
        return True

    def has_parts(self, upload: str, numbers: list[int]) -> bool:
        """Tell whether all of these parts arrived."""
        return all(self._part(upload, number).is_file() for number in numbers)

    def _part(self, upload: str, number: int) -> Path:
        return self._incoming / upload / str(number)

    def _place(self, kind: str, digest: str) -> Path:
        return self._folder / kind / digest[:2] / digest[2:]

    @contextmanager
    def arriving(self, sha256: str) -> Iterator[Path]:
        """Give a name to write a content to that git LFS would keep; it is kept in the end."""
        own = self._incoming / uuid.uuid4().hex
        try:
            yield own
            path = self._place("lfs", sha256)
            path.parent.mkdir(parents=True, exist_ok=True)
            own.replace(path)
        finally:
            own.unlink(missing_ok=True)

    @contextmanager
    def _writing(self, path: Path) -> Iterator[BinaryIO]:
        """Write a file that takes its name when it is complete, unless it was removed before."""
        own = self._incoming / uuid.uuid4().hex
        try:
            with own.open("wb") as out:
                yield out
            if own.is_file():
                path.parent.mkdir(parents=True, exist_ok=True)
                own.replace(path)
        finally:
            own.unlink(missing_ok=True)
