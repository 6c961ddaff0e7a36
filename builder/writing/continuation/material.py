"""Load the openings, remarks and short tellings of a small model's texts; all of them were written for this project."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import chain

from personagen.builder.core.package_data import read_yaml, table_names
from personagen.builder.planning.situations.bank import bank_events
from personagen.metrics.style import EXPRESSIONS, expression_of
from personagen.metrics.style.valence import valenced_words
from personagen.metrics.texts.words import tokenise

NEUTRAL = "neutral"
"""Emotion without a word or a voice of its own."""

GENERAL_ITEMS = 12
"""Reactions in which a word must stand to fit every matter; of about 4,700."""

REGISTERS: Mapping[str, str] = {
    "comments": "comments",
    "messages": "messages",
    "tweets": "messages",
    "dialogue": "dialogue",
    "reports": "reports",
    "diary": "reports",
    "mail": "messages",
}
"""Register of the tellings of each style; a profile from a file has that of comments."""


@dataclass(frozen=True, slots=True)
class Reactions:
    """Reactions of one label that express their emotion in one way, as a text's expression is measured.

    Attributes:
        openings: beginnings of a sentence, by "self" (about the writer) and "other" (about or to others).
        remarks: complete sentences, likewise.

    """

    openings: Mapping[str, tuple[str, ...]]
    remarks: Mapping[str, tuple[str, ...]]


@cache
def reactions(bank: str) -> Mapping[str, Mapping[str, Reactions]]:
    """Load the reactions of an emotion of the bank, by GoEmotions label and expression."""
    table = read_yaml(f"reactions/{bank}.yaml")["reactions"]
    return {
        label: {
            expression: Reactions(*(_of_expression(bank, expression, parts[form]) for form in ("openings", "remarks")))
            for expression in EXPRESSIONS
        }
        for label, parts in table.items()
    }


def _of_expression(
    bank: str, expression: str, levels: Mapping[str, Mapping[str, list[str]]]
) -> dict[str, tuple[str, ...]]:
    """Return the items of an expression by kind; what was written as one expression may be measured as another."""
    return {
        kind: tuple(
            item
            for kinds in levels.values()
            for item in (kinds or {}).get(kind) or ()
            if bank == NEUTRAL or expression_of(item, bank) == expression
        )
        for kind in ("self", "other")
    }


@cache
def short_tellings(bank: str, event: str, register: str) -> Mapping[str, tuple[str, ...]]:
    """Return the short tellings of an event in a register, by "open" and "covert"; empty: the event has none."""
    table = read_yaml(f"tellings/{bank}.yaml")["tellings"]
    return {openness: tuple(lines) for openness, lines in table.get(event, {}).get(register, {}).items()}


@cache
def incidents(bank: str, expression: str) -> tuple[str, ...]:
    """Return beginnings of what happened to the writer, as openness is measured; empty: the emotion has none.

    An incident shows the feeling. A short sentence before it names or voices the feeling.
    """
    table = read_yaml("incidents.yaml")
    shown = table["incidents"].get(bank, ())
    if expression == "shown":
        return tuple(item for item in shown if bank == NEUTRAL or expression_of(item, bank) == expression)
    before = [item for item in table["before"].get(bank, ()) if expression_of(item, bank) == expression]
    return tuple(f"{sentence} {incident}" for sentence in before for incident in shown)


@cache
def follow_ups(bank: str, expression: str) -> Mapping[str, tuple[str, ...]]:
    """Return openings that fit after every account of an emotion, by "self" and "other", as openness is measured.

    Those after the writer's own account are joined by the openings of `expression: shown`. Neutral has no others.
    """
    written = read_yaml("follow_ups.yaml").get(bank, {})
    shown = read_yaml("continuation.yaml")["openings"].get(bank, ())
    if bank == NEUTRAL:
        return {"self": tuple(shown)}
    items = {kind: [item for kinds in written.values() for item in kinds[kind]] for kind in ("self", "other")}
    items["self"] += shown
    return {
        kind: tuple(dict.fromkeys(item for item in part if expression_of(item, bank) == expression))
        for kind, part in items.items()
    }


@cache
def is_general(item: str) -> bool:
    """Return whether an opening or a remark fits every matter: each of its words is frequent in them, or valenced."""
    return all(word in _general_words() or any(valenced_words(word)) for word in tokenise(item))


@cache
def _general_words() -> frozenset[str]:
    """Return the words of GENERAL_ITEMS reactions or more, over all emotions."""
    counts: Counter[str] = Counter()
    for name in table_names("reactions"):
        for parts in read_yaml(name)["reactions"].values():
            for form in ("openings", "remarks"):
                for kinds in parts[form].values():
                    for item in chain.from_iterable(items or () for items in (kinds or {}).values()):
                        counts.update(set(tokenise(item)))
    return frozenset(word for word, count in counts.items() if count >= GENERAL_ITEMS)


@cache
def label_of(bank: str, event: str) -> str | None:
    """Return the GoEmotions label of an event of the bank. None: the recipe defines the event."""
    return next((entry.label for entry in bank_events(bank) if entry.kind == event), None)


@cache
def event_labels(bank: str) -> tuple[str, ...]:
    """Return the GoEmotions labels of the events of the bank, one per event."""
    return tuple(entry.label for entry in bank_events(bank))
