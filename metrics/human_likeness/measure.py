"""Human-likeness by judges, always beside real texts and controls that were judged blind in the same batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.human_likeness.agreement import (
    gwet_ac2,
    krippendorff_alpha,
    resampled,
    weighted_kappa,
)
from personagen.metrics.human_likeness.controls import controls
from personagen.metrics.human_likeness.dimensions import DIMENSIONS, PROMPT_VERSION, Dimension
from personagen.metrics.human_likeness.judge import Judge, question, rate
from personagen.metrics.statistics.intervals import interval
from personagen.metrics.statistics.matching import same_lengths
from personagen.metrics.texts.words import count_words

SAMPLE = 100
"""Texts of each side that are judged where nothing is said: each costs a call a dimension and judge."""

SMALL_SAMPLE = 10
"""The same where the embedded model alone judges, which takes a second or two an answer."""

AGREED = 0.4
"""Krippendorff's alpha below which ratings are not taken for measurements."""

TOLD_APART = 0.7
"""Chance that a real text is rated above a control, below which a judge is not believed."""

MASS = 0.5
"""Share of a judge's probability that has to fall to ratings."""

Scores = NDArray[np.float64]
"""Ratings, NaN where there is none."""


@dataclass(frozen=True, slots=True)
class Item:
    """A text to be judged: of which kind, the text, and the persona behind it as a line of text."""

    kind: str
    text: str
    persona: str | None


def human_likeness(
    texts: Sequence[str],
    real: Sequence[str],
    judges: Sequence[Judge],
    *,
    personas: Sequence[Mapping[str, str]] | None = None,
    seed: int = 0,
    sample_size: int | None = None,
) -> dict[str, Any]:
    """Have texts judged, with real texts and controls among them that the judge is not told of.

    Args:
        texts: the texts.
        real: real texts.
        judges: one or more; with one, nobody knows whether another would agree.
        personas: attributes of the persona behind each text, for the dimension `persona_fit`; None leaves it out.
        seed: of draws and questions.
        sample_size: texts of each side that are judged; None for 100, or 10 where the embedded model judges alone, or
            as many as there are.

    Returns:
        A flat dictionary, described in the card of the metric; None stands where there is no number.

    Raises:
        ValueError: there is no judge, or `sample_size` is larger than a side.

    """
    if not judges:
        raise ValueError("judge is empty, wanted one judge or more")
    count = _size(min(len(texts), len(real)), judges, sample_size)
    items = _items(texts, real, personas, count, seed)
    asked = [dimension for dimension in DIMENSIONS if personas is not None or not dimension.needs_persona]
    ratings, masses = zip(*(_judged(judge, items, asked, seed) for judge in judges), strict=True)
    scores, mass = np.stack(ratings), np.stack(masses)  # (judges, items, dimensions)
    common = [place for place, dimension in enumerate(asked) if not dimension.needs_persona]
    by_item = _mean(_mean(scores[:, :, common], 2), 0)
    result: dict[str, Any] = {"n": len(texts), "sample_size": count, **_likeness(items, by_item, seed)}
    result |= _by_dimension(items, scores, asked)
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


def _size(smallest: int, judges: Sequence[Judge], wanted: int | None) -> int:
    if wanted is None:
        return min(smallest, SMALL_SAMPLE if all(judge.name == "embedded" for judge in judges) else SAMPLE)
    if wanted > smallest:
        raise ValueError(f"sample_size is {wanted}, wanted {smallest} or less: the smaller side has no more texts")
    return wanted


