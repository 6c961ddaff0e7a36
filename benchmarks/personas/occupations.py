"""Women among the workers of occupations: the tables of personas against published shares.

python -m benchmarks.personas.occupations
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean
from typing import Any

import yaml

from personagen.builder.core.package_data import read_yaml
from personagen.builder.planning.personas.chances import Chances
from personagen.builder.planning.personas.steps import steps_of
from personagen.builder.planning.personas.tables import PersonaTables, make_table, parse_condition, persona_tables

PUBLISHED = """
- name: ILO, Where women work (2023), all countries
  source: https://ilostat.ilo.org/where-women-work-female-dominated-occupations-and-sectors/
  licence: CC BY 4.0
  countries: null
  groups:
    childcare workers and teachers' aides: {codes: ["531"], women: 94}
    nursing associate professionals: {codes: ["322"], women: 82}
    nurses and midwives: {codes: ["222"], women: 81}
    cleaners and helpers: {codes: ["911"], women: 75}
    primary and early childhood teachers: {codes: ["234"], women: 67}
    personal care workers in health: {codes: ["532"], women: 62}
    garment workers: {codes: ["753"], women: 60}
    food preparation assistants: {codes: ["941"], women: 60}
    librarians and curators: {codes: ["262"], women: 60}
    secretaries: {codes: ["412"], women: 55}
- name: Eurostat, Labour Force Survey, third quarter of 2023, major groups, European Union
  source: https://ec.europa.eu/eurostat/web/products-eurostat-news/w/edn-20240304-1
  licence: CC BY 4.0
  countries: [Ireland, Germany, France, Italy, Spain, Poland, Sweden, Netherlands]
  groups:
    managers: {codes: ["1"], women: 35}
    professionals: {codes: ["2"], women: 54}
    technicians: {codes: ["3"], women: 50}
    clerical support workers: {codes: ["4"], women: 66}
    service and sales workers: {codes: ["5"], women: 64}
    craft workers: {codes: ["7"], women: 11}
    machine operators: {codes: ["8"], women: 18}
    elementary occupations: {codes: ["9"], women: 53}
- name: the same, some occupations (no figure of a title is from these)
  source: https://ec.europa.eu/eurostat/web/products-eurostat-news/w/edn-20240304-1
  licence: CC BY 4.0
  countries: [Ireland, Germany, France, Italy, Spain, Poland, Sweden, Netherlands]
  groups:
    childcare workers and teachers' aides: {codes: ["531"], women: 93}
    secretaries: {codes: ["412"], women: 89}
    primary and early childhood teachers: {codes: ["234"], women: 88}
    nurses and midwives: {codes: ["222"], women: 88}
    cleaners and helpers: {codes: ["911"], women: 87}
    building trades: {codes: ["711"], women: 1}
    machinery mechanics: {codes: ["723"], women: 3}
    electrical installers: {codes: ["741"], women: 3}
    metal moulders and welders: {codes: ["721"], women: 4}
    heavy lorry and bus drivers: {codes: ["833"], women: 4}
"""
"""Percentages of women as published, rounded; approximate: true. They are facts quoted with their sources."""

Joint = Mapping[tuple[str, ...], float]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Women among the workers of an occupation, per cent: published, with the former table, with the present one."""

    group: str
    published: float
    before: float
    after: float


def main() -> None:
    """Print a table per source, and the mean absolute differences."""
    for source in yaml.safe_load(PUBLISHED):
        rows = compared(source["groups"], source["countries"])
        print(f"{source['name']} ({source['source']}, {source['licence']}, rounded)\n")
        print("| occupation | published | former table | table |\n| --- | ---: | ---: | ---: |")
        for row in rows:
            print(f"| {row.group} | {row.published:.0f} | {row.before:.0f} | {row.after:.0f} |")
        print(f"| mean absolute difference | | {difference(rows, 'before'):.1f} | {difference(rows, 'after'):.1f} |\n")


def compared(groups: Mapping[str, Mapping[str, Any]], countries: Sequence[str] | None) -> list[Comparison]:
    """Return the fractions of women in groups of occupations, exactly as the tables give them."""
    tables = persona_tables()
    before, after = _employed(former(tables), countries), _employed(tables, countries)
    rows = []
    for group, facts in groups.items():
        shares = [_women(tables, joint, tuple(facts["codes"])) for joint in (before, after)]
        rows.append(Comparison(group, float(facts["women"]), *shares))
    return rows


def difference(rows: Sequence[Comparison], which: str) -> float:
    """Return the mean absolute difference from the published percentages."""
    return mean(abs(getattr(row, which) - row.published) for row in rows)


def former(tables: PersonaTables) -> PersonaTables:
    """Return the tables with occupations as before 2026-11-29: by work status alone, whatever gender and country."""
    entry = next(entry for entry in read_yaml("demographic.yaml")["attributes"] if entry["name"] == "occupation")
    rows = [(parse_condition(row["when"]), row["shares"]) for row in entry["rows"]]
    replaced = [
        make_table(table.name, rows, table.rules) if table.name == "occupation" else table for table in tables.tables
    ]
    return replace(tables, tables=tuple(replaced))


def _employed(tables: PersonaTables, countries: Sequence[str] | None) -> Joint:
    """Return the probabilities of gender and occupation among the employed."""
    accepted = {"work": frozenset({"employed"})} | ({"country": frozenset(countries)} if countries else {})
    return Chances(steps_of(tables), accepted, {"gender": None, "occupation": None}).cells()


def _women(tables: PersonaTables, joint: Joint, codes: tuple[str, ...]) -> float:
    counts = {"woman": 0.0, "man": 0.0, "nonbinary": 0.0}
    for (gender, occupation), probability in joint.items():
        if str(tables.job_of(occupation)["isco"]).startswith(codes):
            counts[gender] += probability
    return 100 * counts["woman"] / (counts["woman"] + counts["man"])


if __name__ == "__main__":
    main()
