"""The cache folder for results that are slow or cost money."""

import os
from pathlib import Path


def cache_folder(name: str) -> Path:
    """Return a folder below `$PERSONAGEN_CACHE`, else below `~/.cache/personagen`; it may not exist yet."""
    root = os.environ.get("PERSONAGEN_CACHE")
    return (Path(root) if root else Path.home() / ".cache" / "personagen") / name


def flush(path: Path) -> None:
    """Flush a file to the disk before it is renamed: after a power cut it would be empty. OSError if that fails."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())
