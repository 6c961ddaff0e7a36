"""A recipe with conditions and balance: personas that fit, pairs covered, and distance from the exact shares.

python -m benchmarks.personas.constraints
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import mean
from time import perf_counter
from typing import Any

from personagen.builder.planning import make_plan, parse_recipe
from personagen.builder.planning.personas.drawing import draw_values, value_pairs
from personagen.builder.planning.personas.people import DrawnPeople
from personagen.builder.planning.personas.tables import coherence_rules

RECIPE = """
rows: 500
personas:
  where:
    occupation: [nurse, "*teacher"]
    country: [Brazil, Japan]
    age: {min: 20, max: 40}
    gender: [woman, man]
  balance: [gender]
"""
SEEDS = range(5)
REFERENCE = 50_000
"""Independent personas that represent the exact shares and the attainable pairs."""


def main() -> None:
    """Print one line per figure: means over the seeds."""
    designed, independent, unfit, broken, women, seconds = [], [], 0, 0, 0, []
    for seed in SEEDS:
        start = perf_counter()
        plan = make_plan(parse_recipe(RECIPE, "recipe", {"seed": seed, "situations_per_persona": 1}))
        people = plan.people
        assert isinstance(people, DrawnPeople)
        personas = [dict(people.persona(number).values) for number in range(500)]
        seconds.append(perf_counter() - start)
        designed.append(personas)
        independent.append(_independent(people, seed, 500))
        unfit += sum(not people.tables.where.holds(values) for values in personas)
        broken += sum(_is_incoherent(values) for values in personas)
        women += sum(values["gender"] == "woman" for values in personas)
    reference = _independent(people, 1_000_003, REFERENCE)
    possible = {pair for values in reference for pair in value_pairs(values)}
    print(RECIPE.strip())
    print(f"personas that do not fit: {unfit} of {500 * len(SEEDS)}; incoherent: {broken}; women: {women}")
    print(f"seconds to plan 500 personas: {mean(seconds):.2f}")
    for name, groups in (("designed", designed), ("independent", independent)):
        pairs = mean(len({pair for values in group for pair in value_pairs(values)}) for group in groups)
        distance = mean(_distance(group, reference) for group in groups)
        print(f"{name}: {pairs / len(possible):.1%} of the pairs of values, distance from the shares {distance:.3f}")


def _independent(people: DrawnPeople, seed: int, count: int) -> list[dict[str, Any]]:
    constraints = people.design.constraints
    return [draw_values(people.tables, seed, number, 0, constraints) for number in range(count)]


def _is_incoherent(values: Mapping[str, Any]) -> bool:
    return any(values[rule.attribute] in rule.never and rule.when.holds(values) for rule in coherence_rules())


def _distance(people: Sequence[Mapping[str, Any]], reference: Sequence[Mapping[str, Any]]) -> float:
    """Return the total variation between the shares of a sample and of the reference, averaged over attributes."""
    distances = []
    for name in ("age_band", "occupation", "country", "settlement", "education", "household", "means", "register"):
        have, want = (Counter(values[name] for values in group) for group in (people, reference))
        distances.append(sum(abs(have[value] / len(people) - want[value] / len(reference)) for value in want) / 2)
    return mean(distances)


if __name__ == "__main__":
    main()
