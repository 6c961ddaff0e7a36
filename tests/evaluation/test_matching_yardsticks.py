"""Statistics of `match`: cross-validation, learning curve, worth in real texts; against hand-computed cases and draws.

Vectors are given: no encoder and no model is needed.
"""

from collections.abc import Sequence

import numpy as np
import pytest

from personagen.builder.core.errors import RecipeError
from personagen.builder.evaluation.arms import plan_arms
from personagen.builder.evaluation.matching.candidates import RowFolds
from personagen.builder.evaluation.matching.conclusions import choice_lines, warning_lines, worth_lines
from personagen.builder.evaluation.matching.label_words import label_words
from personagen.builder.evaluation.matching.parts import FOLDS, MatchParts
from personagen.builder.evaluation.matching.selection import ArmTexts, cross_validated, difference, pool_scores
from personagen.builder.evaluation.matching.usable_texts import in_proportion
from personagen.builder.evaluation.matching.yardsticks import (
    SYNTHETIC,
    Worth,
    curve_rows,
    rows_worth,
    score_trained,
    train_all,
)
from personagen.builder.planning.recipe.parsing import parse_recipe
from personagen.metrics.texts.corpus import Corpus
from tests.helpers.real_texts import unit

LABELS = ("anger", "fear", "joy")
SETTING = plan_arms(parse_recipe("", "r", {"rows": 30, "emotions": list(LABELS)}), None)  # type: ignore[arg-type]


def drawn(count: int, seed: int, signal: float = 1.0, prefix: str = "text") -> Corpus:
    """Draw texts whose vectors are noise around a direction per label; `signal` is the length of the direction."""
    generator = np.random.default_rng([seed, 99])
    labels = [LABELS[number % 3] for number in range(count)]
    directions = np.eye(12)[[LABELS.index(label) for label in labels]] * signal
    vectors = unit(generator.normal(size=(count, 12)) * 0.45 + directions)
    return Corpus([f"{prefix} {seed} {number}" for number in range(count)], labels, vectors, "given")


def parts_of(pool: int = 400, test: int = 300, seed: int = 0) -> MatchParts:
    real, held = drawn(pool, seed), drawn(test, 1000 + seed)
    return MatchParts("real", real, held, [row % FOLDS for row in range(pool)], 0)


PLAIN = drawn(9, 77, prefix="plain")
"""Three texts per label, which stand for the plain sentences."""


def arm_of(corpus: Corpus) -> ArmTexts:
    return ArmTexts(corpus, np.arange(len(corpus)) % FOLDS)


@pytest.mark.parametrize(
    ("score", "curve", "rows"),
    [
        (0.5, (0.4, 0.6, 0.8), 100.0),  # half way between 50 and 200 on the logarithm: sqrt(50 * 200)
        (0.4, (0.4, 0.6, 0.8), 50.0),
        (0.7, (0.4, 0.6, 0.8), 400.0),
        (0.39, (0.4, 0.6, 0.8), 0.0),
        (0.81, (0.4, 0.6, 0.8), float("inf")),
        (0.5, (0.6, 0.4, 0.8), 50.0),  # isotonic: 0.5, 0.5, 0.8
        (0.65, (0.6, 0.4, 0.8), 400.0),
    ],
)
def test_worth_is_interpolated_on_the_monotone_curve(score: float, curve: Sequence[float], rows: float) -> None:
    assert rows_worth(score, (50, 200, 800), curve) == pytest.approx(rows)


@pytest.mark.parametrize(
    ("size", "sizes"), [(30, [15, 30]), (51, [50, 51]), (120, [50, 100, 120]), (1000, [50, 100, 200, 500, 1000])]
)
def test_the_learning_curve_ends_with_the_whole_pool(size: int, sizes: list[int]) -> None:
    assert curve_rows(size) == sizes


@pytest.mark.slow
def test_real_texts_under_another_name_are_worth_about_their_number() -> None:
    """100 texts of the distribution of the real ones: the interval covers 100 in most of 12 references."""
    covered, values = 0, []
    for seed in range(12):
        parts = parts_of(seed=seed)
        trained, _ = train_all(drawn(100, 500 + seed), PLAIN, parts, SETTING, seed)
        worth = score_trained(trained, parts, seed)[1]
        low, high = worth.low, worth.high
        covered += (low is None or low <= 100) if low is None or high is None else low <= 100 <= high
        values.append(worth.rows)
    assert covered >= 10
    assert sum(value is not None and 0 < value < 400 for value in values) >= 6


