"""Render the prompt templates, and say which templates they were."""

import hashlib
import re
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from personagen.builder.llm.requests import Message

NAMES = ("demographic", "sociocultural", "situational", "expression", "continuation", "list")
"""One template a stage; `continuation` and `list` are the expression stage of a model too small for instructions."""


@cache
def _environment() -> Environment:
    loader = PackageLoader("personagen.builder", "templates")
    return Environment(
        loader=loader,
        undefined=StrictUndefined,
        autoescape=False,
        keep_trailing_newline=False,
        auto_reload=False,  # else every rendering looks whether the files have changed
    )


@cache
def _template(name: str) -> Template:
    return _environment().get_template(f"{name}.md")


def render(name: str, **values: Any) -> tuple[Message, ...]:
    """Fill a template and return its chat.

    The system and the user turn are blocks of the template that are rendered apart, so that nothing in `values`, which
    may hold text of a model, can open a turn of its own. A variable that is missing raises `jinja2.UndefinedError`.
    """
    template = _template(name)
    context = template.new_context(values | {"layer": _template("_layers").module})
    roles = [role for role in ("system", "user") if role in template.blocks]
    return tuple(Message(role, "".join(template.blocks[role](context)).strip()) for role in roles)


@cache
def versions() -> dict[str, dict[str, str]]:
    """Version and SHA-256 of every template, by name; shared parts (a leading underscore) are listed too."""
    environment = _environment()
    found = {}
    for file in sorted(f"{name}.md" for name in ("_layers", *NAMES)):
        source = environment.loader.get_source(environment, file)[0] if environment.loader else ""
        version = re.match(r"\{#-? version: (\d+) -?#\}", source)
        found[file.removesuffix(".md")] = {
            "version": version.group(1) if version else "",
            "sha256": hashlib.sha256(source.encode()).hexdigest(),
        }
    return found


@cache
def prompt_version() -> str:
    """Hash all templates into 12 hex digits: what a row's provenance calls its prompt version."""
    return hashlib.sha256("".join(entry["sha256"] for entry in versions().values()).encode()).hexdigest()[:12]
