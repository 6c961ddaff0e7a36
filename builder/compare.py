"""The experiment of the paper, on the user's own model, emotions and real texts: does conditioning on personas help?

    recipe + reference -> arms x seeds -> texts -> measures -> paired differences -> verdicts -> a folder

The folder holds what was found (results.json), the same as tables (results.md) and as a page (report.html), the texts
of every arm, and what must not be lost: the journal of replies and the figures of every block.
"""

import asyncio
import json
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from personagen.builder.arms import ARMS, USES, Setting, fewest
from personagen.builder.connect import connect
from personagen.builder.errors import BackendError, FolderError, RecipeError
from personagen.builder.files import explain, write_text
from personagen.builder.generate import start_engine
from personagen.builder.journal import Journal
from personagen.builder.names import nearest
from personagen.builder.plan import make_plan, split_quota
from personagen.builder.progress import Status
from personagen.builder.recipe import Recipe, Splits
from personagen.builder.write_arms import VERBALIZED, Written, write_arms

if TYPE_CHECKING:
    from personagen.metrics.corpus import Corpus

ROWS, SEEDS = 210, 3
RUN = "run"
"""Folder within that of the comparison that holds the journal, the lock and the figures of every block."""


@dataclass(frozen=True, slots=True)
class Options:
    """What to compare.

    Attributes:
        reference: see `evaluate.Options`.
        rows: texts of every arm, over all seeds.
        seeds: independent parts, each with personas and draws of its own.
        arms: names; None for all.
        embeddings: name of a sentence-transformers model; None for the default one.

    """

    reference: str = "goemotions"
    rows: int = ROWS
    seeds: int = SEEDS
    arms: tuple[str, ...] | None = None
    embeddings: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class RealTexts:
    """Real texts in three parts that share none.

    Attributes:
        name: of the reference.
        pool: what arms may use.
        held: what texts are measured against, and what the label checker is trained on.
        test: what classifiers are tested on.

    """

    name: str
    pool: "Corpus"
    held: "Corpus"
    test: "Corpus"


def chosen_arms(names: Sequence[str] | None) -> list[str]:
    """Order the names of arms, with those that they use.

    Raises:
        RecipeError: one is unknown.

    """
    wanted: set[str] = set()
    for name in names or ARMS:
        plain = name.removesuffix(VERBALIZED)
        if plain not in ARMS:
            raise RecipeError(f"unknown arm {name!r:.60}{nearest(plain, ARMS)}; known: {', '.join(ARMS)}")
        if plain != name and plain in ("retrieval", "real"):
            raise RecipeError(f"arm {name!r} has nothing to sample: no model writes it; leave {VERBALIZED!r} out")
        wanted |= {name, *USES.get(plain, ())}
    plain_first = [name + end for name in ARMS for end in ("", VERBALIZED)]
    return [name for name in plain_first if name in wanted]


def part_recipe(recipe: Recipe, options: Options, number: int) -> Recipe:
    """Make the recipe of one seed: the full method, its share of the rows, no splits.

    Raises:
        RecipeError: there are fewer rows than emotions.

    """
    names = recipe.chosen_taxonomy().names
    rows = options.rows // options.seeds + (number < options.rows % options.seeds)
    if rows < 2 * len(names):
        raise RecipeError(
            f"--rows {options.rows} over {options.seeds} seeds gives {rows} texts for {len(names)} emotions, wanted "
            f"{2 * len(names)} or more each; raise --rows, lower --seeds or name fewer emotions"
        )
    quotas = recipe.quotas and split_quota(rows, {name: count / recipe.rows for name, count in recipe.quotas.items()})
    changes = {
        "seed": recipe.seed + number,
        "rows": rows,
        "quotas": quotas,
        "depth": "situational",
        "ablations": (),
        "splits": Splits(train=1, validation=0, test=0),
    }
    return recipe.model_copy(update=changes)


def real_texts(options: Options, emotions: Sequence[str], most: int) -> RealTexts:
    """Read the reference, and divide it: the pool, what is held apart, and the test part.

    Args:
        options: names the reference.
        emotions: those that are compared; others are left out.
        most: rows of one emotion that an arm takes from the pool at most.

    Raises:
        RecipeError: the reference has too few texts of an emotion.
        BackendError: it, or the model of the embeddings, cannot be loaded.

    """
    import numpy as np

    from personagen.metrics.corpus import read_corpus
    from personagen.metrics.inputs import rows_by_label
    from personagen.metrics.reference import load_reference

    try:
        reference = load_reference(options.reference)
        if reference.labels is None:
            raise ValueError(f"reference {reference.name} has no labels, wanted one a text; name another one")
        train = read_corpus(reference.texts, reference.labels, options.embeddings, "reference_")
        test = None
        if reference.test_texts and reference.test_labels:
            test = read_corpus(reference.test_texts, reference.test_labels, options.embeddings, "test_")
    except (ValueError, ImportError) as error:
        raise BackendError(str(error)) from None
    parts: list[list[int]] = [[], [], []]
    generator = np.random.default_rng(20)
    for emotion in emotions:
        rows = generator.permutation(rows_by_label(train.labels or []).get(emotion, np.array([], dtype=np.intp)))
        cuts = [len(rows) // 2] * 2 if test else [2 * len(rows) // 5, 4 * len(rows) // 5]
        for part, found in zip(parts, (rows[: cuts[0]], rows[cuts[0] :] if test else rows[cuts[0] : cuts[1]],
                                       [] if test else rows[cuts[1] :]), strict=True):
            part.extend(found)
    pool, held = (train.take(sorted(part)) for part in parts[:2])
    if test is not None:
        test = test.take([row for row, label in enumerate(test.labels or []) if label in set(emotions)])
    real = RealTexts(reference.name, pool, held, test or train.take(sorted(parts[2])))
    _check(real, emotions, most)
    return real


def _check(real: RealTexts, emotions: Sequence[str], most: int) -> None:
    for emotion in emotions:
        has, wanted = fewest(real.pool, emotion), max(most, 10)
        if has < wanted or emotion not in (real.test.labels or ()):
            raise RecipeError(
                f"reference {real.name} has {has} texts of {emotion!r} for the arms that take real texts, wanted "
                f"{wanted} and some to test on; lower --rows, raise --seeds, name another --reference or leave the "
                "emotion out with --emotions"
            )
