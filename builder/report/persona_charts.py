"""Charts of personas: how often attributes have their values, and how many pairs of values occur."""

from collections.abc import Mapping, Sequence

from personagen.builder.report.charts import BLUE_SCALE, Chart, escape_markup, selection
from personagen.builder.report.text_groups import COLOURS

ORDERED_ATTRIBUTES = ("age",)
"""Attributes whose values have an order of their own; the values of others are sorted by their frequency."""


def values_chart(
    observed: Mapping[str, Mapping[str, float]], expected: Mapping[str, Mapping[str, float]]
) -> Chart | None:
    """Draw how often personas have each value of an attribute, with the expected fractions as marks.

    Args:
        observed: fraction of the personas by attribute and value.
        expected: fraction that the attribute tables give, by attribute and value; attributes may be missing.

    """
    attributes = list(observed)
    if not attributes:
        return None
    traces = []
    for attribute in attributes:
        fractions, expectation = observed[attribute], expected.get(attribute, {})
        values = _ordered_values(attribute, fractions, expectation)
        marked = values if expectation else []
        traces += [
            {
                "type": "bar",
                "name": "personas",
                "x": list(map(escape_markup, values)),
                "y": [fractions.get(value, 0.0) for value in values],
                "marker": {"color": COLOURS[0], "opacity": 0.6},
                "visible": attribute == attributes[0],
            },
            {
                "type": "scatter",
                "mode": "markers",
                "name": "expected",
                "x": list(map(escape_markup, marked)),
                "y": [expectation.get(value, 0.0) for value in marked],
                "marker": {"color": COLOURS[1], "symbol": "line-ew-open", "size": 18, "line": {"width": 3}},
                "visible": attribute == attributes[0],
            },
        ]
    layout = {"height": 420, "yaxis": {"tickformat": ".0%", "title": {"text": "fraction of personas"}}}
    return {"data": traces, "layout": layout, **selection("attribute", attributes, attributes[0], traces_per_name=2)}


def _ordered_values(attribute: str, fractions: Mapping[str, float], expectation: Mapping[str, float]) -> list[str]:
    """Return the values of both, by name if they have an order of their own, else the most frequent first."""
    values = sorted({*fractions, *expectation})
    if attribute in ORDERED_ATTRIBUTES:
        return values
    return sorted(values, key=lambda value: fractions.get(value, 0.0), reverse=True)


def pairs_chart(attributes: Sequence[str], coverage: Mapping[tuple[str, str], tuple[int, int]]) -> Chart | None:
    """Draw the fraction of the pairs of values of two attributes that at least one persona has.

    Args:
        attributes: names in order.
        coverage: numbers of occurring and of possible pairs, for every two attributes in their order.

    """
    if not coverage:
        return None
    both = {**coverage, **{(second, first): counts for (first, second), counts in coverage.items()}}
    cells = [[both.get((row, column)) for column in attributes] for row in attributes]
    labels = list(map(escape_markup, attributes))
    heatmap = {
        "type": "heatmap",
        "x": labels,
        "y": labels,
        "z": [[cell and cell[0] / cell[1] for cell in row] for row in cells],
        "text": [[f"{cell[0]} of {cell[1]}" if cell else "" for cell in row] for row in cells],
        "hovertemplate": "%{y} and %{x}: %{text} pairs of values<extra></extra>",
        "colorscale": BLUE_SCALE,
        "zmin": 0,
        "zmax": 1,
        "showscale": False,
    }
    return {"data": [heatmap], "layout": {"height": 480, "yaxis": {"autorange": "reversed"}}}
