"""The manifest: what a release is made of, as far as it can be known and is the same each time it is made."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from personagen.builder.core.errors import ReleaseError
from personagen.builder.core.package_data import digests
from personagen.builder.core.prices import Amount
from personagen.builder.core.records import SCHEMA_VERSION
from personagen.builder.llm.journal import Usage
from personagen.builder.llm.requests import Backend
from personagen.builder.planning.attribute_tables import persona_tables
from personagen.builder.planning.personas import possible_pairs
from personagen.builder.planning.plan import Plan
from personagen.builder.planning.recipe import Recipe
from personagen.builder.release.folder import FORMAT, configurations, read_manifest, sealed
from personagen.builder.release.shards import ShardFile
from personagen.builder.version import __version__
from personagen.builder.writing.prompts import prompt_version, versions


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the replies of a run.

    Attributes:
        rejects: refused replies by stage and reason.
        leaked: texts that name their emotion.
        composition: texts by attribute and value, at the recipe's depth; see `Composition`.
        classifier: what is known of the emotion classifier, and how often it agrees; None where none ran.

    """

    rejects: Mapping[tuple[str, str], int]
    leaked: int
    composition: Mapping[str, Any]
    classifier: Mapping[str, Any] | None = None


def make_manifest(
    backend: Backend, plan: Plan, shards: Sequence[ShardFile], outcome: Outcome, usage: Usage
) -> dict[str, Any]:
    """Describe a release. It holds no time, path, address or key, so equal runs give equal manifests.

    Args:
        backend: what wrote the texts.
        plan: what was planned.
        shards: every file of the release that holds rows.
        outcome: what became of the replies.
        usage: requests and tokens that the release took; what they cost is told where the recipe has the price.

    """
    recipe = plan.recipe
    manifest = {
        "format": FORMAT,
        "name": recipe.name,
        "version": SCHEMA_VERSION,
        "personagen": __version__,
        "fingerprint": recipe.fingerprint(),
        "recipe": recipe.identity(),
        "seed": recipe.seed,
        "taxonomy": _taxonomy(recipe),
        "model": _model(backend),
        "prompts": {"version": prompt_version(), "templates": versions()},
        "tables": digests(),
        "personas": {
            **plan.personas,
            "pairs_met": plan.design.pairs,
            "pairs_possible": possible_pairs(persona_tables()),
        },
        "license": recipe.licence(),
        "configs": configurations(shards),
        "composition": dict(outcome.composition),
        "rejects": _by_stage(outcome.rejects),
        "leaked": outcome.leaked,
        "checker": outcome.classifier,
        "usage": {**asdict(usage), "cost": _cost(recipe, usage)},
        "shards": [asdict(shard) for shard in shards],
    }
    return sealed(manifest)


def _model(backend: Backend) -> dict[str, str | None]:
    return {
        "backend": backend.name,
        "name": backend.model,
        "revision": backend.revision,
        "licence": backend.licence,
    }


def _cost(recipe: Recipe, usage: Usage) -> float | None:
    price = recipe.price()
    return None if price is None else round(price.of(Amount(usage.prompt_tokens, usage.completion_tokens)), 6)


def _taxonomy(recipe: Recipe) -> dict[str, Any]:
    chosen = recipe.chosen_taxonomy()
    emotions = [{"name": emotion.name, "definition": emotion.definition} for emotion in chosen.emotions]
    return {"name": chosen.name, "emotions": emotions}


def _by_stage(rejects: Mapping[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for (stage, reason), count in sorted(rejects.items()):
        counts.setdefault(stage, {})[reason] = count
    return counts


def same_release(folder: Path, recipe: Recipe) -> dict[str, Any] | None:
    """Read the manifest of a release that this code would make in the same way; None where there is none.

    A release of other prompts or tables, or under another licence, does not count: it is made again, and the journal
    answers what has not changed.
    """
    try:
        manifest = read_manifest(folder)
    except ReleaseError:
        return None
    same = (
        manifest["fingerprint"] == recipe.fingerprint()
        and manifest["prompts"]["version"] == prompt_version()
        and manifest["tables"] == digests()
        and manifest.get("license") == recipe.licence()
    )
    whole = all((folder / shard["path"]).is_file() for shard in manifest["shards"])
    return manifest if same and whole else None


def total_rejects(manifest: Mapping[str, Any]) -> Counter[str]:
    """Add up the refused replies of a release by reason."""
    counts: Counter[str] = Counter()
    for reasons in manifest["rejects"].values():
        counts.update(reasons)
    return counts
