"""Hand-made parts of a card: what stands between marks is taken over from the card of an earlier release.

A mark is a line of its own, from the first column; anything else is text. The regions are named, so that each keeps its
place.
"""

import re
from collections.abc import Collection, Mapping

from personagen.builder.core.errors import ReleaseError

MARK = re.compile(r"<!-- personagen: (?:yours \((\w+)\), kept by later releases|end of yours \((\w+)\)) -->[ \t\r]*")

REGIONS = ("introduction", "notes")
"""Regions of a card, in their order."""


def begin_mark(name: str) -> str:
    """Write the line above a region."""
    return f"<!-- personagen: yours ({name}), kept by later releases -->"


def end_mark(name: str) -> str:
    """Write the line below a region."""
    return f"<!-- personagen: end of yours ({name}) -->"


def regions(card: str) -> dict[str, str]:
    """Read what stands between the marks of a card, by the name of the region.

    Raises:
        ReleaseError: marks are missing at one end, doubled, reversed or nested.

    """
    lines = card.split("\n")
    return {name: "\n".join(lines[start + 1 : stop]) for name, (start, stop) in _places(lines).items()}


def merge_notes(card: str, older: str) -> str:
    """Take the regions of an older card over into a new one, where the new one's are empty.

    Text of the older card outside the marks is dropped. An empty older card has nothing to take over.

    Raises:
        ReleaseError: the marks of the older card are not in order, or it has a region less or more than the new one,
            so that something that was written by hand might be lost.

    """
    if not older.strip():
        return card
    lines = card.split("\n")
    places, kept = _places(lines), regions(older)
    _compare(kept, places)
    for name, (start, stop) in reversed(places.items()):
        if kept[name].strip() and not "\n".join(lines[start + 1 : stop]).strip():
            lines[start + 1 : stop] = kept[name].split("\n")
    return "\n".join(lines)


def check_notes(older: str) -> None:
    """Raise the ReleaseError that `merge_notes` would raise over this older card."""
    if older.strip():
        _compare(regions(older), REGIONS)


def _compare(kept: Mapping[str, str], names: Collection[str]) -> None:
    for name in names:
        if name not in kept:
            raise _problem(f"lacks the marks of the region {name!r}")
    for name, text in kept.items():
        if name not in names and text.strip():
            raise _problem(f"has a region {name!r} that this version does not know")


def _places(lines: list[str]) -> dict[str, tuple[int, int]]:
    """Find the lines of both marks of each region, in the order of the card."""
    found: dict[str, tuple[int, int]] = {}
    begun: tuple[str, int] | None = None
    for number, line in enumerate(lines):
        mark = MARK.fullmatch(line)
        if mark is None:
            continue
        begins, ends = mark.groups()
        if begins and begun:
            raise _problem(f"begins the region {begins!r} (line {number + 1}) within {begun[0]!r}")
        if begins in found:
            raise _problem(f"has the region {begins!r} twice (line {number + 1})")
        if ends and (begun is None or begun[0] != ends):
            raise _problem(f"ends the region {ends!r} (line {number + 1}) that was not begun")
        if begun:
            found[begun[0]] = (begun[1], number)
        begun = (begins, number) if begins else None
    if begun:
        raise _problem(f"does not end the region {begun[0]!r} (line {begun[1] + 1})")
    return found


def _problem(what: str) -> ReleaseError:
    return ReleaseError(
        f"the earlier card {what}; put the lines <!-- personagen: ... --> back around what is yours, as in "
        "dataset_card.md, or rename its README.md to go on without it"
    )
