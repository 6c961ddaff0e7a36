"""Files that a recipe names: paths relative to the recipe, and copies that a run continues from."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from personagen.builder.core.errors import FolderError
from personagen.builder.core.files import copy_file, explain, make_folder
from personagen.builder.planning.prompts import template_paths
from personagen.builder.planning.recipe.model import Recipe
from personagen.builder.planning.styles import EXAMPLE_KEYS, PROFILE_SUFFIX

FILE_KEYS = (*(("text", key) for key in EXAMPLE_KEYS), ("events", "file"))
"""Section and key of settings that name a file; `text.style` can name several, and other things than files."""


def resolve_files(data: dict[str, Any], folder: Path) -> None:
    """Make the paths of a recipe file absolute, in place: they are relative to its folder, and so all can be moved."""

    def resolved(path: str) -> str:
        return str(folder.absolute() / path)

    for section, values in data.items():
        if isinstance(values, dict):
            values.update(_changed_files(section, values, resolved))
            if section == "personas" and isinstance(source := values.get("source"), str) and "://" not in source:
                values["source"] = resolved(source)  # not copied: its chosen rows are
    if isinstance(data.get("prompts"), str | dict):
        data["prompts"] = _changed_prompts(data["prompts"], resolved)
    for key in ("examples", "paraphrase"):
        grounding = data.get("grounding")
        settings = grounding.get(key) if isinstance(grounding, dict) else None
        if isinstance(settings, dict) and isinstance(settings.get("source"), str):
            settings["source"] = resolve_source(settings["source"], folder)


def resolve_source(source: str, folder: Path) -> str:
    """Return the path of a source that is a file or a folder; other sources are names of the package or of the Hub."""
    from personagen.metrics.texts.reference import FILE_SUFFIXES, SLICES

    path = folder.absolute() / source
    is_file = source.lower().removesuffix(".gz").endswith(FILE_SUFFIXES)
    try:
        return str(path) if source not in SLICES.values() and (is_file or path.exists()) else source
    except (OSError, ValueError):  # a name with a null byte is a ValueError
        return source


def with_copies(recipe: Recipe, folder: Path) -> Recipe:
    """Return the recipe with copies of its files: a file that changes during a run changes no row.

    A copy has the name and the content of its file, and so the recipe has the same fingerprint.

    Raises:
        FolderError: a file cannot be copied.

    """

    def copied(path: str, relative: str) -> str:
        target = folder / relative
        try:
            make_folder(target.parent)
            copy_file(Path(path), target)
        except OSError as error:
            raise FolderError(f"cannot copy {path} to {target.parent}: {explain(error)}") from error
        return str(target)

    return with_changed_files(recipe, copied)


def with_changed_files(recipe: Recipe, change: Callable[[str, str], str]) -> Recipe:
    """Return the recipe with other paths of its files.

    Args:
        recipe: the recipe.
        change: returns the new path of a file, from its path and from that of its copy within the folder of copies: the
            number of the file and its name. It is called once per file.

    """
    paths: dict[str, str] = {}

    def changed_path(path: str) -> str:
        if path not in paths:
            paths[path] = change(path, f"{len(paths)}/{Path(path).name}")
        return paths[path]

    sections: dict[str, Any] = {}
    for section in dict.fromkeys(section for section, _ in FILE_KEYS):
        settings = getattr(recipe, section)
        if settings is not None and (changed := _changed_files(section, dict(settings), changed_path)):
            sections[section] = settings.model_copy(update=changed)
    if recipe.prompts is not None:
        sections["prompts"] = {
            template: tuple(changed_path(str(path)) for path in paths_)
            for template, paths_ in template_paths(recipe.prompts).items()
        }
    return recipe.model_copy(update=sections) if sections else recipe


def _changed_prompts(sources: Any, change: Callable[[str], str]) -> Any:
    """Return the prompts of a recipe with each path changed; values of another type stay, and are refused later."""
    if isinstance(sources, str):
        return change(sources)
    if isinstance(sources, list):
        return [change(path) if isinstance(path, str) else path for path in sources]
    if isinstance(sources, dict):
        return {template: _changed_prompts(paths, change) for template, paths in sources.items()}
    return sources


def _changed_files(section: str, values: Mapping[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    """Return the settings of a section that name files, each path changed; values of another type are left out."""
    keys = [key for owner, key in FILE_KEYS if owner == section]
    changed: dict[str, Any] = {key: change(values[key]) for key in keys if isinstance(values.get(key), str)}
    style = values.get("style") if section == "text" else None
    if isinstance(style, str) and style.endswith(PROFILE_SUFFIX):
        changed["style"] = change(style)
    elif isinstance(style, Mapping):
        changed["style"] = {
            change(name) if isinstance(name, str) and name.endswith(PROFILE_SUFFIX) else name: fraction
            for name, fraction in style.items()
        }
    return changed
