"""The texts of a release: all of them, or some without the others."""

import hashlib
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personagen.builder.core.errors import ReleaseError
from personagen.builder.core.records import COUNTERFACTUAL_PREFIX, DEPTHS, LAYERS, REPEATING_PREFIXES
from personagen.builder.release.composition import attributes_of_all
from personagen.builder.release.folder import MEND, file_in
from personagen.builder.release.formats.tables import read_batches
from personagen.builder.release.tables.columns import TableForm, columns_of, label_names
from personagen.builder.release.tables.missing import with_missing

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts of a release with their labels, personas and rows, as parallel lists.

    Attributes:
        texts: the texts.
        labels: name of the emotion that the model was asked for.
        personas: persona attributes that compositions count, the same for all texts with the same layers; empty if the
            text has no persona.
        rows: the whole row of the file, with the label as a name, and None for each value that it has not; a
            counterfactual always has `counterfactual_of`.

    """

    texts: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    personas: list[dict[str, str]] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)

    def take(self, numbers: Sequence[int]) -> "Texts":
        """Return the texts at these positions, in this order."""
        return Texts(
            [self.texts[number] for number in numbers],
            [self.labels[number] for number in numbers],
            [self.personas[number] for number in numbers],
            [self.rows[number] for number in numbers],
        )

    def joined(self, others: "Texts") -> "Texts":
        """Return these texts followed by others."""
        return Texts(
            self.texts + others.texts,
            self.labels + others.labels,
            self.personas + others.personas,
            self.rows + others.rows,
        )


def read_texts(folder: Path, manifest: Mapping[str, Any], configs: Sequence[str] | None = None) -> Texts:
    """Read the texts of a release.

    Args:
        folder: the release.
        manifest: its manifest.
        configs: configurations to read. None: the emotions, which are the texts at the depth of the recipe.

    Raises:
        ReleaseError: a file cannot be read.

    """
    texts = Texts()
    for path, table in _tables(folder, manifest, configs):
        _add(texts, folder / path, table, manifest)
    texts.personas.extend(attributes_of_all(texts.rows))
    return texts


def draw_texts(
    folder: Path, manifest: Mapping[str, Any], numbers: Sequence[int], configs: Sequence[str] | None = None
) -> Texts:
    """Read the texts at some positions of `read_texts`; memory has no more than some others.

    Args:
        folder: the release.
        manifest: its manifest.
        numbers: positions, in ascending order.
        configs: configurations to read. None: the emotions.

    Raises:
        ReleaseError: a file cannot be read, or there is no text at a position.

    """
    texts, start = Texts(), 0
    for path, table in _tables(folder, manifest, configs):
        end = start + table.num_rows
        drawn = numbers[bisect_left(numbers, start) : bisect_left(numbers, end)]
        if drawn:
            _add(texts, folder / path, table.take([number - start for number in drawn]), manifest)
        start = end
    if len(texts.texts) != len(numbers):
        raise ReleaseError(f"{folder} has {start} texts, its manifest lists more; {MEND}")
    texts.personas.extend(attributes_of_all(texts.rows))
    return texts


def stream_personas(folder: Path, manifest: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Mapping[str, Any]]]]:
    """Yield the id of each persona with its demographic and its socio-cultural layer, as far as texts have them.

    The order is the same in each call. Memory holds their ids and some rows.

    Raises:
        ReleaseError: a file cannot be read.

    """
    known = columns_of("all", TableForm((), DEPTHS[-1]))
    seen: set[str] = set()
    for path, table in _tables(folder, manifest, columns=("persona_id", *LAYERS[:2])):
        if "persona_id" not in table.column_names:
            continue
        with _readable(folder / path):
            rows = {persona: row for row, persona in enumerate(table["persona_id"].to_pylist()) if persona}
            new = sorted(row for persona, row in rows.items() if persona not in seen)
            records = table.take(new).to_pylist() if new else []
            personas = [_persona(record, known) for record in records]
        seen.update(rows)
        yield from personas


def _persona(record: Mapping[str, Any], known: Mapping[str, Any]) -> tuple[str, dict[str, Mapping[str, Any]]]:
    layers = with_missing({**record, "provenance": {}}, {name: known[name] for name in record})
    return record["persona_id"], {name: layers[name] for name in LAYERS[:2] if layers.get(name)}


def stream_columns(
    folder: Path, manifest: Mapping[str, Any], columns: Sequence[str], configs: Sequence[str] | None = None
) -> Iterator[dict[str, list[Any]]]:
    """Yield some columns of all texts as lists, some thousand rows at a time, in the order of `read_texts`.

    Args:
        folder: the release.
        manifest: its manifest.
        columns: their names. A column that a file lacks has None in each row; `label` has names, and
            `counterfactual_of` is read from the ids of releases that have no such column.
        configs: configurations to read. None: the emotions.

    Raises:
        ReleaseError: a file cannot be read.

    """
    names = [emotion["name"] for emotion in manifest["taxonomy"]["emotions"]]
    for path, table in _tables(folder, manifest, configs, ("id", *columns)):
        with _readable(folder / path):
            part = {
                name: table[name].to_pylist() if name in table.column_names else [None] * table.num_rows
                for name in columns
            }
            if "label" in part:
                part["label"] = label_names(part["label"], names)
            if "counterfactual_of" in columns and "counterfactual_of" not in table.column_names:
                rows = ({"id": id_} for id_ in table["id"].to_pylist())
                config = path.split("/")[0]
                part["counterfactual_of"] = [_with_original(config, row).get("counterfactual_of") for row in rows]
        yield part


def _tables(
    folder: Path,
    manifest: Mapping[str, Any],
    configs: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
) -> "Iterator[tuple[str, pa.Table]]":
    """Yield the rows of configurations with the path of their file, a part at a time; for the errors see `read_texts`.

    Args:
        folder: the release.
        manifest: its manifest.
        configs: configurations to read. None: the emotions.
        columns: columns to read, as far as a file has them. None: all.

    """
    names = configs or [emotion["name"] for emotion in manifest["taxonomy"]["emotions"]]
    for path in (shard["path"] for shard in manifest["shards"]):
        if path.split("/")[0] not in names:
            continue
        with _readable(folder / path):
            parts = read_batches(file_in(folder, path), columns)
            while (table := next(parts, None)) is not None:
                yield path, table


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Raise ReleaseError for what reading a file raises."""
    import pyarrow as pa

    try:
        yield
    except (OSError, pa.ArrowException, KeyError, AttributeError, IndexError, TypeError, ValueError) as error:
        raise ReleaseError(f"cannot read {path}: {error!r:.200}; {MEND}") from None


