"""Reasons for caution about a release: what was not measured, and which figures are poor."""

from collections.abc import Iterator, Mapping
from typing import Any

from personagen.builder.release.manifest import classifier_facts, model_license, total_rejects
from personagen.builder.release.measuring import accuracy_of
from personagen.builder.release.model_facts import named_models
from personagen.builder.release.verdicts.content import counted, number_in, percentage, results_of
from personagen.builder.release.verdicts.differences import styled_concern
from personagen.builder.release.verdicts.reject_reasons import REASONS
from personagen.builder.release.verdicts.sentences import GENRES, count_texts, leak_checked, texts_per_emotion

MIN_TEXTS = 200
"""Texts below which a release is called small."""

MIN_TEXTS_PER_EMOTION = 30
"""Texts of an emotion below which the release is called small."""

MIN_CLASSIFIER_ACCURACY = 0.6
"""Accuracy on other corpora below which predictions are called weak evidence."""

MAX_REJECTED = 0.25
"""Rejected replies per request above which they are mentioned."""

MAX_MODELS = 5
"""Models that a concern names."""

MAX_LEAKED = 0.1
"""Fraction of texts that name their emotion above which this is mentioned."""

MAX_DUPLICATES = 0.01
"""Fraction of duplicates above which they are mentioned."""


def concerns(
    manifest: Mapping[str, Any], scores: Mapping[str, Any] | None = None, audit: Mapping[str, Any] | None = None
) -> list[str]:
    """Return reasons for caution, each a sentence; for the arguments see `verdicts`."""
    return [
        *_size(manifest),
        *_origin(manifest),
        *_unmeasured(scores, audit),
        *_poor_scores(scores),
        *filter(None, [styled_concern(manifest, scores)]),
        *_poor_texts(manifest),
        *_weak_classifier(manifest),
    ]


def _size(manifest: Mapping[str, Any]) -> Iterator[str]:
    total, per_emotion = count_texts(manifest), texts_per_emotion(manifest)
    least = min(per_emotion, key=per_emotion.__getitem__, default=None)
    if total < MIN_TEXTS:
        yield (
            f"The release is small: {counted(total, 'text')}. Figures of so few have wide intervals, and a classifier "
            "learns little from them."
        )
    if least is not None and per_emotion[least] < MIN_TEXTS_PER_EMOTION:
        yield f"Some emotions have few texts, {least} the fewest: {per_emotion[least]:,}."
    empty = [emotion["name"] for emotion in manifest["taxonomy"]["emotions"] if not per_emotion.get(emotion["name"])]
    if empty:
        yield f"These emotions have no text: {', '.join(empty)}."


def _origin(manifest: Mapping[str, Any]) -> Iterator[str]:
    model = manifest["model"]
    if model["backend"] == "embedded":
        yield (
            "A small model continued beginnings that were written for PersonaGen: the beginnings are not the words of "
            "a language model, and they recur."
        )
    models = named_models(manifest)
    others = [
        name
        for requested in models
        for name in requested.get("answered_by", {})
        if name.partition(" (")[0] != requested["name"]
    ]
    if others:
        named = ", ".join(others[:MAX_MODELS]) + (" and others" if len(others) > MAX_MODELS else "")
        yield f"The server named models other than the requested one in its replies: {named}."
    unlicensed = [str(part["name"]) for part in models if part["license"] is None] if len(models) > 1 else []
    if unlicensed:
        yield f"The licence of the weights of {', '.join(unlicensed)} is not recorded."
    elif len(models) == 1 and model_license(manifest) is None:
        yield "The licence of the model's weights is not recorded."


def _unmeasured(scores: Mapping[str, Any] | None, audit: Mapping[str, Any] | None) -> Iterator[str]:
    if scores is None:
        yield (
            "Not evaluated: how far the texts are from real ones, and what a classifier learns from them, is unknown."
        )
    else:
        yield from (f"Not measured: {metric}: {reason}." for metric, reason in scores.get("problems", {}).items())
        for corpus, result in scores.get("slices", {}).items():
            if "problem" in result:
                yield f"Not measured: utility on {GENRES.get(corpus, corpus)}: {result['problem']}."
    if audit is None:
        yield "Not audited: whether the texts follow stereotypes is unknown."


def _poor_scores(scores: Mapping[str, Any] | None) -> Iterator[str]:
    diversity, realism = results_of(scores, "diversity"), results_of(scores, "realism")
    duplicates, copied = number_in(diversity, "duplicate_share"), number_in(realism, "copied_share")
    if duplicates is not None and duplicates > MAX_DUPLICATES:
        yield f"{percentage(duplicates, 1)} of the texts are duplicates of others."
    if copied:
        yield f"{percentage(copied, 1)} of the texts are copies of real texts."
    judges = results_of(scores, "human_likeness")
    if judges and not judges.get("judge_validated", True):
        yield f"The ratings by judges are not validated ({judges.get('judge_validation')}); do not rely on them."


def _poor_texts(manifest: Mapping[str, Any]) -> Iterator[str]:
    if below := manifest.get("below_floor"):
        listed = "; ".join(below)
        yield f"A classifier learns less from these texts than from three plain sentences per label: {listed}."
    checked = leak_checked(manifest)
    if manifest["leaked"] is None:
        yield "Whether the texts name their emotion was not checked: the word list is English."
    elif manifest["leaked"] > MAX_LEAKED * checked:
        yield ("Many texts name their emotion unasked: a model may learn emotion words alone.")
    rejects, requests = total_rejects(manifest), manifest["usage"]["requests"]
    if requests and rejects.total() > MAX_REJECTED * requests:
        reason, count = rejects.most_common(1)[0]
        meaning = f"; {REASONS[reason]}" if reason in REASONS else ""
        yield (
            f"Checks rejected {rejects.total():,} replies in {counted(requests, 'request')} "
            f"({percentage(rejects.total(), requests)}), most often for {reason} ({count:,}{meaning})."
        )


def _weak_classifier(manifest: Mapping[str, Any]) -> Iterator[str]:
    accuracy = accuracy_of(classifier_facts(manifest))
    if accuracy is None or accuracy.other_accuracy is None:
        return
    if accuracy.other_accuracy < MIN_CLASSIFIER_ACCURACY:
        yield (
            f"Predicted emotions are weak evidence: the emotion classifier is right on "
            f"{percentage(accuracy.other_accuracy, 1)} of the texts of other corpora ({accuracy.other_reference})."
        )
