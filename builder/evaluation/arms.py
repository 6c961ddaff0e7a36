"""The arms of a comparison, each a function: under which condition texts are written, or which real ones are taken.

All arms of one seed plan the same rows, so that row by row they differ in the condition alone.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from personagen.builder.planning.plan import RowPlan
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.sections import Depth
from personagen.builder.writing.expression import BARE, Grounding
from personagen.metrics.texts.words import count_words

if TYPE_CHECKING:
    from personagen.metrics.texts.corpus import Corpus

EXAMPLES = 4
"""Real texts that a prompt shows."""

LONGEST_EXAMPLE = 40
"""Words of a real text that a prompt shows, at most: a small model's prompt is short, and each is paid for."""

NEIGHBOURS = 5
"""Nearest real texts of the same emotion between which a point is drawn (SMOTE's k; Chawla et al., 2002)."""


@dataclass(frozen=True, slots=True)
class Text:
    """One text of an arm.

    Attributes:
        id: emotion and number: the same in every arm.
        text: the text.
        label: the emotion that it should express.
        persona_id: who wrote it; None where nobody in particular did.
        persona: the layers that it was conditioned on, by name; empty where there are none.

    """

    id: str
    text: str
    label: str
    persona_id: str | None = None
    persona: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Setting:
    """What an arm may use, in one seed.

    Attributes:
        recipe: the full method, with the rows and the seed of this part.
        pool: real texts, with labels, that are used for nothing else.
        rows: the plan's rows, in order.
        earlier: texts of the arms before, by id.

    """

    recipe: Recipe
    pool: "Corpus"
    rows: Sequence[RowPlan]
    earlier: Mapping[str, Mapping[str, Text]]


@dataclass(frozen=True, slots=True)
class Task:
    """Texts to be written: the recipe at the depth of the arm, and what prompts show beside it."""

    recipe: Recipe
    grounding: Callable[[RowPlan], Grounding] = lambda row: BARE


Arm = Callable[[Setting], Task | list[Text]]


def none(setting: Setting) -> Task:
    """Have texts written from the emotion alone."""
    return Task(_at(setting.recipe, "none"))


def demographic(setting: Setting) -> Task:
    """Show the first layer of the persona."""
    return Task(_at(setting.recipe, "demographic"))


def sociocultural(setting: Setting) -> Task:
    """Show the first two layers."""
    return Task(_at(setting.recipe, "sociocultural"))


def situational(setting: Setting) -> Task:
    """Show all three layers: the full method."""
    return Task(_at(setting.recipe, "situational"))


def none_lengthmatched(setting: Setting) -> Task:
    """Show no persona and ask for the length that the full method had in the same row.

    A small model, which goes on with a beginning, is given its own sentence without a persona in the place of the
    event: so it writes as much, in as many steps.
    """
    bare, full = setting.earlier["none"], setting.earlier["situational"]

    def grounding(row: RowPlan) -> Grounding:
        words = count_words(full[row.id].text) if row.id in full else None
        return Grounding(words=words, opening=bare[row.id].text if row.id in bare else None)

    return Task(_at(setting.recipe, "none"), grounding)


def few_shot(setting: Setting) -> Task:
    """Show real texts of the emotion and no persona."""
    return Task(_at(setting.recipe, "none"), _with_examples(setting))


def full_real(setting: Setting) -> Task:
    """Show all three layers and real texts of the emotion."""
    return Task(_at(setting.recipe, "situational"), _with_examples(setting))


def paraphrase(setting: Setting) -> Task:
    """Have real texts said in other words."""
    sources = _drawn(setting, "paraphrase", LONGEST_EXAMPLE)
    return Task(_at(setting.recipe, "none"), lambda row: Grounding(source=_line(setting.pool.texts[sources[row.id]])))


def real(setting: Setting) -> list[Text]:
    """Take real texts: the ceiling."""
    rows = _drawn(setting, "real")
    return [Text(row.id, setting.pool.texts[rows[row.id]], row.emotion) for row in setting.rows]


def retrieval(setting: Setting) -> list[Text]:
    """Take real texts near a point between two neighbours of one emotion: SMOTE in the space of embeddings.

    The point lies between a random text and one of its 5 nearest of the same emotion; the nearest text that is neither
    of them, and was not taken yet, is taken.
    """
    vectors = setting.pool.vectors
    taken: set[int] = set()
    found = []
    for row in setting.rows:
        rng = random.Random(f"retrieval:{setting.recipe.seed}:{row.id}")
        own = _rows_of(setting.pool, row.emotion)
        start = rng.choice(own)
        nearest = [own[place] for place in (-(vectors[own] @ vectors[start])).argsort(kind="stable")]
        end = rng.choice([other for other in nearest if other != start][:NEIGHBOURS])
        share = rng.random()
        point = vectors[start] * (1 - share) + vectors[end] * share
        order = [own[place] for place in (-(vectors[own] @ point)).argsort(kind="stable")]
        chosen = next(other for other in order if other not in (start, end) and other not in taken)
        taken.add(chosen)
        found.append(Text(row.id, setting.pool.texts[chosen], row.emotion))
    return found


ARMS: Mapping[str, Arm] = {
    "none": none,
    "situational": situational,
    "none-lengthmatched": none_lengthmatched,
    "demographic": demographic,
    "sociocultural": sociocultural,
    "few-shot": few_shot,
    "full+real": full_real,
    "paraphrase": paraphrase,
    "retrieval": retrieval,
    "real": real,
}
"""By the names of the command line, in an order in which each comes after those that it uses."""

USES = {"none-lengthmatched": ("none", "situational")}
"""Arms whose texts another one needs."""


def fewest(pool: "Corpus", emotion: str) -> int:
    """Count the rows of an emotion that every arm can be given: none twice, short ones, and neighbours to spare."""
    short = [text for text in _texts_of(pool, emotion) if count_words(text) <= LONGEST_EXAMPLE]
    return max(0, min(len(short), len(_rows_of(pool, emotion)) - 2))


def _at(recipe: Recipe, depth: Depth) -> Recipe:
    return recipe.model_copy(update={"depth": depth, "ablations": ()})


def _with_examples(setting: Setting) -> Callable[[RowPlan], Grounding]:
    def grounding(row: RowPlan) -> Grounding:
        rng = random.Random(f"examples:{setting.recipe.seed}:{row.id}")
        short = [text for text in _texts_of(setting.pool, row.emotion) if count_words(text) <= LONGEST_EXAMPLE]
        return Grounding(examples=tuple(map(_line, rng.sample(short, min(EXAMPLES, len(short))))))

    return grounding


def _drawn(setting: Setting, purpose: str, longest: int | None = None) -> dict[str, int]:
    """Draw a real text for every row, of its emotion and none twice: numbers in the pool by the row's id."""
    left: dict[str, list[int]] = {}
    for emotion in dict.fromkeys(row.emotion for row in setting.rows):
        own = _rows_of(setting.pool, emotion)
        short = [row for row in own if longest is None or count_words(setting.pool.texts[row]) <= longest]
        left[emotion] = random.Random(f"{purpose}:{setting.recipe.seed}:{emotion}").sample(short, len(short))
    return {row.id: left[row.emotion].pop() for row in setting.rows}


def _rows_of(pool: "Corpus", emotion: str) -> list[int]:
    return [row for row, label in enumerate(pool.labels or ()) if label == emotion]


def _texts_of(pool: "Corpus", emotion: str) -> list[str]:
    return [pool.texts[row] for row in _rows_of(pool, emotion)]


def _line(text: str) -> str:
    """Put a real text into one line: in a prompt a line break would begin something new."""
    return " ".join(text.split())
