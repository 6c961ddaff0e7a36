"""Sample rows of a release for its card: the first of each emotion among the first rows of `all`."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from personagen.builder.core.foreign_text import printable
from personagen.metrics.style import swear_words
from personagen.metrics.texts.screening import screen

MAX_SAMPLES = 3
"""Sample rows of a release."""

MAX_ROWS_SEARCHED = 100
"""Rows of `all` among which samples are chosen."""

MAX_TEXT_CHARS = 280
"""Characters of a sample's text; the rest is cut off."""


def sample_rows(path: Path) -> list[dict[str, str]]:
    """Return id, emotion, text and persona of the first row of each of three emotions; texts are one printable line.

    Rows with a swear word, a slur or personal information are passed over.

    Args:
        path: first data file of `all`.

    """
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        batch = next(file.iter_batches(batch_size=MAX_ROWS_SEARCHED), None)
    samples: dict[str, dict[str, str]] = {}
    for row in [] if batch is None else batch.to_pylist():
        is_wanted = row["emotion"] not in samples and len(samples) < MAX_SAMPLES
        if is_wanted and not screen(row["text"]) and not swear_words(row["text"]):
            samples[row["emotion"]] = {
                "id": row["id"],
                "emotion": row["emotion"],
                "text": _line(row["text"]),
                "persona": _line(_persona(row)),
            }
    return list(samples.values())


def _persona(row: Mapping[str, Any]) -> str:
    """Return age, gender, occupation and country of a row, as far as it has them."""
    demographic, sociocultural = row.get("demographic") or {}, row.get("sociocultural") or {}
    values = [*(demographic.get(name) for name in ("age", "gender", "occupation")), sociocultural.get("country")]
    return ", ".join(str(value) for value in values if value is not None) or "none"


def _line(text: str) -> str:
    flat = printable(re.sub(r"\s+", " ", text).strip())
    return flat if len(flat) <= MAX_TEXT_CHARS else f"{flat[:MAX_TEXT_CHARS].rstrip()} ..."