def test_texts_without_a_signal_are_worth_fewer_than_the_first_point_and_real_rows_win() -> None:
    parts = parts_of()
    arm = drawn(140, 7, signal=0.0)
    trained, missing = train_all(arm, PLAIN, parts, SETTING, 0)
    scores, worth = score_trained(trained, parts, 0)
    assert (worth.rows, worth.words()) == (0, "fewer than 50 real rows (95 %: fewer than 50)")
    assert missing == {"real 1000": "the pool has 400 texts"}
    lines = list(worth_lines("style", scores, worth, missing))
    assert (
        "Real texts win: 50 real rows" in lines[1]
        and "140 real rows" in lines[1]
        and "200 real rows" in lines[1]
        and "retrieval" in lines[1]
    )
    warnings = list(warning_lines("style", scores))
    assert "Warning: the texts of style teach less than 9 plain sentences: macro-F1 " in warnings[0]
    assert warnings[1] == "Warning: the texts of style are not shown to teach more than a guess (most frequent label)."
    floor = scores["plain sentences"]
    low, high = floor.difference_interval or (0.0, 0.0)
    assert floor.rows == 9 and 0 < low < floor.difference < high
    assert f"(difference {-floor.difference:+.3f} [{-high:.3f}, {-low:.3f}])" in warnings[0]
    for name in ("real 50", "real 200", "retrieval"):
        low, high = scores[name].difference_interval or (0.0, 0.0)
        assert 0 < low < scores[name].difference < high


def test_texts_with_more_signal_are_worth_more_than_the_pool_has() -> None:
    parts = parts_of(pool=80)
    trained, missing = train_all(drawn(300, 7, signal=3.0), PLAIN, parts, SETTING, 0)
    scores, worth = score_trained(trained, parts, 0)
    assert worth.rows is None and worth.words().startswith("more than the 80 of the pool real rows")
    assert scores[SYNTHETIC].value > scores["real 80"].value and list(warning_lines("style", scores)) == []
    assert not any("Real texts win" in line for line in worth_lines("style", scores, worth, missing))


def test_the_floor_is_the_score_of_the_plain_sentences_and_a_text_for_a_text_its_equal() -> None:
    parts = parts_of(pool=80)
    trained, missing = train_all(PLAIN, PLAIN, parts, SETTING, 0)
    scores, worth = score_trained(trained, parts, 0)
    assert scores["plain sentences"].value == pytest.approx(_macro_f1(PLAIN, parts.test))
    assert scores["plain sentences"].difference == 0 and list(warning_lines("style", scores)) == []
    floor = next(line for line in worth_lines("style", scores, worth, missing) if "floor" in line)
    assert floor.startswith("The floor, 9 plain sentences: ") and ", which may be chance); the most frequent" in floor


@pytest.mark.parametrize(
    ("plain", "reason"),
    [
        (None, "there are no plain sentences for anger, fear, joy"),
        (drawn(3, 9).take([0, 1]), "there are no plain sentences for joy"),
        (
            Corpus(["a", "b", "c"], list(LABELS), np.zeros((3, 0), dtype=np.float32), "given"),
            "the plain sentences cannot be encoded: embeddings were given",
        ),
    ],
)
def test_labels_or_vectors_without_plain_sentences_have_no_floor_and_the_reason(
    plain: Corpus | None, reason: str
) -> None:
    parts = parts_of(pool=80)
    trained, missing = train_all(drawn(60, 7), plain, parts, SETTING, 0)
    scores, worth = score_trained(trained, parts, 0)
    assert missing["plain sentences"] == reason and "plain sentences" not in scores
    assert any(f"There is no floor: {reason}; " in line for line in worth_lines("style", scores, worth, missing))
    assert list(warning_lines("style", scores)) == []


@pytest.mark.slow
def test_the_interval_of_a_score_covers_the_score_of_other_draws() -> None:
    """An interval for 100 real rows covers macro-F1 of fresh training and test texts in about 95 of 100 references."""
    true = np.mean([_macro_f1(drawn(100, 3000 + seed), drawn(3000, 4000 + seed)) for seed in range(10)])
    covered = 0
    for seed in range(12):
        parts = parts_of(pool=200, test=200, seed=seed)
        trained, _ = train_all(drawn(60, 800 + seed), PLAIN, parts, SETTING, seed)
        low, high = score_trained(trained, parts, seed)[0]["real 100"].interval or (1.0, 0.0)
        covered += int(low <= true <= high)
    assert covered >= 10


def _macro_f1(train: Corpus, test: Corpus) -> float:
    from personagen.metrics.utility.probe import codes, macro_f1, predict_from_vectors

    return macro_f1(predict_from_vectors(train, test, LABELS), codes(test.labels or [], LABELS), 3)


def test_a_text_of_an_arm_trains_nothing_that_is_tested_on_its_fold() -> None:
    """The arm repeats the pool: each copy has a wrong label, and is near no text but its original.

    A classifier that had seen the copy of a text would predict its wrong label.
    """
    count = 40
    vectors = np.eye(count, dtype=np.float32)
    labels = [LABELS[row % 2] for row in range(count)]
    wrong = [LABELS[1 - row % 2] for row in range(count)]
    texts = [f"text {row}" for row in range(count)]
    folds = np.arange(count) // 2 % FOLDS
    parts = MatchParts("r", Corpus(texts, labels, vectors, "given"), drawn(4, 0), folds.tolist(), 0)
    same = cross_validated(ArmTexts(Corpus(texts, wrong, vectors, "given"), folds), parts)
    assert len(set(same.tolist())) == 1  # nothing is known of a text whose copy is left out
    other = cross_validated(ArmTexts(Corpus(texts, wrong, vectors, "given"), (folds + 1) % FOLDS), parts)
    right = [parts.classes[code] == label for code, label in zip(other, labels, strict=True)]
    assert not any(right)


