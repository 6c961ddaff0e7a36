"""Models of rows: exact quotas, crossed with intensity, expression and split, and the model of a persona's prose."""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personagen.builder.core.errors import RecipeError
from personagen.builder.planning.counterfactuals import add_counterfactuals
from personagen.builder.planning.models import quotas_of_models, require_rows_of_every_model
from personagen.builder.planning.plan import Plan, RowPlan, make_plan
from personagen.builder.planning.recipe.parsing import parse_recipe

THREE_TO_ONE = [{"kind": "openai", "model": "a", "share": 3}, {"kind": "openai", "model": "b", "share": 1}]
"""Two models with shares of 3 and 1."""


def plan_of(backend: Sequence[dict[str, Any]] = THREE_TO_ONE, **keys: Any) -> Plan:
    return make_plan(parse_recipe("", "test", {"backend": list(backend), **keys}))


def rows_of(plan: Plan) -> list[RowPlan]:
    """Return all rows at the depth of the recipe."""
    return [row for shard in plan.shards() if shard.emotion is not None for row in plan.rows(shard)]


def fractions(rows: Sequence[RowPlan], key: Callable[[RowPlan], Hashable]) -> dict[Hashable, float]:
    """Return the fraction of the second model by a property of the rows."""
    totals = Counter(map(key, rows))
    return {value: sum(row.model for row in rows if key(row) == value) / total for value, total in totals.items()}


@given(
    shares=st.lists(st.floats(0.01, 100), min_size=2, max_size=5),
    rows=st.lists(st.integers(1, 60), min_size=1, max_size=9),
)
def test_each_model_has_its_fraction_of_every_emotion_and_of_all_texts(shares: list[float], rows: list[int]) -> None:
    exact = [share / sum(shares) for share in shares]
    quotas = quotas_of_models(exact, {str(emotion): count for emotion, count in enumerate(rows)})
    for count, quota in zip(rows, quotas.values(), strict=True):
        assert sum(quota) == count
        assert all(abs(got - fraction * count) < 1 + 1e-6 for got, fraction in zip(quota, exact, strict=True))
    totals = [sum(quota[model] for quota in quotas.values()) for model in range(len(shares))]
    assert all(abs(got - fraction * sum(rows)) < 2 for got, fraction in zip(totals, exact, strict=True))


def test_a_small_share_gets_its_texts_over_many_emotions() -> None:
    quotas = quotas_of_models([0.95, 0.05], {str(emotion): 4 for emotion in range(10)})
    assert sum(quota[1] for quota in quotas.values()) == 2


def test_models_are_crossed_with_intensity_expression_and_split() -> None:
    keys: dict[str, Any] = {"rows": 1200, "emotions": ["joy", "anger"], "intensities": ["low", "high"]}
    rows = rows_of(plan_of(**keys, expression={"named": 0.5, "voiced": 0.2, "shown": 0.3}))
    assert fractions(rows, lambda row: row.emotion) == {"joy": 0.25, "anger": 0.25}
    properties: list[Callable[[RowPlan], Hashable]] = [
        lambda row: row.intensity,
        lambda row: row.style and row.style.expression,
        lambda row: row.split,
        lambda row: row.situation,
    ]
    for key in properties:
        assert all(abs(fraction - 0.25) < 0.06 for fraction in fractions(rows, key).values())


def test_the_model_of_a_row_depends_on_seed_and_row_alone() -> None:
    plan = plan_of(rows=140)
    rows = rows_of(plan)
    assert rows == rows_of(plan_of(rows=140))
    assert [row.model for row in rows] != [row.model for row in rows_of(plan_of(rows=140, seed=1))]
    assert all(plan.turn(row.emotion, row.turn) == row for row in rows)


def test_models_leave_personas_situations_and_styles_as_they_are() -> None:
    single = make_plan(parse_recipe("", "test", {"rows": 70, "backend.kind": "openai", "backend.model": "a"}))
    assert {row.model for row in rows_of(single)} == {0}
    for row, other in zip(rows_of(plan_of(rows=70)), rows_of(single), strict=True):
        assert (row.id, row.persona, row.situation, row.style) == (
            other.id,
            other.persona,
            other.situation,
            other.style,
        )


@pytest.mark.parametrize("situations", [1, 2, 3])
@pytest.mark.parametrize("quotas", [None, {"joy": 31, "anger": 5, "fear": 17}])
def test_the_prose_of_a_persona_is_by_the_model_of_its_first_row(
    situations: int, quotas: dict[str, int] | None
) -> None:
    keys: dict[str, Any] = {
        "rows": 53,
        "emotions": ["joy", "anger", "fear"],
        "quotas": quotas,
        "situations_per_persona": situations,
    }
    plan = plan_of(**keys)
    first = {row.persona: row.model for row in rows_of(plan) if row.situation == 0}
    assert len(first) == sum(plan.personas.values()) > 0
    assert {number: plan.model_of_persona(number) for number in first} == first
    assert set(first.values()) == {0, 1}


def test_ablations_and_counterfactuals_have_the_model_of_their_row() -> None:
    changes = {"attributes": {"gender": ["woman", "man"]}}
    plan = add_counterfactuals(plan_of(rows=70, ablations=["none"], counterfactual=changes))
    models = {row.id: row.model for row in rows_of(plan)}
    repeated = [row for shard in plan.shards() if shard.emotion is None for row in plan.rows(shard)]
    assert {row.depth for row in repeated} == {"none", "situational"}
    for row in repeated:
        original = row.counterfactual.original_id if row.counterfactual else row.id.removesuffix("-none")
        assert row.model == models[original]


def test_a_model_without_a_row_is_refused() -> None:
    plan = plan_of([{"kind": "openai", "model": name} for name in "abc"], rows=2, emotions=["joy", "fear"])
    with pytest.raises(
        RecipeError, match=r"^backend\.2: c gets none of 2 rows of 2 emotions with a fraction of 0\.333"
    ):
        require_rows_of_every_model(plan.recipe, plan.model_quotas)
    require_rows_of_every_model(plan_of(rows=14).recipe, plan_of(rows=14).model_quotas)
