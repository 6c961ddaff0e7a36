"""Contents of files on disk by their hash: SHA-1 for git, SHA-256 for git LFS."""

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
        oid: SHA-1 of git, of the content or of its LFS pointer.
        size: bytes of the content.
        lfs: SHA-256 of the content; "": it is stored in git.

    """

    oid: str
    size: int
    lfs: str = ""

    @property
    def etag(self) -> str:
        """ETag of the content."""
        return self.lfs or self.oid


def blob_oid(content: bytes) -> str:
    """Return the SHA-1 of a git blob."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def pointer(sha256: str, size: int) -> File:
    """Return the file of a content in git LFS."""
    return File(blob_oid(POINTER.format(sha256, size).encode()), size, sha256)


def goes_to_lfs(path: str, size: int, sample: bytes) -> bool:
    """Return whether the Hub stores a file in git LFS: by its name, its size, or because it is binary."""
    return size > 0 and (LFS_NAMES.search(path) is not None or size > LFS_BYTES or b"\0" in sample)


class Objects:
    """Contents in a folder; every stored content is complete and matches its hash."""

    def __init__(self, folder: Path) -> None:
        """Use `folder`, created if it is missing; incomplete uploads are deleted."""
        self._folder = folder
        self._incoming = folder / "incoming"
        shutil.rmtree(self._incoming, ignore_errors=True)
        self._incoming.mkdir(parents=True)

    def path(self, file: File) -> Path:
        """Return the path of the content of a file."""
        return self._stored("lfs", file.lfs) if file.lfs else self._stored("git", file.oid)

    def size(self, sha256: str) -> int | None:
        """Return the size of a content in git LFS; None: it is not stored."""
        path = self._stored("lfs", sha256)
        return path.stat().st_size if path.is_file() else None

    def add(self, content: bytes) -> File:
        """Store a content in git."""
        file = File(blob_oid(content), len(content))
        if not self.path(file).is_file():
            with self._writing(self.path(file)) as out:
                out.write(content)
        return file

    def copy(self, path: Path) -> File:
        """Store a copy of a file, in git or in git LFS as the Hub would."""
        with path.open("rb") as source:
            sample = source.read(512)
            size = path.stat().st_size
            if not goes_to_lfs(path.name, size, sample):
                return self.add(sample + source.read())
            source.seek(0)
            sha256 = hashlib.file_digest(source, "sha256").hexdigest()
        if self.size(sha256) is None:
            with self._writing(self._stored("lfs", sha256)) as out, path.open("rb") as source:
                shutil.copyfileobj(source, out, CHUNK)
        return pointer(sha256, size)

    async def receive(self, stream: AsyncIterator[bytes], sha256: str) -> bool:
        """Store an upload to git LFS and return whether it has the announced hash."""
        digest = hashlib.sha256()
        with self._writing(self._stored("lfs", sha256)) as out:
            async for chunk in stream:
                digest.update(chunk)
                out.write(chunk)
            if digest.hexdigest() != sha256:
                Path(out.name).unlink()
                return False
        return True

    async def receive_part(self, stream: AsyncIterator[bytes], upload: str, number: int) -> str:
        """Store one part of a multipart upload and return its ETag."""
        digest = hashlib.md5()
        with self._writing(self._part(upload, number)) as out:
            async for chunk in stream:
                digest.update(chunk)
                out.write(chunk)
        return digest.hexdigest()

    def join(self, upload: str, numbers: list[int], sha256: str) -> bool:
        """Join the parts of an upload and return whether the content has the announced hash."""
        digest = hashlib.sha256()
        with self._writing(self._stored("lfs", sha256)) as out:
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
        """Return whether all of these parts are stored."""
        return all(self._part(upload, number).is_file() for number in numbers)

    def _part(self, upload: str, number: int) -> Path:
        return self._incoming / upload / str(number)

    def _stored(self, kind: str, digest: str) -> Path:
        return self._folder / kind / digest[:2] / digest[2:]

    @contextmanager
    def arriving(self, sha256: str) -> Iterator[Path]:
        """Yield a path to write a content to; it is stored in git LFS at the end of the block."""
        part = self._incoming / uuid.uuid4().hex
        try:
            yield part
            path = self._stored("lfs", sha256)
            path.parent.mkdir(parents=True, exist_ok=True)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    @contextmanager
    def _writing(self, path: Path) -> Iterator[BinaryIO]:
        """Yield a file that is renamed to `path` at the end of the block, unless it was deleted before."""
        part = self._incoming / uuid.uuid4().hex
        try:
            with part.open("wb") as out:
                yield out
            if part.is_file():
                path.parent.mkdir(parents=True, exist_ok=True)
                part.replace(path)
        finally:
            part.unlink(missing_ok=True)
