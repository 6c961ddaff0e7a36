"""Scores of a release: a table of records over the content of `scores.json`, lines for the terminal and the card."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from personagen.builder.core.errors import ReleaseError
from personagen.builder.core.result_table import ResultTable
from personagen.builder.evaluation.samples.draws import SAMPLE, MeasuredFacts, sample_sentence
from personagen.builder.evaluation.score_tables.measures import DISPLAYED, METRICS
from personagen.builder.evaluation.score_tables.personas import PERSONAS, read_traces, trace_lines
from personagen.builder.evaluation.slice_scores import SliceScore, below_floor, read_slices, slice_lines, slice_rows
from personagen.builder.planning.suggestions import did_you_mean
from personagen.builder.release.formats.plain_json import as_records, validated
from personagen.metrics.persona.traces import AttributeTrace

if TYPE_CHECKING:
    import pandas as pd

FLOOR_ENDINGS = ("null", "reference", "real")
"""Endings of the key that holds the value of real text, in the order in which they are tried."""

FLOOR_KEYS = {f"{prefix}tstr_macro_f1": f"{prefix}trtr_macro_f1" for prefix in ("", "masked_", "tfidf_", "finetuned_")}
"""Keys of the value of real text that do not follow that pattern, by measure."""

BY_LABEL = "_by_label"

NO_MEASURES = frozenset(
    {
        "n", "n_reference", "n_train", "n_test", "sample_size", "sample_size_by_label", "seed", "bandwidth",
        "labels_used", "labels_left_out", "labels_unknown", "ead_vocabulary",
    }
)  # fmt: skip
"""Numbers of a metric's result that describe the measurement instead of the texts."""


@dataclass(frozen=True, slots=True)
class Score:
    """One measure of a release, over all texts or of one label.

    Attributes:
        metric: metric module: "diversity", "realism", "human_likeness" or "utility".
        measure: name of the measure, as in the metric's card.
        label: emotion whose texts are measured; None: all texts.
        value: the value; None: not measured, see `reason`.
        low: lower end of the 95 % interval; None: the measure has none.
        high: upper end.
        floor: value of real text for the same measure at the same size; None: unknown.
        n: texts per side that were measured; None: unknown.
        reason: why there is no value, or why it must not be trusted; None: neither.
        better: "higher", "lower", a number, or "real" (close to the value of real text); None: neither is better.
        in_null: whether the value lies in the interval of the values of real text; None: unknown.

    """

    metric: str
    measure: str
    label: str | None
    value: float | None
    low: float | None = None
    high: float | None = None
    floor: float | None = None
    n: int | None = None
    reason: str | None = None
    better: str | None = None
    in_null: bool | None = None


class MetricScores(Mapping[str, Score]):
    """Scores of one metric over all texts, by measure: `scores.realism.c2st_auc` or `scores.realism["c2st_auc"]`."""

    __slots__ = ("_metric", "_scores")

    def __init__(self, metric: str, scores: Mapping[str, Score]) -> None:
        """Wrap scores by measure."""
        self._metric = metric
        self._scores = scores

    def __getitem__(self, measure: str) -> Score:
        return self._scores[measure]

    def __iter__(self) -> Iterator[str]:
        return iter(self._scores)

    def __len__(self) -> int:
        return len(self._scores)

    def __getattr__(self, measure: str) -> Score:
        """Return the score of a measure.

        Raises:
            AttributeError: the metric has no such measure; the message names the nearest one.

        """
        if measure.startswith("_"):  # copy and pickle look for methods before the slots are filled
            raise AttributeError(measure)
        if measure in self._scores:
            return self._scores[measure]
        raise AttributeError(f"{self._metric} has no measure {measure!r:.60}{did_you_mean(measure, self._scores)}")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._scores]

    def __repr__(self) -> str:
        return f"<{self._metric}: {len(self)} measures>"


