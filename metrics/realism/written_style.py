"""How texts are written, beside real ones: openness, valence, length and roughness, over all texts and per label.

Every figure is a ratio of two means over texts, such as swear words over words. Its standard error follows from the
deviations of the texts (delta method), so no draws are needed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.realism.labels import common_labels
from personagen.metrics.statistics.intervals import Z95, Rows, bounded_interval, interval
from personagen.metrics.style.features import style_features
from personagen.metrics.style.valence import polarity
from personagen.metrics.texts.inputs import rows_by_label
from personagen.metrics.texts.language import is_mostly_in_other_language

FIGURES: Mapping[str, tuple[str, str, float]] = {
    "named_share": ("named", "texts", 1),
    "voiced_share": ("voiced", "texts", 1),
    "shown_share": ("shown", "texts", 1),
    "valenced_per_100": ("valenced", "texts", 100),
    "polarity": ("polarity", "texts", 1),
    "words_per_text": ("words", "texts", 1),
    "lowercase_share": ("lowercase", "texts", 1),
    "unpunctuated_share": ("unpunctuated", "texts", 1),
    "fragment_share": ("fragments", "sentences", 1),
    "misspelt_per_100": ("misspelt", "words", 100),
    "exclamations_per_100": ("exclamations", "words", 100),
    "questions_per_100": ("questions", "words", 100),
    "contractions_per_100": ("contractions", "words", 100),
    "shouted_per_100": ("shouted", "words", 100),
    "emoji_per_100": ("emoji", "words", 100),
    "laughter_per_100": ("laughter", "words", 100),
    "profanity_per_100": ("profanity", "words", 100),
}
"""Figures by key: feature, what it is divided by, and the factor. `valenced` is the fraction of a text's words."""

COUNTS = tuple(dict.fromkeys(name for feature, base, _ in FIGURES.values() for name in (feature, base)))
"""Features of a text, in the order of their columns."""

BY_LABEL = {
    "value": "",
    "null": "_null",
    "difference": "_difference",
    "difference_ci": "_difference_ci",
    "in_null": "_in_null",
}
"""Values that are given per label, with the endings of their keys."""

MIN_NULL_TEXTS = 10
"""Real texts that a null needs."""

RARE_ERROR = -np.log(0.025) / Z95
"""Standard error of a count of 0 whose interval ends at the upper 97.5 % limit of a Poisson rate, 3.7."""

Table = NDArray[np.float64]
"""Features of texts, shape (n, features)."""


def written_style(
    texts: Sequence[str], labels: Sequence[str] | None, real: Sequence[str], real_labels: Sequence[str] | None
) -> dict[str, Any]:
    """Compare how texts are written with how real ones are.

    With labels on both sides, only texts of labels with 20 texts or more per side count, and real texts are weighted so
    that each label has its fraction among the texts. Without such a label all texts count.

    Args:
        texts: texts.
        labels: one per text; None: no labels.
        real: real texts.
        real_labels: one per text; None: no labels.

    Returns:
        Per figure x: `x`; `x_null`, the value of the real texts; `x_difference`, the first minus the second; `x_ci` and
        `x_difference_ci`; `x_null_ci`, which holds 95 % of the values of as many real texts; `x_in_null`, whether it
        holds `x`. All but the intervals of both values are given per label too. All None: `style_reason` says why.

    """
    foreign = "texts" if is_mostly_in_other_language(texts, "en") else None
    foreign = foreign or ("references" if is_mostly_in_other_language(real, "en") else None)
    if foreign:
        return {**_undefined(), "style_reason": f"the {foreign} are mostly not in English: the word lists are"}
    labelled = labels is not None and real_labels is not None
    one = _table(texts, labels if labelled else None)
    other = _table(real, real_labels if labelled else None)
    strata: dict[str, tuple[Rows, Rows]] = {}
    if labels is not None and real_labels is not None:
        rows, real_rows = rows_by_label(labels), rows_by_label(real_labels)
        strata = {label: (rows[label], real_rows[label]) for label in sorted(common_labels(labels, real_labels))}
    whole = list(strata.values()) or [(np.arange(len(texts)), np.arange(len(real)))]
    by_label = {label: _compare(one, other, [rows]) for label, rows in strata.items()}
    result: dict[str, Any] = {}
    for name, figures in _compare(one, other, whole).items():
        result[name] = figures.pop("value")
        result |= {f"{name}_{key}": value for key, value in figures.items()}
        parts = {label: compared[name] for label, compared in by_label.items()}
        for key, ending in BY_LABEL.items():
            result[f"{name}{ending}_by_label"] = {label: part[key] for label, part in parts.items()}
    return {**result, "style_reason": None}


