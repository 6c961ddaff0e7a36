"""Coverage of attribute pairs and distance from the tables: designed against independent personas.

python -m benchmarks.personas.coverage
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from personagen.builder.planning.personas.drawing import (
    COVERED_ATTRIBUTES,
    draw_values,
    make_design,
    possible_pairs,
    value_pairs,
)
from personagen.builder.planning.personas.tables import coherence_rules, persona_tables

SEEDS = range(5)
REFERENCE = 100_000
"""Independent personas that represent the tables and the attainable pairs."""


def main() -> None:
    """Print one table: means over the seeds."""
    tables = persona_tables()
    reference = [draw_values(tables, 1_000_003, number, 0) for number in range(REFERENCE)]
    possible = {pair for values in reference for pair in value_pairs(values)}
    broken = sum(is_incoherent(values) for values in reference)
    print(f"{broken} of {REFERENCE} personas are incoherent by the {len(coherence_rules())} rules")
    print(f"{len(possible)} of {possible_pairs(tables)} pairs of values were met by them\n")
    print("| personas | pairs met: design | independent | distance from the tables: design | independent |")
    print("| --- | --- | --- | --- | --- |")
    for count in (36, 100, 500, 2000):
        designed, independent = [], []
        for seed in SEEDS:
            choices = make_design(tables, seed, count).choices
            designed.append([draw_values(tables, seed, number, draw) for number, draw in enumerate(choices)])
            independent.append([draw_values(tables, seed, number, 0) for number in range(count)])
        cells = [
            *(f"{mean(_pairs(people) for people in group) / len(possible):.1%}" for group in (designed, independent)),
            *(
                f"{mean(distance(people, reference, COVERED_ATTRIBUTES) for people in group):.3f}"
                for group in (designed, independent)
            ),
        ]
        print(f"| {count} | {' | '.join(cells)} |")


def _pairs(people: Sequence[dict[str, Any]]) -> int:
    return len({pair for values in people for pair in value_pairs(values)})


def is_incoherent(values: Mapping[str, Any]) -> bool:
    """Return whether the values of a persona break a rule of coherence."""
    return any(values[rule.attribute] in rule.never and rule.when.holds(values) for rule in coherence_rules())


def distance(
    people: Sequence[Mapping[str, Any]], reference: Sequence[Mapping[str, Any]], names: Sequence[str]
) -> float:
    """Return the total variation between the fractions of a sample and of the reference, averaged over attributes."""
    distances = []
    for name in names:
        have, want = (Counter(values[name] for values in group) for group in (people, reference))
        distances.append(sum(abs(have[value] / len(people) - want[value] / len(reference)) for value in want) / 2)
    return mean(distances)


if __name__ == "__main__":
    main()
