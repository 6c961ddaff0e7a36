"""Verdicts on a release: one sentence per question that was measured."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from personagen.builder.core.records import REPEATING_PREFIXES
from personagen.builder.release.manifest import classifier_facts
from personagen.builder.release.measuring import agreement_line
from personagen.builder.release.verdicts.content import (
    counted,
    interval_in,
    is_significant,
    number_in,
    percentage,
    records_in,
    results_of,
)
from personagen.builder.release.verdicts.differences import difference_sentence
from personagen.builder.release.verdicts.shown_personas import persona_sentence

EASY_AUC = 0.8
"""Area under the ROC curve from which texts are called easy to distinguish from real ones."""

HARD_AUC = 0.6
"""Area under the ROC curve below which texts are called hard to distinguish from real ones."""

GENRES = {"comments": "real comments", "dialogue": "real dialogue", "reports": "real reports"}
"""Names of the bundled real corpora in sentences, by their key in the scores."""


class ReleaseVerdict(NamedTuple):
    """One verdict in words.

    Attributes:
        topic: "realism", "style", "utility", "judges", "expression", "emotion words", "personas", "predictions",
            "audit" or "counterfactuals".
        text: one or two sentences.

    """

    topic: str
    text: str


def verdicts(
    manifest: Mapping[str, Any], scores: Mapping[str, Any] | None = None, audit: Mapping[str, Any] | None = None
) -> list[ReleaseVerdict]:
    """Return the verdicts on a release; questions that were not measured have none.

    Args:
        manifest: manifest of the release.
        scores: content of `scores.json`. None: not evaluated.
        audit: content of `audit.json`. None: not audited.

    """
    sentences = {
        "realism": realism_sentence(scores),
        "style": difference_sentence(scores),
        "utility": utility_sentence(scores),
        "judges": judges_sentence(scores),
        "expression": expression_sentence(manifest),
        "emotion words": leak_sentence(manifest),
        "personas": persona_sentence(manifest, scores),
        "predictions": agreement_line(classifier_facts(manifest)),
        "audit": audit_sentence(audit),
        "counterfactuals": counterfactual_sentence(audit),
    }
    return [ReleaseVerdict(topic, text) for topic, text in sentences.items() if text]


def count_texts(manifest: Mapping[str, Any]) -> int:
    """Return the number of texts at the depth of the recipe."""
    return sum(texts_per_emotion(manifest).values())


def leak_checked(manifest: Mapping[str, Any]) -> int:
    """Return how many texts of all depths and counterfactuals were checked for a word of their emotion, unasked."""
    table: Mapping[str, Mapping[str, int]] = manifest.get("expressions") or {}
    if table:
        others = [counts for asked, counts in table.items() if asked != "named"]
        return sum(sum(counts.values()) - counts.get("unchecked", 0) for counts in others)
    rows = [
        sum(entry["rows"].values())
        for name, entry in manifest["configs"].items()
        if name == "all" or name.startswith(REPEATING_PREFIXES)
    ]
    return int(sum(rows) - (manifest.get("leak_unchecked") or 0))


def texts_per_emotion(manifest: Mapping[str, Any]) -> dict[str, int]:
    """Return the number of texts per emotion; emotions without a text are left out."""
    configs = manifest["configs"]
    names = [emotion["name"] for emotion in manifest["taxonomy"]["emotions"]]
    return {name: sum(configs[name]["rows"].values()) for name in names if name in configs}


def realism_sentence(scores: Mapping[str, Any] | None) -> str | None:
    """Return how well a classifier distinguishes the texts from real ones; None: not measured.

    The area under the ROC curve of a classifier two-sample test (Lopez-Paz and Oquab, 2017) is the fraction of pairs of
    a synthetic and a real text in which the classifier ranks the synthetic one higher.
    """
    realism = results_of(scores, "realism")
    auc = number_in(realism, "c2st_auc")
    if scores is None or auc is None:
        return None
    ease = "easy" if auc >= EASY_AUC else "hard" if auc < HARD_AUC else "moderately easy"
    ends = interval_in(realism, "c2st_auc", 0.0, 1.0)
    interval = "" if ends is None else f"95 % interval {100 * ends[0]:.0f} to {100 * ends[1]:.0f}; "
    return (
        f"The texts are {ease} to distinguish from real ones: a classifier picks out the synthetic text in "
        f"{pairs(auc)} of 100 pairs of a synthetic and a real text of {scores['reference']['name']} ({interval}"
        "chance: 50)."
    )


def pairs(auc: float) -> str:
    """Return an area under the ROC curve as a number of 100 pairs; never 0 or 100, unless it is 0 or 1."""
    number = f"{100 * auc:.0f}"
    if number == "100" and auc < 1:
        return "more than 99"
    return "fewer than 1" if number == "0" and auc > 0 else number


def utility_sentence(scores: Mapping[str, Any] | None) -> str | None:
    """Return what a classifier learns from the texts about each real corpus; None: not measured."""
    slices = {name: result for name, result in (scores or {}).get("slices", {}).items() if "problem" not in result}
    if not slices and scores is not None and results_of(scores, "utility"):
        slices = {scores["reference"]["name"]: results_of(scores, "utility")}
    parts = [
        f"{value:.2f} on {GENRES.get(corpus, f'real texts of {corpus}')}{_yardsticks(result)}"
        for corpus, result in slices.items()
        if (value := number_in(result, "tstr_macro_f1")) is not None
    ]
    if not parts:
        return None
    listed = " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))
    return f"A classifier trained on these texts reaches a macro-F1 of {listed}."


def _yardsticks(result: Mapping[str, Any]) -> str:
    """Return, in brackets, what the same classifier reaches with real texts and with plain sentences."""
    real, floor = number_in(result, "trtr_macro_f1"), number_in(result, "floor_macro_f1")
    values = [] if floor is None else [f"three plain sentences per label: {floor:.2f}"]
    values += [] if real is None else [f"as many real texts: {real:.2f}"]
    return f" ({'; '.join(values)})" if values else ""


def judges_sentence(scores: Mapping[str, Any] | None) -> str | None:
    """Return how often judges prefer a real text to a synthetic one; None: no judges, or they are not validated."""
    results = results_of(scores, "human_likeness")
    auc = number_in(results, "human_likeness_auc")
    if auc is None or not results.get("judge_validated", True):
        return None
    return (
        f"Validated judges rate the synthetic text as more human-like in {pairs(auc)} of 100 pairs of a synthetic "
        "and a real text (chance: 50)."
    )


def expression_sentence(manifest: Mapping[str, Any]) -> str | None:
    """Return how many texts express their emotion as the prompt asked; None: it asks for no expression."""
    table: Mapping[str, Mapping[str, int]] = manifest.get("expressions") or {}
    if not table:
        return None
    checked = sum(sum(counts.values()) - counts.get("unchecked", 0) for counts in table.values())
    if not checked:
        return "Whether the texts express their emotion as asked was not checked: the word lists are English."
    as_asked = sum(counts.get(asked, 0) for asked, counts in table.items())
    return (
        f"{as_asked:,} of {counted(checked, 'checked text')} ({percentage(as_asked, checked)}) express their emotion "
        "as the prompt asked, as far as word lists find: they name it, voice it, or do neither (show it)."
    )


def leak_sentence(manifest: Mapping[str, Any]) -> str | None:
    """Return how many texts name their emotion; None: none was checked, see `concerns`."""
    leaked, checked = manifest["leaked"], leak_checked(manifest)
    if leaked is None or checked <= 0:
        return None
    unasked = " although the prompt did not ask for it" if manifest.get("expressions") else ""
    number = f"{leaked:,}" if leaked else "None"
    return f"{number} of {counted(checked, 'checked text')} name their emotion{unasked}."


def audit_sentence(audit: Mapping[str, Any] | None) -> str | None:
    """Return how many attributes of personas go with how texts are written; None: not audited, or not tested."""
    tested = [record for record in records_in(audit, "associations") if number_in(record, "p_corrected") is not None]
    if not tested:
        return None
    significant = [record for record in tested if is_significant(record)]
    if not significant:
        return (
            f"The audit found no association of a persona attribute with the texts in {counted(len(tested), 'test')}"
            f"{_smallest_found(tested)}."
        )
    largest = max(significant, key=lambda record: number_in(record, "fraction") or 0.0)
    return (
        f"The audit found {counted(len(significant), 'significant association')} of persona attributes with the texts "
        f"in {counted(len(tested), 'test')}; the largest is {largest['attribute']} with {largest['outcome']}, "
        f"{100 * (number_in(largest, 'fraction') or 0.0):.2g} % of the variance."
    )


def _smallest_found(tested: list[Mapping[str, Any]]) -> str:
    """Return which associations such an audit finds in 80 of 100 cases; "": it does not record that."""
    sizes = [size for record in tested if (size := number_in(record, "detectable")) is not None]
    if not sizes:
        return ""
    least, most = (f"{100 * size:.2g} %" for size in (min(sizes), max(sizes)))
    span, where = (least, "") if least == most else (f"{least} to {most}", ", depending on attribute and outcome")
    return f"; it would mostly have missed those that explain less than {span} of the variance{where}"


def counterfactual_sentence(audit: Mapping[str, Any] | None) -> str | None:
    """Return how many changes of one attribute alone change the texts; None: no counterfactuals were tested."""
    tested = [record for record in records_in(audit, "effects") if number_in(record, "p_corrected") is not None]
    if not tested:
        return None
    significant = [record for record in tested if is_significant(record)]
    named = sorted({f"{record['attribute']} ({record['outcome']})" for record in significant})
    return (
        f"Of {counted(len(tested), 'effect')} of changing one persona attribute alone, {len(significant)} "
        f"{'is' if len(significant) == 1 else 'are'} significant{': ' if named else ''}{', '.join(named)}."
    )
