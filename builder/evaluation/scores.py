"""Which figures of `scores.json` are shown, and how: a table on the terminal, another in the card."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

SHOWN: Mapping[str, tuple[tuple[str, str], ...]] = {
    "diversity": (
        ("duplicate_share", "lower"),
        ("distinct_2", "higher"),
        ("self_bleu", "lower"),
        ("homogenization_rouge_l", "lower"),
        ("self_repetition", "lower"),
        ("compression_ratio", "lower"),
        ("hdd", "higher"),
        ("vendi_score", "higher"),
        ("rke", "higher"),
        ("mean_cosine", "lower"),
        ("cluster_entropy", "higher"),
        ("between_label_variance", "higher"),
        ("persona_pair_coverage", "higher"),
    ),
    "realism": (
        ("mmd2", "lower"),
        ("frechet_distance", "lower"),
        ("energy_distance", "lower"),
        ("mauve_star", "higher"),
        ("c2st_auc", "0.5"),
        ("c2st_auc_length_matched", "0.5"),
        ("precision", "higher"),
        ("recall", "higher"),
        ("coverage", "higher"),
        ("authenticity", "real"),
        ("novelty", "real"),
        ("copied_share", "lower"),
        ("js_length", "lower"),
        ("js_words", "lower"),
        ("js_label", "lower"),
        ("label_consistency", "higher"),
        ("label_mmd2", "lower"),
    ),
    "human_likeness": (
        ("human_likeness", "higher"),
        ("human_likeness_gap", "0"),
        ("human_likeness_auc", "0.5"),
        ("persona_fit", "higher"),
        ("judge_alpha", "higher"),
    ),
    "utility": (
        ("tstr_macro_f1", "higher"),
        ("trts_macro_f1", "higher"),
        ("tstr_trtr_ratio", "higher"),
    ),
}
"""Keys that are shown, and where a better corpus lies; all others are in `scores.json`."""

BESIDE = ("null", "reference", "real")
"""Endings of the key that says what real text gets, in the order in which they are looked for."""

REAL = {"tstr_macro_f1": "trtr_macro_f1"}
"""The key itself, where it ends otherwise."""


@dataclass(frozen=True, slots=True)
class Score:
    """One figure.

    Attributes:
        metric: the module.
        key: name of the figure there.
        value: the figure.
        interval: 95 % interval; None where there is none.
        real: what real text gets for the same figure, at the same size; None where it is not known.
        better: where a better corpus lies: "higher", "lower", a number, or "real".

    """

    metric: str
    key: str
    value: float
    interval: tuple[float, float] | None
    real: float | None
    better: str


def shown(scores: Mapping[str, Any]) -> Iterator[Score]:
    """Pick the figures of `scores.json` that are shown; one that could not be measured is left out."""
    for metric, keys in SHOWN.items():
        found = scores["results"].get(metric) or {}
        for key, better in keys:
            if found.get(key) is None:
                continue
            low_high = found.get(f"{key}_ci")
            names = [REAL.get(key, ""), *(f"{key}_{end}" for end in BESIDE)]
            beside = (found[name] for name in names if name in found)
            yield Score(metric, key, found[key], tuple(low_high) if low_high else None, next(beside, None), better)


def doubts(scores: Mapping[str, Any]) -> str | None:
    """Tell why the ratings of judges are not to be believed; None where they may be, or where there are none."""
    found = scores["results"].get("human_likeness") or {}
    return None if found.get("judge_validated", True) else str(found["judge_validation"])


def card_rows(scores: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Write the figures as the card shows them: metric, value, and the command that measured it."""
    doubt = doubts(scores)
    return [
        {
            "metric": f"{score.metric}: {score.key}",
            "value": told(score) + ("; not validated" if doubt and score.metric == "human_likeness" else ""),
            "command": scores["command"],
        }
        for score in shown(scores)
    ]


def told(score: Score) -> str:
    """Write a figure with its interval and what real text gets."""
    more = [f"95 %: {number(score.interval[0])} to {number(score.interval[1])}"] if score.interval else []
    more += [f"real: {number(score.real)}"] if score.real is not None else []
    return number(score.value) + (f" ({'; '.join(more)})" if more else "")


def number(value: float) -> str:
    """Write a number with three digits that count."""
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def table(scores: Mapping[str, Any]) -> Iterator[str]:
    """Lay the figures out in columns; what could not be measured is told below."""
    rows = [("", "here", "95 %", "real text", "better"), *map(_cells, shown(scores))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    metric = None
    for score, row in zip((None, *shown(scores)), rows, strict=True):
        if score is not None and score.metric != metric:
            metric = score.metric
            yield f"\n{metric.replace('_', '-')}"
            if metric == "human_likeness" and (doubt := doubts(scores)):
                yield f"  not validated: {doubt}"
        yield "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        ).rstrip()
    for metric, problem in scores["problems"].items():
        yield f"\n{metric.replace('_', '-')}: not measured: {problem}"


def _cells(score: Score) -> tuple[str, str, str, str, str]:
    low_high = f"{number(score.interval[0])} to {number(score.interval[1])}" if score.interval else ""
    real = "" if score.real is None else number(score.real)
    return f"  {score.key}", number(score.value), low_high, real, score.better
