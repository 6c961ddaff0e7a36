"""Where the replies of a run come from: its models, the segments of workers, or its journal alone."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from personagen.builder.core.errors import FolderError, MissingReplyError
from personagen.builder.core.event_loop import compute_in_thread
from personagen.builder.core.progress import Progress
from personagen.builder.llm.connect import BackendSettings
from personagen.builder.llm.journal_only import ModelIdentity, identity_of_model, journal_only
from personagen.builder.llm.models import EngineModel, connect_models
from personagen.builder.llm.storage.opening import JournalFile
from personagen.builder.planning.plan import Plan, RowPlan
from personagen.builder.planning.recipe import Recipe
from personagen.builder.release.run.origin import origin_of
from personagen.builder.release.run.run_folder import RunFolder
from personagen.builder.segments.joining import Joined, JoinRules, join
from personagen.builder.segments.store import SegmentStore, open_store


@dataclass(frozen=True, slots=True)
class ReplySource:
    """Where the replies of a run may come from, beside its own journal.

    Attributes:
        journals: folder, address or store of the segments that workers have shipped. None: there are none.
        calls: whether a model may be called.
        any_recipe: whether segments of other recipes are joined too.
        api_key: key of an endpoint. None: environment variable OPENAI_API_KEY.

    """

    journals: str | SegmentStore | None = None
    calls: bool = True
    any_recipe: bool = False
    api_key: str | None = None


@dataclass(slots=True)
class MissingRows:
    """Rows that lack a reply where no model may be called.

    Attributes:
        parts: number of parts that workers have filled; None: unknown, or they differ.
        advice: what to do about them, for the error.

    """

    parts: int | None = None
    advice: str = "fill the parts with personagen fill, or leave --no-calls out, which requests them"
    _emotions: Counter[str] = field(default_factory=Counter)
    _parts: Counter[int] = field(default_factory=Counter)

    def add(self, planned: RowPlan) -> None:
        """Count a row."""
        self._emotions[planned.emotion] += 1
        if self.parts is not None:
            self._parts[planned.persona % self.parts] += 1

    def require_none(self, rows: int) -> None:
        """Raise MissingReplyError if a row lacks a reply; `rows`: rows of the plan."""
        missing = self._emotions.total()
        if not missing:
            return
        emotions = ", ".join(f"{name} {count:,}" for name, count in sorted(self._emotions.items()))
        parts = ", ".join(f"{number}/{self.parts} {count:,}" for number, count in sorted(self._parts.items()))
        where = f"{emotions}; by part: {parts}" if parts else emotions
        raise MissingReplyError(
            f"the journal lacks replies for {missing:,} or more of {rows:,} texts ({where}); {self.advice}"
        )


async def models_of_run(
    plan: Plan, run: RunFolder, source: ReplySource, progress: Progress
) -> tuple[tuple[EngineModel, ...], MissingRows | None]:
    """Return the models of a run, after the segments of workers are joined into its journal.

    Args:
        plan: plan of the run.
        run: folder of the run.
        source: where its replies come from.
        progress: receives what was joined, and warnings.

    Returns:
        The models, and the receiver of rows that lack a reply; None: models may be called.

    Raises:
        BackendError: a model cannot be loaded or connected.
        FolderError: there is no segment, or one cannot be joined; see `join`.

    """
    recipe = plan.recipe
    models: tuple[EngineModel, ...] = ()
    if source.calls or source.journals is None:
        prices = recipe.model_prices()
        models = await compute_in_thread(
            lambda: connect_models(recipe.backends, prices, run.batches, source.api_key, warn=progress.warn)
        )
    try:
        identities = tuple(identity_of_model(model.backend) for model in models)
        joined = await compute_in_thread(lambda: _join(plan, identities, run, source, progress))
    except BaseException:
        await _close(models)
        raise
    if source.calls:
        return models, None
    await _close(models)
    parts = {part.of for part in joined.parts} if joined else set()
    identities = joined.models if joined else identities
    return journal_models(recipe, identities), MissingRows(parts.pop() if len(parts) == 1 else None)


async def _close(models: Sequence[EngineModel]) -> None:
    for model in models:
        await model.backend.close()


def journal_models(recipe: Recipe, identities: Sequence[ModelIdentity]) -> tuple[EngineModel, ...]:
    """Return the models of a recipe that answer from the journal alone, without the limits of real ones."""
    unlimited = {"rpm": None, "tpm": None, "concurrency": None}
    choices: list[BackendSettings] = [choice.model_copy(update=unlimited) for choice in recipe.backends]
    return journal_only(identities, choices, recipe.model_prices())


def _join(
    plan: Plan, identities: Sequence[ModelIdentity], run: RunFolder, source: ReplySource, progress: Progress
) -> Joined | None:
    """Join the segments of workers; None: the run has none."""
    if source.journals is None:
        return None
    store = open_store(source.journals) if isinstance(source.journals, str) else source.journals
    rules = JoinRules(
        origin_of(plan, identities), any_recipe=source.any_recipe, accept_lost_replies=run.accept_lost_replies
    )
    journal = JournalFile(run.journal, run.accept_lost_replies, progress.warn)
    progress.step(f"joining the segments of {store.url}")
    joined = join(store, journal, rules)
    if not joined.files:
        raise FolderError(
            f"there is no segment in {store.url}; fill parts of the recipe with personagen fill, or name the folder or "
            "address that they were shipped to"
        )
    for file in joined.doubled:
        progress.warn(f"segment {file} in {store.url} has the content of another one; it is joined once")
    merged = joined.merged
    progress.step(f"writing texts from {merged.total:,} replies, {merged.new:,} of them new")
    return joined
