"""Draw situations: the third layer, from a bank of events that evoke an emotion by how they are appraised."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import Any

from personagen.builder.core.errors import RecipeError
from personagen.builder.core.package_data import read_yaml
from personagen.builder.core.records import Appraisal, Situational
from personagen.builder.planning.attribute_tables import Condition, condition
from personagen.builder.planning.personas import Persona
from personagen.builder.planning.taxonomy import Emotion


@dataclass(frozen=True, slots=True)
class Event:
    """One kind of event of the situational bank.

    Attributes:
        kind: id, unique within its emotion.
        label: nearest GoEmotions label.
        clause: what happens, as a clause without a subject.
        tellings: the event told in the first person, one sentence each; empty for events of the recipe's own.
        appraisal: how the person judges the event; None for events of the recipe's own.
        stakes: what is at stake; None for events of the recipe's own.
        fit: personas that can meet the event.
        places: ids of the places where it can happen; so are companions and times (empty: any time).

    """

    kind: str
    label: str
    clause: str
    tellings: tuple[str, ...]
    appraisal: Appraisal | None
    stakes: str | None
    fit: Condition
    places: tuple[str, ...]
    companions: tuple[str, ...]
    times: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Option:
    """A place, time, company or channel: its id, its wording in a prompt, who can have it, and its weight."""

    id: str
    phrase: str | None
    fit: Condition
    share: float


@dataclass(frozen=True, slots=True)
class Scene:
    """A situation that a persona meets.

    Attributes:
        id: the persona's id, "-s" and the number of the situation.
        situational: third layer.
        telling: the event in the persona's own words, one sentence; None where there is none.
        place: wording of the place, such as "on the ward"; so are time, companions and channel.

    """

    id: str
    situational: Situational
    telling: str | None
    place: str
    time: str
    companions: str
    channel: str


@cache
def bank(emotion: str) -> tuple[Event, ...]:
    """Read the events that evoke an emotion of the bank."""
    return tuple(
        Event(
            entry["id"],
            entry["goemotions"],
            entry["event"],
            tuple(entry["tellings"]),
            Appraisal(**entry["appraisal"]),
            entry["stakes"],
            condition(entry.get("fit")),
            tuple(entry["places"]),
            tuple(entry["companions"]),
            tuple(entry.get("times", ())),
        )
        for entry in read_yaml(f"situations/{emotion}.yaml")["events"]
    )


@cache
def options(kind: str) -> Mapping[str, Option]:
    """Read places, companions, times or channels of builder/data/setting.yaml, by id."""
    return {
        entry["id"]: Option(
            entry["id"],
            entry.get("relation", entry.get("phrase")),
            condition(entry.get("fit")),
            entry.get("share", 1.0),
        )
        for entry in read_yaml("setting.yaml")[kind]
    }


@cache
def events_of(emotion: Emotion) -> tuple[Event, ...]:
    """List the events that can evoke an emotion of a taxonomy: the recipe's own, else those of the bank."""
    if emotion.events:
        places, company = tuple(options("places")), ("alone",)
        return tuple(
            Event("custom", emotion.name, clause, (), None, None, Condition(), places, company, ())
            for clause in emotion.events
        )
    if emotion.bank is None:
        return ()
    events = bank(emotion.bank)
    return tuple(event for event in events if emotion.bank_label in (None, event.label))


def deal_events(emotion: Emotion, people: Sequence[Mapping[str, Any]], seed: int, round_: int) -> tuple[Event, ...]:
    """Deal the events of an emotion to one round of personas, in shuffled order: each event once, where it fits; pure.

    Args:
        emotion: what the events must evoke.
        people: attributes of the personas of the round, as many as there are events or fewer.
        seed: seed of the recipe.
        round_: number of the round, for the shuffle.

    Raises:
        RecipeError: no event of the emotion fits one of the personas.

    """
    events = events_of(emotion)
    left = random.Random(f"events:{seed}:{emotion.name}:{round_}").sample(events, len(events))
    dealt: list[Event] = []
    for values in people:
        fitting = [event for event in left if _can_meet(event, values)]
        if fitting:
            left.remove(fitting[0])
        else:  # what is left is for others: one that was dealt before
            fitting = [event for event in events if _can_meet(event, values)]
            random.Random(f"events:{seed}:{emotion.name}:{round_}:{len(dealt)}").shuffle(fitting)
        if not fitting:
            raise RecipeError(
                f"no event of {emotion.name!r} fits a persona (age {values['age']}, {values['occupation']}); "
                "add events without conditions to the emotion"
            )
        dealt.append(fitting[0])
    return tuple(dealt)


def scene(emotion: Emotion, event: Event, persona: Persona, *, seed: int, turn: int, number: int) -> Scene:
    """Draw the situation in which a persona meets an event; pure.

    Args:
        emotion: what the event evokes.
        event: what happens; it must fit the persona.
        persona: who meets it.
        seed: seed of the recipe.
        turn: number of the row within its emotion.
        number: number of the situation within its persona, for the id.

    """
    rng = random.Random(f"scene:{seed}:{emotion.name}:{turn}")
    place = _pick(options("places"), event.places, persona.values, rng)
    company = _pick(options("companions"), event.companions, persona.values, rng) or options("companions")["alone"]
    time = _pick(options("times"), event.times or tuple(options("times")), persona.values, rng)
    channel = _pick(options("channels"), tuple(options("channels")), persona.values, rng)
    assert place is not None and time is not None and channel is not None, "the event was chosen to have them"
    telling = rng.choice(event.tellings) if event.tellings else None
    return Scene(
        f"{persona.id}-s{number}",
        Situational(
            event.clause,
            event.kind,
            event.appraisal,
            place.id,
            time.id,
            company.id,
            channel.id,
            event.stakes,
        ),
        telling,
        place.phrase or persona.values.get("workplace") or "at work",
        time.phrase or time.id,
        company.phrase or company.id,
        channel.phrase or channel.id,
    )


def fits(event: Event, what: Scene, values: Mapping[str, Any]) -> bool:
    """Tell whether a persona with these attributes can meet an event in a situation that was drawn for another one."""
    drawn = what.situational
    chosen = {
        "places": drawn.place,
        "times": drawn.time,
        "companions": drawn.companions,
        "channels": drawn.channel,
    }
    return event.fit.holds(values) and all(options(kind)[id_].fit.holds(values) for kind, id_ in chosen.items())


def _can_meet(event: Event, values: Mapping[str, Any]) -> bool:
    """Tell whether a persona can meet an event at one of its places at least."""
    places = options("places")
    return event.fit.holds(values) and any(places[place].fit.holds(values) for place in event.places)


def _pick(
    known: Mapping[str, Option], ids: Sequence[str], values: Mapping[str, Any], rng: random.Random
) -> Option | None:
    fitting = [known[id_] for id_ in ids if known[id_].fit.holds(values)]
    draw = rng.random()  # drawn in any case, so that later draws do not shift
    if not fitting:
        return None
    cumulated = list(accumulate(option.share for option in fitting))
    return next(option for option, edge in zip(fitting, cumulated, strict=True) if draw * cumulated[-1] < edge)
