"""Generate a release: recipe -> plan -> finalized rows in order -> tables -> manifest and card."""

import asyncio
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from tempfile import gettempdir
from types import TracebackType
from typing import Any, Self

from personagen.builder.core.errors import FolderError, RecipeError
from personagen.builder.core.event_loop import compute_in_thread, run_blocking
from personagen.builder.core.files import is_loaded_plainly
from personagen.builder.core.progress import SILENT, Progress
from personagen.builder.llm import Engine, EngineModel, connect_models, start_engine_of_models
from personagen.builder.llm.admission.retries import RetryTiming
from personagen.builder.llm.journal import is_empty
from personagen.builder.llm.requests import Ask, Reply, Request
from personagen.builder.llm.storage.opening import JournalFile
from personagen.builder.planning.counterfactuals import add_counterfactuals
from personagen.builder.planning.models import require_rows_of_every_model
from personagen.builder.planning.plan import Plan, make_plan
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.recipe.recipe_files import with_copies
from personagen.builder.planning.situations.sources import wanted_inventions
from personagen.builder.rehearsal import require_writable
from personagen.builder.release.cards.card import read_template
from personagen.builder.release.manifest import disobedience, same_release
from personagen.builder.release.run.growth import Growth, grow
from personagen.builder.release.run.mending import damage_of, mend_card
from personagen.builder.release.run.run_folder import RunFolder, open_run, run_folder_of
from personagen.builder.release.run.run_state import run_recipe
from personagen.builder.release.run.space import require_space_for_release
from personagen.builder.release.tables import shards
from personagen.builder.release.writer import ReleaseWriter
from personagen.builder.writing.checks import is_surely_in
from personagen.builder.writing.grounding import begun_recipe, with_kept_texts
from personagen.builder.writing.invention.stage import Inventions, invent_events
from personagen.builder.writing.label_check import LabelCheck, load_label_check
from personagen.builder.writing.pipeline import write_rows
from personagen.builder.writing.reporting import planned_rows, reporting
from personagen.metrics.texts.language import load_identifier

LOADING_SWITCH_S = 0.001
"""Interpreter's switch interval while a thread loads. With the usual 5 ms, loading beside a busy event loop took 7 s
and not 1 s, since the identifier unpacks its model in a thousand steps."""


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


def generate(  # noqa: PLR0913 - the options of the command
    recipe: Recipe,
    out: str | PathLike[str],
    *,
    progress: Progress = SILENT,
    fresh: bool = False,
    reuse: bool = False,
    append: bool = False,
    accept_lost_replies: bool = False,
    api_key: str | None = None,
) -> GenerationResult:
    """Generate the release of a recipe, or resume an interrupted run.

    Works inside a running event loop too. On KeyboardInterrupt all replies that arrived are in the journal.

    Args:
        recipe: recipe of the release.
        out: folder of the release.
        progress: receives the counts of the run.
        fresh: set an earlier run aside and start over.
        reuse: continue the run of another recipe; replies in its journal are not requested again.
        append: add the rows to the release in `out` that the recipe has more; its texts stay, and so does its run.
        accept_lost_replies: go on although the journal has lost replies, which are paid for again.
        api_key: key of an endpoint; None: environment variable OPENAI_API_KEY.

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

    """
    return run_blocking(
        agenerate(
            recipe,
            out,
            progress=progress,
            fresh=fresh,
            reuse=reuse,
            append=append,
            accept_lost_replies=accept_lost_replies,
            api_key=api_key,
        )
    )


