"""Write the page of a release, a comparison or a match: one HTML file that loads nothing from the network.

folder -> report -> sections -> page
"""

import gzip
import json
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from jinja2 import Environment, PackageLoader, StrictUndefined

from personagen.builder.core.errors import ReleaseError
from personagen.builder.core.file_names import MATCH_RESULTS, REPORT, RESULTS
from personagen.builder.core.files import require_usable_name, write_text
from personagen.builder.core.progress import SILENT, Progress
from personagen.builder.release.folder import is_release
from personagen.builder.release.measuring import require_metrics_extra
from personagen.builder.report.charts import Chart
from personagen.builder.report.comparison_report import read_comparison_report
from personagen.builder.report.match_report import read_match_report
from personagen.builder.report.release_report import read_release_report
from personagen.builder.report.sections import Cell, Section
from personagen.builder.report.text_groups import TextGroup
from personagen.builder.report.words.chart_tables import chart_table
from personagen.builder.report.words.example_texts import example_texts
from personagen.builder.version import __version__

TRANSPARENT = "rgba(0, 0, 0, 0)"
"""Background of charts: they lie on that of the page, light or dark."""


MAP = "map"
"""Id of the section whose data are the texts of the page."""


class Report(Protocol):
    """Content of a page."""

    @property
    def title(self) -> str:
        """Heading of the page."""

    @property
    def facts(self) -> Mapping[str, str]:
        """Facts at the top, by name."""

    @property
    def verdicts(self) -> Sequence[str]:
        """Sentences on the results, which open the page."""

    @property
    def concerns(self) -> Sequence[str]:
        """Reasons for caution."""

    @property
    def accuracy_note(self) -> str:
        """How often the predictions in the table of texts are right; "": there are none."""

    @property
    def notes(self) -> Sequence[str]:
        """Reasons why a part is not shown."""

    @property
    def emotions(self) -> Sequence[str]:
        """Labels in order."""

    @property
    def groups(self) -> Sequence[TextGroup]:
        """Groups of texts."""

    @property
    def measures_sample(self) -> bool:
        """Whether scores or audit are those of a part of the texts."""

    def sections(self) -> Iterator[Section]:
        """Yield the sections of the page in order."""


def write_report(  # noqa: PLR0913 - the options of the command
    folder: Path,
    *,
    reference: str = "goemotions",
    embeddings: str | None = None,
    seed: int = 0,
    out: Path | None = None,
    progress: Progress = SILENT,
    vectors: str | None = None,
) -> Path:
    """Write the page of a release, a comparison or a match, and return its file; the same folder gives the same page.

    Args:
        folder: the release, the comparison or the match.
        reference: source of the real texts that a release is compared with; see `evaluate`. Not used otherwise.
        embeddings: name of a sentence-transformers model for a release; None: the default model. A comparison has its
            own.
        seed: seed of the sample of texts and of the map. Not used for a match, whose page has no texts.
        out: file of the page. None: `RELEASE.report.html` beside a release, `report.html` in another folder.
        progress: receiver of the steps.
        vectors: folder or fsspec address with the vectors that `encode` wrote for a release; None: texts are encoded
            here. Not used otherwise.

    Raises:
        ReleaseError: the folder is none of them, or was altered.
        BackendError: a package is missing, or the embedding model cannot be loaded.
        FolderError: the page cannot be written.

    """
    require_metrics_extra("plotly")
    if out is not None:
        require_usable_name(out)
    report: Report
    if is_release(folder):
        report = read_release_report(folder, reference, embeddings, seed, progress, vectors)
    elif (folder / RESULTS).is_file():
        report = read_comparison_report(folder, seed, progress)
    elif (folder / MATCH_RESULTS).is_file():
        report = read_match_report(folder)
    else:
        raise ReleaseError(
            f"{folder} is no release, comparison or match; name a folder of `generate`, `compare` or `match`"
        )
    progress.step("rendering the page")
    target = out or default_target(folder)
    write_text(target, render_page(report))
    return target


def default_target(folder: Path) -> Path:
    """Return the file of the page if none is named: beside a release, within a comparison or a match."""
    if not is_release(folder):
        return folder / REPORT
    named = folder if folder.name not in ("", "..") else folder.resolve()
    return named.with_name(f"{named.name}.{REPORT}")


def render_page(report: Report) -> str:
    """Render a report as HTML."""
    from plotly.offline import get_plotlyjs

    sections = [section for section in report.sections() if section.has_content]
    charts = [_chart_json(section.id, section.chart) for section in sections if section.chart]
    texts = [
        {name: value for name, value in asdict(text).items() if value is not None}
        for group in report.groups
        for text in group.texts
    ]
    loader = PackageLoader("personagen.builder", "templates")
    environment = Environment(loader=loader, undefined=StrictUndefined, autoescape=True)
    return environment.get_template("report.html").render(
        report=report,
        sections=sections,
        tables={section.id: chart_table(section.chart) for section in sections if section.chart and section.id != MAP},
        examples=example_texts(report.groups),
        sampled=any(len(group.texts) < group.total for group in report.groups),
        text_of=lambda cell: cell.text if isinstance(cell, Cell) else cell,
        kind_of=lambda cell: cell.style if isinstance(cell, Cell) else "",
        version=__version__,
        style=loader.get_source(environment, "report.css")[0],
        plotly=packed(get_plotlyjs()),
        script=loader.get_source(environment, "report.js")[0],
        data=packed(json.dumps({"charts": charts, "texts": texts, "template": _template()})),
    )


def packed(text: str) -> str:
    """Return text, compressed, in letters that may stand in a script element: plotly.js in 2 MB instead of 4.8 MB."""
    return b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def _chart_json(name: str, chart: Chart) -> dict[str, Any]:
    """Return a chart as the script draws it, after plotly has validated it."""
    import plotly.graph_objects as go

    figure = json.loads(go.Figure(_with_common_layout(chart)).to_json())
    del figure["layout"]["template"]
    return {"id": name, **figure, **({"choice": chart["choice"]} if "choice" in chart else {})}


def _template() -> dict[str, Any]:
    """Return the look that all charts share."""
    import plotly.io

    template: dict[str, Any] = plotly.io.templates["plotly_white"].to_plotly_json()["layout"]
    names = ("autotypenumbers", "hoverlabel", "hovermode", "xaxis", "yaxis", "colorway")
    return {"layout": {name: template[name] for name in names if name in template}}


def _with_common_layout(chart: Chart) -> Chart:
    axis: dict[str, Any] = {"automargin": True}
    if any(trace["type"] == "heatmap" for trace in chart["data"]):
        axis["showgrid"] = False  # cells are transparent
    common = {
        "margin": {"l": 10, "r": 10, "t": 20, "b": 10},
        "font": {"family": "system-ui, sans-serif", "size": 13},
        "paper_bgcolor": TRANSPARENT,
        "plot_bgcolor": TRANSPARENT,
        "dragmode": False,  # a swipe over a chart scrolls the page
        "legend": {
            "orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0,
            "itemclick": False, "itemdoubleclick": False,
        },
    }  # fmt: skip
    layout = common | chart["layout"]
    axes = {name: axis | chart["layout"].get(name, {}) for name in ("xaxis", "yaxis")}
    return {"data": chart["data"], "layout": layout | axes}
