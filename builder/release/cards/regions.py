"""Regions of a card for hand-written text, which later releases keep.

A region lies between two marks, each on a line of its own from the first column. It is identified by its name.
"""

import re
from collections.abc import Collection, Mapping

from personagen.builder.core.errors import ReleaseError

MARK = re.compile(r"<!-- personagen: (?:yours \((\w+)\), kept by later releases|end of yours \((\w+)\)) -->[ \t\r]*")

REGIONS = ("introduction", "notes")
"""Names of the regions, in the order of the card."""


def begin_mark(name: str) -> str:
    """Return the line above a region."""
    return f"<!-- personagen: yours ({name}), kept by later releases -->"


def end_mark(name: str) -> str:
    """Return the line below a region."""
    return f"<!-- personagen: end of yours ({name}) -->"


def regions(card: str) -> dict[str, str]:
    """Return the text of each region of a card by name.

    Raises:
        ReleaseError: a mark is missing, doubled, reversed or nested.

    """
    lines = card.split("\n")
    return {name: "\n".join(lines[start + 1 : stop]) for name, (start, stop) in _bounds(lines).items()}


def merge_regions(card: str, older: str) -> str:
    """Return a new card with the regions of an older card where its own are empty.

    Text of the older card outside the regions is dropped. A blank older card has no regions.

    Raises:
        ReleaseError: the marks of the older card are not in order, or its regions are not those of the new card, so
            that hand-written text might be lost.

    """
    if not older.strip():
        return card
    lines = card.split("\n")
    bounds, kept = _bounds(lines), regions(older)
    _compare(kept, bounds)
    for name, (start, stop) in reversed(bounds.items()):
        if kept[name].strip() and not "\n".join(lines[start + 1 : stop]).strip():
            lines[start + 1 : stop] = kept[name].split("\n")
    return "\n".join(lines)


def validate_regions(older: str) -> None:
    """Raise the ReleaseError that `merge_regions` would raise for this older card."""
    if older.strip():
        _compare(regions(older), REGIONS)


def _compare(kept: Mapping[str, str], names: Collection[str]) -> None:
    for name in names:
        if name not in kept:
            raise _problem(f"lacks the marks of the region {name!r}")
    for name, text in kept.items():
        if name not in names and text.strip():
            raise _problem(f"has a region {name!r} that this version does not know")


def _bounds(lines: list[str]) -> dict[str, tuple[int, int]]:
    """Return the line numbers of both marks of each region, in the order of the card."""
    bounds: dict[str, tuple[int, int]] = {}
    begun: tuple[str, int] | None = None
    for number, line in enumerate(lines):
        mark = MARK.fullmatch(line)
        if mark is None:
            continue
        begins, ends = mark.groups()
        if begins and begun:
            raise _problem(f"begins the region {begins!r} (line {number + 1}) within {begun[0]!r}")
        if begins in bounds:
            raise _problem(f"has the region {begins!r} twice (line {number + 1})")
        if ends and (begun is None or begun[0] != ends):
            raise _problem(f"ends the region {ends!r} (line {number + 1}) that was not begun")
        if begun:
            bounds[begun[0]] = (begun[1], number)
        begun = (begins, number) if begins else None
    if begun:
        raise _problem(f"does not end the region {begun[0]!r} (line {begun[1] + 1})")
    return bounds


def _problem(what: str) -> ReleaseError:
    return ReleaseError(
        f"the earlier card {what}; put the lines <!-- personagen: ... --> back around your text, as in "
        "dataset_card.md, or rename this README.md to go on without it"
    )
