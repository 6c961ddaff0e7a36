"""Xet without a server of its own: hf_xet keeps its chunks in a folder if it is told an address such as local:///folder.

That is a simulation inside hf_xet for tests of its own, and documented nowhere. The Hub reads the shards that hf_xet
leaves in the folder, to learn which Xet hash and which sha256 are the same file; and has hf_xet put files together
again, since not all clients read them by Xet.
"""

import asyncio
import struct
import time
from collections.abc import Iterator
from pathlib import Path

from tests.hub.objects import Objects

RECORD = 48
LAST = b"\xff" * 32
HAS_CHECKS, HAS_SHA256 = 31, 30
"""Bits of the flags of a file: a second record for each of its parts, and a last one with the sha256."""


class Xet:
    """A folder of chunks."""

    def __init__(self, folder: Path, objects: Objects) -> None:
        """Use `folder`; files that were put together become one of `objects`."""
        self._folder, self._objects = folder, objects
        folder.mkdir(parents=True, exist_ok=True)
        self._seen: set[Path] = set()
        self._hashes: dict[str, str] = {}

    @property
    def url(self) -> str:
        """What hf_xet knows the folder by."""
        return f"local://{self._folder.resolve()}"

    def token(self) -> dict[str, str]:
        """Say, in headers, where to put chunks and where to get them from."""
        expiry = str(int(time.time()) + 3600)
        return {"X-Xet-Cas-Url": self.url, "X-Xet-Access-Token": "xet", "X-Xet-Token-Expiration": expiry}

    def hash(self, sha256: str) -> str | None:
        """Find the Xet hash of a file; None where it was not sent by Xet."""
        if sha256 not in self._hashes:
            for path in set(self._folder.glob("xet/xorbs/shards/*.mdb")) - self._seen:
                self._hashes |= dict(_files(path.read_bytes()))
                self._seen.add(path)
        return self._hashes.get(sha256)

    async def fetch(self, sha256: str, size: int) -> None:
        """Put a file together, if it is here and nowhere else."""
        found = self.hash(sha256)
        if found is not None and self._objects.size(sha256) is None:
            await asyncio.to_thread(self._fetch, found, sha256, size)

    def _fetch(self, found: str, sha256: str, size: int) -> None:
        from hf_xet import XetFileInfo, XetSession

        with self._objects.arriving(sha256) as path:
            group = XetSession().new_file_download_group(
                endpoint=self.url, token="xet", token_expiry_unix_secs=int(time.time()) + 3600
            )
            with group:
                group.start_download_file(XetFileInfo(found, size), str(path))


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
