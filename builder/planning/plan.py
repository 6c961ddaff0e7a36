"""The plan: every row, persona, situation and shard of a release, before any call of a model. Pure and seeded."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from personagen.builder.core.records import DEPTHS, SPLITS, layers_of, shard_path
from personagen.builder.planning.attribute_tables import persona_tables
from personagen.builder.planning.personas import Design, design
from personagen.builder.planning.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """What makes a row the counterfactual of another: the same in all, seeds too, but for one attribute of the persona.

    Attributes:
        of: id of the other row.
        attribute: what is changed.
        value: what it is changed to; of "age" a band.

    """

    of: str
    attribute: str
    value: str


@dataclass(frozen=True, slots=True)
class RowPlan:
    """What is settled about a row before its text is written.

    Attributes:
        id: stable name: emotion and number, with the depth added in an ablation.
        emotion: label of the row.
        intensity: "low", "medium" or "high"; None where the recipe leaves it open.
        depth: how many layers the text is conditioned on.
        split: "train", "validation" or "test": that of its persona.
        persona: number of the persona.
        situation: number of the situation within the persona.
        turn: number of the row within its emotion.
        counterfactual: what is changed in a row that is asked for again; None in every other.

    """

    id: str
    emotion: str
    intensity: str | None
    depth: str
    split: str
    persona: int
    situation: int
    turn: int
    counterfactual: "Counterfactual | None" = None


@dataclass(frozen=True, slots=True)
class Shard:
    """One parquet file of texts: the unit that a worker writes.

    Attributes:
        config: configuration of the release, which is also the folder.
        emotion: label of all its rows; None in an ablation and of counterfactuals, which mix emotions.
        depth: depth of its rows.
        split: split of its rows.
        index: number of the shard within config and split.
        of: shards in config and split.
        start: first row within config and split.
        stop: end of its rows, not included.

    """

    config: str
    emotion: str | None
    depth: str
    split: str
    index: int
    of: int
    start: int
    stop: int

    @property
    def path(self) -> str:
        """Path within the release."""
        return shard_path(self.config, self.split, self.index, self.of)


@dataclass(frozen=True, slots=True)
class Plan:
    """Quotas and personas of a recipe; rows are worked out when they are asked for, so a plan stays small.

    Attributes:
        quotas: texts by emotion and split, at one depth.
        personas: number of personas by split; numbers run through the splits in order. 0 where no row has any.
        design: how the personas are drawn.
        recipe: what was planned.
        counterfactuals: rows that are asked for again, by configuration and split; see `counterfactuals.py`.

    """

    recipe: Recipe
    quotas: Mapping[str, Mapping[str, int]]
    personas: Mapping[str, int]
    design: Design
    counterfactuals: Mapping[str, Mapping[str, Sequence[RowPlan]]] = field(default_factory=dict)

    def shards(self) -> tuple[Shard, ...]:
        """List the shards of texts in the order in which rows settle: the recipe's depth, ablations, counterfactuals."""
        size = self.recipe.shard_rows
        groups: list[tuple[str, str | None, str, str, int]] = [
            (name, name, self.recipe.depth, split, count)
            for name, splits in self.quotas.items()
            for split, count in splits.items()
        ]
        for depth in self.recipe.ablations:
            totals = [(split, sum(quota[split] for quota in self.quotas.values())) for split in SPLITS]
            groups += [(f"depth_{depth}", None, depth, split, count) for split, count in totals]
        for config, splits in self.counterfactuals.items():
            groups += [(config, None, self.recipe.depth, split, len(rows)) for split, rows in splits.items()]
        return tuple(
            Shard(config, emotion, depth, split, index, -(-count // size), index * size, min((index + 1) * size, count))
            for config, emotion, depth, split, count in groups
            for index in range(-(-count // size))
        )

    @property
    def deepest(self) -> str:
        """The deepest depth of any row: that of the layers that a release tells of."""
        return max((self.recipe.depth, *self.recipe.ablations), key=DEPTHS.index)

    def table_sizes(self) -> dict[tuple[str, str], int]:
        """Count the rows of every table by configuration and split: texts in the order of the shards, then layers."""
        sizes: dict[tuple[str, str], int] = {}
        for shard in self.shards():
            key = (shard.config, shard.split)
            sizes[key] = sizes.get(key, 0) + shard.stop - shard.start
        for layer in layers_of(self.deepest):
            for split in SPLITS:
                situations = sum(quota[split] for quota in self.quotas.values())
                count = situations if layer == "situational" else self.personas[split]
                if count:
                    sizes[layer, split] = count
        return sizes

    def rows(self, shard: Shard) -> Iterator[RowPlan]:
        """Work out the rows of a shard, in order."""
        if shard.config in self.counterfactuals:
            yield from self.counterfactuals[shard.config][shard.split][shard.start : shard.stop]
            return
        for position in range(shard.start, shard.stop):
            if shard.emotion is not None:
                yield self._row(shard.emotion, shard.split, position, shard.depth)
            else:
                yield self._row(*self._emotion_at(shard.split, position), shard.depth)

    def turn(self, emotion: str, turn: int) -> RowPlan:
        """Work out the row of an emotion by its number, at the recipe's depth."""
        position = turn
        for split, count in self.quotas[emotion].items():
            if position < count:
                return self._row(emotion, split, position, self.recipe.depth)
            position -= count
        raise IndexError(turn)

    def _emotion_at(self, split: str, position: int) -> tuple[str, str, int]:
        """Find the row at a position of a split's rows, emotion by emotion."""
        for emotion, quota in self.quotas.items():
            if position < quota[split]:
                return emotion, split, position
            position -= quota[split]
        raise IndexError(position)

    def _row(self, emotion: str, split: str, position: int, depth: str) -> RowPlan:
        """Plan the row at `position` of an emotion in a split.

        The rows of a split are dealt to its personas in rounds, one row of each emotion a round, so that a persona
        meets different emotions and every emotion meets different personas.
        """
        counts = {name: quota[split] for name, quota in self.quotas.items()}
        names = list(counts)
        slot = sum(min(count, position) for count in counts.values())
        slot += sum(counts[name] > position for name in names[: names.index(emotion)])
        number, situation = divmod(slot, self.recipe.situations_per_persona)
        before = SPLITS[: SPLITS.index(split)]
        turn = sum(self.quotas[emotion][earlier] for earlier in before) + position
        intensities = self.recipe.intensities
        return RowPlan(
            id=f"{emotion}-{turn:06d}" + ("" if depth == self.recipe.depth else f"-{depth}"),
            emotion=emotion,
            intensity=intensities[turn % len(intensities)] if intensities else None,
            depth=depth,
            split=split,
            persona=sum(self.personas[earlier] for earlier in before) + number,
            situation=situation,
            turn=turn,
        )


def make_plan(recipe: Recipe) -> Plan:
    """Plan a recipe: quotas by emotion and split, and the personas that share the rows of each split."""
    shares = dict(zip(SPLITS, (recipe.splits.train, recipe.splits.validation, recipe.splits.test), strict=True))
    quotas = {emotion: split_quota(count, shares, turn) for turn, (emotion, count) in enumerate(recipe.quota().items())}
    rows = {split: sum(quota[split] for quota in quotas.values()) for split in SPLITS}
    written = recipe.depth != "none" or any(depth != "none" for depth in recipe.ablations)
    personas = {split: -(-count // recipe.situations_per_persona) * written for split, count in rows.items()}
    return Plan(recipe, quotas, personas, design(persona_tables(), recipe.seed, sum(personas.values())))


def split_quota(count: int, shares: Mapping[str, float], turn: int = 0) -> dict[str, int]:
    """Divide a count by shares that sum to 1: largest remainders first, and equal ones by turns."""
    exact = {name: count * share for name, share in shares.items()}
    # A hair above the product keeps 0.1 * 30 at 3 where binary fractions fall just below.
    quota = {name: int(value + 1e-9) for name, value in exact.items()}
    rest = count - sum(quota.values())
    names = list(shares)[::-1] if turn % 2 else list(shares)
    for name in sorted(names, key=lambda name: round(quota[name] - exact[name], 9))[:rest]:
        quota[name] += 1
    return quota


def request_seed(seed: int, *parts: str | int) -> int:
    """Derive the seed of one request from the recipe's seed and what names the request; in [0, 2**31)."""
    text = ":".join(map(str, (seed, *parts)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big") >> 1
