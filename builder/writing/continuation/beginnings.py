"""Build the beginnings of a text that a small model completes, to the expression, length and register of its row."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from personagen.builder.planning.plan import RowPlan
from personagen.builder.planning.situations.bank import Scene
from personagen.builder.planning.styles import RowStyle
from personagen.builder.planning.taxonomy import Emotion
from personagen.builder.writing.continuation.material import (
    NEUTRAL,
    REGISTERS,
    Reactions,
    event_labels,
    follow_ups,
    incidents,
    is_general,
    label_of,
    reactions,
    short_tellings,
)
from personagen.metrics.style import EXPRESSIONS, StyleFeatures, expression_of, style_features
from personagen.metrics.style.valence import valenced_words
from personagen.metrics.texts.words import count_words

COMPLETION_WORDS = 3
"""Words that the model adds to an opening, in the mean."""

LEAST_WORDS = 5
"""Length below which the texts of rows would repeat each other."""

MAX_BEGINNINGS = 24
"""Beginnings per row: more than attempts."""

MAX_RANKED = 48
"""Beginnings among which the best are chosen."""

INCIDENT_FRACTION = 0.6
"""Fraction of the rows whose texts about the writer describe an incident."""

MAX_INCIDENT_WORDS = 18
"""Words up to which a text is an incident alone: longer ones give an account of their event."""

DEALT = 6
"""Openings of a row that are dealt and not drawn."""

MANY = 12
"""Openings from which on a label has enough of its own."""

MIN_ROOM = 2
"""Missing words from which on a text gets a remark."""

MAX_REMARK_WORDS = 4
"""Words of a remark that fits every matter."""

USUAL_OPENING_WORDS = 5
"""Length of an opening after an account."""

MIN_NEUTRAL_ACCOUNT = 12
"""Words from which on a neutral text is about what the writer did: other facts have nothing to do with each other."""

TRIES = 400
"""Combinations that are tried to find them."""

OTHER_REGISTERS = ("comments", "dialogue")
"""Registers in which a text may be about others."""

LAST_RESORT = "After that I"
"""Beginning of a text where there is no material for its emotion."""

DEFAULT_WORDS = 20
"""Length of a text without a style."""


@dataclass(frozen=True, slots=True)
class _Sources:
    """What the texts of a row can be made of.

    Attributes:
        reactions: reactions of the label of the row's event, by expression.
        fallback: reactions of the emotion as a whole, likewise.
        accounts: accounts of the event by "self" (in the first person) and "other" (as others speak of it), no more
            open than the row.
        incidents: beginnings of what happened to the writer, for texts without an account; empty: the row
            is a reaction.
        follow_ups: openings that fit after every account of the emotion, by whose account it is.

    """

    reactions: Mapping[str, Reactions]
    fallback: Mapping[str, Reactions]
    accounts: Mapping[str, tuple[str, ...]]
    incidents: tuple[str, ...]
    follow_ups: Mapping[str, tuple[str, ...]]


def styled_beginnings(seed: int, row: RowPlan, emotion: Emotion, scene: Scene | None) -> list[str]:
    """Return beginnings of a row's text, the best first; each ends with an opening that the model completes.

    Before the opening stands an account of the event or a remark, as far as the length of the row allows. Each
    beginning expresses the emotion as the row is to, unless the emotion has no material of its own.
    """
    if emotion.bank is None or row.style is None:
        return [LAST_RESORT]
    rng = random.Random(f"beginnings:{seed}:{row.emotion}:{row.turn}")
    sources = _sources(emotion, row.style, scene, rng)
    beginnings: list[tuple[float, int, str]] = []
    for number, beginning in enumerate(_drawn(sources, row, rng)):
        if len(beginnings) >= MAX_RANKED:
            break
        if expression_of(beginning, row.emotion) == row.style.expression or emotion.bank == NEUTRAL:
            beginnings.append((_distance(beginning, row.style.features), number, beginning))
    if not beginnings:
        return [LAST_RESORT]
    return [beginning for _, _, beginning in sorted(beginnings)[:MAX_BEGINNINGS]]


def _distance(beginning: str, features: StyleFeatures | None) -> float:
    """Return by how many words a completed beginning misses its row: words in steps of two, and valenced words."""
    if features is None:
        return abs(count_words(beginning) + COMPLETION_WORDS - DEFAULT_WORDS) // 3
    words = count_words(beginning) + COMPLETION_WORDS - max(features.words, LEAST_WORDS)
    return abs(words) // 2 + valence_distance(beginning, features)


def valence_distance(text: str, features: StyleFeatures | None) -> int:
    """Return by how many positive and negative words a text differs from its features; 0 without features."""
    if features is None:
        return 0
    positive, negative = valenced_words(text)
    return abs(positive - features.positive) + abs(negative - features.negative)


def _sources(emotion: Emotion, style: RowStyle, scene: Scene | None, rng: random.Random) -> _Sources:
    bank = emotion.bank
    assert bank is not None
    table = reactions(bank)
    event = scene.situational.event_kind if scene else None
    label = emotion.bank_label or (label_of(bank, event) if event else None) or rng.choice(event_labels(bank))
    main = table.get(bank) or next(iter(table.values()))
    own: list[str] = []
    others: list[str] = []
    if scene is not None and event is not None:
        register = REGISTERS.get(style.style or "", "comments")
        own = [*_short(bank, event, "messages" if register == "messages" else "reports"), scene.narration or ""]
        others = _short(bank, event, register) if bank != NEUTRAL else []
    accounts = {
        "self": _no_more_open(own, style.expression, bank),
        "other": _no_more_open(others, style.expression, bank),
    }
    is_incident = emotion.bank_label in (None, bank) and rng.random() < INCIDENT_FRACTION
    return _Sources(
        table.get(label, main),
        main,
        accounts,
        incidents(bank, style.expression) if is_incident else (),
        follow_ups(bank, style.expression),
    )


def _short(bank: str, event: str, register: str) -> list[str]:
    """Return the short accounts of an event in a register."""
    return [part for parts in short_tellings(bank, event, register).values() for part in parts]


def _no_more_open(parts: Sequence[str], expression: str, bank: str) -> tuple[str, ...]:
    """Return the sentences that express an emotion no more openly than as an expression."""
    most = EXPRESSIONS.index(expression)
    return tuple(part for part in parts if part and EXPRESSIONS.index(expression_of(part, bank)) >= most)


def _drawn(sources: _Sources, row: RowPlan, rng: random.Random) -> Iterator[str]:
    """Yield beginnings of a row, in drawn order, without repeats.

    Either an account of the event or the opening brings the matter of a text, and all else fits every matter. Otherwise
    the sentences would have nothing to do with each other.
    """
    style, seen = row.style, set()
    assert style is not None
    words = DEFAULT_WORDS if style.features is None else style.features.words
    for number in range(TRIES):
        kind = _kind(style.features, style.style, rng)
        if row.emotion == NEUTRAL and words >= MIN_NEUTRAL_ACCOUNT:
            kind = "self"
        has_matter = number < TRIES // 2  # where few accounts and incidents fit, reactions stand for themselves
        is_incident = has_matter and bool(sources.incidents) and kind == "self" and words <= MAX_INCIDENT_WORDS
        fitting = sources.follow_ups.get(kind, ())
        account = _account(sources.accounts[kind], words, rng) if has_matter and fitting and not is_incident else None
        source = _source(sources, style.expression, kind, rng)
        openings = sources.incidents if is_incident else fitting if account else _openings(source, kind)
        if not openings:
            continue
        # The first openings are dealt in shuffled rounds, so that rows repeat few.
        opening = _shuffled(openings)[(row.turn + number) % len(openings)] if number < DEALT else rng.choice(openings)
        room = words - count_words(opening) - COMPLETION_WORDS
        before = account or (None if is_incident else _remark(source, style.expression, kind, opening, room, rng))
        beginning = f"{_ended(before)} {opening}" if before else opening
        if beginning not in seen:
            seen.add(beginning)
            yield beginning


def _kind(features: StyleFeatures | None, style: str | None, rng: random.Random) -> str:
    """Return whether a text is about its writer ("self") or about others ("other")."""
    if REGISTERS.get(style or "", "comments") not in OTHER_REGISTERS:
        return "self"
    if features is None:
        return rng.choice(("self", "other"))
    if features.second or not features.first:
        return "other"
    return "self" if rng.random() < 0.8 else "other"


def _source(sources: _Sources, expression: str, kind: str, rng: random.Random) -> Reactions:
    """Return the reactions of the label of a row, or now and then those of the emotion as a whole."""
    own, main = sources.reactions[expression], sources.fallback[expression]
    openings = own.openings.get(kind, ())
    return own if openings and (len(openings) >= MANY or rng.random() < 0.6) else main


def _openings(source: Reactions, kind: str) -> tuple[str, ...]:
    """Return openings of a kind, or those of the other kind where there are none: the expression counts for more."""
    return source.openings.get(kind, ()) or next((part for part in source.openings.values() if part), ())


@lru_cache(maxsize=512)
def _general(items: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(item for item in items if is_general(item))


@lru_cache(maxsize=512)
def _shuffled(items: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(random.Random(f"reactions:{len(items)}:{items[0]}").sample(items, len(items)))


def _account(accounts: Sequence[str], words: int, rng: random.Random) -> str | None:
    """Draw an account of the event that leaves room for an opening, rather a long one. None: none does."""
    room = words - USUAL_OPENING_WORDS - COMPLETION_WORDS
    fitting = [part for part in accounts if count_words(part) <= room]
    if not fitting:
        return None
    longest = max(map(count_words, fitting))
    return rng.choice([part for part in fitting if count_words(part) >= longest - USUAL_OPENING_WORDS])


def _remark(source: Reactions, expression: str, kind: str, opening: str, room: int, rng: random.Random) -> str | None:
    """Draw a remark of up to `room` words that fits every matter, and addresses the reader if the opening does.

    None: there is none, the text is long enough, or it shows its feeling: another story would begin.
    """
    if room < MIN_ROOM or expression == "shown":
        return None
    is_addressed = _is_addressed(opening)
    remarks = [
        part
        for part in _general(source.remarks.get(kind, ()))
        if count_words(part) <= min(room, MAX_REMARK_WORDS) and (kind == "self" or _is_addressed(part) == is_addressed)
    ]
    return rng.choice(remarks) if remarks else None


@lru_cache(maxsize=4096)
def _is_addressed(part: str) -> bool:
    """Return whether a part of a text addresses its reader."""
    return style_features(part).second


def _ended(part: str) -> str:
    """Return a part with a mark at its end."""
    return part if part[-1:] in ".!?…" else f"{part}."
