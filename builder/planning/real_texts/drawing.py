"""Draw the real texts of each row: examples, or one text to paraphrase. Pure and seeded."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from personagen.builder.planning.real_texts.pools import PoolText, TextPool

if TYPE_CHECKING:
    from personagen.builder.planning.plan import RowPlan


def id_of_draw(row: "RowPlan") -> str:
    """Return the id that seeds the draw of a row: a counterfactual sees the texts of its original."""
    return row.counterfactual.original_id if row.counterfactual else row.id


@dataclass(slots=True)
class ExampleDraw:
    """Draw of the examples of each row.

    Attributes:
        pool: texts that prompts may show.
        seed: seed of the draw.
        count: texts per row.
        max_uses: maximum number of rows per text; None: no limit, and every row draws independently of the others.

    """

    pool: TextPool
    seed: int
    count: int
    max_uses: int | None = None
    _orders: dict[tuple[str, int], list[PoolText]] = field(default_factory=dict)

    def draw(self, row: "RowPlan") -> tuple[PoolText, ...]:
        """Return the examples of a row; fewer than `count` if the pool has fewer."""
        if self.max_uses is None:
            return self._independent(row)
        return self._dealt(row)

    def _independent(self, row: "RowPlan") -> tuple[PoolText, ...]:
        texts = self.pool.texts.get(row.emotion, ())
        rng = random.Random(f"examples:{self.seed}:{id_of_draw(row)}")
        drawn = rng.sample(texts, min(self.count, len(texts)))
        # Barred texts are replaced and not left out before: other rows keep their draw, and so their requests.
        spare = [text for text in texts if text.row not in self.pool.barred and text not in drawn]
        kept = [text for text in drawn if text.row not in self.pool.barred]
        return (*kept, *rng.sample(spare, min(len(drawn) - len(kept), len(spare))))

    def _dealt(self, row: "RowPlan") -> tuple[PoolText, ...]:
        """Deal the texts to the rows of an emotion in turn, in rounds of all texts, each in an order of its own."""
        texts = [text for text in self.pool.texts.get(row.emotion, ()) if text.row not in self.pool.barred]
        per_round = len(texts) // self.count
        if not per_round:
            return tuple(texts)
        number, position = divmod(row.turn, per_round)
        key = (row.emotion, number)
        if key not in self._orders:
            rng = random.Random(f"dealt examples:{self.seed}:{row.emotion}:{number}")
            self._orders[key] = rng.sample(texts, len(texts))
        return tuple(self._orders[key][position * self.count : (position + 1) * self.count])

    def most_rows(self, emotion: str) -> int | None:
        """Return the maximum number of rows of an emotion that the draw has texts for; None: no limit."""
        if self.max_uses is None:
            return None
        return self.pool.available(emotion) // self.count * self.max_uses


@dataclass(slots=True)
class SourceDraw:
    """Draw of a distinct text to paraphrase for each row.

    Attributes:
        pool: texts that may be paraphrased.
        seed: seed of the draw.

    """

    pool: TextPool
    seed: int
    _orders: dict[str, list[PoolText]] = field(default_factory=dict)

    def draw(self, row: "RowPlan") -> PoolText | None:
        """Return the text of a row; None: the emotion has more rows than texts."""
        if row.emotion not in self._orders:
            self._orders[row.emotion] = self._order(row.emotion)
        order = self._orders[row.emotion]
        return order[row.turn] if row.turn < len(order) else None

    def _order(self, emotion: str) -> list[PoolText]:
        texts = self.pool.texts.get(emotion, ())
        shuffled = random.Random(f"paraphrase:{self.seed}:{emotion}").sample(texts, len(texts))[::-1]
        return _without_barred(shuffled, self.pool)


def _without_barred(texts: Sequence[PoolText], pool: TextPool) -> list[PoolText]:
    """Replace barred texts by the last ones, so that the rows of all others keep their text."""
    remaining = list(texts)
    position = 0
    while position < len(remaining):
        if remaining[position].row not in pool.barred:
            position += 1
            continue
        last = remaining.pop()
        if position < len(remaining):
            remaining[position] = last
    return remaining
