"""Verbs about a recipe: a release, a part of one, a few texts, their requests, or the cost."""

from os import fspath
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from personagen.builder.api.arguments import (
    DEFAULT_FOLDER,
    PathOrName,
    RecipeKeys,
    as_recipe,
    recipe_keywords,
    require_count,
    with_keywords,
)
from personagen.builder.api.preview_texts import Preview, Prompts
from personagen.builder.api.progress import shown_progress
from personagen.builder.api.release import Release
from personagen.builder.core.file_names import JOURNALS
from personagen.builder.core.progress import Progress
from personagen.builder.planning.parts import parse_part
from personagen.builder.planning.recipe import Recipe

if TYPE_CHECKING:
    from personagen.builder.estimate import Estimate
    from personagen.builder.fill import FillResult
    from personagen.builder.segments.summary import StoreSummary

PREVIEW_TEXTS = 3


@with_keywords(recipe_keywords())
def generate(  # noqa: PLR0913 - the options of the command
    recipe: Recipe | PathOrName | None = None,
    *,
    out: PathOrName = DEFAULT_FOLDER,
    fresh: bool = False,
    reuse: bool = False,
    append: bool = False,
    accept_lost_replies: bool = False,
    journals: PathOrName | None = None,
    calls: bool = True,
    api_key: str | None = None,
    progress: Progress | bool = True,
    **keys: Unpack[RecipeKeys],
) -> Release:
    """Generate a release; the same call resumes an interrupted one from the replies in its journal.

    Args:
        recipe: a Recipe, or the path of a recipe file. None: the default of every key.
        out: folder of the release; replies and rejected texts are kept beside it in "OUT.run".
        fresh: set aside an earlier run in this folder and start over.
        reuse: continue the run of another recipe; replies that both need are not paid for again.
        append: add rows to the release in `out`, up to those of the recipe; its texts stay.
        accept_lost_replies: go on although replies were lost, which are paid for again.
        journals: folder or address to which the workers of `fill` have shipped replies. None: there is none.
        calls: False: call no model.
        api_key: key of an endpoint. None: environment variable OPENAI_API_KEY.
        progress: True: progress bars. False: nothing. Or a receiver of your own.
        keys: keys of the recipe that replace those of `recipe`: `rows=700`, `emotions=["joy", "fear"]`,
            `text={"max_words": 40}`. `model="openai:NAME"`, "transformers:NAME", "batch:NAME" or "embedded" chooses
            backend and model; `base_url`, `rpm`, `max_cost` and others of the command line are keywords too.

    Raises:
        RecipeError: a key is unknown or a value is out of bounds.
        FolderError: `out` holds something else or another recipe's release, is in use, or cannot be written.
        BackendError, BudgetError: the model cannot be reached, or the next request might exceed the budget.
        GenerationError, AllRejectedError: rows are missing when all attempts are spent, or no reply was accepted.
        MissingReplyError: a reply is missing, and no model may be called.

    """
    from personagen.builder.generate import RunOptions
    from personagen.builder.generate import generate as run

    chosen = as_recipe(recipe, keys, generate)
    options = RunOptions(fresh=fresh, reuse=reuse, append=append, accept_lost_replies=accept_lost_replies, calls=calls)
    options["journals"] = None if journals is None else fspath(journals)
    with shown_progress(progress) as receiver:
        result = run(chosen, out, progress=receiver, api_key=api_key, **options)
    return Release(result.folder)


@with_keywords(recipe_keywords())
async def agenerate(  # noqa: PLR0913 - those of `generate`
    recipe: Recipe | PathOrName | None = None,
    *,
    out: PathOrName = DEFAULT_FOLDER,
    fresh: bool = False,
    reuse: bool = False,
    append: bool = False,
    accept_lost_replies: bool = False,
    journals: PathOrName | None = None,
    calls: bool = True,
    api_key: str | None = None,
    progress: Progress | bool = True,
    **keys: Unpack[RecipeKeys],
) -> Release:
    """Run `generate` beside other work of the event loop; cancelling it keeps every reply that has arrived."""
    from personagen.builder.generate import RunOptions
    from personagen.builder.generate import agenerate as run

    chosen = as_recipe(recipe, keys, agenerate)
    options = RunOptions(fresh=fresh, reuse=reuse, append=append, accept_lost_replies=accept_lost_replies, calls=calls)
    options["journals"] = None if journals is None else fspath(journals)
    with shown_progress(progress) as receiver:
        result = await run(chosen, out, progress=receiver, api_key=api_key, **options)
    return Release(result.folder)


