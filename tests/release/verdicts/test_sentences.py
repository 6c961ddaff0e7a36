"""Verdicts and concerns are sentences made from the figures of a release."""

import json
import math
from typing import Any

import pytest

from personagen.builder.release.verdicts import concerns, verdicts
from tests.helpers.releasing import ROOT

MANIFEST = ROOT / "tests" / "golden" / "manifest.json"

SLICE = {"tstr_macro_f1": 0.19, "trtr_macro_f1": 0.27, "floor_macro_f1": 0.22, "tstr_floor_gap_ci": [-0.06, -0.01]}


@pytest.fixture
def manifest() -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(MANIFEST.read_text(encoding="utf-8"))
    return parsed


def scores_with(**results: Any) -> dict[str, Any]:
    return {"reference": {"name": "goemotions"}, "results": results, "problems": {}}


def sentence(topic: str, *sources: Any) -> str | None:
    """Return the verdict on a topic; None: there is none."""
    return dict(verdicts(*sources)).get(topic)


def with_rows(manifest: dict[str, Any], rows: int) -> dict[str, Any]:
    for emotion in manifest["taxonomy"]["emotions"]:
        manifest["configs"][emotion["name"]] = {"rows": {"train": rows}}
    return manifest


@pytest.mark.parametrize(
    ("auc", "ends", "words"),
    [
        (0.97, [0.95, 0.99], "easy to distinguish from real ones: a classifier picks out the synthetic text in 97 of"),
        (0.51, [-1.89, 2.91], "(95 % interval 0 to 100; chance: 50)"),
        (0.51, None, "hard to distinguish from real ones"),
        (0.7, None, "moderately easy to distinguish from real ones"),
        (0.9996, [0.98, 1.0], "in more than 99 of 100 pairs"),
        (1.0, None, "in 100 of 100 pairs"),
    ],
)
def test_realism_is_pairs_out_of_100(manifest: dict[str, Any], auc: float, ends: Any, words: str) -> None:
    text = sentence("realism", manifest, scores_with(realism={"c2st_auc": auc, "c2st_auc_ci": ends}))
    assert text is not None and words in text and "a real text of goemotions (" in text and "chance: 50)." in text


@pytest.mark.parametrize("auc", [None, "0.9", True, math.nan])
def test_a_figure_that_is_no_number_gives_no_verdict(manifest: dict[str, Any], auc: Any) -> None:
    assert sentence("realism", manifest, scores_with(realism={"c2st_auc": auc})) is None


def test_utility_stands_beside_as_many_real_texts(manifest: dict[str, Any]) -> None:
    scores = scores_with() | {"slices": {"comments": SLICE, "dialogue": {"problem": "too few texts"}}}
    assert sentence("utility", manifest, scores) == (
        "A classifier trained on these texts reaches a macro-F1 of 0.19 on real comments (three plain sentences per "
        "label: 0.22; as many real texts: 0.27)."
    )
    several = scores | {"slices": {"comments": SLICE, "reports": SLICE | {"floor_macro_f1": None}, "mine.csv": SLICE}}
    assert (sentence("utility", manifest, several) or "").endswith(
        ", 0.19 on real reports (as many real texts: 0.27) and 0.19 on real texts of mine.csv (three plain "
        "sentences per label: 0.22; as many real texts: 0.27)."
    )
    manifest["below_floor"] = ["comments 0.190 against 0.220"]
    reasons = concerns(manifest, scores)
    assert "Not measured: utility on real dialogue: too few texts." in reasons
    assert any(
        "less from these texts than from three plain sentences per label: comments 0.190" in one for one in reasons
    )


def test_scores_of_a_version_without_corpora_have_the_reference(manifest: dict[str, Any]) -> None:
    scores = scores_with(utility={"tstr_macro_f1": 0.16, "trtr_macro_f1": 0.336})
    text = sentence("utility", manifest, scores)
    assert text is not None and text.endswith("0.16 on real texts of goemotions (as many real texts: 0.34).")


def test_a_tie_with_plain_sentences_is_no_concern(manifest: dict[str, Any]) -> None:
    scores = scores_with() | {"slices": {"comments": SLICE | {"tstr_floor_gap_ci": [-0.06, 0.01]}}}
    assert not any("plain sentences" in one for one in concerns(manifest, scores))


def test_unvalidated_judges_are_a_concern_and_no_verdict(manifest: dict[str, Any]) -> None:
    results = {"human_likeness_auc": 0.4, "judge_validated": False, "judge_validation": "one judge alone"}
    scores = scores_with(human_likeness=results)
    assert sentence("judges", manifest, scores) is None
    assert "The ratings by judges are not validated (one judge alone); do not rely on them." in concerns(
        manifest, scores
    )
    validated = sentence("judges", manifest, scores_with(human_likeness=results | {"judge_validated": True}))
    assert validated is not None and "in 40 of 100 pairs" in validated


def test_expressions_are_counted_over_checked_texts(manifest: dict[str, Any]) -> None:
    manifest["expressions"] = {"named": {"named": 3, "shown": 1}, "shown": {"shown": 5, "unchecked": 2}}
    text = sentence("expression", manifest)
    assert text is not None and text.startswith("8 of 9 checked texts (89 %) express their emotion as the prompt asked")
    manifest["expressions"] = {"named": {"unchecked": 3}}
    assert "was not checked" in (sentence("expression", manifest) or "")


