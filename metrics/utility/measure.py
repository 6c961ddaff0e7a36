"""All measures of utility: the scores of classifiers trained on synthetic texts, on real test texts."""

import re
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.texts.corpus import Corpus, to_corpus
from personagen.metrics.texts.embeddings import GIVEN, embed
from personagen.metrics.texts.emotion_words import mask_words
from personagen.metrics.texts.inputs import rows_by_label
from personagen.metrics.utility.augmentation import augmentation
from personagen.metrics.utility.finetune import FineTuning
from personagen.metrics.utility.floor import floor_problem
from personagen.metrics.utility.leakage import overlaps_test
from personagen.metrics.utility.probe import codes, macro_f1, predict_from_vectors, predict_from_words
from personagen.metrics.utility.transfer import SIDES, TransferSetting, balanced, transfer

TEST_FRACTION = 0.3
"""Fraction of each label of the reference for testing, unless test texts are given."""

MIN_LABEL_TEXTS = 5
"""Texts that a label needs in each of the three parts."""


def utility(  # noqa: PLR0913 - the arguments of the metric
    corpus: Corpus | Sequence[str],
    reference: Corpus | Sequence[str],
    test: Corpus | Sequence[str] | None = None,
    *,
    seed: int = 0,
    sample_size: int | None = None,
    model: str | None = None,
    plain: Corpus | None = None,
) -> dict[str, Any]:
    """Measure the utility of labelled texts for training a classifier of real texts.

    Args:
        corpus: texts with labels; a list has none, and is refused.
        reference: real texts with labels, for training.
        test: real texts with labels, for testing; None: 30 % of each label of the reference.
        seed: seed of all draws.
        sample_size: training texts per side; None: the largest number that both sides have of every label.
        model: name of an encoder to fine-tune in addition; None: only the probes.
        plain: plain sentences of the labels, see `read_plain`; None: no floor.

    Returns:
        A flat dictionary, described in the card of the metric; None marks a value that is not defined.

    Raises:
        ValueError: labels are missing, or fewer than two labels have five texts in every part.

    """
    corpus, reference = to_corpus(corpus), to_corpus(reference, "reference_")
    test = None if test is None else to_corpus(test, "test_")
    setting, dropped = _setting(corpus, reference, test, seed, sample_size)
    result: dict[str, Any] = {
        "n": len(corpus),
        "n_test": len(setting.test),
        "n_train": sum(setting.counts()),
        "labels_used": len(setting.classes),
        "labels_left_out": len(set(corpus.labels or []) - set(setting.classes)),
        "leaked_rows": {name: int(rows.sum()) for name, rows in dropped.items()},
        **_with_both_features(setting, plain, SIDES),
    }
    result |= {**_bounds(setting), "augmentation": augmentation(setting, predict_from_vectors)}
    return {**result, **_fine_tuned(setting, model), "seed": seed, "embedding_model": corpus.model}


