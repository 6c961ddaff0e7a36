"""Xet without a server: hf_xet stores chunks in a folder if the address of the store is local:///folder.

This is an undocumented simulation in hf_xet for its own tests. The fake Hub reads the shards in these folders to map
SHA-256 to Xet hash. It also lets hf_xet reassemble files, since some clients do not read by Xet. A folder can be used
by one process at a time: each repository has one for writers, and every reader gets a copy of hard links.
"""

import asyncio
import shutil
import struct
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from tests.helpers.servers.hub.storage.objects import Objects

DAY = 24 * 3600
RECORD = 48
LAST = b"\xff" * 32
HAS_CHECKS, HAS_SHA256 = 31, 30
"""Bits of the flags of a file: a second record per part, and a last record with the SHA-256."""


class Xet:
    """Folders of chunks."""

    def __init__(self, folder: Path, objects: Objects) -> None:
        """Use `folder`; reassembled files go to `objects`."""
        self._folder, self._objects = folder, objects
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder / "read", ignore_errors=True)
        self._seen: set[Path] = set()
        self._hashes: dict[tuple[str, str], str] = {}

    def token(self, repo: str, *, write: bool) -> dict[str, str]:
        """Return the headers with the address of the chunk store of a repository."""
        folder = self._writers_folder(repo) if write else self._copy(repo)
        expiry = str(int(time.time()) + DAY)
        return {"X-Xet-Cas-Url": _url(folder), "X-Xet-Access-Token": "xet", "X-Xet-Token-Expiration": expiry}

    def hash(self, repo: str, sha256: str) -> str | None:
        """Return the Xet hash of a file; None: it was not sent to the repository by Xet."""
        if (repo, sha256) not in self._hashes:
            for path in set(self._writers_folder(repo).glob("xet/xorbs/shards/*.mdb")) - self._seen:
                self._hashes |= {(repo, key): xet_hash for key, xet_hash in _files(path.read_bytes())}
                self._seen.add(path)
        return self._hashes.get((repo, sha256))

    async def fetch(self, repo: str, sha256: str, size: int) -> None:
        """Reassemble a file that only the chunk store has."""
        xet_hash = self.hash(repo, sha256)
        if xet_hash is not None and self._objects.size(sha256) is None:
            await asyncio.to_thread(self._fetch, repo, xet_hash, sha256, size)

    def _fetch(self, repo: str, xet_hash: str, sha256: str, size: int) -> None:
        from hf_xet import XetFileInfo, XetSession  # type: ignore[import-untyped]

        copy = self._copy(repo)
        with self._objects.arriving(sha256) as path:
            group = XetSession().new_file_download_group(
                endpoint=_url(copy), token="xet", token_expiry_unix_secs=int(time.time()) + DAY
            )
            with group:
                group.start_download_file(XetFileInfo(xet_hash, size), str(path))
        shutil.rmtree(copy)

    def _writers_folder(self, repo: str) -> Path:
        folder = self._folder / "write" / repo.replace("/", "--")
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _copy(self, repo: str) -> Path:
        """Copy the index, which readers write to as well; link the rest, which never changes."""
        copy = self._folder / "read" / uuid.uuid4().hex
        copy.mkdir(parents=True)
        source = self._writers_folder(repo)
        for path in source.glob("xet/xorbs/**/*"):
            if path.is_file():
                link = copy / path.relative_to(source)
                link.parent.mkdir(parents=True, exist_ok=True)
                if path.suffix == ".redb":
                    shutil.copy(path, link)
                else:
                    link.hardlink_to(path)
        return copy


def _url(folder: Path) -> str:
    return f"local://{folder.resolve()}"


def _files(shard: bytes) -> Iterator[tuple[str, str]]:
    """Yield SHA-256 and Xet hash of the files of a shard, which has records of 48 bytes after a header of 48."""
    at = RECORD
    while shard[at : at + 32] != LAST:
        flags, parts = struct.unpack("<II", shard[at + 32 : at + 40])
        end = at + RECORD * (1 + parts * (1 + (flags >> HAS_CHECKS & 1)))
        if flags >> HAS_SHA256 & 1:
            yield _hex(shard[end : end + 32]), _hex(shard[at : at + 32])
            end += RECORD
        at = end


def _hex(digest: bytes) -> str:
    """Return a hash in the notation of Xet: four numbers, each with its lowest byte first."""
    return "".join(f"{number:016x}" for number in struct.unpack("<4Q", digest))
