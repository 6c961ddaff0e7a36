"""`pg.evaluate` and its relatives: figures on a release, or on conditions with and without personas."""

from typing import TYPE_CHECKING, Unpack

from personagen.builder.api.arguments import DEFAULT_FOLDER, PathOrName, keywords_of, with_keywords
from personagen.builder.api.evaluation_keywords import EvaluationKeywords, evaluation_settings
from personagen.builder.api.progress import shown_progress
from personagen.builder.api.release import Release
from personagen.builder.core.progress import Progress

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
            replies of a judge; None: no limit.

    Raises:
        ReleaseError: the folder is not a release or was altered, or the reference cannot be read.
        BackendError: a package of the extra `metrics` is missing, or a judge cannot be reached.
        BudgetError: the next question to a judge might exceed `judge_max_tokens`.
        FolderError: the release cannot be written.

    """
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
) -> "Audit":
    """Measure bias in a Release or its folder; see `Release.audit`."""
    return as_release(release).audit(reference=reference, embeddings=embeddings, seed=seed, progress=progress)


def as_release(release: Release | PathOrName) -> Release:
    """Open a release, unless it is open."""
    return release if isinstance(release, Release) else Release(release)
