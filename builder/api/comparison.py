"""A comparison in a folder: its tables and its page."""

from os import fspath
from os.path import abspath
from pathlib import Path
from typing import TYPE_CHECKING

from personagen.builder.api.arguments import PathOrName
from personagen.builder.api.progress import shown_progress
from personagen.builder.api.release_facts import shown_path
from personagen.builder.core.progress import Progress
from personagen.builder.core.result_table import ResultTable
from personagen.builder.evaluation.comparison import read_comparison

if TYPE_CHECKING:
    import pandas as pd

    from personagen.builder.evaluation.claims import JudgedClaim
    from personagen.builder.evaluation.comparison import (
        ArmCost,
        ArmFigure,
        ArmRating,
        ComparedReject,
        ComparedText,
        ComparisonFacts,
    )

COMPARISON_FOLDER = "comparison"
"""Folder of a comparison where none is named, as on the command line."""


class Comparison:
    """A finished comparison of conditions ("arms") with and without personas.

    Attributes:
        folder: its absolute path.

    """

    def __init__(self, folder: PathOrName = COMPARISON_FOLDER) -> None:
        """Open the folder of a comparison.

        Raises:
            ReleaseError: the folder holds no comparison, or a damaged one.

        """
        self.folder = Path(abspath(folder))  # noqa: PTH100 - unlike resolve, it leaves links alone
        self._results = read_comparison(self.folder)

    @property
    def facts(self) -> "ComparisonFacts":
        """Model, reference, sizes and the emotion classifier of the comparison."""
        return self._results.facts

    @property
    def arms(self) -> "ResultTable[ArmCost]":
        """Texts, requests, tokens and cost, one record per arm."""
        return self._results.arms

    @property
    def figures(self) -> "ResultTable[ArmFigure]":
        """Value and 95 % interval, one record per arm and measure."""
        return self._results.figures

    @property
    def claims(self) -> "ResultTable[JudgedClaim]":
        """Difference, interval, corrected p-value and verdict, one record per claim for personas."""
        return self._results.claims

    @property
    def ratings(self) -> "ResultTable[ArmRating]":
        """Ratings of judges, one record per arm; empty: no judge was asked."""
        return self._results.ratings

    @property
    def texts(self) -> "ResultTable[ComparedText]":
        """Texts of all arms, one record each."""
        return self._results.texts

    @property
    def rejects(self) -> "ResultTable[ComparedReject]":
        """Rejected replies, one record each."""
        return self._results.rejects

    def to_pandas(self) -> "pd.DataFrame":
        """Return the claims as a data frame."""
        return self.claims.to_pandas()

    def report(self, out: PathOrName | None = None, *, seed: int = 0, progress: Progress | bool = True) -> Path:
        """Write one HTML page that needs no network: arms, claims, charts, and a table of the texts.

        Args:
            out: file of the page. None: `report.html` in the folder.
            seed: seed of the sample of texts and of the map.
            progress: see `personagen.generate`.

        Returns:
            The file of the page.

        Raises:
            BackendError: a package of the extra `metrics` is missing.
            FolderError: the page cannot be written.

        """
        from personagen.builder.report import write_report

        target = None if out is None else Path(fspath(out))
        with shown_progress(progress) as receiver:
            page = write_report(self.folder, seed=seed, out=target, progress=receiver)
        return Path(shown_path(page))

    def __repr__(self) -> str:
        return repr(self._results)

    def _repr_html_(self) -> str:
        return self._results._repr_html_()
