"""Whether every persona of a plan has a channel and an event, before anything is paid for."""

from dataclasses import replace
from typing import TYPE_CHECKING

from personagen.builder.planning.personas.tables import Condition
from personagen.builder.planning.situations.bank import Event, require_event
from personagen.builder.planning.situations.sources import ASSUMED_EVENT, wanted_inventions

if TYPE_CHECKING:
    from personagen.builder.planning.plan import Plan

MAX_EXAMINED_TURNS = 1000
"""Rows per emotion whose personas are examined for a channel and an event that fit: choosing a persona takes 0.3 ms."""


def require_possible(plan: "Plan") -> None:
    """Raise RecipeError if a channel or an event is missing for one of the first personas of an emotion.

    Only recipes with conditions of their own are examined; the rows after the first MAX_EXAMINED_TURNS are not.
    """
    channels = () if plan.channels is None else plan.channels.channels
    asks_channels = bool(channels) and all(channel.fit != Condition() for channel in channels)
    for emotion in plan.recipe.chosen_taxonomy().emotions:
        events = () if plan.events is None else plan.events[emotion.name]
        asks_events = bool(events) and not any(event.fits_everybody for event in events)
        if not plan.has_personas or not (asks_channels or asks_events):
            continue
        for turn in range(min(MAX_EXAMINED_TURNS, sum(plan.quotas[emotion.name].values()))):
            row = plan.turn(emotion.name, turn)
            plan.channel_of(row)
            if asks_events:
                require_event(emotion.name, events, plan.people.persona(row.persona).values)


def with_assumed_events(plan: "Plan", clause: str = ASSUMED_EVENT) -> "Plan":
    """Return the plan with a stand-in for the events that the model is to invent, which fits everybody."""
    assumed = Event("invented", "", clause, (), None, None, Condition(), (), (), (), is_own=True)
    events = {name: (*(plan.events or {})[name], assumed) for name in wanted_inventions(plan.recipe)}
    return replace(plan, events=events) if events else plan
