"""Read the events of a recipe from a file: YAML, JSON lines, or a table."""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import yaml

from personagen.builder.core.records import Appraisal
from personagen.builder.planning.personas.conditions import Vocabulary, parse_conditions, require_accepted
from personagen.builder.planning.personas.tables import Condition
from personagen.builder.planning.plain_yaml import load_plain_yaml
from personagen.builder.planning.situations.bank import CUSTOM, INVENTED_PREFIX, Event, bank_events, setting_options
from personagen.builder.planning.suggestions import did_you_mean
from personagen.builder.planning.taxonomy import bank_emotions
from personagen.builder.planning.visible_text import require_line

SUFFIXES = (".yaml", ".yml", ".jsonl", ".csv", ".tsv")
"""Suffixes of a file of events, by which its format is known."""

MAX_FILE_BYTES = 64_000_000
"""Size of the largest file of events."""

MAX_CLAUSE_CHARS = 300
"""Characters of the longest clause: it stands in every prompt of its rows."""

EVENT_KEYS = ("clause", "id", "emotions", "fit", "places", "companions", "times", "stakes", "appraisal")
"""Keys or columns of an event; all but the clause are optional."""

SETTING_KEYS = ("places", "companions", "times")
"""Keys that list ids of the setting."""

APPRAISALS: Mapping[str, tuple[str, ...]] = {
    "pleasantness": ("pleasant", "unpleasant", "neutral"),
    "agency": ("self", "other", "circumstance"),
    "certainty": ("certain", "uncertain"),
    "control": ("high", "low"),
    "expectedness": ("expected", "unexpected"),
}
"""Values of each dimension of an appraisal; see `Appraisal`."""

ID_PATTERN = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class FileEvent:
    """An event of a file.

    Attributes:
        event: the event.
        emotions: emotions that it evokes. Empty: every emotion of the recipe.
        where: place in the file, for messages.

    """

    event: Event
    emotions: tuple[str, ...]
    where: str


def load_event_file(path: str, vocabulary: Vocabulary) -> tuple[FileEvent, ...]:
    """Load the events of a file.

    Args:
        path: the file.
        vocabulary: possible values of each attribute that a condition can name.

    Raises:
        ValueError: the file cannot be read, has no event, or an event is malformed; one line.

    """
    return _parsed_events(Path(path).name, event_file_content(path), tuple(vocabulary.items()))


def event_file_content(path: str) -> bytes:
    """Read a file of events; ValueError: it cannot be read, is too large, or has an unknown suffix."""
    name = Path(path).name
    if not name.endswith(SUFFIXES):
        raise ValueError(f"events.file: got {name!r:.80}, wanted a name in {', '.join(SUFFIXES)}; rename the file")
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:  # a name with a null byte is a ValueError
        reason = getattr(error, "strerror", None) or str(error)
        raise ValueError(f"events.file: cannot read {path!r:.200} ({reason}); name a file that exists") from None
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(f"events.file: {name} has more than {MAX_FILE_BYTES:,} bytes; give a smaller file")
    return content


