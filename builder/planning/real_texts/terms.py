"""Licence and attribution of a source of real texts, and whether the licence of a release fits them."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

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

SHARE_ALIKE = (
    "odbl", "cdla-sharing-1.0", "gfdl", "gpl", "gpl-2.0", "gpl-3.0", "agpl-3.0", "lgpl", "lgpl-2.1", "lgpl-3.0",
    "lgpl-lr", "osl-3.0", "eupl-1.1", "eupl-1.2", "mpl-2.0", "c-uda",
)  # fmt: skip
"""Licences besides those of Creative Commons that adaptations must keep."""

RESEARCH_ONLY = ("fair-noncommercial-research-license", "h-research", "intel-research", "apple-amlr")
"""Licences besides those of Creative Commons that forbid commercial use."""

UNJUDGED = (None, "other", "unknown")
"""Licences of a release that cannot be compared: the card claims none, or one of the recipe's own."""


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


def licence_conflict(source: str | None, release: str | None) -> str | None:
    """Return why a release may not have its licence if it builds on texts of another one; None: no reason is known.

    Args:
        source: licence of the texts; None: unknown.
        release: licence of the release; None: it claims none.

    """
    if source is None or release in UNJUDGED or source == release:
        return None
    if "-nd" in source:
        return f"{source} forbids adaptations"
    if _is_non_commercial(source) and not _is_non_commercial(str(release)):
        return f"{source} forbids commercial use and {release} allows it"
    kept, own = _kept_family(source), _kept_family(str(release))
    if kept and (kept != own or str(release) < source):  # a later version may replace an earlier one
        return f"{source} must be kept by what builds on it"
    return None


def _is_non_commercial(licence: str) -> bool:
    return "-nc" in licence or licence in RESEARCH_ONLY


def _kept_family(licence: str) -> str | None:
    """Return the licence that adaptations must have, without its version; None: any."""
    if licence in SHARE_ALIKE:
        return licence
    matched = re.fullmatch(r"(cc-by(?:-nc)?-sa)-[\d.]+", licence)
    return matched[1] if matched else None
