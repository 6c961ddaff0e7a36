"""Candidate arms of a match: what each changes in the recipe, and which real texts its prompts show.

Every row has a fold of the pool. Its prompt shows real texts of that fold alone, and the row trains no classifier that
is tested on that fold. So no arm is scored on texts that its prompts have shown.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from personagen.builder.evaluation.arms import ArmSetting, WritingTask
from personagen.builder.evaluation.matching.label_words import label_words
from personagen.builder.evaluation.matching.parts import FOLDS, MatchParts
from personagen.builder.evaluation.matching.recipes import varied
from personagen.builder.planning.plan import RowPlan
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.styles import MAX_EXAMPLE_WORDS, as_line, draw_examples
from personagen.builder.writing.expression import NO_GROUNDING, Grounding, row_label_words
from personagen.metrics.texts.words import count_words

WITHOUT_PERSONA = " without persona"
"""Suffix of the name of an arm at depth "none"."""


@dataclass(frozen=True, slots=True)
class CandidateArm:
    """One way to write texts for a reference.

    Attributes:
        name: name of the arm.
        about: description for tables.
        changes: settings that differ from the recipe of the reference.
        shows: what prompts take from real texts: "examples", a "source" to paraphrase, "label words"; "": nothing.

    """

    name: str
    about: str
    changes: Mapping[str, Any]
    shows: str = ""

    @property
    def has_recipe(self) -> bool:
        """Whether a recipe can ask for such texts; paraphrases of real texts are a yardstick only."""
        return self.shows != "source"

    def without_persona(self) -> "CandidateArm":
        """Return the same arm at depth "none"."""
        changes = {**self.changes, "depth": "none"}
        return CandidateArm(self.name + WITHOUT_PERSONA, f"{self.about}; no persona", changes, self.shows)


CANDIDATES = (
    CandidateArm("plain", "feelings shown, no style", {"expression": "shown", "text.style": None}),
    CandidateArm("style", "the style of the real texts, feelings shown", {"expression": "shown"}),
    CandidateArm("style+expression", "the style of the real texts, feelings as openly as there", {}),
    CandidateArm("label words", "the same, with words that distinguish the labels in the prompts", {}, "label words"),
    CandidateArm(
        "examples", "the style and the feelings of the real texts, with real texts in the prompts", {}, "examples"
    ),
    CandidateArm("paraphrase", "real texts in other words", {"depth": "none"}, "source"),
)
"""Arms of the first round, the simplest first."""


def candidate_arms(*, is_labelled: bool, examples: bool, instructs: bool) -> list[CandidateArm]:
    """Return the arms of the first round.

    Args:
        is_labelled: whether the reference has labels; without, real texts belong to no emotion that a prompt could ask
            for.
        examples: whether real texts, or words of them, may be sent to the model.
        instructs: whether the model follows instructions; else it cannot be asked for words.

    """
    arms = [arm for arm in CANDIDATES if instructs or arm.shows != "label words"]
    return [arm for arm in arms if not arm.shows or (is_labelled and examples)]


class RowFolds:
    """Fold of each row, and the real texts that its prompt may show."""

    def __init__(self, rows: Sequence[RowPlan], parts: MatchParts) -> None:
        """Deal the rows of each emotion to the folds that have short texts of it, in turn."""
        self._texts: dict[tuple[str, int], list[str]] = {}
        labels = parts.pool.labels or [""] * len(parts.pool)
        for text, label, fold in zip(parts.pool.texts, labels, parts.folds, strict=True):
            if count_words(text) <= MAX_EXAMPLE_WORDS:
                self._texts.setdefault((label, fold), []).append(text)
        self._words = {
            (label, fold): words
            for fold in range(FOLDS)
            for label, words in _words_of_fold(parts, labels, fold).items()
        }
        self._fold_of: dict[str, int] = {}
        self._sources: dict[str, str] = {}
        turns: dict[str, int] = {}
        for row in rows:
            folds = [fold for fold in range(FOLDS) if (row.emotion, fold) in self._texts] or list(range(FOLDS))
            turn = turns.get(row.emotion, 0)
            turns[row.emotion] = turn + 1
            fold = self._fold_of[row.id] = folds[turn % len(folds)]
            texts = self._texts.get((row.emotion, fold), [])
            if texts:
                order = random.Random(f"source:{row.emotion}:{fold}").sample(texts, len(texts))
                self._sources[row.id] = order[turn // len(folds) % len(order)]

    def fold(self, row_id: str) -> int:
        """Return the number of the fold of a row."""
        return self._fold_of[row_id]

    def grounding(self, shows: str, seed: int) -> Callable[[RowPlan], Grounding]:
        """Return a function that gives the real texts of a row's prompt."""

        def examples(row: RowPlan) -> Grounding:
            texts = self._texts.get((row.emotion, self._fold_of[row.id]), [])
            return Grounding(examples=draw_examples(texts, seed, row.id))

        def source(row: RowPlan) -> Grounding:
            text = self._sources.get(row.id)
            return NO_GROUNDING if text is None else Grounding(source=as_line(text))

        def words(row: RowPlan) -> Grounding:
            own = self._words.get((row.emotion, self._fold_of[row.id]), ())
            return Grounding(label_words=row_label_words(row, own, seed))

        kinds = {"examples": examples, "source": source, "label words": words}
        return kinds.get(shows, lambda row: NO_GROUNDING)


def _words_of_fold(parts: MatchParts, labels: Sequence[str], fold: int) -> dict[str, tuple[str, ...]]:
    rows = [row for row, number in enumerate(parts.folds) if number == fold]
    return label_words([parts.pool.texts[row] for row in rows], [labels[row] for row in rows])


def conditions_of(
    arms: Sequence[CandidateArm], matched: Recipe, folds: RowFolds
) -> dict[str, Callable[[ArmSetting], WritingTask]]:
    """Return the conditions of arms by name, for `write_arms`."""

    def condition(arm: CandidateArm) -> Callable[[ArmSetting], WritingTask]:
        recipe = varied(matched, arm.changes)
        return lambda setting: WritingTask(recipe, folds.grounding(arm.shows, recipe.seed))

    return {arm.name: condition(arm) for arm in arms}
