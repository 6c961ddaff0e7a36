"""Xet without a server of its own: hf_xet keeps its chunks in a folder if it is told an address such as local:///folder.

That is a simulation inside hf_xet for tests of its own, and documented nowhere. The Hub reads the shards that hf_xet
leaves in the folders, to learn which Xet hash and which sha256 are the same file; and has hf_xet put files together
again, since not all clients read them by Xet. Only one process at a time can use a folder: every
repository has one that is written to, and who reads gets a copy of it, made of links.
"""

import asyncio
import shutil
import struct
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from tests.helpers.servers.hub.objects import Objects

DAY = 24 * 3600
RECORD = 48
LAST = b"\xff" * 32
HAS_CHECKS, HAS_SHA256 = 31, 30
"""Bits of the flags of a file: a second record for each of its parts, and a last one with the sha256."""


class Xet:
    """Folders of chunks."""

    def __init__(self, folder: Path, objects: Objects) -> None:
        """Use `folder`; files that were put together become one of `objects`."""
        self._folder, self._objects = folder, objects
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder / "read", ignore_errors=True)
        self._seen: set[Path] = set()
        self._hashes: dict[tuple[str, str], str] = {}

    def token(self, repo: str, *, write: bool) -> dict[str, str]:
        """Say, in headers, where the chunks of a repository are to be put or to be found."""
        folder = self._written(repo) if write else self._copy(repo)
        expiry = str(int(time.time()) + DAY)
        return {"X-Xet-Cas-Url": _url(folder), "X-Xet-Access-Token": "xet", "X-Xet-Token-Expiration": expiry}

    def hash(self, repo: str, sha256: str) -> str | None:
        """Find the Xet hash of a file; None where it was not sent to the repository by Xet."""
        if (repo, sha256) not in self._hashes:
            for path in set(self._written(repo).glob("xet/xorbs/shards/*.mdb")) - self._seen:
                self._hashes |= {(repo, key): found for key, found in _files(path.read_bytes())}
                self._seen.add(path)
        return self._hashes.get((repo, sha256))

    async def fetch(self, repo: str, sha256: str, size: int) -> None:
        """Put a file together, if it is here and nowhere else."""
        found = self.hash(repo, sha256)
        if found is not None and self._objects.size(sha256) is None:
            await asyncio.to_thread(self._fetch, repo, found, sha256, size)

    def _fetch(self, repo: str, found: str, sha256: str, size: int) -> None:
        from hf_xet import XetFileInfo, XetSession  # type: ignore[import-untyped]

        copy = self._copy(repo)
        with self._objects.arriving(sha256) as path:
            group = XetSession().new_file_download_group(
                endpoint=_url(copy), token="xet", token_expiry_unix_secs=int(time.time()) + DAY
            )
            with group:
                group.start_download_file(XetFileInfo(found, size), str(path))
        shutil.rmtree(copy)

    def _written(self, repo: str) -> Path:
        folder = self._folder / "write" / repo.replace("/", "--")
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _copy(self, repo: str) -> Path:
        """Copy the index, which is written to even by who reads; link the rest, which never changes."""
        copy = self._folder / "read" / uuid.uuid4().hex
        copy.mkdir(parents=True)
        source = self._written(repo)
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
    """Read the sha256 and the Xet hash of the files of a shard: records of 48 bytes, the first one a header."""
    at = RECORD
    while shard[at : at + 32] != LAST:
        flags, parts = struct.unpack("<II", shard[at + 32 : at + 40])
        end = at + RECORD * (1 + parts * (1 + (flags >> HAS_CHECKS & 1)))
        if flags >> HAS_SHA256 & 1:
            yield _hex(shard[end : end + 32]), _hex(shard[at : at + 32])
            end += RECORD
        at = end


def _hex(digest: bytes) -> str:
    """Write a hash as Xet does: four numbers, each with its lowest byte first."""
    return "".join(f"{number:016x}" for number in struct.unpack("<4Q", digest))
