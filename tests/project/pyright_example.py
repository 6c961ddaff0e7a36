"""A user's script that a type checker must accept without an error; the gate runs pyright on it."""

from personagen.builder.planning import Plan, Recipe, make_plan, parse_recipe
from personagen.builder.planning.sections import BackendChoice, Budgets, Checks, ModelPrice, Splits, TextRequirements

small = Recipe(rows=14)
named = Recipe(name="envy", seed=7, taxonomy="plutchik", emotions=("joy", "trust"), intensities=("low", "high"))
costly = Recipe(
    rows=700,
    emotions=("joy",),
    depth="sociocultural",
    ablations=("none",),
    splits=Splits(train=0.5, validation=0.25, test=0.25),
    text=TextRequirements(max_words=60, language=None),
    checks=Checks(leak="reject", attempts=3),
    backend=BackendChoice(kind="openai", model="m", rpm=60),
    prices={"m": ModelPrice(input=0.15, output=0.6)},
    budget=Budgets(max_cost=2.5),
    license="cc-by-4.0",
)
parsed: Recipe = parse_recipe("rows: 70", "example", {"backend.kind": "openai", "backend.model": "m"})
plan: Plan = make_plan(costly)
counts: dict[str, int] = costly.quota()
fingerprint: str = parsed.fingerprint()
ids: list[str] = [row.id for shard in plan.shards() for row in plan.rows(shard)]
