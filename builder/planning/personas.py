"""Draw personas: the demographic and the sociocultural layer, from cited tables.

Independent draws leave many pairs of attributes unmet for long (no rural doctorate, no retired ENTP) and stray from the
tables while they are few. So each persona is the best of a few independent draws: the one that meets most pairs which
no earlier persona met, less a penalty for values that already come more often than their table says. Small samples then
cover more and keep closer to the tables than independent ones; `benchmarks/personas.py` shows both.
"""

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist
from typing import Any

from personagen.builder.core.records import Demographic, Sociocultural
from personagen.builder.planning.attribute_tables import PersonaTables, Values

DRAWS = 4
"""Independent draws of which one is taken."""

PENALTY = 0.5
"""New pairs that one surplus person in an attribute's value outweighs."""

DESIGNED = 4096
"""Personas that are chosen in this way: past them hardly a pair is left, and plain draws follow the tables anyway.
Pairs are not counted beyond them, so that a plan of millions of rows is made as fast."""

COVERED = (
    "age_band", "gender", "occupation_group", "mbti", "country", "settlement", "education", "religion", "household",
    "means", "value_primary", "register",
)  # fmt: skip
"""Attributes whose pairs are counted. Occupations count by major group, ages by band of the table."""

NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Persona:
    """Who writes: the first two layers.

    Attributes:
        id: "p" and the number of the persona in its plan.
        demographic: first layer.
        sociocultural: second layer.
        values: every attribute by name, for conditions of the situational bank.

    """

    id: str
    demographic: Demographic
    sociocultural: Sociocultural
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Design:
    """Which draw each persona is: with the seed, all that is needed to make any persona again.

    Attributes:
        seed: seed of the recipe.
        choices: one byte a persona, the number of its draw; personas beyond it are draw 0.
        pairs: pairs of attribute values that the first DESIGNED personas meet; all of them may meet a few more.

    """

    seed: int
    choices: bytes
    pairs: int


def draw_values(tables: PersonaTables, seed: int, number: int, draw: int) -> Values:
    """Draw the attributes of one persona; pure: the same arguments give the same values on every machine."""
    rng = random.Random(f"persona:{seed}:{number}:{draw}")
    values: Values = {}
    for table in tables.tables:
        drawn = table.distribution(values).draw(rng.random())
        if table.name == "age":
            low, high = map(int, drawn.split("-"))
            values["age_band"], values["age"] = drawn, rng.randint(low, high)
            continue
        values[table.name] = drawn
        if table.name == "occupation":
            job = tables.occupations.get(drawn, {})
            values["occupation_group"] = job.get("group", "not in work")
            values["isco08"], values["workplace"] = job.get("isco"), job.get("workplace")
    for trait in tables.big_five:
        values[trait] = _percentile(tables, trait, values["mbti"], rng)
    return values


def _percentile(tables: PersonaTables, trait: str, mbti: str, rng: random.Random) -> int:
    """Draw a trait given the MBTI type.

    The letter is read as a cut through a normal variable that correlates with the trait as published, so the trait
    itself stays standard normal over the population.
    """
    link = tables.big_five[trait]
    first, second = rng.random(), rng.random()
    noise = NORMAL.inv_cdf(min(max(second, 1e-9), 1 - 1e-9))
    if link is None:
        score = noise
    else:
        letter, correlation = link
        share = tables.letter_shares[letter]
        quantile = 1 - share + share * first if letter in mbti else (1 - share) * first
        latent = NORMAL.inv_cdf(min(max(quantile, 1e-9), 1 - 1e-9))
        score = correlation * latent + (1 - correlation**2) ** 0.5 * noise
    return min(max(round(100 * NORMAL.cdf(score)), 1), 99)


def value_pairs(values: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """List the pairs of attribute values that a persona meets: name, value, name, value."""
    for one, other in combinations(COVERED, 2):
        yield one, values[one], other, values[other]


def design(tables: PersonaTables, seed: int, count: int) -> Design:
    """Choose a draw for each of `count` personas, so that pairs are met early and shares stay close to the tables.

    The first k personas do not depend on how many follow.
    """
    met: set[tuple[str, str, str, str]] = set()
    surplus: Counter[tuple[str, str]] = Counter()
    choices = bytearray()
    for number in range(min(count, DESIGNED)):
        draws = [draw_values(tables, seed, number, draw) for draw in range(DRAWS)]
        fresh = [set(value_pairs(values)) - met for values in draws]
        scores = [
            len(new) - PENALTY * _overshoot(tables, values, surplus) for values, new in zip(draws, fresh, strict=True)
        ]
        best = scores.index(max(scores))  # the first of equals
        met |= fresh[best]
        for name, value, share in _expected(tables, draws[best]):
            surplus[name, value] += (value == draws[best][name]) - share
        choices.append(best)
    return Design(seed, bytes(choices), len(met))


def _expected(tables: PersonaTables, values: Values) -> Iterator[tuple[str, str, float]]:
    """List every value that each covered attribute could have had, given those drawn before it, with its share."""
    for table in tables.tables:
        name = "age_band" if table.name == "age" else table.name
        if name in COVERED:
            for value, share in table.distribution(values).shares.items():
                yield name, value, share


def _overshoot(tables: PersonaTables, values: Values, surplus: Counter[tuple[str, str]]) -> float:
    """Sum, over the attributes, how many personas too many have this persona's value if it is taken."""
    return sum(
        max(0.0, surplus[name, value] + 1 - share)
        for name, value, share in _expected(tables, values)
        if value == values[name]
    )


def possible_pairs(tables: PersonaTables) -> int:
    """Count all pairs of values of the covered attributes, those that coherence rules out included."""
    sizes = []
    for name in COVERED:
        table = next((table for table in tables.tables if table.name == name.removesuffix("_band")), None)
        if table is None:
            sizes.append(len({job["group"] for job in tables.occupations.values()} | {"not in work"}))
        else:
            sizes.append(len({value for _, shares in table.rows for value in shares}))
    return sum(one * other for one, other in combinations(sizes, 2))


def persona(tables: PersonaTables, plan: Design, number: int) -> Persona:
    """Make persona `number` of a design."""
    draw = plan.choices[number] if number < len(plan.choices) else 0
    values = draw_values(tables, plan.seed, number, draw)
    return Persona(
        f"p{number:06d}",
        Demographic(**{name: values[name] for name in Demographic.__dataclass_fields__ if name != "prose"}),
        Sociocultural(**{name: values[name] for name in Sociocultural.__dataclass_fields__ if name != "prose"}),
        values,
    )
