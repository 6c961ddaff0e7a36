"""Charts of counts and findings, and the parts that all charts share.

A chart holds the `data` and the `layout` of a plotly figure. Chart functions take plain values; those that may have
nothing to draw return None then. Names pass through `escape_markup`, because plotly interprets labels as markup.
Selections are HTML controls beside the chart: menus of plotly cannot be reached by keyboard.
"""

import html
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from personagen.builder.report.text_groups import COLOURS, REAL_COLOUR

Chart = dict[str, Any]
"""Keys `data` (traces) and `layout`, as plotly defines them, and `choice` if a control selects the traces; see
`selection`."""

BLUE_SCALE = ((0.0, "rgba(66, 105, 208, 0.04)"), (1.0, "rgba(66, 105, 208, 0.75)"))
"""Colours of fractions from 0 to 1; transparent, so that the same text is legible on a light and a dark page."""

SIGNED_SCALE = ((0.0, "rgba(66, 105, 208, 0.7)"), (0.5, "rgba(128, 128, 128, 0)"), (1.0, "rgba(226, 87, 66, 0.7)"))
"""Colours of signed values."""

NOT_SIGNIFICANT = "#8b93a3"
"""Colour of estimates that chance explains."""

MIN_COLOUR_RANGE = 0.05
"""Least half-range of the colour scale of associations: smaller ones look pale."""


class ValueWithInterval(NamedTuple):
    """An estimate with its 95 % interval.

    Attributes:
        value: the estimate.
        low: lower end of the interval; None: no interval.
        high: upper end.
        colour: colour of its point; None: that of the texts of the page.

    """

    value: float
    low: float | None
    high: float | None
    colour: str | None = None


class ValueBesideReal(NamedTuple):
    """A value of the texts, that of real texts, and the 95 % interval of their difference; None: no interval."""

    value: float
    real: float
    difference_low: float | None
    difference_high: float | None

    @property
    def differs(self) -> bool:
        """Whether the interval of the difference excludes 0."""
        low, high = self.difference_low, self.difference_high
        return low is not None and high is not None and (low > 0 or high < 0)


class AssociationCell(NamedTuple):
    """Fraction of the variance of an outcome that is associated with an attribute, in [-1, 1]."""

    fraction: float
    significant: bool


def interval_chart(estimates: Mapping[str, Mapping[str, ValueWithInterval]], null: float | None = None) -> Chart | None:
    """Draw one point with its interval per label; a control selects the figure.

    Args:
        estimates: estimates by figure and label; figures may lack labels.
        null: value without an effect, drawn as a line; None: there is none.

    """
    figures = list(estimates)
    traces = [_points(by_label) | {"visible": figure == figures[0]} for figure, by_label in estimates.items()]
    chart = _by_label_chart(estimates, traces, 1)
    if chart is not None and null is not None:
        line = {"color": NOT_SIGNIFICANT, "width": 1, "dash": "dot"}
        chart["layout"]["shapes"] = [
            {"type": "line", "x0": null, "x1": null, "yref": "paper", "y0": 0, "y1": 1, "line": line}
        ]
    return chart


def beside_real_chart(values: Mapping[str, Mapping[str, ValueBesideReal]]) -> Chart | None:
    """Draw the value of the texts and that of real texts per label; a control selects the figure.

    The interval of the difference is drawn at the value of the texts: values differ if it does not reach the real one.
    Only values that differ are coloured.

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
                None if one.differs else NOT_SIGNIFICANT,
            )
            for label, one in by_label.items()
        }
        here, visible = _points(points), {"visible": number == 0}
        real = {name: part for name, part in here.items() if name != "error_x"}
        real |= {"x": [one.real for one in by_label.values()], "name": "real texts"}
        real["marker"] = {"size": 10, "color": REAL_COLOUR, "symbol": "diamond-open"}
        traces += [real | visible, here | {"name": "these texts"} | visible]
    return _by_label_chart(values, traces, 2)


def _by_label_chart(
    figures: Mapping[str, Mapping[str, Any]], traces: Sequence[Mapping[str, Any]], traces_per_figure: int
) -> Chart | None:
    """Build the chart of traces over labels, with a choice of the figures; None: there is no label."""
    labels = list(dict.fromkeys(label for by_label in figures.values() for label in by_label))
    if not labels:
        return None
    order = {"categoryorder": "array", "categoryarray": [escape_markup(label) for label in reversed(labels)]}
    layout = {"height": 120 + 36 * max(map(len, figures.values())), "yaxis": order}
    names = list(figures)
    return {"data": list(traces), "layout": layout, **selection("figure", names, names[0], traces_per_figure)}


def _points(estimates: Mapping[str, ValueWithInterval]) -> dict[str, Any]:
    errors = [
        (0.0 if low is None else value - low, 0.0 if high is None else high - value)
        for value, low, high, _ in estimates.values()
    ]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [estimate.value for estimate in estimates.values()],
        "y": list(map(escape_markup, estimates)),
        "error_x": {
            "type": "data",
            "color": NOT_SIGNIFICANT,
            "symmetric": False,
            "arrayminus": [below for below, _ in errors],
            "array": [above for _, above in errors],
        },
        "marker": {"size": 10, "color": [estimate.colour or COLOURS[0] for estimate in estimates.values()]},
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
    """Draw associations of persona attributes with outcomes as a heat map; only significant ones have a colour.

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
        "z": [[cell and (cell.fraction if cell.significant else 0.0) for cell in row] for row in cells],
        "text": [[_with_star(cell) for cell in row] for row in cells],
        "texttemplate": "%{text}",
        "hovertemplate": "%{y} and %{x}: %{text} of the variance, beyond plan and chance<extra></extra>",
        "colorscale": SIGNED_SCALE,
        "showscale": False,
        "zmin": -limit,
        "zmax": limit,
    }
    return {"data": [heatmap], "layout": {"height": 160 + 30 * len(attributes), "yaxis": {"autorange": "reversed"}}}


def _with_star(cell: AssociationCell | None) -> str:
    return "" if cell is None else f"{cell.fraction:.1%}{'*' if cell.significant else ''}"


def escape_markup(text: str) -> str:
    """Escape text for a label, which plotly interprets as markup."""
    return html.escape(text, quote=False)


def selection(label: str, names: Sequence[str], selected: str, traces_per_name: int = 1) -> dict[str, Any]:
    """Return the choice of a chart that shows the traces of one name; empty for a single name.

    Args:
        label: label of the control.
        names: names, in the order of their traces.
        selected: name that is shown first.
        traces_per_name: number of traces of each name.

    """
    if len(names) < 2:
        return {}
    options = [
        option(name, {"visible": [name == other for other in names for _ in range(traces_per_name)]}) for name in names
    ]
    return {"choice": {"label": label, "options": options, "selected": list(names).index(selected)}}


def option(label: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return an option of a choice, which changes attributes of all traces."""
    return {"label": label, "changes": dict(changes)}
