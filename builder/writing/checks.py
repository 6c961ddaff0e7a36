"""Accept or reject a text that a model wrote: clean it, then name the first thing that is wrong with it.

A reply is hostile data. Cleaning leaves one paragraph of visible text; the checks look for what a model writes instead
of the text (refusals, talk about the task, copies of the prompt) and for texts that do not fit their row. The patterns
are in `data/reply_patterns.yaml`, the words that name an emotion in `data/lexicon.yaml`.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from personagen.builder.core.package_data import read_yaml
from personagen.metrics.texts.emotion_words import straighten_apostrophes
from personagen.metrics.texts.language import checkable_languages, is_in_other_language
from personagen.metrics.texts.words import count_words, letter_runs

REASONS = ("empty", "refusal", "meta", "garbled", "truncated", "length", "language", "echo", "leak")
"""Why a text is rejected, in the order in which it is asked: a text has the first reason that holds."""

MAX_CHARACTERS = 20_000
"""What is beyond is cut off unread, as at the token limit."""

MAX_PASSES = 8
"""Layers of wrapping that are taken off; a reply with more is no text."""

ECHO_WORDS, ECHO_SHARE, ECHO_LEAST = 12, 0.6, 6
"""A run copied from the prompt is an echo from 12 words on, or above 60 % of the text; below 6 words it is chance."""

LOOP_WORDS, LOOP_TIMES, LOOP_SHARE = 4, 3, 0.2
"""A text loops when the same 4 words in a row come 3 times or more and make up a fifth of it."""

_EMOJI = (
    "\u00a9\u00ae\u203c\u2049\u20e3\u2122\u2139\u2190-\u21ff\u2300-\u23ff\u25a0-\u27bf\u2b00-\u2bff\ufe0f"
    "\U0001f000-\U0001faff"
)
_JOINED = f"[{_EMOJI}\u0600-\u06ff\u0750-\u077f\u0900-\u0dff]"
_CLOSERS = "\"'“”’»」』)]}*_~`"
_QUOTES = (
    ('"', '"'),
    ("“", "”"),
    ("'", "'"),
    ("‘", "’"),
    ("«", "»"),
    ("„", "“"),
    ("「", "」"),
    ("**", "**"),
    ("`", "`"),
)

_ESCAPE = re.compile(r"\x1b\[[0-9;]{0,20}[A-Za-z]")
_INVISIBLE = re.compile(
    # Controls but for line ends and tabs, surrogates, private use, bidirectional and other format characters, fillers,
    # variation selectors but for the two that choose between text and emoji, tags.
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff\ue000-\uf8ff\U000f0000-\U0010ffff"
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164"
    "\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\U000110bd\U000110cd\U00013430-\U0001345f\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_JOINER = re.compile(f"(?<!{_JOINED})[\u200c\u200d]|[\u200c\u200d](?!{_JOINED})")
_SURPLUS_MARKS = re.compile("([\u0300-\u036f]{3})[\u0300-\u036f]+|([\ufe0e\ufe0f])[\ufe0e\ufe0f]+")
_LOST_SELECTOR = re.compile(f"(?<![{_EMOJI}0-9#*])[\ufe0e\ufe0f]")
_FENCE = re.compile(r"\A```(?:[\w-]{0,20}\n)?(.*?)\n?```\Z", re.DOTALL)

_EMOTICON = re.compile(
    r"(?:[:;=] ?[-'’^o]? ?[)(\]\[DPpOo3/\\|*]{1,9}|[)(] ?-?[:;=]|(?:\A|\s)[xX8][-']?[D)(]{1,9}|<3{1,9}"
    r"|\^[_.]?\^|T_T|;_;|[-._>oO]_[-._<oO])\Z"
)
_TERMINAL = re.compile(f"[.!?…。！？{_EMOJI}]\\Z")
_BROKEN_OFF = re.compile(r"[,;:\-–—(\[{&/\\“«„+=]\Z")
_SENTENCE_END = re.compile(f"[.!?…]+[{re.escape(_CLOSERS)}]{{0,3}}(?:\\s?[{_EMOJI}]+)?(?=\\s|\\Z)|[。！？]+[」』”]?")
_LAST_WORD = re.compile(r"[\w.'-]{1,30}\Z")


ENGLISH_WORDS, ENGLISH_SHARE = 2, 0.15
"""Different words that only English has, and their share of a text, from which on it is English. On posts that is two
thirds of them, and none of the foreign sentences of the tests."""


@dataclass(frozen=True, slots=True)
class TextRules:
    """What the text of a row must satisfy.

    Attributes:
        min_words: least length, in words.
        max_words: greatest length, in words.
        language: ISO 639-1 code that the text must be in; None checks nothing.
        leak_words: finds words that name the row's emotion; None where nothing names it.
        reject_leaks: whether such a word rejects the text; else it is only reported.

    Raises:
        ValueError: the language is none that can be told apart.

    """

    min_words: int
    max_words: int
    language: str | None
    leak_words: re.Pattern[str] | None
    reject_leaks: bool

    def __post_init__(self) -> None:
        """Refuse a language that every text would pass or fail."""
        if self.language not in (None, "en") and self.language not in checkable_languages():
            known = ", ".join(sorted(checkable_languages()))
            raise ValueError(f"language {self.language!r} cannot be checked; take one of {known}, or none")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a text.

    Attributes:
        text: the text, cleaned.
        reason: why it is rejected, one of REASONS, or "label"; None accepts it.
        leaked: whether a word of it names the emotion.
        label: the emotion that a emotion classifier read in it; None where none did.
        confidence: how sure it was, in [0, 1]; None likewise.

    """

    text: str
    reason: str | None
    leaked: bool
    label: str | None = None
    confidence: float | None = None


