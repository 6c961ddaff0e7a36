"""Sources of real texts: loaded once per process and state of their files, and identified by their content."""

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from personagen.builder.core.errors import RecipeError, raise_as
from personagen.builder.planning.real_texts.pools import is_copy, read_copy

if TYPE_CHECKING:
    from personagen.metrics.texts.reference import Reference

Stamp = tuple[tuple[str, int, int], ...]
"""Name, time of change and size of each file of a source; empty: it is no file of this machine."""


@dataclass(frozen=True, slots=True, eq=False)
class RealSource:
    """Real texts with labels, and their identity.

    Attributes:
        reference: texts, labels and parts.
        digest: 16 hex digits of the hash of all of them.

    """

    reference: "Reference"
    digest: str


def open_source(source: str) -> RealSource:
    """Load a source; see `load_reference` for the names.

    Raises:
        ValueError: the source cannot be read, or has no text.
        ImportError: a package that reads it is missing.

    """
    return _opened(source, _stamp_of(Path(source)))


def source_id(source: str) -> str:
    """Return how a source is recorded: its name and the digest of its content.

    Raises:
        RecipeError: the source cannot be read.

    """
    if is_copy(source):
        pool = read_copy(Path(source))
        if pool is None:
            raise RecipeError(
                f"grounding: cannot read the copy {source!r}; put back the file, or begin again with --fresh"
            )
        return f"{pool.name} sha256:{pool.digest}"
    with raise_as(RecipeError, "grounding: "):
        opened = open_source(source)
    return f"{opened.reference.name} sha256:{opened.digest}"


@lru_cache(maxsize=4)
def _opened(source: str, stamp: Stamp) -> RealSource:
    from personagen.metrics.texts.reference import load_reference

    reference = load_reference(source)
    parts = [reference.texts, reference.labels, reference.test_texts, reference.test_labels, reference.other_texts]
    return RealSource(reference, hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16])


def _stamp_of(path: Path) -> Stamp:
    try:
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        facts = [(str(file), file.stat()) for file in files if file.is_file()]
    except (OSError, ValueError):  # a name with a null byte is a ValueError
        return ()
    return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in facts)
