"""Terms of the licences of the Hub that are common for data, and whether a release may build on a source under one.

The table is no legal advice.
"""

from typing import Literal

PUBLIC_DOMAIN = ("cc0-1.0", "pddl", "unlicense", "wtfpl")
"""Licences that ask for nothing."""

ATTRIBUTION = (
    "odc-by", "cdla-permissive-1.0", "cdla-permissive-2.0", "mit", "apache-2.0", "bsd", "bsd-2-clause", "bsd-3-clause",
    "etalab-2.0", "isc", "afl-3.0", "ecl-2.0", "zlib",
)  # fmt: skip
"""Licences besides those of Creative Commons that ask for attribution, which the card gives."""

SHARE_ALIKE = (
    "odbl", "cdla-sharing-1.0", "gfdl", "gpl", "gpl-2.0", "gpl-3.0", "agpl-3.0", "lgpl", "lgpl-2.1", "lgpl-3.0",
    "lgpl-lr", "osl-3.0", "eupl-1.1", "eupl-1.2", "mpl-2.0", "c-uda",
)  # fmt: skip
"""Licences besides those of Creative Commons that adaptations must have, in this version."""

RESEARCH_ONLY = ("fair-noncommercial-research-license", "h-research", "intel-research", "apple-amlr")
"""Licences besides those of Creative Commons that forbid commercial use; their other terms are not known here."""

UNJUDGED = (None, "other", "unknown")
"""Licences without known terms: none at all, one of its own, or an unknown one."""

LicenceConflict = Literal["adaptations", "commercial use", "share-alike", "attribution", "own terms", "unknown"]
"""Term of the source that a release under its licence would break; the last two: nothing is known to permit it."""


def licence_conflict(source: str | None, release: str | None) -> LicenceConflict | None:
    """Return which term of a source's licence forbids a release under another one; None: no term does.

    A release without a licence permits nothing, so it conflicts with none.

    Args:
        source: licence of the source, as an identifier of the Hub; None: unknown.
        release: licence of the release; None: it claims none.

    """
    if release is None or release in UNJUDGED or release == source:
        return None
    if source is None or source in UNJUDGED:
        return "unknown"
    parts = _parts(source)
    is_known = bool(parts) or source in (*PUBLIC_DOMAIN, *ATTRIBUTION, *SHARE_ALIKE)
    conflicts: dict[LicenceConflict, bool] = {
        "adaptations": "nd" in parts,
        "commercial use": _is_non_commercial(source) and not _is_non_commercial(release),
        "share-alike": ("sa" in parts or source in SHARE_ALIKE) and not _is_later_version(release, source),
        "own terms": not is_known,
        "attribution": source not in PUBLIC_DOMAIN and release in PUBLIC_DOMAIN,
    }
    return next((conflict for conflict, applies in conflicts.items() if applies), None)


def _is_non_commercial(licence: str) -> bool:
    return "nc" in _parts(licence) or licence in RESEARCH_ONLY


def _is_later_version(licence: str, earlier: str) -> bool:
    """Return whether a licence is a later version of one of Creative Commons, which permits those."""
    parts, earlier_parts = _parts(licence), _parts(earlier)
    return parts[:-1] == earlier_parts[:-1] and parts > earlier_parts


def _parts(licence: str) -> list[str]:
    """Return the parts of the name of a Creative Commons licence, such as "by", "nc" and "4.0"; empty: it is none."""
    return licence.split("-") if licence.startswith("cc-by") else []
