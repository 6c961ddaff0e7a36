"""Deal the wordings of a prompt to the rows of an emotion; pure and seeded."""

import random
from collections.abc import Sequence


def wording_of(wordings: Sequence[str], *, seed: int, emotion: str, turn: int, rows: int, strata: int) -> str:
    """Return the wording of a row.

    The rows of each intensity are put one after another and divided into rounds of one row per wording, each round in
    a random order. So the wordings of an emotion differ by one row at most, those of an intensity by two, and neither
    expression nor style has an influence.

    Args:
        wordings: names of the wordings, two or more.
        seed: seed of the recipe.
        emotion: label of the row.
        turn: number of the row within its emotion.
        rows: rows of the emotion.
        strata: intensities, which alternate by turn; 1 without any.

    """
    names = sorted(wordings)
    stratum, position = turn % strata, turn // strata
    before = sum(len(range(earlier, rows, strata)) for earlier in range(stratum))
    number, place = divmod(before + position, len(names))
    return random.Random(f"wording:{seed}:{emotion}:{number}").sample(names, len(names))[place]
