"""Measure the texts of all arms: in blocks of at most 1,000, each kept by what is in it, on all processors.

texts by seed and arm -> blocks -> vectors -> figures of each block, whole and in halves
"""

import hashlib
import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personagen.builder.core.errors import FolderError
from personagen.builder.core.files import explain, write_text
from personagen.builder.core.progress import Progress
from personagen.builder.evaluation.arms import ArmText, ReferenceParts
from personagen.builder.version import __version__

if TYPE_CHECKING:
    from personagen.metrics.emotion_classifiers import LinearClassifier
    from personagen.metrics.panel import Block, Real
    from personagen.metrics.statistics.paired import Blocks
    from personagen.metrics.texts.corpus import Corpus

BLOCK = 1000
"""Texts of a block at most: nearly every measure depends on their number, and some take the square of it."""

DRAWS = 10
"""Halves of each block where there are fewer than 10 blocks to tell the error from."""

ALONE = 1500
"""Texts up to which one process is as fast as several, which have to start."""


@dataclass(frozen=True, slots=True)
class Named:
    """A block with its arm and its key: the hash of all that its figures depend on."""

    arm: str
    key: str
    block: "Block"


def measure_arms(
    texts: Sequence[Mapping[str, Sequence[ArmText]]],
    rows: Sequence[Sequence[str]],
    real: ReferenceParts,
    folder: Path,
    progress: Progress,
) -> tuple[dict[str, dict[str, "Blocks"]], "LinearClassifier"]:
    """Measure every arm by every figure of the panel.

    Args:
        texts: by seed and arm.
        rows: ids of the planned rows by seed, in order.
        real: what to measure against.
        folder: where the figures of each block are kept.
        progress: receiver of steps and measured blocks.

    Returns:
        Values of blocks by arm and figure, less figures that some block has not; and the emotion classifier.

    Raises:
        FolderError: the figures cannot be kept.

    """
    from personagen.metrics.panel import VERSION

    progress.step("preparing the reference")
    panel = panel_of(real)
    sizes = [-(-len(ids) // BLOCK) for ids in rows]
    draws = DRAWS if sum(sizes) < DRAWS else 0
    base = json.dumps([VERSION, __version__, draws, real.name, digest_of(real), panel.classifier.facts.version])
    named = [
        each
        for seed, (arms, ids) in enumerate(zip(texts, rows, strict=True))
        for arm, written in arms.items()
        for each in _blocks(seed, arm, written, ids, base, panel)
    ]
    total = sum(len(each.block.corpus) for each in named)
    progress.step(f"measuring {total} texts of {len(texts[0])} arms against {len(panel.held.corpus)} of {real.name}")
    found = _measured(named, panel, draws, folder, progress, several=total > ALONE)
    return _by_arm(named, found), panel.classifier


def panel_of(real: ReferenceParts) -> "Real":
    """Prepare what all arms are measured against."""
    from personagen.metrics.diversity.clusters import centres_of
    from personagen.metrics.emotion_classifiers.linear import train_linear, vectors_of
    from personagen.metrics.panel import Real, f1_of, few_of
    from personagen.metrics.realism.measure import side_of
    from personagen.metrics.realism.mmd import bandwidth
    from personagen.metrics.texts.emotion_words import mask_pattern
    from personagen.metrics.texts.words import normalise
    from personagen.metrics.utility.measure import masked
    from personagen.metrics.utility.probe import predict_from_vectors

    classes = sorted(set(real.held.labels or ()))
    pattern = mask_pattern(frozenset(classes))
    few = few_of(real.held)
    masked_test, masked_few = masked(real.test, pattern), masked(few, pattern)
    alone = {
        "": f1_of(predict_from_vectors(few, real.test, classes), real.test, classes),
        "masked_": f1_of(predict_from_vectors(masked_few, masked_test, classes), masked_test, classes),
    }
    return Real(
        held=side_of(real.held),
        test=real.test,
        masked_test=masked_test,
        few=few,
        masked_few=masked_few,
        alone=alone,
        known=frozenset(normalise(text) for part in (real.pool, real.held, real.test) for text in part.texts),
        classifier=train_linear(real.held, real.test, real.name, partial(vectors_of, model=real.held.model)),
        classes=classes,
        width=bandwidth(real.held.vectors, 0),
        centres=centres_of(real.held.vectors, 0),
    )


def _blocks(
    seed: int, arm: str, written: Sequence[ArmText], ids: Sequence[str], base: str, panel: "Real"
) -> Iterator[Named]:
    """Deal the texts of an arm in one seed to blocks, in turns, so that each has all emotions."""
    from personagen.metrics.panel import Block
    from personagen.metrics.texts.emotion_words import mask_pattern, mask_words

    place = {id_: number for number, id_ in enumerate(ids)}
    count = -(-len(ids) // BLOCK)
    pattern = mask_pattern(frozenset(panel.classes))
    model = panel.held.corpus.model
    for number in range(count):
        part = [text for text in written if place[text.id] % count == number]
        labels = [text.label for text in part]
        personas = [text.persona_id and f"{seed}:{text.persona_id}" for text in part]
        block_seed = seed * 1000 + number
        facts = [[text.id, text.text, text.label, text.persona_id] for text in part]
        key = hashlib.sha256(json.dumps([base, block_seed, len(ids), facts]).encode()).hexdigest()[:32]
        yield Named(
            arm,
            key,
            Block(
                _corpus([text.text for text in part], labels, model),
                _corpus([mask_words(text.text, pattern) for text in part], labels, model),
                personas,
                [place[text.id] // count for text in part],
                len(range(number, len(ids), count)),
                block_seed,
            ),
        )


def _corpus(texts: list[str], labels: list[str], model: str) -> "Corpus":
    from personagen.metrics.texts.corpus import read_corpus

    return read_corpus(texts, labels, model)


def _measured(
    named: Sequence[Named], panel: "Real", draws: int, folder: Path, progress: Progress, *, several: bool
) -> dict[str, dict[str, Any]]:
    """Measure the blocks that have not been, and keep the figures of each as soon as it has been measured."""
    found = {each.key: kept for each in named if (kept := _kept(folder / f"{each.key}.json")) is not None}
    missing = {each.key: each.block for each in named if each.key not in found}
    work = partial(_work, panel=panel, draws=draws)
    processes = min(os.cpu_count() or 1, len(missing)) if several else 1
    progress.advance(len(found), len(named))
    for key, figures in _mapped(work, missing, processes):
        _keep(folder / f"{key}.json", figures)
        found[key] = figures
        progress.advance(len(found), len(named))
    return found


def _mapped(
    work: Callable[["Block"], dict[str, Any]], blocks: Mapping[str, "Block"], processes: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    if processes < 2:
        yield from ((key, work(block)) for key, block in blocks.items())
        return
    # Spawned, for a fork of a process that has threads may lock up.
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from zip(blocks, pool.map(work, blocks.values()), strict=True)


def _work(block: "Block", panel: "Real", draws: int) -> dict[str, Any]:
    from threadpoolctl import threadpool_limits

    from personagen.metrics.panel import measure

    with threadpool_limits(1):  # several threads add up in another order, and processes would fight for processors
        whole, halves = measure(block, panel, draws)
    return {"whole": whole, "halves": halves}


def _kept(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {"whole": found["whole"], "halves": found["halves"]}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _keep(path: Path, figures: Mapping[str, Any]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FolderError(f"cannot make {path.parent}: {explain(error)}") from error
    write_text(path, json.dumps(figures) + "\n")


def _by_arm(named: Sequence[Named], found: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, "Blocks"]]:
    import numpy as np

    from personagen.metrics.statistics.paired import Blocks

    arms: dict[str, list[Mapping[str, Any]]] = {}
    for each in named:
        arms.setdefault(each.arm, []).append(found[each.key])
    result: dict[str, dict[str, Blocks]] = {}
    for arm, blocks in arms.items():
        result[arm] = {}
        for name in blocks[0]["whole"]:
            wholes = [block["whole"][name] for block in blocks]
            if any(value is None for value in wholes):
                continue
            halves = [[half[name] for half in block["halves"]] for block in blocks]
            if any(value is None for row in halves for value in row):
                halves = [[] for _ in blocks]
            result[arm][name] = Blocks(
                np.array(wholes, dtype=float), np.array(halves, dtype=float).reshape(len(blocks), -1)
            )
    return result


def digest_of(real: ReferenceParts) -> str:
    """Hash all real texts, their labels and the part that each is in (16 hex digits)."""
    parts = [[list(part.texts), list(part.labels or ())] for part in (real.pool, real.held, real.test)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
