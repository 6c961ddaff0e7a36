"""Where what is slow or paid for is kept from one time to the next."""

import os
from pathlib import Path


def cache_folder(name: str) -> Path:
    """Return a folder of the cache, which may not be there yet: in `$PERSONAGEN_CACHE`, else `~/.cache/personagen`."""
    own = os.environ.get("PERSONAGEN_CACHE")
    return (Path(own) if own else Path.home() / ".cache" / "personagen") / name
