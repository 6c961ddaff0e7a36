"""A recipe with conditions and balance: personas that fit, pairs covered, and distance from the exact shares.

python -m benchmarks.personas.constraints
"""

from statistics import mean
from time import perf_counter
from typing import Any

from benchmarks.personas.coverage import distance, is_incoherent
from personagen.builder.planning import make_plan, parse_recipe
from personagen.builder.planning.personas.drawing import draw_values, value_pairs
from personagen.builder.planning.personas.people import DrawnPeople

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

MEASURED = ("age_band", "occupation", "country", "settlement", "education", "household", "means", "register")
"""Attributes whose fractions are compared with the exact ones; the recipe balances gender."""


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
        broken += sum(is_incoherent(values) for values in personas)
        women += sum(values["gender"] == "woman" for values in personas)
    reference = _independent(people, 1_000_003, REFERENCE)
    possible = {pair for values in reference for pair in value_pairs(values)}
    print(RECIPE.strip())
    print(f"personas that do not fit: {unfit} of {500 * len(SEEDS)}; incoherent: {broken}; women: {women}")
    print(f"seconds to plan 500 personas: {mean(seconds):.2f}")
    for name, groups in (("designed", designed), ("independent", independent)):
        pairs = mean(len({pair for values in group for pair in value_pairs(values)}) for group in groups)
        difference = mean(distance(group, reference, MEASURED) for group in groups)
        print(f"{name}: {pairs / len(possible):.1%} of the pairs of values, distance from the shares {difference:.3f}")


def _independent(people: DrawnPeople, seed: int, count: int) -> list[dict[str, Any]]:
    constraints = people.design.constraints
    return [draw_values(people.tables, seed, number, 0, constraints) for number in range(count)]


if __name__ == "__main__":
    main()
