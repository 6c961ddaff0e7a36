"""Parts of a plan, one for each worker: the rows of the personas whose number is I modulo N."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import gcd
from typing import TYPE_CHECKING

from personagen.builder.core.errors import RecipeError
from personagen.builder.core.foreign_text import quote
from personagen.builder.core.records import SPLITS

if TYPE_CHECKING:
    from personagen.builder.planning.plan import Plan

MAX_PARTS = 100_000
"""Upper bound on the number of parts, far above the jobs of any scheduler."""

_PART = re.compile(r"(\d{1,6})/(\d{1,6})", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """One of several parts of a plan.

    All rows of a persona are in one part, their counterfactuals included, because they share replies.

    Attributes:
        number: number of the part, from 0.
        of: number of parts.

    """

    number: int
    of: int

    def has(self, persona: int) -> bool:
        """Return whether the rows of a persona, given by its number, are in this part."""
        return persona % self.of == self.number

    def meets(self, other: "Part") -> bool:
        """Return whether some persona can be in both parts, which may be of different numbers of parts."""
        return (self.number - other.number) % gcd(self.of, other.of) == 0

    def __str__(self) -> str:
        """Return the part as it is written on the command line: "0/4" to "3/4"."""
        return f"{self.number}/{self.of}"


def parse_part(text: str) -> Part:
    """Parse a part such as "0/4", the first of four.

    Raises:
        RecipeError: the text is no part.

    """
    match = _PART.fullmatch(text)
    number, of = (int(match[1]), int(match[2])) if match else (0, 0)
    if 0 < of <= MAX_PARTS and number < of:
        return Part(number, of)
    if 0 < of <= MAX_PARTS:
        raise RecipeError(f"there is no part {text}: parts are counted from 0; name one from 0/{of} to {of - 1}/{of}")
    raise RecipeError(
        f"{quote(text)} is no part, wanted I/N with 0 <= I < N <= {MAX_PARTS:,}; write 0/4 for the first of four"
    )


def count_rows(plan: "Plan", part: Part) -> int:
    """Count the rows of a plan that are in a part, ablations and counterfactuals included, without planning them."""
    depths = 1 + len(plan.recipe.ablations)
    rows = depths * sum(rows for persona, rows in _rows_of_personas(plan) if part.has(persona))
    counterfactuals = (row for splits in plan.counterfactuals.values() for rows in splits.values() for row in rows)
    return rows + sum(part.has(row.persona) for row in counterfactuals)


def _rows_of_personas(plan: "Plan") -> Iterator[tuple[int, int]]:
    """Yield the numbers of the personas and their rows at one depth; a number may come several times."""
    for batch in plan.batches:
        yield from ((batch.first_persona + persona, rows) for persona, rows in _rows_of_personas(batch.plan))
    if plan.batches:
        return
    first, per_persona = 0, plan.recipe.situations_per_persona
    for split in SPLITS:
        rows = plan.rows_of(split)
        for number, start in enumerate(range(0, rows, per_persona)):
            yield first + number, min(per_persona, rows - start)
        first += plan.personas[split]