@with_keywords(recipe_keywords())
def fill(  # noqa: PLR0913 - the options of the command
    recipe: Recipe | PathOrName | None = None,
    *,
    part: str,
    journals: PathOrName = JOURNALS,
    work: PathOrName | None = None,
    per_worker: bool = False,
    accept_lost_replies: bool = False,
    api_key: str | None = None,
    progress: Progress | bool = True,
    **keys: Unpack[RecipeKeys],
) -> "FillResult":
    """Write the texts of one part of a recipe, and ship the replies for `generate(journals=...)`.

    Args:
        recipe: see `generate`.
        part: the part, counted from 0: "0/4" is the first of four.
        journals: folder or address (s3://, gs://, hf://) that the replies are shipped to.
        work: folder of the worker's journal, on a local disk. None: one of the recipe and the part for temporary files.
        per_worker: whether limits and budget are those of each worker, not of the whole run.
        accept_lost_replies: see `generate`.
        api_key: see `generate`.
        progress: see `generate`.
        keys: see `generate`.

    Raises:
        RecipeError: there is no such part, or a limit cannot be divided; see `generate`.
        FolderError: the replies cannot be shipped, or what was shipped is of another recipe or damaged.
        BackendError, BudgetError, GenerationError, AllRejectedError: see `generate`.

    """
    from personagen.builder.fill import FillSettings
    from personagen.builder.fill import fill as run

    chosen = as_recipe(recipe, keys, fill)
    folder = None if work is None else Path(fspath(work))
    settings = FillSettings(fspath(journals), folder, per_worker, accept_lost_replies)
    with shown_progress(progress) as receiver:
        return run(chosen, parse_part(part), settings, api_key=api_key, progress=receiver)


def status(journals: PathOrName = JOURNALS) -> "StoreSummary":
    """Summarize what the workers of `fill` have shipped: parts, texts, replies, rates and costs.

    Args:
        journals: folder or address of the replies.

    Raises:
        FolderError: it cannot be read.

    """
    from personagen.builder.segments.store import open_store
    from personagen.builder.segments.summary import summarize

    return summarize(open_store(fspath(journals)))


@with_keywords(recipe_keywords())
def preview(
    recipe: Recipe | PathOrName | None = None,
    *,
    number: int = PREVIEW_TEXTS,
    api_key: str | None = None,
    progress: Progress | bool = True,
    **keys: Unpack[RecipeKeys],
) -> Preview:
    """Write a few texts of a recipe, to look at; no release is written.

    Args:
        recipe: see `generate`.
        number: number of texts.
        api_key: see `generate`.
        progress: see `generate`.
        keys: see `generate`.

    Raises:
        RecipeError: a key is unknown or a value is out of bounds.
        BackendError: the model cannot be loaded or reached.
        BudgetError: the next request might exceed the budget.
        AllRejectedError: no reply was accepted.

    """
    from personagen.builder.preview import preview as run

    require_count("number", number)
    chosen = as_recipe(recipe, keys, preview)
    with shown_progress(progress) as receiver:
        return Preview(tuple(run(chosen, number, api_key=api_key, progress=receiver)))


@with_keywords(recipe_keywords())
async def apreview(
    recipe: Recipe | PathOrName | None = None,
    *,
    number: int = PREVIEW_TEXTS,
    api_key: str | None = None,
    progress: Progress | bool = True,
    **keys: Unpack[RecipeKeys],
) -> Preview:
    """Run `preview` beside other work of the event loop."""
    from personagen.builder.preview import apreview as run

    require_count("number", number)
    chosen = as_recipe(recipe, keys, apreview)
    with shown_progress(progress) as receiver:
        return Preview(tuple(await run(chosen, number, api_key=api_key, progress=receiver)))


@with_keywords(recipe_keywords())
def prompts(
    recipe: Recipe | PathOrName | None = None,
    *,
    number: int = PREVIEW_TEXTS,
    out: PathOrName | None = None,
    **keys: Unpack[RecipeKeys],
) -> Prompts:
    """Show the requests of the first texts of a release as they would be sent; nothing is sent.

    Args:
        recipe: see `generate`.
        number: number of texts.
        out: new folder for the templates that the requests are rendered from; `prompts=` takes it. None: none is
            written.
        keys: see `generate`.

    Raises:
        RecipeError: a key is unknown, a value is out of bounds, or a template cannot be rendered.
        FolderError: `out` holds something, or cannot be written.

    """
    from personagen.builder.prompts import export_prompts, planned_requests
    from personagen.builder.writing.prompts import published_templates

    require_count("number", number)
    chosen = as_recipe(recipe, keys, prompts)
    templates = {name: content.decode("utf-8-sig") for name, content in published_templates(chosen).items()}
    shown = Prompts(tuple(planned_requests(chosen, number)), templates)
    if out is not None:
        export_prompts(chosen, Path(fspath(out)))
    return shown


@with_keywords(recipe_keywords())
def estimate(recipe: Recipe | PathOrName | None = None, **keys: Unpack[RecipeKeys]) -> "Estimate":
    """Estimate the requests, tokens, cost and time of a recipe; nothing is sent or written.

    Args:
        recipe: see `generate`.
        keys: see `generate`.

    Raises:
        RecipeError: a key is unknown or a value is out of bounds.

    """
    from personagen.builder.estimate import estimate as run

    return run(as_recipe(recipe, keys, estimate))
