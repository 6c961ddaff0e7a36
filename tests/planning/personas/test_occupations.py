"""Occupations by gender and by country: the computed rows, and their ties in the draws."""

from dataclasses import replace

import pytest
import yaml

from benchmarks.personas.occupations import PUBLISHED, compared, difference
from personagen.builder.core.package_data import read_yaml
from personagen.builder.planning.personas.drawing import draw_values
from personagen.builder.planning.personas.occupations import fraction_of_women, occupation_rows
from personagen.builder.planning.personas.tables import make_table, parse_condition, persona_tables

ENTRY = next(entry for entry in read_yaml("demographic.yaml")["attributes"] if entry["name"] == "occupation")
WEIGHTS = ENTRY["rows"][-1]["shares"]
ROWS = list(occupation_rows(ENTRY, WEIGHTS))


def groups_of(shares: dict[str, float]) -> dict[str, float]:
    groups: dict[str, float] = {}
    for title, share in shares.items():
        group = ENTRY["catalogue"][title]["group"]
        groups[group] = groups.get(group, 0.0) + share
    return groups


def test_every_group_of_countries_has_a_row_per_gender_that_sums_to_100() -> None:
    assert len(ROWS) == 9
    countries = [country for entry in ENTRY["employment"] for country in entry["when"]["country"]]
    tables = {table.name: table for table in persona_tables().tables}
    assert sorted(countries) == sorted(tables["country"].known_values())
    for row in ROWS:
        assert sum(row["shares"].values()) == pytest.approx(100) and set(row["shares"]) == set(WEIGHTS)
    for entry in ENTRY["employment"]:
        assert sum(group["share"] for group in entry["groups"].values()) == pytest.approx(100)


def test_major_groups_have_the_published_shares_and_women() -> None:
    """P(group | gender) is P(group) P(gender | group) / P(gender), whatever the titles within the group."""
    for number, entry in enumerate(ENTRY["employment"]):
        women, men, nonbinary = (groups_of(row["shares"]) for row in ROWS[3 * number : 3 * number + 3])
        total = sum(group["share"] * group["women"] for group in entry["groups"].values())
        rest = sum(group["share"] * (100 - group["women"]) for group in entry["groups"].values())
        for name, group in entry["groups"].items():
            assert women[name] == pytest.approx(100 * group["share"] * group["women"] / total)
            assert men[name] == pytest.approx(100 * group["share"] * (100 - group["women"]) / rest)
            assert nonbinary[name] == pytest.approx(group["share"])


def test_titles_of_a_group_differ_by_their_fraction_of_women() -> None:
    women, men = ROWS[0]["shares"], ROWS[1]["shares"]
    odds = {title: women[title] / men[title] for title in ("nurse", "software developer", "secondary school teacher")}
    for one, other in (("nurse", "software developer"), ("nurse", "secondary school teacher")):
        published = [fraction_of_women(ENTRY["catalogue"][title]["isco"], ENTRY["women"]) for title in (one, other)]
        wanted = published[0] / (1 - published[0]) / (published[1] / (1 - published[1]))
        assert odds[one] / odds[other] == pytest.approx(wanted)


def test_the_longest_prefix_of_a_code_applies() -> None:
    assert fraction_of_women("2341", {"23": 50, "234": 60, "2341": 70}) == 0.7
    assert fraction_of_women("2342", {"23": 50, "234": 60, "2341": 70}) == 0.6
    for job in ENTRY["catalogue"].values():
        assert 0 < fraction_of_women(job["isco"], ENTRY["women"]) < 1


def test_the_difference_from_published_shares_is_at_most_half_of_the_former_one() -> None:
    """Also for occupations of the European Union whose figures went into no title."""
    for source in yaml.safe_load(PUBLISHED):
        rows = compared(source["groups"], source["countries"])
        assert difference(rows, "after") <= difference(rows, "before") / 2, source["name"]


def test_what_a_table_depends_on_shifts_no_other_draw() -> None:
    tables = persona_tables()
    rows = [(parse_condition(row["when"]), row["shares"]) for row in ENTRY["rows"]]
    untied = [make_table(table.name, rows, ()) if table.name == "occupation" else table for table in tables.tables]
    other = replace(tables, tables=tuple(untied))
    for number in range(200):
        one, two = draw_values(tables, 4, number, 1), draw_values(other, 4, number, 1)
        for name in ("age", "gender", "work", "mbti", "country", "openness", "neuroticism"):
            assert one[name] == two[name]
