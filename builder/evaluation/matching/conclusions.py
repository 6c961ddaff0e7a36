"""State the results of a match in words: what the texts are worth, and which real texts do better."""

from collections.abc import Iterator, Mapping

from personagen.builder.evaluation.matching.selection import PoolScore, difference, is_better
from personagen.builder.evaluation.matching.yardsticks import (
    FLOOR,
    MAJORITY,
    REAL_ROWS,
    RETRIEVAL,
    SYNTHETIC,
    TrainingScore,
    Worth,
)


def choice_lines(
    best: str, scores: Mapping[str, PoolScore], yardstick: str | None, *, is_labelled: bool
) -> Iterator[str]:
    """Yield why an arm was chosen.

    Args:
        best: the arm of the recipe.
        scores: scores of all arms on the pool.
        yardstick: an arm without a recipe that did better than `best`; None: none did.
        is_labelled: whether the scores are macro-F1.

    """
    others = [name for name in scores if name not in (best, yardstick)]
    measure = "macro-F1" if is_labelled else "MMD²"
    line = f"The best arm is {best} ({measure} {scores[best].value:.3f} on the pool)"
    if others:
        second = others[0]
        for name in others[1:]:
            second = name if is_better(scores[name], scores[second], is_labelled=is_labelled) else second
        gap, interval = difference(scores[best], scores[second])
        clear = interval is not None and (interval[0] > 0 or interval[1] < 0)
        line += f"; {second} differs by {gap:+.3f}{_interval(interval)}{'' if clear else ', which may be chance'}"
    yield f"{line}."
    if yardstick is not None:
        yield (
            f"The arm {yardstick} does better there ({scores[yardstick].value:.3f}), but no recipe can ask for it: its "
            "texts repeat real ones in other words."
        )


def warning_lines(arm: str, scores: Mapping[str, TrainingScore]) -> Iterator[str]:
    """Yield warnings about the best arm: its texts teach less than the floor, or no more than a guess.

    Texts are below the floor if the interval of the difference is, as in `evaluate`.
    """
    own, floor = scores[SYNTHETIC], scores.get(FLOOR)
    if floor is not None and _side(floor) > 0:
        yield (
            f"Warning: the texts of {arm} teach less than {_floor_name(floor)}: macro-F1 {own.value:.3f} against "
            f"{floor.value:.3f} (difference {-floor.difference:+.3f}{_interval(_negated(floor.difference_interval))})."
        )
    if _side(scores[MAJORITY]) >= 0:
        yield f"Warning: the texts of {arm} are not shown to teach more than a guess ({MAJORITY})."


def worth_lines(
    arm: str, scores: Mapping[str, TrainingScore], worth: Worth, missing: Mapping[str, str]
) -> Iterator[str]:
    """Yield what the texts of the best arm are worth, and which yardsticks do better or worse.

    Args:
        arm: name of the best arm.
        scores: scores on the test part by kind of training texts.
        worth: number of real texts.
        missing: reason for each yardstick without a score.

    """
    own = scores[SYNTHETIC]
    yield (
        f"{own.rows} texts of {arm} train a classifier to macro-F1 {own.value:.3f}{_interval(own.interval)} on the "
        f"test part: they are worth {worth.words()}."
    )
    real = [f"real {rows}" for rows in sorted({own.rows, *REAL_ROWS}) if f"real {rows}" in scores]
    better = [_named(name, scores[name]) for name in (*real, RETRIEVAL) if _side(scores[name]) > 0]
    if better:
        yield f"Real texts win: {', '.join(better)}. Label real texts if you can."
    undecided = [_named(name, scores[name]) for name in (*real, RETRIEVAL) if _side(scores[name]) == 0]
    if undecided:
        yield f"No difference from the synthetic texts is shown: {', '.join(undecided)}."
    yield _floor_line(scores, missing)
    base = f"real {REAL_ROWS[0]}"
    both = scores.get(f"{base} + synthetic")
    if both is not None:
        yield (
            f"{REAL_ROWS[0]} real texts with the synthetic ones: {both.value:.3f}{_interval(both.interval)}; the real "
            f"ones alone: {scores[base].value:.3f}."
        )


def _floor_line(scores: Mapping[str, TrainingScore], missing: Mapping[str, str]) -> str:
    guess = f"the {MAJORITY} alone: {scores[MAJORITY].value:.3f}"
    if FLOOR not in scores:
        return f"There is no floor: {missing[FLOOR]}; {guess}."
    floor = scores[FLOOR]
    doubt = "" if _side(floor) else ", which may be chance"
    return f"The floor, {_floor_name(floor)}: {floor.value:.3f} ({_difference(floor)}{doubt}); {guess}."


def _side(score: TrainingScore) -> int:
    """Return 1 if a yardstick is better than the synthetic texts, -1 if it is worse, 0 if neither is shown."""
    low, high = score.difference_interval or (-1.0, 1.0)
    return (low > 0) - (high < 0)


def _named(name: str, score: TrainingScore) -> str:
    label = f"{score.rows} real rows" if name.startswith("real") else f"{name} ({score.rows} real rows)"
    return f"{label} {score.value:.3f} ({_difference(score)})"


def _difference(score: TrainingScore) -> str:
    return f"{score.difference:+.3f}{_interval(score.difference_interval)}"


def _floor_name(floor: TrainingScore) -> str:
    return f"{floor.rows} {FLOOR}"


def _negated(interval: list[float] | None) -> list[float] | None:
    return None if interval is None else [-interval[1], -interval[0]]


def _interval(interval: list[float] | None) -> str:
    return "" if interval is None else f" [{interval[0]:.3f}, {interval[1]:.3f}]"
