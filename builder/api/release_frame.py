"""The texts of a release as a pandas data frame."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personagen.builder.api.release_facts import emotion_names
from personagen.builder.core.errors import ReleaseError
from personagen.builder.release.folder import MEND, file_in, paths_of

if TYPE_CHECKING:
    import pandas as pd


def texts_frame(folder: Path, manifest: Mapping[str, Any]) -> "pd.DataFrame":
    """Read the texts at the recipe's depth, one row each, nested columns flattened to dotted names.

    Raises:
        ReleaseError: a file cannot be read.

    """
    import pyarrow as pa

    from personagen.builder.release.formats.tables import read_table

    emotions = emotion_names(manifest)
    tables = []
    for path in paths_of("all", manifest):
        try:
            table = read_table(file_in(folder, path))
        except (OSError, ValueError, pa.ArrowException) as error:
            raise ReleaseError(f"cannot read {folder / path}: {error}; {MEND}") from error
        split = path.split("/")[1].split("-")[0]
        tables.append(table.add_column(3, "split", pa.array([split] * len(table))))
    texts = pa.concat_tables(tables).flatten().flatten()  # layers, and the appraisal within a layer
    names = pa.array([emotions[number] for number in texts["label"].to_pylist()])
    position = texts.schema.get_field_index("label")
    frame: pd.DataFrame = texts.set_column(position, "label", names).to_pandas()
    return frame