async def agenerate(  # noqa: PLR0913 - those of `generate`
    recipe: Recipe,
    out: str | PathLike[str],
    *,
    progress: Progress = SILENT,
    fresh: bool = False,
    reuse: bool = False,
    append: bool = False,
    accept_lost_replies: bool = False,
    api_key: str | None = None,
) -> GenerationResult:
    """Generate a release in the running event loop; see `generate`."""
    _require_one_mode(fresh=fresh, reuse=reuse, append=append)
    if not fresh and recipe.grounding is not None:
        inputs = RunFolder(Path(out), run_folder_of(Path(out))).inputs
        recipe = await compute_in_thread(lambda: begun_recipe(recipe, inputs, progress.warn))
    growth = await compute_in_thread(lambda: grow(recipe, Path(out))) if append else None
    recipe = recipe if growth is None else growth.recipe
    opening = open_run(
        Path(out),
        replace(run_recipe(recipe), base=None if growth is None else growth.base),
        fresh=fresh,
        reuse=reuse,
        accept_lost_replies=accept_lost_replies,
    )
    with opening as run:
        manifest = same_release(run.out, recipe)
        if manifest is not None and (finished := _finished(run, manifest, progress)) is not None:
            return finished
        if not is_loaded_plainly(run.out):
            progress.warn(f"{run.out} has one of [ ] * ?, a pattern for load_dataset; it loads by name only")
        await require_writable(recipe, run.personas)
        run.keep_card()  # fails before anything is paid for if its notes cannot be kept
        held = with_copies(recipe, run.inputs)
        plan, models, label_check = await compute_in_thread(lambda: _prepare(held, run, api_key, progress))
        if growth is not None and is_empty(run.journal):
            raise FolderError(
                f"{run.root} has no journal, so the texts of {run.out} would be written and paid for anew; put the "
                "journal back, or make the larger release in another folder with --out"
            )
        return await write_release(models, plan, run, progress, label_check, growth=growth)


def _require_one_mode(**modes: bool) -> None:
    """Raise RecipeError if two of the modes are chosen: `fresh` would set the release aside that `append` adds to."""
    chosen = [name for name, is_chosen in modes.items() if is_chosen]
    if len(chosen) > 1:
        raise RecipeError(f"{' and '.join(chosen)} exclude each other, wanted one of them; leave the others out")


def _finished(run: RunFolder, manifest: Mapping[str, Any], progress: Progress) -> GenerationResult | None:
    """Return the release in the folder if it is whole, or if only its card had to be rendered anew; None: damaged."""
    damage = damage_of(run.out, manifest)
    if damage is None:
        return GenerationResult(run.out, manifest, created=False)
    run.keep_card()
    if mend_card(run.out, manifest, run.kept_card()):
        progress.warn(f"{damage}; the card was written again")
        return GenerationResult(run.out, manifest, created=True)
    if is_empty(run.journal):
        raise FolderError(
            f"{damage}, and {run.root} has no journal to mend it from; put back the journal or the file, or set the "
            "release aside with --fresh and pay for it again"
        )
    progress.warn(f"{damage}; the release is made again from its journal")
    return None


def _prepare(
    recipe: Recipe, run: RunFolder, api_key: str | None, progress: Progress
) -> tuple[Plan, tuple[EngineModel, ...], LabelCheck | None]:
    """Check all that can be checked before anything is paid for, and plan; `_Loading` loads the rest."""
    read_template()
    recipe = with_kept_texts(recipe, run.inputs)
    label_check = load_label_check(recipe)
    plan = make_plan(recipe, chosen=run.personas)
    if not wanted_inventions(recipe):  # else they are planned once the events are known
        plan = add_counterfactuals(plan)
    require_rows_of_every_model(recipe, plan.model_quotas)
    for note in plan.people.notes:
        progress.warn(note)
    require_space_for_release(plan, run.out, run.root, run.journal)
    models = connect_models(recipe.backends, recipe.model_prices(), run.batches, api_key, warn=progress.warn)
    return plan, models, label_check


