"""The personas of a recipe: drawn from the tables of the package, or chosen from a source."""

from pathlib import Path

from personagen.builder.planning.personas.people import People, draw_people
from personagen.builder.planning.personas.sources.choice import SourceRequest, choose_personas
from personagen.builder.planning.personas.sources.files.locations import source_name
from personagen.builder.planning.personas.tables import persona_tables
from personagen.builder.planning.recipe import Recipe


def people_of(recipe: Recipe, count: int, chosen: Path | None) -> People:
    """Return the personas of a recipe; `chosen`: see `choose_personas`."""
    request = source_request(recipe, count)
    if request is None or not count:
        return draw_people(recipe.personas, recipe.seed, count)
    return choose_personas(request, persona_tables(), chosen)


def source_request(recipe: Recipe, count: int) -> SourceRequest | None:
    """Return what a recipe asks of its source of `count` personas; None: it has no source."""
    settings = recipe.personas
    if settings is None or settings.source is None:
        return None
    return SourceRequest(
        settings.source,
        source_name(settings.source),
        recipe.seed,
        count,
        columns=settings.columns,
        where=settings.where,
        balance=settings.balance,
        weights=settings.weights,
        source_license=settings.source_license,
        source_citation=settings.source_citation,
        license=recipe.license,
    )
