"""Macro-F1 of classifiers trained on a release, on plain sentences and on as many real texts, per real corpus.

The corpora are all slices of the package and the reference of the evaluation. The plain sentences are the floor: texts
below it teach less than three sentences per label do.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from personagen.builder.core.errors import BackendError, raise_as

if TYPE_CHECKING:
    from personagen.metrics.texts.corpus import Corpus
    from personagen.metrics.texts.reference import Reference

FEATURES = {"embeddings": "", "TF-IDF": "tfidf_"}
"""Features of the classifiers, with the prefix of their keys."""


@dataclass(frozen=True, slots=True)
class SliceScore:
    """Macro-F1 on the test part of one real corpus, by training texts.

    Attributes:
        corpus: genre of a slice of the package ("comments", "dialogue" or "reports"), or name of the reference.
        features: "embeddings" or "TF-IDF".
        value: trained on the release; None: not measured, see `reason`.
        low: lower end of the 95 % interval; None: unknown.
        high: upper end.
        floor: trained on three plain sentences per label; None: see `reason`.
        real: trained on as many real texts of each label; None: not measured.
        floor_gap_low: lower end of the 95 % interval of `value` less `floor`, paired over test texts; None: unknown.
        floor_gap_high: upper end.
        n: training texts of the release; None: not measured.
        reason: why a value is missing; None: none is.

    """

    corpus: str
    features: str
    value: float | None
    low: float | None = None
    high: float | None = None
    floor: float | None = None
    real: float | None = None
    floor_gap_low: float | None = None
    floor_gap_high: float | None = None
    n: int | None = None
    reason: str | None = None

    def is_below_floor(self) -> bool:
        """Return whether the release teaches less than the plain sentences: by the interval, or by both values."""
        if self.value is None or self.floor is None:
            return False
        return self.value < self.floor if self.floor_gap_high is None else self.floor_gap_high < 0


def measure_slices(
    corpus: "Corpus",
    reference: "tuple[str, Corpus, Corpus | None]",
    embeddings: str | None,
    seed: int,
    load: Callable[[str], "Reference"] | None = None,
) -> dict[str, dict[str, Any]]:
    """Measure what the texts of a release teach about every bundled corpus and about the reference.

    Args:
        corpus: texts of the release.
        reference: name, training texts and test texts of the reference; None: 30 % of it are for testing.
        embeddings: name of a sentence-transformers model; None: the default model.
        seed: seed of all draws.
        load: loads a bundled corpus without the texts that the release may not be measured against. None: all texts.

    Returns:
        Per corpus the results of `yardsticks`, or the reason why there are none under "problem".

    """
    from personagen.metrics.texts.corpus import read_corpus
    from personagen.metrics.texts.language import is_mostly_in_other_language
    from personagen.metrics.texts.reference import SLICES, load_reference
    from personagen.metrics.utility.floor import read_plain

    name, real, test = reference
    plain = read_plain(corpus.labels or (), corpus.model)
    results = {}
    if name not in SLICES.values():
        results[f"{name} (reference)" if name in SLICES else name] = _result(corpus, real, test, plain, seed)
    foreign = is_mostly_in_other_language(corpus.texts, "en")
    for genre, source in SLICES.items():
        if foreign:
            results[genre] = {"problem": "the texts are mostly not in English, and this corpus is"}
            continue
        if source == name:
            results[genre] = _result(corpus, real, test, plain, seed)
            continue
        bundled = (load or load_reference)(source)
        with raise_as(BackendError):
            parts = [
                read_corpus(bundled.texts, bundled.labels, embeddings),
                read_corpus(bundled.test_texts, bundled.test_labels, embeddings),
            ]
        results[genre] = _result(corpus, parts[0], parts[1], plain, seed)
    return results


def _result(
    corpus: "Corpus", real: "Corpus", test: "Corpus | None", plain: "Corpus | None", seed: int
) -> dict[str, Any]:
    from personagen.metrics.utility.measure import yardsticks

    try:
        return yardsticks(corpus, real, test, plain, seed=seed)
    except ValueError as error:
        return {"problem": str(error)}


def read_slices(results: Mapping[str, Mapping[str, Any]]) -> Iterator[SliceScore]:
    """Yield the scores per corpus and features."""
    for corpus, result in results.items():
        for features, prefix in FEATURES.items():
            if "problem" in result:
                yield SliceScore(corpus, features, None, reason=result["problem"])
                continue
            low, high = result[f"{prefix}tstr_macro_f1_ci"] or (None, None)
            gap_low, gap_high = result[f"{prefix}tstr_floor_gap_ci"] or (None, None)
            floor = result[f"{prefix}floor_macro_f1"]
            yield SliceScore(
                corpus,
                features,
                result[f"{prefix}tstr_macro_f1"],
                low,
                high,
                floor,
                result[f"{prefix}trtr_macro_f1"],
                gap_low,
                gap_high,
                result["n_train"],
                result["floor_reason"] if floor is None else None,
            )


def below_floor(scores: Sequence[SliceScore]) -> list[str]:
    """Return the corpora about which a release teaches less than the plain sentences, with all values."""
    return [
        f"{score.corpus} {_number(score.value)} against {_number(score.floor)} ({score.features}; "
        f"{score.n} real texts: {_number(score.real)})"
        for score in scores
        if score.is_below_floor()
    ]


def slice_rows(scores: Sequence[SliceScore]) -> Iterator[tuple[str, str]]:
    """Yield metric and value of the card's rows; a corpus that was not measured has none."""
    for score in scores:
        if score.value is None:
            continue
        more = [f"95 %: {_number(score.low)} to {_number(score.high)}"] if score.low is not None else []
        more.append(f"three plain sentences per label: {_number(score.floor) or score.reason}")
        more.append(f"as many real texts: {_number(score.real)}")
        yield f"utility: macro-F1 on {score.corpus}, {score.features}", f"{_number(score.value)} ({'; '.join(more)})"


HEAD = ("utility: macro-F1 on real text", "here", "95 %", "plain sentences", "as many real texts", "fraction of real")


def slice_lines(scores: Sequence[SliceScore]) -> Iterator[str]:
    """Yield the scores as lines in columns, then the corpora that were not measured, once each."""
    rows = [HEAD, *(_cells(score) for score in scores if score.value is not None)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    for row in rows if len(rows) > 1 else ():
        cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        yield "  ".join([row[0].ljust(widths[0]), *cells]).rstrip()
    for corpus, reason in {score.corpus: score.reason for score in scores if score.reason}.items():
        missing = [score.features for score in scores if score.corpus == corpus and score.value is None]
        yield f"  {corpus}: {'not measured' if missing else 'no plain sentences'}: {reason}"


def _cells(score: SliceScore) -> tuple[str, ...]:
    interval = f"{_number(score.low)} to {_number(score.high)}" if score.low is not None else ""
    ratio = f"{score.value / score.real:.2f}" if score.value is not None and score.real else ""
    floor = _number(score.floor) + (" (above)" if score.is_below_floor() else "")
    return f"  {score.corpus}, {score.features}", _number(score.value), interval, floor, _number(score.real), ratio


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
