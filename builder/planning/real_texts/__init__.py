"""Real texts that prompts may show: their source, the part of it that is shown, and the draw for each row.

    source -> pool | held | test -> pool without texts that repeat the others -> examples, or a text to paraphrase

The pool is that of `personagen compare`, so that a release can be evaluated with the rest of its source.
"""

from personagen.builder.planning.real_texts.division import divide
from personagen.builder.planning.real_texts.drawing import ExampleDraw, SourceDraw
from personagen.builder.planning.real_texts.pools import COPY_SUFFIX, PoolText, TextPool, is_copy, read_copy, write_copy
from personagen.builder.planning.real_texts.sources import RealSource, open_source, source_id
from personagen.builder.planning.real_texts.terms import terms_of, text_conflict

__all__ = [
    "COPY_SUFFIX",
    "ExampleDraw",
    "PoolText",
    "RealSource",
    "SourceDraw",
    "TextPool",
    "divide",
    "is_copy",
    "open_source",
    "read_copy",
    "source_id",
    "terms_of",
    "text_conflict",
    "write_copy",
]