def check_text(text: str, *, prompt: str, finish: str, rules: TextRules) -> Verdict:
    """Clean a text and accept or reject it.

    Args:
        text: what the model wrote; any string will do.
        prompt: what the model was shown, to find copies of it; "" looks for none.
        finish: "length" if the text was cut at the token limit, else "stop". Texts that break off are reduced to their
            complete sentences.
        rules: what the row wants.

    """
    cut = finish == "length" or len(text) > MAX_CHARACTERS
    cleaned = clean(text[:MAX_CHARACTERS])
    reason = _no_text(cleaned)
    if reason is None:
        whole = finished_part(cleaned, cut=cut)
        if whole == cleaned or count_words(whole) >= rules.min_words:
            cleaned, reason = whole, _misfit(whole, prompt, rules)
        else:
            reason = "truncated"
    leaked = rules.leak_words is not None and rules.leak_words.search(straighten_apostrophes(cleaned)) is not None
    if reason is None and leaked and rules.reject_leaks:
        reason = "leak"
    return Verdict(cleaned, reason, leaked)


def clean(text: str) -> str:
    """Reduce a reply to one paragraph of visible text, in Unicode NFC.

    Removed are control, format, private and half characters, and what is wrapped around the text: labels, code fences,
    quotation marks, remarks after it. A joiner stays where it shapes an emoji or an Arabic or Indic word. Cleaning
    twice changes nothing more.
    """
    for _ in range(MAX_PASSES):
        before = text
        text = " ".join(_unwrap(_visible(text)).split())
        if text == before:
            return text
    return ""


def finished_part(text: str, *, cut: bool) -> str:
    """Return the text up to its last complete sentence, "" if it has none; the whole text if it does not break off.

    Three of ten Reddit comments end without a mark, so a text that the model itself ended breaks off only where it
    stops after a comma, an open bracket or a word that wants another ("the", "because").

    Args:
        text: one paragraph.
        cut: whether the text was cut at the token limit; it is then whole only if it ends with a mark or an emoji.

    """
    core = text.rstrip(_CLOSERS + " ")
    if _EMOTICON.search(text) or _TERMINAL.search(core):
        return text
    if not cut and not _BROKEN_OFF.search(core) and not _dangles(core):
        return text
    end = start = quotes = 0
    for match in _SENTENCE_END.finditer(text):
        quotes += text.count('"', start, match.end())
        start = match.end()
        if quotes % 2 == 0 and not _abbreviates(text[max(0, match.start() - 31) : match.start()], match[0]):
            end = match.end()
    return text[:end]


def _visible(text: str) -> str:
    """Take out what cannot be seen, and blank lines and surplus spaces."""
    text = unicodedata.normalize("NFC", _INVISIBLE.sub("", _ESCAPE.sub("", text)))
    text = _LOST_SELECTOR.sub("", _SURPLUS_MARKS.sub(r"\1\2", _JOINER.sub("", text)))
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "\n".join(line for line in lines if line)


def _unwrap(text: str) -> str:
    """Take off one layer of each kind of wrapping."""
    while (match := _pattern("leading").match(straighten_apostrophes(text))) and match.end():
        text = text[match.end() :].lstrip()
    if match := _pattern("trailing").search(straighten_apostrophes(text)):
        text = text[: match.start()].rstrip()
    if match := _FENCE.match(text):
        text = match[1].strip()
    for opening, closing in _QUOTES:
        text = _unquote(text, opening, closing)
    return text


