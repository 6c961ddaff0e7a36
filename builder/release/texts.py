"""What everything that measures a release shares: its texts, and a file that is added to it with what was found."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personagen.builder.core.errors import BackendError, ReleaseError
from personagen.builder.core.files import write_text
from personagen.builder.release.card import render_card
from personagen.builder.release.card_regions import merge_notes
from personagen.builder.release.composition import attributes_of
from personagen.builder.release.folder import ADDED, CARD, MANIFEST, read_card, sealed

if TYPE_CHECKING:
    from personagen.metrics.emotion_classifiers.linear import Prediction
    from personagen.metrics.texts.reference import Reference


PACKAGES = ("numpy", "scipy", "sklearn", "rapidfuzz", "sentence_transformers")


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of a release, and of each what stands below, in the same order.

    Attributes:
        texts: the texts.
        labels: the emotion that was asked for.
        personas: attributes of the persona by which texts are counted; empty where there is none.
        rows: the whole row, as it is in the file, but for the label, which is a name.

    """

    texts: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    personas: list[dict[str, str]] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)

    def take(self, numbers: Sequence[int]) -> "Texts":
        """Take some of them, in the order given."""
        return Texts(
            [self.texts[number] for number in numbers],
            [self.labels[number] for number in numbers],
            [self.personas[number] for number in numbers],
            [self.rows[number] for number in numbers],
        )

    def joined(self, others: "Texts") -> "Texts":
        """Put others behind them."""
        return Texts(
            self.texts + others.texts,
            self.labels + others.labels,
            self.personas + others.personas,
            self.rows + others.rows,
        )


def see_packages(*more: str) -> None:
    """Find out before anything else whether the packages are there; they are many, and come as one extra."""
    missing = [name for name in (*PACKAGES, *more) if find_spec(name) is None]
    if missing:
        raise BackendError(f"cannot measure without {', '.join(missing)}; run: pip install 'personagen[metrics]'")


def reference_of(source: str) -> "Reference":
    """Load real texts. Raises ReleaseError where they cannot be."""
    from personagen.metrics.texts.reference import load_reference

    try:
        return load_reference(source)
    except (ValueError, ImportError) as error:
        raise ReleaseError(str(error)) from None


def read_texts(folder: Path, manifest: Mapping[str, Any], configs: Sequence[str] | None = None) -> Texts:
    """Read the texts of a release: those of some configurations, or all at the depth of its recipe.

    Raises:
        ReleaseError: a file cannot be read.

    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = [emotion["name"] for emotion in manifest["taxonomy"]["emotions"]]
    found = Texts()
    paths = [shard["path"] for shard in manifest["shards"] if shard["path"].split("/")[0] in (configs or names)]
    try:
        for path in paths:
            for row in pq.read_table(folder / path).to_pylist():
                found.texts.append(row["text"])
                found.labels.append(names[row["label"]])
                found.personas.append(attributes_of(row))
                found.rows.append({**row, "label": found.labels[-1]})
    except (pa.ArrowInvalid, KeyError, IndexError, TypeError) as error:
        raise ReleaseError(f"cannot read {folder / path}: {error!r:.200}; make the release again") from None
    return found


def add_file(
    folder: Path, manifest: Mapping[str, Any], key: str, content: Mapping[str, Any], told: Mapping[str, Any]
) -> None:
    """Add a file to a release: the file, then the card, then the manifest, which until then says that it is not its.

    Args:
        folder: the release.
        manifest: its manifest.
        key: of the manifest, see `ADDED`.
        content: of the file.
        told: what the manifest says of it beside its digest, by key of the manifest; the card shows it.

    Raises:
        FolderError: the release cannot be written to.
        ReleaseError: the marks of the card are not in order.

    """
    text = json.dumps(content, indent=1, ensure_ascii=True) + "\n"
    entry = {"path": ADDED[key], "bytes": len(text), "sha256": hashlib.sha256(text.encode()).hexdigest()}
    measured = sealed({**manifest, **told, key: entry})
    card = merge_notes(render_card(measured), read_card(folder))
    write_text(folder / ADDED[key], text)
    write_text(folder / CARD, card)
    write_text(folder / MANIFEST, json.dumps(measured, indent=2, ensure_ascii=False) + "\n")


def predictions(written: Texts, source: str, embeddings: str | None) -> "list[Prediction]":
    """Take the predictions that a release has; where some are missing, train a classifier on a reference and read all.

    Raises:
        ReleaseError: the reference lacks an emotion of the texts.
        BackendError: the model of the embeddings cannot be loaded.

    """
    from personagen.metrics.emotion_classifiers.linear import Prediction, train_and_test, train_probe, vectors_of
    from personagen.metrics.texts.corpus import read_corpus
    from personagen.metrics.texts.embeddings import DEFAULT_MODEL

    kept = [row["provenance"] for row in written.rows]
    if all(each["checker_label"] for each in kept):
        return [Prediction(each["checker_label"], each["checker_confidence"]) for each in kept]
    reference = reference_of(source)
    missing = sorted(set(written.labels) - set(reference.labels or ()))
    if missing:
        raise ReleaseError(f"{reference.name} has no texts of {', '.join(missing)[:200]} to train a classifier on")
    try:
        train, test = (read_corpus(texts, labels, embeddings) for texts, labels in train_and_test(reference))
        read = partial(vectors_of, model=embeddings or DEFAULT_MODEL)
        return train_probe(train, test, reference.name, read).read(written.texts)
    except (ValueError, ImportError) as error:
        raise BackendError(str(error)) from None
