"""Conditions of the arms, one function each: how the texts of an arm are written, or which real texts it consists of.

All arms of a seed share the rows of one plan, so that their texts differ row by row in the condition alone. Conditions
that a recipe can ask for are in `recipes`.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from personagen.builder.evaluation.arms.recipes import ARM_RECIPES
from personagen.builder.planning.plan import RowPlan
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.styles import MAX_EXAMPLE_WORDS
from personagen.builder.writing.expression import Grounding
from personagen.metrics.texts.words import count_words

if TYPE_CHECKING:
    from personagen.metrics.texts.corpus import Corpus

NEIGHBOURS = 5
"""Nearest real texts of the same emotion among which an end point is drawn (k of SMOTE; Chawla et al., 2002)."""


@dataclass(frozen=True, slots=True)
class ArmText:
    """One text of an arm.

    Attributes:
        id: emotion and number of the row: equal in every arm.
        text: the text.
        label: the requested emotion.
        persona_id: persona that wrote it; None: no persona, or a real text.
        persona: layers that the text was conditioned on, by name; may be empty.
        real_texts: ids of the real texts in its prompt, separated by spaces; None: there is none.

    """

    id: str
    text: str
    label: str
    persona_id: str | None = None
    persona: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    real_texts: str | None = None


@dataclass(frozen=True, slots=True)
class ArmSetting:
    """Inputs of the arms in one seed.

    Attributes:
        recipe: recipe of the full method, with the rows and the seed of this part.
        pool: real texts with labels; no measure uses them.
        rows: rows of the plan, in order.
        earlier: texts of earlier arms, by arm and row id.
        source: where the real texts come from, as recipes name it; "": no prompt of an arm shows any.

    """

    recipe: Recipe
    pool: "Corpus"
    rows: Sequence[RowPlan]
    earlier: Mapping[str, Mapping[str, ArmText]]
    source: str = ""


@dataclass(frozen=True, slots=True)
class WritingTask:
    """Texts to be written: a recipe, and the content of each row's prompt beside its layers. None: the recipe's."""

    recipe: Recipe
    grounding: Callable[[RowPlan], Grounding] | None = None


Arm = Callable[[ArmSetting], WritingTask | list[ArmText]]
"""Condition of an arm."""


def written(name: str) -> Arm:
    """Return the condition of an arm that a recipe can ask for."""

    def condition(setting: ArmSetting) -> WritingTask:
        return WritingTask(ARM_RECIPES[name](setting.recipe, setting.source))

    return condition


def none_lengthmatched(setting: ArmSetting) -> WritingTask:
    """Write without a persona, at the length that the full method has in the same row.

    A small model, which continues a beginning, gets its own sentence of the arm "none" in place of the event. So it
    writes as much, in as many steps. Where rows have a style, its beginnings have the length anyway.
    """
    bare, full = setting.earlier["none"], setting.earlier["situational"]
    styled = setting.recipe.mixture() is not None

    def grounding(row: RowPlan) -> Grounding:
        words = count_words(full[row.id].text) if row.id in full else None
        return Grounding(words=words, opening=bare[row.id].text if row.id in bare and not styled else None)

    return WritingTask(ARM_RECIPES["none"](setting.recipe, setting.source), grounding)


def real(setting: ArmSetting) -> list[ArmText]:
    """Draw real texts: the upper bound of every arm."""
    drawn = _draw_rows(setting)
    return [ArmText(row.id, setting.pool.texts[drawn[row.id]], row.emotion) for row in setting.rows]


def retrieval(setting: ArmSetting) -> list[ArmText]:
    """Draw real texts near a point between two neighbours of one emotion: SMOTE in the space of embeddings.

    The point lies between a random text and one of its five nearest of the same emotion. Of the texts that were not
    drawn yet, the one nearest to the point is taken, the two neighbours excepted.
    """
    vectors = setting.pool.vectors
    taken: set[int] = set()
    texts = []
    for row in setting.rows:
        rng = random.Random(f"retrieval:{setting.recipe.seed}:{row.id}")
        candidates = _rows_of(setting.pool, row.emotion)
        start = rng.choice(candidates)
        nearest = [candidates[rank] for rank in (-(vectors[candidates] @ vectors[start])).argsort(kind="stable")]
        end = rng.choice([other for other in nearest if other != start][:NEIGHBOURS])
        fraction = rng.random()
        point = vectors[start] * (1 - fraction) + vectors[end] * fraction
        order = [candidates[rank] for rank in (-(vectors[candidates] @ point)).argsort(kind="stable")]
        chosen = next(other for other in order if other not in (start, end) and other not in taken)
        taken.add(chosen)
        texts.append(ArmText(row.id, setting.pool.texts[chosen], row.emotion))
    return texts


ARMS: Mapping[str, Arm] = {
    "none": written("none"),
    "situational": written("situational"),
    "none-lengthmatched": none_lengthmatched,
    "demographic": written("demographic"),
    "sociocultural": written("sociocultural"),
    "shown": written("shown"),
    "unstyled": written("unstyled"),
    "few-shot": written("few-shot"),
    "full+real": written("full+real"),
    "paraphrase": written("paraphrase"),
    "retrieval": retrieval,
    "real": real,
}
"""Conditions by the names of the command line; each arm comes after those that it uses."""

STYLE_ARMS = ("shown", "unstyled")
"""Arms that differ from the full method in expression and style: only where the recipe asks for them."""

USES = {"none-lengthmatched": ("none", "situational")}
"""Arms whose texts another arm uses."""


def max_rows(pool: "Corpus", emotion: str) -> int:
    """Return the rows of an emotion for which every arm finds real texts: distinct, short, and with neighbours."""
    short = [text for text in _texts_of(pool, emotion) if count_words(text) <= MAX_EXAMPLE_WORDS]
    return max(0, min(len(short), len(_rows_of(pool, emotion)) - 2))


def _draw_rows(setting: ArmSetting) -> dict[str, int]:
    """Draw a distinct real text of the same emotion for every row: positions in the pool by row id."""
    remaining: dict[str, list[int]] = {}
    for emotion in dict.fromkeys(row.emotion for row in setting.rows):
        candidates = _rows_of(setting.pool, emotion)
        rng = random.Random(f"real:{setting.recipe.seed}:{emotion}")
        remaining[emotion] = rng.sample(candidates, len(candidates))
    return {row.id: remaining[row.emotion].pop() for row in setting.rows}


def _rows_of(pool: "Corpus", emotion: str) -> list[int]:
    return [row for row, label in enumerate(pool.labels or ()) if label == emotion]


def _texts_of(pool: "Corpus", emotion: str) -> list[str]:
    return [pool.texts[row] for row in _rows_of(pool, emotion)]
