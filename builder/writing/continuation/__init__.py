"""Texts of a model too small for instructions: beginnings that it completes, and their surface."""

from personagen.builder.writing.continuation.beginnings import LAST_RESORT, styled_beginnings, valence_distance
from personagen.builder.writing.continuation.finishing import finished

__all__ = ["LAST_RESORT", "finished", "styled_beginnings", "valence_distance"]
