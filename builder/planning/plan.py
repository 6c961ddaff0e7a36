"""Plan every row, persona, situation and shard of a release before any model call; pure and seeded."""

import hashlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from personagen.builder.core.errors import RecipeError, raise_as
from personagen.builder.core.records import DEPTH_PREFIX, SPLITS, layers_of, shard_path
from personagen.builder.planning.batches import (
    BatchedPeople,
    RowBatch,
    batch_of_persona,
    in_batch,
    row_of_batches,
    turn_of_batches,
)
from personagen.builder.planning.models import EmotionRows, models_of_rows, quotas_of_models
from personagen.builder.planning.people import people_of
from personagen.builder.planning.personas.people import People
from personagen.builder.planning.prompts import wording_of
from personagen.builder.planning.quotas import split_quota
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.situations.bank import Event, events_of
from personagen.builder.planning.situations.channels import ChannelDeal, OwnChannel, deal_channels
from personagen.builder.planning.situations.possible import require_possible, with_assumed_events
from personagen.builder.planning.situations.sources import EventLists, event_lists
from personagen.builder.planning.styles import RowStyle, StyleMixture, row_style
from personagen.builder.planning.taxonomy import Emotion


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """Relation of a counterfactual row to its original: all is equal, seeds included, but one persona attribute.

    Attributes:
        original_id: id of the original row.
        attribute: name of the changed attribute.
        value: new value of the attribute; for "age" a band.

    """

    original_id: str
    attribute: str
    value: str


@dataclass(frozen=True, slots=True)
class RowPlan:
    """Properties of a row that are fixed before its text is written.

    Attributes:
        id: stable id: emotion and number, followed by the depth in an ablation, or by attribute and value in a
            counterfactual.
        emotion: label of the row.
        intensity: "low", "medium" or "high"; None if the recipe names no intensities.
        depth: layers that the text is conditioned on.
        split: "train", "validation" or "test", the same for all rows of a persona.
        persona: number of the persona.
        situation: number of the situation within the persona.
        turn: number of the row within its emotion.
        style: how the row is to be written. None: as the recipe's texts were before there were expressions and styles.
        counterfactual: original row and changed attribute. None: the row is not a counterfactual.
        wording: name of the wording of its prompt. None: the prompt has one.
        model: number of the model that writes the text, in the list of the recipe; 0: the first one, or the only one.

    """

    id: str
    emotion: str
    intensity: str | None
    depth: str
    split: str
    persona: int
    situation: int
    turn: int
    style: RowStyle | None = None
    counterfactual: Counterfactual | None = None
    wording: str | None = None
    model: int = 0


@dataclass(frozen=True, slots=True)
class Shard:
    """One parquet file of texts: the unit of writing.

    Attributes:
        config: configuration of the release, and name of the folder.
        emotion: label of all its rows; None in ablations and counterfactuals, which mix emotions.
        depth: depth of its rows.
        split: split of its rows.
        index: number of the shard within configuration and split.
        total: number of shards in configuration and split.
        start: position of its first row within configuration and split.
        stop: position after its last row.

    """

    config: str
    emotion: str | None
    depth: str
    split: str
    index: int
    total: int
    start: int
    stop: int

    @property
    def path(self) -> str:
        """Path of the file within the release."""
        return shard_path(self.config, self.split, self.index, self.total)


