"""Draw situations: the third layer, from a bank of events with the appraisals that make them evoke an emotion."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import accumulate
from typing import Any

from personagen.builder.core.errors import RecipeError
from personagen.builder.core.package_data import read_yaml
from personagen.builder.core.records import Appraisal, Situational
from personagen.builder.planning.personas.drawing import Persona
from personagen.builder.planning.personas.tables import Condition, parse_condition
from personagen.builder.planning.taxonomy import Emotion

CUSTOM = "custom"
"""Event kind of every event of a taxonomy; such events differ in their clause."""

INVENTED_PREFIX = "invented_"
"""Begins the event kind of an event that the model invented."""


@dataclass(frozen=True, slots=True)
class Event:
    """One kind of event of the situational bank, or an event defined by the recipe.

    Attributes:
        kind: id, unique within its emotion; "custom" for events of a taxonomy.
        label: nearest GoEmotions label.
        clause: description of the event, as a clause without a subject.
        narrations: the event in the first person, one sentence each; empty for events of a recipe.
        appraisal: appraisal of the event by the person. None: the recipe states none.
        stakes: what the person can win or lose. None: the recipe states none.
        fit: condition on the personas that the event can happen to.
        places: ids of the possible places.
        companions: ids of the possible companions.
        times: ids of the possible times of day. Empty: any time.
        is_own: whether it is of the recipe's `events`: what it does not name of place, time and companions is left out.

    """

    kind: str
    label: str
    clause: str
    narrations: tuple[str, ...]
    appraisal: Appraisal | None
    stakes: str | None
    fit: Condition
    places: tuple[str, ...]
    companions: tuple[str, ...]
    times: tuple[str, ...]
    is_own: bool = False

    def can_happen_to(self, values: Mapping[str, Any]) -> bool:
        """Return whether it can happen to a persona, at one of its places or more; without places anywhere."""
        places = setting_options("places")
        return self.fit.holds(values) and (
            not self.places or any(places[place].fit.holds(values) for place in self.places)
        )

    def may_happen_to(self, values: Mapping[str, Any]) -> bool:
        """Return whether nothing that is known of a persona excludes it; a source may say little of its personas."""
        places = setting_options("places")
        return self.fit.may_hold(values) and (
            not self.places or any(places[place].fit.may_hold(values) for place in self.places)
        )

    @property
    def fits_everybody(self) -> bool:
        """Whether it can happen to every persona."""
        places = setting_options("places")
        return self.fit == Condition() and (
            not self.places or any(places[place].fit == Condition() for place in self.places)
        )


@dataclass(frozen=True, slots=True)
class SettingOption:
    """A place, time, company or channel.

    Attributes:
        id: name in builder/data/setting.yaml.
        phrase: wording in prompts. None: the workplace of the persona, else the id.
        fit: condition on the personas that can have it.
        weight: relative frequency among the options that fit.

    """

    id: str
    phrase: str | None
    fit: Condition
    weight: float


@dataclass(frozen=True, slots=True)
class Scene:
    """A persona's situation.

    Attributes:
        id: id of the persona, "-s" and the number of the situation.
        situational: third layer.
        narration: the event in the persona's own words, one sentence; None for events of a recipe.
        place: wording of the place, such as "on the ward". None: the event names none.
        time: wording of the time. None: the event names none.
        companions: wording of the companions. None: the event names none.
        channel: wording of the channel.

    """

    id: str
    situational: Situational
    narration: str | None
    place: str | None
    time: str | None
    companions: str | None
    channel: str

    def in_channel(self, channel: str | None, phrase: str) -> "Scene":
        """Return the situation with another kind of text: its id (None: it stays) and its wording."""
        if channel is None:
            return replace(self, channel=phrase)
        return replace(self, channel=phrase, situational=replace(self.situational, channel=channel))


@cache
def bank_events(emotion: str) -> tuple[Event, ...]:
    """Load the events of one emotion of the situational bank."""
    return tuple(
        Event(
            kind=entry["id"],
            label=entry["goemotions"],
            clause=entry["event"],
            narrations=tuple(entry["tellings"]),
            appraisal=Appraisal(**entry["appraisal"]),
            stakes=entry["stakes"],
            fit=parse_condition(entry.get("fit")),
            places=tuple(entry["places"]),
            companions=tuple(entry["companions"]),
            times=tuple(entry.get("times", ())),
        )
        for entry in read_yaml(f"situations/{emotion}.yaml")["events"]
    )


@cache
def setting_options(kind: str) -> Mapping[str, SettingOption]:
    """Load the "places", "companions", "times" or "channels" of builder/data/setting.yaml, by id."""
    return {
        entry["id"]: SettingOption(
            entry["id"],
            entry.get("relation", entry.get("phrase")),
            parse_condition(entry.get("fit")),
            entry.get("share", 1.0),
        )
        for entry in read_yaml("setting.yaml")[kind]
    }


@cache
def events_of(emotion: Emotion) -> tuple[Event, ...]:
    """Return the events that can evoke an emotion: those of the recipe if it defines any, else those of the bank."""
    if emotion.events:
        places, companions = tuple(setting_options("places")), ("alone",)
        return tuple(
            Event(CUSTOM, emotion.name, clause, (), None, None, Condition(), places, companions, ())
            for clause in emotion.events
        )
    if emotion.bank is None:
        return ()
    return tuple(event for event in bank_events(emotion.bank) if emotion.bank_label in (None, event.label))


def require_event(emotion: str, events: Sequence[Event], values: Mapping[str, Any]) -> None:
    """Raise RecipeError if no event of an emotion may happen to a persona with these attributes."""
    if not any(event.may_happen_to(values) for event in events):
        raise RecipeError(
            f"no event of {emotion!r} fits a persona (age {values.get('age')}, {values.get('occupation')}); "
            "add events without conditions to the emotion"
        )


def draw_scene(emotion: Emotion, event: Event, persona: Persona, *, seed: int, turn: int, number: int) -> Scene:
    """Draw the setting in which an event happens to a persona; pure.

    Args:
        emotion: emotion that the event evokes.
        event: an event that can happen to the persona.
        persona: the persona that the event happens to.
        seed: seed of the recipe.
        turn: number of the row within its emotion.
        number: number of the situation within its persona, for the id.

    """
    rng = random.Random(f"scene:{seed}:{emotion.name}:{turn}")
    place = draw_option("places", event.places, persona.values, rng)
    companions = draw_option("companions", event.companions, persona.values, rng)
    times = event.times if event.times or event.is_own else tuple(setting_options("times"))
    time = draw_option("times", times, persona.values, rng)
    channel = draw_option("channels", tuple(setting_options("channels")), persona.values, rng)
    if not event.is_own:
        companions = companions or setting_options("companions")["alone"]
        assert place is not None and time is not None, "event dealing ensures a place that fits"
    assert channel is not None, "some channels fit everybody"
    narration = rng.choice(event.narrations) if event.narrations else None
    return Scene(
        f"{persona.id}-s{number}",
        Situational(
            event=event.clause,
            event_kind=event.kind,
            appraisal=event.appraisal,
            place=place.id if place else None,
            time=time.id if time else None,
            companions=companions.id if companions else None,
            channel=channel.id,
            stakes=event.stakes,
        ),
        narration,
        place.phrase or persona.values.get("workplace") or "at work" if place else None,
        time.phrase or time.id if time else None,
        companions.phrase or companions.id if companions else None,
        channel.phrase or channel.id,
    )


def fits(event: Event, scene: Scene, values: Mapping[str, Any], channel_fit: Condition | None = None) -> bool:
    """Return whether an event can happen to a persona with these attributes in a scene drawn for another persona.

    Args:
        event: event of the scene.
        scene: scene of the other persona.
        values: attributes of the persona.
        channel_fit: condition of the recipe's own channel. None: the channel of the scene is one of the package.

    """
    setting = {
        "places": scene.situational.place,
        "times": scene.situational.time,
        "companions": scene.situational.companions,
        "channels": scene.situational.channel if channel_fit is None else None,
    }
    return (
        event.fit.holds(values)
        and (channel_fit is None or channel_fit.holds(values))
        and all(setting_options(kind)[id_].fit.holds(values) for kind, id_ in setting.items() if id_ is not None)
    )


def draw_option(kind: str, ids: Sequence[str], values: Mapping[str, Any], rng: random.Random) -> SettingOption | None:
    """Draw one of the options that fit a persona by their weights; None if no option fits.

    Consumes one draw in any case, so that a different persona does not shift the draws that follow.
    """
    options = [setting_options(kind)[id_] for id_ in ids]
    fitting = [option for option in options if option.fit.holds(values)]
    if not fitting and kind != "companions":  # of a persona whose source says little
        fitting = [option for option in options if option.fit.may_hold(values)]
    uniform = rng.random()
    if not fitting:
        return None
    cumulated = list(accumulate(option.weight for option in fitting))
    return next(option for option, edge in zip(fitting, cumulated, strict=True) if uniform * cumulated[-1] < edge)