def test_the_prompt_of_a_row_shows_texts_of_its_fold_and_emotion_alone() -> None:
    pool = drawn(60, 0)
    parts = MatchParts("r", pool, drawn(9, 1), [row // 3 % FOLDS for row in range(60)], 0)
    folds = RowFolds(SETTING.rows, parts)
    fold_of = dict(zip(pool.texts, parts.folds, strict=True))
    label_of = dict(zip(pool.texts, pool.labels or [], strict=True))
    used = {folds.fold(row.id) for row in SETTING.rows}
    assert used == set(range(FOLDS))
    sources = []
    for row in SETTING.rows:
        examples = folds.grounding("examples", 0)(row).examples
        source = folds.grounding("source", 0)(row).source or ""
        sources.append(source)
        assert len(examples) == 4
        for text in (*examples, source):
            assert (fold_of[text], label_of[text]) == (folds.fold(row.id), row.emotion)
        assert folds.grounding("", 0)(row).examples == ()
    assert len(set(sources)) == len(sources)


def test_the_arm_with_the_signal_scores_best_and_the_difference_is_beyond_chance() -> None:
    parts = parts_of(pool=200)
    arms = {"noise": arm_of(drawn(80, 5, 0.0)), "weak": arm_of(drawn(80, 5, 0.5)), "strong": arm_of(drawn(80, 5, 1.5))}
    scores = pool_scores(arms, parts, 0)
    assert scores["noise"].value < scores["weak"].value < scores["strong"].value
    gap, interval = difference(scores["strong"], scores["noise"])
    assert interval is not None and 0 < interval[0] < gap < interval[1]
    same, around = difference(scores["strong"], pool_scores({"again": arm_of(drawn(80, 6, 1.5))}, parts, 0)["again"])
    assert around is not None and around[0] < 0 < around[1] and abs(same) < 0.1
    lines = list(choice_lines("strong", scores, None, is_labelled=True))
    assert lines == [line for line in lines if "weak differs by" in line and "chance" not in line]
    lines = list(choice_lines("weak", scores, "strong", is_labelled=True))
    assert "The arm strong does better there" in lines[1]


def test_without_labels_the_nearer_arm_scores_best() -> None:
    real = drawn(120, 0)
    pool = Corpus(real.texts, None, real.vectors, "given")
    parts = MatchParts("r", pool, pool, [row % FOLDS for row in range(120)], 0)
    far = unit(np.random.default_rng(0).normal(size=(80, 12)) + 2)
    near = drawn(80, 9)
    scores = pool_scores({"near": arm_of(near), "far": arm_of(Corpus(near.texts, None, far, "given"))}, parts, 0)
    assert abs(scores["near"].value) < 0.05 < scores["far"].value
    assert scores["near"].resamples is None


def test_label_words_are_ordered_by_their_log_odds() -> None:
    """Two labels of ten texts: the values of the formula, computed by hand for "queue" and "bus"."""
    anger = ["the queue again"] * 6 + ["the bus"] * 4
    joy = ["the song"] * 8 + ["the bus"] * 2
    found = label_words([*anger, *joy], ["anger"] * 10 + ["joy"] * 10)
    assert found == {"anger": ("again", "queue"), "joy": ("song",)}
    # 26 words of anger, 20 of joy; prior of queue and of bus 0.5 * 26 * 6 / 46 = 1.70; z = 1.78 and 0.46
    assert label_words(["a b", "a c"], ["x", "y"]) == {"x": (), "y": ()}


@pytest.mark.parametrize(
    ("counts", "rows", "quota"),
    [
        ({"a": 50, "b": 50}, 20, {"a": 10, "b": 10}),
        ({"a": 90, "b": 10}, 20, {"a": 15, "b": 5}),
        ({"a": 900, "b": 60, "c": 40}, 100, {"a": 89, "b": 6, "c": 5}),
        ({"a": 1, "b": 1}, 10, {"a": 5, "b": 5}),
        ({}, 20, {}),
    ],
)
def test_quotas_are_in_proportion_with_five_texts_at_least(
    counts: dict[str, int], rows: int, quota: dict[str, int]
) -> None:
    assert in_proportion(counts, rows, 5) == quota


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(
        RecipeError, match=r"--rows 9 gives fewer than 5 texts per label for 2 labels, wanted 10 or mor"
    ):
        in_proportion({"a": 5, "b": 5}, 9, 5)


def test_a_worth_is_said_with_its_ends() -> None:
    worth = Worth(120, 0, None, 50, 700)
    assert worth.words() == "120 real rows (95 %: fewer than 50 to more than the 700 of the pool)"
