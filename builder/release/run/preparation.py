"""Prepare what a run of a recipe writes: its files, its plan, the check of its labels, and its invented events."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from personagen.builder.core.event_loop import compute_in_thread
from personagen.builder.core.progress import Progress
from personagen.builder.llm import Engine
from personagen.builder.planning.counterfactuals import add_counterfactuals
from personagen.builder.planning.models import require_rows_of_every_model
from personagen.builder.planning.plan import Plan, make_plan
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.recipe.recipe_files import with_copies
from personagen.builder.planning.situations.sources import wanted_inventions
from personagen.builder.release.run.run_folder import RunFolder
from personagen.builder.writing.grounding import begun_recipe, with_kept_texts
from personagen.builder.writing.invention.stage import Inventions, invent_events
from personagen.builder.writing.label_check import LabelCheck, load_label_check
from personagen.builder.writing.replies.loading import LoadingAhead
from personagen.builder.writing.reporting import planned_rows, reporting


async def begun(recipe: Recipe, inputs_of: Callable[[], Path], progress: Progress) -> Recipe:
    """Return the recipe as its run began it; see `begun_recipe`. `inputs_of`: returns the folder of copies."""
    if recipe.grounding is None:
        return recipe
    return await compute_in_thread(lambda: begun_recipe(recipe, inputs_of(), progress.warn))


def prepare(recipe: Recipe, run: RunFolder, progress: Progress) -> tuple[Plan, LabelCheck | None]:
    """Check all that can be checked before anything is paid for, and plan.

    Args:
        recipe: recipe of the run.
        run: folder of the run, which gets copies of the recipe's files.
        progress: receives the remarks on the personas.

    Raises:
        RecipeError: the recipe cannot be planned, or the reference of the label check lacks an emotion.
        FolderError: a file cannot be copied.

    """
    recipe = with_kept_texts(with_copies(recipe, run.inputs), run.inputs)
    label_check = load_label_check(recipe)
    plan = make_plan(recipe, chosen=run.personas)
    if not wanted_inventions(recipe):  # else they are planned once the events are known
        plan = add_counterfactuals(plan)
    require_rows_of_every_model(recipe, plan.model_quotas)
    for note in plan.people.notes:
        progress.warn(note)
    return plan, label_check


async def invent(engine: Engine, plan: Plan, loading: LoadingAhead, progress: Progress) -> Inventions:
    """Have the model invent the events of a plan, if its recipe asks for some, and plan what depends on them.

    See `invent_events` for the errors.
    """
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
