"""Measure the texts of all arms in blocks of at most 1,000, each saved by the hash of its content, on all processors.

texts by seed and arm -> blocks -> vectors -> figures of each block and of its halves -> values by arm and figure
"""

import hashlib
import json
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personagen.builder.core.errors import FolderError
from personagen.builder.core.files import explain, make_folder, write_text
from personagen.builder.core.progress import Progress
from personagen.builder.evaluation.arms import ArmText, ReferenceParts
from personagen.builder.planning.plan import RowPlan
from personagen.builder.version import __version__

if TYPE_CHECKING:
    from personagen.metrics.emotion_classifiers import LinearClassifier
    from personagen.metrics.panel import PanelReference, Sample
    from personagen.metrics.statistics.paired import Blocks

MAX_BLOCK_TEXTS = 1000
"""Texts per block: nearly every measure depends on their number, and the time of some on its square."""

DRAWS = 10
"""Halves per block if there are fewer than 10 blocks whose spread gives the error."""

MAX_SEQUENTIAL_TEXTS = 1500
"""Texts up to which one process is as fast as several with their start."""


AHEAD = 2
"""Blocks per process that are encoded before their turn."""


@dataclass(frozen=True, slots=True)
class ArmBlock:
    """Texts of one arm with a plan of their own.

    Attributes:
        arm: name of the arm.
        key: hash of all that the figures depend on.
        texts: the texts.
        positions: position of each text in the plan of the block, which all arms share.
        personas: persona of each row of that plan.
        share: number of the block, and number of all blocks of an arm, which share the test texts.
        seed: seed of the measurement, equal for all arms.
        part: number of the seed of the comparison.
        cell: number of the seed of the comparison and of the wording of all texts. None: the prompt has one wording.

    """

    arm: str
    key: str
    texts: Sequence[ArmText]
    positions: Sequence[int]
    personas: Sequence[int]
    share: tuple[int, int]
    seed: int
    part: int
    cell: tuple[int, int] | None = None


def measure_arms(
    texts: Sequence[Mapping[str, Sequence[ArmText]]],
    rows: Sequence[Sequence[RowPlan]],
    real: ReferenceParts,
    folder: Path,
    progress: Progress,
) -> tuple[dict[str, dict[str, "Blocks"]], "LinearClassifier"]:
    """Compute every figure of the panel for every arm.

    Args:
        texts: texts by seed and arm.
        rows: planned rows by seed, in order.
        real: real texts to compare with.
        folder: folder of the figures of each block.
        progress: receiver of steps and measured blocks.

    Returns:
        Values of blocks by arm and figure, without the figures that a block lacks; and the emotion classifier.

    Raises:
        FolderError: the figures cannot be saved.

    """
    from personagen.metrics.panel import VERSION

    progress.step("preparing the reference")
    reference = _reference_of(real)
    plans = [list(_divided(plan)) for plan in rows]
    counts = [len(plan) for plan in plans]
    draws = DRAWS if sum(counts) < DRAWS else 0
    base = json.dumps([VERSION, __version__, draws, real.name, digest_of(real), reference.classifier.facts.version])
    blocks = [
        block
        for seed, (arms, plan) in enumerate(zip(texts, plans, strict=True))
        for arm, written in arms.items()
        for block in _blocks((seed, sum(counts[:seed]), sum(counts)), arm, written, plan, base)
    ]
    total, held = sum(len(block.texts) for block in blocks), len(reference.held.corpus)
    progress.step(f"measuring {total} texts of {len(texts[0])} arms against {held} of {real.name}")
    figures = _measured(blocks, reference, draws, folder, progress)
    return _by_arm(blocks, figures), reference.classifier