class _Loading:
    """Loader of the language identifier and the parquet writer; an async context manager.

    It loads in a thread from the first request on. If it fails, no paid reply is lost: replies are journaled before.
    """

    def __init__(self, language: str | None) -> None:
        """Set up the loader; `language`: ISO 639-1 code of the language that texts must be in, None: any."""
        self._language = language
        self._task: asyncio.Task[None] | None = None

    def wrap(self, ask: Ask) -> Ask:
        """Return an `Ask` whose replies wait for the identifier unless their own words show their language."""

        async def ask_and_load(request: Request) -> Reply:
            if self._task is None:
                self._task = asyncio.create_task(compute_in_thread(lambda: _load(self._language)))
            reply = await ask(request)
            if not self._task.done() and not all(is_surely_in(text.text, self._language) for text in reply.candidates):
                await self.finish()
            return reply

        return ask_and_load

    async def finish(self) -> None:
        """Wait until all is loaded, and raise the error of a load that failed."""
        if self._task is not None:
            if not self._task.done():
                await asyncio.wait([self._task])
            self._task.result()

    async def __aenter__(self) -> Self:
        """Return the loader."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cancel a load that has not ended."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


def _load(language: str | None) -> None:
    """Load the parquet writer and, for texts in a certain language, the identifier of languages.

    Raises:
        FolderError: the identifier cannot unpack its model into a temporary file.

    """
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(LOADING_SWITCH_S)
    try:
        if language is not None:
            load_identifier()
        shards.prepare()
    except OSError as error:
        raise FolderError(
            f"cannot load the identifier of languages: {error.strerror or error}; free some space in {gettempdir()}"
        ) from error
    finally:
        sys.setswitchinterval(interval_s)


async def write_release(  # noqa: PLR0913 - what a run needs, and the rows that must stay
    models: Sequence[EngineModel],
    plan: Plan,
    run: RunFolder,
    progress: Progress = SILENT,
    label_check: LabelCheck | None = None,
    *,
    timing: RetryTiming | None = None,
    growth: Growth | None = None,
) -> GenerationResult:
    """Write and publish the release of a plan with connected models, which are closed at the end.

    See `generate` for the errors, `start_engine_of_models` for `timing` and `grow` for `growth`.
    """
    journal = JournalFile(run.journal, run.accept_lost_replies, progress.warn, run.guard)
    starting = start_engine_of_models(models, journal, limits=plan.recipe.budget, timing=timing)
    async with starting as engine, _Loading(plan.recipe.text.language) as loading:
        inventions = await _invent(engine, plan, loading, progress)
        plan = inventions.plan
        with ReleaseWriter(plan, run) as release:
            release.add_rejects(inventions.rejects)

            def counts() -> tuple[int, int]:
                return release.accepted, release.rejects.total()

            async with (
                reporting(engine, planned_rows(plan), counts, progress) as report,
                aclosing(
                    write_rows(
                        engine, plan, label_check=label_check, wrap_ask=loading.wrap, on_written=report.add_written
                    )
                ) as rows,
            ):
                async for finalized in rows:
                    await loading.finish()
                    if growth is not None and finalized.row is not None:
                        growth.require_unchanged(finalized.row)
                    release.add(finalized)
                    report.add_finalized(finalized)
            manifest = release.finish([model.backend for model in models], engine.used(), label_check)
            if (problem := disobedience(manifest)) is not None:
                progress.warn(problem)
    manifest = run.keep_results(manifest)
    run.publish(manifest)
    return GenerationResult(run.out, manifest, created=True)


async def _invent(engine: Engine, plan: Plan, loading: _Loading, progress: Progress) -> Inventions:
    """Have the model invent the events of the plan, if its recipe asks for some, and plan what depends on them."""
    if not wanted_inventions(plan.recipe):
        return Inventions(plan)
    rejected: Counter[None] = Counter()
    async with reporting(engine, planned_rows(plan), lambda: (0, rejected.total()), progress):
        inventions = await invent_events(
            plan,
            lambda priority: loading.wrap(engine.ask(priority)),
            paid=engine.is_paid,
            on_reject=lambda: rejected.update([None]),
        )
    return replace(inventions, plan=await compute_in_thread(lambda: add_counterfactuals(inventions.plan)))
