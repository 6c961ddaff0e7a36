"""Plan how each text is written: how openly it expresses its emotion, and in which style."""

from personagen.builder.planning.styles.dealing import RowStyle, row_style
from personagen.builder.planning.styles.examples import (
    EXAMPLE_KEYS,
    EXAMPLES,
    MAX_EXAMPLE_WORDS,
    as_line,
    draw_examples,
    draw_label_words,
    examples_id,
    load_examples,
    require_examples,
    write_examples,
)
from personagen.builder.planning.styles.library import (
    DEFAULT_STYLE,
    OWN_FORM,
    PROFILE_SUFFIX,
    channel_of,
    find_style,
    style_name,
)
from personagen.builder.planning.styles.mixture import (
    MAX_WORDS,
    MIN_WORDS,
    StyleMixture,
    fits_default_style,
    make_mixture,
    unstyled_bounds,
)

__all__ = [
    "DEFAULT_STYLE",
    "EXAMPLES",
    "EXAMPLE_KEYS",
    "MAX_EXAMPLE_WORDS",
    "MAX_WORDS",
    "MIN_WORDS",
    "OWN_FORM",
    "PROFILE_SUFFIX",
    "RowStyle",
    "StyleMixture",
    "as_line",
    "channel_of",
    "draw_examples",
    "draw_label_words",
    "examples_id",
    "find_style",
    "fits_default_style",
    "load_examples",
    "make_mixture",
    "require_examples",
    "row_style",
    "style_name",
    "unstyled_bounds",
    "write_examples",
]
