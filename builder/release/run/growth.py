"""Releases that grow: the recipe of a release with further rows, and the check that its own rows stay as they are."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from personagen.builder.core.errors import FolderError, RecipeError, raise_as
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.recipe.consistency import validate_together
from personagen.builder.planning.recipe.differences import describe_differences
from personagen.builder.planning.situations.sources import wanted_inventions
from personagen.builder.release.folder import check_manifest, read_manifest
from personagen.builder.release.manifest import differing_parts
from personagen.builder.release.texts import text_digest, text_digests
from personagen.builder.writing.pipeline import FinalizedRow


@dataclass(frozen=True, slots=True)
class Growth:
    """A release that gets further rows.

    Attributes:
        recipe: recipe of the release with all rows.
        base: fingerprint of the recipe of the release as it is.
        digests: 16 bytes of the hash of each of its texts, by id.

    """

    recipe: Recipe
    base: str
    digests: Mapping[str, bytes]


def grow(recipe: Recipe, out: Path) -> Growth:
    """Return the growth of the release in a folder to the rows of a recipe.

    The rows that are missing per emotion become a batch of their own. If none is missing, the recipe is that of the
    release.

    Args:
        recipe: recipe with more rows than the release, and equal in all else.
        out: folder of the release.

    Raises:
        ReleaseError: the folder has no release, or a damaged one.
        RecipeError: the recipe differs from that of the release in more than its rows, or has fewer of them.

    """
    manifest = read_manifest(out)
    check_manifest(manifest, str(out))
    there = manifest["recipe"]
    batches = None if there.get("batches") is None else tuple(there["batches"])
    rows = {"rows": there["rows"], "quotas": there.get("quotas"), "batches": batches}
    base = recipe.model_copy(update=rows)
    if base.fingerprint() != manifest["fingerprint"]:
        raise RecipeError(
            f"{out} has the release of another recipe: {describe_differences(there, base.identity())}; --append adds "
            "rows of the same recipe, so change nothing but its rows"
        )
    if parts := differing_parts(manifest, base):
        raise RecipeError(
            f"{out} has a release with {' and '.join(parts)} than this version and recipe have; make the larger "
            "release in another folder with --out"
        )
    counts = {name: sum(manifest["configs"][name]["rows"].values()) for name in base.quota()}
    grown = _with_batch(recipe, base, counts, out)
    return Growth(grown, manifest["fingerprint"], _digests(out, manifest) if grown is not base else {})


def require_unchanged(finalized: FinalizedRow, growth: Growth | None) -> FinalizedRow:
    """Return a row; raise FolderError if a row of a release that grows has another text than there.

    The replies are not those that wrote it then. `growth` None: the release is new.
    """
    row = finalized.row
    known = None if growth is None or row is None else growth.digests.get(row.id)
    if row is not None and known is not None and known != text_digest(row.text):
        raise FolderError(
            f"the text of {row.id} is another one than in the release: its run has lost replies, or they came from "
            "another version; the release is as it was, make the larger one in another folder with --out"
        )
    return finalized


def _with_batch(recipe: Recipe, base: Recipe, counts: Mapping[str, int], out: Path) -> Recipe:
    """Return the recipe with a batch of the texts that are missing; `base` if none is."""
    wanted = recipe.quota()
    for name, count in counts.items():
        if wanted[name] < count:
            raise RecipeError(
                f"{out} has {count} texts of {name!r}, and the recipe asks for {wanted[name]}: --append adds texts and "
                f"removes none; raise rows to {sum(counts.values())} or more"
            )
    missing = {name: wanted[name] - count for name, count in counts.items() if wanted[name] > count}
    if not missing:
        return base
    if wanted_inventions(recipe):
        raise RecipeError(
            f"events.invent: got a recipe whose model invents events, and their number depends on the rows of {out}, "
            "wanted other sources for --append; make the larger release in another folder with --out"
        )
    batches = (*(base.batches or (counts,)), missing)
    grown = recipe.model_copy(update={"batches": batches, "quotas": None, "rows": sum(wanted.values())})
    with raise_as(RecipeError):
        validate_together(grown)
    return grown


def _digests(out: Path, manifest: Mapping[str, Any]) -> dict[str, bytes]:
    return {id_: digest for part in text_digests(out, manifest).values() for id_, digest in part.items()}
