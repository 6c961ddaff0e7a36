"""Load the real texts that prompts may show: the pool of a source, without texts that repeat its other parts."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from personagen.builder.core.errors import RecipeError, raise_as
from personagen.builder.planning.real_texts import (
    COPY_SUFFIX,
    ExampleDraw,
    PoolText,
    RealSource,
    TextPool,
    divide,
    is_copy,
    open_source,
    read_copy,
    source_id,
    terms_of,
    text_conflict,
    write_copy,
)
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.recipe.sections import TextSource
from personagen.builder.planning.styles import MAX_EXAMPLE_WORDS, as_line
from personagen.builder.writing.finalization.duplicate_index import DuplicateIndex
from personagen.metrics.texts.reference import FILE_SUFFIXES
from personagen.metrics.texts.words import count_words

TEST_WORDS = ("test", "testing", "eval", "evaluation", "validation", "valid", "val", "dev")
"""Words of a file name by which `datasets` takes the file for a test or validation split."""


def sources_of(recipe: Recipe) -> dict[str, TextSource]:
    """Return the sources of a recipe by their key in its section `grounding`."""
    return {} if recipe.grounding is None else recipe.grounding.sources()


def load_pools(recipe: Recipe) -> dict[str, TextPool]:
    """Load the texts that the prompts of a recipe may show, by key, and require enough of them.

    Raises:
        RecipeError: a source cannot be loaded, has no train part or too few texts of an emotion, or its licence forbids
            that of the recipe.

    """
    pools = {key: _load_pool(recipe, source, f"grounding.{key}") for key, source in sources_of(recipe).items()}
    for key, pool in pools.items():
        if conflict := text_conflict(pool.terms.license, recipe.license):
            raise RecipeError(
                f"grounding.{key}: {pool.name} is under {pool.terms.license}, the release under {recipe.license}, and "
                f"{conflict}; change `license`, or name another source"
            )
        for emotion, rows in recipe.quota().items():
            _require_texts(recipe, key, pool, emotion, rows)
    return pools


def _load_pool(recipe: Recipe, settings: TextSource, key: str) -> TextPool:
    if is_copy(settings.source):
        pool = read_copy(Path(settings.source))
        if pool is None:
            raise RecipeError(
                f"{key}: cannot read the copy {settings.source!r}; put back the file, or begin again with --fresh"
            )
        return replace(pool, terms=terms_of(settings, pool.terms))
    with raise_as(RecipeError, f"{key}.source: "):
        opened = open_source(settings.source)
        _require_train_part(opened)
    emotions, threshold = tuple(recipe.quota()), recipe.checks.near_duplicate
    texts, barred = _divided(opened, emotions, threshold)
    return TextPool(
        opened.reference.name, opened.digest, _scope(emotions, threshold), texts, barred, terms_of(settings)
    )


def _scope(emotions: tuple[str, ...], threshold: float) -> str:
    return hashlib.sha256(json.dumps([emotions, threshold]).encode()).hexdigest()[:16]


def _require_train_part(opened: RealSource) -> None:
    reference = opened.reference
    if reference.labels is None:
        raise ValueError(f"{reference.name} has no labels, wanted one emotion per text; name another source")
    if not reference.splits and (part := _test_word(reference.name)) is not None:
        raise ValueError(
            f"{reference.name} is a file of {part} texts by its name, wanted a train part: a prompt must not show "
            "texts on which classifiers are tested; name another source, or rename the file"
        )
    if reference.is_for_testing():
        raise ValueError(
            f"{reference.name} has only the split {', '.join(reference.splits)}, wanted a train part: a prompt must "
            "not show texts on which classifiers are tested; name another source"
        )


def _test_word(name: str) -> str | None:
    """Return the word in the name of a file by which `datasets` takes it for a test or validation split."""
    path = Path(name.lower().removesuffix(".gz"))
    words = re.split(r"[^a-z]+", path.stem) if path.suffix in FILE_SUFFIXES else []
    return next((word for word in words if word in TEST_WORDS), None)


@lru_cache(maxsize=8)
def _divided(
    opened: RealSource, emotions: tuple[str, ...], threshold: float
) -> tuple[Mapping[str, list[PoolText]], frozenset[int]]:
    """Return the short texts of the pool by emotion, and the rows of those that nearly repeat another part's text."""
    reference = opened.reference
    labels = reference.labels or []
    pool, held, test = divide(reference, emotions)
    texts: dict[str, list[PoolText]] = {emotion: [] for emotion in emotions}
    for row in pool:
        if count_words(reference.texts[row]) <= MAX_EXAMPLE_WORDS:
            texts[labels[row]].append(PoolText(row, as_line(reference.texts[row])))
    everything = [*reference.texts, *reference.test_texts]
    # All test texts, not those of the compared emotions alone: another evaluation may take the others.
    apart = [everything[row] for row in held + [row for row in test if row < len(reference.texts)]]
    with DuplicateIndex(threshold) as index:
        for text in (*apart, *reference.test_texts, *reference.other_texts):
            index.add("", index.fingerprint(text))
        barred = {
            text.row for part in texts.values() for text in part if index.find(index.fingerprint(text.text)) is not None
        }
    return texts, frozenset(barred)


