"""Human-likeness by judges, with real texts and controls rated blind in the same batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.human_likeness.agreement import (
    agreement_interval,
    gwet_ac2,
    krippendorff_alpha,
    weighted_kappa,
)
from personagen.metrics.human_likeness.controls import controls
from personagen.metrics.human_likeness.dimensions import DIMENSIONS, PROMPT_VERSION, Dimension
from personagen.metrics.human_likeness.judge import Judge, question, rate, to_judges
from personagen.metrics.statistics.intervals import interval, welch_freedom
from personagen.metrics.statistics.matching import same_lengths
from personagen.metrics.texts.inputs import validate_texts
from personagen.metrics.texts.words import count_words

SAMPLE_TEXTS = 100
"""Default number of texts rated per side; each costs one call per dimension and judge."""

EMBEDDED_SAMPLE_TEXTS = 10
"""The same if the embedded model is the only judge: it takes a second or two per answer."""

MIN_ALPHA = 0.4
"""Krippendorff's alpha below which ratings are not valid."""

MIN_CONTROL_AUC = 0.7
"""Fraction of pairs in which a real text is rated above a control, below which ratings are not valid."""

MIN_MASS = 0.5
"""Fraction of a judge's probability on ratings, below which ratings are not valid."""

RATINGS = (1.0, 5.0)
"""Range of a mean rating."""

GAPS = (-4.0, 4.0)
"""Range of a difference of two."""

MIN_AUC_TEXTS = 5
"""Rated texts per side that the interval of an AUC needs: with three it covered 90 % of truths."""

Scores = NDArray[np.float64]
"""Ratings; NaN: none."""


@dataclass(frozen=True, slots=True)
class Item:
    """A text to be rated: its kind, the text, and its persona as one line."""

    kind: str
    text: str
    persona: str | None


def human_likeness(
    texts: Sequence[str],
    real: Sequence[str],
    judges: str | Judge | Sequence[str | Judge],
    *,
    personas: Sequence[Mapping[str, str]] | None = None,
    seed: int = 0,
    sample_size: int | None = None,
) -> dict[str, Any]:
    """Measure how human texts appear to judges, who do not know which texts are real or controls.

    Args:
        texts: texts.
        real: real texts.
        judges: one or more, or their names, such as "openai:MODEL"; agreement needs two.
        personas: attributes of the persona of each text, for the dimension `persona_fit`; None: not rated.
        seed: seed of draws and questions.
        sample_size: texts rated per side. None: 100, or 10 if the embedded model is the only judge, or fewer for
            smaller sides.

    Returns:
        A flat dictionary, described in the card of the metric; None marks a value that is not defined.

    Raises:
        ValueError: there is no judge, or `sample_size` is larger than a side.

    """
    texts, real, judges = validate_texts(texts), validate_texts(real, "reference_data"), to_judges(judges)
    if not judges:
        raise ValueError("judge is empty, wanted one judge or more")
    count = _sample_size(min(len(texts), len(real)), judges, sample_size)
    items = _items(texts, real, personas, count, seed)
    dimensions = [dimension for dimension in DIMENSIONS if personas is not None or not dimension.needs_persona]
    ratings, masses = zip(*(_ratings(judge, items, dimensions, seed) for judge in judges), strict=True)
    scores, mass = np.stack(ratings), np.stack(masses)  # (judges, items, dimensions)
    common = [column for column, dimension in enumerate(dimensions) if not dimension.needs_persona]
    by_item = _nan_mean(_nan_mean(scores[:, :, common], 2), 0)
    result: dict[str, Any] = {"n": len(texts), "sample_size": count, **_likeness(items, by_item)}
    result |= _by_dimension(items, scores, dimensions)
    result |= _by_length(items, by_item, seed)
    result |= _agreement(scores[:, :, common], seed)
    result |= {
        "judge_captured_mass": float(np.nanmean(mass)),
        "judge_failures": float(np.isnan(scores[:, :, common]).mean()),
        "judge_models": ", ".join(judge.name for judge in judges),
        "judge_prompt": PROMPT_VERSION,
        "seed": seed,
    }
    return result | _validation(result, len(judges))


def _sample_size(smallest: int, judges: Sequence[Judge], wanted: int | None) -> int:
    if wanted is None:
        embedded = all(judge.name == "embedded" for judge in judges)
        return min(smallest, EMBEDDED_SAMPLE_TEXTS if embedded else SAMPLE_TEXTS)
    if wanted > smallest:
        raise ValueError(f"sample_size is {wanted}, wanted {smallest} or less: the smaller side has no more texts")
    return wanted


