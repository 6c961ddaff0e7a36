"""A user's script that static analysis must accept without an error; the gate runs pyright on it."""

from pathlib import Path

import personagen as pg
from personagen.builder.planning import Plan, Recipe, make_plan, parse_recipe
from personagen.builder.planning.recipe.sections import (
    BackendChoice,
    Budgets,
    Checks,
    ModelPrice,
    Splits,
    TextRequirements,
)

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


def notebook() -> None:
    """Use every public verb as a notebook does."""
    expected = pg.estimate(rows=700, model="openai:m", emotions=["joy", "fear"], text={"max_words": 40})
    seconds: float | None = expected.seconds
    texts: list[str] = [row.text for row in pg.preview(small, number=3)]
    release = pg.generate("recipe.yaml", rows=14, out=Path("out"), progress=False)
    joy: int = next(count.texts for count in release.counts if count.emotion == "joy")
    ages = release.to_pandas()["demographic.age"]
    chats: tuple[Path, ...] = release.export("messages", split="train").files
    splits = release.load(emotions=["joy"], min_confidence=0.8)
    rows: int = splits["train"].num_rows + pg.load("USER/NAME@v1", split="test").num_rows
    auc: float | None = release.evaluate(reference="goemotions", judges="openai:m").realism.c2st_auc.value
    size = pg.audit(release).associations.to_pandas()
    comparison = pg.compare(small, arms=["none", "situational"], model="openai:m", out="comparison")
    verdicts: list[str] = [claim.verdict for claim in comparison.claims]
    matched = pg.match("real.csv", small, rows=70, examples=False, model="openai:m")
    better: list[str] = [one.training for one in matched.yardsticks if (one.difference_low or 0) > 0]
    page: Path = pg.Comparison("comparison").report()
    try:
        release.push_to_hub("USER/NAME", tag="v1.0.0", private=True)
    except pg.errors.HubError as error:
        print(seconds, texts, joy, ages, chats, rows, auc, size, verdicts, better, page, error)  # noqa: T201
    except pg.PersonaGenError:
        raise
