"""Planning: from a recipe to every row to write, with its persona and its situation.

A recipe is parsed and validated, its personas are drawn from cited tables, its situations from a bank of events. The
plan is pure and seeded: the same recipe gives the same plan on every machine, without a call of a model.

May import `personagen.builder.core` and `personagen.metrics` only.
"""

from personagen.builder.planning.plan import Plan, make_plan
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.recipe.parsing import parse_recipe, read_recipe

__all__ = ["Plan", "Recipe", "make_plan", "parse_recipe", "read_recipe"]
