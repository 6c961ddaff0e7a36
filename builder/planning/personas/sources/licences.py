"""The licence of a persona source: where it stands, and whether a release may have its licence with such personas.

Attributes and prose of the chosen rows are part of the release, so the release is made from the source. The table knows
the licences of the Hub that are common for data; it is no legal advice.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from personagen.builder.core.errors import RecipeError
from personagen.builder.core.file_names import MANIFEST
from personagen.builder.planning.personas.sources.columns.values import clean
from personagen.builder.planning.personas.sources.files.locations import LocatedSource

MAX_README_CHARS = 200_000
"""Characters of a README that are looked at."""

MAX_CITATION_CHARS = 2_000
"""Upper bound on a citation."""

PUBLIC_DOMAIN = ("cc0-1.0", "pddl", "unlicense", "wtfpl")
"""Licences that ask for nothing."""

ATTRIBUTION = (
    "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "odc-by", "cdla-permissive-1.0", "cdla-permissive-2.0", "mit",
    "apache-2.0", "bsd", "bsd-2-clause", "bsd-3-clause", "etalab-2.0", "isc", "afl-3.0", "ecl-2.0", "zlib",
)  # fmt: skip
"""Licences that ask for attribution, which the card gives."""

SHARE_ALIKE = ("cc-by-sa-3.0", "cc-by-sa-4.0", "odbl", "cdla-sharing-1.0", "gfdl", "gpl-2.0", "gpl-3.0", "agpl-3.0")
"""Licences that what is made from the data must have, too."""

NEWER_VERSIONS = {"cc-by-sa-3.0": "cc-by-sa-4.0", "cc-by-nc-sa-3.0": "cc-by-nc-sa-4.0"}
"""Later versions that a share-alike licence permits too."""

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
    if recipe_license in (None, "other") or recipe_license == source.license:
        return
    if (reason := _conflict(source.license, recipe_license)) is None:
        return
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


def _conflict(source: str | None, recipe: str) -> str | None:
    """Return why a release of one licence cannot be made from a source of another; None: it can."""
    if source is None or source == "other":
        return "nothing is known to permit it"
    parts, wanted = _terms(source), _terms(recipe)
    share_alike = "sa" in parts or source in SHARE_ALIKE
    known = source in PUBLIC_DOMAIN or source in ATTRIBUTION or share_alike or bool(parts)
    reasons = {
        "it forbids to share what is made from it": "nd" in parts,
        "it forbids commercial use, which the release would allow": "nc" in parts and "nc" not in wanted,
        f"what is made from it must be under {source}": share_alike and recipe != NEWER_VERSIONS.get(source),
        "it asks for attribution, which the release would not": source not in PUBLIC_DOMAIN and recipe in PUBLIC_DOMAIN,
        f"its terms are its own, and are not known to permit {recipe}": not known,
    }
    return next((reason for reason, applies in reasons.items() if applies), None)


def _terms(licence: str) -> set[str]:
    """Return the parts of the name of a Creative Commons licence, such as "by" and "nc"; empty: it is none."""
    return set(licence.split("-")) if licence.startswith("cc-by") else set()