@dataclass(frozen=True, slots=True, repr=False)
class Scores:
    """Scores of a release.

    Attributes:
        content: content of `scores.json`.
        table: one record per measure, and per measure and label.

    """

    content: Mapping[str, Any]
    table: ResultTable[Score] = field(repr=False)

    @property
    def slices(self) -> ResultTable[SliceScore]:
        """Macro-F1 on every real corpus beside plain sentences and as many real texts; empty: not measured."""
        return ResultTable(SliceScore, tuple(read_slices(self.content.get("slices", {}))))

    @property
    def personas(self) -> ResultTable[AttributeTrace]:
        """What the texts show of each attribute of their personas; empty: not measured, or they have none."""
        return ResultTable(AttributeTrace, tuple(read_traces(self.content.get(PERSONAS, []))))

    @property
    def diversity(self) -> MetricScores:
        """Variety of the texts."""
        return self._of("diversity")

    @property
    def realism(self) -> MetricScores:
        """Distance of the texts from real ones."""
        return self._of("realism")

    @property
    def human_likeness(self) -> MetricScores:
        """Ratings by judges; empty: no judge was asked."""
        return self._of("human_likeness")

    @property
    def utility(self) -> MetricScores:
        """Use of the texts as training data."""
        return self._of("utility")

    def _of(self, metric: str) -> MetricScores:
        return MetricScores(
            metric, {score.measure: score for score in self.table if score.metric == metric and score.label is None}
        )

    def to_pandas(self) -> "pd.DataFrame":
        """Return a data frame with one row per record of the table."""
        return self.table.to_pandas()

    def __repr__(self) -> str:
        measured = ", ".join(name for name in METRICS if name in self.content["results"])
        return f"<Scores against {self.content['reference']['name']}: {measured}>"

    def _repr_html_(self) -> str:
        """Render the displayed measures as an HTML table."""
        return ResultTable(Score, tuple(displayed(self)))._repr_html_()


def read_scores(content: Mapping[str, Any]) -> Scores:
    """Build scores from the content of `scores.json`."""
    records = [
        score
        for metric in METRICS
        for score in _of_metric(metric, content["results"].get(metric), content["problems"].get(metric))
    ]
    return Scores(content, ResultTable(Score, tuple(records)))


def read_saved_scores(content: Mapping[str, Any]) -> Scores:
    """Build scores from a file that others may have written. Raises ReleaseError if a value has another type."""
    try:
        scores = read_scores(content)
        as_records(Score, scores.table.to_dicts())
        as_records(SliceScore, scores.slices.to_dicts())
        as_records(AttributeTrace, scores.personas.to_dicts())
        validated(dict[str, dict[str, Any]], content["results"])
        validated(MeasuredFacts | None, content.get(SAMPLE))
        validated(tuple[str | None, str, dict[str, str]], [content["command"], content["reference"]["name"],
                                                          content["problems"]])  # fmt: skip
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ReleaseError(f"scores.json is malformed ({error!r:.160}); run `evaluate` again") from None
    return scores


def _of_metric(metric: str, result: Mapping[str, Any] | None, problem: str | None) -> Iterator[Score]:
    if result is None:
        if problem is not None:
            yield from (Score(metric, name, None, None, reason=problem, better=end) for name, end in DISPLAYED[metric])
        return
    for key, value in result.items():
        if isinstance(value, Mapping) and key.endswith(BY_LABEL):
            yield from _per_label(metric, key.removesuffix(BY_LABEL), value, result)
        elif _is_measure(key, value, result):
            yield _overall(metric, key, value, result)


def _overall(metric: str, key: str, value: float | None, result: Mapping[str, Any]) -> Score:
    low, high = result.get(f"{key}_ci") or (None, None)
    is_style = f"{key.removesuffix('_difference')}_in_null" in result
    size = "n" if is_style else next((name for name in ("sample_size", "n_train") if name in result), "n")
    reason = result.get("style_reason") if is_style else _doubt(result)
    better, in_null = dict(DISPLAYED[metric]).get(key), result.get(f"{key}_in_null")
    return Score(metric, key, None, value, low, high, _floor(key, result), result.get(size), reason, better, in_null)


def _per_label(metric: str, key: str, values: Mapping[str, Any], result: Mapping[str, Any]) -> Iterator[Score]:
    """Yield the scores of a measure by label; intervals, nulls and verdicts of other measures are no measures."""
    if not _is_measure(key, None, result):
        return
    better = dict(DISPLAYED[metric]).get(key)
    beside = {name: result.get(f"{key}_{name}{BY_LABEL}", {}) for name in ("ci", "null", "in_null")}
    is_style = f"{key.removesuffix('_difference')}_in_null" in result
    size = None if is_style else result.get("sample_size_by_label")
    for label, value in values.items():
        low, high = beside["ci"].get(label) or (None, None)
        floor, in_null = beside["null"].get(label), beside["in_null"].get(label)
        yield Score(metric, key, label, value, low, high, floor, size, _doubt(result), better, in_null)


