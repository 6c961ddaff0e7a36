"""Cells of personas with target fractions: balanced attributes, and attributes whose shares the recipe sets.

Targets keep the association of the attributes as it is in the tables: the probabilities of the cells are scaled until
the margins are those of the recipe (iterative proportional fitting; Deming and Stephan, 1940).
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from personagen.builder.planning.personas.chances import Cell, Message

MAX_ROUNDS = 2000
"""Most rounds of fitting."""

MAX_FITTED_CELLS = 5_000_000
"""Most cells that are scaled over all rounds; a round scales each cell once per margin."""

TOLERANCE = 1e-9
"""Greatest distance of a margin from its target at which fitting ends."""

MAX_DISTANCE = 1e-3
"""Distance of a margin from its target from which the targets contradict each other."""

MAX_BLOCK = 60
"""Most personas of a block in which targets such as 3 : 1 are met exactly."""

GOLDEN_RATIO = 0.6180339887498949
"""Step between the starts of blocks: fractions that are no multiple of a block's share come out even over blocks."""

MAX_CACHED_BLOCKS = 64
"""Blocks of dealt cells in memory."""

Margin = tuple[tuple[int, ...], Mapping[Cell, float]]
"""Positions of labels in a cell, and the target fraction of each combination of them."""


@dataclass(frozen=True, slots=True)
class DealtCells:
    """The cell of each persona: blocks of personas in which every cell has its fraction, in shuffled order.

    Attributes:
        seed: seed of the recipe.
        cells: the cells.
        fractions: fraction of the personas in each; they sum to 1.
        block: personas per block.
        dealt: blocks dealt so far.

    """

    seed: int
    cells: tuple[Cell, ...]
    fractions: tuple[float, ...]
    block: int
    dealt: dict[int, list[Cell]] = field(default_factory=dict, compare=False, repr=False)

    def cell_of(self, number: int) -> Cell:
        """Return the cell of a persona; pure."""
        block, position = divmod(number, self.block)
        if block not in self.dealt:
            if len(self.dealt) >= MAX_CACHED_BLOCKS:
                del self.dealt[next(iter(self.dealt))]
            self.dealt[block] = self._deal(block)
        return self.dealt[block][position]

    def _deal(self, block: int) -> list[Cell]:
        """Deal the cells of a block: systematic sampling from a start that moves from block to block."""
        rng = random.Random(f"cells:{self.seed}:{block}")
        start = (random.Random(f"cells:{self.seed}").random() + block * GOLDEN_RATIO) % 1
        cells: list[Cell] = []
        edge = 0.0
        for cell, fraction in zip(self.cells, self.fractions, strict=True):
            edge += fraction * self.block
            while len(cells) < self.block and len(cells) + start < edge:
                cells.append(cell)
        cells += [self.cells[-1]] * (self.block - len(cells))  # the last edge can be below the block by rounding
        rng.shuffle(cells)
        return cells


def deal_cells(targets: Mapping[Cell, float], seed: int) -> DealtCells:
    """Deal cells to personas so that each has its target fraction; the order of the cells is drawn by the seed."""
    cells = sorted(targets)
    random.Random(f"cells:{seed}").shuffle(cells)
    fractions = tuple(targets[cell] for cell in cells)
    return DealtCells(seed, tuple(cells), fractions, _block_size(fractions))


def _block_size(fractions: Sequence[float]) -> int:
    """Return the least number of personas of which each cell can have its fraction exactly, at most about MAX_BLOCK."""
    for size in (len(fractions), *range(1, MAX_BLOCK + 1)):
        if all(abs(fraction * size - round(fraction * size)) < TOLERANCE * size for fraction in fractions):
            return int(size)
    return max(MAX_BLOCK, len(fractions))


def fit_cells(probabilities: Message, margins: Sequence[Margin]) -> dict[Cell, float]:
    """Scale the probabilities of cells until their margins are the targets, and return the fractions of the cells.

    Raises:
        ArithmeticError: no fractions of the possible cells have these margins; its argument is the label whose margin
            is farthest from its target, with fraction and target.

    """
    total = sum(probabilities.values())
    fractions = {cell: probability / total for cell, probability in probabilities.items() if probability}
    worst: tuple[float, Cell, float, float] = (0.0, (), 0.0, 0.0)
    for _ in range(min(MAX_ROUNDS, 1 + MAX_FITTED_CELLS // len(fractions))):
        worst = (0.0, (), 0.0, 0.0)
        for positions, targets in margins:
            margin = margin_of(fractions, positions)
            worst = max([worst, *((abs(margin.get(key, 0.0) - want), key, margin.get(key, 0.0), want)
                                  for key, want in targets.items())])  # fmt: skip
            for cell in fractions:
                key = tuple(cell[position] for position in positions)
                fractions[cell] *= targets.get(key, 0.0) / margin[key] if margin[key] else 0.0
        if worst[0] < TOLERANCE:
            break
    if worst[0] > MAX_DISTANCE:
        raise ArithmeticError(worst[1], worst[2], worst[3])
    scale = sum(fractions.values())
    return {cell: fraction / scale for cell, fraction in fractions.items() if fraction}


def margin_of(fractions: Mapping[Cell, float], positions: Sequence[int]) -> dict[Cell, float]:
    """Return the sums of fractions over the cells with the same labels at these positions."""
    margin: dict[Cell, float] = {}
    for cell, fraction in fractions.items():
        key = tuple(cell[position] for position in positions)
        margin[key] = margin.get(key, 0.0) + fraction
    return margin


def even_margin(cells: Iterable[Cell], positions: tuple[int, ...]) -> Margin:
    """Return equal targets for the combinations of labels at these positions that occur."""
    keys = sorted({tuple(cell[position] for position in positions) for cell in cells})
    return positions, dict.fromkeys(keys, 1 / len(keys))
