"""What the texts of a release show of their personas: records of `scores.json`, and lines for the terminal."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from personagen.builder.release.persona_words import values_of
from personagen.metrics.persona.traces import AttributeTrace

if TYPE_CHECKING:
    from personagen.builder.release.texts import Texts
    from personagen.metrics.texts.corpus import Corpus

PERSONAS = "personas"
"""Key of `scores.json` for what the texts show of their personas."""

ENGLISH = "en"
"""Language of the word lists."""


def measure_personas(texts: "Texts", corpus: "Corpus", language: str | None, seed: int) -> list[dict[str, Any]]:
    """Measure what texts show of their personas; empty: none has a persona.

    Args:
        texts: texts of a release.
        corpus: the same texts with their vectors.
        language: language of the recipe. None: any. That of the texts is examined too.
        seed: seed of folds, shuffles and the sample.

    """
    from personagen.metrics.persona.traces import persona_traces
    from personagen.metrics.texts.language import is_mostly_in_other_language

    rows = [number for number, row in enumerate(texts.rows) if row.get("persona_id")]
    if not rows:
        return []
    chosen = texts.take(rows)
    is_english = language in (None, ENGLISH) and not is_mostly_in_other_language(chosen.texts, ENGLISH)
    traces = persona_traces(
        chosen.texts,
        corpus.vectors[rows],
        chosen.labels,
        [values_of(row) for row in chosen.rows],
        [row["persona_id"] for row in chosen.rows],
        is_english=is_english,
        seed=seed,
    )
    return [asdict(trace) for trace in traces]


def read_traces(records: Sequence[Mapping[str, Any]]) -> list[AttributeTrace]:
    """Build the records of `scores.json`; TypeError: a field is missing or unknown."""
    return [AttributeTrace(**record) for record in records]


def trace_lines(traces: Sequence[AttributeTrace]) -> Iterator[str]:
    """Yield a table of what the texts show of their personas."""
    table = [("personas", "by words", "chance", "precision", "p", "reader", "chance", "p")]
    table += [
        (
            f"  {trace.attribute}", _number(trace.shown), _number(trace.shown_chance), _number(trace.precision),
            _number(trace.shown_p), _number(trace.auc), _number(trace.auc_chance), _number(trace.auc_p),
        )
        for trace in traces
    ]  # fmt: skip
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for first, *numbers in table:
        cells = [cell.rjust(width) for cell, width in zip(numbers, widths[1:], strict=True)]
        yield "  ".join([first.ljust(widths[0]), *cells]).rstrip()
    reasons: dict[str, list[str]] = {}
    for trace in traces:
        if trace.auc is None and trace.reader_reason and trace.shown is None:
            reasons.setdefault(trace.reader_reason, []).append(trace.attribute)
    yield from (f"  not measured: {', '.join(names)}: {reason}" for reason, names in reasons.items())


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}" if value >= 0.001 or not value else "<0.001"
