"""Licence and attribution of a source of real texts, and whether the licence of a release fits them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from personagen.builder.planning.licence_terms import LicenceConflict, licence_conflict

if TYPE_CHECKING:
    from personagen.builder.planning.recipe.sections import TextSource


@dataclass(frozen=True, slots=True)
class SourceTerms:
    """Terms of a source.

    Attributes:
        license: its licence, as an identifier of the Hub; None: unknown.
        attribution: credit that it asks for; None: unknown.

    """

    license: str | None = None
    attribution: str | None = None


BUNDLED_TERMS: Mapping[str, SourceTerms] = {
    "goemotions": SourceTerms(
        "cc-by-4.0",
        "Demszky, Movshovitz-Attias, Ko, Cowen, Nemade, Ravi: GoEmotions: A Dataset of Fine-Grained Emotions, ACL 2020",
    ),
    "xed": SourceTerms(
        "cc-by-4.0",
        "Öhman, Pàmies, Kajava, Tiedemann: XED: A Multilingual Dataset for Sentiment Analysis and Emotion Detection, "
        "COLING 2020",
    ),
    "brighter": SourceTerms("cc-by-4.0", "Muhammad, Ousidhoum, Abdulmumin and others: BRIGHTER, 2025"),
}
"""Terms of the references of the package; `metrics/data/SOURCES.md` has them in full."""

CONFLICTS: Mapping[LicenceConflict, str] = {
    "adaptations": "{source} forbids adaptations",
    "commercial use": "{source} forbids commercial use and {release} allows it",
    "share-alike": "{source} must be kept by what builds on it",
    "attribution": "{source} asks for attribution and {release} does not",
}
"""Wording of the conflicts that refuse a recipe: unknown terms are none, since prompts alone have the texts."""


def terms_of(settings: "TextSource", known: SourceTerms | None = None) -> SourceTerms:
    """Return the terms that a recipe states for a source, else those of the source itself as far as it has any.

    Args:
        settings: the source in the recipe.
        known: terms of the source itself; None: those of the package or in the manifest of a release.

    """
    if known is None:
        known = BUNDLED_TERMS.get(settings.source) or _release_terms(Path(settings.source)) or SourceTerms()
    return SourceTerms(settings.license or known.license, settings.attribution or known.attribution)


def _release_terms(folder: Path) -> SourceTerms | None:
    """Return the terms in the manifest of a release of ours; None: the folder is no release."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        licence, name = manifest["license"]["license"], manifest["name"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return SourceTerms(licence if isinstance(licence, str) else None, f"the dataset {name}" if name else None)


def text_conflict(source: str | None, release: str | None) -> str | None:
    """Return why a release may not have its licence if prompts show texts of another one; None: no reason is known.

    Args:
        source: licence of the texts; None: unknown.
        release: licence of the release; None: it claims none.

    """
    conflict = licence_conflict(source, release)
    if conflict is None or conflict not in CONFLICTS:
        return None
    return CONFLICTS[conflict].format(source=source, release=release)
