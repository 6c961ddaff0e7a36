"""Real texts to measure against: the slice of GoEmotions in this package, a file, a folder of a release, or the Hub."""

import csv
import gzip
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from personagen.metrics.texts.inputs import brief

BUNDLED = "goemotions"

TEXT_COLUMNS = ("text", "sentence", "comment", "content", "tweet", "utterance", "essay")
LABEL_COLUMNS = ("label", "emotion", "labels", "emotions", "ekman", "class")
"""Names under which columns are looked for, first those that say it best."""

TEST_SPLITS = ("test", "validation", "valid", "dev")
"""Splits that count as the test part, the first that there is."""

ROWS = Iterator[tuple[str, str | None, str | None]]
"""Text, label and split of each row."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A real corpus.

    Attributes:
        name: as it is told in results; of a file its name, never its path.
        texts: of the train part, or of all where there are no splits.
        labels: one a text; None where the corpus has none.
        test_texts: of the test part; empty where there is none.
        test_labels: one a text; None where the corpus has no labels.

    """

    name: str
    texts: list[str]
    labels: list[str] | None
    test_texts: list[str]
    test_labels: list[str] | None


def load_reference(source: str) -> Reference:
    """Load real texts with their labels.

    Args:
        source: "goemotions" for the slice that comes with the package; the path of a file (csv, tsv, jsonl or parquet,
            the first three also with .gz) or of a folder that `datasets` can load, a release for example; or the name
            of a dataset on the Hub. Columns are found by name. Where there are labels, rows with none or with more
            than one are left out.

    Raises:
        ValueError: there is no such file, it has no column of texts, or no text.
        ImportError: a package that reads it is missing.

    """
    if source == BUNDLED:
        data = (files("personagen.metrics") / "data" / "goemotions.tsv.gz").read_bytes()
        return _gathered(BUNDLED, _delimited(gzip.decompress(data).decode(), "\t", source))
    path = Path(source)
    if path.is_file():
        return _gathered(path.name, _file_rows(path))
    return _gathered(path.name if path.is_dir() else source, _dataset_rows(source))


def _gathered(name: str, rows: ROWS) -> Reference:
    parts: dict[str | None, list[tuple[str, str | None]]] = {}
    for text, label, split in rows:
        if text.strip():
            parts.setdefault(split, []).append((text, label))
    test = next((parts.pop(split) for split in TEST_SPLITS if split in parts and len(parts) > 1), [])
    train = parts.get("train") or [row for part in parts.values() for row in part]
    if not train:
        raise ValueError(f"reference {name} has no text, wanted one or more; name another file or dataset")
    labelled = any(label is not None for _, label in train)
    if labelled:  # a row without its one label is no use where labels are, and would be taken for another class
        train, test = ([row for row in part if row[1] is not None] for part in (train, test))
    return Reference(
        name,
        [text for text, _ in train],
        [str(label) for _, label in train] if labelled else None,
        [text for text, _ in test],
        [str(label) for _, label in test] if labelled else None,
    )


def _file_rows(path: Path) -> ROWS:
    kind = path.name.removesuffix(".gz").rpartition(".")[2].lower()
    if kind == "parquet":
        import pyarrow.parquet as pq

        yield from _records(pq.read_table(path).to_pylist(), path.name)
        return
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read reference {path.name} ({error}); wanted text in UTF-8") from None
    if kind in ("csv", "tsv"):
        yield from _delimited(text, "," if kind == "csv" else "\t", path.name)
    elif kind in ("jsonl", "ndjson"):
        yield from _records(_json_lines(text, path.name), path.name)
    else:
        raise ValueError(f"reference {path.name} is a .{kind} file, wanted csv, tsv, jsonl or parquet")


def _delimited(text: str, delimiter: str, name: str) -> ROWS:
    lines = io.StringIO(text, newline="")
    if delimiter == "\t":
        yield from _records(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE), name)
    else:
        yield from _records(csv.DictReader(lines, delimiter=delimiter), name)


def _json_lines(text: str, name: str) -> Iterator[Mapping[str, Any]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ValueError(f"line {number} of reference {name} is no JSON ({error}); correct it") from None
        if not isinstance(row, dict):
            raise ValueError(f"line {number} of reference {name} is {brief(row)}, wanted an object")
        yield row


def _records(rows: Any, name: str, split: str | None = None, names: Sequence[str] = ()) -> ROWS:
    """Read rows that are mappings; `names` are those of the classes where labels are their numbers."""
    text_column: str | None = None
    label_column: str | None = None
    for row in rows:
        if text_column is None:
            columns = [str(column) for column in row]
            text_column = next((column for column in TEXT_COLUMNS if column in columns), None)
            label_column = next((column for column in LABEL_COLUMNS if column in columns), None)
        if text_column is None:
            raise ValueError(
                f"reference {name} has the columns {brief(', '.join(columns))}, wanted one called "
                f"{', '.join(TEXT_COLUMNS[:-1])} or {TEXT_COLUMNS[-1]}"
            )
        text = row.get(text_column)
        if isinstance(text, str):
            yield text, _label(row.get(label_column), names), split or _split(row.get("split"))


def _split(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _label(value: object, names: Sequence[str]) -> str | None:
    """Read the one label of a row; None where it has none, or more than one."""
    if isinstance(value, list | tuple):
        value = value[0] if len(value) == 1 else None
    if isinstance(value, int) and not isinstance(value, bool):
        return names[value] if 0 <= value < len(names) else str(value)
    return value.strip() or None if isinstance(value, str) else None


def _dataset_rows(source: str) -> ROWS:
    """Load with `datasets`: a folder that it can read, or the Hub."""
    import datasets

    try:
        found = datasets.load_dataset(source)
    except Exception as error:  # whatever it is, the user named something that cannot be loaded
        reason = " ".join(str(error).split())
        raise ValueError(
            f"cannot load reference {brief(source)} ({type(error).__name__}: {reason:.150}); wanted {BUNDLED}, a file, "
            "a folder or a dataset on the Hub"
        ) from None
    for split, rows in found.items():
        column = next((column for column in LABEL_COLUMNS if column in rows.features), None)
        feature = rows.features[column] if column else None
        feature = getattr(feature, "feature", feature)  # of a list of labels, that of one
        yield from _records(rows, source, str(split), getattr(feature, "names", ()))
