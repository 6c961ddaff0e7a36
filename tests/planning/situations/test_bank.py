"""The situational bank: large enough, never naming its emotion; scenes that fit their persona and are reproducible."""

import random
from collections import Counter
from dataclasses import replace

import pytest

from personagen.builder.planning.personas.drawing import Persona, draw_persona, make_design
from personagen.builder.planning.personas.tables import Condition, persona_tables
from personagen.builder.planning.situations.bank import (
    Event,
    bank_events,
    draw_option,
    draw_scene,
    events_of,
    fits,
    setting_options,
)
from personagen.builder.planning.situations.dealing import deal_events
from personagen.builder.planning.taxonomy import Emotion, bank_emotions, named_taxonomy
from personagen.metrics.texts.emotion_words import emotion_pattern

EKMAN = named_taxonomy("ekman").names
FEAR = named_taxonomy("ekman")["fear"]


def people(count: int) -> list[Persona]:
    tables = persona_tables()
    design = make_design(tables, 0, count)
    return [draw_persona(tables, design, number) for number in range(count)]


@pytest.mark.parametrize("emotion", EKMAN)
def test_an_emotion_has_forty_kinds_of_events(emotion: str) -> None:
    events = bank_events(emotion)
    assert len({event.kind for event in events}) == len(events) >= 40
    assert all(len(event.narrations) >= 2 for event in events)


@pytest.mark.parametrize("emotion", bank_emotions())
def test_no_text_of_an_event_names_its_emotion(emotion: str) -> None:
    pattern = emotion_pattern(emotion)
    if pattern is None:
        assert emotion == "neutral"
        return
    texts = [text for event in bank_events(emotion) for text in (event.clause, event.stakes or "", *event.narrations)]
    assert [text for text in texts if pattern.search(text)] == []


@pytest.mark.parametrize("emotion", bank_emotions())
def test_events_name_settings_that_exist(emotion: str) -> None:
    for event in bank_events(emotion):
        assert set(event.places) <= set(setting_options("places")), event.kind
        assert set(event.companions) <= set(setting_options("companions")), event.kind
        assert set(event.times) <= set(setting_options("times")), event.kind


def test_every_label_of_every_taxonomy_has_events() -> None:
    for name in ("ekman", "plutchik", "goemotions"):
        for emotion in named_taxonomy(name).emotions:
            assert len(events_of(emotion)) >= 3, (name, emotion.name)


def test_a_label_of_goemotions_has_only_the_events_of_its_bank_with_this_label() -> None:
    relief = named_taxonomy("goemotions")["relief"]
    assert {event.label for event in events_of(relief)} == {"relief"}
    assert set(events_of(relief)) < set(bank_events(str(relief.bank)))


def test_events_of_the_recipe_replace_those_of_the_bank_and_are_used_verbatim() -> None:
    envy = Emotion("envy", "wanting what others have", bank="anger", events=("seeing a friend's new house",))
    persona = people(1)[0]
    (event,) = deal_events("envy", events_of(envy), [persona.values], 0, 0)
    scene = draw_scene(envy, event, persona, seed=0, turn=0, number=0)
    assert [event.clause for event in events_of(envy)] == ["seeing a friend's new house"]
    assert scene.situational.event == "seeing a friend's new house"
    assert (scene.situational.event_kind, scene.situational.appraisal, scene.narration) == ("custom", None, None)


def test_a_scene_is_reproducible() -> None:
    persona = people(1)[0]
    (event,) = deal_events("fear", events_of(FEAR), [persona.values], 4, 0)
    scene = draw_scene(FEAR, event, persona, seed=4, turn=9, number=1)
    assert scene == draw_scene(FEAR, event, persona, seed=4, turn=9, number=1)
    assert scene.id == "p000000-s1"
    turns = [draw_scene(FEAR, event, persona, seed=4, turn=turn, number=1) for turn in range(20)]
    assert len(set(turns)) > 10


def test_a_draw_without_a_fitting_option_does_not_shift_later_draws() -> None:
    persona = people(1)[0]
    stranded = {**persona.values, "age": 0, "household": "alone"}
    ids = [id_ for id_, option in setting_options("companions").items() if not option.fit.holds(stranded)]
    assert ids, "this person cannot have every companion"
    rngs = random.Random(1), random.Random(1)
    assert draw_option("companions", ids, stranded, rngs[0]) is None
    assert draw_option("companions", ["alone"], persona.values, rngs[1]) is not None
    assert rngs[0].random() == rngs[1].random()


def test_companions_that_do_not_fit_leave_time_and_channel_as_they_are() -> None:
    """The promise of a counterfactual: an attribute that rules out all companions changes nothing else."""
    event = replace(events_of(FEAR)[0], fit=Condition(), places=("home",), companions=("partner",), times=())
    assert not setting_options("places")["home"].fit.attributes()
    persona = people(1)[0]
    single, couple = (replace(persona, values={**persona.values, "household": h}) for h in ("alone", "couple"))
    for turn in range(20):
        alone, together = (draw_scene(FEAR, event, who, seed=0, turn=turn, number=0) for who in (single, couple))
        assert (alone.situational.companions, together.situational.companions) == ("alone", "partner")
        assert replace(alone.situational, companions="partner") == together.situational
        assert alone.narration == together.narration


def test_options_are_drawn_by_weight() -> None:
    values, rng = people(1)[0].values, random.Random(0)
    options = [option for option in setting_options("channels").values() if option.fit.holds(values)]
    assert len({option.weight for option in options}) > 1
    draws, total = 4_000, sum(option.weight for option in options)
    counts = Counter(draw_option("channels", list(setting_options("channels")), values, rng) for _ in range(draws))
    for option in options:
        expected = draws * option.weight / total
        assert abs(counts[option] - expected) < 5 * expected**0.5, option.id


def test_a_place_without_a_wording_is_the_workplace_of_the_persona() -> None:
    (at_work,) = [id_ for id_, option in setting_options("places").items() if option.phrase is None]
    employed = next(one for one in people(50) if one.values["workplace"])
    event = Event("k", "fear", "c", (), None, None, Condition(), (at_work,), ("alone",), ())
    assert draw_scene(FEAR, event, employed, seed=0, turn=0, number=0).place == employed.values["workplace"]
    nameless = replace(employed, values={**employed.values, "workplace": None})
    assert draw_scene(FEAR, event, nameless, seed=0, turn=0, number=0).place == "at work"


def test_a_scene_fits_another_persona_if_the_event_and_every_setting_do() -> None:
    persona = people(1)[0]
    (event,) = deal_events("fear", events_of(FEAR), [persona.values], 0, 0)
    scene = draw_scene(FEAR, event, persona, seed=0, turn=0, number=0)
    assert fits(event, scene, persona.values)
    assert not fits(replace(event, fit=Condition(age=(200, 200))), scene, persona.values)
    for kind, field in (("places", "place"), ("companions", "companions"), ("channels", "channel")):
        for id_, option in setting_options(kind).items():
            moved = replace(scene, situational=replace(scene.situational, **{field: id_}))
            assert fits(event, moved, persona.values) == option.fit.holds(persona.values), id_
