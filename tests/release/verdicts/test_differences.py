"""The figure of style that is farthest from real texts, figures met by design, and reasons of rejected replies."""

import json
from typing import Any, get_args

import pytest

from personagen.builder.core.records import RejectReason
from personagen.builder.release.verdicts import concerns, verdicts
from personagen.builder.release.verdicts.reject_reasons import REASONS, reasons_line
from tests.helpers.releasing import GOLDEN

WORDS = {
    "words_per_text": 30.04,
    "words_per_text_null": 12.4,
    "words_per_text_difference": 17.64,
    "words_per_text_null_ci": [10.4, 14.4],
    "words_per_text_in_null": False,
}
POLARITY = {
    "polarity": -0.1,
    "polarity_null": 0.1,
    "polarity_difference": -0.2,
    "polarity_null_ci": [-0.3, 0.5],
    "polarity_in_null": True,
}


@pytest.fixture
def manifest() -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads((GOLDEN / "manifest.json").read_text(encoding="utf-8"))
    return parsed


def scored(realism: dict[str, Any], reference: str = "goemotions", **more: Any) -> dict[str, Any]:
    return {"reference": {"name": reference}, "results": {"realism": realism}, "problems": {}, **more}


def style(manifest: dict[str, Any], realism: dict[str, Any]) -> str | None:
    return dict(verdicts(manifest, scored(realism))).get("style")


def test_the_farthest_figure_is_that_of_most_half_widths(manifest: dict[str, Any]) -> None:
    assert style(manifest, WORDS | POLARITY) == (
        "1 of 2 figures of style is outside the range of as many real texts. The texts differ most in words_per_text "
        "(mean length in words): 30, real texts 12.4."
    )


def test_no_figure_is_outside(manifest: dict[str, Any]) -> None:
    text = style(manifest, POLARITY)
    assert text is not None and text.startswith("None of 1 figures of style are outside the range of as many real")


@pytest.mark.parametrize(
    "change", [{"polarity_null_ci": None}, {"polarity_null_ci": [0.1, 0.1]}, {"polarity": None}, {"polarity_null": "x"}]
)
def test_a_figure_without_a_range_gives_no_sentence(manifest: dict[str, Any], change: dict[str, Any]) -> None:
    assert style(manifest, POLARITY | change) is None


@pytest.mark.parametrize(
    ("scores", "is_circular"),
    [
        (scored({}), True),
        (scored({}, "mine.jsonl", slices={"comments": {}}), True),
        (scored({}, "mine.jsonl", slices={"dialogue": {}}), False),
        (None, False),
    ],
)
def test_figures_that_are_met_by_design_are_a_reason_for_caution(
    manifest: dict[str, Any], scores: dict[str, Any] | None, is_circular: bool
) -> None:
    assert manifest["recipe"]["text"]["style"] == {"comments": 1.0}
    named = [line for line in concerns(manifest, scores) if "are therefore no evidence on the model" in line]
    assert len(named) == is_circular and all("(comments: GoEmotions)" in line for line in named)


def test_every_reason_has_a_meaning() -> None:
    reasons: set[str] = set()
    for part in get_args(RejectReason):
        reasons |= {part} if isinstance(part, str) else set(get_args(part))
    assert set(REASONS) == reasons
    assert reasons_line(["slur", "a later reason", "empty"]) == "slur: it has a slur; empty: there is no text"
