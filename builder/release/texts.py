"""The texts of a release, read into memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from personagen.builder.core.errors import ReleaseError
from personagen.builder.core.records import COUNTERFACTUAL_PREFIX, DEPTHS
from personagen.builder.release.composition import attributes_of
from personagen.builder.release.folder import MEND, file_in
from personagen.builder.release.formats.tables import read_table
from personagen.builder.release.tables.columns import TableForm, columns_of, label_names
from personagen.builder.release.tables.missing import with_missing


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts of a release with their labels, personas and rows, as parallel lists.

    Attributes:
        texts: the texts.
        labels: name of the emotion that the model was asked for.
        personas: persona attributes that compositions count; empty if the text has no persona.
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
    import pyarrow as pa

    names = [emotion["name"] for emotion in manifest["taxonomy"]["emotions"]]
    columns = columns_of("all", TableForm(names, DEPTHS[-1]))
    texts = Texts()
    paths = [shard["path"] for shard in manifest["shards"] if shard["path"].split("/")[0] in (configs or names)]
    try:
        for path in paths:
            for record in read_table(file_in(folder, path)).to_pylist():
                row = with_missing(_with_original(path, record), columns)
                texts.texts.append(row["text"])
                texts.labels.extend(label_names([row["label"]], names))
                texts.personas.append(attributes_of(row))
                texts.rows.append({**row, "label": texts.labels[-1], "emotion": texts.labels[-1]})
    except (OSError, pa.ArrowException, KeyError, AttributeError, IndexError, TypeError, ValueError) as error:
        raise ReleaseError(f"cannot read {folder / path}: {error!r:.200}; {MEND}") from None
    return texts


def _with_original(path: str, row: dict[str, Any]) -> dict[str, Any]:
    """Add `counterfactual_of` to a counterfactual of a version 1.0.0 release, whose id begins with that id."""
    if not path.startswith(COUNTERFACTUAL_PREFIX) or "counterfactual_of" in row:
        return row
    emotion, number, *_ = row["id"].split("-")
    return {**row, "counterfactual_of": f"{emotion}-{number}"}
