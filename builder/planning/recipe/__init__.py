"""Recipes: their model with all sections, its validation and its fingerprint, and the files that they are read from.

YAML -> plain data (parsing) -> sections -> Recipe (model): validated together (consistency), identified (identity)
"""

from personagen.builder.planning.recipe.model import Recipe

__all__ = ["Recipe"]
