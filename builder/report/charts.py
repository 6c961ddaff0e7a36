"""Charts of counts and findings, and the parts that all charts share.

A chart holds the `data` and the `layout` of a plotly figure. Chart functions take plain values; those that may have
nothing to draw return None then. Names pass through `escape_markup`, because plotly interprets labels as markup.
"""

import html
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from personagen.builder.report.text_groups import COLOURS, REAL_COLOUR

Chart = dict[str, Any]
"""Keys `data` (traces) and `layout`, as plotly defines them."""

MIN_COLOUR_RANGE = 0.05
"""Least half-range of the colour scale of associations: smaller ones look pale."""


class ValueWithInterval(NamedTuple):
    """An estimate with its 95 % interval; None: no interval."""

    value: float
    low: float | None
    high: float | None


class ValueBesideReal(NamedTuple):
    """A value of the texts, that of real texts, and the 95 % interval of their difference; None: no interval."""

    value: float
    real: float
    difference_low: float | None
    difference_high: float | None


class AssociationCell(NamedTuple):
    """Fraction of the variance of an outcome that is associated with an attribute, in [-1, 1]."""

    fraction: float
    significant: bool


def interval_chart(estimates: Mapping[str, Mapping[str, ValueWithInterval]]) -> Chart | None:
    """Draw one point with its interval per label; a menu selects the figure.

    Args:
        estimates: estimates by figure and label; figures may lack labels.

    """
    figures = list(estimates)
    traces = [_points(by_label) | {"visible": figure == figures[0]} for figure, by_label in estimates.items()]
    return _by_label_chart(estimates, traces, 1)


def beside_real_chart(values: Mapping[str, Mapping[str, ValueBesideReal]]) -> Chart | None:
    """Draw the value of the texts and that of real texts per label; a menu selects the figure.

    The interval of the difference is drawn at the value of the texts: values differ if it does not reach the real one.

    Args:
        values: values by figure and label; figures may lack labels.

    """
    traces = []
    for number, by_label in enumerate(values.values()):
        points = {
            label: ValueWithInterval(
                one.value,
                None if one.difference_low is None else one.real + one.difference_low,
                None if one.difference_high is None else one.real + one.difference_high,
            )
            for label, one in by_label.items()
        }
        here, visible = _points(points), {"visible": number == 0}
        real = {name: part for name, part in here.items() if name != "error_x"}
        real |= {"x": [one.real for one in by_label.values()], "name": "real texts"}
        real["marker"] = {"size": 10, "color": REAL_COLOUR, "symbol": "diamond-open"}
        traces += [here | {"name": "these texts"} | visible, real | visible]
    chart = _by_label_chart(values, traces, 2)
    if chart is not None:
        chart["layout"]["legend"] = {"orientation": "h", "y": -0.15, "yanchor": "top"}  # beside, it fills half a phone
    return chart


def _by_label_chart(
    figures: Mapping[str, Mapping[str, Any]], traces: Sequence[Mapping[str, Any]], traces_per_figure: int
) -> Chart | None:
    """Build the chart of traces over labels, with a menu of the figures; None: there is no label."""
    labels = list(dict.fromkeys(label for by_label in figures.values() for label in by_label))
    if not labels:
        return None
    order = {"categoryorder": "array", "categoryarray": [escape_markup(label) for label in reversed(labels)]}
    layout = {"height": 120 + 36 * len(labels), "yaxis": order}
    names = list(figures)
    return {"data": list(traces), "layout": layout | selection_menu(names, names[0], traces_per_figure)}


def _points(estimates: Mapping[str, ValueWithInterval]) -> dict[str, Any]:
    errors = [
        (0.0 if low is None else value - low, 0.0 if high is None else high - value)
        for value, low, high in estimates.values()
    ]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [estimate.value for estimate in estimates.values()],
        "y": list(map(escape_markup, estimates)),
        "error_x": {
            "type": "data",
            "symmetric": False,
            "arrayminus": [below for below, _ in errors],
            "array": [above for _, above in errors],
        },
        "marker": {"size": 10, "color": COLOURS[0]},
        "hovertemplate": "%{y}: %{x:.4g}<extra></extra>",
    }


def rejects_chart(counts: Mapping[str, Mapping[str, int]], colours: Mapping[str, str]) -> Chart | None:
    """Draw the number of rejected replies by reason, stacked by group.

    Args:
        counts: replies by group and reason.
        colours: colour of each group.

    """
    reasons = sorted({reason for by_reason in counts.values() for reason in by_reason})
    if not reasons:
        return None
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": escape_markup(group),
            "x": [by_reason.get(reason, 0) for reason in reasons],
            "y": list(map(escape_markup, reasons)),
            "marker": {"color": colours[group]},
        }
        for group, by_reason in counts.items()
        if by_reason
    ]
    layout = {"barmode": "stack", "height": 140 + 36 * len(reasons), "xaxis": {"title": {"text": "replies"}}}
    return {"data": traces, "layout": layout}


def association_chart(
    attributes: Sequence[str], outcomes: Sequence[str], cells: Sequence[Sequence[AssociationCell | None]]
) -> Chart | None:
    """Draw associations of persona attributes with outcomes as a heat map; a star marks significant ones.

    Args:
        attributes: names of the rows.
        outcomes: names of the columns.
        cells: one row per attribute, one cell per outcome; None: not measured.

    """
    limit = max([MIN_COLOUR_RANGE, *(abs(cell.fraction) for row in cells for cell in row if cell)])
    if not attributes:
        return None
    heatmap = {
        "type": "heatmap",
        "x": list(map(escape_markup, outcomes)),
        "y": list(map(escape_markup, attributes)),
        "z": [[cell and cell.fraction for cell in row] for row in cells],
        "text": [[_with_star(cell) for cell in row] for row in cells],
        "texttemplate": "%{text}",
        "hovertemplate": "%{y} and %{x}: %{z:.2%} of the variance, beyond plan and chance<extra></extra>",
        "colorscale": "RdBu",
        "reversescale": True,
        "zmin": -limit,
        "zmax": limit,
        "colorbar": {"tickformat": ".1%"},
    }
    return {"data": [heatmap], "layout": {"height": 160 + 30 * len(attributes), "yaxis": {"autorange": "reversed"}}}


def _with_star(cell: AssociationCell | None) -> str:
    return "" if cell is None else f"{cell.fraction:.1%}{'*' if cell.significant else ''}"


def escape_markup(text: str) -> str:
    """Escape text for a label, which plotly interprets as markup."""
    return html.escape(text, quote=False)


def selection_menu(names: Sequence[str], selected: str, traces_per_name: int = 1) -> dict[str, Any]:
    """Return the layout of a menu that shows the traces of one name; empty for a single name."""
    if len(names) < 2:
        return {}
    buttons = [
        restyle_button(name, {"visible": [name == other for other in names for _ in range(traces_per_name)]})
        for name in names
    ]
    return {"updatemenus": [menu(buttons, "dropdown") | {"active": list(names).index(selected)}]}


def restyle_button(label: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a menu button that changes attributes of all traces."""
    return {"label": escape_markup(label), "method": "restyle", "args": [dict(changes)]}


def menu(buttons: Sequence[Mapping[str, Any]], kind: str) -> dict[str, Any]:
    """Return a menu above the chart: "buttons" side by side, or a "dropdown"."""
    position = {"x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"}
    direction = "right" if kind == "buttons" else "down"
    return position | {"type": kind, "buttons": list(buttons), "direction": direction}
