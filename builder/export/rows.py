"""Read the rows of a configuration a part at a time, so that memory does not grow with the release."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personagen.builder.core.errors import ReleaseError
from personagen.builder.core.records import LAYERS
from personagen.builder.release.folder import MEND, file_in, paths_of
from personagen.builder.release.formats.tables import read_batches
from personagen.builder.release.tables.columns import arrow_schema, columns_of, form_of, label_names

if TYPE_CHECKING:
    import pyarrow as pa

FlatRow = Mapping[str, Any]
"""A row with dotted names in place of structs, such as "demographic.age"."""

LINE_ENDS = {"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}
"""Characters that some readers of JSON lines take for the end of a line, and their escapes."""


@dataclass(frozen=True, slots=True)
class ExportedSplit:
    """One split of one configuration of a release.

    Attributes:
        folder: the release.
        manifest: its manifest.
        config: the configuration.
        split: the split.

    """

    folder: Path
    manifest: Mapping[str, Any]
    config: str
    split: str

    @property
    def emotions(self) -> dict[str, str]:
        """Definition of every emotion by name, in class id order."""
        return {emotion["name"]: emotion.get("definition", "") for emotion in self.manifest["taxonomy"]["emotions"]}

    def tables(self) -> "Iterator[pa.Table]":
        """Yield the rows in the order of the release; labelled ones have the column `emotion` in any version.

        Raises:
            ReleaseError: a file cannot be read.

        """
        import pyarrow as pa

        names = list(self.emotions)
        schema = arrow_schema(columns_of(self.config, form_of(self.manifest)))
        for path in paths_of(self.config, self.manifest):
            if not path.split("/")[1].startswith(f"{self.split}-"):
                continue
            try:
                for table in read_batches(file_in(self.folder, path)):
                    if not table.schema.equals(schema):
                        raise ValueError("it has other columns than its manifest")
                    yield _with_emotion(table, names)
            except (OSError, ValueError, IndexError, pa.ArrowException) as error:
                raise ReleaseError(f"cannot read {self.folder / path}: {error!s:.200}; {MEND}") from None

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the rows with their layers as mappings."""
        for table in self.tables():
            yield from table.to_pylist()

    def flat_rows(self) -> Iterator[FlatRow]:
        """Yield the rows with dotted names in place of structs."""
        for table in self.tables():
            yield from flattened(table).to_pylist()


def flattened(table: "pa.Table") -> "pa.Table":
    """Return a table with a column per field of each struct, named `struct.field`."""
    import pyarrow as pa

    while any(pa.types.is_struct(column.type) for column in table.schema):
        table = table.flatten()
    return table


def persona_columns(row: FlatRow) -> dict[str, Any]:
    """Return the attributes of a persona and its situation by their own names, from a row with dotted names.

    `prose`, which each layer can have, has the name of its layer before it, and further attributes have `attributes`.
    """
    attributes: dict[str, Any] = {}
    for name, value in row.items():
        layer, *inner = name.split(".")
        if layer in LAYERS and inner:
            attributes[f"{layer}_prose" if inner == ["prose"] else inner[-1]] = value
        elif layer == "attributes" and inner:
            attributes[f"attributes_{inner[-1]}"] = value
    return attributes


def json_text(value: Any) -> str:
    """Return a value as JSON on one line, also for readers that split lines at every line end of Unicode."""
    text = json.dumps(value, ensure_ascii=False)
    for character, escape in LINE_ENDS.items():
        text = text.replace(character, escape)
    return text


def _with_emotion(table: "pa.Table", names: list[str]) -> "pa.Table":
    """Add the name of the label, which releases with columns before version 1.3.0 lack."""
    import pyarrow as pa

    if "label" not in table.column_names:
        return table
    emotions = label_names(table["label"].to_pylist(), names)
    if "emotion" not in table.column_names:
        place = table.schema.get_field_index("label") + 1
        return table.add_column(place, "emotion", pa.array(emotions, pa.string()))
    if table["emotion"].to_pylist() != emotions:
        raise ValueError("an emotion is not that of its label")
    return table
