"""Patterns of refusals and of talk about the task, from `data/reply_patterns/<language>.yaml`."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from personagen.builder.core.package_data import read_yaml, table_names
from personagen.builder.writing.replies.caseless import CaselessPattern, make_caseless

_PART = re.compile(r"\{([a-z]+)\}")
_NEVER = r"(?!)"
"""Pattern without a match; an empty alternation would match everywhere."""


@dataclass(frozen=True, slots=True)
class ReplyPatterns:
    """Patterns of one language.

    Attributes:
        leading: matches what is removed from the beginning of a reply.
        trailing: found where a reply is cut off.
        refusal: finds a refusal.
        meta: finds talk about the task.

    """

    leading: re.Pattern[str]
    trailing: re.Pattern[str]
    refusal: "PatternPair"
    meta: "PatternPair"


@dataclass(frozen=True, slots=True)
class PatternPair:
    r"""Patterns of one kind.

    Attributes:
        opening: matches at the beginning only (`\A`): it would be tried at every character among the others.
        anywhere: the other patterns.

    """

    opening: re.Pattern[str]
    anywhere: CaselessPattern

    def matches(self, text: str) -> bool:
        """Return whether one of the patterns matches a text with straight apostrophes."""
        return (self.opening.match(text) or self.anywhere.search(text)) is not None


@cache
def pattern_languages() -> tuple[str, ...]:
    """Return the ISO 639-1 codes of the languages that have patterns, sorted."""
    names = (name.partition("/")[2].removesuffix(".yaml") for name in table_names("reply_patterns"))
    return tuple(sorted(name for name in names if len(name) == 2))


@cache
def patterns_of(language: str) -> ReplyPatterns:
    """Load and compile the patterns of a language, one of `pattern_languages`."""
    table = read_language(language)
    shared = {} if language == "en" else read_yaml("reply_patterns/shared.yaml")
    parts: dict[str, str] = {"own": _NEVER, **table.get("parts", {}), "closing": "|".join(table.get("closing", ()))}

    def entries(kind: str) -> list[str]:
        listed = [*shared.get(kind, ()), *table.get(kind, ())]
        # Letters of Indic scripts and their marks are one character or two; texts are in NFC.
        return [unicodedata.normalize("NFC", _expand(entry, parts)) for entry in listed]

    return ReplyPatterns(
        leading=compile_any(entries("leading")),
        trailing=compile_any(entries("trailing")),
        refusal=_pair(entries("refusal")),
        meta=_pair(entries("meta")),
    )


def read_language(language: str) -> Mapping[str, Any]:
    """Parse `data/reply_patterns/<language>.yaml`."""
    table: Mapping[str, Any] = read_yaml(f"reply_patterns/{language}.yaml")
    return table


def compile_any(patterns: Sequence[str]) -> re.Pattern[str]:
    r"""Compile a pattern that matches any of several; they share one leading \b, which halves the time."""
    at_words = "|".join(f"(?:{entry[2:]})" for entry in patterns if entry.startswith(r"\b"))
    others = [f"(?:{entry})" for entry in patterns if not entry.startswith(r"\b")]
    return re.compile("|".join([rf"\b(?:{at_words})"] * bool(at_words) + others or [_NEVER]), re.IGNORECASE)


def _expand(entry: str, parts: Mapping[str, str]) -> str:
    """Replace the names of parts by the parts, which may contain names themselves."""
    while (expanded := _PART.sub(lambda match: parts[match[1]], entry)) != entry:
        entry = expanded
    return entry


def _pair(entries: Sequence[str]) -> PatternPair:
    opening = [entry for entry in entries if entry.startswith(r"\A")]
    anywhere = compile_any([entry for entry in entries if entry not in opening])
    return PatternPair(compile_any(opening), make_caseless(anywhere))
