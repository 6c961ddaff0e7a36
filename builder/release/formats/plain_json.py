"""Read JSON files that others may have written: bounded, plain, and of the expected types; every fault is one line."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from personagen.builder.core.foreign_text import quote

if TYPE_CHECKING:
    from pydantic import TypeAdapter

MAX_FILE_BYTES = 256 * 2**20
"""Upper bound on a file that is read into memory."""

MAX_DEPTH = 60
"""Upper bound on the nesting of values."""

MAX_NUMBER = 2**63
"""Upper bound on the size of a number."""

Record = TypeVar("Record")


def read_plain_json(folder: Path, name: str) -> Any:
    """Read a JSON file of a folder.

    Raises:
        OSError: it cannot be read.
        ValueError: it leads out of the folder, is no plain JSON, or larger than `MAX_FILE_BYTES`.

    """
    path = require_inside(folder, name)
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ValueError(f"{name} is larger than {MAX_FILE_BYTES // 2**20} MB")
    return parse_plain_json(path.read_text(encoding="utf-8"))


def read_json_lines(folder: Path, name: str) -> Iterator[dict[str, Any]]:
    """Yield the objects of a file of JSON lines in a folder; errors are those of `read_plain_json`."""
    with require_inside(folder, name).open(encoding="utf-8") as file:
        for line in file:
            record = parse_plain_json(line)
            if not isinstance(record, dict):
                raise ValueError(f"{name} has a line that is no object")
            yield record


def require_inside(folder: Path, name: str) -> Path:
    """Return the path of a file in a folder; raise ValueError if links lead out of the folder, or it is no file."""
    path = folder / name
    try:
        is_inside = path.resolve().is_relative_to(folder.resolve())
    except RuntimeError:  # links in a circle
        is_inside = False
    if not is_inside:
        raise ValueError(f"{quote(name)} leads out of the folder")
    if path.exists() and not path.is_file():
        raise ValueError(f"{quote(name)} is no file")
    return path


def parse_plain_json(text: str) -> Any:
    """Parse JSON without double keys, NaN, halves of surrogate pairs, and values beyond the bounds of this module.

    Raises:
        ValueError: the text is not such JSON.

    """
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError(f"values are nested more than {MAX_DEPTH} deep") from None
    waiting = [(value, 0)]
    while waiting:
        part, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise ValueError(f"values are nested more than {MAX_DEPTH} deep")
        if isinstance(part, dict):
            waiting += [(inner, depth + 1) for pair in part.items() for inner in pair]
        elif isinstance(part, list):
            waiting += [(inner, depth + 1) for inner in part]
        elif isinstance(part, str):
            _require_text(part)
        elif isinstance(part, int | float) and not abs(part) < MAX_NUMBER:
            raise ValueError(f"a number is larger than {MAX_NUMBER}")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        raise ValueError("an object has a key twice")
    return mapping


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def _require_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("a text has half of a surrogate pair") from None


def as_records(kind: type[Record], rows: Any) -> tuple[Record, ...]:
    """Build a record of a type from each object of a list; keys that the type does not have are passed over.

    Raises:
        ValueError: a value has another type than its field.

    """
    records: tuple[Record, ...] = validated(tuple[kind, ...], rows)  # type: ignore[valid-type]  # a type at run time
    return records


def validated(kind: Any, value: Any) -> Any:
    """Convert a JSON value to a type by pydantic, without coercion; raise ValueError of one line if it does not fit."""
    from pydantic import ValidationError

    try:
        return _adapter(kind).validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        raise ValueError(first_fault(error.errors(include_url=False))) from None


@lru_cache(maxsize=64)
def _adapter(kind: Any) -> "TypeAdapter[Any]":
    """Build the validator of a type, which takes longer than most of its uses."""
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def first_fault(faults: Sequence[Mapping[str, Any]]) -> str:
    """Return the first fault that pydantic found as a line: where, what was wanted, what came."""
    fault = faults[0]
    where = quote(".".join(map(str, fault["loc"])), limit=80) if fault["loc"] else "the value"
    if fault["type"] == "missing":
        return f"{where}: it is missing"
    got = fault["input"]
    shown = repr(got) if got is None or isinstance(got, bool | int | float) else type(got).__name__
    wanted = str(fault["msg"]).removeprefix("Input should be ").removeprefix("Value error, ")
    wanted = wanted.replace("String should match", "text that matches")
    return f"{where}: got {shown:.40}, wanted {wanted[:1].lower()}{wanted[1:120]}"


def is_finite(value: Any) -> bool:
    """Return whether a value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
