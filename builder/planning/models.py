"""Deal a model to each row of a recipe that lists several models; pure and seeded.

fractions -> texts per emotion and model -> models of the rows of an emotion, by turn
"""

import random
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, repeat
from typing import Any

from personagen.builder.core.errors import RecipeError
from personagen.builder.planning.prompts import wording_of
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.styles import StyleMixture
from personagen.builder.planning.styles.dealing import dealt_kinds, spread

ROUNDING = 1e-9
"""Fractions of a text that are an error of floating point."""


def quotas_of_models(fractions: Sequence[float], rows: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
    """Return the texts per emotion and model.

    Each model gets its fraction of the texts of an emotion, rounded up or down. The rounding favours the model that is
    most behind its fraction of all texts so far, so that a small fraction of many emotions gets its texts too.

    Args:
        fractions: fraction of the texts of each model; they sum to 1.
        rows: texts per emotion.

    """
    quotas: dict[str, tuple[int, ...]] = {}
    behind = [0.0] * len(fractions)
    for emotion, count in rows.items():
        exact = [fraction * count for fraction in fractions]
        quota = [int(value + ROUNDING) for value in exact]
        behind = [debt + value - whole for debt, value, whole in zip(behind, exact, quota, strict=True)]
        order = sorted(range(len(fractions)), key=lambda model: round(-behind[model], 9))
        may_grow = [model for model in order if exact[model] - quota[model] > ROUNDING]
        for model in may_grow[: count - sum(quota)]:
            quota[model] += 1
            behind[model] -= 1
        quotas[emotion] = tuple(quota)
    return quotas


def require_rows_of_every_model(recipe: Recipe, quotas: Mapping[str, Sequence[int]]) -> None:
    """Raise RecipeError if a model of the list gets no text."""
    for model, choice in enumerate(recipe.backends if quotas else ()):
        if not any(quota[model] for quota in quotas.values()):
            raise RecipeError(
                f"backend.{model}: {choice.model} gets none of {recipe.rows} rows of {len(quotas)} emotions with a "
                f"fraction of {recipe.model_fractions()[model]:.3g}; raise rows or its share, or leave it out"
            )


@dataclass(frozen=True, slots=True)
class EmotionRows:
    """The rows of an emotion, with all that their models are crossed with.

    Attributes:
        emotion: label of the rows.
        seed: seed of the recipe.
        splits: rows of each split, in the order of the turns.
        strata: intensities, which alternate by turn; 1 without any.
        mixture: fractions of expressions and styles. None: there are none.
        wordings: names of the wordings of the prompt; empty: it has one.

    """

    emotion: str
    seed: int
    splits: tuple[int, ...]
    strata: int
    mixture: StyleMixture | None
    wordings: tuple[str, ...]


@lru_cache(maxsize=256)
def models_of_rows(quota: tuple[int, ...], rows: EmotionRows) -> Sequence[int]:
    """Return the number of the model of each row of an emotion, by turn; exact quotas.

    The models are spread evenly over a sequence. The rows stand beside it by intensity, style and expression, wording
    and split, and in shuffled order within each of these cells, so that models are crossed with all of them.

    Args:
        quota: rows of each model.
        rows: the rows.

    """
    count = sum(quota)
    draw = random.Random(f"model:{rows.seed}:{rows.emotion}").random
    order = sorted((*cell, draw(), turn) for turn, cell in enumerate(_cells(rows, count)))
    models = array("B", bytes(count))
    for (*_, turn), model in zip(order, spread(quota), strict=True):
        models[turn] = model
    return models


def _cells(rows: EmotionRows, count: int) -> Iterator[tuple[int, int, str, int]]:
    """Yield intensity, kind, wording and split of each row, by turn."""
    dealt: dict[str, Any] = {"seed": rows.seed, "emotion": rows.emotion, "rows": count, "strata": rows.strata}
    kinds = dealt_kinds(rows.mixture, **dealt) if rows.mixture else bytes(count)
    splits = chain.from_iterable(repeat(split, part) for split, part in enumerate(rows.splits))
    for turn, split in enumerate(splits):
        wording = wording_of(rows.wordings, turn=turn, **dealt) if rows.wordings else ""
        yield turn % rows.strata, kinds[turn], wording, split
