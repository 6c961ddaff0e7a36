"""Error rates: counts over simulated data sets, and the rows of the table."""

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ErrorRate:
    """One line of the table.

    Attributes:
        figure: interval, p value or verdict.
        setting: number of texts and how they were drawn.
        promise: rate that is claimed.
        hits: data sets in which it happened.
        sets: data sets in which it was defined.

    """

    figure: str
    setting: str
    promise: str
    hits: int
    sets: int

    def line(self) -> str:
        """Return the row of the Markdown table."""
        rate = f"{self.hits / self.sets:.1%}" if self.sets else "none"
        return f"| {self.figure} | {self.setting} | {self.promise} | {rate} | {self.sets} |"


@dataclass
class ErrorCounts:
    """Counts of what happened, by figure; None is not counted."""

    hits: dict[str, int] = field(default_factory=dict)
    sets: dict[str, int] = field(default_factory=dict)

    def add(self, figure: str, happened: bool | None) -> None:
        """Count one data set; None: the figure was not defined."""
        self.hits[figure] = self.hits.get(figure, 0) + bool(happened)
        self.sets[figure] = self.sets.get(figure, 0) + (happened is not None)

    def rates(self, setting: str, promises: dict[str, str]) -> Iterator[ErrorRate]:
        """Yield the rows of all figures, in order."""
        for figure, hits in self.hits.items():
            yield ErrorRate(figure, setting, promises[figure], hits, self.sets[figure])


def holds(low: float | None, high: float | None, truth: float) -> bool | None:
    """Return whether an interval holds a value; None: there is no interval."""
    return None if low is None or high is None else low <= truth <= high


def below(p: float | None, level: float = 0.05) -> bool | None:
    """Return whether a p value is below a level; None: there is none."""
    return None if p is None else p < level
