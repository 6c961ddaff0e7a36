"""The plan: exact quotas, splits by persona, stable ids, shards that hold every row once."""

from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personagen.builder.core.records import SPLITS
from personagen.builder.planning.plan import Plan, RowPlan, make_plan, request_seed, split_quota
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.sections import Splits

EMOTIONS = ("anger", "disgust", "fear", "joy", "sadness", "surprise", "neutral")


def rows_of(plan: Plan) -> list[RowPlan]:
    return [row for shard in plan.shards() for row in plan.rows(shard)]


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(7, 400),
    per_persona=st.integers(1, 9),
    shard_rows=st.integers(1, 60),
    train=st.sampled_from((0.8, 0.5, 1.0, 0.0)),
)
def test_every_plan_keeps_its_promises(rows: int, per_persona: int, shard_rows: int, train: float) -> None:
    splits = Splits(train=train, validation=(1 - train) / 2, test=(1 - train) / 2)
    recipe = Recipe(rows=rows, situations_per_persona=per_persona, shard_rows=shard_rows, splits=splits)
    plan = make_plan(recipe)
    planned = rows_of(plan)
    assert len(planned) == rows
    assert Counter(row.emotion for row in planned) == recipe.quota()
    assert len({row.id for row in planned}) == rows
    split_of = defaultdict(set)
    for row in planned:
        split_of[row.persona].add(row.split)
    assert all(len(splits) == 1 for splits in split_of.values())
    assert set(split_of) == set(range(sum(plan.personas.values())))
    assert max(Counter(row.persona for row in planned).values()) <= per_persona
    assert len({(row.persona, row.situation) for row in planned}) == rows
    assert all(0 < shard.stop - shard.start <= shard_rows for shard in plan.shards())
    assert len({shard.path for shard in plan.shards()}) == len(plan.shards())


def test_turns_of_an_emotion_run_from_zero_without_a_gap() -> None:
    turns = defaultdict(list)
    for row in rows_of(make_plan(Recipe(rows=100))):
        turns[row.emotion].append(row.turn)
    assert all(sorted(found) == list(range(len(found))) for found in turns.values())


def test_a_persona_meets_different_emotions() -> None:
    met = defaultdict(list)
    for row in rows_of(make_plan(Recipe(rows=140, situations_per_persona=7))):
        met[row.persona].append(row.emotion)
    assert all(len(set(emotions)) == len(emotions) for emotions in met.values())


def test_an_ablation_repeats_every_row_at_its_depth() -> None:
    planned = rows_of(make_plan(Recipe(rows=70, ablations=("none", "demographic"))))
    by_depth = defaultdict(set)
    for row in planned:
        by_depth[row.depth].add((row.emotion, row.split, row.persona, row.situation, row.turn))
    assert by_depth["situational"] == by_depth["none"] == by_depth["demographic"]
    assert len({row.id for row in planned}) == 210
    assert "joy-000003" in {row.id for row in planned}
    assert "joy-000003-none" in {row.id for row in planned}


def test_shards_are_named_as_push_to_hub_names_them() -> None:
    paths = [shard.path for shard in make_plan(Recipe(rows=70, shard_rows=5, ablations=("none",))).shards()]
    assert paths[:4] == [
        "anger/train-00000-of-00002.parquet",
        "anger/train-00001-of-00002.parquet",
        "anger/validation-00000-of-00001.parquet",
        "anger/test-00000-of-00001.parquet",
    ]
    assert "depth_none/train-00011-of-00012.parquet" in paths


def test_intensities_take_turns() -> None:
    planned = rows_of(make_plan(Recipe(rows=70, emotions=("joy",), intensities=("low", "high"))))
    assert Counter(row.intensity for row in planned) == {"low": 35, "high": 35}


def test_the_same_seed_plans_the_same_and_another_seed_other_personas() -> None:
    assert make_plan(Recipe(seed=5)) == make_plan(Recipe(seed=5))
    assert make_plan(Recipe(seed=5)).design != make_plan(Recipe(seed=6)).design


def test_personas_of_the_first_split_do_not_change_when_rows_are_added() -> None:
    few, many = make_plan(Recipe(rows=70)).design.choices, make_plan(Recipe(rows=140)).design.choices
    assert many[: len(few)] == few


@given(st.integers(0, 10_000), st.integers(0, 100))
def test_split_quotas_sum_and_stay_within_one_of_their_share(count: int, percent: int) -> None:
    shares = {"train": percent / 100, "validation": (100 - percent) / 200, "test": (100 - percent) / 200}
    quota = split_quota(count, shares)
    assert sum(quota.values()) == count
    assert all(abs(quota[split] - count * shares[split]) <= 1 for split in SPLITS)


@pytest.mark.parametrize("part", ["joy-000001", "joy-000002"])
def test_request_seeds_fit_31_bits_and_depend_on_every_part(part: str) -> None:
    seeds = {request_seed(0, part, stage, attempt) for stage in ("a", "b") for attempt in range(50)}
    assert len(seeds) == 100
    assert all(0 <= seed < 2**31 for seed in seeds)
