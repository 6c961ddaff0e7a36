"""One table of synthetic and real texts with positions on the map, for pandas, DuckDB, Polars and Embedding Atlas."""

import os
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personagen.builder.core.errors import BackendError, FolderError, PersonaGenError, raise_as
from personagen.builder.core.files import explain, make_folder, real_path, require_usable_name, write_atomically
from personagen.builder.core.progress import SILENT, Progress
from personagen.builder.core.records import LAYERS
from personagen.builder.export.export import ExportResult
from personagen.builder.export.rows import persona_columns
from personagen.builder.release.folder import check_release
from personagen.builder.release.measuring import predictions, require_metrics_extra, require_reference
from personagen.builder.release.texts import Texts, draw_texts
from personagen.builder.release.verdicts import count_texts

if TYPE_CHECKING:
    import pyarrow as pa

    from personagen.metrics.texts.inputs import Vectors
    from personagen.metrics.texts.reference import Reference

FILE_NAME = "texts.parquet"
"""Name of the table behind that of the release."""

DEFAULT_SAMPLE = 1500
"""Texts of either kind, as many as on the map of a report."""

FACTS = ("intensity", "expression", "style", "persona_id", "situation_id")
"""Columns of a text that the table has beside its persona."""

FLAGS = ("leaked", "expression_found")
"""Columns of the provenance of a text that the table has."""


@dataclass(frozen=True, slots=True)
class TableSettings:
    """Settings of a table.

    Attributes:
        reference: real texts: "goemotions", "xed", "brighter", a file, a release folder, or a dataset on the Hub.
        embeddings: name of a sentence-transformers model; None: the default model.
        seed: seed of the sample and of the map.
        max_texts: upper bound on the texts of either kind.
        vectors: whether the table has the embeddings.

    """

    reference: str = "goemotions"
    embeddings: str | None = None
    seed: int = 0
    max_texts: int = DEFAULT_SAMPLE
    vectors: bool = False


def export_table(
    folder: Path,
    settings: TableSettings = TableSettings(),
    *,
    out: Path | None = None,
    force: bool = False,
    progress: Progress = SILENT,
) -> ExportResult:
    """Write the table of a release.

    Args:
        folder: the release; its files are checked against the manifest first.
        settings: which texts, and how they are embedded.
        out: the file. None: RELEASE.texts.parquet beside the release.
        force: whether to replace an earlier file.
        progress: receiver of the steps.

    Raises:
        ReleaseError: the folder is no release or was altered, or the reference cannot be loaded.
        BackendError: a package of the extra `metrics` is missing, or the embedding model cannot be loaded.
        FolderError: the file exists, or cannot be written.

    """
    require_metrics_extra()
    named = folder if folder.name not in ("", "..") else real_path(folder)
    target = out or named.with_name(f"{named.name}.{FILE_NAME}")
    require_usable_name(target)
    if os.path.lexists(target) and not force:
        raise FolderError(f"{target} exists; replace it with --force, or choose another file with --out")
    manifest = check_release(folder)
    reference, total = require_reference(settings.reference), count_texts(manifest)
    drawn = draw_texts(folder, manifest, _sample(total, settings))
    progress.step("predicting emotions")
    rows = list(_synthetic_rows(drawn, manifest, settings, progress))
    rows += _real_rows(reference, [emotion["name"] for emotion in manifest["taxonomy"]["emotions"]], settings)
    progress.step(f"computing the map of {len(rows)} texts")
    write_table(target, _with_positions(rows, settings))
    counts = {kind: sum(row["kind"] == kind for row in rows) for kind in ("synthetic", "real")}
    note = f"{counts['synthetic']} of {total} texts, drawn by the seed" if counts["synthetic"] < total else None
    return ExportResult("table", target, (target,), counts, note)


def write_table(target: Path, table: "pa.Table") -> None:
    """Write a table as a parquet file. Raises FolderError if that fails."""
    import pyarrow.parquet as pq

    try:
        make_folder(target.parent)
        with write_atomically(target) as part:
            pq.write_table(table, part)
    except OSError as error:
        raise FolderError(f"cannot write {target}: {explain(error)}") from error


def texts_table(
    rows: Sequence[Mapping[str, Any]], points: Sequence[tuple[float, float]], vectors: "Vectors | None" = None
) -> "pa.Table":
    """Return a table of texts; a column that no row has a value for is left out.

    Args:
        rows: columns of each text by name.
        points: position of each text on the map.
        vectors: shape (n, d). None: the table has no column `vector`.

    """
    import pyarrow as pa

    names = dict.fromkeys(name for row in rows for name, value in row.items() if value is not None)
    columns = {name: pa.array([row.get(name) for row in rows]) for name in names}
    columns |= {name: pa.array([point[axis] for point in points], pa.float32()) for axis, name in enumerate("xy")}
    if vectors is not None:
        flat = pa.array(vectors.ravel(), pa.float32())
        columns["vector"] = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    return pa.table(columns)


def _sample(count: int, settings: TableSettings) -> list[int]:
    """Draw positions of texts, as the report draws those of its map."""
    return sorted(random.Random(settings.seed).sample(range(count), min(count, settings.max_texts)))


def _synthetic_rows(
    texts: Texts, manifest: Mapping[str, Any], settings: TableSettings, progress: Progress
) -> Iterator[dict[str, Any]]:
    predicted: list[tuple[str | None, float | None]] = [(None, None)] * len(texts.texts)
    try:
        results = predictions(texts, manifest, settings.reference, settings.embeddings).predictions
        predicted = [(result.label, result.confidence) for result in results]
    except PersonaGenError as error:  # a reference that trains no classifier leaves the other columns as they are
        progress.warn(f"no predicted emotions: {error}")
    for row, label, (prediction, confidence) in zip(texts.rows, texts.labels, predicted, strict=True):
        yield {
            "id": row["id"],
            "text": row["text"],
            "emotion": label,
            "kind": "synthetic",
            "prediction": prediction,
            "prediction_confidence": confidence,
            **{name: row["provenance"].get(name) for name in FLAGS},
            **{name: row.get(name) for name in FACTS},
            **persona_columns(dict(_dotted(row))),
        }


def _dotted(row: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of the layers of a row with dotted names."""
    for name, value in row.items():
        if isinstance(value, Mapping) and (prefix or name in LAYERS):
            yield from _dotted(value, f"{prefix}{name}.")
        elif prefix:
            yield f"{prefix}{name}", value


def _real_rows(reference: "Reference", emotions: Sequence[str], settings: TableSettings) -> list[dict[str, Any]]:
    """Return a sample of the real texts that have an emotion of the release, or no label."""
    labels: Sequence[str | None] = reference.labels or [None] * len(reference.texts)
    known = [number for number, label in enumerate(labels) if label is None or label in emotions]
    numbers = [known[position] for position in _sample(len(known), settings)]
    return [
        {"id": f"{reference.name}-{number}", "text": reference.texts[number], "emotion": labels[number], "kind": "real"}
        for number in numbers
    ]


def _with_positions(rows: Sequence[Mapping[str, Any]], settings: TableSettings) -> "pa.Table":
    from personagen.metrics.statistics.projection import project
    from personagen.metrics.texts.embeddings import embed

    with raise_as(BackendError):
        vectors = embed([row["text"] for row in rows], settings.embeddings).vectors
    points = [(float(x), float(y)) for x, y in project(vectors, settings.seed)]
    return texts_table(rows, points, vectors if settings.vectors else None)
