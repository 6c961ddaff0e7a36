"""Validation of the inputs of a metric: texts, labels, embeddings and sizes. Messages say what, got and wanted."""

from collections.abc import Iterable, Sequence
from typing import SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, NDArray

Vectors = NDArray[np.float32]
"""Shape (n, d): one row per text, every row of length 1."""

UNIT_TOLERANCE = 1e-3
"""Largest distance of a row's length from 1; half precision loses as much."""


def validate_texts(texts: object, name: str = "data") -> list[str]:
    """Return texts as a list.

    Raises:
        TypeError: `texts` is one string, is not iterable, or has an item that is not a string.
        ValueError: `texts` is empty.

    """
    if isinstance(texts, str) or not isinstance(texts, Iterable):
        raise TypeError(f"{name} is {brief(texts)}, wanted a list of strings")
    validated: list[str] = []
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"{name}[{number}] is {brief(text)}, wanted a string")
        validated.append(text)
    if not validated:
        raise ValueError(f"{name} is empty, wanted one text or more")
    return validated


def validate_labels(labels: object, count: int, name: str = "labels") -> list[str]:
    """Return labels, one per text, as a list of strings; whole numbers become their digits.

    Raises:
        TypeError: `labels` is not a list, or a label is neither a string nor a whole number.
        ValueError: their number is not `count`.

    """
    if isinstance(labels, str) or not isinstance(labels, Iterable):
        raise TypeError(f"{name} is {brief(labels)}, wanted a list of labels, one per text")
    validated: list[str] = []
    for number, label in enumerate(labels):
        if isinstance(label, bool) or not isinstance(label, str | SupportsIndex):
            raise TypeError(f"{name}[{number}] is {brief(label)}, wanted a string or a whole number")
        validated.append(label if isinstance(label, str) else str(label.__index__()))
    if len(validated) != count:
        raise ValueError(f"{name} has {len(validated)} entries, wanted {count}: one per text")
    return validated


def validate_vectors(vectors: ArrayLike, count: int, name: str = "embeddings") -> Vectors:
    """Return embeddings as float32 with rows of length exactly 1.

    Args:
        vectors: shape (count, d), every row of length 1.
        count: number of texts.
        name: name of the argument in messages.

    Raises:
        TypeError: `vectors` is not an array of numbers.
        ValueError: the shape is wrong, a number is not finite, or the length of a row is not 1.

    """
    try:
        array = np.ascontiguousarray(vectors, dtype=np.float32)
    except (TypeError, ValueError):
        raise TypeError(f"{name} is {brief(vectors)}, wanted an array of numbers, one row per text") from None
    if array.ndim != 2 or array.shape[0] != count or array.shape[1] == 0:
        raise ValueError(f"{name} has the shape {array.shape}, wanted ({count}, d): one row per text")
    lengths = np.linalg.norm(array, axis=1)
    if not np.isfinite(lengths).all():
        raise ValueError(f"{name}[{int(np.argmin(np.isfinite(lengths)))}] is not finite, wanted numbers")
    worst = int(np.argmax(np.abs(lengths - 1)))
    if abs(float(lengths[worst]) - 1) > UNIT_TOLERANCE:
        raise ValueError(
            f"{name}[{worst}] has the length {float(lengths[worst]):.4g}, wanted 1; divide each row by its length"
        )
    return np.asarray(array / lengths[:, None].astype(np.float32))


def validate_integer(value: object, name: str, least: int) -> int:
    """Return a whole number as `int`.

    Raises:
        TypeError: `value` is not a whole number.
        ValueError: `value` is below `least`.

    """
    if isinstance(value, bool) or not isinstance(value, SupportsIndex):
        raise TypeError(f"{name} is {brief(value)}, wanted a whole number of {least} or more")
    number = value.__index__()
    if number < least:
        raise ValueError(f"{name} is {brief(number)}, wanted {least} or more")
    return number


def rows_by_label(labels: Sequence[str]) -> dict[str, NDArray[np.intp]]:
    """Return the row numbers of each label, labels in alphabetical order."""
    array = np.asarray(labels, dtype=object)
    return {label: np.flatnonzero(array == label) for label in sorted(set(labels))}


def brief(value: object) -> str:
    """Return a value as one line of a message, cut after 60 characters."""
    shown = repr(value) if not isinstance(value, int) or abs(value) < 10**30 else "a number of more than 30 digits"
    shown = " ".join(shown.split())
    return shown if len(shown) <= 60 else f"{shown[:60]}..."
