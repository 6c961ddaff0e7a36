"""Conditions of `personas.where` on the values of a source, and the cells of `balance` and `weights`."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from typing import Any

from personagen.builder.planning.personas.sources.scanning import RowFilter

_BAND = re.compile(r"(\d{1,3})-(\d{1,3})")
"""A band of ages, which stands for its years."""


def predicate(accepted: Any) -> Callable[[Any], bool]:
    """Return a predicate for a condition on one attribute: a value, a list, {min, max}, or {not: one of these}.

    Unlike conditions on drawn personas, it knows no vocabulary: a source may have any value.

    `*` in a text stands for any characters. A missing value (None) meets `not` alone.
    """
    if isinstance(accepted, Mapping) and "not" in accepted:
        refused = predicate(accepted["not"])
        return lambda value: not refused(value)
    if isinstance(accepted, Mapping):
        least, greatest = accepted.get("min", float("-inf")), accepted.get("max", float("inf"))
        return lambda value: (number := _number(value)) is not None and least <= number <= greatest
    values = accepted if isinstance(accepted, list | tuple) else [accepted]
    bands = [tuple(map(int, band.groups())) for value in values if (band := _BAND.fullmatch(str(value)))]
    patterns = [re.compile(".*".join(map(re.escape, str(value).split("*"))), re.DOTALL) for value in values]

    def is_accepted(value: Any) -> bool:
        if isinstance(value, int) and any(low <= value <= high for low, high in bands):
            return True
        return value is not None and any(pattern.fullmatch(str(value)) for pattern in patterns)

    return is_accepted


def _number(value: Any) -> float | None:
    try:
        return None if value is None else float(value)
    except ValueError:
        return None


def row_filter(where: Mapping[str, Any], balance: Sequence[str], weights: Iterable[str]) -> RowFilter:
    """Return which rows may be chosen; balanced ages are balanced by band."""
    strata = tuple("age_band" if name == "age" else name for name in (*balance, *weights))
    return RowFilter({name: predicate(accepted) for name, accepted in where.items()}, strata)


def cell_shares(
    cells: Iterable[tuple[Any, ...]], balance: Sequence[str], weights: Mapping[str, Mapping[str, float]]
) -> dict[tuple[Any, ...], float] | None:
    """Return the share of each cell: the product of its weights, even over the balanced attributes.

    None: there are neither. The cells of equal weights share what the weights give them.
    """
    if not balance and not weights:
        return None
    present = list(cells)
    start = len(balance)
    shares = dict.fromkeys(present, 1.0)
    for cell in present:
        for value, weight in zip(cell[start:], weights.values(), strict=True):
            shares[cell] *= weight.get(str(value), 0.0)
    for combination in product(*weights.values()):
        same = [cell for cell in present if tuple(map(str, cell[start:])) == combination]
        for cell in same:
            shares[cell] /= len(same)
    return {cell: share for cell, share in shares.items() if share > 0}
