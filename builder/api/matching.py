"""`pg.match`: the recipe whose texts teach a classifier most about real texts."""

from os import fspath
from typing import TYPE_CHECKING, TypedDict, Unpack

from personagen.builder.api.arguments import (
    ArmKeys,
    PathOrName,
    as_recipe,
    keywords_of,
    recipe_keywords,
    recorded_call,
    require_count,
    with_keywords,
)
from personagen.builder.api.progress import shown_progress
from personagen.builder.core.errors import RecipeError
from personagen.builder.core.files import redact_path
from personagen.builder.core.progress import Progress
from personagen.builder.planning.recipe import Recipe

if TYPE_CHECKING:
    from personagen.builder.evaluation.matching import MatchResults, MatchSettings

MATCH_FOLDER = "match"
"""Folder of a match where none is named, as on the command line."""


class MatchOptions(TypedDict, total=False):
    """Settings of a match; see `personagen.match`."""

    rows: int
    examples: bool | None
    embeddings: str | None
    accept_lost_replies: bool


class MatchKeywords(ArmKeys, MatchOptions, total=False):
    """Settings of a match and keys of its recipe; see `personagen.match`."""


def match_settings(
    reference: PathOrName,
    *,
    rows: int = 140,
    examples: bool | None = None,
    embeddings: str | None = None,
    accept_lost_replies: bool = False,
) -> "MatchSettings":
    """Build the settings of a match, with the call that repeats it; the results record that call."""
    from personagen.builder.evaluation.matching import MatchSettings

    require_count("rows", rows)
    source = fspath(reference)
    call = recorded_call("match", redact_path(source), rows=rows, examples=examples, embeddings=embeddings)
    return MatchSettings(source, rows, examples, embeddings, call, accept_lost_replies)


_KEYWORDS = [*keywords_of(match_settings), *recipe_keywords(ArmKeys)]


@with_keywords(_KEYWORDS)
def match(
    reference: PathOrName,
    recipe: Recipe | PathOrName | None = None,
    *,
    out: PathOrName = MATCH_FOLDER,
    api_key: str | None = None,
    progress: Progress | bool = True,
    **keywords: Unpack[MatchKeywords],
) -> "MatchResults":
    """Measure the style of real texts, and find the recipe whose texts teach a classifier most about them.

    The same call resumes an interrupted match, and requests no reply of its journal again.

    Args:
        reference: 50 or more English texts, with labels or without; see `evaluate`.
        recipe: model, taxonomy, checks and budget, as for `generate`; its rows, quotas, style and splits are not used.
        out: folder of the results; its `recipe.yaml` is for `generate`.
        api_key: key of the model's endpoint. None: environment variable OPENAI_API_KEY.
        progress: see `generate`.
        keywords: `rows`: texts per arm; 140. `examples`: whether prompts may show real texts; None: only if the
            reference is a file or folder. `embeddings`: see `evaluate`. All others are keys of the recipe; see
            `generate`.

    Returns:
        The arms with their scores, the yardsticks on the test part, and the conclusions in words.

    Raises:
        RecipeError: a key is unknown, or the reference has too few, too long or foreign texts or unknown labels.
        FolderError: `out` holds other files, is in use, or cannot be written.
        BackendError: a package of the extra `metrics` is missing, the reference cannot be loaded, or the model cannot
            be reached.
        BudgetError: the next request might exceed the budget.
        GenerationError: no arm has enough texts to be scored.

    """
    from personagen.builder.evaluation.matching import match as run

    settings, chosen = _arguments(reference, recipe, keywords)
    with shown_progress(progress) as receiver:
        return run(chosen, settings, fspath(out), progress=receiver, api_key=api_key)


@with_keywords(_KEYWORDS)
async def amatch(
    reference: PathOrName,
    recipe: Recipe | PathOrName | None = None,
    *,
    out: PathOrName = MATCH_FOLDER,
    api_key: str | None = None,
    progress: Progress | bool = True,
    **keywords: Unpack[MatchKeywords],
) -> "MatchResults":
    """Run `match` beside other work of the event loop."""
    from personagen.builder.evaluation.matching import amatch as run

    settings, chosen = _arguments(reference, recipe, keywords)
    with shown_progress(progress) as receiver:
        return await run(chosen, settings, fspath(out), progress=receiver, api_key=api_key)


def _arguments(
    reference: PathOrName, recipe: Recipe | PathOrName | None, keywords: MatchKeywords
) -> "tuple[MatchSettings, Recipe]":
    """Build the settings and the recipe of a match; every other keyword is a key of the recipe."""
    if keywords.get("expression") is not None:
        raise RecipeError(f"expression: got {keywords['expression']!r}, but a match measures it; leave it out")
    options: MatchOptions = {}
    for name in ("rows", "examples", "embeddings", "accept_lost_replies"):
        if name in keywords:
            options[name] = keywords[name]
    keys = {name: value for name, value in keywords.items() if name not in options}
    return match_settings(reference, **options), as_recipe(recipe, keys, match)
