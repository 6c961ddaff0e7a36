"""Assign an event to each row: the events of an emotion are dealt to its personas in rounds."""

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from personagen.builder.planning.personas.tables import Condition
from personagen.builder.planning.plan import Plan, RowPlan
from personagen.builder.planning.situations.bank import Event, require_event
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
    events = plan.events_of(emotion)
    size = len(events)
    round_, position = divmod(row.turn, size)
    if (row.emotion, round_) not in dealt:
        turns = range(round_ * size, min((round_ + 1) * size, sum(plan.quotas[row.emotion].values())))
        numbers = [plan.turn(row.emotion, turn).persona for turn in turns]
        people = [plan.people.persona(number).values for number in numbers]
        deal = deal_events if plan.events is None else deal_listed_events
        dealt[row.emotion, round_] = deal(emotion.name, events, people, plan.recipe.seed, round_)
        if len(dealt) > MAX_CACHED_ROUNDS:
            del dealt[next(iter(dealt))]
    return dealt[row.emotion, round_][position]


def deal_events(
    emotion: str, events: Sequence[Event], people: Sequence[Mapping[str, Any]], seed: int, round_: int
) -> tuple[Event, ...]:
    """Deal the events of an emotion to the personas of one round, in shuffled order; pure.

    Each persona gets the first remaining event that can happen to it. If there is none, it gets one that was already
    dealt in this round. A condition on an attribute that a persona lacks fails, unless no event is left otherwise.

    Args:
        emotion: emotion that the events evoke.
        events: the events.
        people: attributes of the personas of the round, at most as many as there are events.
        seed: seed of the recipe.
        round_: number of the round; it seeds the shuffle.

    Raises:
        RecipeError: no event of the emotion can happen to one of the personas.

    """
    remaining = random.Random(f"events:{seed}:{emotion}:{round_}").sample(events, len(events))
    dealt: list[Event] = []
    for values in people:
        fitting = [event for event in remaining if event.can_happen_to(values)]
        if fitting:
            remaining.remove(fitting[0])
        else:
            require_event(emotion, events, values)
            fitting = [event for event in events if event.can_happen_to(values)]
            fitting = fitting or [event for event in events if event.may_happen_to(values)]
            random.Random(f"events:{seed}:{emotion}:{round_}:{len(dealt)}").shuffle(fitting)
        dealt.append(fitting[0])
    return tuple(dealt)


def deal_listed_events(
    emotion: str, events: Sequence[Event], people: Sequence[Mapping[str, Any]], seed: int, round_: int
) -> tuple[Event, ...]:
    """Deal the events of a recipe that names their sources: as `deal_events`, and evenly for thousands of them.

    Events that fit everybody are dealt last, so that they are left for personas whom no other event fits. A persona
    whom no remaining event fits gets the one that was dealt least in this round. Events with equal conditions are one
    group, and only the groups are searched: 5,000 events take as many steps and not their square.

    Raises:
        RecipeError: no event of the emotion can happen to one of the personas.

    """
    shuffled = random.Random(f"events:{seed}:{emotion}:{round_}").sample(events, len(events))
    groups: dict[tuple[Condition, tuple[str, ...]], list[Event]] = {}
    for event in shuffled:
        groups.setdefault((event.fit, event.places), []).append(event)
    ordered = sorted(groups.values(), key=lambda group: group[0].fits_everybody)
    unused = [iter(group) for group in ordered]
    times = Counter[int]()
    dealt: list[Event] = []
    for values in people:
        fitting = [number for number, group in enumerate(ordered) if group[0].can_happen_to(values)]
        if not fitting:
            require_event(emotion, events, values)
            fitting = [number for number, group in enumerate(ordered) if group[0].may_happen_to(values)]
        event = _next_unused(unused, fitting) or min(
            (one for number in fitting for one in ordered[number]), key=lambda one: times[id(one)]
        )
        times[id(event)] += 1
        dealt.append(event)
    return tuple(dealt)


def _next_unused(unused: Sequence[Iterator[Event]], groups: Sequence[int]) -> Event | None:
    """Return an event that was not dealt yet, of the first of some groups that has one; None: there is none."""
    for group in groups:
        if (event := next(unused[group], None)) is not None:
            return event
    return None
