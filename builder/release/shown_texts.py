"""Real texts that the prompts of a release have shown, which are no measure of its texts any more."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personagen.builder.core.errors import ReleaseError, raise_as
from personagen.builder.planning.real_texts import open_source
from personagen.builder.release.cards.grounding import grounding_sources
from personagen.builder.release.texts import stream_columns

if TYPE_CHECKING:
    from personagen.metrics.texts.reference import Reference


@dataclass(frozen=True, slots=True)
class UnshownReference:
    """A reference without the texts that prompts have shown.

    Attributes:
        reference: the rest of the reference.
        left_out: number of texts that were left out.
        unknown: sources of shown texts that are not this reference: whether it has them is unknown.

    """

    reference: "Reference"
    left_out: int = 0
    unknown: tuple[str, ...] = ()

    def warning(self) -> str | None:
        """Return what must be said of a measurement against this reference; None: nothing."""
        name = self.reference.name
        parts = []
        if self.left_out:
            parts.append(f"{self.left_out:,} texts of {name} were shown in the prompts and are left out")
        if self.unknown:
            shown = ", ".join(self.unknown)
            parts.append(
                f"the prompts have shown texts of {shown}; if {name} has them too, the release is nearer to it than to "
                "unseen texts"
            )
        return "; ".join(parts) or None


def read_shown_ids(folder: Path, manifest: Mapping[str, Any]) -> frozenset[str]:
    """Return the ids of all real texts that the prompts of a release have shown; empty: they have shown none.

    Raises:
        ReleaseError: a file cannot be read.

    """
    if not grounding_sources(manifest):
        return frozenset()
    ids: set[str] = set()
    for part in stream_columns(folder, manifest, ("provenance",)):
        for provenance in part["provenance"]:
            ids.update((provenance.get("real_texts") or "").split())
    return frozenset(ids)


def unshown(source: str, ids: Collection[str], manifest: Mapping[str, Any]) -> UnshownReference:
    """Load a reference without the texts that the prompts of a release have shown.

    A text is found by its position in a source of the same content, so a shown text is only left out of its own source.

    Args:
        source: the reference; see `load_reference`.
        ids: ids of all shown texts; see `read_shown_ids`.
        manifest: manifest of the release.

    Raises:
        ReleaseError: the reference cannot be loaded.

    """
    with raise_as(ReleaseError):
        opened = open_source(source)
    reference = opened.reference
    sources = {entry["source"]: entry["digest"] for entry in grounding_sources(manifest).values()}
    unknown = tuple(name for name, digest in sources.items() if digest != opened.digest)
    shown: set[int] = set()
    for name, digest in sources.items():
        if digest == opened.digest:
            shown |= _rows_of(name, ids)
    if not shown:
        return UnshownReference(reference, unknown=unknown)
    kept = [row for row in range(len(reference.texts)) if row not in shown]
    labels = None if reference.labels is None else [reference.labels[row] for row in kept]
    rest = replace(reference, texts=[reference.texts[row] for row in kept], labels=labels)
    return UnshownReference(rest, len(reference.texts) - len(kept), unknown)


def shown_note(source: str, manifest: Mapping[str, Any]) -> str | None:
    """Return that real texts of a page are among those that prompts have shown; None: the prompts have shown others.

    Raises:
        ReleaseError: the reference cannot be loaded.

    """
    sources = grounding_sources(manifest).values()
    if not sources:
        return None
    with raise_as(ReleaseError):
        opened = open_source(source)
    if all(entry["digest"] != opened.digest for entry in sources):
        return None
    return (
        f"The prompts have shown {manifest['grounding']['texts']:,} texts of {opened.reference.name}, which are among "
        "the real texts of this page; `personagen evaluate` leaves them out."
    )


def _rows_of(name: str, ids: Collection[str]) -> set[int]:
    """Return the positions in a source of the texts that prompts have shown."""
    prefix = re.sub(r"\s+", "_", name) + ":"
    numbers = (id_.removeprefix(prefix) for id_ in ids if id_.startswith(prefix))
    return {int(number) for number in numbers if number.isascii() and number.isdigit()}
