"""Verdicts on a release in sentences, and the reasons for caution, from its manifest, scores and audit.

Pure functions over mappings: the card and the page of a release state the same.
"""

from personagen.builder.release.verdicts.concerns import concerns
from personagen.builder.release.verdicts.sentences import ReleaseVerdict, count_texts, verdicts

__all__ = ["ReleaseVerdict", "concerns", "count_texts", "verdicts"]
