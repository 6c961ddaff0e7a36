"""Fill a part of the journal of a recipe: write the texts of some personas, and ship their replies in segments.

recipe -> plan -> rows of a part -> journal on this disk -> segments -> folder or address

Any number of workers, on any machines, fill the parts of one recipe; `generate` joins their segments into a release.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

from personagen.builder.core.errors import FolderError, MissingReplyError
from personagen.builder.core.event_loop import compute_in_thread, run_blocking
from personagen.builder.core.file_names import JOURNALS
from personagen.builder.core.progress import SILENT, Progress
from personagen.builder.llm import Engine, EngineModel, closing_models, connect_models, start_engine_of_models
from personagen.builder.llm.journal_only import identity_of_model, journal_only
from personagen.builder.llm.storage.opening import JournalFile
from personagen.builder.llm.storage.stored_replies import StoredReply
from personagen.builder.planning.parts import Part, count_rows
from personagen.builder.planning.plan import Plan
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.recipe.division import divided
from personagen.builder.planning.recipe.sections import Budgets
from personagen.builder.planning.situations.sources import wanted_inventions
from personagen.builder.rehearsal import require_writable
from personagen.builder.release.run.origin import origin_of
from personagen.builder.release.run.preparation import begun, invent, prepare
from personagen.builder.release.run.run_folder import RunFolder
from personagen.builder.release.run.worker import (
    default_work,
    join_earlier,
    join_events,
    open_work,
    take_over,
    worker_of,
)
from personagen.builder.segments.part_watch import PartWatch, WaitingTimes
from personagen.builder.segments.sealing import Sealer, ShippingTimes, Worker, sealing
from personagen.builder.segments.store import SegmentStore, open_store
from personagen.builder.writing.finalization.outcomes import Outcomes
from personagen.builder.writing.label_check import LabelCheck
from personagen.builder.writing.pipeline import write_rows
from personagen.builder.writing.replies.loading import LoadingAhead
from personagen.builder.writing.reporting import reporting


@dataclass(frozen=True, slots=True)
class FillSettings:
    """Where and how a worker fills its part.

    Attributes:
        journals: folder or address that the segments are shipped to.
        work: folder of the worker's journal, on a local disk. None: one of the recipe and the part in the folder for
            temporary files.
        per_worker: whether the limits of the recipe are those of each worker; otherwise they are those of the run, and
            each worker has an equal part of them.
        accept_lost_replies: whether replies that the journal or a segment has lost may be paid for again.
        times: when replies are sealed and shipped.
        waiting: how long the other parts wait for the events that part 0 invents.
        on_sealer: receives the sealer once there is one; its `request` has the replies so far shipped.

    """

    journals: str = JOURNALS
    work: Path | None = None
    per_worker: bool = False
    accept_lost_replies: bool = False
    times: ShippingTimes = field(default_factory=ShippingTimes)
    waiting: WaitingTimes = field(default_factory=WaitingTimes)
    on_sealer: Callable[[Sealer], None] = lambda sealer: None


@dataclass(frozen=True, slots=True)
class FillResult:
    """A part that is filled.

    Attributes:
        part: the part.
        texts: texts of it that are written.
        replies: distinct replies that they took, those of earlier workers included.
        journals: folder or address of the segments.

    """

    part: Part
    texts: int
    replies: int
    journals: str


def fill(
    recipe: Recipe,
    part: Part,
    settings: FillSettings | None = None,
    *,
    progress: Progress = SILENT,
    api_key: str | None = None,
) -> FillResult:
    """Fill a part of the journal of a recipe, or go on with it, and ship its replies.

    Its rows are written as in `generate`, but compared with each other alone: a text that repeats one of another part
    is requested again when the segments are joined. On KeyboardInterrupt all replies that arrived are shipped.

    Args:
        recipe: recipe of the run.
        part: the part.
        settings: where and how. None: the defaults.
        progress: receives the counts of the part.
        api_key: key of an endpoint. None: environment variable OPENAI_API_KEY.

    Raises:
        FolderError: the journal is on a network disk or in use, segments are of another recipe or damaged, or they
            cannot be shipped.
        RecipeError: a limit of the recipe cannot be divided; see `generate` for other reasons.
        BackendError, BudgetError, GenerationError, AllRejectedError: see `generate`.
        MissingReplyError: part 0 has ended without the events that it invents for all parts.

    """
    return run_blocking(afill(recipe, part, settings, progress=progress, api_key=api_key))


async def afill(
    recipe: Recipe,
    part: Part,
    settings: FillSettings | None = None,
    *,
    progress: Progress = SILENT,
    api_key: str | None = None,
) -> FillResult:
    """Fill a part in the running event loop; see `fill`."""
    settings = settings or FillSettings()
    if not settings.per_worker:
        recipe, limits = divided(recipe, part.of)
        if limits and part.of > 1:
            progress.step(f"filling part {part} with 1/{part.of} of the limits of the run: {limits}")
    store = open_store(settings.journals)
    work = settings.work or default_work(recipe, part)
    with open_work(work, recipe, part, accept_lost_replies=settings.accept_lost_replies) as run:
        recipe = await begun(recipe, lambda: run.inputs, progress)
        await require_writable(recipe, run.personas)
        plan, label_check = await compute_in_thread(lambda: prepare(recipe, run, progress))
        models = await compute_in_thread(
            lambda: connect_models(recipe.backends, recipe.model_prices(), run.batches, api_key, warn=progress.warn)
        )
        async with closing_models(models):
            origin = origin_of(plan, [identity_of_model(model.backend) for model in models])
            filling = _Filling(plan, models, label_check, run, store, worker_of(run, part, origin, recipe), progress)
            left = await compute_in_thread(filling.take_over)
            async with sealing(store, filling.worker, times=settings.times, warn=progress.warn) as sealer:
                settings.on_sealer(sealer)
                left = await filling.wait_for_events(left, settings.waiting)
                await compute_in_thread(lambda: sealer.add_unsealed(left))
                texts, replies = await filling.write(sealer)
        return FillResult(part, texts, replies, store.url)


@dataclass(frozen=True, slots=True)
class _Filling:
    """The filling of a part, once all is known that it needs."""

    plan: Plan
    models: Sequence[EngineModel]
    label_check: LabelCheck | None
    run: RunFolder
    store: SegmentStore
    worker: Worker
    progress: Progress

    @property
    def has_inventions(self) -> bool:
        """Whether the model invents events."""
        return bool(wanted_inventions(self.plan.recipe))

    def take_over(self) -> Iterator[StoredReply]:
        """Join what earlier workers have shipped for the part; return the replies that are in no segment yet."""
        return take_over(self.store, self.run, self.worker, self.progress, wants_events=self.has_inventions)

    async def wait_for_events(self, left: Iterator[StoredReply], times: WaitingTimes) -> Iterator[StoredReply]:
        """Wait until the events that part 0 invents are in the journal, if there are any; part 0 does not wait.

        All parts need the same events, and a model that is asked twice may invent others.

        Args:
            left: replies that are in no segment yet.
            times: how long to wait.

        Returns:
            The replies that are in no segment then.

        Raises:
            MissingReplyError: part 0 has ended without them.

        """
        if not self.has_inventions or self.worker.part.number == 0 or await self._has_events():
            return left
        first = Part(0, self.worker.part.of)
        self.progress.step(f"waiting for the events that part {first} invents")
        watch, reported = PartWatch(self.store, first, times), ""
        while True:
            try:
                has_news = await compute_in_thread(watch.has_news)
            except FolderError as error:  # as while a network is down
                has_news = False
                if str(error) != reported:
                    reported = str(error)
                    self.progress.warn(f"{error}; it is tried again meanwhile")
            if has_news:
                await compute_in_thread(self._join_events)
                if await self._has_events():
                    return await compute_in_thread(self._join_earlier)
            watch.require_at_work()
            await asyncio.sleep(times.poll_s)

    async def _has_events(self) -> bool:
        """Return whether all events are in the journal."""
        recipe, settings = self.plan.recipe, [model.settings for model in self.models]
        offline = journal_only(self.worker.origin.models, settings, recipe.model_prices())
        async with (
            start_engine_of_models(
                offline, JournalFile(self.run.journal, keeps_failures=True), limits=Budgets()
            ) as engine,
            self._loading() as loading,
        ):
            try:
                await invent(engine, self.plan, loading, SILENT)
            except MissingReplyError:
                return False
            return True

    def _join_events(self) -> None:
        join_events(self.store, self.run, self.worker, self.progress.warn)

    def _join_earlier(self) -> Iterator[StoredReply]:
        return join_earlier(self.store, self.run, self.worker, self.progress, wants_events=self.has_inventions)

    def _loading(self) -> LoadingAhead:
        return LoadingAhead(self.plan.recipe.text.language, lambda: None)

    async def write(self, sealer: Sealer) -> tuple[int, int]:
        """Write the texts of the part; return their number, and that of the replies that they took.

        Raises:
            GenerationError, AllRejectedError: texts are missing when all attempts are spent.

        """
        run, recipe = self.run, self.plan.recipe
        journal = JournalFile(run.journal, run.accept_lost_replies, self.progress.warn, run.guard, sealer.add)
        starting = start_engine_of_models(self.models, journal, limits=recipe.budget)
        async with starting as engine, self._loading() as loading:
            plan = (await invent(engine, self.plan, loading, self.progress)).plan
            if self.has_inventions:
                sealer.request()  # the other parts wait for the events
            outcomes = await self._write_rows(engine, plan, loading, sealer)
            replies = engine.replies
        if sealer.counts.wanted and (shortfall := outcomes.shortfall(recipe)) is not None:
            raise shortfall
        return outcomes.accepted, replies

    async def _write_rows(self, engine: Engine, plan: Plan, loading: LoadingAhead, sealer: Sealer) -> Outcomes:
        outcomes, part = Outcomes(), self.worker.part
        sealer.counts.wanted = await compute_in_thread(lambda: count_rows(plan, part))

        async with (
            reporting(engine, sealer.counts.wanted, outcomes.counts, self.progress) as report,
            aclosing(
                write_rows(
                    engine,
                    plan,
                    label_check=self.label_check,
                    wrap_ask=loading.wrap,
                    on_written=report.add_written,
                    part=part,
                )
            ) as rows,
        ):
            async for finalized in rows:
                outcomes.add_row(finalized.planned, finalized.row)
                for reject in finalized.rejects:
                    outcomes.add_reject(reject)
                sealer.counts.accepted, sealer.counts.rejected = outcomes.counts()
                report.add_finalized(finalized)
        return outcomes