@lru_cache(maxsize=8)
def _parsed_events(
    name: str, content: bytes, vocabulary: tuple[tuple[str, tuple[Any, ...]], ...]
) -> tuple[FileEvent, ...]:
    try:
        text = content.decode("utf-8-sig")
        entries = list(_entries(name, text))
    except UnicodeDecodeError:
        raise ValueError(f"events.file: {name} is no text in UTF-8; save it as UTF-8") from None
    except (yaml.YAMLError, csv.Error, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        raise _unparsed(name, f", line {mark.line + 1}" if mark else "", error) from None
    if not entries:
        raise ValueError(f"events.file: {name} has no event, wanted one or more; add a clause per event")
    known = dict(vocabulary)
    events = [
        _event(entry, number, f"events.file: {name}, {where}", known)
        for number, (where, entry) in enumerate(entries, 1)
    ]
    _require_distinct(events)
    return tuple(events)


def _unparsed(name: str, where: str, error: Exception) -> ValueError:
    """Return the error of a file, or of a place in it, that cannot be parsed."""
    problem = " ".join(str(getattr(error, "problem", None) or error).split())
    return ValueError(f"events.file: cannot parse {name}{where} ({problem:.200}); see docs/recipe.md")


def _entries(name: str, text: str) -> Iterator[tuple[str, Any]]:
    """Yield the place and the plain data of each event."""
    if name.endswith((".yaml", ".yml")):
        data = load_plain_yaml(text)
        if not isinstance(data, list | None):
            raise ValueError(f"events.file: {name} is a {type(data).__name__}, wanted a list; begin each event with -")
        yield from ((f"event {number}", entry) for number, entry in enumerate(data or [], 1))
    elif name.endswith(".jsonl"):
        lines = ((number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip())
        for number, line in lines:
            try:
                yield f"line {number}", json.loads(line)
            except (json.JSONDecodeError, RecursionError) as error:
                raise _unparsed(name, f", line {number}", error) from None
    else:
        yield from _table_entries(name, text)


def _table_entries(name: str, text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the rows of a table; lists are separated by semicolons, mappings are written as in YAML."""
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter="\t" if name.endswith(".tsv") else ",")
    columns = reader.fieldnames or ()
    if (double := next((column for column in columns if columns.count(column) > 1), None)) is not None:
        raise ValueError(f"events.file: {name} has two columns {double!r:.80}; rename one of them")
    if "clause" not in columns:
        got = ", ".join(map(str, columns)) or "none"
        raise ValueError(
            f"events.file: {name} has the columns {got:.200}, wanted clause; name the column of clauses so"
        )
    for row in reader:
        where = f"line {reader.line_num}"
        if None in row or None in row.values():
            raise ValueError(f"events.file: {name}, {where}: has another number of cells than columns; quote its cells")
        entry: dict[str, Any] = {key: cell.strip() for key, cell in row.items() if cell.strip()}
        for key in ("emotions", *SETTING_KEYS):
            if key in entry:
                entry[key] = [part.strip() for part in entry[key].split(";") if part.strip()]
        for key in ("fit", "appraisal"):
            if key in entry:
                try:
                    entry[key] = load_plain_yaml(entry[key])
                except (yaml.YAMLError, RecursionError) as error:
                    raise _unparsed(name, f", {where}, {key}", error) from None
        yield where, entry


def _event(entry: Any, number: int, where: str, vocabulary: Vocabulary) -> FileEvent:
    """Build an event from its plain data; a text is a clause with nothing else."""
    values = {"clause": entry} if isinstance(entry, str) else entry
    if not isinstance(values, Mapping):
        raise ValueError(f"{where}: got {values!r:.80}, wanted a clause or a mapping; see docs/recipe.md")
    for key in values:
        if key not in EVENT_KEYS:
            known = ", ".join(EVENT_KEYS)
            raise ValueError(f"{where}: unknown key {key!r:.80}{did_you_mean(str(key), EVENT_KEYS)}; known: {known}")
    id_ = values.get("id") or f"own_{number:05d}"
    if not isinstance(id_, str) or not ID_PATTERN.fullmatch(id_):
        raise ValueError(f"{where}: id is {id_!r:.80}, wanted small letters, digits, '-' and '_'; rename it")
    if "id" in values and _is_reserved(id_):
        raise ValueError(f"{where}: id {id_!r:.80} is that of another kind of event; rename it")
    settings = {key: _setting(values.get(key), key, where) for key in SETTING_KEYS}
    event = Event(
        kind=id_,
        label="",
        clause=_line(values.get("clause"), "clause", where),
        narrations=(),
        appraisal=_appraisal(values.get("appraisal"), where),
        stakes=None if values.get("stakes") is None else _line(values["stakes"], "stakes", where),
        fit=_fit(values.get("fit") or {}, where, vocabulary),
        is_own=True,
        **settings,
    )
    return FileEvent(event, _names(values.get("emotions"), "emotions", where), where)


def _is_reserved(id_: str) -> bool:
    """Return whether an id is that of an event of the bank or of a taxonomy, or may be that of an invented one."""
    return id_ == CUSTOM or id_.startswith(INVENTED_PREFIX) or id_ in _bank_ids()


@cache
def _bank_ids() -> frozenset[str]:
    return frozenset(event.kind for emotion in bank_emotions() for event in bank_events(emotion))


def _fit(fit: Any, where: str, vocabulary: Vocabulary) -> Condition:
    if not isinstance(fit, Mapping):
        raise ValueError(f"{where}: fit is {fit!r:.80}, wanted a mapping of attributes; write {{age: {{min: 18}}}}")
    for attribute, accepted in fit.items():
        try:
            require_accepted(accepted)
        except ValueError as error:
            raise ValueError(f"{where}: fit.{attribute}: {error}") from None
    return parse_conditions(f"{where}: fit", {str(name): accepted for name, accepted in fit.items()}, vocabulary)


def _line(value: Any, key: str, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{where}: has no {key}, wanted a line of text; add one")
    if len(value) > MAX_CLAUSE_CHARS:
        raise ValueError(f"{where}: {key} has {len(value)} characters, wanted {MAX_CLAUSE_CHARS} at most; shorten it")
    try:
        return require_line(value.strip())
    except ValueError as error:
        raise ValueError(f"{where}: {key} {error}") from None


def _names(value: Any, key: str, where: str) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else [] if value is None else value
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{where}: {key} is {value!r:.80}, wanted a list of names; write [one, another]")
    return tuple(dict.fromkeys(names))


def _setting(value: Any, key: str, where: str) -> tuple[str, ...]:
    """Return the ids of places, companions or times that an event names."""
    known = setting_options(key)
    for id_ in (names := _names(value, key, where)):
        if id_ not in known:
            raise ValueError(f"{where}: unknown {key} {id_!r:.80}{did_you_mean(id_, known)}; known: {', '.join(known)}")
    return names


def _appraisal(value: Any, where: str) -> Appraisal | None:
    if value is None:
        return None
    if not isinstance(value, Mapping) or set(value) != {field.name for field in fields(Appraisal)}:
        got = ", ".join(map(str, value)) if isinstance(value, Mapping) else repr(value)
        raise ValueError(f"{where}: appraisal has {got:.120}, wanted {', '.join(APPRAISALS)}; give all of them or none")
    for name, wanted in APPRAISALS.items():
        if value[name] not in wanted:
            raise ValueError(
                f"{where}: appraisal.{name} is {value[name]!r:.80}, wanted {' or '.join(wanted)}; change it"
            )
    return Appraisal(**value)


def _require_distinct(events: Sequence[FileEvent]) -> None:
    """Raise ValueError if two events have the same id, or the same clause."""
    for attribute in ("kind", "clause"):
        first: dict[str, str] = {}
        for one in events:
            value = getattr(one.event, attribute)
            if value in first:
                name = {"kind": "id"}.get(attribute, attribute)
                earlier = first[value].rpartition(", ")[2]
                raise ValueError(f"{one.where}: repeats the {name} {value!r:.80} of {earlier}; leave one of them out")
            first[value] = one.where