def _is_measure(key: str, value: object, result: Mapping[str, Any]) -> bool:
    """Return whether a key holds a measure: a number that is not the interval or the floor of another one."""
    if (
        key in NO_MEASURES
        or key.endswith(("_in_null", "_reason"))
        or isinstance(value, bool)
        or not (value is None or isinstance(value, int | float))
    ):
        return False
    base, _, ending = key.rpartition("_")
    return base not in result or ending not in ("ci", *FLOOR_ENDINGS)


def _floor(key: str, result: Mapping[str, Any]) -> float | None:
    names = [FLOOR_KEYS.get(key, ""), *(f"{key}_{ending}" for ending in FLOOR_ENDINGS)]
    floor: float | None = next((result[name] for name in names if name in result), None)
    return floor


def _doubt(result: Mapping[str, Any]) -> str | None:
    return None if result.get("judge_validated", True) else str(result["judge_validation"])


def displayed(scores: Scores) -> Iterator[Score]:
    """Yield the measures that the terminal and the card display, in order; one without a value is left out."""
    by_measure = {(score.metric, score.measure): score for score in scores.table if score.label is None}
    for metric, measures in DISPLAYED.items():
        for measure, _ in measures:
            score = by_measure.get((metric, measure))
            if score is not None and score.value is not None:
                yield score


def card_rows(scores: Scores) -> list[dict[str, Any]]:
    """Return the rows of the card's table: metric and measure, value, and the command that measured it."""
    return [
        {
            "metric": f"{score.metric}: {score.measure}",
            "value": score_text(score) + ("; not validated" if score.reason else ""),
            "command": scores.content["command"] or "",
        }
        for score in displayed(scores)
    ] + [
        {"metric": metric, "value": value, "command": scores.content["command"] or ""}
        for metric, value in slice_rows(scores.slices)
    ]


def score_text(score: Score) -> str:
    """Format a score with its interval and the value of real text."""
    more = [f"95 %: {format_number(score.low)} to {format_number(score.high)}"] if _has_interval(score) else []
    more += [f"real: {format_number(score.floor)}"] if score.floor is not None else []
    more += ["outside the null"] if score.in_null is False else []
    return format_number(score.value) + (f" ({'; '.join(more)})" if more else "")


def _has_interval(score: Score) -> bool:
    return score.low is not None and score.high is not None


def format_number(value: float | None) -> str:
    """Format a number with three significant digits; None: empty."""
    if value is None:
        return ""
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def score_lines(scores: Scores) -> Iterator[str]:
    """Yield the displayed measures as lines in columns, then the metrics that could not be measured.

    A release that teaches less than plain sentences has a line above all others, and so has a sample of a release.
    """
    if sentence := sample_sentence(scores.content):
        yield f"{sentence}\n"
    below = below_floor(scores.slices)
    if below:
        yield f"These texts teach a classifier less than three plain sentences per label: {'; '.join(below)}\n"
    records = list(displayed(scores))
    rows = [("", "here", "95 %", "real text", "better"), *map(_cells, records)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    yield _line(rows[0], widths)
    metric = None
    for score, row in zip(records, rows[1:], strict=True):
        if score.metric != metric:
            metric = score.metric
            yield f"\n{metric.replace('_', '-')}"
            if score.reason:
                yield f"  not validated: {score.reason}"
        yield _line(row, widths)
    for name, problem in scores.content["problems"].items():
        yield f"\n{name.replace('_', '-')}: not measured: {problem}"
    yield from ["", *slice_lines(scores.slices)] if scores.slices else []
    yield from ["", *trace_lines(scores.personas)] if scores.personas else []
    if scores.content.get("predictions"):
        yield f"\n{scores.content['predictions']}"


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    numbers = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
    return "  ".join([row[0].ljust(widths[0]), *numbers]).rstrip()


def _cells(score: Score) -> tuple[str, str, str, str, str]:
    interval = f"{format_number(score.low)} to {format_number(score.high)}" if _has_interval(score) else ""
    return (
        f"  {score.measure}",
        format_number(score.value),
        interval,
        format_number(score.floor),
        (score.better or "") + (", outside the null" if score.in_null is False else ""),
    )
