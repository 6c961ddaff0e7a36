"""`pg.evaluate` and its relatives: figures on a release, or on conditions with and without personas."""

from os import fspath
from typing import TYPE_CHECKING, Unpack

from personagen.builder.api.arguments import (
    DEFAULT_FOLDER,
    ArmKeys,
    PathOrName,
    as_recipe,
    keywords_of,
    recipe_keywords,
    with_keywords,
)
from personagen.builder.api.comparison import COMPARISON_FOLDER, Comparison
from personagen.builder.api.measurement_keywords import (
    ComparisonKeywords,
    EvaluationKeywords,
    comparison_settings,
    evaluation_settings,
    require_evaluation_keywords,
    split_keywords,
)
from personagen.builder.api.progress import shown_progress
from personagen.builder.api.release import Release
from personagen.builder.core.progress import Progress
from personagen.builder.planning.recipe import Recipe

if TYPE_CHECKING:
    from personagen.builder.evaluation.audit_results import Audit
    from personagen.builder.evaluation.scores import Scores


@with_keywords(keywords_of(evaluation_settings))
def evaluate(
    release: Release | PathOrName = DEFAULT_FOLDER,
    *,
    api_key: str | None = None,
    progress: Progress | bool = True,
    **settings: Unpack[EvaluationKeywords],
) -> "Scores":
    """Compare the texts of a release with real ones: diversity, realism, human-likeness, utility.

    The scores are added to the release: to `scores.json`, its card and its manifest.

    Args:
        release: a Release, or its folder.
        api_key: key of the judges' endpoint. None: environment variable OPENAI_API_KEY.
        progress: see `generate`.
        settings: `reference`: real texts: "goemotions" (the default, part of the package), a file, a release, or a
            dataset on the Hub. `embeddings`: name of a sentence-transformers model; None: all-MiniLM-L6-v2. `judges`:
            language models that rate human-likeness, as "embedded", "openai:NAME" or "transformers:NAME"; by default
            none, and human-likeness is not measured. `seed`: seed of every draw. `sample_size`: texts per side of
            measures that take a sample; None: the default of each metric. `judge_url`: endpoint of the judges; None:
            environment variable OPENAI_BASE_URL, or OpenAI. `judge_max_tokens`: upper bound on the tokens of all
            replies of a judge; None: no limit. `encoded`: folder or address of what `personagen encode` wrote.

    Raises:
        ReleaseError: the folder is not a release or was altered, or the reference cannot be read.
        BackendError: a package of the extra `metrics` is missing, or a judge cannot be reached.
        BudgetError: the next question to a judge might exceed `judge_max_tokens`.
        FolderError: the release cannot be written.

    """
    require_evaluation_keywords(settings)
    return as_release(release).evaluate(api_key=api_key, progress=progress, **settings)


@with_keywords(keywords_of(evaluation_settings))
async def aevaluate(
    release: Release | PathOrName = DEFAULT_FOLDER,
    *,
    api_key: str | None = None,
    progress: Progress | bool = True,
    **settings: Unpack[EvaluationKeywords],
) -> "Scores":
    """Run `evaluate` beside other work of the event loop."""
    from personagen.builder.evaluation.evaluate import aevaluate as run

    require_evaluation_keywords(settings)
    opened = as_release(release)
    chosen = evaluation_settings(opened.name, **settings)
    with shown_progress(progress) as receiver:
        return await run(opened.folder, chosen, progress=receiver, api_key=api_key)


def audit(
    release: Release | PathOrName = DEFAULT_FOLDER,
    *,
    reference: PathOrName = "goemotions",
    embeddings: str | None = None,
    seed: int = 0,
    progress: Progress | bool = True,
    encoded: PathOrName | None = None,
) -> "Audit":
    """Measure bias in a Release or its folder; see `Release.audit`."""
    return as_release(release).audit(
        reference=reference, embeddings=embeddings, seed=seed, progress=progress, encoded=encoded
    )


_COMPARISON = [*keywords_of(comparison_settings), *recipe_keywords(ArmKeys)]


@with_keywords(_COMPARISON)
def compare(
    recipe: Recipe | PathOrName | None = None,
    *,
    out: PathOrName = COMPARISON_FOLDER,
    api_key: str | None = None,
    progress: Progress | bool = True,
    **keywords: Unpack[ComparisonKeywords],
) -> Comparison:
    """Write the same emotions under several conditions ("arms"), measure them, and judge every claim for personas.

    The same call resumes an interrupted comparison, and requests no reply of its journal again.

    Args:
        recipe: model, emotions, personas, situations, prompts, checks and budget, as for `generate`; its rows, depth,
            splits and grounding are not used.
        out: folder of the comparison.
        api_key: key of the model's endpoint and the judges'. None: environment variable OPENAI_API_KEY.
        progress: see `generate`.
        keywords: `reference`: real texts with labels; see `evaluate`. `rows`: texts per arm, over all seeds; 210.
            `seeds`: parts of every arm that are written independently; 3. `arms`: names of the arms; None: all;
            "NAME:verbalized" asks for several texts with their probabilities at once. `embeddings`, `judges`,
            `judge_url`, `judge_max_tokens`: see `evaluate`. All others are keys of the recipe; see `generate`.

    Raises:
        RecipeError: a key is unknown, or the settings do not fit the recipe or the reference.
        FolderError: `out` holds other files, is in use, or cannot be written.
        BackendError: a package of the extra `metrics` is missing, or a model cannot be loaded or reached.
        BudgetError: the next request might exceed the budget.
        GenerationError: an arm has too few texts to be measured.

    """
    from personagen.builder.evaluation.compare import compare as run

    settings, keys = split_keywords(keywords)
    chosen = as_recipe(recipe, keys, compare)
    with shown_progress(progress) as receiver:
        run(chosen, comparison_settings(**settings), fspath(out), progress=receiver, api_key=api_key)
    return Comparison(out)


@with_keywords(_COMPARISON)
async def acompare(
    recipe: Recipe | PathOrName | None = None,
    *,
    out: PathOrName = COMPARISON_FOLDER,
    api_key: str | None = None,
    progress: Progress | bool = True,
    **keywords: Unpack[ComparisonKeywords],
) -> Comparison:
    """Run `compare` beside other work of the event loop."""
    from personagen.builder.evaluation.compare import acompare as run

    settings, keys = split_keywords(keywords)
    chosen = as_recipe(recipe, keys, acompare)
    with shown_progress(progress) as receiver:
        await run(chosen, comparison_settings(**settings), fspath(out), progress=receiver, api_key=api_key)
    return Comparison(out)


def as_release(release: Release | PathOrName) -> Release:
    """Open a release, unless it is open."""
    return release if isinstance(release, Release) else Release(release)
