"""Explain in one line why a recipe is refused: key, value, wanted value, and the nearest known name."""

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

MIN_SIMILARITY = 0.75
"""Least similarity ratio (`difflib`) of a suggested name, in [0, 1]; that of topics and prices is 0.67."""

MIN_SHORT_SIMILARITY = 0.65
"""The same for names of up to SHORT_CHARS characters, of which one letter of three may be another one."""

SHORT_CHARS = 4
"""Most characters of a short name."""

MIN_SIMILARITY_BEFORE_ELSEWHERE = 0.9
"""Least similarity ratio of a key of the same section that is suggested before an equal key of another section: that of
shares and share is 0.91."""

MIN_SIMILARITY_ELSEWHERE = 0.8
"""Least similarity ratio of a suggested key of another section: there are many keys, and some look alike by chance."""

MAX_INPUT_CHARS = 80
"""Characters of a refused value that a message quotes."""

OTHER_NAMES: Mapping[str, str] = {
    "api_key": "the environment variable OPENAI_API_KEY",
    "max_completion_tokens": "draw.max_tokens",
    "max_new_tokens": "draw.max_tokens",
}
"""Names that other programs use, and what has their effect here."""

YAML_BOOLEANS = "; YAML reads yes, no, on and off as true or false: put the word in quotes"
"""Hint behind a boolean where a word is wanted."""

PRIVATE_KEYS = (("backend", "headers"), ("backend", "query"))
"""Keys whose values no message quotes: they may be secrets."""

UNION_MEMBER = re.compile(
    r"(?:literal\[|dict\[|str\Z|CustomTaxonomy\Z|TextSource\Z|\[key\]\Z|a (?:single model|list of models)\Z)"
)
"""Parts of a location by which pydantic names the member of a union: they are no keys of a recipe."""

PLAIN_WORDS = {
    "a valid tuple": "a list, such as [joy, anger]",
    r"a valid dictionary or instance of \w+": "an object",
    "a valid dictionary": "a mapping, such as {name: value}",
    "String should match pattern": "text that matches",
    r"(\[a-z\]\[a-z0-9_\]\{0,63\}\$')": r"\1 (small letters, digits and _, a letter first)",
    r"(\[a-z\]\[a-z0-9 _-\]\{0,63\}\$')": r"\1 (small letters, digits, blanks, _ and -, a letter first)",
    r"\w+ should have at least 1 item after validation, not 0": "one entry or more",
    r"(?:Dictionary|Tuple|List) should have (at \w+ \d+) items after validation, not \d+": r"\1 entries",
}
"""Patterns in messages of pydantic, and what a message says instead."""


def require_unique(key: str, values: Iterable[str]) -> None:
    """Raise ValueError if a list names a value twice."""
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise ValueError(f"{key} names {value!r} twice; name it once")
        seen.add(value)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a suggestion to append to a message: the known name most similar to `word`; empty if none is similar."""
    similar = max(known, key=lambda name: _similarity(word, name), default="")
    least = MIN_SHORT_SIMILARITY if len(word) <= SHORT_CHARS else MIN_SIMILARITY
    return f", did you mean {similar!r}?" if _similarity(word, similar) >= least else ""


def _similarity(word: str, name: str) -> float:
    """Return the likeness of two names in [0, 1]: as sequences, or as parts such as `body` of `extra_body`."""
    if name and name in word.split("_"):
        return MIN_SIMILARITY
    ratios = (difflib.SequenceMatcher(None, *pair).ratio() for pair in ((word, name), (name, word)))
    return min(ratios)  # the ratio depends on the order: that of rows and personas is 0.33 or 0.5


def explain_refusal(error: ValidationError, model: type[BaseModel]) -> str:
    """Return the most specific problem as one line: key, value, wanted value."""
    # The deepest location is the union member that fits best; an unknown key explains a missing one beside it.
    problem = max(
        error.errors(include_url=False), key=lambda entry: (len(entry["loc"]), entry["type"] == "extra_forbidden")
    )
    path = [str(part) for part in problem["loc"] if not UNION_MEMBER.match(str(part))]
    key = ".".join(path)
    if problem["type"] == "extra_forbidden":
        known = _known_keys(path[:-1], model)
        near = [name for name in known if _similarity(path[-1], name) >= MIN_SIMILARITY_BEFORE_ELSEWHERE]
        hint = did_you_mean(path[-1], near) or _key_elsewhere(path, model)
        hint = hint or did_you_mean(path[-1], known) or _similar_key_elsewhere(path, model)
        return f"unknown key {key!r}{hint}; known: {', '.join(sorted(known))}"
    if problem["type"] == "missing":
        return f"{key}: missing; add it, see docs/recipe.md"
    if problem["type"] == "value_error":
        message = str(problem.get("ctx", {})["error"])
        return f"{key}: {message}" if key else message
    value = json.dumps(problem["input"], default=str, ensure_ascii=False)[:MAX_INPUT_CHARS]
    if tuple(part for part in path if not part.isdigit())[:2] in PRIVATE_KEYS:
        value = f"a value of type {type(problem['input']).__name__}"
    wanted = problem["msg"].removeprefix("Input should be ")
    for pattern, words in PLAIN_WORDS.items():
        wanted = re.sub(pattern, words, wanted)
    hint = YAML_BOOLEANS if problem["type"] == "string_type" and isinstance(problem["input"], bool) else ""
    if problem["type"] == "literal_error" and isinstance(problem["input"], str):
        hint = did_you_mean(problem["input"], re.findall(r"'([^']+)'", wanted))
    return f"{key}: got {value}, wanted {wanted[0].lower()}{wanted[1:]}{hint}"


def _key_elsewhere(path: list[str], model: type[BaseModel]) -> str:
    """Return a suggestion to append to a message: other sections that have a key, or another name of it."""
    keys = dict.fromkeys(key for key in _all_keys(model) if key.rpartition(".")[2] == path[-1])
    depth = min((key.count(".") for key in keys), default=0)
    meant = " or ".join(key for key in keys if key.count(".") == depth) or OTHER_NAMES.get(path[-1])
    return f", did you mean {meant}?" if meant else ""


def _similar_key_elsewhere(path: list[str], model: type[BaseModel]) -> str:
    """Return a suggestion to append to a message: the most similar key of any section; empty: none is similar."""
    keys = {key: _similarity(path[-1], key.rpartition(".")[2]) for key in _all_keys(model)}
    best = max(keys, key=keys.__getitem__)
    return f", did you mean {best}?" if keys[best] >= MIN_SIMILARITY_ELSEWHERE else ""


def _all_keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield the dotted keys of a section and of the sections in it."""
    for field_name, field in model.model_fields.items():
        name = field.alias or field_name
        yield prefix + name
        for section in sections_in(field.annotation):
            yield from _all_keys(section, f"{prefix}{name}.")


def _known_keys(path: list[str], model: type[BaseModel]) -> tuple[str, ...]:
    """Return the keys of the section at a path. Positions in lists and keys of free mappings are passed over."""
    section = model
    for part in path:
        field = section.model_fields.get(part)
        section = next(sections_in(field.annotation), section) if field else section
    return tuple(field.alias or name for name, field in section.model_fields.items())


def sections_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the sections in a type: those of unions, tuples and mappings too."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from sections_in(argument)