def yardsticks(
    corpus: Corpus, reference: Corpus, test: Corpus | None, plain: Corpus | None, *, seed: int = 0
) -> dict[str, Any]:
    """Compare what labelled texts teach with what plain sentences and as many real texts teach.

    In contrast to `utility`, labels need not be equally frequent: of each label both sides have as many texts as the
    side with fewer of them.

    Args:
        corpus: texts with labels.
        reference: real texts with labels, for training.
        test: real texts with labels, for testing; None: 30 % of each label of the reference.
        plain: plain sentences of the labels, see `read_plain`; None: no floor.
        seed: seed of all draws.

    Returns:
        Keys of `utility`: those of TSTR, TRTR and the floor, and the numbers of texts.

    Raises:
        ValueError: labels are missing, or fewer than two labels have five texts in every part.

    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of overlap, which `leaked_rows` counts
        setting, dropped = _setting(corpus, reference, test, seed, None)
    sides = [rows_by_label(side.labels or []) for side in (setting.synthetic, setting.real)]
    counts = [min(len(rows[label]) for rows in sides) for label in setting.classes]
    return {
        "n_test": len(setting.test),
        "n_train": sum(counts),
        "labels_used": len(setting.classes),
        "labels_left_out": len(set(corpus.labels or []) - set(setting.classes)),
        "leaked_rows": {name: int(rows.sum()) for name, rows in dropped.items()},
        **_with_both_features(replace(setting, per_class=counts), plain, ("tstr", "trtr")),
    }


def _with_both_features(setting: TransferSetting, plain: Corpus | None, sides: Collection[str]) -> dict[str, Any]:
    """Score classifiers on vectors and on TF-IDF, with the floor where there is one."""
    problem = floor_problem(plain, setting.test, setting.classes)
    if plain is not None and problem is None:
        classes = set(setting.classes)
        plain = plain.take([row for row, label in enumerate(plain.labels or []) if label in classes])
    usable = None if problem else plain
    same_width = usable is not None and usable.vectors.shape[1] == setting.test.vectors.shape[1]
    by_vectors = transfer(replace(setting, plain=usable if same_width else None), predict_from_vectors, sides)
    by_words = transfer(replace(setting, plain=usable), predict_from_words, sides)
    if problem is None and not same_width:
        problem = "the plain sentences cannot be encoded: embeddings were given"
    named = {f"tfidf_{name}": value for name, value in by_words.items() if name[:2] in ("ts", "tr", "fl")}
    return {**by_vectors, **named, "floor_reason": problem}


def _setting(
    corpus: Corpus, reference: Corpus, test: Corpus | None, seed: int, sample_size: int | None
) -> tuple[TransferSetting, Mapping[str, NDArray[np.bool_]]]:
    """Build training and test parts of the common labels; return them with the training texts that overlap the test."""
    if any(part is not None and part.labels is None for part in (corpus, reference, test)):
        raise ValueError("labels or reference_labels are missing, wanted one per text: utility is about labels")
    train, held_out = (reference, test) if test is not None else _split(reference, seed)
    dropped = {"synthetic": overlaps_test(corpus, held_out), "real": overlaps_test(train, held_out)}
    _warn_of_overlap(dropped)
    synthetic = corpus.take(np.flatnonzero(~dropped["synthetic"]))
    real = train.take(np.flatnonzero(~dropped["real"]))
    classes = _common_labels(synthetic, real, held_out)
    synthetic, real, held_out = (_of_labels(part, classes) for part in (synthetic, real, held_out))
    per_class = _per_class(synthetic, real, classes, sample_size)
    return TransferSetting(synthetic, real, held_out, classes, per_class, seed), dropped


def masked(corpus: Corpus, pattern: re.Pattern[str] | None) -> Corpus:
    """Replace every match of a pattern by [EMOTION] in all texts, and encode them anew.

    Raises:
        ValueError: the vectors were given, so the masked texts cannot be encoded.

    """
    if corpus.model == GIVEN:
        raise ValueError("mask_words changes texts whose embeddings were given; give the name of a model instead")
    texts = [mask_words(text, pattern) for text in corpus.texts]
    return Corpus(texts, corpus.labels, embed(texts, corpus.model).vectors, corpus.model)


def _split(reference: Corpus, seed: int) -> tuple[Corpus, Corpus]:
    """Divide a reference into training and test texts, label by label."""
    generator = np.random.default_rng([seed, 14])
    test_rows: list[int] = []
    for rows in rows_by_label(reference.labels or []).values():
        test_rows.extend(generator.permutation(rows)[: int(len(rows) * TEST_FRACTION)].tolist())
    is_test = np.zeros(len(reference), dtype=bool)
    is_test[test_rows] = True
    return reference.take(np.flatnonzero(~is_test)), reference.take(np.flatnonzero(is_test))


def _common_labels(*parts: Corpus) -> list[str]:
    """Return the labels with enough texts in every part.

    Raises:
        ValueError: there are fewer than two.

    """
    counts = [{label: len(rows) for label, rows in rows_by_label(part.labels or []).items()} for part in parts]
    common = sorted(label for label in counts[0] if all(count.get(label, 0) >= MIN_LABEL_TEXTS for count in counts))
    if len(common) < 2:
        names = " and ".join([", ".join(sorted(counts[0])[:10]), ", ".join(sorted(counts[1])[:10])])
        raise ValueError(
            f"{len(common)} labels have {MIN_LABEL_TEXTS} texts or more in every part, wanted two or more; the labels "
            f"are {names:.200}"
        )
    return common


def _per_class(synthetic: Corpus, real: Corpus, classes: Sequence[str], wanted: int | None) -> int:
    least = min(len(rows) for side in (synthetic, real) for rows in rows_by_label(side.labels or []).values())
    if wanted is None:
        return least
    per_class = wanted // len(classes)
    if not 1 <= per_class <= least:
        raise ValueError(
            f"sample_size is {wanted}, wanted {len(classes)} to {least * len(classes)}: the rarest of {len(classes)} "
            f"labels has {least} texts"
        )
    return per_class


def _of_labels(corpus: Corpus, labels: Sequence[str]) -> Corpus:
    wanted = set(labels)
    return corpus.take([row for row, label in enumerate(corpus.labels or []) if label in wanted])


def _bounds(setting: TransferSetting) -> dict[str, float]:
    """Score the most frequent class, and a classifier trained on all real texts."""
    true = codes(setting.test.labels or [], setting.classes)
    count = len(setting.classes)
    majority = np.full(len(true), np.bincount(true).argmax())
    predicted = predict_from_vectors(setting.real, setting.test, setting.classes)
    return {
        "utility_floor_majority": macro_f1(majority, true, count),
        "utility_ceiling": macro_f1(predicted, true, count),
    }


def _fine_tuned(setting: TransferSetting, model: str | None) -> dict[str, Any]:
    """Score an encoder fine-tuned on one draw of each side; nothing without a model."""
    if model is None:
        return {}
    true = codes(setting.test.labels or [], setting.classes)
    figures: dict[str, Any] = {"finetuned_model": model}
    predict = FineTuning(model, setting.seed)
    for name, side in (("tstr", setting.synthetic), ("trtr", setting.real)):
        train = balanced(side, setting.classes, setting.per_class, setting.seed)
        predicted = predict(train, setting.test, setting.classes)
        figures[f"finetuned_{name}_macro_f1"] = macro_f1(predicted, true, len(setting.classes))
    return figures


def _warn_of_overlap(dropped: Mapping[str, NDArray[np.bool_]]) -> None:
    synthetic, real = (int(rows.sum()) for rows in dropped.values())
    if synthetic or real:
        warnings.warn(
            f"{synthetic} texts and {real} real training texts are nearly in the test part: training leaves them out",
            UserWarning,
            stacklevel=4,
        )
