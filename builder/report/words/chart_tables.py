"""The table of the data behind a chart, for readers who do not see it."""

import html
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from personagen.builder.report.charts import Chart

MAX_POINTS = 12
"""Points of a curve in its table."""


class DataTable(NamedTuple):
    """Data of a chart: names of the columns, and cells as text."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


FORMS = {
    "heatmap": ("row", "column", "value"),
    "box": ("series", "label", "number", "lowest", "lower quartile", "median", "upper quartile", "highest"),
}
"""Columns by type of trace."""

VALUES = ("series", "label", "value", "95 %")
"""Columns of traces of points, bars and curves."""


def chart_table(chart: Chart) -> DataTable | None:
    """Return the data of a chart; None: there is none, or its traces have no common form.

    Args:
        chart: a chart. The traces of every option of its choice are included, with the option in the first column.

    """
    forms = {FORMS.get(trace["type"], VALUES) for trace in chart["data"]}
    if len(forms) != 1:
        return None
    (form,) = forms
    parts = list(_parts(chart))
    label = chart["choice"]["label"] if "choice" in chart else None
    rows = [[*([option] if label else []), *row] for option, trace in parts for row in _rows(trace)]
    columns = [*([label] if label else []), *form]
    filled = [number for number in range(len(columns)) if any(row[number] for row in rows)]
    return DataTable([columns[number] for number in filled], [[row[number] for number in filled] for row in rows])


def _parts(chart: Chart) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each trace with the option that shows it; "" without a choice."""
    if "choice" not in chart:
        yield from (("", trace) for trace in chart["data"])
        return
    for option in chart["choice"]["options"]:
        shown = zip(chart["data"], option["changes"]["visible"], strict=True)
        yield from ((option["label"], trace) for trace, is_shown in shown if is_shown)


def _rows(trace: Mapping[str, Any]) -> Iterator[list[str]]:
    if trace["type"] == "heatmap":
        for label, values, texts in zip(trace["y"], trace["z"], trace["text"], strict=True):
            for column, value, text in zip(trace["x"], values, texts, strict=True):
                if value is not None:
                    yield [html.unescape(label), html.unescape(column), text or _text(value)]
    elif trace["type"] == "box":
        yield from _box_rows(trace)
    else:
        yield from _value_rows(trace)


def _value_rows(trace: Mapping[str, Any]) -> Iterator[list[str]]:
    across = any(isinstance(label, str) for label in trace["y"])
    labels, values = (trace["y"], trace["x"]) if across else (trace["x"], trace["y"])
    errors = trace.get("error_x", {})
    below, above = (errors.get(name) or [0.0] * len(values) for name in ("arrayminus", "array"))
    step = max(len(values) // MAX_POINTS, 1) if trace.get("mode") == "lines" else 1
    name = html.unescape(trace.get("name", ""))
    for label, value, less, more in list(zip(labels, values, below, above, strict=True))[::step]:
        interval = f"{_text(value - less)} to {_text(value + more)}" if less or more else ""
        yield [name, html.unescape(label) if isinstance(label, str) else _text(label), _text(value), interval]


def _box_rows(trace: Mapping[str, Any]) -> Iterator[list[str]]:
    from statistics import median

    by_label: dict[str, list[float]] = {}
    for label, value in zip(trace["x"], trace["y"], strict=True):
        by_label.setdefault(label, []).append(value)
    for label, values in by_label.items():
        values.sort()
        half = len(values) // 2
        quartiles = median(values[: half or 1]), median(values), median(values[-half:] if half else values)
        cells = [_text(value) for value in (len(values), values[0], *quartiles, values[-1])]
        yield [html.unescape(trace["name"]), html.unescape(label), *cells]


def _text(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
