"""Preview a recipe: write a few rows by the same stages as a release, with a journal in memory and no files."""

from contextlib import aclosing

from personagen.builder.core.errors import AllRejectedError
from personagen.builder.core.event_loop import compute_in_thread, run_blocking
from personagen.builder.core.progress import SILENT, Progress
from personagen.builder.core.records import Row
from personagen.builder.llm import EngineModel, connect_models, start_engine_of_models
from personagen.builder.planning.plan import Plan, make_plan
from personagen.builder.planning.recipe import Recipe
from personagen.builder.rehearsal import require_writable
from personagen.builder.writing.attempts import describe_reject
from personagen.builder.writing.invention.stage import invent_events
from personagen.builder.writing.label_check import LabelCheck, load_label_check
from personagen.builder.writing.pipeline import write_rows
from personagen.builder.writing.reporting import planned_rows, reporting


def preview(recipe: Recipe, number: int, *, progress: Progress = SILENT, api_key: str | None = None) -> list[Row]:
    """Write the first rows of a recipe, one emotion after the other; works inside a running event loop too.

    Args:
        recipe: recipe of the rows; its quotas, batches and ablations are ignored.
        number: number of rows.
        progress: receives the counts of the run.
        api_key: key of an endpoint; None: environment variable OPENAI_API_KEY.

    Raises:
        RecipeError: the reference of the label check lacks an emotion of the recipe, or the embedded model cannot write
            its texts.
        BackendError: the model cannot be loaded or reached.
        BudgetError: the next request might exceed the budget.
        AllRejectedError: no reply was accepted.

    """
    return run_blocking(apreview(recipe, number, progress=progress, api_key=api_key))


async def apreview(
    recipe: Recipe, number: int, *, progress: Progress = SILENT, api_key: str | None = None
) -> list[Row]:
    """Preview a recipe in the running event loop; see `preview`."""
    await require_writable(recipe)
    names = recipe.chosen_taxonomy().names[:number]
    data = recipe.model_dump(mode="json") | {"rows": number, "emotions": names}
    data |= {"quotas": None, "batches": None, "ablations": []}
    data["events"] = data["events"] if recipe.depth == "situational" else None
    shortened = Recipe.model_validate(data, strict=False)
    planned, models, label_check = await compute_in_thread(lambda: _prepare(shortened, api_key, progress))
    rows: list[Row] = []
    rejected, last = 0, None
    async with (
        start_engine_of_models(models, None, limits=recipe.budget) as engine,
        reporting(engine, planned_rows(planned), lambda: (len(rows), rejected), progress) as report,
    ):
        inventions = await invent_events(planned, engine.ask, paid=engine.is_paid)
        writing = write_rows(engine, inventions.plan, label_check=label_check, on_written=report.add_written)
        async with aclosing(writing) as finalized_rows:
            async for finalized in finalized_rows:
                rejected += len(finalized.rejects)
                last = next(reversed(finalized.rejects), last)
                if finalized.row is not None:
                    rows.append(finalized.row)
                report.add_finalized(finalized)
    if not rows:
        reason = f", the last one: {describe_reject(last)}" if last else ""
        raise AllRejectedError(f"no text was accepted: {rejected} replies were rejected{reason}")
    return rows


def _prepare(
    recipe: Recipe, api_key: str | None, progress: Progress
) -> tuple[Plan, tuple[EngineModel, ...], LabelCheck | None]:
    label_check = load_label_check(recipe)
    plan = make_plan(recipe)
    for note in plan.people.notes:
        progress.warn(note)
    models = connect_models(recipe.backends, recipe.model_prices(), None, api_key, warn=progress.warn)
    return plan, models, label_check
