"""The figures of a report of what was counted and found, and what all figures share.

A figure is the data and the layout that plotly draws; plotly checks them before they are written.

Text of a model goes through `plain`, for plotly reads its labels as markup.
"""

import html
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from personagen.builder.evaluation.audit_results import AttributeAssociation, Audit, effects_of
from personagen.builder.evaluation.comparison_tables import MAIN
from personagen.builder.report.content import Material

Figure = dict[str, Any]
"""`data` and `layout`, as plotly has them."""

COLOURS = (
    "#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#ff8ab7", "#a463f2", "#97bbf5", "#9c6b4e", "#7d8597",
)  # fmt: skip
"""For kinds of texts and emotions, in their order; they begin again where there are more."""

REAL_COLOUR = "#1d2433"

ENDS = ("low", "high")


def arms_figure(results: Mapping[str, Any]) -> Figure:
    """Show a figure of every arm with its 95 % interval."""
    arms = results["arms"]
    names = list(dict.fromkeys([*MAIN, *(name for facts in arms.values() for name in facts["figures"])]))
    names = [name for name in names if any(name in facts["figures"] for facts in arms.values())]
    traces = []
    for name in names:
        own = {arm: facts["figures"][name] for arm, facts in arms.items() if name in facts["figures"]}
        traces.append(_intervals(own) | {"visible": name == names[0]})
    order = {"categoryorder": "array", "categoryarray": list(reversed(arms))}
    return {"data": traces, "layout": {"height": 120 + 36 * len(arms), "yaxis": order} | choice(names, names[0])}


def rejects_figure(material: Material) -> Figure | None:
    """Count refused replies by reason and kind; None where none was refused."""
    reasons = sorted({reason for counts in material.rejects.values() for reason in counts})
    if not reasons:
        return None
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": source,
            "x": [counts.get(reason, 0) for reason in reasons],
            "y": reasons,
            "marker": {"color": colour_of(material, source)},
        }
        for source, counts in material.rejects.items()
        if counts
    ]
    layout = {"barmode": "stack", "height": 140 + 36 * len(reasons), "xaxis": {"title": {"text": "replies"}}}
    return {"data": traces, "layout": layout}


def audit_figure(audit: Audit) -> Figure:
    """Draw the associations of attributes with outcomes as a heat map; a star marks a corrected p below 0.05."""
    cells = {(record.attribute, record.outcome): record for record in audit.associations}
    outcomes, attributes = list(audit.outcomes), audit.attributes
    rows = [[cells.get((attribute, outcome)) for outcome in outcomes] for attribute in attributes]
    widest = max([0.05, *(abs(record.fraction) for record in audit.associations)])
    heat = {
        "type": "heatmap",
        "x": outcomes,
        "y": attributes,
        "z": [[record and record.fraction for record in row] for row in rows],
        "text": [[_star(record) for record in row] for row in rows],
        "texttemplate": "%{text}",
        "hovertemplate": "%{y} and %{x}: %{z:.2%} of the variance beyond plan and chance<extra></extra>",
        "colorscale": "RdBu",
        "reversescale": True,
        "zmin": -widest,
        "zmax": widest,
        "colorbar": {"tickformat": ".1%"},
    }
    return {"data": [heat], "layout": {"height": 160 + 30 * len(attributes), "yaxis": {"autorange": "reversed"}}}


def counterfactuals_figure(audit: Audit) -> Figure | None:
    """Draw the effect of each change of an attribute with its 95 % interval; None: none was measured."""
    rows = [
        (f"{pairs.attribute}: {pairs.first} → {pairs.second} ({pairs.pairs})", effects_of(audit.effects, pairs))
        for pairs in audit.pairs
    ]
    names = list(dict.fromkeys(effect.outcome for _, effects in rows for effect in effects))
    if not names:
        return None
    traces = []
    for name in names:
        estimates = {
            label: {"value": effect.difference, "low": effect.low, "high": effect.high}
            for label, effects in rows
            for effect in effects
            if effect.outcome == name
        }
        traces.append(_intervals(estimates) | {"visible": name == names[0]})
    layout = {"height": 140 + 36 * len(rows), "yaxis": {"autorange": "reversed"}}
    return {"data": traces, "layout": layout | choice(names, names[0])}


def _intervals(estimates: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Draw a value for each name, with its interval where it has one."""
    values = [each["value"] for each in estimates.values()]
    ends = [[each[end] if each[end] is not None else each["value"] for each in estimates.values()] for end in ENDS]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": values,
        "y": list(estimates),
        "error_x": {
            "type": "data",
            "symmetric": False,
            "arrayminus": [value - low for value, low in zip(values, ends[0], strict=True)],
            "array": [high - value for value, high in zip(values, ends[1], strict=True)],
        },
        "marker": {"size": 10, "color": COLOURS[0]},
        "hovertemplate": "%{y}: %{x:.4g}<extra></extra>",
    }


def _star(record: AttributeAssociation | None) -> str:
    return "" if record is None else f"{record.fraction:.1%}{'*' if record.is_significant else ''}"


def plain(text: str) -> str:
    """Make text of a model show as it is: plotly reads a label as markup."""
    return html.escape(text, quote=False)


def compared(material: Material) -> Iterator[str]:
    """Name the main kind, and the real one where it is another."""
    yield material.main
    if material.real not in (None, material.main):
        yield material.real


def colour_of(material: Material, source: str) -> str:
    """Give a kind of texts its colour."""
    if source == material.real:
        return REAL_COLOUR
    return COLOURS[list(material.counts).index(source) % len(COLOURS)]


def opened(material: Material, source: str) -> bool | str:
    """Tell whether a kind shows at first: those that are compared, and texts without a persona; others can be shown."""
    return source in (*compared(material), "none") or "legendonly"


def choice(names: Sequence[str], chosen: str, each: int = 1) -> dict[str, Any]:
    """Make a menu of which one shows; `each` traces belong to a name. No menu for one."""
    if len(names) < 2:
        return {}
    buttons = [button(name, {"visible": [name == other for other in names for _ in range(each)]}) for name in names]
    return {"updatemenus": [menu(buttons, "dropdown") | {"active": list(names).index(chosen)}]}


def button(label: str, change: Mapping[str, Any]) -> dict[str, Any]:
    """Make a button that changes all traces."""
    return {"label": label, "method": "restyle", "args": [dict(change)]}


def menu(buttons: Sequence[Mapping[str, Any]], kind: str) -> dict[str, Any]:
    """Make a menu above the figure: "buttons" side by side, or a "dropdown"."""
    place = {"x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"}
    return place | {"type": kind, "buttons": list(buttons), "direction": "right" if kind == "buttons" else "down"}