def _unquote(text: str, opening: str, closing: str) -> str:
    """Take off quotation marks that enclose the whole text, or that stand alone at one end of it."""
    size = len(opening)
    if len(text) >= 2 * size and text.startswith(opening) and text.endswith(closing):
        inner = text[size:-size]
        first = inner.find(closing)
        while first > 0 and closing in "'’" and inner[first - 1].isalnum() and inner[first + 1 : first + 2].isalnum():
            first = inner.find(closing, first + 1)  # an apostrophe
        if opening == closing:  # “"Go," he said, "now."” is not enclosed, “"He said "go" to me."” is
            enclosed = first < 0 or first == 0 or inner[first - 1].isspace()
        else:
            enclosed = first < 0 or -1 < inner.find(opening) < first
        return inner.strip() if enclosed else text
    if opening in '"“' and text.count('"') + text.count("“") + text.count("”") == 1:
        return text.strip('"“”').strip()
    return text


@cache
def _pattern(kind: str) -> re.Pattern[str]:
    return _any_of(read_yaml("reply_patterns.yaml")[kind])


def _any_of(patterns: Sequence[str]) -> re.Pattern[str]:
    """Match any of the patterns; whether a word begins here is asked once for all that want one: half the time."""
    at_words = "|".join(f"(?:{entry[2:]})" for entry in patterns if entry.startswith(r"\b"))
    others = [f"(?:{entry})" for entry in patterns if not entry.startswith(r"\b")]
    return re.compile("|".join([rf"\b(?:{at_words})"] * bool(at_words) + others), re.IGNORECASE)


def _holds(kind: str, text: str) -> bool:
    opening, anywhere = _split_pattern(kind)
    return (opening.match(text) or anywhere.search(text)) is not None


@cache
def _split_pattern(kind: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Part the patterns that hold at the beginning only from the others: else each is tried at every character."""
    entries = read_yaml("reply_patterns.yaml")[kind]
    opening = [entry for entry in entries if entry.startswith(r"\A")]
    # Without any, what never matches; an empty alternation would always.
    return _any_of(opening or [r"(?!)"]), _any_of([entry for entry in entries if entry not in opening])


@cache
def _word_list(kind: str) -> frozenset[str]:
    return frozenset(read_yaml("reply_patterns.yaml")[kind])


def _no_text(text: str) -> str | None:
    """Say what the reply is instead of a text; None if it may be one."""
    if not any(character.isalnum() for character in text):
        return "empty"
    plain = straighten_apostrophes(text)
    if _holds("refusal", plain):
        return "refusal"
    if _holds("meta", plain):
        return "meta"
    return "garbled" if "\ufffd" in text or _loops(_tokens(text)) else None


def _misfit(text: str, prompt: str, rules: TextRules) -> str | None:
    """Say what a text lacks to be the one of its row; None if nothing."""
    if not rules.min_words <= count_words(text) <= rules.max_words:
        return "length"
    if rules.language is not None and _in_other_language(text, rules.language):
        return "language"
    return "echo" if _echoes(text, prompt) else None


def _tokens(text: str) -> list[str]:
    return letter_runs(straighten_apostrophes(text).replace("'", "").casefold())


def _loops(words: list[str]) -> bool:
    runs = Counter(zip(*(words[start:] for start in range(LOOP_WORDS)), strict=False))
    times = max(runs.values(), default=0)
    return times >= LOOP_TIMES and times * LOOP_WORDS >= LOOP_SHARE * len(words)


@lru_cache(maxsize=64)
def _searchable(prompt: str) -> str:
    return f" {' '.join(_tokens(prompt))} "


def _echoes(text: str, prompt: str) -> bool:
    source, words = _searchable(prompt), _tokens(text)
    run = max(min(ECHO_WORDS, int(ECHO_SHARE * len(words)) + 1), min(ECHO_LEAST, len(words)))
    return any(f" {' '.join(words[start : start + run])} " in source for start in range(len(words) - run + 1))


def _dangles(text: str) -> bool:
    match = _LAST_WORD.search(straighten_apostrophes(text[-31:]))
    return match is not None and match[0].lower() in _word_list("dangling")


def _abbreviates(before: str, mark: str) -> bool:
    """Whether a full stop belongs to an abbreviation or an initial."""
    word = _LAST_WORD.search(before)
    if mark[0] != "." or len(mark) > 1 or word is None:
        return False
    return word[0].lower() in _word_list("abbreviations") or (
        len(word[0]) == 1 and word[0].isupper() and word[0] != "I"
    )


def _surely_english(words: list[str]) -> bool:
    """Tell whether a text holds so many words that only English has that the model need not be asked.

    It takes as long as all other checks together, and texts in the right language are nearly all of them.
    """
    found = [word for word in words if word in _word_list("english_only")]
    return len(set(found)) >= ENGLISH_WORDS and len(found) >= ENGLISH_SHARE * len(words)


def _in_other_language(text: str, language: str) -> bool:
    if language == "en" and _surely_english(_tokens(text)):
        return False
    return is_in_other_language(text, language)