def _items(
    texts: Sequence[str], real: Sequence[str], personas: Sequence[Mapping[str, str]] | None, count: int, seed: int
) -> list[Item]:
    """Draw texts and real texts, build controls, and shuffle all, so that their order reveals nothing."""
    generator = np.random.default_rng([seed, 16])
    rows = np.sort(generator.choice(len(texts), size=count, replace=False))
    lines = [
        ", ".join(f"{name}: {value}" for name, value in personas[row].items()) if personas else None for row in rows
    ]
    chosen = [real[row] for row in np.sort(generator.choice(len(real), size=count, replace=False))]
    items = [Item("synthetic", texts[row], persona) for row, persona in zip(rows, lines, strict=True)]
    items += [Item("real", text, None) for text in chosen]
    for kind, control_texts in controls(chosen, max(count // 3, min(count, 5)), seed).items():
        items += [Item(kind, text, None) for text in control_texts]
    return [items[index] for index in generator.permutation(len(items))]


def _ratings(judge: Judge, items: Sequence[Item], dimensions: Sequence[Dimension], seed: int) -> tuple[Scores, Scores]:
    """Ask a judge all questions; return ratings and captured mass, shape (items, dimensions)."""
    cells = [
        (row, column)
        for row, item in enumerate(items)
        for column, dimension in enumerate(dimensions)
        if item.persona is not None or not dimension.needs_persona
    ]
    questions = [
        question(
            items[row].text,
            dimensions[column],
            seed,
            items[row].persona if dimensions[column].needs_persona else None,
        )
        for row, column in cells
    ]
    answers = judge(questions)
    if len(answers) != len(questions):
        raise ValueError(
            f"judge {judge.name} gave {len(answers)} answers to {len(questions)} questions, wanted as many"
        )
    scores, mass = np.full((len(items), len(dimensions)), np.nan), np.full((len(items), len(dimensions)), np.nan)
    for cell, answer in zip(cells, answers, strict=True):
        rating = rate(answer)
        scores[cell] = np.nan if rating.score is None else rating.score
        mass[cell] = rating.mass
    return scores, mass


def _likeness(items: Sequence[Item], by_item: Scores) -> dict[str, Any]:
    """Compare the texts with real ones, and the real ones with the controls."""
    kinds = np.array([item.kind for item in items])
    groups = {kind: by_item[(kinds == kind) & ~np.isnan(by_item)] for kind in sorted(set(kinds))}
    synthetic, real = groups["synthetic"], groups["real"]
    (value, error), (real_value, real_error) = _mean_and_error(synthetic), _mean_and_error(real)
    gap = None if value is None or real_value is None else value - real_value
    sides = [np.square(side or 0.0) for side in (error, real_error)]
    freedom = welch_freedom(sides, [len(synthetic), len(real)])
    auc, auc_interval = _auc(synthetic, real)
    figures: dict[str, Any] = {
        "human_likeness": value,
        "human_likeness_ci": interval(value, error, RATINGS, len(synthetic) - 1),
        "human_likeness_real": real_value,
        "human_likeness_gap": gap,
        "human_likeness_gap_ci": interval(gap, None if freedom is None else float(sum(sides)) ** 0.5, GAPS, freedom),
        "human_likeness_auc": auc,
        "human_likeness_auc_ci": auc_interval,
    }
    for kind in ("shuffled", "template", "truncated"):
        figures[f"control_{kind}"] = _mean_and_error(groups[kind])[0]
        figures[f"control_{kind}_auc"] = _auc(real, groups[kind])[0]
    return figures


def _mean_and_error(scores: Scores) -> tuple[float | None, float | None]:
    """Return the mean and its standard error; None: fewer than two ratings, or all are equal."""
    if not len(scores):
        return None, None
    error = float(scores.std(ddof=1) / len(scores) ** 0.5) if len(scores) > 1 else 0.0
    return float(scores.mean()), error or None


def _auc(one: Scores, other: Scores) -> tuple[float | None, list[float] | None]:
    """Return the fraction of pairs in which `one` is rated above `other`, a tie as half, and its 95 % interval.

    The interval holds the areas from which this one is not too far by their own variance (Newcombe, 2006, method 5,
    with a t quantile), which suits small sides and areas near 0 or 1. None for fewer than five texts per side.
    """
    if not len(one) or not len(other):
        return None, None
    area = float(((np.sign(np.subtract.outer(one, other)) + 1) / 2).mean())
    if min(len(one), len(other)) < MIN_AUC_TEXTS:
        return area, None
    return area, _area_interval(area, len(one), len(other))


def _area_interval(area: float, one: int, other: int) -> list[float]:
    from scipy.stats import t

    areas = np.linspace(0, 1, 2001)
    inner = 1 + ((one + other) / 2 - 1) * ((1 - areas) / (2 - areas) + areas / (1 + areas))
    error = np.sqrt(areas * (1 - areas) * inner / (one * other))
    near = areas[np.abs(areas - area) <= float(t.ppf(0.975, one + other - 2)) * error + 1e-9]
    return [min(float(near[0]), area), max(float(near[-1]), area)] if len(near) else [area, area]


def _by_dimension(items: Sequence[Item], scores: Scores, dimensions: Sequence[Dimension]) -> dict[str, Any]:
    kinds = np.array([item.kind for item in items])
    figures: dict[str, Any] = {}
    for column, dimension in enumerate(dimensions):
        by_item = _nan_mean(scores[:, :, column], 0)
        for kind, ending in (("synthetic", ""), ("real", "_real")):
            rated = by_item[(kinds == kind) & ~np.isnan(by_item)]
            figures[f"{dimension.name}{ending}"] = _mean_and_error(rated)[0]
    return figures


def _by_length(items: Sequence[Item], by_item: Scores, seed: int) -> dict[str, Any]:
    """Compute the slope of ratings over log2 length, and the gap between texts and real texts of equal lengths."""
    kinds = np.array([item.kind for item in items])
    words = np.array([count_words(item.text) for item in items])
    sides = [np.flatnonzero((kinds == kind) & ~np.isnan(by_item)) for kind in ("synthetic", "real")]
    both = np.concatenate(sides)
    slope = gap = None
    if len(both) > 2:
        lengths = np.log2(1 + words[both])
        centred = [by_item[side] - by_item[side].mean() for side in sides if len(side)]
        spread = lengths - np.repeat(
            [lengths[: len(sides[0])].mean(), lengths[len(sides[0]) :].mean()], [*map(len, sides)]
        )
        slope = float(spread @ np.concatenate(centred) / (spread @ spread)) if spread.any() else None
    if all(len(side) for side in sides):
        rows, others = same_lengths(words[sides[0]].tolist(), words[sides[1]].tolist(), seed)
        if len(rows):
            gap = float(by_item[sides[0]][rows].mean() - by_item[sides[1]][others].mean())
    return {"length_slope": slope, "human_likeness_gap_length_matched": gap}


def _agreement(scores: Scores, seed: int) -> dict[str, Any]:
    """Compute the agreement of judges over items and dimensions; all None for one judge."""
    by_text = np.round(scores).transpose(1, 2, 0)
    ratings = by_text.reshape(-1, len(scores))
    several = len(scores) > 1
    return {
        "judge_kappa": weighted_kappa(ratings) if len(scores) == 2 else None,
        "judge_alpha": krippendorff_alpha(ratings) if several else None,
        "judge_alpha_ci": agreement_interval(krippendorff_alpha, by_text) if several else None,
        "judge_ac2": gwet_ac2(ratings) if several else None,
    }


def _validation(result: Mapping[str, Any], judges: int) -> dict[str, Any]:
    """Report whether the ratings are valid, and the reasons if not."""
    reasons = []
    if judges < 2:
        reasons.append("one judge alone")
    elif result["judge_alpha"] is None or result["judge_alpha"] < MIN_ALPHA:
        reasons.append("judges do not agree")
    for kind in ("shuffled", "template", "truncated"):
        auc = result[f"control_{kind}_auc"]
        if auc is None or auc < MIN_CONTROL_AUC:
            reasons.append(f"{kind} controls are not rated below real texts")
    if result["judge_captured_mass"] < MIN_MASS:
        reasons.append("most of what judges say is no rating")
    return {"judge_validated": not reasons, "judge_validation": "; ".join(reasons) or None}


def _nan_mean(scores: Scores, axis: int) -> Scores:
    """Return the mean without NaN; NaN if nothing else is there."""
    rated = ~np.isnan(scores)
    count = rated.sum(axis=axis)
    total = np.where(rated, scores, 0).sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
