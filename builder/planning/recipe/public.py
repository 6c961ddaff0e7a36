"""The recipe as it is published: every setting that a release depends on, and nothing secret or of one machine."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from personagen.builder.core.errors import RecipeError
from personagen.builder.core.foreign_text import printable, quote
from personagen.builder.planning.personas.sources.files.locations import is_address
from personagen.builder.planning.real_texts import is_copy, read_copy
from personagen.builder.planning.recipe.model import Recipe
from personagen.builder.planning.recipe.recipe_files import FILE_KEYS, resolve_files, with_changed_files
from personagen.builder.planning.styles import PROFILE_SUFFIX

PRIVATE_KEYS = ("base_url", "headers", "query", "timeout", "concurrency", "rpm", "tpm")
"""Keys of a model that are left out: where and how fast it is called."""

HERE = "./"
"""Beginning of a published path: one of a file that is not published."""


def public_recipe(recipe: Recipe) -> dict[str, Any]:
    """Return the settings of a recipe as plain data, from which `republished` makes a recipe with the same fingerprint.

    Left out: addresses, headers, rates and budgets, which change no release. A file is named by its path in the folder
    of the copies of a run, "./0/events.yaml"; a local source, which is not copied, by its name, "./people.csv".
    """
    data = with_changed_files(recipe, lambda _, relative: HERE + relative).model_dump(mode="json")
    del data["budget"]
    models = data["backend"] if isinstance(data["backend"], list) else [data["backend"]]
    for model in models:
        for key in PRIVATE_KEYS:
            del model[key]
    personas, grounding, checks = data["personas"] or {}, data["grounding"] or {}, data["checks"]
    if (source := personas.get("source")) is not None and not is_address(source):
        personas["source"] = HERE + Path(source).name
    for settings in grounding.values():
        if isinstance(settings, dict):
            settings["source"] = _public_source(settings["source"])
    checks["label_reference"] = _public_source(checks["label_reference"])
    return data


def _public_source(source: str) -> str:
    """Return the name of real texts: of the package, of a dataset on the Hub, or of a file."""
    from personagen.metrics.texts.reference import FILE_SUFFIXES, SLICES

    pool = read_copy(Path(source)) if is_copy(source) else None
    name = source if pool is None else pool.name
    path = Path(name)
    is_file = path.is_absolute() or path.exists() or name.lower().removesuffix(".gz").endswith(FILE_SUFFIXES)
    is_public = name in SLICES.values() or ("/" in name and not is_file)
    return name if is_public else HERE + path.name


def files_of(settings: Mapping[str, Any], *, has_copies: bool = False) -> tuple[str, ...]:
    """Return the names of the files that a published recipe needs, in the order of their keys; empty: it needs none.

    Args:
        settings: see `public_recipe`; they may come from anyone, so that any path counts, whatever its form.
        has_copies: whether the copies that a run makes of files are at hand.

    """
    paths = [*([] if has_copies else _copied_files(settings)), *_label_references(settings)]
    return tuple(dict.fromkeys(Path(path).name for path in paths))


def _copied_files(settings: Mapping[str, Any]) -> Iterator[str]:
    """Yield the files and local sources of which a run keeps copies."""
    for section, key in FILE_KEYS:
        if isinstance(path := _section(settings, section).get(key), str):
            yield path
    style = _section(settings, "text").get("style")
    names = [style] if isinstance(style, str) else list(style) if isinstance(style, Mapping) else []
    yield from (name for name in names if isinstance(name, str) and name.endswith(PROFILE_SUFFIX))
    yield from _strings(settings.get("prompts"))
    source = _section(settings, "personas").get("source")
    if isinstance(source, str) and not is_address(source):
        yield source
    for part in _section(settings, "grounding").values():
        source = part.get("source") if isinstance(part, Mapping) else None
        if isinstance(source, str) and _public_source(source).startswith(HERE):
            yield source


def _label_references(settings: Mapping[str, Any]) -> Iterator[str]:
    """Yield the reference of the label check if it is a file; without a classifier it is not read."""
    checks = _section(settings, "checks")
    reference = checks.get("label_reference")
    if checks.get("label") is not None and isinstance(reference, str) and _public_source(reference).startswith(HERE):
        yield reference


def _section(settings: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = settings.get(name)
    return section if isinstance(section, Mapping) else {}


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _strings(part)


def republished(settings: Mapping[str, Any], where: str, copies: Path | None = None) -> Recipe:
    """Return the recipe that was published.

    Args:
        settings: see `public_recipe`; they are validated as those of any recipe.
        where: what has them, for errors.
        copies: folder of the copies of the recipe's files. None: there are none.

    Raises:
        RecipeError: the recipe needs a file that is not at hand, or is none.

    """
    if files := files_of(settings, has_copies=copies is not None):
        named = ", ".join(quote(name) for name in files[:3]) + (f" and {len(files) - 3} more" if files[3:] else "")
        raise RecipeError(
            f"the recipe in {where} names {named}, which is not published with it; give the recipe, with its files, by "
            "--recipe FILE"
        )
    try:
        data = json.loads(json.dumps(settings))
        if copies is not None:
            resolve_files(data, copies)
        return Recipe.model_validate_json(json.dumps(data))
    except RecipeError as error:
        problem = printable(str(error))[:600]
    except (TypeError, ValueError, RecursionError):
        problem = "is no plain mapping"
    raise RecipeError(f"the recipe in {where}: {problem}; give the recipe by --recipe FILE")
