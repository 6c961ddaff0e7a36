"""Generate a release: recipe -> plan -> finalized rows in order -> tables -> manifest and card."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, TypedDict, Unpack

from personagen.builder.core.errors import FolderError, RecipeError
from personagen.builder.core.event_loop import compute_in_thread, run_blocking
from personagen.builder.core.files import is_loaded_plainly
from personagen.builder.core.progress import SILENT, Progress
from personagen.builder.llm import EngineModel, closing_models, start_engine_of_models
from personagen.builder.llm.admission.retries import RetryTiming
from personagen.builder.llm.journal import is_empty
from personagen.builder.llm.storage.stored_replies import StoredReply
from personagen.builder.planning.plan import Plan
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.recipe.sections import Budgets
from personagen.builder.rehearsal import require_writable
from personagen.builder.release.cards.card import read_template
from personagen.builder.release.manifest import disobedience, same_release
from personagen.builder.release.run.growth import Growth, grow, require_unchanged
from personagen.builder.release.run.mending import damage_of, mend_card
from personagen.builder.release.run.preparation import begun, invent, prepare
from personagen.builder.release.run.replies import MissingRows, ReplySource, models_of_run
from personagen.builder.release.run.run_folder import RunFolder, open_run, run_folder_of
from personagen.builder.release.run.run_state import run_recipe
from personagen.builder.release.run.space import require_space_for_release
from personagen.builder.release.tables import shards
from personagen.builder.release.writer import ReleaseWriter
from personagen.builder.writing.label_check import LabelCheck
from personagen.builder.writing.pipeline import write_rows
from personagen.builder.writing.replies.loading import LoadingAhead
from personagen.builder.writing.reporting import planned_rows, reporting


@dataclass(frozen=True, slots=True)
class GenerationResult:
    """A finished release.

    Attributes:
        folder: folder of the release, absolute.
        manifest: its manifest.
        created: False: the folder held the complete release already.

    """

    folder: Path
    manifest: Mapping[str, Any]
    created: bool


class RunOptions(TypedDict, total=False):
    """Options of a run; each is left out by default.

    Attributes:
        fresh: set an earlier run aside and start over.
        reuse: continue the run of another recipe; replies in its journal are not requested again.
        append: add the rows to the release in `out` that the recipe has more; its texts stay, and so does its run.
        accept_lost_replies: go on although the journal, or a segment, has lost replies, which are paid for again.
        journals: folder or address to which workers have shipped segments; see `fill`. None: there are none.
        calls: False: call no model; raise MissingReplyError if the journal lacks a reply.

    """

    fresh: bool
    reuse: bool
    append: bool
    accept_lost_replies: bool
    journals: str | None
    calls: bool


def generate(
    recipe: Recipe,
    out: str | PathLike[str],
    *,
    progress: Progress = SILENT,
    api_key: str | None = None,
    **options: Unpack[RunOptions],
) -> GenerationResult:
    """Generate the release of a recipe, or resume an interrupted run.

    Works inside a running event loop too. On KeyboardInterrupt all replies that arrived are in the journal.

    Args:
        recipe: recipe of the release.
        out: folder of the release.
        progress: receives the counts of the run.
        api_key: key of an endpoint; None: environment variable OPENAI_API_KEY.
        options: see `RunOptions`.

    Raises:
        FolderError: `out` holds something else or another recipe's release, is in use, or cannot be written.
        ReleaseError: the marks of the hand-written parts in the card of the earlier release are not in order.
        RecipeError: two of `fresh`, `reuse` and `append` are chosen, `append` and the recipe differs from that of the
            release in more than its rows, the reference of the label check lacks an emotion of the recipe, the
            embedded model cannot write its texts, or there are too few real texts for its prompts.
        BackendError: the model cannot be loaded or reached.
        BudgetError: the next request might exceed the budget.
        GenerationError: rows are missing when all attempts are spent.
        AllRejectedError: no reply was accepted.
        MissingReplyError: a reply is missing, and no model may be called.

    """
    return run_blocking(agenerate(recipe, out, progress=progress, api_key=api_key, **options))


async def agenerate(
    recipe: Recipe,
    out: str | PathLike[str],
    *,
    progress: Progress = SILENT,
    api_key: str | None = None,
    **options: Unpack[RunOptions],
) -> GenerationResult:
    """Generate a release in the running event loop; see `generate`."""
    fresh, reuse, append = (bool(options.get(mode)) for mode in ("fresh", "reuse", "append"))
    journals, calls = options.get("journals"), options.get("calls", True)
    _require_one_mode(fresh=fresh, reuse=reuse, append=append)
    if not fresh:
        recipe = await begun(recipe, lambda: RunFolder(Path(out), run_folder_of(Path(out))).inputs, progress)
    growth = await compute_in_thread(lambda: grow(recipe, Path(out))) if append else None
    recipe = recipe if growth is None else growth.recipe
    opening = open_run(
        Path(out),
        replace(run_recipe(recipe), base=None if growth is None else growth.base),
        fresh=fresh,
        reuse=reuse,
        accept_lost_replies=options.get("accept_lost_replies", False),
    )
    with opening as run:
        manifest = same_release(run.out, recipe)
        if manifest is not None and (finished := _finished(run, manifest, journals, progress)) is not None:
            run.keep_recipe(recipe)
            return finished
        if not is_loaded_plainly(run.out):
            progress.warn(f"{run.out} has one of [ ] * ?, a pattern for load_dataset; it loads by name only")
        if calls:
            await require_writable(recipe, run.personas)
        run.keep_card()  # fails before anything is paid for if its notes cannot be kept
        read_template()
        plan, label_check = await compute_in_thread(lambda: prepare(recipe, run, progress))
        require_space_for_release(plan, run.out, run.root, run.journal)
        source = ReplySource(journals, calls=calls, any_recipe=reuse, api_key=api_key)
        models, missing = await models_of_run(plan, run, source, progress)
        async with closing_models(models):
            if growth is not None and is_empty(run.journal):
                raise FolderError(
                    f"{run.root} has no journal, so the texts of {run.out} would be written and paid for anew; put the "
                    "journal back, or make the larger release in another folder with --out"
                )
            return await write_release(models, plan, run, progress, label_check, growth=growth, missing=missing)


def _require_one_mode(**modes: bool) -> None:
    """Raise RecipeError if two of the modes are chosen: `fresh` would set the release aside that `append` adds to."""
    chosen = [name for name, is_chosen in modes.items() if is_chosen]
    if len(chosen) > 1:
        raise RecipeError(f"{' and '.join(chosen)} exclude each other, wanted one of them; leave the others out")


def _finished(
    run: RunFolder, manifest: Mapping[str, Any], journals: str | None, progress: Progress
) -> GenerationResult | None:
    """Return the release in the folder if it is whole, or if only its card had to be rendered anew; None: damaged."""
    damage = damage_of(run.out, manifest)
    if damage is None:
        return GenerationResult(run.out, manifest, created=False)
    run.keep_card()
    if mend_card(run.out, manifest, run.kept_card()):
        progress.warn(f"{damage}; the card was written again")
        return GenerationResult(run.out, manifest, created=True)
    if journals is None and is_empty(run.journal):
        raise FolderError(
            f"{damage}, and {run.root} has no journal to mend it from; put back the journal or the file, or set the "
            "release aside with --fresh and pay for it again"
        )
    progress.warn(f"{damage}; the release is made again from its journal")
    return None


async def write_release(  # noqa: PLR0913 - what a run needs, and the rows that must stay
    models: Sequence[EngineModel],
    plan: Plan,
    run: RunFolder,
    progress: Progress = SILENT,
    label_check: LabelCheck | None = None,
    *,
    timing: RetryTiming | None = None,
    growth: Growth | None = None,
    missing: MissingRows | None = None,
    on_written: Callable[[Iterator[StoredReply]], None] = lambda _: None,
) -> GenerationResult:
    """Write and publish the release of a plan with connected models, which are closed at the end.

    See `generate` for the errors; `start_engine_of_models`, `grow` and `models_of_run` for `timing`, `growth` and
    `missing`. `on_written` receives the replies of the release in the order of their keys, before it is published.
    """
    limits = plan.recipe.budget if missing is None else Budgets()
    journal = run.journal_file(progress.warn, calls=missing is None)
    starting = start_engine_of_models(models, journal, limits=limits, timing=timing)
    async with starting as engine, LoadingAhead(plan.recipe.text.language, shards.prepare) as loading:
        inventions = await invent(engine, plan, loading, progress)
        plan = inventions.plan
        with ReleaseWriter(plan, run) as release:
            release.add_rejects(inventions.rejects)
            async with (
                reporting(engine, planned_rows(plan), release.outcomes.counts, progress) as report,
                aclosing(
                    write_rows(
                        engine,
                        plan,
                        label_check=label_check,
                        wrap_ask=loading.wrap,
                        on_written=report.add_written,
                        on_missing=None if missing is None else missing.add,
                    )
                ) as rows,
            ):
                async for finalized in rows:
                    await loading.finish()
                    release.add(require_unchanged(finalized, growth))
                    report.add_finalized(finalized)
            if missing is not None:
                missing.require_none(planned_rows(plan))
            manifest = release.finish([model.backend for model in models], engine.used(), label_check)
            on_written(engine.used_replies())
    if (problem := disobedience(manifest)) is not None:
        progress.warn(problem)
    return _published(run, plan.recipe, manifest)


def _published(run: RunFolder, recipe: Recipe, manifest: Mapping[str, Any]) -> GenerationResult:
    """Publish a release that is written, with the results of an earlier one that has the same texts."""
    run.keep_recipe(recipe)
    run.publish(manifest := run.keep_results(manifest))
    return GenerationResult(run.out, manifest, created=True)
