"""The plan: exact quotas, splits by persona, stable ids, shards that contain every row once."""

from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personagen.builder.core.records import SPLITS
from personagen.builder.planning.plan import Plan, RowPlan, make_plan, request_seed
from personagen.builder.planning.quotas import split_quota
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.recipe.sections import Splits

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
def test_every_row_is_planned_once_with_its_quota_split_persona_and_shard(
    rows: int, per_persona: int, shard_rows: int, train: float
) -> None:
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


def test_turns_of_an_emotion_are_consecutive_from_zero() -> None:
    turns = defaultdict(list)
    for row in rows_of(make_plan(Recipe(rows=100))):
        turns[row.emotion].append(row.turn)
    assert all(sorted(numbers) == list(range(len(numbers))) for numbers in turns.values())


def test_a_persona_gets_different_emotions() -> None:
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


def test_intensities_alternate() -> None:
    planned = rows_of(make_plan(Recipe(rows=70, emotions=("joy",), intensities=("low", "high"))))
    assert Counter(row.intensity for row in planned) == {"low": 35, "high": 35}


def test_equal_seeds_give_equal_plans_and_different_seeds_different_personas() -> None:
    assert make_plan(Recipe(seed=5)) == make_plan(Recipe(seed=5))
    assert make_plan(Recipe(seed=5)).people.design.choices != make_plan(Recipe(seed=6)).people.design.choices


def test_personas_of_the_first_split_do_not_change_when_rows_are_added() -> None:
    few, many = make_plan(Recipe(rows=70)).people.design.choices, make_plan(Recipe(rows=140)).people.design.choices
    assert many[: len(few)] == few


@given(st.integers(0, 10_000), st.integers(0, 100), st.integers(0, 1))
def test_split_quotas_sum_and_are_within_one_of_their_fraction(count: int, percent: int, turn: int) -> None:
    fractions = {"train": percent / 100, "validation": (100 - percent) / 200, "test": (100 - percent) / 200}
    quota = split_quota(count, fractions, turn)
    assert sum(quota.values()) == count
    assert all(abs(quota[split] - count * fractions[split]) <= 1 for split in SPLITS)


def test_ties_of_a_split_quota_alternate_with_the_turn() -> None:
    fractions = {"train": 0.8, "validation": 0.1, "test": 0.1}
    assert split_quota(5, fractions, 0) == split_quota(5, fractions, 2) == {"train": 4, "validation": 1, "test": 0}
    assert split_quota(5, fractions, 1) == split_quota(5, fractions, 3) == {"train": 4, "validation": 0, "test": 1}


def test_emotions_of_a_plan_do_not_all_lose_the_same_split() -> None:
    quotas = make_plan(Recipe(rows=35)).quotas
    assert sum(quota["validation"] for quota in quotas.values()) == 4
    assert sum(quota["test"] for quota in quotas.values()) == 3


def test_rounding_errors_decide_neither_a_whole_quota_nor_a_tie() -> None:
    assert 0.29 * 100 < 29
    assert split_quota(100, {"train": 0.29, "validation": 0.71}) == {"train": 29, "validation": 71}
    fractions = {"train": 0.6, "validation": 0.1, "test": 0.3}
    assert 0.6 * 6 - 3 < 0.1 * 6, "a tie but for rounding errors"
    assert split_quota(6, fractions, 0) == {"train": 4, "validation": 0, "test": 2}
    assert split_quota(6, fractions, 1) == {"train": 3, "validation": 1, "test": 2}


def test_a_plan_without_layers_has_no_personas() -> None:
    assert set(make_plan(Recipe(depth="none")).personas.values()) == {0}
    personas = make_plan(Recipe(depth="none", ablations=("demographic",))).personas
    assert personas == {"train": 28, "validation": 4, "test": 4}


def test_a_row_is_found_by_emotion_and_turn() -> None:
    plan = make_plan(Recipe(rows=70, ablations=("none",)))
    rows = {(row.emotion, row.turn): row for row in rows_of(plan) if row.depth == "situational"}
    assert all(plan.turn(*key) == row for key, row in rows.items())
    with pytest.raises(IndexError):
        plan.turn("joy", 10)


def test_table_sizes_count_the_rows_of_texts_and_layers() -> None:
    plan = make_plan(Recipe(rows=70, depth="demographic", ablations=("none", "sociocultural"), shard_rows=3))
    assert plan.deepest == "sociocultural"
    sizes = plan.table_sizes()
    assert list(sizes)[:3] == [("anger", "train"), ("anger", "validation"), ("anger", "test")]
    assert sum(count for (config, _), count in sizes.items() if config in EMOTIONS) == 70
    assert sum(count for (config, _), count in sizes.items() if config == "depth_none") == 70
    assert {config: sizes[config, "train"] for config in ("demographic", "sociocultural")} == {
        "demographic": plan.personas["train"],
        "sociocultural": plan.personas["train"],
    }
    assert ("situational", "train") not in sizes


@pytest.mark.parametrize("part", ["joy-000001", "joy-000002"])
def test_request_seeds_fit_31_bits_and_depend_on_every_part(part: str) -> None:
    seeds = {request_seed(0, part, stage, attempt) for stage in ("a", "b") for attempt in range(50)}
    assert len(seeds) == 100
    assert all(0 <= seed < 2**31 for seed in seeds)
