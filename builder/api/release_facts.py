"""Facts about a release, from its manifest, as records and as HTML."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from personagen.builder.core.errors import ReleaseError
from personagen.builder.core.records import SPLITS
from personagen.builder.core.result_table import ResultTable
from personagen.builder.release.folder import MEND, file_in

MAX_SAMPLE_CHARACTERS = 300
"""Characters of a sample text that the HTML shows."""


@dataclass(frozen=True, slots=True)
class EmotionCount:
    """Texts of one emotion at the recipe's depth.

    Attributes:
        emotion: name of the label.
        train: texts in this split; so are the two below.
        validation: see train.
        test: see train.
        texts: texts in all splits.

    """

    emotion: str
    train: int
    validation: int
    test: int
    texts: int


@dataclass(frozen=True, slots=True)
class RejectCount:
    """Replies of the model that a check rejected.

    Attributes:
        stage: "demographic", "sociocultural", "situational" or "expression".
        reason: name of the check.
        replies: number of replies.

    """

    stage: str
    reason: str
    replies: int


@dataclass(frozen=True, slots=True)
class SampleText:
    """One text of a release, to look at."""

    emotion: str
    id: str
    text: str


def emotion_counts(manifest: Mapping[str, Any]) -> ResultTable[EmotionCount]:
    """Count the texts per emotion and split, in the order of the labels."""
    counts = []
    for emotion in emotion_names(manifest):
        rows = manifest["configs"][emotion]["rows"]
        per_split = {split: rows.get(split, 0) for split in SPLITS}
        counts.append(EmotionCount(emotion, **per_split, texts=sum(per_split.values())))
    return ResultTable(EmotionCount, tuple(counts))


def reject_counts(manifest: Mapping[str, Any]) -> ResultTable[RejectCount]:
    """Count the rejected replies per stage and reason."""
    counts = [
        RejectCount(stage, reason, replies)
        for stage, reasons in manifest["rejects"].items()
        for reason, replies in reasons.items()
    ]
    return ResultTable(RejectCount, tuple(counts))


def emotion_names(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the labels, in class id order."""
    return tuple(emotion["name"] for emotion in manifest["taxonomy"]["emotions"])


def sample_texts(folder: Path, manifest: Mapping[str, Any], number: int) -> Iterator[SampleText]:
    """Yield the first text of each of the first emotions.

    Raises:
        ReleaseError: a file is missing or cannot be read.

    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    for emotion in emotion_names(manifest)[:number]:
        path = next(shard["path"] for shard in manifest["shards"] if shard["path"].startswith(f"{emotion}/"))
        try:
            rows = pq.ParquetFile(file_in(folder, path)).iter_batches(batch_size=1, columns=["id", "text"])
            yield SampleText(emotion, **next(rows).to_pylist()[0])
        except (OSError, ValueError, LookupError, StopIteration, TypeError, pa.ArrowException) as error:
            raise ReleaseError(f"cannot read {folder / path}: {error}; {MEND}") from error


def shown_path(path: Path) -> str:
    """Return a path relative to the working directory if it lies in it, else unchanged."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def release_line(manifest: Mapping[str, Any]) -> str:
    """Return the counts of a release in one line."""
    rows = manifest["configs"]["all"]["rows"]
    splits = ", ".join(f"{rows[split]:,} {split}" for split in SPLITS if split in rows)
    rejected = sum(count for reasons in manifest["rejects"].values() for count in reasons.values())
    texts, emotions = sum(rows.values()), len(emotion_names(manifest))
    return (
        f"{texts:,} texts of {emotions} emotion{'s' * (emotions != 1)} by {manifest['model']['name']} "
        f"({splits}), {rejected:,} {'reply' if rejected == 1 else 'replies'} rejected"
    )


def release_html(title: str, folder: Path, manifest: Mapping[str, Any], samples: int) -> str:
    """Render counts, splits, rejected replies and sample texts; every value is escaped."""
    cost = manifest["usage"]["cost"]
    facts = [f"recipe {manifest['fingerprint']}", f"{manifest['usage']['requests']:,} requests"]
    facts += [] if cost is None else [f"cost {cost:g}"]
    parts = [
        f"<p><strong>{escape(manifest['name'])}</strong> in <code>{escape(title)}</code>: "
        f"{escape(release_line(manifest))}. {escape(', '.join(facts))}.</p>",
        emotion_counts(manifest)._repr_html_(),
    ]
    if manifest["rejects"]:
        parts.append(reject_counts(manifest)._repr_html_())
    for sample in sample_texts(folder, manifest, samples):
        text = sample.text[:MAX_SAMPLE_CHARACTERS] + "…" * (len(sample.text) > MAX_SAMPLE_CHARACTERS)
        parts.append(f"<p><strong>{escape(sample.emotion)}</strong>: {escape(text)}</p>")
    return "".join(parts)
