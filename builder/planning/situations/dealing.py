"""Assign an event to each row: the events of an emotion are dealt to its personas in rounds."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from personagen.builder.core.errors import RecipeError
from personagen.builder.planning.plan import Plan, RowPlan
from personagen.builder.planning.situations.bank import Event, events_of, setting_options
from personagen.builder.planning.taxonomy import Emotion

MAX_CACHED_ROUNDS = 256
"""Rounds of dealt events in memory: more than the rows in flight belong to. Earlier rounds are dealt anew if needed."""

DealtEvents = dict[tuple[str, int], tuple[Event, ...]]
"""Events dealt so far, by emotion and round."""


def event_of(plan: Plan, emotion: Emotion, row: RowPlan, dealt: DealtEvents) -> Event:
    """Return the event of a row.

    Args:
        plan: plan of the row.
        emotion: emotion of the row.
        row: any row of the plan.
        dealt: cache of dealt rounds, updated in place; it does not affect the result.

    Raises:
        RecipeError: no event of the emotion can happen to one of the personas of the round.

    """
    size = len(events_of(emotion))
    round_, position = divmod(row.turn, size)
    if (row.emotion, round_) not in dealt:
        turns = range(round_ * size, min((round_ + 1) * size, sum(plan.quotas[row.emotion].values())))
        numbers = [plan.turn(row.emotion, turn).persona for turn in turns]
        people = [plan.people.persona(number).values for number in numbers]
        dealt[row.emotion, round_] = deal_events(emotion, people, plan.recipe.seed, round_)
        if len(dealt) > MAX_CACHED_ROUNDS:
            del dealt[next(iter(dealt))]
    return dealt[row.emotion, round_][position]


def deal_events(emotion: Emotion, people: Sequence[Mapping[str, Any]], seed: int, round_: int) -> tuple[Event, ...]:
    """Deal the events of an emotion to the personas of one round, in shuffled order; pure.

    Each persona gets the first remaining event that can happen to it. If there is none, it gets one that was already
    dealt in this round. A condition on an attribute that a persona lacks fails, unless no event is left otherwise.

    Args:
        emotion: emotion that the events evoke.
        people: attributes of the personas of the round, at most as many as there are events.
        seed: seed of the recipe.
        round_: number of the round; it seeds the shuffle.

    Raises:
        RecipeError: no event of the emotion can happen to one of the personas.

    """
    events = events_of(emotion)
    remaining = random.Random(f"events:{seed}:{emotion.name}:{round_}").sample(events, len(events))
    dealt: list[Event] = []
    for values in people:
        fitting = [event for event in remaining if _can_happen_to(values, event)]
        if fitting:
            remaining.remove(fitting[0])
        else:
            fitting = [event for event in events if _can_happen_to(values, event)]
            fitting = fitting or [event for event in events if _may_happen_to(values, event)]
            random.Random(f"events:{seed}:{emotion.name}:{round_}:{len(dealt)}").shuffle(fitting)
        if not fitting:
            raise RecipeError(
                f"no event of {emotion.name!r} fits a persona (age {values.get('age')}, {values.get('occupation')}); "
                "add events without conditions to the emotion"
            )
        dealt.append(fitting[0])
    return tuple(dealt)


def _can_happen_to(values: Mapping[str, Any], event: Event) -> bool:
    """Return whether an event can happen to a persona at one of its places or more."""
    places = setting_options("places")
    return event.fit.holds(values) and any(places[place].fit.holds(values) for place in event.places)


def _may_happen_to(values: Mapping[str, Any], event: Event) -> bool:
    """Return whether nothing that is known of a persona excludes an event; a source may say little of its personas."""
    places = setting_options("places")
    return event.fit.may_hold(values) and any(places[place].fit.may_hold(values) for place in event.places)