def _undefined() -> dict[str, Any]:
    endings = ("", "_ci", "_null", "_difference", "_difference_ci", "_null_ci", "_in_null")
    result: dict[str, Any] = {}
    for name in FIGURES:
        result |= dict.fromkeys((f"{name}{ending}" for ending in endings), None)
        result |= {f"{name}{ending}_by_label": {} for ending in BY_LABEL.values()}
    return result


def _table(texts: Sequence[str], labels: Sequence[str] | None) -> Table:
    """Compute the features of texts, shape (n, features)."""
    rows = []
    for number, text in enumerate(texts):
        features = style_features(text, None if labels is None else labels[number])
        values = {
            "texts": 1,
            features.expression: 1,
            "valenced": (features.positive + features.negative) / max(features.words, 1),
            "polarity": polarity(text),
        }
        rows.append([float(values[name] if name in values else getattr(features, name, 0)) for name in COUNTS])
    return np.array(rows)


def _compare(one: Table, other: Table, strata: Sequence[tuple[Rows, Rows]]) -> dict[str, dict[str, Any]]:
    """Compare all figures over strata, in which real texts get the weights of the texts."""
    weights = np.array([len(rows) for rows, _ in strata], dtype=np.float64)
    weights /= weights.sum()
    columns = {name: position for position, name in enumerate(COUNTS)}
    compared = {}
    for name, (feature, base, factor) in FIGURES.items():
        pairs = [table[:, [columns[feature], columns[base]]] * (factor, 1) for table in (one, other)]
        value, variances = _ratio([pairs[0][rows] for rows, _ in strata], weights)
        real, real_variances = _ratio([pairs[1][rows] for _, rows in strata], weights)
        sizes = np.array([[len(rows), len(real_rows)] for rows, real_rows in strata], dtype=np.float64)
        squares = np.square(weights)
        error = float((squares * variances / sizes[:, 0]).sum()) ** 0.5
        real_error = float((squares * real_variances / sizes[:, 1]).sum()) ** 0.5
        null_error = float((squares * real_variances * (1 / sizes).sum(axis=1)).sum()) ** 0.5
        # Of the strata, that in which one more text of a feature would count most.
        steps = [factor * float((weights / sizes[:, side]).max()) for side in (0, 1)]
        bottoms = [float(weights @ [pair[rows[side], 1].mean() for rows in strata]) for side, pair in enumerate(pairs)]
        freedoms = [max(float(count) - len(strata), 1) for count in sizes.sum(axis=0)]
        if _is_without_variance(name, value, error):
            error, freedoms[0] = RARE_ERROR * steps[0] / bottoms[0], np.inf
        if _is_without_variance(name, real, real_error):
            real_error, freedoms[1] = RARE_ERROR * steps[1] / bottoms[1], np.inf
            null_error = real_error + RARE_ERROR * steps[0] / bottoms[0] if bottoms[0] else np.nan
        if sizes[:, 1].sum() < MIN_NULL_TEXTS:
            null_error = np.nan
        compared[name] = _figures(name, value, real, (error, real_error, null_error), freedoms)
    return compared


def _is_without_variance(name: str, value: float, error: float) -> bool:
    """Return whether no text has a feature, or all have it: a few more texts would have shown a variance."""
    return error == 0 and (value == 0 or (value == 1 and name.endswith("_share")))


def _ratio(parts: Sequence[Table], weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """Return a ratio of weighted means, and the variance of a text's influence on it in each stratum.

    NaN: not defined, or one text only.
    """
    means = np.array([part.mean(axis=0) for part in parts])
    top, bottom = weights @ means
    if bottom == 0:
        return np.nan, np.full(len(parts), np.nan)
    ratio = float(top / bottom)
    influences = [(part[:, 0] - ratio * part[:, 1]) / bottom for part in parts]
    variances = [influence.var(ddof=1) if len(influence) > 1 else np.nan for influence in influences]
    return ratio, np.array(variances)


def _figures(
    name: str, value: float, real: float, errors: Sequence[float], freedoms: Sequence[float]
) -> dict[str, Any]:
    """Return the keys of one figure.

    Args:
        name: the figure.
        value: its value of the texts.
        real: its value of real texts.
        errors: standard errors of both values and of a difference under null.
        freedoms: degrees of freedom of the errors of both values.

    """
    low = -1.0 if name == "polarity" else 0.0
    bounds = low, 1.0 if name == "polarity" or name.endswith("_share") else np.inf
    error, real_error, null_error = errors
    null_ci = bounded_interval(_number(real), _number(null_error), bounds, freedoms[1])
    difference = _number(value - real)
    return {
        "value": _number(value),
        "ci": bounded_interval(_number(value), _number(error), bounds, freedoms[0]),
        "null": _number(real),
        "null_ci": null_ci,
        "in_null": None if null_ci is None or np.isnan(value) else bool(null_ci[0] <= value <= null_ci[1]),
        "difference": difference,
        "difference_ci": interval(difference, _number(float(np.hypot(error, real_error)))),
    }


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
