"""Draw personas: the demographic and the sociocultural layer, from cited tables.

Independent draws leave many pairs of attribute values uncovered (no rural doctorate, no retired ENTP), and small
samples of them stray from the tables. Each persona is therefore the best of DRAWS_PER_PERSONA independent draws: the
one with most pairs that no earlier persona has, minus a penalty for values that are already more frequent than in
their tables. `benchmarks/personas/coverage.py` compares both.
"""

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations, count
from typing import Any

from personagen.builder.core.records import AttributeValue, Demographic, Sociocultural
from personagen.builder.planning.personas.chances import Chances
from personagen.builder.planning.personas.constraints import Constraints
from personagen.builder.planning.personas.steps import STANDARD_NORMAL, steps_of
from personagen.builder.planning.personas.tables import Distribution, PersonaTables, Values

DRAWS_PER_PERSONA = 4
"""Independent draws from which a persona is chosen."""

SURPLUS_PENALTY = 0.5
"""New pairs that outweigh one surplus person with the same attribute value."""

MAX_DESIGNED = 4096
"""Personas chosen among several draws; later ones are plain draws. By then hardly a pair is uncovered and plain draws
follow the tables, so plans of millions of rows need no bookkeeping for the rest."""

COVERED_ATTRIBUTES = (
    "age_band", "gender", "occupation_group", "mbti", "country", "settlement", "education", "religion", "household",
    "means", "value_primary", "register",
)  # fmt: skip
"""Attributes whose pairs of values are counted: occupations by ISCO-08 major group, ages by band."""

Pair = tuple[tuple[str, str], tuple[str, str]]
"""Name and value of one attribute, and of another one."""


@dataclass(frozen=True, slots=True)
class Persona:
    """The author of a text: its first two layers.

    Attributes:
        id: "p" and the number of the persona in its plan.
        demographic: first layer.
        sociocultural: second layer.
        values: every attribute by name, for the conditions of the situational bank.
        attributes: further attributes by name: those of the recipe, or the columns of a source of personas.

    """

    id: str
    demographic: Demographic
    sociocultural: Sociocultural
    values: Mapping[str, Any]
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Design:
    """The chosen draw of each persona: together with the seed it reproduces every persona.

    Draws are chosen in order and on demand, since choosing 4,000 takes a second and a run begins with the first ones.

    Attributes:
        seed: seed of the recipe.
        count: number of personas.
        constraints: conditions and cells of the personas. None: there are none.
        chosen: draws chosen so far, one byte per persona.
        covered: pairs of attribute values that the personas with a chosen draw have.
        further: chooses the draw of the next persona and adds its pairs to `covered`.

    """

    seed: int
    count: int
    constraints: Constraints | None = field(compare=False, repr=False)
    chosen: bytearray = field(compare=False, repr=False)
    covered: set[Pair] = field(compare=False, repr=False)
    further: Iterator[int] = field(compare=False, repr=False)

    def is_chosen(self, number: int) -> bool:
        """Return whether the draw of a persona is known without choosing further ones."""
        return number < len(self.chosen) or number >= MAX_DESIGNED

    def draw_of(self, number: int) -> int:
        """Return the number of a persona's draw; personas after the first MAX_DESIGNED are draw 0."""
        if number >= MAX_DESIGNED:
            return 0
        self._choose(number + 1)
        return self.chosen[number]

    @property
    def choices(self) -> bytes:
        """Draws of the first MAX_DESIGNED personas, one byte per persona."""
        self._choose(min(self.count, MAX_DESIGNED))
        return bytes(self.chosen)

    @property
    def pairs(self) -> int:
        """Number of distinct pairs of attribute values that the first MAX_DESIGNED personas cover."""
        self._choose(min(self.count, MAX_DESIGNED))
        return len(self.covered)

    def _choose(self, count: int) -> None:
        while len(self.chosen) < count:
            self.chosen.append(next(self.further))


def make_design(tables: PersonaTables, seed: int, count: int, constraints: Constraints | None = None) -> Design:
    """Choose a draw for each of `count` personas: many pairs covered early, frequencies close to the tables.

    The first k choices do not depend on `count`.
    """
    covered: set[Pair] = set()
    return Design(seed, count, constraints, bytearray(), covered, _choose_draws(tables, seed, covered, constraints))


def _choose_draws(
    tables: PersonaTables, seed: int, covered: set[Pair], constraints: Constraints | None
) -> Iterator[int]:
    """Yield the number of the chosen draw of each persona without end, and add its pairs to `covered`."""
    surplus: Counter[tuple[str, str]] = Counter()
    for number in count():
        draws = [_draw_from_tables(tables, seed, number, draw, constraints) for draw in range(DRAWS_PER_PERSONA)]
        new_pairs = [set(value_pairs(draw.values)) - covered for draw in draws]
        scores = [
            len(new) - SURPLUS_PENALTY * _overshoot(draw, surplus) for draw, new in zip(draws, new_pairs, strict=True)
        ]
        best = scores.index(max(scores))  # ties: the first
        covered |= new_pairs[best]
        for name, distribution in draws[best].covered.items():
            for value, probability in distribution.probabilities.items():
                surplus[name, value] += (value == draws[best].values[name]) - probability
        yield best


def draw_persona(tables: PersonaTables, design: Design, number: int) -> Persona:
    """Return persona `number` of a design; pure."""
    values = draw_values(tables, design.seed, number, design.draw_of(number), design.constraints)
    return Persona(
        f"p{number:06d}",
        Demographic(**{name: values[name] for name in Demographic.__dataclass_fields__ if name != "prose"}),
        Sociocultural(**{name: values[name] for name in Sociocultural.__dataclass_fields__ if name != "prose"}),
        values,
        {table.name: values[table.name] for table in tables.own},
    )


