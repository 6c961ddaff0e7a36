"""Real texts with labels: a bundled slice, a file, the folder of a release, or a dataset on the Hub."""

import csv
import gzip
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from personagen.metrics.texts.inputs import brief

SLICES: Mapping[str, str] = {"comments": "goemotions", "dialogue": "xed", "reports": "brighter"}
"""Names of the references that are installed with the package, by genre; see `data/SOURCES.md`."""

BUNDLED = ", ".join(SLICES.values())

TEXT_COLUMNS = ("text", "sentence", "comment", "content", "tweet", "utterance", "essay")
"""Names of the text column, in order of preference."""

LABEL_COLUMNS = ("label", "emotion", "labels", "emotions", "ekman", "class")
"""Names of the label column, in order of preference."""

TEST_SPLITS = ("test", "validation", "valid", "dev")
"""Names of the test split, in order of preference."""

FILE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
"""Suffixes of readable files: a name with one that is no file is not looked up on the Hub."""

Rows = Iterator[tuple[str, str | None, str | None]]
"""Text, label and split of every row."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A real corpus.

    Attributes:
        name: name in results; of a file the file name, never the path.
        texts: texts of the training split, or all texts of a corpus without splits.
        labels: one per text; None: no labels.
        test_texts: texts of the test split; empty: no test split.
        test_labels: one per text; None: no labels.
        other_texts: texts of further splits beside those of `texts` and `test_texts`, such as a validation split.
        splits: names of the splits that `texts` come from; empty: the corpus names none.

    """

    name: str
    texts: list[str]
    labels: list[str] | None
    test_texts: list[str]
    test_labels: list[str] | None
    other_texts: list[str] = field(default_factory=list)
    splits: tuple[str, ...] = ()

    def is_for_testing(self) -> bool:
        """Return whether `texts` are those of test or validation splits, since the corpus has no other split."""
        return bool(self.splits) and all(split in TEST_SPLITS for split in self.splits)


def load_reference(source: str) -> Reference:
    """Load real texts and their labels.

    In a labelled corpus, rows without a label or with several are dropped.

    Args:
        source: "goemotions", "xed" or "brighter", the bundled slices; the path of a csv, tsv, jsonl or parquet file
            (all but parquet also with .gz); a folder that `datasets` can load, such as a release; or the name of a
            dataset on the Hub.
            Columns are recognised by name.

    Raises:
        ValueError: the source cannot be read, or has no text column or no text.
        ImportError: a package that reads it is missing.

    """
    if source in SLICES.values():
        data = (files("personagen.metrics") / "data" / f"{source}.tsv.gz").read_bytes()
        return _gathered(source, _delimited(gzip.decompress(data).decode(), "\t", source))
    path = Path(source)
    if path.is_file():
        return _gathered(path.name, _file_rows(path))
    if not path.is_dir() and path.name.lower().removesuffix(".gz").endswith(FILE_SUFFIXES):
        raise ValueError(
            f"no reference file {brief(source)}; wanted {BUNDLED}, a file, a folder or a dataset on the Hub"
        )
    return _gathered(path.name if path.is_dir() else source, _dataset_rows(source))


def _gathered(name: str, rows: Rows) -> Reference:
    parts: dict[str | None, list[tuple[str, str | None]]] = {}
    for text, label, split in rows:
        if text.strip():
            parts.setdefault(split, []).append((text, label))
    test = next((parts.pop(split) for split in TEST_SPLITS if split in parts and len(parts) > 1), [])
    train = parts.get("train") or [row for part in parts.values() for row in part]
    if not train:
        raise ValueError(f"reference {name} has no text, wanted one or more; name another file or dataset")
    taken = ["train"] if parts.get("train") else list(parts)
    others = [text for split, part in parts.items() if split not in taken for text, _ in part]
    labelled = any(label is not None for _, label in train)
    if labelled:  # a row without a label would count as a class of its own
        train, test = ([row for row in part if row[1] is not None] for part in (train, test))
    return Reference(
        name,
        [text for text, _ in train],
        [str(label) for _, label in train] if labelled else None,
        [text for text, _ in test],
        [str(label) for _, label in test] if labelled else None,
        others,
        tuple(split for split in taken if split is not None),
    )


def _file_rows(path: Path) -> Rows:
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


def _delimited(text: str, delimiter: str, name: str) -> Rows:
    quoting: Literal[0, 3] = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting)
    try:
        yield from _records(reader, name)
    except csv.Error as error:
        raise ValueError(
            f"line {reader.line_num} of reference {name} cannot be read ({error}); shorten the text, or mend the quotes"
        ) from None


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


def _records(rows: Any, name: str, split: str | None = None, names: Sequence[str] = ()) -> Rows:
    """Yield text, label and split of rows that are mappings.

    Args:
        rows: mappings of columns to values.
        name: name of the reference in messages.
        split: split of all rows; None: the column `split`.
        names: names of the classes, for labels that are class numbers.

    """
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
    """Return the label of a row; None: no label, or several."""
    if isinstance(value, list | tuple):
        value = value[0] if len(value) == 1 else None
    if isinstance(value, int) and not isinstance(value, bool):
        return names[value] if 0 <= value < len(names) else str(value)
    return value.strip() or None if isinstance(value, str) else None


@contextmanager
def _without_progress_bars() -> Iterator[None]:
    """Switch the bars of `datasets` off: the caller reports the progress."""
    import datasets

    if datasets.are_progress_bars_disabled():
        yield
        return
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        datasets.enable_progress_bars()


def _dataset_rows(source: str) -> Rows:
    """Yield the rows of a folder or of a dataset on the Hub, loaded with `datasets`."""
    import datasets

    try:
        with _without_progress_bars():
            splits = datasets.load_dataset(source)
    except Exception as error:  # loaders raise errors of every kind
        reason = " ".join(str(error).split())
        raise ValueError(
            f"cannot load reference {brief(source)} ({type(error).__name__}: {reason:.150}); wanted {BUNDLED}, a file, "
            "a folder or a dataset on the Hub"
        ) from None
    for split, rows in splits.items():
        column = next((column for column in LABEL_COLUMNS if column in rows.features), None)
        feature = rows.features[column] if column else None
        feature = getattr(feature, "feature", feature)  # of a list: the feature of its items
        yield from _records(rows, source, str(split), getattr(feature, "names", ()))
