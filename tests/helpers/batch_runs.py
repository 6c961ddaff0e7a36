"""Whole runs with the batch backend; `python -m tests.helpers.batch_runs OUT RECIPE URL` is a run to kill."""

import asyncio
import sys
from pathlib import Path

from personagen.builder.generate import GenerationResult, write_release
from personagen.builder.llm import EngineModel
from personagen.builder.llm.backends.batch_api import BatchTiming
from personagen.builder.llm.backends.openai_batch import connect_batch
from personagen.builder.planning.counterfactuals import add_counterfactuals
from personagen.builder.planning.plan import make_plan
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.recipe.parsing import read_recipe
from personagen.builder.release.run.run_folder import open_run
from personagen.builder.release.run.run_state import run_recipe
from tests.helpers.batches import FAST, KEY


def make_by_batches(recipe: Recipe, out: Path, timing: BatchTiming = FAST) -> GenerationResult:
    """Make a release as `generate` does, with a batch backend whose pauses are short."""
    (chosen,) = recipe.backends
    with open_run(out, run_recipe(recipe), fresh=False, reuse=False) as run:
        backend = connect_batch(
            model=chosen.model or "",
            base_url=chosen.base_url,
            api_key=KEY,
            folder=run.batches,
            timing=timing,
            headers=chosen.headers,
            query=chosen.query,
            body=chosen.body,
            thinking_tokens=chosen.thinking_tokens,
            reasoning_effort=chosen.reasoning_effort,
        )
        plan = add_counterfactuals(make_plan(recipe))
        return asyncio.run(write_release([EngineModel(backend, chosen)], plan, run))


def main() -> None:
    """Make the release OUT of the recipe file RECIPE with the server at URL."""
    out, recipe, url = sys.argv[1:]
    make_by_batches(read_recipe(Path(recipe), {"backend.base_url": url}), Path(out))


if __name__ == "__main__":
    main()