def _items(
    texts: Sequence[str], real: Sequence[str], personas: Sequence[Mapping[str, str]] | None, count: int, seed: int
) -> list[Item]:
    """Draw texts and real texts, make controls, and mix all: a judge must not tell them by their place."""
    generator = np.random.default_rng([seed, 16])
    rows = np.sort(generator.choice(len(texts), size=count, replace=False))
    told = [
        ", ".join(f"{name}: {value}" for name, value in personas[row].items()) if personas else None for row in rows
    ]
    chosen = [real[row] for row in np.sort(generator.choice(len(real), size=count, replace=False))]
    items = [Item("synthetic", texts[row], persona) for row, persona in zip(rows, told, strict=True)]
    items += [Item("real", text, None) for text in chosen]
    for kind, made in controls(chosen, max(count // 3, min(count, 5)), seed).items():
        items += [Item(kind, text, None) for text in made]
    return [items[place] for place in generator.permutation(len(items))]


def _judged(judge: Judge, items: Sequence[Item], asked: Sequence[Dimension], seed: int) -> tuple[Scores, Scores]:
    """Ask a judge everything: ratings and captured mass, shape (items, dimensions)."""
    places = [
        (row, column)
        for row, item in enumerate(items)
        for column, dimension in enumerate(asked)
        if item.persona is not None or not dimension.needs_persona
    ]
    questions = [
        question(items[row].text, asked[column], seed, items[row].persona if asked[column].needs_persona else None)
        for row, column in places
    ]
    answers = judge(questions)
    if len(answers) != len(questions):
        raise ValueError(
            f"judge {judge.name} gave {len(answers)} answers to {len(questions)} questions, wanted as many"
        )
    scores, mass = np.full((len(items), len(asked)), np.nan), np.zeros((len(items), len(asked)))
    for place, answer in zip(places, answers, strict=True):
        rating = rate(answer)
        scores[place] = np.nan if rating.score is None else rating.score
        mass[place] = rating.mass
    reached = np.zeros_like(mass, dtype=bool)
    reached[tuple(np.array(places).T)] = True
    return scores, np.where(reached, mass, np.nan)


def _likeness(items: Sequence[Item], by_item: Scores, seed: int) -> dict[str, Any]:
    """Set the texts beside real ones, and the real ones beside the controls."""
    kinds = np.array([item.kind for item in items])
    groups = {kind: by_item[(kinds == kind) & ~np.isnan(by_item)] for kind in sorted(set(kinds))}
    made, real = groups["synthetic"], groups["real"]
    (value, error), (usual, usual_error) = _level(made), _level(real)
    gap = None if value is None or usual is None else value - usual
    auc, low_high = _auc(made, real, seed)
    found: dict[str, Any] = {
        "human_likeness": value,
        "human_likeness_ci": interval(value, error),
        "human_likeness_real": usual,
        "human_likeness_gap": gap,
        "human_likeness_gap_ci": interval(gap, None if gap is None else float(np.hypot(error or 0, usual_error or 0))),
        "human_likeness_auc": auc,
        "human_likeness_auc_ci": low_high,
    }
    for kind in ("shuffled", "template", "truncated"):
        found[f"control_{kind}"] = _level(groups[kind])[0]
        found[f"control_{kind}_auc"] = _auc(real, groups[kind], seed)[0]
    return found


def _level(scores: Scores) -> tuple[float | None, float | None]:
    """Give the mean and its standard error."""
    if len(scores) < 2:
        return (float(scores[0]) if len(scores) else None), None
    return float(scores.mean()), float(scores.std(ddof=1) / len(scores) ** 0.5)


def _auc(one: Scores, other: Scores, seed: int) -> tuple[float | None, list[float] | None]:
    """Give the chance that one of the first is rated above one of the second, ties being half, with its interval."""
    if not len(one) or not len(other):
        return None, None
    above = (np.sign(np.subtract.outer(one, other)) + 1) / 2
    generator = np.random.default_rng([seed, 17])
    draws = [
        above[generator.integers(len(one), size=len(one))][:, generator.integers(len(other), size=len(other))].mean()
        for _ in range(500)
    ]
    return float(above.mean()), [float(value) for value in np.percentile(draws, [2.5, 97.5])]


def _by_dimension(items: Sequence[Item], scores: Scores, asked: Sequence[Dimension]) -> dict[str, Any]:
    kinds = np.array([item.kind for item in items])
    found: dict[str, Any] = {}
    for column, dimension in enumerate(asked):
        by_item = _mean(scores[:, :, column], 0)
        for kind, ending in (("synthetic", ""), ("real", "_real")):
            taken = by_item[(kinds == kind) & ~np.isnan(by_item)]
            found[f"{dimension.name}{ending}"] = _level(taken)[0]
    return found


def _by_length(items: Sequence[Item], by_item: Scores, seed: int) -> dict[str, Any]:
    """Tell how ratings rise with length, and the gap between texts and real texts of the same lengths."""
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
    """Compare judges, item by item and dimension by dimension; all None for a single one."""
    by_text = np.round(scores).transpose(1, 2, 0)
    ratings = by_text.reshape(-1, len(scores))
    several = len(scores) > 1
    return {
        "judge_kappa": weighted_kappa(ratings) if len(scores) == 2 else None,
        "judge_alpha": krippendorff_alpha(ratings) if several else None,
        "judge_alpha_ci": resampled(krippendorff_alpha, by_text, seed) if several else None,
        "judge_ac2": gwet_ac2(ratings) if several else None,
    }


def _validation(result: Mapping[str, Any], judges: int) -> dict[str, Any]:
    """Tell whether the ratings can be taken for measurements, and what speaks against it."""
    doubts = []
    if judges < 2:
        doubts.append("one judge alone")
    elif result["judge_alpha"] is None or result["judge_alpha"] < AGREED:
        doubts.append("judges do not agree")
    for kind in ("shuffled", "template", "truncated"):
        auc = result[f"control_{kind}_auc"]
        if auc is None or auc < TOLD_APART:
            doubts.append(f"{kind} controls are not rated below real texts")
    if result["judge_captured_mass"] < MASS:
        doubts.append("most of what judges say is no rating")
    return {"judge_validated": not doubts, "judge_validation": "; ".join(doubts) or None}


def _mean(scores: Scores, axis: int) -> Scores:
    """Give the mean of what is there, NaN where nothing is."""
    there = ~np.isnan(scores)
    count = there.sum(axis=axis)
    total = np.where(there, scores, 0).sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