@dataclass(frozen=True, slots=True)
class Plan:
    """Quotas and personas of a recipe. Rows are computed on demand, so that a plan of millions of rows stays small.

    Attributes:
        recipe: the planned recipe.
        quotas: texts per emotion and split, at one depth.
        personas: personas per split, numbered through the splits in order; 0 if no row has a persona.
        people: the personas by number.
        counterfactuals: counterfactual rows by configuration and split; see `counterfactuals.py`.
        mixture: expressions, styles and lengths of the texts; see `Recipe.mixture`.
        wordings: names of the wordings of the prompt of texts; empty: it has one.
        model_quotas: texts per emotion and model, at one depth; empty: the recipe has a single model.
        channels: channels of the recipe. None: those of the package.
        events: events by emotion, invented ones included once the model has invented them. None: the recipe names no
            source of events.
        batches: rows that were planned together, in the order in which they were added; empty: all were.

    """

    recipe: Recipe
    quotas: Mapping[str, Mapping[str, int]]
    personas: Mapping[str, int]
    people: People
    counterfactuals: Mapping[str, Mapping[str, Sequence[RowPlan]]] = field(default_factory=dict)
    mixture: StyleMixture | None = None
    wordings: Sequence[str] = ()
    model_quotas: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    channels: ChannelDeal | None = None
    events: EventLists | None = None
    batches: tuple[RowBatch, ...] = ()

    def events_of(self, emotion: Emotion) -> tuple[Event, ...]:
        """Return the events that can evoke an emotion."""
        return events_of(emotion) if self.events is None else self.events[emotion.name]

    def channel_of(self, row: RowPlan) -> OwnChannel | None:
        """Return the channel of a row, the same at all depths; None: the recipe names no channels.

        Raises:
            RecipeError: no channel fits the persona of the row.

        """
        if self.channels is None:
            return None
        if self.batches:
            batch, local = in_batch(self.batches, row)
            return batch.plan.channel_of(local)
        is_known = self.channels.has_conditions and self.has_personas
        return self.channels.of_row(
            row.emotion,
            row.turn,
            rows=sum(self.quotas[row.emotion].values()),
            strata=self.strata,
            values=self.people.persona(row.persona).values if is_known else None,
        )

    @property
    def strata(self) -> int:
        """Number of intensities, which alternate by turn; 1 without any."""
        return max(1, len(self.recipe.intensities))

    @property
    def has_personas(self) -> bool:
        """Whether any row has a persona."""
        return any(self.personas.values())

    def shards(self) -> tuple[Shard, ...]:
        """Return the shards of texts in writing order: the recipe's depth, ablations, counterfactuals."""
        size = self.recipe.shard_rows
        groups: list[tuple[str, str | None, str, str, int]] = [
            (name, name, self.recipe.depth, split, count)
            for name, splits in self.quotas.items()
            for split, count in splits.items()
        ]
        for depth in self.recipe.ablations:
            totals = [(split, self.rows_of(split)) for split in SPLITS]
            groups += [(DEPTH_PREFIX + depth, None, depth, split, count) for split, count in totals]
        for config, splits in self.counterfactuals.items():
            groups += [(config, None, self.recipe.depth, split, len(rows)) for split, rows in splits.items()]
        return tuple(
            Shard(config, emotion, depth, split, index, -(-count // size), index * size, min((index + 1) * size, count))
            for config, emotion, depth, split, count in groups
            for index in range(-(-count // size))
        )

    @property
    def deepest(self) -> str:
        """The greatest depth of any row; a release publishes the layers down to it."""
        return self.recipe.deepest

    @property
    def attribute_types(self) -> Mapping[str, str]:
        """Type of each further attribute of the personas; empty: no row has a persona, or personas have none."""
        return {} if self.deepest == "none" else self.people.attribute_types

    @property
    def missing(self) -> frozenset[str]:
        """Columns of the persona's layers, as `layer.column`, that no persona has a value for."""
        return self.people.missing

    @property
    def source(self) -> Mapping[str, Any] | None:
        """Facts on the source of the personas; None: they are drawn, or no row has one."""
        return None if self.deepest == "none" else self.people.source

    def table_sizes(self) -> dict[tuple[str, str], int]:
        """Return the rows per configuration and split: emotions, all of them together, other texts, layers."""
        sizes = {(name, split): count for name, quota in self.quotas.items() for split, count in quota.items() if count}
        sizes |= {("all", split): count for split in SPLITS if (count := self.rows_of(split))}
        for shard in self.shards():
            if shard.emotion is None:
                key = (shard.config, shard.split)
                sizes[key] = sizes.get(key, 0) + shard.stop - shard.start
        for layer in layers_of(self.deepest):
            for split in SPLITS:
                count = self.rows_of(split) if layer == "situational" else self.personas[split]
                if count:
                    sizes[layer, split] = count
        return sizes

    def rows_of(self, split: str) -> int:
        """Return the rows of a split at one depth, over all emotions."""
        return sum(quota[split] for quota in self.quotas.values())

    def rows(self, shard: Shard) -> Iterator[RowPlan]:
        """Yield the rows of a shard, in order."""
        if shard.config in self.counterfactuals:
            yield from self.counterfactuals[shard.config][shard.split][shard.start : shard.stop]
            return
        for position in range(shard.start, shard.stop):
            if shard.emotion is not None:
                yield self.row(shard.emotion, shard.split, position, shard.depth)
            else:
                yield self.row(*self._emotion_at(shard.split, position), shard.depth)

    def turn(self, emotion: str, turn: int) -> RowPlan:
        """Return row number `turn` of an emotion at the recipe's depth; IndexError if the emotion has fewer rows."""
        if self.batches:
            return turn_of_batches(self.batches, emotion, turn)
        position = turn
        for split, count in self.quotas[emotion].items():
            if position < count:
                return self.row(emotion, split, position, self.recipe.depth)
            position -= count
        raise IndexError(turn)

    def model_of_persona(self, number: int) -> int:
        """Return the number of the model that writes the prose of a persona: that of the first row of the persona."""
        if self.batches:
            batch = batch_of_persona(self.batches, number)
            return batch.plan.model_of_persona(number - batch.first_persona)
        if not self.model_quotas:
            return 0
        before = 0
        for split in SPLITS:
            if number < self.personas[split]:
                break
            number -= self.personas[split]
            before += 1
        emotion, position = self._row_at(split, number * self.recipe.situations_per_persona)
        return self._model(emotion, position + sum(self.quotas[emotion][earlier] for earlier in SPLITS[:before]))

    def _row_at(self, split: str, slot: int) -> tuple[str, int]:
        """Return emotion and position of the row of a split that is dealt in this slot; the inverse of `row`."""
        counts = {name: quota[split] for name, quota in self.quotas.items()}
        rounds = range(1, max(counts.values()) + 1)
        position = bisect_right(rounds, slot, key=lambda end: sum(min(count, end) for count in counts.values()))
        present = [name for name, count in counts.items() if count > position]
        return present[slot - sum(min(count, position) for count in counts.values())], position

    def _emotion_at(self, split: str, position: int) -> tuple[str, str, int]:
        """Return emotion, split and position within the emotion of a row of a split, emotions one after another."""
        for emotion, quota in self.quotas.items():
            if position < quota[split]:
                return emotion, split, position
            position -= quota[split]
        raise IndexError(position)

    def row(self, emotion: str, split: str, position: int, depth: str) -> RowPlan:
        """Return the row at `position` of an emotion in a split; IndexError if there are fewer rows.

        The rows of a split are dealt to its personas in rounds of one row per emotion. So a persona gets different
        emotions, and an emotion gets different personas.
        """
        if self.batches:
            return row_of_batches(self.batches, emotion, split, position, depth)
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
            style=self._style(emotion, turn),
            wording=self._wording(emotion, turn),
            model=self._model(emotion, turn),
        )

    def _wording(self, emotion: str, turn: int) -> str | None:
        return wording_of(self.wordings, **self._place(emotion, turn)) if self.wordings else None

    def _model(self, emotion: str, turn: int) -> int:
        if not self.model_quotas:
            return 0
        splits = tuple(self.quotas[emotion].values())
        rows = EmotionRows(emotion, self.recipe.seed, splits, self.strata, self.mixture, tuple(self.wordings))
        return models_of_rows(self.model_quotas[emotion], rows)[turn]

    def _style(self, emotion: str, turn: int) -> RowStyle | None:
        return None if self.mixture is None else row_style(self.mixture, **self._place(emotion, turn))

    def _place(self, emotion: str, turn: int) -> dict[str, Any]:
        """Return the arguments that name a row in the deals of wordings and styles."""
        rows = sum(self.quotas[emotion].values())
        return {"seed": self.recipe.seed, "emotion": emotion, "turn": turn, "rows": rows, "strata": self.strata}


def make_plan(recipe: Recipe, chosen: Path | None = None) -> Plan:
    """Plan a recipe: quotas per emotion and split, and personas for the rows of each split.

    Args:
        recipe: the recipe.
        chosen: file of the run for the personas that are chosen from a source; see `choose_personas`.

    """
    if recipe.batches:
        return _make_batched_plan(recipe)
    fractions: dict[str, float] = recipe.splits.model_dump()
    counts = enumerate(recipe.quota().items())
    quotas = {emotion: split_quota(count, fractions, turn) for turn, (emotion, count) in counts}
    rows = {split: sum(quota[split] for quota in quotas.values()) for split in SPLITS}
    per_persona = recipe.situations_per_persona
    personas = {split: -(-count // per_persona) if recipe.deepest != "none" else 0 for split, count in rows.items()}
    people = people_of(recipe, sum(personas.values()), chosen)
    models = quotas_of_models(recipe.model_fractions(), recipe.quota()) if len(recipe.backends) > 1 else {}
    plan = Plan(recipe, quotas, personas, people, mixture=recipe.mixture(), wordings=recipe.wordings())
    plan = replace(plan, model_quotas=models, channels=deal_channels(recipe), events=_events_of(recipe))
    require_possible(with_assumed_events(plan))
    return plan


def _make_batched_plan(recipe: Recipe) -> Plan:
    """Plan a recipe whose rows were added to each other: each batch like a release with a seed of its own."""
    batches: list[RowBatch] = []
    turns, persona = Counter[str](), 0
    for number, quota in enumerate(recipe.batches or ()):
        texts = {name: count for name, count in quota.items() if count}
        changes = {"rows": sum(texts.values()), "quotas": texts, "emotions": tuple(texts), "batches": None}
        changes |= {"seed": request_seed(recipe.seed, "batch", number)} if number else {}
        plan = make_plan(recipe.model_copy(update=changes))
        batches.append(RowBatch(plan, dict(turns), persona))
        turns.update(texts)
        persona += batches[-1].personas
    quotas = {
        name: {split: sum(batch.count(name, split) for batch in batches) for split in SPLITS} for name in recipe.quota()
    }
    personas = {split: sum(batch.plan.personas[split] for batch in batches) for split in SPLITS}
    people = BatchedPeople(tuple(batches)) if persona else batches[0].plan.people
    plan = replace(batches[0].plan, recipe=recipe, quotas=quotas, personas=personas, people=people)
    return replace(plan, events=_events_of(recipe), batches=tuple(batches))


def _events_of(recipe: Recipe) -> EventLists | None:
    """Return the events of a recipe by emotion; RecipeError: its file has changed since the recipe was read."""
    with raise_as(RecipeError):
        return event_lists(recipe, recipe.chosen_taxonomy().emotions)


def request_seed(seed: int, *parts: str | int) -> int:
    """Derive the seed of a request, in [0, 2**31), from the recipe's seed and the parts that identify the request."""
    text = ":".join(map(str, (seed, *parts)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big") >> 1
