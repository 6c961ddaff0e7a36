"""The figures of a report that are made of personas: how well they cover what there is."""

from collections import Counter
from itertools import combinations

from personagen.builder.planning.attribute_tables import persona_tables
from personagen.builder.release.composition import attributes_of
from personagen.builder.report.charts import COLOURS, REAL_COLOUR, Figure, choice, plain
from personagen.builder.report.content import Material


def values_figure(material: Material) -> Figure | None:
    """Show how often personas have each value of an attribute, beside what the tables ask for."""
    found, asked = _shares(material)
    if not found:
        return None
    traces = []
    for name in found:
        values = sorted({*found[name], *asked.get(name, {})})
        if name != "age":
            values.sort(key=found[name].__getitem__, reverse=True)
        total = sum(found[name].values())
        traces += [
            {
                "type": "bar",
                "name": "personas",
                "x": [plain(value) for value in values],
                "y": [found[name][value] / total for value in values],
                "marker": {"color": COLOURS[0]},
                "visible": name == next(iter(found)),
            },
            {
                "type": "scatter",
                "mode": "markers",
                "name": "tables",
                "x": [plain(value) for value in values] if name in asked else [],
                "y": [asked[name].get(value, 0.0) for value in values] if name in asked else [],
                "marker": {"color": REAL_COLOUR, "symbol": "line-ew-open", "size": 16, "line": {"width": 2}},
                "visible": name == next(iter(found)),
            },
        ]
    layout = {"height": 420, "yaxis": {"tickformat": ".0%", "title": {"text": "share of personas"}}}
    return {"data": traces, "layout": layout | choice(list(found), next(iter(found)), each=2)}


def _shares(material: Material) -> tuple[dict[str, Counter[str]], dict[str, Counter[str]]]:
    """Count the values of each attribute, and sum up what the tables expect, given what was drawn before each."""
    found: dict[str, Counter[str]] = {}
    asked: dict[str, Counter[str]] = {}
    for layers in material.personas:
        values = {**layers.get("demographic", {}), **layers.get("sociocultural", {})}
        own = attributes_of(layers)
        for name, value in own.items():
            found.setdefault(name, Counter())[value] += 1
        for table in persona_tables().tables:
            if table.name in own:
                sums = asked.setdefault(table.name, Counter())
                for value, share in table.distribution(values).probabilities.items():
                    sums[value] += share / len(material.personas)  # type: ignore[assignment]
    return found, asked


def pairs_figure(material: Material) -> Figure | None:
    """Show of how many pairs of values of two attributes there is a persona, among those that both attributes have."""
    people = [attributes_of(layers) for layers in material.personas]
    if not people or len(people[0]) < 2:
        return None
    names = list(people[0])
    values = {name: {person[name] for person in people} for name in names}
    for table in persona_tables().tables:
        if table.name in values:
            values[table.name] |= {value for _, shares in table.rows for value, share in shares.items() if share > 0}
    met: dict[tuple[str, str], float] = {}
    told: dict[tuple[str, str], str] = {}
    for one, other in combinations(names, 2):
        pairs, possible = (
            len({(person[one], person[other]) for person in people}),
            len(values[one]) * len(values[other]),
        )
        met[one, other] = met[other, one] = pairs / possible
        told[one, other] = told[other, one] = f"{pairs} of {possible}"
    heat = {
        "type": "heatmap",
        "x": names,
        "y": names,
        "z": [[met.get((one, other)) for other in names] for one in names],
        "text": [[told.get((one, other), "") for other in names] for one in names],
        "hovertemplate": "%{y} and %{x}: %{text} pairs of values<extra></extra>",
        "colorscale": "Blues",
        "zmin": 0,
        "zmax": 1,
        "colorbar": {"tickformat": ".0%"},
    }
    return {"data": [heat], "layout": {"height": 480, "yaxis": {"autorange": "reversed"}}}
