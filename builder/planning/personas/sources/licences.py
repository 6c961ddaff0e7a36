"""The licence of a persona source: where it stands, and whether a release may have its licence with such personas.

Attributes and prose of the chosen rows are part of the release, so the release is made from the source.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from personagen.builder.core.errors import RecipeError
from personagen.builder.core.file_names import MANIFEST
from personagen.builder.planning.licence_terms import LicenceConflict, licence_conflict
from personagen.builder.planning.personas.sources.columns.values import clean
from personagen.builder.planning.personas.sources.files.locations import LocatedSource

MAX_README_CHARS = 200_000
"""Characters of a README that are looked at."""

MAX_CITATION_CHARS = 2_000
"""Upper bound on a citation."""

CONFLICTS: Mapping[LicenceConflict, str] = {
    "adaptations": "it forbids to share what is made from it",
    "commercial use": "it forbids commercial use, which the release would allow",
    "share-alike": "what is made from it must be under {source}",
    "attribution": "it asks for attribution, which the release would not",
    "own terms": "its terms are its own, and are not known to permit {release}",
    "unknown": "nothing is known to permit it",
}
"""Wording of the conflicts; unknown terms are one, since the release has the rows of the source."""

_FRONT = re.compile(r"\A\ufeff?---\r?\n(.*?)\r?\n---", re.DOTALL)
_BIBTEX = re.compile(r"@\w{3,20}\{.{1,1900}?\n\s*\}", re.DOTALL)
_IDENTIFIER = re.compile(r"[a-z0-9][a-z0-9.+-]{0,63}")


@dataclass(frozen=True, slots=True)
class SourceLicence:
    """What a source says about its use.

    Attributes:
        license: identifier of the Hub. None: unknown.
        citation: how to cite it, one line. None: unknown.
        stated_in: "recipe", "card" (its README) or "manifest" (a release of ours). None: no licence is known.

    """

    license: str | None
    citation: str | None
    stated_in: str | None


def licence_of(source: LocatedSource, license: str | None, citation: str | None) -> SourceLicence:  # noqa: A002 - key
    """Return licence and citation of a source: those of the recipe, else of its manifest, else of its README.

    Args:
        source: the located source.
        license: `personas.source_license` of the recipe.
        citation: `personas.source_citation` of the recipe.

    """
    stated, cited, place = _from_manifest(source) if source.made_by_us else _from_readme(source)
    return SourceLicence(
        license or stated, citation or cited, "recipe" if license else place if stated is not None else None
    )


def _from_manifest(source: LocatedSource) -> tuple[str | None, str | None, str]:
    folder = source.files[0].path.parents[1]
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        stated = _identifier(manifest["license"]["license"])
        citation = manifest.get("citation")
    except (OSError, ValueError, TypeError, KeyError):
        return None, None, "manifest"
    return stated, _line(citation), "manifest"


def _from_readme(source: LocatedSource) -> tuple[str | None, str | None, str]:
    if source.readme is None:
        return None, None, "card"
    with source.readme.open(encoding="utf-8", errors="replace") as file:
        text = file.read(MAX_README_CHARS)
    front = _FRONT.match(text)
    try:
        data = yaml.safe_load(front[1]) if front else None
    except (yaml.YAMLError, ValueError, RecursionError):
        data = None
    stated = data.get("license") if isinstance(data, dict) else None
    bibtex = _BIBTEX.search(text)
    return _identifier(stated), _line(bibtex[0] if bibtex else None), "card"


def _identifier(value: Any) -> str | None:
    """Return a licence in the spelling of the Hub; "other" for anything else that is named."""
    if isinstance(value, list):
        value = value[0] if len(value) == 1 else "other" if value else None
    if value is None or value == "unknown":
        return None
    text = str(value).lower()
    return text if _IDENTIFIER.fullmatch(text) else "other"


def _line(text: Any) -> str | None:
    return clean(text)[:MAX_CITATION_CHARS] or None if isinstance(text, str) else None


def require_compatible(source: SourceLicence, recipe_license: str | None) -> None:
    """Raise RecipeError if the licence of a release would allow what that of its personas forbids.

    A release without a licence (None) allows nothing, and the terms of `other` are not known: both are accepted.
    """
    conflict = licence_conflict(source.license, recipe_license)
    if conflict is None:
        return
    reason = CONFLICTS[conflict].format(source=source.license, release=recipe_license)
    raise RecipeError(
        f"license: got {recipe_license} for personas under {source.license or 'an unknown licence'}: {reason}"
        + (
            "; state its licence as personas.source_license, or leave license out"
            if source.license is None
            else "; choose another licence, leave it out, or take another source"
        )
    )


def source_warning(facts: Mapping[str, Any] | None) -> str | None:
    """Return a warning that the licence of a source is unknown; None: it is known, or there is no source.

    Args:
        facts: facts on the source; see `SourcedPeople.source`.

    """
    if facts is None or facts["license"] is not None:
        return None
    return (
        f"the licence of {facts['name']} is unknown, so the release may not be free to share; state it as "
        "personas.source_license"
    )
