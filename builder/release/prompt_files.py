"""The prompt templates in a release: those of a recipe that replaces some, in the folder `prompts`.

They are all templates that its requests were rendered from, those of the package included. Named as `prompts:` of a
recipe, the folder gives the same prompts.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from personagen.builder.core.errors import FolderError
from personagen.builder.core.files import explain, make_folder, write_bytes
from personagen.builder.planning.recipe import Recipe
from personagen.builder.writing.prompts import published_templates

PROMPTS = "prompts"
"""Folder of the templates in a release."""

PROMPT_PATH = re.compile(rf"{PROMPTS}/[a-z_]{{1,40}}(\.[A-Za-z0-9][A-Za-z0-9_-]{{0,39}})?\.md")
"""Paths of templates in a release."""


def prompt_entries(recipe: Recipe) -> dict[str, list[dict[str, Any]]]:
    """Return the templates in the release of a recipe as a part of its manifest; empty: it replaces none."""
    if recipe.prompts is None:
        return {}
    return {
        "files": [
            {"path": f"{PROMPTS}/{name}", "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in published_templates(recipe).items()
        ]
    }


def write_prompts(folder: Path, recipe: Recipe) -> None:
    """Write the templates of a recipe that replaces some into its release.

    Raises:
        FolderError: a file cannot be written.

    """
    if recipe.prompts is None:
        return
    try:
        make_folder(folder / PROMPTS)
        for name, content in published_templates(recipe).items():
            write_bytes(folder / PROMPTS / name, [content])
    except OSError as error:
        raise FolderError(f"cannot write {folder / PROMPTS}: {explain(error)}") from error


def listed_prompts(manifest: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return path, bytes and sha256 of the templates in a release; empty: its recipe replaces none."""
    files: Sequence[Mapping[str, Any]] = manifest["prompts"].get("files", [])
    return files
