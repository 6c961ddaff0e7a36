"""A file system in a file, which can be copied while it is written to: the copy is a disk after a power cut.

It needs root, loop devices and mkfs.ext4; `reason` says what is missing.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

SIZE = 24 << 20
"""Bytes of an image."""


def _run(*words: str | Path) -> None:
    subprocess.run(words, check=True, capture_output=True, text=True, timeout=60)


@contextmanager
def mounted(image: Path, at: Path) -> Iterator[Path]:
    """Mount an image, replaying its file system's journal, as a system does when it starts."""
    at.mkdir(exist_ok=True)
    _run("mount", "-o", "loop", image, at)
    try:
        yield at
    finally:
        _run("umount", at)


def make_image(path: Path) -> Path:
    """Make an empty ext4 file system."""
    with path.open("wb") as file:
        os.truncate(file.fileno(), SIZE)
    _run("mkfs.ext4", "-q", path)
    return path


def cut_power(image: Path, copy: Path) -> Path:
    """Copy an image as it is at this moment; what is in the memory of the system alone is lost."""
    _run("cp", "--sparse=always", "--reflink=auto", image, copy)
    return copy


@cache
def reason() -> str:
    """Return why no image can be mounted; "": one can be."""
    needed: Sequence[str] = ("mkfs.ext4", "mount", "umount")
    if missing := [name for name in needed if shutil.which(name) is None]:
        return f"there is no {missing[0]}"
    with tempfile.TemporaryDirectory() as folder:
        try:
            with mounted(make_image(Path(folder) / "image"), Path(folder) / "disk"):
                return ""
        except subprocess.CalledProcessError as error:
            return f"no file system can be mounted: {error.stderr.strip()}"
