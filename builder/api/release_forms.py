"""The texts of a release as a pandas data frame, or in the form of another tool."""

from collections.abc import Mapping
from os import fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from personagen.builder.api.arguments import PathOrName, require_count, require_keywords
from personagen.builder.api.progress import shown_progress
from personagen.builder.api.release_facts import emotion_names
from personagen.builder.core.errors import ReleaseError
from personagen.builder.core.progress import Progress
from personagen.builder.release.folder import MEND, file_in, paths_of

if TYPE_CHECKING:
    import pandas as pd

    from personagen.builder.export.export import ExportResult

TABLE = "table"
"""Form that has settings of its own."""


class RowsKeywords(TypedDict, total=False):
    """Settings of all forms but the table."""

    config: str
    split: str | None


class ExportKeywords(RowsKeywords, total=False):
    """Settings of `Release.export`; all but `config` and `split` are of the table."""

    reference: PathOrName
    embeddings: str | None
    seed: int
    max_texts: int
    vectors: bool
    progress: Progress | bool


def texts_frame(folder: Path, manifest: Mapping[str, Any]) -> "pd.DataFrame":
    """Read the texts at the recipe's depth, one row each, nested columns flattened to dotted names.

    Raises:
        ReleaseError: a file cannot be read.

    """
    import pyarrow as pa

    from personagen.builder.release.formats.tables import read_table
    from personagen.builder.release.tables.columns import label_names

    emotions = emotion_names(manifest)
    tables = []
    for path in paths_of("all", manifest):
        try:
            table = read_table(file_in(folder, path))
            names = pa.array(label_names(table["label"].to_pylist(), emotions))
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            raise ReleaseError(f"cannot read {folder / path}: {error}; {MEND}") from error
        table = table.set_column(table.schema.get_field_index("label"), "label", names)
        split = path.split("/")[1].split("-")[0]
        tables.append(table.add_column(3, "split", pa.array([split] * len(table))))
    texts = pa.concat_tables(tables).flatten().flatten()  # layers, and the appraisal within a layer
    frame: pd.DataFrame = texts.to_pandas()
    return frame


def export_release(
    folder: Path, to: str, out: PathOrName | None, *, force: bool, settings: Mapping[str, Any]
) -> "ExportResult":
    """Write the export of a release; see `Release.export`."""
    target = None if out is None else Path(fspath(out))
    table = {name: value for name, value in settings.items() if value is not None}
    if to != TABLE:
        from personagen.builder.export.export import export

        require_keywords("export", settings, list(RowsKeywords.__annotations__))
        return export(folder, to, out=target, force=force, **settings)
    from personagen.builder.export.table import TableSettings, export_table

    known = [name for name in ExportKeywords.__annotations__ if name not in RowsKeywords.__annotations__]
    require_keywords("export", settings, known)
    progress = table.pop("progress", True)
    if "max_texts" in table:
        require_count("max_texts", table["max_texts"])
    if "reference" in table:
        table["reference"] = fspath(table["reference"])
    with shown_progress(progress) as receiver:
        return export_table(folder, TableSettings(**table), out=target, force=force, progress=receiver)
