"""Sources of events: the bank restricted by kind, files and taxonomies together, and their dealing."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from personagen.builder.core.errors import RecipeError
from personagen.builder.planning.plan import Plan, make_plan
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.recipe.parsing import parse_recipe
from personagen.builder.planning.situations.bank import bank_events, draw_scene
from personagen.builder.planning.situations.dealing import DealtEvents, deal_listed_events, event_of
from personagen.builder.planning.situations.possible import with_assumed_events
from personagen.builder.planning.situations.sources import wanted_inventions

EMBEDDED = {"backend__kind": "embedded", "backend__model": None}
MODEL = {"backend.kind": "openai", "backend.model": "m"}


def recipe(events: Any, **changes: Any) -> Recipe:
    settings = {key.replace("__", "."): value for key, value in changes.items()}
    return parse_recipe("", "r", MODEL | {"emotions": ["anger", "joy"], "events": events} | settings)


def file_of(folder: Path, content: str) -> str:
    path = folder / "e.yaml"
    path.write_text(content, encoding="utf-8")
    return str(path)


def clauses_of(plan: Plan, emotion: str) -> list[str]:
    """Return the clause of the event of each row of an emotion."""
    dealt: DealtEvents = {}
    one = plan.recipe.chosen_taxonomy()[emotion]
    turns = range(sum(plan.quotas[emotion].values()))
    return [event_of(plan, one, plan.turn(emotion, turn), dealt).clause for turn in turns]


def test_the_bank_is_restricted_by_kind() -> None:
    general = {name: [event.kind for event in bank_events(name) if event.fits_everybody] for name in ("joy", "anger")}
    kinds = general["joy"][:3] + general["anger"][:2]
    lists = make_plan(recipe({"bank": {"kinds": kinds}})).events
    assert lists is not None
    assert [event.kind for event in (*lists["joy"], *lists["anger"])] == kinds
    without = make_plan(recipe({"bank": {"not": kinds[:3]}})).events
    assert without is not None and len(without["joy"]) == len(bank_events("joy")) - 3


def test_the_whole_bank_as_a_source_is_the_default_with_another_dealing() -> None:
    default, named = make_plan(recipe(None)), make_plan(recipe({"bank": {}}))
    assert named.events is not None and named.events["joy"] == bank_events("joy")
    assert default.events is None
    assert recipe({"bank": {}}).fingerprint() != recipe(None).fingerprint()


def test_sources_are_joined_with_the_events_of_the_taxonomy(tmp_path: Path) -> None:
    path = file_of(tmp_path, "- {clause: losing keys, emotions: [envy]}\n- waiting for a bus")
    envy = {"name": "envy", "definition": "d", "like": "anger", "events": ["seeing a new house"]}
    taxonomy = {"name": "t", "emotions": [envy]}
    one = recipe({"file": path, "bank": {"kinds": [bank_events("anger")[0].kind]}}, taxonomy=taxonomy, emotions=None)
    lists = make_plan(one).events
    assert lists is not None
    assert [event.kind for event in lists["envy"]] == ["own_00001", "own_00002", "custom", bank_events("anger")[0].kind]
    assert lists["envy"][2].places == () and lists["envy"][2].is_own


def test_an_emotion_with_neither_like_nor_events_needs_a_source(tmp_path: Path) -> None:
    taxonomy = {"name": "t", "emotions": [{"name": "envy", "definition": "d"}]}
    path = file_of(tmp_path, "- losing keys")
    assert recipe({"file": path}, taxonomy=taxonomy, emotions=None)
    assert recipe({"invent": {"count": 3}}, taxonomy=taxonomy, emotions=None)
    with pytest.raises(RecipeError, match=r"no event of bank evokes 'envy', wanted one or more"):
        recipe({"bank": {}}, taxonomy=taxonomy, emotions=None)


def test_what_an_event_of_the_recipe_does_not_name_is_left_out_of_its_scene(tmp_path: Path) -> None:
    path = file_of(
        tmp_path, "- losing keys\n- {clause: missing a call, places: [home], times: [night], companions: [pet]}"
    )
    plan = make_plan(recipe({"file": path}, emotions=["joy"], rows=20))
    assert plan.events is not None
    joy, persona = plan.recipe.chosen_taxonomy()["joy"], plan.people.persona(0)
    plain, full = (draw_scene(joy, event, persona, seed=0, turn=0, number=0) for event in plan.events["joy"])
    assert (plain.place, plain.time, plain.companions, plain.situational.place) == (None, None, None, None)
    assert (full.place, full.time, full.companions) == (
        "at home",
        "late at night",
        "my pet",
    ) or full.companions == "pet"


def test_no_event_comes_twice_before_all_have_come_once(tmp_path: Path) -> None:
    path = file_of(tmp_path, "\n".join(f"- losing key number {number}" for number in range(30)))
    plan = make_plan(recipe({"file": path}, rows=140))
    for emotion in ("anger", "joy"):
        clauses = clauses_of(plan, emotion)
        assert len(set(clauses[:30])) == 30 and max(Counter(clauses).values()) == 3


def test_events_that_fit_everybody_are_left_for_those_whom_no_other_fits(tmp_path: Path) -> None:
    lines = [f"- {{clause: missing lesson {number}, fit: {{work: student}}}}" for number in range(3)]
    lines += [f"- losing key number {number}" for number in range(27)]
    plan = make_plan(recipe({"file": file_of(tmp_path, "\n".join(lines))}, rows=120, emotions=["joy"]))
    assert max(Counter(clauses_of(plan, "joy")).values()) <= 5
    assert plan.events is not None
    student = {"work": "student", "age": 20}
    dealt = deal_listed_events("joy", plan.events["joy"], [student] * 3 + [{"work": "retired", "age": 70}] * 27, 0, 0)
    assert len({event.clause for event in dealt}) == 30


def test_a_persona_whom_no_unused_event_fits_gets_the_one_that_was_dealt_least(tmp_path: Path) -> None:
    lines = [f"- {{clause: missing lesson {number}, fit: {{work: student}}}}" for number in range(2)]
    lines += ["- {clause: missing work, fit: {work: {not: student}}}"]
    plan = make_plan(recipe({"file": file_of(tmp_path, "\n".join(lines))}, emotions=["joy"], rows=9))
    assert plan.events is not None
    dealt = deal_listed_events("joy", plan.events["joy"], [{"work": "student"}] * 3 + [{"work": "student"}], 0, 0)
    assert sorted(Counter(event.clause for event in dealt).values()) == [2, 2]


def test_the_number_of_invented_events_is_bounded_by_the_texts() -> None:
    quotas = {"quotas": {"anger": 30, "joy": 10}, "rows": 40}
    assert wanted_inventions(recipe({"invent": {"per_emotion": 20}}, **quotas)) == {"anger": 20, "joy": 10}
    assert wanted_inventions(recipe({"invent": {"count": 20}}, **quotas)) == {"anger": 15, "joy": 5}
    assert wanted_inventions(recipe({"bank": {}})) == {}
    plan = with_assumed_events(make_plan(recipe({"invent": {"count": 20}}, **quotas)))
    assert plan.events is not None and all(len(events) == 1 for events in plan.events.values())


def test_events_of_a_file_may_fit_few_beside_invented_ones(tmp_path: Path) -> None:
    file = file_of(tmp_path, "- {clause: missing the last lesson, fit: {work: student}}")
    with pytest.raises(RecipeError, match=r"no event of 'joy' fits a persona"):
        make_plan(recipe({"file": file}, emotions=["joy"], rows=40))
    plan = make_plan(recipe({"file": file, "invent": {"count": 3}}, emotions=["joy"], rows=40))
    assert plan.events is not None and [event.clause for event in plan.events["joy"]] == ["missing the last lesson"]


@pytest.mark.parametrize(
    ("events", "changes", "message"),
    [
        ({}, {}, "events: names no source, wanted file, bank or invent"),
        ({"fil": "e.yaml"}, {}, "unknown key 'events.fil', did you mean"),
        ({"bank": {"kind": ["x"]}}, {}, r"unknown key 'events.bank.kind', did you mean backend.kind"),
        ({"bank": {"excluded": ["x"]}}, {}, "unknown key 'events.bank.excluded'"),
        ({"bank": {"kinds": []}}, {}, r"events.bank.kinds: got \[\], wanted"),
        ({"bank": {"kinds": ["airport_reunoin"]}}, {}, "unknown kind 'airport_reunoin', did you mean 'airport_reun"),
        ({"bank": {"not": ["airport_reunoin"]}}, {}, "unknown kind 'airport_reunoin', did you mean 'airport_reunion'"),
        ({"bank": {"kinds": ["airport_reunion"]}}, {}, "no event of bank evokes 'anger', wanted one or more"),
        ({"invent": {}}, {}, "events.invent: got neither of count and per_emotion, wanted one of them"),
        ({"invent": {"count": 3, "per_emotion": 3}}, {}, "events.invent: got both of count and per_emotion"),
        ({"invent": {"count": 0}}, {}, "events.invent.count: got 0, wanted"),
        ({"invent": {"per_emotion": 1_000_001}}, {}, "events.invent.per_emotion: got 1000001, wanted"),
        ({"invent": {"count": 3}}, EMBEDDED, "events.invent: the embedded model is too small to invent events"),
        ({"bank": {}}, {"depth": "demographic"}, "events: texts of depth 'demographic' have no event, wanted depth"),
        ({"file": "none.yaml"}, {}, "events.file: cannot read 'none.yaml'"),
    ],
)  # fmt: skip
def test_bad_sources_are_refused(events: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message) as refused:
        recipe(events, **changes)
    assert "\n" not in str(refused.value)


def test_an_event_that_can_happen_to_no_persona_is_refused_before_the_first_call(tmp_path: Path) -> None:
    path = file_of(tmp_path, "- {clause: missing a lesson, fit: {age: {min: 80}}}")
    with pytest.raises(
        RecipeError, match=r"no event of 'anger' fits a persona \(age \d+, .*add events without conditions"
    ):
        make_plan(recipe({"file": path}))
    at_work = file_of(tmp_path, "- {clause: missing a lesson, places: [work]}")
    with pytest.raises(RecipeError, match=r"no event of 'anger' fits a persona"):
        make_plan(recipe({"file": at_work}))
