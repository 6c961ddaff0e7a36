"""Plans that grow: rows that were added to a release are a batch of their own, and the earlier rows stay as they are.

Each batch is planned like a release, with a seed of its own. Its rows and personas are numbered after those of the
batches before it.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from personagen.builder.core.records import DEPTH_PREFIX, SPLITS
from personagen.builder.planning.personas.drawing import MAX_DESIGNED, Persona, value_pairs
from personagen.builder.planning.personas.people import People
from personagen.builder.planning.personas.tables import PersonaTables

if TYPE_CHECKING:
    from personagen.builder.planning.plan import Plan, RowPlan


@dataclass(frozen=True, slots=True)
class RowBatch:
    """Rows that were planned together.

    Attributes:
        plan: their plan, as if they were the whole release.
        first_turns: number of its first row within each emotion of the release.
        first_persona: number of its first persona.

    """

    plan: "Plan"
    first_turns: Mapping[str, int]
    first_persona: int

    @property
    def personas(self) -> int:
        """Number of its personas."""
        return sum(self.plan.personas.values())

    def count(self, emotion: str, split: str) -> int:
        """Return its rows of an emotion in a split."""
        return self.plan.quotas.get(emotion, {}).get(split, 0)

    def in_release(self, row: "RowPlan") -> "RowPlan":
        """Return a row of the batch's plan with the numbers that it has in the release."""
        turn = row.turn + self.first_turns.get(row.emotion, 0)
        suffix = row.id.removeprefix(f"{row.emotion}-{row.turn:06d}")
        id_ = f"{row.emotion}-{turn:06d}{suffix}"
        return replace(row, id=id_, turn=turn, persona=row.persona + self.first_persona)


def row_of_batches(batches: tuple[RowBatch, ...], emotion: str, split: str, position: int, depth: str) -> "RowPlan":
    """Return the row at `position` of an emotion in a split, the batches one after another.

    Raises:
        IndexError: there are fewer rows.

    """
    for batch in batches:
        if position < (count := batch.count(emotion, split)):
            return batch.in_release(batch.plan.row(emotion, split, position, depth))
        position -= count
    raise IndexError(position)


def turn_of_batches(batches: tuple[RowBatch, ...], emotion: str, turn: int) -> "RowPlan":
    """Return row number `turn` of an emotion; IndexError if there are fewer rows."""
    for batch in batches:
        if turn < (count := sum(batch.plan.quotas.get(emotion, {}).values())):
            return batch.in_release(batch.plan.turn(emotion, turn))
        turn -= count
    raise IndexError(turn)


def in_batch(batches: tuple[RowBatch, ...], row: "RowPlan") -> tuple[RowBatch, "RowPlan"]:
    """Return the batch of a row, and the row with the numbers that it has in the plan of the batch."""
    batch = next(one for one in reversed(batches) if row.turn >= one.first_turns.get(row.emotion, 0))
    turn = row.turn - batch.first_turns.get(row.emotion, 0)
    return batch, replace(row, turn=turn, persona=row.persona - batch.first_persona)


def rows_in_order(plan: "Plan") -> "Iterator[tuple[str, RowPlan]]":
    """Yield the rows of a plan with their configurations, batch after batch, in the order in which they are finalized.

    A text that repeats an earlier one is written anew. So rows that are added come last and change none of the others.
    """
    if not plan.batches:
        yield from ((shard.config, row) for shard in plan.shards() for row in plan.rows(shard))
        return
    starts = Counter[tuple[str, str]]()
    for batch in plan.batches:
        counts = {(name, split): batch.count(name, split) for name in plan.quotas for split in SPLITS}
        for depth in (plan.recipe.depth, *plan.recipe.ablations):
            for (name, split), count in counts.items():
                config = name if depth == plan.recipe.depth else DEPTH_PREFIX + depth
                for position in range(starts[name, split], starts[name, split] + count):
                    yield config, plan.row(name, split, position, depth)
        for config, splits in plan.counterfactuals.items():
            rows = (row for part in splits.values() for row in part)
            yield from ((config, row) for row in rows if in_batch(plan.batches, row)[0] is batch)
        starts.update(counts)


def turns_in_order(plan: "Plan") -> Iterator[tuple[str, int]]:
    """Yield emotion and turn of the rows of a plan, the emotions in turn, batch after batch."""
    starts = Counter[str]()
    quotas = [batch.plan.quotas for batch in plan.batches] or [plan.quotas]
    for quota in quotas:
        counts = {name: sum(quota[name].values()) for name in plan.quotas if name in quota}
        for turn in range(max(counts.values())):
            yield from ((name, starts[name] + turn) for name in counts if turn < counts[name])
        starts.update(counts)


def batch_of_persona(batches: tuple[RowBatch, ...], number: int) -> RowBatch:
    """Return the batch that a persona belongs to; IndexError if there are fewer personas."""
    for batch in batches:
        if number < batch.first_persona + batch.personas:
            return batch
    raise IndexError(number)


@dataclass(frozen=True, slots=True)
class BatchedPeople:
    """The personas of several batches, numbered through.

    Attributes:
        batches: batches with at least one persona, in order.

    """

    batches: tuple[RowBatch, ...]

    def is_ready(self, number: int) -> bool:
        """Return whether a persona can be had at once."""
        batch = batch_of_persona(self.batches, number)
        return batch.plan.people.is_ready(number - batch.first_persona)

    def persona(self, number: int) -> Persona:
        """Return a persona by number."""
        batch = batch_of_persona(self.batches, number)
        return replace(batch.plan.people.persona(number - batch.first_persona), id=f"p{number:06d}")

    @property
    def _first(self) -> People:
        return self.batches[0].plan.people

    @property
    def tables(self) -> PersonaTables:
        """Tables of all batches: their recipes ask for the same personas."""
        return self._first.tables

    @property
    def attribute_types(self) -> Mapping[str, str]:
        """Type of each further attribute."""
        return self._first.attribute_types

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks on the personas of any batch, each once."""
        return tuple(dict.fromkeys(note for batch in self.batches for note in batch.plan.people.notes))

    @property
    def ties(self) -> Mapping[str, tuple[str, ...]]:
        """Pairs of attributes that the tables do not tie."""
        return self._first.ties

    @property
    def missing(self) -> frozenset[str]:
        """Columns that no persona has a value for."""
        return self._first.missing

    @property
    def source(self) -> Mapping[str, Any] | None:
        """Facts on the source of the personas."""
        return self._first.source

    @property
    def pairs_met(self) -> int:
        """Number of distinct pairs of attribute values among the first MAX_DESIGNED personas of all batches."""
        last = self.batches[-1]
        count = min(last.first_persona + last.personas, MAX_DESIGNED)
        return len({pair for number in range(count) for pair in value_pairs(self.persona(number).values)})

    @property
    def pairs_possible(self) -> int:
        """Number of pairs of values of the covered attributes."""
        return self._first.pairs_possible
