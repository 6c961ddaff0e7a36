"""Events of the emotions of a recipe that names their sources: a file, the bank, and what the model invents.

An emotion has the events of all sources, and those that its taxonomy lists. What an event of the recipe names no place,
time or companion for is left out of prompts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from personagen.builder.planning.situations.bank import Event, bank_events, events_of
from personagen.builder.planning.situations.channels import fit_vocabulary
from personagen.builder.planning.situations.event_files import FileEvent, load_event_file
from personagen.builder.planning.suggestions import did_you_mean
from personagen.builder.planning.taxonomy import Emotion, bank_emotions
from personagen.metrics.texts.emotion_words import LEXICON_LANGUAGES, names_emotion

if TYPE_CHECKING:
    from personagen.builder.planning.recipe import Recipe

ASSUMED_EVENT = "finding the front door of the flat open after a long day at work"
"""Stand-in for an event that the model has yet to invent, as long as those of the bank are."""

EventLists = Mapping[str, tuple[Event, ...]]
"""Events by emotion."""


def event_lists(recipe: "Recipe", emotions: Iterable[Emotion]) -> EventLists | None:
    """Return the events of each emotion, without those that the model is to invent; None: the recipe names no source.

    Args:
        recipe: recipe of the events.
        emotions: emotions of the recipe that are written.

    Raises:
        ValueError: the file of events is malformed, or a kind of the bank is unknown.

    """
    sources = recipe.events
    if sources is None:
        return None
    listed = _file_events(recipe)
    return {
        emotion.name: (
            *_from_file(listed, emotion.name),
            *_from_taxonomy(emotion),
            *(_from_bank(recipe, emotion) if sources.bank is not None else ()),
        )
        for emotion in emotions
    }


def wanted_inventions(recipe: "Recipe") -> dict[str, int]:
    """Return how many events the model is to invent for each emotion, at most one per text; empty: none."""
    invent = recipe.events.invent if recipe.events else None
    quota = recipe.quota()
    if invent is None:
        return {}
    if invent.per_emotion is not None:
        return {name: min(invent.per_emotion, rows) for name, rows in quota.items()}
    assert invent.count is not None
    return {name: min(max(1, round(invent.count * rows / recipe.rows)), rows) for name, rows in quota.items()}


def require_events(recipe: "Recipe", emotions: Iterable[Emotion]) -> None:
    """Raise ValueError if an emotion has no event, or an event of the recipe is unfit for its emotion."""
    sources, emotions = recipe.events, tuple(emotions)
    if sources is None:
        return
    if sources.bank is not None:
        _require_kinds((*(sources.bank.kinds or ()), *sources.bank.excluded))
    listed = _file_events(recipe)
    _require_known_emotions(listed, recipe)
    if recipe.text.language in (None, *LEXICON_LANGUAGES):
        _require_unnamed(listed, [emotion.name for emotion in emotions])
    lists = event_lists(recipe, emotions) or {}
    for name in lists if sources.invent is None else ():
        if not lists[name]:
            raise ValueError(
                f"events: no event of {', '.join(key for key, value in sources if value is not None)} evokes "
                f"{name!r}, wanted one or more; add some to events.file, or events.bank or events.invent"
            )


def can_have(recipe: "Recipe", field: str) -> bool:
    """Return whether an event of a recipe may have a stake, an appraisal, a place, a time or companions."""
    emotions = recipe.chosen_taxonomy().emotions
    lists = event_lists(recipe, emotions)
    if lists is None:
        return field in ("place", "time", "companions") or not all(emotion.events for emotion in emotions)
    if field == "place" and recipe.events and recipe.events.invent:
        return True
    attribute = {"place": "places", "time": "times"}.get(field, field)
    is_banked = field in ("place", "time", "companions")
    return any(
        bool(getattr(event, attribute)) or (is_banked and not event.is_own)
        for events in lists.values()
        for event in events
    )


def _file_events(recipe: "Recipe") -> tuple[FileEvent, ...]:
    if recipe.events is None or recipe.events.file is None:
        return ()
    return load_event_file(recipe.events.file, fit_vocabulary(recipe))


def _from_file(listed: Iterable[FileEvent], emotion: str) -> tuple[Event, ...]:
    return tuple(one.event for one in listed if not one.emotions or emotion in one.emotions)


def _from_taxonomy(emotion: Emotion) -> tuple[Event, ...]:
    events = events_of(emotion) if emotion.events else ()
    return tuple(replace(event, places=(), companions=(), is_own=True) for event in events)


def _from_bank(recipe: "Recipe", emotion: Emotion) -> tuple[Event, ...]:
    bank = recipe.events.bank if recipe.events else None
    if bank is None or emotion.bank is None:
        return ()
    return tuple(
        event
        for event in events_of(replace(emotion, events=()))
        if (bank.kinds is None or event.kind in bank.kinds) and event.kind not in bank.excluded
    )


def _require_kinds(kinds: Iterable[str]) -> None:
    known = {event.kind for emotion in bank_emotions() for event in bank_events(emotion)}
    for kind in kinds:
        if kind not in known:
            raise ValueError(
                f"events.bank: unknown kind {kind!r:.80}{did_you_mean(kind, sorted(known))}; the column event_kind of "
                "a release has the kinds, and builder/data/situations lists them"
            )


def _require_known_emotions(listed: Iterable[FileEvent], recipe: "Recipe") -> None:
    from personagen.builder.planning.recipe.consistency import taxonomy_of  # which validates by this module

    known = taxonomy_of(recipe).names
    for one in listed:
        for emotion in one.emotions:
            if emotion not in known:
                hint = did_you_mean(emotion, known)
                raise ValueError(f"{one.where}: unknown emotion {emotion!r:.80}{hint}; known: {', '.join(known)}")


def _require_unnamed(listed: Iterable[FileEvent], emotions: Iterable[str]) -> None:
    """Raise ValueError if the clause of an event names an emotion that it evokes: every prompt would say the label."""
    names = tuple(emotions)
    for one in listed:
        for emotion in (name for name in one.emotions or names if name in names):
            if names_emotion(one.event.clause, emotion):
                advice = "say what happens instead" + ("" if one.emotions else ", or name its emotions")
                raise ValueError(
                    f"{one.where}: the clause {one.event.clause!r:.120} names its emotion {emotion}; {advice}"
                )
