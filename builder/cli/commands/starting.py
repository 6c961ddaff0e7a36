"""The command `init`."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from personagen.builder.cli.options import read_options
from personagen.builder.cli.output import show
from personagen.builder.core.errors import FolderError
from personagen.builder.core.foreign_text import quote

KINDS = ("embedded", "openai", "batch", "transformers")
"""Kinds of backends, which a test compares with those of a recipe: the help imports nothing of it."""


@click.command("init")
@click.argument("path", metavar="[FILE]", type=click.Path(path_type=Path), default=Path("recipe.yaml"))
@click.option("--backend", metavar="KIND", help=f"Backend: {', '.join(KINDS[:-1])} or {KINDS[-1]}.")
@click.option("--model", metavar="NAME", help="Model of the backend; the embedded backend has its own.")
@click.option("--rows", type=int, metavar="N", help="Number of accepted texts over all emotions.")
@click.option("--force", is_flag=True, help="Replace an existing file.")
def init_command(path: Path, *, force: bool, **values: Any) -> None:
    """Write a recipe with every key, its meaning and its default, and the JSON schema for editors beside it.

    FILE defaults to recipe.yaml. In a terminal the command asks for the options that are not given; elsewhere it asks
    nothing and uses the defaults.
    """
    if not path.name or path.name == ".." or not str(path).isprintable():  # a line break would end the header's comment
        raise FolderError(f"{quote(str(path))} is no name of a file, wanted one such as recipe.yaml; name another file")
    schema = path.with_name(f"{path.stem}.schema.json")
    for file in (path, schema):
        if file.exists() and not force and not (file == schema and _is_schema(file)):
            raise FolderError(f"{file} exists; name another file, or replace it with --force")
    if sys.stdin.isatty() and sys.stderr.isatty():
        values |= _asked(values)
    read_options(None, values)  # refuses what no recipe can have
    from personagen.builder.core.files import make_folder, write_text
    from personagen.builder.planning.recipe.starter import recipe_schema, starter_recipe

    backend = {key: values[name] for key, name in (("kind", "backend"), ("model", "model")) if values[name] is not None}
    settings = {"rows": values["rows"], "backend": backend}
    chosen = {key: value for key, value in settings.items() if value not in (None, {})}
    try:
        make_folder(path.parent)
        write_text(schema, json.dumps(recipe_schema(), indent=2) + "\n")
        write_text(path, starter_recipe(chosen, name=path.name, schema=schema.name))
    except OSError as error:
        raise FolderError(
            f"cannot write {path}: {(error.strerror or str(error)).lower()}; name another file"
        ) from error
    show(path)


def _asked(values: dict[str, Any]) -> dict[str, Any]:
    """Ask for the options that were not given."""
    backend = values["backend"] or click.prompt("Backend", "embedded", type=click.Choice(KINDS), err=True)
    model = values["model"]
    if model is None and backend != "embedded":
        model = click.prompt("Model", err=True)
    rows = values["rows"] or click.prompt("Number of texts", 70, type=click.IntRange(1), err=True)
    return {"backend": backend, "model": model, "rows": rows}


def _is_schema(path: Path) -> bool:
    """Return whether a file is a schema of recipes, of whichever version, that may be replaced."""
    from personagen.builder.planning.recipe.starter import SCHEMA_ID

    try:
        return bool(json.loads(path.read_text(encoding="utf-8")).get("$id") == SCHEMA_ID)
    except (OSError, ValueError, AttributeError):
        return False
