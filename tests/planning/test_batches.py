"""Plans that grow: earlier rows stay as they are, later ones have numbers and personas of their own."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personagen.builder.core.errors import RecipeError
from personagen.builder.planning.batches import rows_in_order
from personagen.builder.planning.counterfactuals import add_counterfactuals
from personagen.builder.planning.plan import Plan, RowPlan, make_plan
from personagen.builder.planning.recipe.parsing import parse_recipe
from personagen.builder.planning.situations.dealing import event_of

TWO: dict[str, Any] = {"emotions": ["joy", "fear"], "seed": 3}


def planned(**changes: Any) -> Plan:
    return make_plan(parse_recipe("", "r", TWO | changes))


def rows_of(plan: Plan) -> list[RowPlan]:
    return [row for shard in plan.shards() for row in plan.rows(shard)]


MIXED: dict[str, Any] = {
    "intensities": ["low", "high"],
    "expression": {"named": 0.5, "shown": 0.5},
    "ablations": ["none"],
}


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 20), st.booleans())
def test_rows_of_the_first_batch_are_those_of_the_recipe_without_batches(
    joy: int, fear: int, more: int, is_mixed: bool
) -> None:
    changes = MIXED if is_mixed else {}
    first = planned(rows=joy + fear, quotas={"joy": joy, "fear": fear}, **changes)
    batches = [{"joy": joy, "fear": fear}, {"joy": more, "fear": 1}]
    grown = planned(rows=joy + fear + more + 1, batches=batches, **changes)
    by_id = {row.id: row for row in rows_of(grown)}
    assert len(by_id) == len(rows_of(grown)) == (joy + fear + more + 1) * (1 + is_mixed)
    assert {row.id: row for row in rows_of(first)}.items() <= by_id.items()
    assert Counter(row.emotion for row in by_id.values())["joy"] == (joy + more) * (1 + is_mixed)


def test_rows_that_are_added_come_after_all_others() -> None:
    changes = {**MIXED, "counterfactual": {"attributes": {"gender": ["woman", "man"]}}}
    batches = [{"joy": 8, "fear": 6}, {"joy": 3}, {"joy": 2, "fear": 9}]
    orders = []
    for number in (1, 2, 3):
        rows = sum(sum(batch.values()) for batch in batches[:number])
        plan = add_counterfactuals(planned(rows=rows, batches=batches[:number], **changes))
        orders.append([*rows_in_order(plan)])
        expected = [(shard.config, row) for shard in plan.shards() for row in plan.rows(shard)]
        assert Counter((config, row.id) for config, row in orders[-1]) == Counter(
            (name, row.id) for name, row in expected
        )
    assert orders[1][: len(orders[0])] == orders[0]
    assert orders[2][: len(orders[1])] == orders[1]


def test_counterfactuals_of_a_number_of_pairs_stay() -> None:
    wanted = {"counterfactual": {"attributes": {"gender": ["woman", "man"]}, "pairs": 11}}
    first = add_counterfactuals(planned(rows=18, quotas={"joy": 14, "fear": 4}, **wanted))
    grown = add_counterfactuals(planned(rows=28, batches=[{"joy": 14, "fear": 4}, {"fear": 10}], **wanted))
    assert grown.counterfactuals == first.counterfactuals


def test_rows_personas_and_turns_are_numbered_through() -> None:
    plan = planned(rows=60, batches=[{"joy": 10, "fear": 10}, {"joy": 15, "fear": 5}, {"joy": 10, "fear": 10}])
    for emotion in ("joy", "fear"):
        turns = {row.turn: row for row in rows_of(plan) if row.emotion == emotion}
        assert [*sorted(turns)] == [*range(35 if emotion == "joy" else 25)]
        assert all(plan.turn(emotion, turn) == row for turn, row in turns.items())
        with pytest.raises(IndexError):
            plan.turn(emotion, len(turns))
    personas = {row.persona for row in rows_of(plan)}
    assert personas == set(range(sum(plan.personas.values())))
    assert {plan.people.persona(number).id for number in personas} == {f"p{number:06d}" for number in personas}
    splits = {(row.persona, row.split) for row in rows_of(plan)}
    assert len(splits) == len(personas)


def test_personas_of_a_later_batch_are_drawn_with_a_seed_of_their_own() -> None:
    plan = planned(rows=40, batches=[{"joy": 10, "fear": 10}, {"joy": 10, "fear": 10}])
    people = [plan.people.persona(number).values for number in range(20)]
    assert people[:10] == [planned(rows=20).people.persona(number).values for number in range(10)]
    assert people[:10] != people[10:]
    assert plan.people.pairs_met > planned(rows=20).people.pairs_met


def test_events_of_earlier_rows_stay() -> None:
    first, grown = planned(rows=20), planned(rows=100, batches=[{"joy": 10, "fear": 10}, {"joy": 40, "fear": 40}])
    emotions = first.recipe.chosen_taxonomy()
    for row in rows_of(first):
        assert event_of(first, emotions[row.emotion], row, {}) == event_of(grown, emotions[row.emotion], row, {})


def test_an_emotion_may_be_absent_from_a_batch() -> None:
    plan = planned(rows=13, batches=[{"joy": 5, "fear": 5}, {"joy": 3}])
    assert sum(plan.quotas["fear"].values()) == 5
    assert plan.turn("joy", 7).id == "joy-000007"
    without_personas = planned(rows=13, batches=[{"joy": 5, "fear": 5}, {"joy": 3}], depth="none")
    assert sum(without_personas.personas.values()) == 0
    assert {row.persona for row in rows_of(without_personas)} <= set(range(13))


@pytest.mark.parametrize(
    ("batches", "rows", "changes", "message"),
    [
        ([{"joy": 2, "fear": 2}], 5, {}, "batches sum to 4, wanted rows = 5; change one of them"),
        ([{"joy": 2, "anger": 2}], 4, {}, "batches: unknown emotion 'anger'; known: joy, fear"),
        ([{"joy": 2, "feer": 2}], 4, {}, "batches: unknown emotion 'feer', did you mean 'fear'?; known: joy, fear"),
        ([{"joy": 2, "fear": 2}, {"joy": 0}], 4, {}, "batches: a batch has no text; leave it out"),
        ([{"joy": 4}], 4, {}, "batches have no text of 'fear'; leave the emotion out of `emotions`"),
        ([{"joy": -1}], 4, {}, "batches.0.joy: got -1, wanted greater than or equal to 0"),
        ([], 4, {}, "batches: got [], wanted "),
        (
            [{"joy": 2, "fear": 2}],
            4,
            {"quotas": {"joy": 3, "fear": 1}},
            "batches and quotas differ; leave quotas out",
        ),
    ],
)
def test_batches_that_do_not_fit_are_refused(
    batches: list[dict[str, int]], rows: int, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecipeError) as info:
        parse_recipe("", "r", TWO | {"rows": rows, "batches": batches} | changes)
    assert str(info.value).startswith(f"r: {message}")