def _reference_of(real: ReferenceParts) -> "PanelReference":
    """Train the emotion classifier, and prepare the real texts that all arms are compared with."""
    from personagen.metrics.emotion_classifiers.linear import train_linear, vectors_of
    from personagen.metrics.panel import reference_of
    from personagen.metrics.texts.emotion_words import mask_pattern
    from personagen.metrics.utility.measure import masked

    pattern = mask_pattern(frozenset(real.held.labels or ()))
    return reference_of(
        real.held,
        real.test,
        (text for part in (real.pool, real.held, real.test) for text in part.texts),
        train_linear(real.held, real.test, real.name, partial(vectors_of, model=real.held.model)),
        partial(masked, pattern=pattern),
    )


def _blocks(
    part: tuple[int, int, int], arm: str, written: Sequence[ArmText], plan: Sequence[Sequence[RowPlan]], base: str
) -> Iterator[ArmBlock]:  # fmt: skip
    """Yield the blocks of an arm in one seed.

    Args:
        part: number of the seed, number of the blocks of earlier seeds, and of all seeds.
        arm: name of the arm.
        written: its texts.
        plan: planned rows of each block.
        base: all else that the figures depend on.

    """
    seed, first, total = part
    wordings = sorted({row.wording for rows in plan for row in rows if row.wording is not None})
    places = {row.id: (number, position) for number, rows in enumerate(plan) for position, row in enumerate(rows)}
    parts: list[list[ArmText]] = [[] for _ in plan]
    for text in written:
        if text.id in places:
            parts[places[text.id][0]].append(text)
    for number, (rows, texts) in enumerate(zip(plan, parts, strict=True)):
        block_seed = seed * 1000 + number
        content = [[text.id, text.text, text.label, text.persona_id] for text in texts]
        personas = [row.persona for row in rows]
        cell = (seed, wordings.index(rows[0].wording)) if wordings and rows[0].wording is not None else None
        share = (first + number, total)
        key = hashlib.sha256(json.dumps([base, block_seed, personas, share, content]).encode()).hexdigest()[:32]
        positions = [places[text.id][1] for text in texts]
        yield ArmBlock(arm, key, texts, positions, personas, share, block_seed, seed, cell)


def _sample(block: ArmBlock, reference: "PanelReference") -> "Sample":
    """Encode the texts of a block."""
    from personagen.metrics.panel import sample_of
    from personagen.metrics.texts.corpus import read_corpus
    from personagen.metrics.texts.emotion_words import mask_pattern, mask_words

    pattern = mask_pattern(frozenset(reference.classes))
    model, labels = reference.held.corpus.model, [text.label for text in block.texts]
    return sample_of(
        read_corpus([text.text for text in block.texts], labels, model),
        read_corpus([mask_words(text.text, pattern) for text in block.texts], labels, model),
        [text.persona_id and f"{block.part}:{text.persona_id}" for text in block.texts],
    )