def _add(texts: Texts, path: Path, table: "pa.Table", manifest: Mapping[str, Any]) -> None:
    """Add the rows of a table to texts, without their personas."""
    names = [emotion["name"] for emotion in manifest["taxonomy"]["emotions"]]
    columns = columns_of("all", TableForm(names, DEPTHS[-1]))
    with _readable(path):
        for record in table.to_pylist():
            row = with_missing(_with_original(path.parent.name, record), columns)
            texts.texts.append(row["text"])
            texts.labels.extend(label_names([row["label"]], names))
            texts.rows.append({**row, "label": texts.labels[-1], "emotion": texts.labels[-1]})


def _with_original(config: str, row: dict[str, Any]) -> dict[str, Any]:
    """Add `counterfactual_of` to a counterfactual of a version 1.0.0 release, whose id begins with that id."""
    if not config.startswith(COUNTERFACTUAL_PREFIX) or "counterfactual_of" in row:
        return row
    emotion, number, *_ = row["id"].split("-")
    return {**row, "counterfactual_of": f"{emotion}-{number}"}


def text_digests(folder: Path, manifest: Mapping[str, Any]) -> dict[str, dict[str, bytes]]:
    """Return 16 bytes of the hash of every text by id, per configuration of texts: emotions, then repeated rows.

    Raises:
        ReleaseError: a file cannot be read.

    """
    emotions = [emotion["name"] for emotion in manifest["taxonomy"]["emotions"]]
    repeating = [config for config in manifest["configs"] if config.startswith(REPEATING_PREFIXES)]
    digests: dict[str, dict[str, bytes]] = {}
    for path, table in _tables(folder, manifest, [*emotions, *repeating], ("id", "text")):
        with _readable(folder / path):
            pairs = zip(table["id"].to_pylist(), table["text"].to_pylist(), strict=True)
            digests.setdefault(path.split("/")[0], {}).update((id_, text_digest(text)) for id_, text in pairs)
    return digests


def text_digest(text: str) -> bytes:
    """Return 16 bytes of the hash of a text."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
