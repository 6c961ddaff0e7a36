"""Decide which rows to write: recipes, emotion taxonomies, attribute tables, personas, situations and the plan."""
