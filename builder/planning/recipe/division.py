"""Divide the limits of a run among the workers that fill its parts."""

from collections.abc import Iterator
from typing import Any

from personagen.builder.core.errors import RecipeError
from personagen.builder.planning.recipe.model import Recipe
from personagen.builder.planning.recipe.sections import BackendChoice

LIMITS = (("concurrency", "requests in flight"), ("rpm", "requests per minute"), ("tpm", "tokens per minute"))
"""Limits of a model, and what they count."""


def divided(recipe: Recipe, parts: int) -> tuple[Recipe, str]:
    """Divide concurrency, rates and budget of a recipe evenly by the number of workers.

    Its fingerprint stays: none of them changes an accepted row.

    Args:
        recipe: the recipe of the run.
        parts: number of workers.

    Returns:
        The recipe of one worker, and its limits on one line; "": the recipe has none.

    Raises:
        RecipeError: a limit is too small to be divided.

    """
    backends = tuple(_divided_backend(choice, parts) for choice in recipe.backends)
    budget = recipe.budget
    if budget.max_tokens is not None:
        budget = budget.model_copy(update={"max_tokens": _quotient("budget.max_tokens", budget.max_tokens, parts)})
    if budget.max_cost is not None:
        budget = budget.model_copy(update={"max_cost": budget.max_cost / parts})
    backend = backends[0] if isinstance(recipe.backend, BackendChoice) else backends
    changed = recipe.model_copy(update={"backend": backend, "budget": budget})
    return changed, "; ".join(_limits(changed))


def _divided_backend(choice: BackendChoice, parts: int) -> BackendChoice:
    update: dict[str, Any] = {
        key: _quotient(f"backend.{key}", value, parts)
        for key, _ in LIMITS
        if (value := getattr(choice, key)) is not None
    }
    return choice.model_copy(update=update)


def _quotient(key: str, value: int, parts: int) -> int:
    if value < parts:
        raise RecipeError(
            f"{key} is {value}, which {parts} workers cannot divide; raise it, take fewer parts, or give the limit of "
            "each worker with --per-worker"
        )
    return value // parts


def _limits(recipe: Recipe) -> Iterator[str]:
    """Yield the limits of a recipe in words."""
    for choice in recipe.backends:
        limits = [f"{value:,} {unit}" for key, unit in LIMITS if (value := getattr(choice, key)) is not None]
        name = f"{choice.model}: " if len(recipe.backends) > 1 else ""
        if limits:
            yield name + ", ".join(limits)
    if recipe.budget.max_tokens is not None:
        yield f"{recipe.budget.max_tokens:,} tokens"
    if recipe.budget.max_cost is not None:
        yield f"{recipe.budget.max_cost:g} in cost"
