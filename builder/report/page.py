"""`personagen report`: one page that shows a release or a comparison, with all that it needs in it.

folder -> texts, personas, rejects, findings -> figures -> page
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from personagen.builder.core.errors import BackendError
from personagen.builder.core.files import write_text
from personagen.builder.evaluation.audit_results import Audit
from personagen.builder.release.measuring import require_metrics_extra
from personagen.builder.report.charts import Figure, arms_figure, audit_figure, counterfactuals_figure, rejects_figure
from personagen.builder.report.content import Material, read_material
from personagen.builder.report.persona_charts import pairs_figure, values_figure
from personagen.builder.report.text_charts import (
    confusion_figure,
    growth_figure,
    length_figure,
    map_figure,
    vocabulary_figure,
)
from personagen.builder.version import __version__


@dataclass(frozen=True, slots=True)
class Options:
    """How to report.

    Attributes:
        reference: real texts that a release is held against; see `evaluate.Options`. A comparison has its own.
        embeddings: name of a sentence-transformers model for a release; None for the default one.
        seed: of the sample and the map.

    """

    reference: str = "goemotions"
    embeddings: str | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Section:
    """A figure with its heading and what to make of it."""

    id: str
    heading: str
    says: str
    figure: Figure | None


def write_report(folder: Path, options: Options, out: Path, tell: Callable[[str], None]) -> None:
    """Write the page of a release or a comparison; the same folder gives the same page.

    Args:
        folder: the release or the comparison.
        options: how to report.
        out: file of the page.
        tell: called with a line for each step.

    Raises:
        ReleaseError: the folder is neither, or was altered.
        BackendError: a package is missing, or the model of the embeddings cannot be loaded.
        FolderError: the page cannot be written.

    """
    require_metrics_extra("plotly")
    material = read_material(folder, options.reference, options.embeddings, options.seed, tell)
    tell(f"map of {len(material.texts)} texts")
    sections = [section for section in _sections(material, _points(material, options.seed)) if section.figure]
    tell("page")
    write_text(out, _page(material, sections))


def _points(material: Material, seed: int) -> list[list[float]]:
    from personagen.metrics.statistics.projection import project
    from personagen.metrics.texts.embeddings import embed

    try:
        vectors = embed([text.text for text in material.texts], material.embeddings).vectors
    except (ValueError, ImportError) as error:
        raise BackendError(str(error)) from None
    return [[round(float(value), 3) for value in point] for point in project(vectors, seed)]


def _sections(material: Material, points: list[list[float]]) -> Iterator[Section]:
    results, audit = material.tables.get("results"), material.tables.get("audit")
    if results is not None:
        says = "Value over all seeds with its 95 % interval; the menu chooses the figure."
        yield Section("arms", "Arms", says, arms_figure(results))
    yield Section(
        "map",
        "Map of the texts",
        "What is near in meaning lies near (t-SNE of sentence embeddings). Size and distance of clusters tell nothing. "
        "Point at a text to read it, click on it to find it in the table below.",
        map_figure(material, points),
    )
    yield Section(
        "confusion",
        "Asked for and read",
        "Share of the texts of each emotion in which a classifier of real texts reads which emotion.",
        confusion_figure(material),
    )
    yield Section("lengths", "Lengths", "Words of a text, by emotion and kind of texts.", length_figure(material))
    yield Section(
        "vocabulary",
        "Words that stand out",
        "Words that are in more, or in fewer, of these texts than of real ones, by log odds with a prior.",
        vocabulary_figure(material),
    )
    yield Section("growth", "Vocabulary", "Different words in so many words of text.", growth_figure(material))
    yield from _sections_of_personas(material, audit)
    yield Section("rejects", "Refused replies", "By reason; examples stand below.", rejects_figure(material))


def _sections_of_personas(material: Material, audit: Audit | None) -> Iterator[Section]:
    yield Section(
        "values",
        "Personas",
        "Share of the personas that have each value; the mark is what the tables expect.",
        values_figure(material),
    )
    yield Section(
        "pairs",
        "Coverage of persona space",
        "Of the pairs of values of two attributes, the share that some persona has. Some pairs make no sense and are "
        "never drawn, so that not every cell can be full.",
        pairs_figure(material),
    )
    if audit is not None:
        says = "Share of variance of what was measured of the texts that goes with an attribute beyond plan and chance."
        yield Section("audit", "Bias", f"{says} * p < 0.05, corrected.", audit_figure(audit))
        yield Section(
            "counterfactuals",
            "Counterfactual pairs",
            "What changes where one attribute of the persona does, and nothing else, with its 95 % interval; in "
            "brackets the number of pairs.",
            counterfactuals_figure(audit),
        )


def _page(material: Material, sections: list[Section]) -> str:
    import plotly.graph_objects as go
    from plotly.offline import get_plotlyjs

    figures = [
        {"id": section.id, **json.loads(go.Figure(_laid_out(section.figure or {})).to_json())} for section in sections
    ]
    texts = [{key: value for key, value in asdict(text).items() if value is not None} for text in material.texts]
    environment = Environment(
        loader=PackageLoader("personagen.builder", "templates"), undefined=StrictUndefined, autoescape=True
    )
    loader = environment.loader
    assert loader is not None
    return environment.get_template("report.html").render(
        material=material,
        sections=sections,
        tables=dict.fromkeys(("results", "costs", "scores", "findings", "counterfactuals", "audit"))
        | dict(material.tables),
        version=__version__,
        plotly=get_plotlyjs(),
        script=loader.get_source(environment, "report.js")[0],
        data=embedded({"figures": figures, "texts": texts}),
    )


def _laid_out(figure: Figure) -> Figure:
    common = {
        "template": "plotly_white",
        "margin": {"l": 60, "r": 20, "t": 50, "b": 50},
        "font": {"family": "system-ui, sans-serif", "size": 13},
        "yaxis": {"automargin": True},
        "xaxis": {"automargin": True},
    }
    layout = common | figure["layout"]
    for axis in ("xaxis", "yaxis"):
        layout[axis] = {**common[axis], **layout[axis]}  # type: ignore[dict-item]
    return {"data": figure["data"], "layout": layout}


def embedded(value: Any) -> str:
    """Write JSON that can stand in a script element whatever its strings hold: no tag, no comment, no end of a line."""
    text = json.dumps(value, ensure_ascii=True)
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text
