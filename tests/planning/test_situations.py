"""The situational bank: big enough, fit for everybody, never naming its emotion; scenes that fit their persona."""

from collections import Counter

import pytest

from personagen.builder.core.errors import RecipeError
from personagen.builder.core.records import Situational
from personagen.builder.planning.attribute_tables import persona_tables
from personagen.builder.planning.event_dealing import deal_events
from personagen.builder.planning.personas import Persona, draw_persona, make_design
from personagen.builder.planning.situations import bank_events, draw_scene, events_of, setting_options
from personagen.builder.planning.taxonomy import Emotion, bank_emotions, named_taxonomy
from personagen.metrics.texts.emotion_words import emotion_pattern

EKMAN = named_taxonomy("ekman").names


def people(count: int) -> list[Persona]:
    tables = persona_tables()
    plan = make_design(tables, 0, count)
    return [draw_persona(tables, plan, number) for number in range(count)]


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


def meet(emotion: Emotion, everybody: list[Persona]) -> list[tuple[Persona, Situational]]:
    """Let everybody meet the emotion, in rounds."""
    size = len(events_of(emotion))
    met = []
    for start in range(0, len(everybody), size):
        group = everybody[start : start + size]
        dealt = deal_events(emotion, [who.values for who in group], 0, start // size)
        for turn, (who, event) in enumerate(zip(group, dealt, strict=True), start):
            met.append((who, draw_scene(emotion, event, who, seed=0, turn=turn, number=0).situational))
    return met


def test_any_persona_can_meet_any_emotion_in_a_setting_that_fits() -> None:
    everybody = people(400)
    for name in ("ekman", "plutchik", "goemotions"):
        for emotion in named_taxonomy(name).emotions:
            for who, met in meet(emotion, everybody):
                event = next(event for event in events_of(emotion) if event.kind == met.event_kind)
                assert event.fit.holds(who.values)
                assert setting_options("places")[met.place].fit.holds(who.values)
                assert setting_options("companions")[met.companions].fit.holds(who.values)
                assert met.companions in (*event.companions, "alone")
                assert met.place in event.places
                assert met.time in (event.times or tuple(setting_options("times")))


def test_no_event_comes_twice_before_most_have_come_once() -> None:
    for emotion in named_taxonomy("ekman").emotions:
        kinds = [met.event_kind for _, met in meet(emotion, people(20))]
        assert len(set(kinds)) == 20, emotion.name


def test_kinds_of_events_come_about_equally_often() -> None:
    emotion = named_taxonomy("ekman")["joy"]
    kinds = Counter(met.event_kind for _, met in meet(emotion, people(480)))
    assert len(kinds) >= 46
    assert kinds.most_common(1)[0][1] <= 2 * 480 / len(bank_events("joy"))


def test_a_scene_is_pure() -> None:
    who, emotion = people(1)[0], named_taxonomy("ekman")["fear"]
    (event,) = deal_events(emotion, [who.values], 4, 0)
    once = draw_scene(emotion, event, who, seed=4, turn=9, number=1)
    assert once == draw_scene(emotion, event, who, seed=4, turn=9, number=1)
    assert once.id == "p000000-s1"


def test_events_of_a_recipe_are_taken_as_they_are() -> None:
    envy = Emotion("envy", "wanting what others have", events=("seeing a friend's new house",))
    who = people(1)[0]
    met = draw_scene(envy, deal_events(envy, [who.values], 0, 0)[0], who, seed=0, turn=0, number=0)
    assert met.situational.event == "seeing a friend's new house"
    assert met.situational.appraisal is None
    assert met.narration is None


def test_an_emotion_without_events_says_so() -> None:
    with pytest.raises(RecipeError, match=r"no event of 'calm' fits a persona \(age \d+, .*\); add events"):
        deal_events(Emotion("calm", "at rest"), [people(1)[0].values], 0, 0)
