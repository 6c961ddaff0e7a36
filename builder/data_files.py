"""Read the tables that ship with the package."""

import hashlib
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

DATA = files("personagen.builder") / "data"


@cache
def read_yaml(name: str) -> Any:
    """Parse `builder/data/<name>`; the result is shared, so callers must not change it."""
    # The C loader is 10 times faster on the situational bank and as safe.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load((DATA / name).read_text(encoding="utf-8"), Loader=loader)  # noqa: S506 - both loaders are safe


@cache
def digests() -> dict[str, str]:
    """SHA-256 of every table, by file name: part of a release's manifest."""
    names = sorted(
        [entry.name for entry in DATA.iterdir() if entry.name.endswith(".yaml")]
        + [f"situations/{entry.name}" for entry in (DATA / "situations").iterdir() if entry.name.endswith(".yaml")]
    )
    return {name: hashlib.sha256((DATA / name).read_bytes()).hexdigest() for name in names}
