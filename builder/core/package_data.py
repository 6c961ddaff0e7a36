"""Read the tables of the package."""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import yaml

from personagen.metrics.texts.emotion_lexicon import LEXICON

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

DATA = files("personagen.builder") / "data"
TEMPLATES = files("personagen.builder") / "templates"


@cache
def read_yaml(name: str) -> Any:
    """Parse `builder/data/<name>`. The result is cached: callers must not change it."""
    return _parse(DATA / name)


@cache
def read_template_yaml(name: str) -> Any:
    """Parse `builder/templates/<name>`. The result is cached: callers must not change it."""
    return _parse(TEMPLATES / name)


def _parse(path: "Traversable") -> Any:
    # The C loader is 10 times faster on the situational bank, and equally safe.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(path.read_text(encoding="utf-8"), Loader=loader)  # noqa: S506 - both loaders are safe


def read_text(name: str) -> str:
    """Return the content of `builder/data/<name>`."""
    return (DATA / name).read_text(encoding="utf-8")


def table_names(folder: str) -> list[str]:
    """Return the names of the tables in a folder of `builder/data`, for `read_yaml`."""
    return [f"{folder}/{entry.name}" for entry in (DATA / folder).iterdir() if entry.name.endswith((".yaml", ".tsv"))]


STYLE_TABLES = ("completions.yaml", "follow_ups.yaml", "incidents.yaml", "styles.yaml")
"""Tables that only recipes with expressions and styles use."""

STYLE_FOLDERS = ("reactions", "styles", "tellings")
"""Folders of tables that only recipes with expressions and styles use."""


@cache
def digests(*, styles: bool) -> dict[str, str]:
    """Return the SHA-256 of every table, by file name, and of the emotion lexicon: part of a release's manifest.

    Args:
        styles: whether the tables of expressions and styles are part of it.

    """
    tables = [entry.name for entry in DATA.iterdir() if entry.name.endswith(".yaml")]
    names = [name for name in tables if name not in STYLE_TABLES or styles]
    for folder in ("reply_patterns", "situations", *(STYLE_FOLDERS if styles else ())):
        names += table_names(folder)
    lexicon = hashlib.sha256(json.dumps(LEXICON).encode()).hexdigest()
    return {"emotion_lexicon": lexicon} | {
        name: hashlib.sha256((DATA / name).read_bytes()).hexdigest() for name in sorted(names)
    }


@cache
def sources() -> tuple[Mapping[str, str], ...]:
    """Return the rows of `builder/data/SOURCES.md`: table, source, licence and date of each table of the package."""
    lines = (DATA / "SOURCES.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    names = [name.lower() for name in rows[0]]
    return tuple(dict(zip(names, row, strict=True)) for row in rows[1:] if not row[0].startswith("---"))
