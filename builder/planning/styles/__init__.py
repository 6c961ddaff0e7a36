"""Plan how each text is written: how openly it expresses its emotion, and in which style."""

from personagen.builder.planning.styles.dealing import RowStyle, row_style
from personagen.builder.planning.styles.library import (
    DEFAULT_STYLE,
    PROFILE_SUFFIX,
    STYLES,
    channel_of,
    find_style,
)
from personagen.builder.planning.styles.mixture import MAX_WORDS, MIN_WORDS, StyleMixture, fits_bounds, make_mixture

__all__ = [
    "DEFAULT_STYLE",
    "MAX_WORDS",
    "MIN_WORDS",
    "PROFILE_SUFFIX",
    "RowStyle",
    "StyleMixture",
    "channel_of",
    "find_style",
    "fits_bounds",
    "make_mixture",
    "row_style",
]
