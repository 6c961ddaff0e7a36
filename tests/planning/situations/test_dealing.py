"""Event dealing: every event that is dealt can happen to its persona; events repeat as late as possible."""

from collections import Counter
from dataclasses import replace

import pytest

from personagen.builder.core.errors import RecipeError
from personagen.builder.core.records import Situational
from personagen.builder.planning.personas.drawing import Persona, draw_persona, make_design
from personagen.builder.planning.personas.tables import persona_tables
from personagen.builder.planning.plan import RowPlan, make_plan
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.recipe.parsing import parse_recipe
from personagen.builder.planning.situations.bank import bank_events, draw_scene, events_of, setting_options
from personagen.builder.planning.situations.dealing import MAX_CACHED_ROUNDS, DealtEvents, deal_events, event_of
from personagen.builder.planning.taxonomy import Emotion, named_taxonomy

JOY = named_taxonomy("ekman")["joy"]


def people(count: int) -> list[Persona]:
    tables = persona_tables()
    design = make_design(tables, 0, count)
    return [draw_persona(tables, design, number) for number in range(count)]


def situations(emotion: Emotion, personas: list[Persona]) -> list[tuple[Persona, Situational]]:
    """Deal events of the emotion to the personas in rounds and draw the scenes."""
    size = len(events_of(emotion))
    met = []
    for start in range(0, len(personas), size):
        group = personas[start : start + size]
        dealt = deal_events(emotion.name, events_of(emotion), [one.values for one in group], 0, start // size)
        for turn, (one, event) in enumerate(zip(group, dealt, strict=True), start):
            met.append((one, draw_scene(emotion, event, one, seed=0, turn=turn, number=0).situational))
    return met


def test_every_emotion_can_happen_to_every_persona_in_a_setting_that_fits() -> None:
    personas = people(400)
    for name in ("ekman", "plutchik", "goemotions"):
        for emotion in named_taxonomy(name).emotions:
            for one, met in situations(emotion, personas):
                event = next(event for event in events_of(emotion) if event.kind == met.event_kind)
                assert event.fit.holds(one.values)
                assert setting_options("places")[met.place].fit.holds(one.values)
                assert setting_options("companions")[met.companions].fit.holds(one.values)
                assert met.companions in (*event.companions, "alone")
                assert met.place in event.places
                assert met.time in (event.times or tuple(setting_options("times")))


def test_no_event_comes_twice_before_most_have_come_once() -> None:
    for emotion in named_taxonomy("ekman").emotions:
        kinds = [met.event_kind for _, met in situations(emotion, people(20))]
        assert len(set(kinds)) == 20, emotion.name


def test_kinds_of_events_are_about_equally_frequent() -> None:
    kinds = Counter(met.event_kind for _, met in situations(JOY, people(480)))
    assert len(kinds) >= 46
    assert kinds.most_common(1)[0][1] <= 2 * 480 / len(bank_events("joy"))


def test_a_persona_whom_no_remaining_event_fits_gets_one_that_was_dealt_before() -> None:
    events = events_of(JOY)
    retired = next(one.values for one in people(400) if one.values["work"] == "retired")
    dealt = deal_events("joy", events, [retired] * len(events), 0, 0)
    possible = {event for event in events if event.fit.holds(retired)}
    assert len(possible) < len(events), "some events are for other personas"
    assert set(dealt) <= possible
    distinct = len(set(dealt))
    assert len(set(dealt[:distinct])) == distinct, "first each event once, then repetitions"


def test_rounds_and_seeds_shuffle_anew() -> None:
    values = [one.values for one in people(20)]
    deals = {deal_events("joy", events_of(JOY), values, seed, round_) for seed, round_ in ((0, 0), (0, 1), (1, 0))}
    assert len(deals) == 3
    assert deal_events("joy", events_of(JOY), values, 0, 0) in deals


def test_an_emotion_without_events_is_an_error() -> None:
    with pytest.raises(RecipeError, match=r"no event of 'calm' fits a persona \(age \d+, .*\); add events"):
        deal_events("calm", (), [people(1)[0].values], 0, 0)


def test_the_cache_of_rounds_is_bounded_and_does_not_affect_the_result() -> None:
    recipe = parse_recipe(
        "rows: 600\ntaxonomy: {name: t, emotions: [{name: envy, definition: d, events: [losing, winning]}]}", "r"
    )
    plan, envy = make_plan(recipe), recipe.chosen_taxonomy()["envy"]
    dealt: DealtEvents = {}
    rows: list[RowPlan] = [row for shard in plan.shards() for row in plan.rows(shard)]
    events = [event_of(plan, envy, row, dealt) for row in rows]
    assert len(rows) // 2 > MAX_CACHED_ROUNDS == len(dealt)
    assert [event_of(plan, envy, row, {}) for row in reversed(rows)] == events[::-1]


def test_the_event_depends_on_the_turn_of_the_row_only() -> None:
    plan = make_plan(Recipe(rows=140))
    rows = [row for shard in plan.shards() for row in plan.rows(shard) if row.emotion == "joy"]
    for row in rows:
        changed = replace(row, id="other", depth="none")
        assert event_of(plan, JOY, row, {}) == event_of(plan, JOY, changed, {})
