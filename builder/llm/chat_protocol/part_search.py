"""Search the refused parts of a request by group testing, where a server refuses a request and names no part.

A request without any optional part was accepted, so at least one of the parts is refused. Half of them are added back
to the next request. If it is accepted, they are fine; if it is refused, they are halved. A group of which every part
was cleared except one needs no test.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

MAX_REFUSALS = 3
"""Refused requests per refused part, the first one included, after which a whole group is left out."""


@dataclass(frozen=True, slots=True)
class PartGroup:
    """Parts that are tested together.

    Attributes:
        parts: names of the parts.
        guilty: whether one of them is refused for certain.
        decides: whether the next group is guilty if this one is accepted.

    """

    parts: tuple[str, ...]
    guilty: bool = False
    decides: bool = False


@dataclass(frozen=True, slots=True)
class PartSearch:
    """State of the search; its methods return the next state.

    Attributes:
        groups: groups that are not decided yet; the first one is tested next.
        refused: parts that the server refuses.
        refusals: refused requests since the last refused part was found.

    """

    groups: tuple[PartGroup, ...]
    refused: tuple[str, ...] = ()
    refusals: int = 1

    @property
    def is_over(self) -> bool:
        """Whether every part is decided."""
        return not self.groups

    @property
    def suspects(self) -> tuple[str, ...]:
        """Parts to leave out of a request that must be accepted."""
        return (*self.refused, *(part for group in self.groups for part in group.parts))

    @property
    def left_out_in_test(self) -> tuple[str, ...]:
        """Parts to leave out of the next test."""
        return (*self.refused, *(part for group in self.groups[1:] for part in group.parts))

    def record_accepted(self) -> "PartSearch":
        """Return the state after the server accepted the test."""
        first, *others = self.groups
        if first.decides:
            others[0] = replace(others[0], guilty=True)
        return replace(self, groups=tuple(others))._resolved()

    def record_refused(self) -> "PartSearch":
        """Return the state after the server refused the test."""
        first, *others = self.groups
        refusals = self.refusals + 1
        if refusals >= MAX_REFUSALS:
            return replace(self, groups=tuple(others), refused=(*self.refused, *first.parts), refusals=0)._resolved()
        guilty = PartGroup(first.parts, guilty=True)
        return replace(self, groups=(guilty, *others), refusals=refusals)._resolved()

    def _resolved(self) -> "PartSearch":
        """Decide guilty groups of one part, and halve larger ones, until the first group needs a test."""
        groups, refused, refusals = list(self.groups), list(self.refused), self.refusals
        while groups and groups[0].guilty:
            parts = groups.pop(0).parts
            if len(parts) == 1:
                refused += parts
                refusals = 0
            else:
                half = (len(parts) + 1) // 2
                groups[:0] = [PartGroup(parts[:half], decides=True), PartGroup(parts[half:])]
        return PartSearch(tuple(groups), tuple(refused), refusals)


def start_search(parts: Sequence[str], *, guilty: bool = True) -> PartSearch:
    """Begin the search among parts, in the order in which they are tested.

    `guilty`: whether at least one of them is refused for certain.
    """
    return PartSearch((PartGroup(tuple(parts), guilty=guilty),) if parts else ())._resolved()
