"""Choose personas among the candidates of a source: many pairs of attribute values early, frequencies like its own.

As with drawn personas, each one is the best of DRAWS_PER_PERSONA candidates: the one with most pairs that no earlier
persona has, minus a penalty for values that are already more frequent than in the source. Candidates that are passed
over go to the end of the queue, so that a source with as many rows as personas is used up. Without cells, the first k
choices do not depend on the number of personas.
"""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from math import prod
from random import Random
from typing import Any

from personagen.builder.planning.personas.drawing import DRAWS_PER_PERSONA, MAX_DESIGNED, SURPLUS_PENALTY
from personagen.builder.planning.personas.sources.scanning import CandidateRow, Scan

BLOCK_ROUNDS = 8
"""Personas per cell within which cells are shuffled."""

Cell = tuple[Any, ...]
"""Values of the strata."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen rows of a source.

    Attributes:
        rows: candidates by number of the persona.
        pairs_met: distinct pairs of values of covered attributes that the designed personas have.
        pairs_possible: pairs of values that occur in the source, whether together or not.

    """

    rows: tuple[CandidateRow, ...]
    pairs_met: int
    pairs_possible: int


def candidates_for(count: int) -> int:
    """Return the candidates per cell that a choice of `count` personas looks at."""
    designed = min(count, MAX_DESIGNED)
    return DRAWS_PER_PERSONA * designed + count - designed


def choose_rows(scan: Scan, count: int, seed: int, shares: Mapping[Cell, float] | None = None) -> Choice:
    """Choose `count` rows; pure.

    Args:
        scan: candidates and frequencies; its cells must have `count` candidates together.
        count: number of personas.
        seed: seed of the recipe, which shuffles cells.
        shares: wanted fraction of the personas by cell, in any unit; cells that are left out have none. None: even.

    """
    queues = {cell: deque(rows) for cell, rows in scan.cells.items() if rows and (shares is None or shares.get(cell))}
    shares = {cell: 1.0 if shares is None else shares[cell] for cell in queues}
    positions = [number for number, name in enumerate(scan.covered) if _is_covered(scan.frequencies[name])]
    expected = [_fractions(scan.frequencies[scan.covered[position]]) for position in positions]
    surplus: Counter[tuple[int, Any]] = Counter()
    covered: set[tuple[int, Any, int, Any]] = set()
    chosen: list[CandidateRow] = []
    for cell in _cell_order({cell: len(queue) for cell, queue in queues.items()}, shares, count, seed):
        queue = queues[cell]
        if len(chosen) >= MAX_DESIGNED:
            best = queue.popleft()
        else:
            best, pairs = _best(queue, positions, expected, surplus, covered)
            covered |= pairs
            _add_surplus(best, positions, expected, surplus)
        chosen.append(best)
    sizes = [len(fractions) for fractions in expected]
    return Choice(tuple(chosen), len(covered), sum(map(prod, combinations(sizes, 2))))


def _is_covered(frequencies: Mapping[Any, int] | None) -> bool:
    return frequencies is not None and len(frequencies) > 1


def _fractions(frequencies: Mapping[Any, int] | None) -> dict[Any, float]:
    counts = frequencies or {}
    total = sum(counts.values())
    return {value: counts[value] / total for value in sorted(counts, key=str)}


def _cell_order(sizes: Mapping[Cell, int], shares: Mapping[Cell, float], count: int, seed: int) -> list[Cell]:
    """Return the cell of each persona: each time the one that lacks most, shuffled within blocks.

    Emotions are dealt to personas in turn, so that cells in turn would each get emotions of their own. Cells without
    candidates are left to the others.
    """
    left = dict(sorted(sizes.items(), key=repr))
    taken: Counter[Cell] = Counter()
    order: list[Cell] = []
    while len(order) < count:
        block: list[Cell] = []
        for number in range(len(order), min(len(order) + BLOCK_ROUNDS * len(sizes), count)):
            total = sum(shares[cell] for cell in left)
            needs = {cell: shares[cell] / total * (number + 1) - taken[cell] for cell in left}
            cell = max(left, key=needs.__getitem__)  # ties: the first
            block.append(cell)
            taken[cell] += 1
            left[cell] -= 1
            if not left[cell]:
                del left[cell]
        Random(f"cells:{seed}:{len(order)}").shuffle(block)
        order += block
    return order


def _best(
    queue: deque[CandidateRow],
    positions: list[int],
    expected: list[dict[Any, float]],
    surplus: Counter[tuple[int, Any]],
    covered: set[tuple[int, Any, int, Any]],
) -> tuple[CandidateRow, set[tuple[int, Any, int, Any]]]:
    """Remove the best of the first candidates, move the others to the end, and return it with its new pairs."""
    drawn = [queue.popleft() for _ in range(min(DRAWS_PER_PERSONA, len(queue)))]
    scored = []
    for candidate in drawn:
        values = [(p, candidate.values[p]) for p in positions if candidate.values[p] is not None]
        pairs = {(*one, *other) for one, other in combinations(values, 2)} - covered
        overshoot = sum(
            max(0.0, surplus[position, candidate.values[position]] + 1 - fractions[candidate.values[position]])
            for position, fractions in zip(positions, expected, strict=True)
            if candidate.values[position] is not None
        )
        scored.append((len(pairs) - SURPLUS_PENALTY * overshoot, pairs))
    best = max(range(len(drawn)), key=lambda number: scored[number][0])  # ties: the first
    queue.extend(candidate for number, candidate in enumerate(drawn) if number != best)
    return drawn[best], scored[best][1]


def _add_surplus(
    best: CandidateRow, positions: list[int], expected: list[dict[Any, float]], surplus: Counter[tuple[int, Any]]
) -> None:
    for position, fractions in zip(positions, expected, strict=True):
        value = best.values[position]
        if value is not None:
            for other, fraction in fractions.items():
                surplus[position, other] += (other == value) - fraction
