"""The draws that make a persona, as a chain: each attribute has a distribution given those drawn before.

Attributes of the tables come first, then the Big Five traits, then the attributes of the recipe.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from statistics import NormalDist
from typing import Any

from personagen.builder.planning.personas.tables import Distribution, PersonaTables, Table, make_distribution

STANDARD_NORMAL = NormalDist()

INTEGRATION_POINTS = 1000
"""Quantiles of the latent MBTI variable over which the distribution of a trait is averaged."""

TAIL = 1e-9
"""Least distance of a quantile from 0 and 1."""


@dataclass(frozen=True, slots=True)
class Step:
    """The draw of one attribute.

    Attributes:
        name: the attribute.
        depends_on: attributes, drawn before, that its distribution depends on.
        distribution: returns the distribution given the attributes drawn before.
        mask: returns, for an attribute and its value, all that the distribution depends on of it.
        derive: returns the attributes that a drawn value determines, itself included.

    """

    name: str
    depends_on: tuple[str, ...]
    distribution: Callable[[Mapping[str, Any]], Distribution]
    mask: Callable[[str, Any], Hashable]
    derive: Callable[[Any], Mapping[str, Any]]


def steps_of(tables: PersonaTables) -> tuple[Step, ...]:
    """Return the draws of a persona, in order; the age is drawn as a band, and then as a year."""
    steps: list[Step] = []
    for table in tables.tables:
        if table.name == "age":
            steps.append(_table_step(table, "age_band"))
            steps.append(Step("age", ("age_band",), _year, _whole, partial(_only, "age")))
        elif table.name == "occupation":
            steps.append(Step(table.name, table.depends_on, table.distribution, table.mask, partial(_job, tables)))
        else:
            steps.append(_table_step(table, table.name))
    for trait in tables.big_five:
        given = ("mbti",) if tables.big_five[trait] else ()
        steps.append(
            Step(
                trait,
                given,
                partial(_percentiles, tables, trait),
                partial(_letter, tables, trait),
                partial(_only, trait),
            )
        )
    return (*steps, *(_table_step(table, table.name) for table in tables.own))


def _table_step(table: Table, name: str) -> Step:
    return Step(name, table.depends_on, table.distribution, table.mask, partial(_only, name))


def _only(name: str, value: Any) -> Mapping[str, Any]:
    return {name: value}


def _job(tables: PersonaTables, title: str) -> Mapping[str, Any]:
    job = tables.job_of(title)
    return {
        "occupation": title, "occupation_group": job["group"], "isco08": job["isco"], "workplace": job["workplace"],
    }  # fmt: skip


def _whole(name: str, value: Any) -> Hashable:
    key: Hashable = value
    return key


def _year(values: Mapping[str, Any]) -> Distribution:
    return _years(values["age_band"])


@cache
def _years(band: str) -> Distribution:
    years = years_of(band)
    return make_distribution(dict.fromkeys(years, 1 / len(years)))


def years_of(band: str) -> range:
    """Return the ages of a band such as "20-24"."""
    low, high = map(int, band.split("-"))
    return range(low, high + 1)


def _letter(tables: PersonaTables, trait: str, name: str, value: Any) -> Hashable:
    link = tables.big_five[trait]
    return link is not None and link[0] in value


def _percentiles(tables: PersonaTables, trait: str, values: Mapping[str, Any]) -> Distribution:
    link = tables.big_five[trait]
    if link is None:
        return _trait_distribution(0.0, 0.0, 1.0)
    letter, correlation = link
    probability = tables.letter_probabilities[letter]
    low, high = (1 - probability, 1.0) if letter in values["mbti"] else (0.0, 1 - probability)
    return _trait_distribution(correlation, low, high)


@cache
def _trait_distribution(correlation: float, low: float, high: float) -> Distribution:
    """Return the distribution of a percentile, given that the quantile of the latent variable is in [low, high].

    The integral over the latent variable is a mean over INTEGRATION_POINTS quantiles; `drawing` draws from it directly.
    """
    noise = (1 - correlation**2) ** 0.5
    points = [low + (high - low) * (number + 0.5) / INTEGRATION_POINTS for number in range(INTEGRATION_POINTS)]
    latent = [STANDARD_NORMAL.inv_cdf(min(max(point, TAIL), 1 - TAIL)) for point in points] if correlation else [0.0]
    edges = [0.0]
    for percentile in range(1, 99):  # rounding: percentile k is a quantile between k - 0.5 and k + 0.5 per cent
        bound = STANDARD_NORMAL.inv_cdf((percentile + 0.5) / 100)
        below = (STANDARD_NORMAL.cdf((bound - correlation * value) / noise) for value in latent)
        edges.append(sum(below) / len(latent))
    edges.append(1.0)
    return make_distribution({number: edges[number] - edges[number - 1] for number in range(1, 100)})
