"""Access to the content of `scores.json` and `audit.json`, whose values may be missing or null."""

import math
from collections.abc import Mapping, Sequence
from typing import Any


def results_of(scores: Mapping[str, Any] | None, metric: str) -> Mapping[str, Any]:
    """Return the results of a metric; empty: it was not measured."""
    results = (scores or {}).get("results", {}).get(metric)
    return results if isinstance(results, Mapping) else {}


def number_in(values: Mapping[str, Any], key: str) -> float | None:
    """Return a finite number; None: the value is missing, null or no number."""
    value = values.get(key)
    return value if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) else None


def interval_in(values: Mapping[str, Any], key: str, low: float, high: float) -> tuple[float, float] | None:
    """Return the 95 % interval of a measure, cut to its range [low, high]; None: the measure has no interval."""
    ends = values.get(f"{key}_ci")
    if not isinstance(ends, Sequence) or isinstance(ends, str) or len(ends) != 2:
        return None
    numbers = [number_in({"end": end}, "end") for end in ends]
    first, last = numbers
    if first is None or last is None:
        return None
    return min(max(first, low), high), min(max(last, low), high)


def records_in(audit: Mapping[str, Any] | None, table: str) -> list[Mapping[str, Any]]:
    """Return the records of a table of an audit; empty: not audited, or the table has none."""
    return [record for record in (audit or {}).get(table, ()) if isinstance(record, Mapping)]


def is_significant(record: Mapping[str, Any]) -> bool:
    """Return whether the corrected p of a record is below 0.05."""
    p = number_in(record, "p_corrected")
    return p is not None and p < 0.05


def counted(count: int, noun: str) -> str:
    """Return a count with its noun: "1 text", "2,000 texts"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def percentage(part: float, whole: float) -> str:
    """Return a fraction as a percentage without decimals; "under 1 %" and "over 99 %" instead of a false 0 or 100."""
    fraction = part / whole
    if 0 < fraction < 0.005:
        return "under 1 %"
    if 0.995 <= fraction < 1:
        return "over 99 %"
    return f"{100 * fraction:.0f} %"
