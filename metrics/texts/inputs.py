"""What is given to a metric, checked: texts, labels, embeddings, sizes. Messages say what, got, wanted."""

from collections.abc import Iterable, Sequence
from typing import SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, NDArray

Vectors = NDArray[np.float32]
"""Shape (n, d), one row a text, every row of length 1."""

UNIT_TOLERANCE = 1e-3
"""How far from 1 the length of a row may be: what half precision loses, and nothing more."""


def checked_texts(texts: object, name: str = "data") -> list[str]:
    """List texts, one or more.

    Raises:
        TypeError: it is one string, nothing to go through, or holds something that is no string.
        ValueError: there are none.

    """
    if isinstance(texts, str) or not isinstance(texts, Iterable):
        raise TypeError(f"{name} is {brief(texts)}, wanted a list of strings")
    found: list[str] = []
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"{name}[{number}] is {brief(text)}, wanted a string")
        found.append(text)
    if not found:
        raise ValueError(f"{name} is empty, wanted one text or more")
    return found


def checked_labels(labels: object, count: int, name: str = "labels") -> list[str]:
    """List labels, one a text; whole numbers become their digits.

    Raises:
        TypeError: it is no list, or holds something that is neither a string nor a whole number.
        ValueError: there are more or fewer than texts.

    """
    if isinstance(labels, str) or not isinstance(labels, Iterable):
        raise TypeError(f"{name} is {brief(labels)}, wanted a list of labels, one a text")
    found: list[str] = []
    for number, label in enumerate(labels):
        if isinstance(label, bool) or not isinstance(label, str | SupportsIndex):
            raise TypeError(f"{name}[{number}] is {brief(label)}, wanted a string or a whole number")
        found.append(label if isinstance(label, str) else str(label.__index__()))
    if len(found) != count:
        raise ValueError(f"{name} has {len(found)} entries, wanted {count}: one a text")
    return found


def checked_vectors(vectors: ArrayLike, count: int, name: str = "embeddings") -> Vectors:
    """Read embeddings as float32.

    Args:
        vectors: shape (count, d), every row of length 1.
        count: number of texts.
        name: what to call them in a message.

    Raises:
        TypeError: it is no array of numbers.
        ValueError: its shape is another, a number is not finite, or a row is not of length 1.

    """
    try:
        read = np.ascontiguousarray(vectors, dtype=np.float32)
    except (TypeError, ValueError):
        raise TypeError(f"{name} is {brief(vectors)}, wanted an array of numbers, one row a text") from None
    if read.ndim != 2 or read.shape[0] != count or read.shape[1] == 0:
        raise ValueError(f"{name} has the shape {read.shape}, wanted ({count}, d): one row a text")
    lengths = np.linalg.norm(read, axis=1)
    if not np.isfinite(lengths).all():
        raise ValueError(f"{name}[{int(np.argmin(np.isfinite(lengths)))}] is not finite, wanted numbers")
    worst = int(np.argmax(np.abs(lengths - 1)))
    if abs(float(lengths[worst]) - 1) > UNIT_TOLERANCE:
        raise ValueError(
            f"{name}[{worst}] has the length {float(lengths[worst]):.4g}, wanted 1; divide each row by its length"
        )
    return np.asarray(read / lengths[:, None].astype(np.float32))


def checked_number(value: object, name: str, least: int) -> int:
    """Read a whole number.

    Raises:
        TypeError: it is none.
        ValueError: it is below `least`.

    """
    if isinstance(value, bool) or not isinstance(value, SupportsIndex):
        raise TypeError(f"{name} is {brief(value)}, wanted a whole number of {least} or more")
    number = value.__index__()
    if number < least:
        raise ValueError(f"{name} is {brief(number)}, wanted {least} or more")
    return number


def rows_by_label(labels: Sequence[str]) -> dict[str, NDArray[np.intp]]:
    """Number the rows of each label, labels in alphabetical order."""
    coded = np.asarray(labels, dtype=object)
    return {label: np.flatnonzero(coded == label) for label in sorted(set(labels))}


def brief(value: object) -> str:
    """Show a value in a message, 60 characters at most and on one line."""
    shown = repr(value) if not isinstance(value, int) or abs(value) < 10**30 else "a number of more than 30 digits"
    shown = " ".join(shown.split())
    return shown if len(shown) <= 60 else f"{shown[:60]}..."