def _require_texts(recipe: Recipe, key: str, pool: TextPool, emotion: str, rows: int) -> None:
    """Raise RecipeError if a pool has too few texts of an emotion for its rows."""
    available, examples = pool.available(emotion), recipe.grounding.examples if recipe.grounding else None
    have = (
        f"grounding.{key}: {pool.name} has {available:,} texts of {emotion!r} that prompts may show (half of the train "
        f"part, of at most {MAX_EXAMPLE_WORDS} words)"
    )
    advice = "name another source or leave the emotion out with `emotions`"
    if not available:
        known = ", ".join(name for name, texts in pool.texts.items() if texts)[:200] or "none of the recipe's emotions"
        raise RecipeError(f"{have}, wanted one or more; it has texts of {known}: {advice}")
    if key == "paraphrase" and available < rows:
        raise RecipeError(f"{have}, wanted one for each of {rows:,} rows; lower rows, {advice}")
    if key != "examples" or examples is None:
        return
    if available < examples.count:
        raise RecipeError(f"{have}, wanted count = {examples.count}; lower count, {advice}")
    most = ExampleDraw(pool, 0, examples.count, examples.max_uses).most_rows(emotion)
    if most is not None and most < rows:
        raise RecipeError(
            f"{have}, enough for {most:,} rows that see {examples.count} each with max_uses = {examples.max_uses}, "
            f"wanted {rows:,} rows; raise max_uses, lower count, or {advice}"
        )


def with_kept_texts(recipe: Recipe, folder: Path) -> Recipe:
    """Write the real texts of a recipe to the folder of a run, and return the recipe that takes them from there.

    Raises:
        RecipeError: see `load_pools`.
        FolderError: a copy cannot be written.

    """
    pools = load_pools(recipe)
    for key, pool in pools.items():
        if not is_copy(sources_of(recipe)[key].source):
            write_copy(pool, folder / f"{key}{COPY_SUFFIX}")
    return _with_sources(recipe, {key: folder / f"{key}{COPY_SUFFIX}" for key in pools})


def begun_recipe(recipe: Recipe, folder: Path, warn: Callable[[str], None]) -> Recipe:
    """Return the recipe with the real texts that an earlier run of it has kept; they may have vanished since.

    Args:
        recipe: the recipe; without real texts it is returned as it is.
        folder: folder of the copies, which may be missing.
        warn: receives the warning that a source has changed.

    """
    kept = {}
    for key, settings in sources_of(recipe).items():
        pool = read_copy(path := folder / f"{key}{COPY_SUFFIX}")
        scope = _scope(tuple(recipe.quota()), recipe.checks.near_duplicate)
        if pool is None or pool.scope != scope or Path(pool.name).name != Path(settings.source).name:
            continue
        kept[key] = path
        if _has_changed(settings.source, pool):
            warn(f"{pool.name} has changed since this run began, which continues with the texts that it began with")
    return _with_sources(recipe, kept)


def _has_changed(source: str, pool: TextPool) -> bool:
    try:
        return source_id(source).rpartition(":")[2] != pool.digest
    except RecipeError:  # it has vanished
        return False


def _with_sources(recipe: Recipe, paths: Mapping[str, Path]) -> Recipe:
    """Return the recipe with other sources of real texts."""
    if recipe.grounding is None or not paths:
        return recipe
    changes = {
        key: settings.model_copy(update={"source": str(paths[key])})
        for key, settings in (("examples", recipe.grounding.examples), ("paraphrase", recipe.grounding.paraphrase))
        if isinstance(settings, TextSource) and key in paths
    }
    return recipe.model_copy(update={"grounding": recipe.grounding.model_copy(update=changes)})
