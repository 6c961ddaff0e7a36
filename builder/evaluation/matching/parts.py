"""Divide a reference into the pool, which a match uses, and the test part, which it scores once at the end."""

import hashlib
import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from personagen.builder.core.errors import BackendError, RecipeError, raise_as
from personagen.builder.evaluation.matching.usable_texts import UsableTexts

if TYPE_CHECKING:
    from personagen.metrics.texts.corpus import Corpus

TEST_FRACTION = 0.3
"""Fraction of the texts of each label for the test part, where the reference has no test split."""

FOLDS = 4
"""Parts of the pool for cross-validation."""

MIN_TEST_TEXTS = 2
"""Least texts per label in the reference's own test split; with fewer of a label, the reference is divided anew."""


@dataclass(frozen=True, slots=True, eq=False)
class MatchParts:
    """A reference in two parts.

    Attributes:
        name: name of the reference.
        pool: texts for the profile, examples, real yardsticks and cross-validation.
        test: texts that nothing but the last measurement sees.
        folds: number of the fold of each text of the pool.
        has_own_test: whether the test part is the reference's own test split.
        near_test: texts that the pool lost because they nearly repeat a text of the test part.

    """

    name: str
    pool: "Corpus"
    test: "Corpus"
    folds: Sequence[int]
    near_test: int
    has_own_test: bool = False

    @property
    def classes(self) -> list[str]:
        """Labels, in alphabetical order; empty without labels."""
        return sorted(set(self.pool.labels or ()))

    def digest(self) -> str:
        """Return the hash of all texts, their labels and their parts (16 hex digits)."""
        parts = [[list(part.texts), list(part.labels or ())] for part in (self.pool, self.test)]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def divide(texts: UsableTexts, embeddings: str | None, seed: int) -> MatchParts:
    """Divide the usable texts of a reference, and encode them.

    Texts of the pool that repeat one of the test part, or nearly, are left out; see `overlaps_test`.

    Args:
        texts: the texts.
        embeddings: name of a sentence-transformers model; None: the default model.
        seed: seed of the division.

    Raises:
        BackendError: the embedding model cannot be loaded.
        RecipeError: too few texts of a label remain in the pool.

    """
    from personagen.metrics.texts.corpus import read_corpus
    from personagen.metrics.utility.leakage import overlaps_test

    rows = list(texts.texts)
    labels = [text.emotion or "" for text in rows] if texts.is_labelled else None
    own_rows = _own_test_rows(texts)
    test_rows = _drawn_test_rows(texts, seed) if own_rows is None else own_rows
    with raise_as(BackendError):
        whole = read_corpus([text.text for text in rows], labels, embeddings, "reference_")
    test = whole.take(sorted(test_rows))
    rest = whole.take([row for row in range(len(rows)) if row not in test_rows])
    is_near = overlaps_test(rest, test)
    pool = rest.take([row for row in range(len(rest)) if not is_near[row]])
    _require_pool(texts.name, pool, len(rest) - len(pool), sorted(set(labels or ())))
    near = len(rest) - len(pool)
    return MatchParts(texts.name, pool, test, _folds(pool, seed), near, has_own_test=own_rows is not None)


def _own_test_rows(texts: UsableTexts) -> set[int] | None:
    """Return the positions of the reference's own test split; None: it has none, or a label lacks texts on a side."""
    by_label = _by_label([text.emotion or "" for text in texts.texts])
    own = {row for row, text in enumerate(texts.texts) if text.is_test}
    counts = Counter(texts.texts[row].emotion or "" for row in own)
    is_enough = all(MIN_TEST_TEXTS <= counts[label] <= len(rows) - FOLDS for label, rows in by_label.items())
    return own if own and is_enough else None


def _drawn_test_rows(texts: UsableTexts, seed: int) -> set[int]:
    """Draw 30 % of the texts of each label."""
    by_label = _by_label([text.emotion or "" for text in texts.texts])
    chosen: set[int] = set()
    for label, rows in by_label.items():
        chosen.update(random.Random(f"test part:{seed}:{label}").sample(rows, int(len(rows) * TEST_FRACTION)))
    return chosen


def _folds(pool: "Corpus", seed: int) -> list[int]:
    """Deal the texts of each label to the folds in turn, in random order."""
    folds = [0] * len(pool)
    turn = 0
    for label, rows in _by_label(pool.labels or [""] * len(pool)).items():
        for row in random.Random(f"folds:{seed}:{label}").sample(rows, len(rows)):
            folds[row] = turn % FOLDS
            turn += 1
    return folds


def _by_label(labels: Sequence[str]) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = {}
    for row, label in enumerate(labels):
        groups.setdefault(label, []).append(row)
    return dict(sorted(groups.items()))


def _require_pool(name: str, pool: "Corpus", near: int, labels: Sequence[str]) -> None:
    counts = Counter(pool.labels or ())
    poor = [f"{label} {counts[label]}" for label in labels if counts[label] < FOLDS]
    if poor or len(pool) < FOLDS:
        raise RecipeError(
            f"reference {name}: {near} texts nearly repeat the test part and leave too few beside it "
            f"({', '.join(poor) or len(pool)}), wanted {FOLDS} or more per label; remove duplicates and add texts"
        )
