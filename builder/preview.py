"""Write a few rows to look at: the same stages as a release, a journal in memory, nothing on disk."""

import asyncio
from contextlib import aclosing

from personagen.builder.core.errors import AllRejectedError
from personagen.builder.core.records import Row
from personagen.builder.generate import make_job
from personagen.builder.llm import Backend, connect, start_engine
from personagen.builder.planning.plan import make_plan
from personagen.builder.planning.recipe import Recipe
from personagen.builder.writing.label_check import LabelCheck, label_check
from personagen.builder.writing.pipeline import settle


def preview(recipe: Recipe, number: int, *, api_key: str | None = None) -> list[Row]:
    """Write the first `number` rows of a recipe that is cut down to them, emotion by emotion.

    Args:
        recipe: what to write.
        number: rows.
        api_key: see `connect`.

    Raises:
        BackendError: the model cannot be loaded or reached.
        AllRejectedError: no reply was accepted.

    """
    names = recipe.chosen_taxonomy().names[:number]
    data = recipe.model_dump(mode="json") | {"rows": number, "emotions": names, "quotas": None, "ablations": []}
    cut = Recipe.model_validate(data, strict=False)
    check = label_check(cut)
    return asyncio.run(_preview(connect(recipe.backend, None, api_key), cut, check))


async def _preview(backend: Backend, recipe: Recipe, check: LabelCheck | None) -> list[Row]:
    rows: list[Row] = []
    refused = 0
    running = start_engine(backend, None, settings=recipe.backend, limits=recipe.budget, price=recipe.price())
    async with running as engine, aclosing(settle(make_job(engine, make_plan(recipe), check))) as settled:
        async for entry in settled:
            refused += len(entry.rejects)
            if entry.row is not None:
                rows.append(entry.row)
    if not rows:
        raise AllRejectedError(f"no text was accepted: {refused} replies were refused; try another model")
    return rows
