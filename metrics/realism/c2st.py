"""Classifier two-sample test: how well a classifier tells the texts from real ones that it has not seen."""

import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.texts.words import count_words, tokenise

FOLDS = 5

STRENGTH = 0.01
"""Inverse regularisation, for features of variance 1: weak classifiers overfit less than strong ones gain."""

FEWEST = 20
"""Texts a side below which nothing is told."""

Features = NDArray[np.float32] | NDArray[np.float64]


def groups_of(words: Sequence[Sequence[str]]) -> NDArray[np.intp]:
    """Number texts so that those of the same words share a number: they must not be on both sides of a fold."""
    numbers: dict[tuple[str, ...], int] = {}
    return np.array([numbers.setdefault(tuple(each), len(numbers)) for each in words], dtype=np.intp)


def c2st_auc(one: Features, other: Features, groups: NDArray[np.intp], seed: int) -> float | None:
    """Return the area under the ROC curve of a logistic regression, by 5 folds (Lopez-Paz and Oquab, arXiv 1610.06545).

    Repeated texts count once a side, and all texts of a group lie in one fold: a text that the classifier was trained
    on would be recognised, whatever it is like. The mean over folds: 0.5 where the sets cannot be told apart, 1 where
    they always can. None for fewer than 20 different texts on a side.

    Args:
        one: features of the texts, shape (n, f).
        other: features of real texts, shape (m, f).
        groups: number of the group of each row of both, shape (n + m,).
        seed: of the folds.

    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    side = np.repeat([0, 1], [len(one), len(other)])
    kept = np.unique(np.stack([groups, side]), axis=1, return_index=True)[1]
    sides = side[kept]
    if np.bincount(sides, minlength=2).min() < FEWEST:
        return None
    rows = np.concatenate([one, other])[kept]
    spread = rows.std(axis=0)
    rows = (rows - rows.mean(axis=0)) / np.where(spread > 0, spread, 1)
    found = []
    fold_of_group = np.random.default_rng([seed, 9]).permutation(int(groups.max()) + 1) % FOLDS
    folds = fold_of_group[groups[kept]]
    for fold in range(FOLDS):
        train, test = folds != fold, folds == fold
        if np.bincount(sides[test], minlength=2).min() == 0:
            continue
        fitted = LogisticRegression(C=STRENGTH, max_iter=200).fit(rows[train], sides[train])
        found.append(roc_auc_score(sides[test], fitted.decision_function(rows[test])))
    return float(np.mean(found)) if found else None


def style_of(texts: Sequence[str]) -> NDArray[np.float64]:
    """Describe how texts are written and not what they say, shape (n, 15).

    Length in words and characters, length of tokens, and shares of characters: letters, capitals, digits, white space,
    line breaks, stops, commas, exclamation marks, question marks, quotation marks, other signs, symbols with emoji.
    """
    return np.array([_style(text) for text in texts])


def _style(text: str) -> list[float]:
    tokens = tokenise(text)
    size = max(len(text), 1)
    kinds = [unicodedata.category(char) for char in text]
    signs = [char for char, kind in zip(text, kinds, strict=True) if kind[0] == "P"]
    named = [sum(char in group for char in signs) for group in (".…", ",;:", "!", "?", "\"'“”‘’«»")]
    return [
        float(np.log1p(count_words(text))),
        float(np.log1p(len(text))),
        sum(map(len, tokens)) / max(len(tokens), 1),
        sum(kind[0] == "L" for kind in kinds) / size,
        kinds.count("Lu") / size,
        kinds.count("Nd") / size,
        sum(char.isspace() for char in text) / size,
        text.count("\n") / size,
        *(count / size for count in named),
        (len(signs) - sum(named)) / size,
        sum(kind[0] == "S" for kind in kinds) / size,
    ]
