"""Shares of occupations by gender and country, computed from shares of major groups and fractions of women.

Among the employed of a group of countries, P(title | gender) is proportional to
P(group) * P(gender | group) * P(title | group) * P(gender | title) / P(gender | titles of the group).
The last three factors are the shares of the titles among the workers of one gender in a group.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

GENDERS = {"woman": 1.0, "man": -1.0, "nonbinary": 0.0}
"""Gender of a row, and the sign of a title's lead of women in its fraction of the gender."""


def occupation_rows(entry: Mapping[str, Any], weights: Mapping[str, float]) -> Iterator[dict[str, Any]]:
    """Yield a row of the table of occupations for each group of countries and gender; its shares sum to 100.

    Args:
        entry: the table of occupations: `employment`, `women` and `catalogue`.
        weights: weight of each title; only the proportions within a major group count.

    """
    for countries in entry["employment"]:
        for gender in GENDERS:
            shares = dict(_shares(entry, weights, countries["groups"], gender))
            total = sum(shares.values())
            yield {
                "when": {**countries["when"], "gender": [gender]},
                "shares": {title: 100 * share / total for title, share in shares.items()},
            }


def fraction_of_women(code: str, by_prefix: Mapping[str, float]) -> float:
    """Return the fraction of women among the workers of an ISCO-08 unit group, by the longest prefix of its code."""
    return next(by_prefix[code[:size]] / 100 for size in range(len(code), 0, -1) if code[:size] in by_prefix)


def _shares(
    entry: Mapping[str, Any], weights: Mapping[str, float], groups: Mapping[str, Any], gender: str
) -> Iterator[tuple[str, float]]:
    """Yield the titles, each with its share among the workers of a gender, up to a constant factor."""
    catalogue, sign = entry["catalogue"], GENDERS[gender]
    workers = {
        title: weight * _of_gender(fraction_of_women(catalogue[title]["isco"], entry["women"]), sign)
        for title, weight in weights.items()
    }
    of_group: dict[str, float] = defaultdict(float)
    for title, count in workers.items():
        of_group[catalogue[title]["group"]] += count
    for title, count in workers.items():
        group = catalogue[title]["group"]
        share = groups[group]["share"] * _of_gender(groups[group]["women"] / 100, sign)
        yield title, share * count / of_group[group]


def _of_gender(women: float, sign: float) -> float:
    """Return the fraction of a gender among workers; for nonbinary personas 0.5, as all titles are alike."""
    return 0.5 + sign * (women - 0.5)