def _divided(plan: Sequence[RowPlan]) -> Iterator[list[RowPlan]]:
    """Yield the rows of each block, all of one wording: the personas are dealt to blocks at random.

    All rows of a persona in one wording are in one block, for blocks of a wording to be independent.
    """
    import numpy as np

    for wording in sorted({row.wording for row in plan}, key=str):
        rows = [row for row in plan if row.wording == wording]
        count = -(-len(rows) // MAX_BLOCK_TEXTS)
        personas = sorted({row.persona for row in rows})
        order = np.random.default_rng([len(personas), 24]).permutation(len(personas)).tolist()
        block_of = {persona: rank % count for persona, rank in zip(personas, order, strict=True)}
        for number in range(count):
            yield [row for row in rows if block_of[row.persona] == number]


def _measured(
    blocks: Sequence[ArmBlock], reference: "PanelReference", draws: int, folder: Path, progress: Progress
) -> dict[str, dict[str, Any]]:
    """Return the figures of all blocks by key, and save those of each block as soon as it is measured."""
    saved = {block.key: _load(folder / f"{block.key}.json") for block in blocks}
    figures = {key: value for key, value in saved.items() if value is not None}
    missing = {block.key: block for block in blocks if block.key not in figures}
    several = sum(len(block.texts) for block in blocks) > MAX_SEQUENTIAL_TEXTS
    processes = min(os.cpu_count() or 1, len(missing)) if several else 1
    progress.advance(len(figures), len(blocks))
    for key, measured in _mapped(
        partial(_measure, reference=reference, draws=draws), partial(_sample, reference=reference), missing, processes
    ):
        _save(folder / f"{key}.json", measured)
        figures[key] = measured
        progress.advance(len(figures), len(blocks))
    return figures


def _mapped(
    work: Callable[[ArmBlock, "Sample"], dict[str, Any]],
    encoded: Callable[[ArmBlock], "Sample"],
    blocks: Mapping[str, ArmBlock],
    processes: int,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the figures of blocks in their order; memory holds the vectors of a few blocks, however many there are."""
    if processes < 2:
        yield from ((key, work(block, encoded(block))) for key, block in blocks.items())
        return
    # A forked process may deadlock on locks of the parent's threads, hence spawn.
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting: deque[tuple[str, Future[dict[str, Any]]]] = deque()
        for key, block in blocks.items():
            waiting.append((key, pool.submit(work, block, encoded(block))))
            if len(waiting) > AHEAD * processes:
                first, future = waiting.popleft()
                yield first, future.result()
        yield from ((key, future.result()) for key, future in waiting)


def _measure(block: ArmBlock, sample: "Sample", reference: "PanelReference", draws: int) -> dict[str, Any]:
    from threadpoolctl import threadpool_limits

    from personagen.metrics.panel import measure_resampled

    with threadpool_limits(1):  # the sum over threads depends on their number, and processes share the processors
        whole, halves = measure_resampled(
            sample,
            block.positions,
            len(block.personas),
            reference,
            seed=block.seed,
            draws=draws,
            personas=block.personas,
            block=block.share,
        )
    return {"whole": whole, "halves": halves}


def _load(path: Path) -> dict[str, Any] | None:
    """Load the figures of a block; None: not saved, or damaged."""
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        return {"whole": saved["whole"], "halves": saved["halves"]}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _save(path: Path, figures: Mapping[str, Any]) -> None:
    try:
        make_folder(path.parent)
    except OSError as error:
        raise FolderError(f"cannot make {path.parent}: {explain(error)}") from error
    write_text(path, json.dumps(figures) + "\n")


def _by_arm(blocks: Sequence[ArmBlock], figures: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, "Blocks"]]:
    """Arrange the figures of blocks by arm and figure; halves count only if all have the figure."""
    import numpy as np

    from personagen.metrics.statistics.paired import Blocks

    by_arm: dict[str, list[Mapping[str, Any]]] = {}
    cells: dict[str, list[tuple[int, int]]] = {}
    freedom: dict[str, int] = {}
    for block in blocks:
        by_arm.setdefault(block.arm, []).append(figures[block.key])
        cells.setdefault(block.arm, []).extend([] if block.cell is None else [block.cell])
        freedom[block.arm] = freedom.get(block.arm, 0) + len(set(block.personas)) - 1
    result: dict[str, dict[str, Blocks]] = {}
    for arm, measured in by_arm.items():
        result[arm] = {}
        for name in measured[0]["whole"]:
            wholes = [values["whole"][name] for values in measured]
            if any(value is None for value in wholes):
                continue
            halves = [[half[name] for half in values["halves"]] for values in measured]
            if any(value is None for row in halves for value in row):
                halves = [[] for _ in measured]
            result[arm][name] = Blocks(
                np.array(wholes, dtype=float),
                np.array(halves, dtype=float).reshape(len(measured), -1),
                freedom[arm],
                np.array(cells[arm], dtype=np.intp) if cells[arm] else None,
            )
    return result


def digest_of(real: ReferenceParts) -> str:
    """Return the hash of all real texts, their labels and their parts (16 hex digits)."""
    parts = [[list(part.texts), list(part.labels or ())] for part in (real.pool, real.held, real.test)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
