"""Keywords of `evaluate` and `compare`, shared by the verbs, their asynchronous variants and `Release.evaluate`."""

from collections.abc import Sequence
from dataclasses import replace
from os import fspath
from typing import TYPE_CHECKING, Any, TypedDict

from personagen.builder.api.arguments import (
    ArmKeys,
    PathOrName,
    keywords_of,
    recorded_call,
    require_count,
    require_keywords,
)
from personagen.builder.core.files import redact_path

if TYPE_CHECKING:
    from personagen.builder.evaluation.compare import ComparisonSettings
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
    accept_lost_replies: bool
    encoded: PathOrName | None


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
    accept_lost_replies: bool = False,
    encoded: PathOrName | None = None,
) -> "EvaluationSettings":
    """Build the settings of an evaluation, with the call that repeats it; the release records that call."""
    from personagen.builder.evaluation.evaluate import EvaluationSettings

    source, named = fspath(reference), _names(judges)
    call = recorded_call(
        "evaluate",
        name,
        reference=redact_path(source),
        embeddings=embeddings,
        judges=list(named) or None,
        seed=seed,
        sample_size=sample_size,
    )
    settings = EvaluationSettings(source, embeddings, named, seed, sample_size, judge_url, judge_max_tokens, call)
    shared = None if encoded is None else fspath(encoded)
    return replace(settings, accept_lost_replies=accept_lost_replies, vectors=shared)


def require_evaluation_keywords(keywords: EvaluationKeywords) -> None:
    """Raise TypeError for a keyword that `evaluate` lacks."""
    known = [parameter.name for parameter in keywords_of(evaluation_settings)]
    require_keywords("evaluate", keywords, [*known, "api_key", "progress"])


class ComparisonKeywords(ArmKeys, total=False):
    """Settings of a comparison and keys of its recipe; see `personagen.compare`."""

    reference: PathOrName
    rows: int
    seeds: int
    arms: str | Sequence[str] | None
    embeddings: str | None
    judges: str | Sequence[str]
    judge_url: str | None
    judge_max_tokens: int | None
    accept_lost_replies: bool


def comparison_settings(  # noqa: PLR0913 - the keywords of `compare` with their defaults
    *,
    reference: PathOrName = "goemotions",
    rows: int = 210,
    seeds: int = 3,
    arms: str | Sequence[str] | None = None,
    embeddings: str | None = None,
    judges: str | Sequence[str] = (),
    judge_url: str | None = None,
    judge_max_tokens: int | None = None,
    accept_lost_replies: bool = False,
) -> "ComparisonSettings":
    """Build the settings of a comparison, with the call that repeats it; the results record that call."""
    from personagen.builder.evaluation.compare import ComparisonSettings

    require_count("rows", rows)
    require_count("seeds", seeds)
    source, named, chosen = fspath(reference), _names(judges), None if arms is None else _names(arms)
    call = recorded_call(
        "compare",
        reference=redact_path(source),
        rows=rows,
        seeds=seeds,
        arms=list(chosen) if chosen else None,
        embeddings=embeddings,
        judges=list(named) or None,
    )
    settings = ComparisonSettings(
        source, rows, seeds, chosen, embeddings, named, judge_url, judge_max_tokens=judge_max_tokens, command=call
    )
    return replace(settings, accept_lost_replies=accept_lost_replies)


def split_keywords(keywords: ComparisonKeywords) -> tuple[dict[str, Any], dict[str, Any]]:
    """Separate the settings of a comparison from the keys of its recipe."""
    own = {parameter.name for parameter in keywords_of(comparison_settings)}
    settings = {name: value for name, value in keywords.items() if name in own}
    return settings, {name: value for name, value in keywords.items() if name not in own}


def _names(names: str | Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)
