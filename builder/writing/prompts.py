"""Render the prompt templates, and hash them into a version."""

import hashlib
import re
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from personagen.builder.llm.requests import Message

LAYER_NAMES = ("demographic", "sociocultural", "situational", "list")
"""Templates of all recipes."""

NAMES = (*LAYER_NAMES, "expression", "continuation")
"""Templates of a recipe without expressions and styles, one per stage; a model too small for instructions has
`continuation` and `list` in the last one."""

STYLED_NAMES = (*LAYER_NAMES, "styled", "styled_continuation")
"""Templates of a recipe with expressions and styles."""

TEMPLATES = Path(str(files("personagen.builder") / "templates"))
"""Folder of the templates."""


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=False,
        keep_trailing_newline=False,
        auto_reload=False,  # otherwise every rendering checks whether the files have changed
    )


@cache
def _template(name: str) -> Template:
    return _environment().get_template(f"{name}.md")


def render(name: str, **values: Any) -> tuple[Message, ...]:
    """Render a template and return its chat.

    The system turn and the user turn are blocks of the template, rendered separately: model text in `values` cannot
    open another turn.

    Raises:
        jinja2.UndefinedError: a variable of the template is missing.
        jinja2.TemplateNotFound: there is no such template.

    """
    template = _template(name)
    context = template.new_context(values | {"layer": _template("_layers").module})
    roles = [role for role in ("system", "user") if role in template.blocks]
    return tuple(Message(role, "".join(template.blocks[role](context)).strip()) for role in roles)


@cache
def versions(folder: Path = TEMPLATES, *, styled: bool = False) -> dict[str, dict[str, str]]:
    """Return version and SHA-256 of the templates of a recipe, by name; shared parts have a leading underscore.

    Args:
        folder: folder of the templates.
        styled: whether the recipe has expressions and styles.

    """
    entries = {}
    for name in sorted(("_layers", *(STYLED_NAMES if styled else NAMES))):
        source = (folder / f"{name}.md").read_bytes()
        version = re.match(rb"\{#-? version: (\d+) -?#\}", source)
        entries[name] = {
            "version": version[1].decode() if version else "",
            "sha256": hashlib.sha256(source).hexdigest(),
        }
    return entries


@cache
def prompt_version(folder: Path = TEMPLATES, *, styled: bool = False) -> str:
    """Return 12 hex digits of the hash of all templates: the prompt version in a row's provenance."""
    return hashlib.sha256(
        "".join(entry["sha256"] for entry in versions(folder, styled=styled).values()).encode()
    ).hexdigest()[:12]
