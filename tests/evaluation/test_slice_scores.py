"""What a release teaches beside plain sentences and real texts: records, lines of terminal and card."""

from typing import Any

import pytest

from personagen.builder.evaluation.scores import card_rows, read_scores, score_lines
from personagen.builder.evaluation.slice_scores import SliceScore, below_floor, read_slices, slice_lines

FIGURES: dict[str, Any] = {
    "n_train": 600, "n_test": 1400, "floor_reason": None,
    "tstr_macro_f1": 0.30, "tstr_macro_f1_ci": [0.28, 0.32], "trtr_macro_f1": 0.50, "floor_macro_f1": 0.40,
    "tstr_floor_gap": -0.1, "tstr_floor_gap_ci": [-0.12, -0.08],
    "tfidf_tstr_macro_f1": 0.29, "tfidf_tstr_macro_f1_ci": [0.27, 0.31], "tfidf_trtr_macro_f1": 0.40,
    "tfidf_floor_macro_f1": 0.30, "tfidf_tstr_floor_gap": -0.01, "tfidf_tstr_floor_gap_ci": [-0.03, 0.01],
}  # fmt: skip
RESULTS = {"comments": FIGURES, "own.csv": {"problem": "0 labels have 5 texts or more in every part"}}
CONTENT = {
    "reference": {"name": "own.csv"}, "command": "personagen evaluate x", "results": {}, "problems": {},
    "slices": RESULTS,
}  # fmt: skip


def test_each_corpus_has_a_record_per_kind_of_features() -> None:
    scores = read_scores(CONTENT).slices
    assert list(scores) == [
        SliceScore("comments", "embeddings", 0.30, 0.28, 0.32, 0.40, 0.50, -0.12, -0.08, 600),
        SliceScore("comments", "TF-IDF", 0.29, 0.27, 0.31, 0.30, 0.40, -0.03, 0.01, 600),
        SliceScore("own.csv", "embeddings", None, reason="0 labels have 5 texts or more in every part"),
        SliceScore("own.csv", "TF-IDF", None, reason="0 labels have 5 texts or more in every part"),
    ]
    assert scores.to_pandas().shape == (4, len(scores.columns))


def test_scores_without_slices_are_read() -> None:
    """As `scores.json` of earlier versions."""
    scores = read_scores({key: value for key, value in CONTENT.items() if key != "slices"})
    assert len(scores.slices) == 0 and not any("plain" in line for line in score_lines(scores))


def test_only_a_gap_whose_interval_lies_below_zero_is_below_the_floor() -> None:
    assert below_floor(list(read_slices(RESULTS))) == [
        "comments 0.300 against 0.400 (embeddings; 600 real texts: 0.500)"
    ]


@pytest.mark.parametrize(
    ("value", "floor", "high", "expected"),
    [(0.3, 0.4, -0.01, True), (0.3, 0.4, 0.0, False), (0.5, 0.4, 0.2, False), (0.3, 0.4, None, True),
     (0.5, 0.4, None, False), (None, 0.4, None, False), (0.3, None, None, False)],
)  # fmt: skip
def test_below_the_floor_by_the_interval_or_without_one_by_both_values(
    value: float | None, floor: float | None, high: float | None, expected: bool
) -> None:
    score = SliceScore("x", "TF-IDF", value, floor=floor, floor_gap_high=high)
    assert score.is_below_floor() is expected


def test_the_terminal_says_it_first_and_lists_both_yardsticks() -> None:
    lines = list(score_lines(read_scores(CONTENT)))
    assert lines[0] == (
        "These texts teach a classifier less than three plain sentences per label: "
        "comments 0.300 against 0.400 (embeddings; 600 real texts: 0.500)\n"
    )
    block = lines[lines.index("") + 1 :]
    assert block[0].split("  ")[0] == "utility: macro-F1 on real text"
    assert block[1].split() == [
        "comments,",
        "embeddings",
        "0.300",
        "0.280",
        "to",
        "0.320",
        "0.400",
        "(above)",
        "0.500",
        "0.60",
    ]
    assert block[2].split() == ["comments,", "TF-IDF", "0.290", "0.270", "to", "0.310", "0.300", "0.400", "0.72"]
    assert block[3:] == ["  own.csv: not measured: 0 labels have 5 texts or more in every part"]


def test_labels_without_plain_sentences_have_no_floor_and_the_reason() -> None:
    reason = "there are no plain sentences for wistful"
    figures = {**FIGURES, "floor_reason": reason}
    figures |= {key: None for key in FIGURES if "floor" in key and key != "floor_reason"}
    scores = list(read_slices({"comments": figures}))
    assert [(score.floor, score.reason, score.value) for score in scores] == [
        (None, reason, 0.30),
        (None, reason, 0.29),
    ]
    assert below_floor(scores) == []
    assert list(slice_lines(scores))[-1] == f"  comments: no plain sentences: {reason}"
    rows = card_rows(read_scores({**CONTENT, "slices": {"comments": figures}}))
    assert f"three plain sentences per label: {reason}" in rows[0]["value"]


def test_the_card_has_a_row_per_corpus_and_features() -> None:
    rows = {row["metric"]: row["value"] for row in card_rows(read_scores(CONTENT))}
    assert rows == {
        "utility: macro-F1 on comments, embeddings": (
            "0.300 (95 %: 0.280 to 0.320; three plain sentences per label: 0.400; as many real texts: 0.500)"
        ),
        "utility: macro-F1 on comments, TF-IDF": (
            "0.290 (95 %: 0.270 to 0.310; three plain sentences per label: 0.300; as many real texts: 0.400)"
        ),
    }