def test_emotion_words_are_counted_or_a_concern(manifest: dict[str, Any]) -> None:
    """Of all texts that were checked and not asked to name it, ablations included: 30 texts at two depths."""
    manifest["leaked"] = 3
    manifest["expressions"] = {"named": {"named": 9, "shown": 1}, "shown": {"shown": 40, "named": 3, "unchecked": 7}}
    text = sentence("emotion words", manifest)
    assert text == "3 of 43 checked texts name their emotion although the prompt did not ask for it."
    del manifest["expressions"]
    assert sentence("emotion words", manifest) == "3 of 60 checked texts name their emotion."
    manifest["leak_unchecked"] = 40
    assert sentence("emotion words", manifest) == "3 of 20 checked texts name their emotion."
    assert any("learn emotion words alone" in one for one in concerns(manifest))
    manifest["leaked"] = None
    assert sentence("emotion words", manifest) is None
    assert any("name their emotion was not checked" in one for one in concerns(manifest))


def test_an_audit_without_an_association_states_what_it_would_have_found(manifest: dict[str, Any]) -> None:
    record = {"attribute": "age", "outcome": "length", "fraction": 0.0, "p_corrected": 0.9}
    nothing = "The audit found no association of a persona attribute with the texts in"
    assert sentence("audit", manifest, None, {"associations": [record]}) == f"{nothing} 1 test."
    sized = [record | {"detectable": 0.02}, record | {"detectable": 0.051}]
    assert sentence("audit", manifest, None, {"associations": sized[:1]}) == (
        f"{nothing} 1 test; it would mostly have missed those that explain less than 2 % of the variance."
    )
    assert sentence("audit", manifest, None, {"associations": sized}) == (
        f"{nothing} 2 tests; it would mostly have missed those that explain less than 2 % to 5.1 % of the variance, "
        "depending on attribute and outcome."
    )


def test_the_audit_names_its_largest_association(manifest: dict[str, Any]) -> None:
    records = [
        {"attribute": "age", "outcome": "length", "fraction": 0.02, "p_corrected": 0.01},
        {"attribute": "work", "outcome": "content", "fraction": 0.031, "p_corrected": 0.001},
        {"attribute": "work", "outcome": "length", "fraction": 0.5, "p_corrected": 0.4},
        {"attribute": "means", "outcome": "length", "fraction": 0.5, "p_corrected": None},
    ]
    text = sentence("audit", manifest, None, {"associations": records})
    assert text is not None and text.startswith("The audit found 2 significant associations")
    assert text.endswith("in 3 tests; the largest is work with content, 3.1 % of the variance.")
    assert "no association" in (sentence("audit", manifest, None, {"associations": records[2:]}) or "")
    assert sentence("audit", manifest, None, {"associations": records[3:]}) is None


def test_counterfactual_effects_are_named_if_significant(manifest: dict[str, Any]) -> None:
    effects = [
        {"attribute": "gender", "outcome": "sentiment", "p_corrected": 0.01},
        {"attribute": "gender", "outcome": "length", "p_corrected": 0.3},
    ]
    assert sentence("counterfactuals", manifest, None, {"effects": effects}) == (
        "Of 2 effects of changing one persona attribute alone, 1 is significant: gender (sentiment)."
    )


def test_a_release_that_was_not_measured_says_so(manifest: dict[str, Any]) -> None:
    reasons = concerns(manifest)
    assert any(one.startswith("Not evaluated:") for one in reasons)
    assert any(one.startswith("Not audited:") for one in reasons)
    assert not any(one.startswith("Not ") for one in concerns(manifest, scores_with(), {}))


def test_a_small_release_is_a_concern(manifest: dict[str, Any]) -> None:
    assert any(one.startswith("The release is small: 3 texts.") for one in concerns(with_rows(manifest, 1)))
    assert "Some emotions have few texts, fear the fewest: 1." in concerns(manifest)
    assert not any("small" in one for one in concerns(with_rows(manifest, 100)))
    last = manifest["taxonomy"]["emotions"][-1]["name"]
    del manifest["configs"][last]
    assert f"These emotions have no text: {last}." in concerns(manifest)


def test_poor_figures_are_concerns(manifest: dict[str, Any]) -> None:
    manifest["rejects"] = {"text": {"refusal": 30, "length": 2}}
    manifest["usage"]["requests"] = 100
    manifest["classifier"] = {
        "reference": "goemotions", "tested_on": 10, "accuracy": 0.6, "other_reference": "reports",
        "other_tested_on": 10, "other_accuracy": 0.36,
    }  # fmt: skip
    manifest["model"] |= {"license": None, "backend": "embedded", "answered_by": {"other": 3, "fake-1 (fp_44)": 2}}
    scores = scores_with(diversity={"duplicate_share": 0.2}, realism={"copied_share": 0.001})
    text = "\n".join(concerns(manifest, scores))
    for words in (
        "Checks rejected 32 replies in 100 requests (32 %), most often for refusal (30; the model declined to write).",
        "is right on 36 % of the texts of other corpora (reports)",
        "licence of the model's weights is not recorded",
        "A small model continued beginnings that were written for PersonaGen",
        "The server named models other than the requested one in its replies: other.",
        "20 % of the texts are duplicates of others.",
        "under 1 % of the texts are copies of real texts.",
    ):
        assert words in text
