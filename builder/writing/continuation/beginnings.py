"""Build the beginnings of a text that a small model completes, to the expression, length and register of its row."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from personagen.builder.planning.plan import RowPlan
from personagen.builder.planning.situations import Scene
from personagen.builder.planning.styles import RowStyle
from personagen.builder.planning.taxonomy import Emotion
from personagen.builder.writing.continuation.material import (
    REGISTERS,
    Reactions,
    event_labels,
    incidents,
    label_of,
    reactions,
    short_tellings,
)
from personagen.metrics.style import StyleFeatures, expression_of
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

MAX_GENERAL_WORDS = 6
"""Words up to which a remark fits most events."""

INCIDENT_FRACTION = 0.3
"""Fraction of the rows whose texts about the writer describe an incident."""

DEALT = 6
"""Openings of a row that are dealt and not drawn."""

MANY = 12
"""Openings from which on a label has enough of its own."""

MIN_PART_WORDS = 3
"""Room below which nothing stands before an opening."""

MAX_PARTS = 3
"""Sentences before an opening."""

USUAL_ACCOUNT_WORDS = 8
"""Length of a short account."""

TRIES = 400
"""Combinations that are tried to find them."""

OTHER_REGISTERS = ("comments", "dialogue")
"""Registers in which a text may be about others."""

DEFAULT_WORDS = 20
"""Length of a text without a style."""


@dataclass(frozen=True, slots=True)
class _Sources:
    """What the texts of a row can be made of.

    Attributes:
        reactions: reactions of the label of the row's event, by expression.
        fallback: reactions of the emotion as a whole, likewise.
        covert: short accounts of the bare event.
        open: short accounts that judge it.
        long: account of the event in one long sentence.
        incidents: beginnings about an incident of the writer, for texts without an account; empty: the row
            is a reaction.

    """

    reactions: Mapping[str, Reactions]
    fallback: Mapping[str, Reactions]
    covert: tuple[str, ...]
    open: tuple[str, ...]
    long: tuple[str, ...]
    incidents: tuple[str, ...]


def styled_beginnings(seed: int, row: RowPlan, emotion: Emotion, scene: Scene | None) -> list[str]:
    """Return beginnings of a row's text, the best first; each ends with an opening that the model completes.

    Around the opening stand remarks and an account of the event, as far as the length of the row allows. A short text
    has no context. Each expresses the emotion as the row is to.
    """
    if emotion.bank is None or row.style is None:
        return ["After that I"]
    rng = random.Random(f"beginnings:{seed}:{row.emotion}:{row.turn}")
    sources = _sources(emotion, row.style, scene, rng)
    beginnings: list[tuple[float, int, str]] = []
    for number, beginning in enumerate(_drawn(sources, row, rng)):
        if len(beginnings) >= MAX_RANKED:
            break
        if expression_of(beginning, row.emotion) == row.style.expression or emotion.bank == "neutral":
            beginnings.append((_distance(beginning, row.style.features), number, beginning))
    if not beginnings:
        return ["After that I"]
    return [beginning for _, _, beginning in sorted(beginnings)[:MAX_BEGINNINGS]]


def _distance(beginning: str, features: StyleFeatures | None) -> float:
    """Return by how many words a completed beginning misses its row: words in steps of three, and valenced words."""
    if features is None:
        return abs(count_words(beginning) + COMPLETION_WORDS - DEFAULT_WORDS) // 3
    words = count_words(beginning) + COMPLETION_WORDS - max(features.words, LEAST_WORDS)
    return abs(words) // 3 + valence_distance(beginning, features)


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
    register = REGISTERS.get(style.style or "", "comments")
    short = short_tellings(bank, event, register) if event else {}
    is_long = scene is not None and scene.narration is not None and register in ("reports", "messages")
    long = (scene.narration,) if scene is not None and scene.narration is not None and is_long else ()
    is_incident = emotion.bank_label in (None, bank) and rng.random() < INCIDENT_FRACTION
    own = incidents(bank) if is_incident else ()
    return _Sources(table.get(label, main), main, short.get("covert", ()), short.get("open", ()), long, own)


def _drawn(sources: _Sources, row: RowPlan, rng: random.Random) -> Iterator[str]:
    """Yield beginnings of a row, in drawn order, without repeats."""
    style, seen = row.style, set()
    assert style is not None
    features = style.features
    words = DEFAULT_WORDS if features is None else features.words
    for number in range(TRIES):
        kind = _kind(features, style.style, rng)
        is_incident = kind == "self" and bool(sources.incidents)
        openings = sources.incidents if is_incident else _openings(sources, style.expression, kind, rng)
        if not openings:
            continue
        # The first openings are dealt in shuffled rounds, so that rows repeat few.
        opening = _shuffled(openings)[(row.turn + number) % len(openings)] if number < DEALT else rng.choice(openings)
        room = words - count_words(opening) - COMPLETION_WORDS
        account = None if is_incident else _account(sources, style.expression, room, rng)
        before = _context(sources, style.expression, kind, account, room, rng)
        if len(before) == 2 and rng.random() < 0.5:
            before.reverse()
        beginning = " ".join([*(_ended(part) for part in before), opening])
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


def _openings(sources: _Sources, expression: str, kind: str, rng: random.Random) -> tuple[str, ...]:
    """Return the openings of the label of a row, or now and then those of the emotion as a whole.

    Without any of their kind those of the other kind are returned: the expression counts for more.
    """
    own = sources.reactions[expression].openings.get(kind, ())
    main = sources.fallback[expression].openings.get(kind, ())
    if not (own or main):
        return next((part for part in sources.fallback[expression].openings.values() if part), ())
    return own if own and (len(own) >= MANY or rng.random() < 0.6) else main


@lru_cache(maxsize=512)
def _shuffled(items: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(random.Random(f"reactions:{len(items)}:{items[0]}").sample(items, len(items)))


def _context(
    sources: _Sources, expression: str, kind: str, account: str | None, room: int, rng: random.Random
) -> list[str]:
    """Draw what stands before an opening beside an account: a remark, and general remarks up to `room` words."""
    parts: list[str] = []
    if account is not None:
        parts.append(account)
        room -= count_words(account)
    while room >= MIN_PART_WORDS and len(parts) < MAX_PARTS:
        most = min(room, MAX_GENERAL_WORDS) if parts else room  # a longer one would bring a matter of its own
        level = expression if rng.random() < 0.7 else "shown"
        remarks = [
            part
            for source in (sources.reactions, sources.fallback)
            for part in source[level].remarks.get(kind, ())
            if count_words(part) <= most and part not in parts
        ]
        if not remarks:
            break
        parts.append(rng.choice(remarks))
        room -= count_words(parts[-1])
    return parts


def _account(sources: _Sources, expression: str, room: int, rng: random.Random) -> str | None:
    """Draw an account of the event of up to `room` words, rather a long one. None: none fits, or none is drawn."""
    tellings = sources.covert if expression == "shown" else (*sources.covert, *sources.open)
    choices = [part for part in (*tellings, *sources.long) if count_words(part) <= room]
    if not choices or (room < USUAL_ACCOUNT_WORDS and rng.random() < 0.7):
        return None
    longest = max(map(count_words, choices))
    return rng.choice([part for part in choices if count_words(part) >= longest - USUAL_ACCOUNT_WORDS])


def _ended(part: str) -> str:
    """Return a part with a mark at its end."""
    return part if part[-1:] in ".!?…" else f"{part}."
