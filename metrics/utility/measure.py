"""All measures of utility together: what classifiers learn from synthetic texts for reading real ones."""

import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.texts.corpus import Corpus
from personagen.metrics.texts.embeddings import GIVEN, embed
from personagen.metrics.texts.emotion_words import mask_words
from personagen.metrics.texts.inputs import rows_by_label
from personagen.metrics.utility.augmentation import augmentation
from personagen.metrics.utility.finetune import FineTuned
from personagen.metrics.utility.leakage import overlaps_test
from personagen.metrics.utility.probe import codes, read_vectors, read_words
from personagen.metrics.utility.transfer import Setting, balanced, macro_f1, transfer

HELD_OUT = 0.3
"""Share of the reference that is the test part where none is given."""

FEWEST = 5
"""Texts of a class that each of the three parts needs."""


def utility(
    corpus: Corpus,
    reference: Corpus,
    test: Corpus | None = None,
    *,
    seed: int = 0,
    sample_size: int | None = None,
    model: str | None = None,
) -> dict[str, Any]:
    """Measure how useful labelled texts are for training a classifier of real ones.

    Args:
        corpus: the texts, with labels.
        reference: real texts to train on, with labels.
        test: real texts to test on, with labels; None for a part of the reference, 30 % of each label.
        seed: of all draws.
        sample_size: training texts of each side; None for as many as both have of each class.
        model: name of an encoder that is fine-tuned besides; None for the probes alone.

    Returns:
        A flat dictionary, described in the card of the metric; None stands where there is no number.

    Raises:
        ValueError: labels are missing, or fewer than two are common to all parts with five texts each.

    """
    sides = (corpus, reference) if test is None else (corpus, reference, test)
    if any(side.labels is None for side in sides):
        raise ValueError("labels or reference_labels are missing, wanted one per text: utility is about labels")
    train, held = (reference, test) if test is not None else _split(reference, seed)
    dropped = {"synthetic": overlaps_test(corpus, held), "real": overlaps_test(train, held)}
    _warn_of(dropped)
    made, real = corpus.take(np.flatnonzero(~dropped["synthetic"])), train.take(np.flatnonzero(~dropped["real"]))
    classes = _common(made, real, held)
    made, real, held = (_only(side, classes) for side in (made, real, held))
    setting = Setting(made, real, held, classes, _each(made, real, classes, sample_size), seed)
    result: dict[str, Any] = {
        "n": len(corpus),
        "n_test": len(held),
        "n_train": setting.each * len(classes),
        "labels_used": len(classes),
        "labels_left_out": len(set(corpus.labels or []) - set(classes)),
        "leaked_rows": {name: int(rows.sum()) for name, rows in dropped.items()},
        **transfer(setting, read_vectors),
    }
    by_words = transfer(setting, read_words)
    result |= {f"tfidf_{name}": value for name, value in by_words.items() if name[:2] in ("ts", "tr")}
    result |= {**_bounds(setting), "augmentation": augmentation(setting, read_vectors)}
    return {**result, **_fine_tuned(setting, model), "seed": seed, "embedding_model": corpus.model}


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
    """Hold out a part of each label."""
    generator = np.random.default_rng([seed, 14])
    test: list[int] = []
    for rows in rows_by_label(reference.labels or []).values():
        test.extend(generator.permutation(rows)[: int(len(rows) * HELD_OUT)].tolist())
    held = np.zeros(len(reference), dtype=bool)
    held[test] = True
    return reference.take(np.flatnonzero(~held)), reference.take(np.flatnonzero(held))


def _common(*sides: Corpus) -> list[str]:
    """List the labels of which every part has enough.

    Raises:
        ValueError: there are fewer than two.

    """
    counts = [{label: len(rows) for label, rows in rows_by_label(side.labels or []).items()} for side in sides]
    common = sorted(label for label in counts[0] if all(count.get(label, 0) >= FEWEST for count in counts))
    if len(common) < 2:
        names = " and ".join([", ".join(sorted(counts[0])[:10]), ", ".join(sorted(counts[1])[:10])])
        raise ValueError(
            f"{len(common)} labels have {FEWEST} texts or more in every part, wanted two or more; the labels are "
            f"{names:.200}"
        )
    return common


def _each(made: Corpus, real: Corpus, classes: Sequence[str], wanted: int | None) -> int:
    least = min(len(rows) for side in (made, real) for rows in rows_by_label(side.labels or []).values())
    if wanted is None:
        return least
    each = wanted // len(classes)
    if not 1 <= each <= least:
        raise ValueError(
            f"sample_size is {wanted}, wanted {len(classes)} to {least * len(classes)}: the rarest of {len(classes)} "
            f"labels has {least} texts"
        )
    return each


def _only(corpus: Corpus, classes: Sequence[str]) -> Corpus:
    wanted = set(classes)
    return corpus.take([row for row, label in enumerate(corpus.labels or []) if label in wanted])


def _bounds(setting: Setting) -> dict[str, float]:
    """Measure what no knowledge gives, and what all real texts give."""
    true = codes(setting.test.labels or [], setting.classes)
    count = len(setting.classes)
    most = np.full(len(true), np.bincount(true).argmax())
    told = read_vectors(setting.real, setting.test, setting.classes)
    return {"utility_floor_majority": macro_f1(most, true, count), "utility_ceiling": macro_f1(told, true, count)}


def _fine_tuned(setting: Setting, model: str | None) -> dict[str, Any]:
    """Train an encoder, if there is one, on one draw of each side."""
    if model is None:
        return {}
    true = codes(setting.test.labels or [], setting.classes)
    found: dict[str, Any] = {"finetuned_model": model}
    read = FineTuned(model, setting.seed)
    for name, side in (("tstr", setting.synthetic), ("trtr", setting.real)):
        train = balanced(side, setting.classes, setting.each, setting.seed)
        told = read(train, setting.test, setting.classes)
        found[f"finetuned_{name}_macro_f1"] = macro_f1(told, true, len(setting.classes))
    return found


def _warn_of(dropped: Mapping[str, NDArray[np.bool_]]) -> None:
    made, real = (int(rows.sum()) for rows in dropped.values())
    if made or real:
        warnings.warn(
            f"{made} texts and {real} real training texts are nearly in the test part: they are left out of training",
            UserWarning,
            stacklevel=3,
        )
