"""Keywords of `evaluate`, shared by the verb, its asynchronous variant and `Release.evaluate`."""

from collections.abc import Sequence
from os import fspath
from typing import TYPE_CHECKING, TypedDict

from personagen.builder.api.arguments import PathOrName, recorded_call
from personagen.builder.core.files import redact_path

if TYPE_CHECKING:
    from personagen.builder.evaluation.evaluate import EvaluationSettings


class EvaluationKeywords(TypedDict, total=False):
    """Settings of an evaluation; see `personagen.evaluate`."""

    reference: PathOrName
    embeddings: str | None
    judges: str | Sequence[str]
    seed: int
    sample_size: int | None
    judge_url: str | None
    judge_max_tokens: int | None


def evaluation_settings(  # noqa: PLR0913 - the keywords of `evaluate` with their defaults
    name: str,
    *,
    reference: PathOrName = "goemotions",
    embeddings: str | None = None,
    judges: str | Sequence[str] = (),
    seed: int = 0,
    sample_size: int | None = None,
    judge_url: str | None = None,
    judge_max_tokens: int | None = None,
) -> "EvaluationSettings":
    """Build the settings of an evaluation, with the call that repeats it; the release records that call."""
    from personagen.builder.evaluation.evaluate import EvaluationSettings

    source = fspath(reference)
    named = (judges,) if isinstance(judges, str) else tuple(judges)
    call = recorded_call(
        "evaluate",
        name,
        reference=redact_path(source),
        embeddings=embeddings,
        judges=list(named) or None,
        seed=seed,
        sample_size=sample_size,
    )
    return EvaluationSettings(source, embeddings, named, seed, sample_size, judge_url, judge_max_tokens, call)