def draw_values(
    tables: PersonaTables, seed: int, number: int, draw: int, constraints: Constraints | None = None
) -> Values:
    """Draw the attributes of one persona; pure: equal arguments give equal values on every machine.

    An attribute of the recipe has a generator of its own, so that it changes no other draw.
    """
    drawn = _draw_from_tables(tables, seed, number, draw, constraints)
    values, rng = drawn.values, drawn.rng
    for trait in tables.big_five:
        if constraints is not None and constraints.is_drawn(trait):
            values[trait] = constraints.distribution(trait, values, number).draw(rng.random())
        else:
            values[trait] = _percentile(tables, trait, values["mbti"], rng)
    for table in tables.own:
        own = (
            table.distribution(values) if constraints is None else constraints.distribution(table.name, values, number)
        )
        values[table.name] = own.draw(random.Random(f"attribute:{seed}:{number}:{draw}:{table.name}").random())
    return values


@dataclass(frozen=True, slots=True)
class _Draw:
    """A draw of all attributes but the Big Five traits.

    Attributes:
        values: the attributes.
        covered: distributions that the covered attributes with a table were drawn from, in the order of the tables.
        rng: generator that draws the Big Five traits.

    """

    values: Values
    covered: dict[str, Distribution]
    rng: random.Random


def _draw_from_tables(
    tables: PersonaTables, seed: int, number: int, draw: int, constraints: Constraints | None
) -> _Draw:
    """Draw all attributes but the Big Five traits and those of the recipe."""
    rng = random.Random(f"persona:{seed}:{number}:{draw}")
    if constraints is not None:
        return _draw_constrained(tables, constraints, number, rng)
    values: Values = {}
    covered: dict[str, Distribution] = {}
    uniforms = {"age": rng.random()}
    for table in tables.tables:
        distribution = table.distribution(values)
        drawn = distribution.draw(uniforms[table.name])
        name = "age_band" if table.name == "age" else table.name
        values[name] = drawn
        if name in COVERED_ATTRIBUTES:
            covered[name] = distribution
        if name == "age_band":
            values["age"] = rng.randint(*map(int, drawn.split("-")))
            # One number per attribute, in the order of the files: what a table depends on shifts no number.
            uniforms = {name: rng.random() for name in tables.order[1:]}
        elif name == "occupation":
            job = tables.job_of(drawn)
            values["occupation_group"] = job["group"]
            values["isco08"], values["workplace"] = job["isco"], job["workplace"]
    return _Draw(values, covered, rng)


def _draw_constrained(tables: PersonaTables, constraints: Constraints, number: int, rng: random.Random) -> _Draw:
    """Draw the attributes given that the persona meets the conditions and is in its cell."""
    values: Values = {}
    covered: dict[str, Distribution] = {}
    further = {*tables.big_five, *(table.name for table in tables.own)}
    for name, step in constraints.steps.items():
        if name in further:
            continue
        distribution = constraints.distribution(name, values, number)
        values |= step.derive(distribution.draw(rng.random()))
        if name in COVERED_ATTRIBUTES:
            covered[name] = distribution
    return _Draw(values, covered, rng)


def _percentile(tables: PersonaTables, trait: str, mbti: str, rng: random.Random) -> int:
    """Draw the percentile of a Big Five trait, 1 to 99, given the MBTI type.

    The MBTI letter is modelled as a dichotomised standard normal variable. Its correlation with the trait is the
    published one, so that over the population the trait is standard normal as well.
    """
    link = tables.big_five[trait]
    first, second = rng.random(), rng.random()
    noise = STANDARD_NORMAL.inv_cdf(min(max(second, 1e-9), 1 - 1e-9))
    if link is None:
        score = noise
    else:
        letter, correlation = link
        probability = tables.letter_probabilities[letter]
        quantile = 1 - probability + probability * first if letter in mbti else (1 - probability) * first
        latent = STANDARD_NORMAL.inv_cdf(min(max(quantile, 1e-9), 1 - 1e-9))
        score = correlation * latent + (1 - correlation**2) ** 0.5 * noise
    return min(max(round(100 * STANDARD_NORMAL.cdf(score)), 1), 99)


def value_pairs(values: Mapping[str, Any]) -> Iterator[Pair]:
    """Yield the pairs of covered attributes of a persona, each with its value."""
    return combinations([(name, values[name]) for name in COVERED_ATTRIBUTES], 2)


def possible_pairs(tables: PersonaTables) -> int:
    """Return the number of pairs of values of the covered attributes, incoherent pairs included.

    With conditions, the values are those of the personas that meet them.
    """
    sizes = []
    for name in COVERED_ATTRIBUTES:
        if tables.where.allowed:
            sizes.append(len(possible_values(tables, name)))
            continue
        table = next((table for table in tables.tables if table.name == name.removesuffix("_band")), None)
        if table is None:
            sizes.append(len({job["group"] for job in tables.occupations.values()} | {"not in work"}))
        else:
            sizes.append(len({value for _, percentages in table.rows for value in percentages}))
    return sum(one * other for one, other in combinations(sizes, 2))


def possible_values(tables: PersonaTables, name: str) -> frozenset[str]:
    """Return the values of an attribute that a persona can have who meets the condition of the tables."""
    cells = Chances(steps_of(tables), dict(tables.where.allowed), {name: None}).cells()
    return frozenset(value for (value,) in cells)


def _overshoot(draw: _Draw, surplus: Counter[tuple[str, str]]) -> float:
    """Return the surplus of personas with the values of a draw if it is chosen, summed over the attributes."""
    return sum(
        max(0.0, surplus[name, draw.values[name]] + 1 - distribution.probabilities[draw.values[name]])
        for name, distribution in draw.covered.items()
    )
