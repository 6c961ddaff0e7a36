"""Grounding: the content of a row's prompt beside the layers of its persona.

`contents` draws it for a row, `pools` loads the real texts that prompts may show and keeps them in the folder of a run.
"""

from personagen.builder.writing.grounding.contents import load_grounding, seen_texts
from personagen.builder.writing.grounding.pools import begun_recipe, load_pools, with_kept_texts

__all__ = ["begun_recipe", "load_grounding", "load_pools", "seen_texts", "with_kept_texts"]
