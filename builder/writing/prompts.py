"""Render the prompts of a recipe from its templates and those of the package, and hash them into a version."""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from types import TracebackType
from typing import Any

from jinja2 import Environment, StrictUndefined, Template, TemplateError, UndefinedError

from personagen.builder.core.errors import RecipeError
from personagen.builder.llm.requests import Message
from personagen.builder.planning.prompts import PromptFile
from personagen.builder.planning.prompts.files import SUFFIX
from personagen.builder.planning.prompts.sandbox import MAX_CHARS, PromptSandbox, budget, joined_parts
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.recipe.prompt_templates import has_further, package_template, used_templates
from personagen.builder.planning.suggestions import did_you_mean

LAYER_NAMES = ("demographic", "sociocultural", "situational", "list")
"""Templates of all recipes."""

NAMES = (*LAYER_NAMES, "expression", "continuation")
"""Templates of a recipe without expressions and styles, one per stage; a model too small for instructions has
`continuation` and `list` in the last one."""

STYLED_NAMES = (*LAYER_NAMES, "styled", "styled_continuation")
"""Templates of a recipe with expressions and styles."""

EVENTS_NAME = "events"
"""Template of the stage that invents events; no recipe replaces it."""

NO_ATTRIBUTE = re.compile(r"'(None|.* object)' has no attribute '(.+)'")
"""Message of jinja2 about an attribute that a value does not have."""

RENDERING_ERRORS = (
    TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError,
)  # fmt: skip
"""Errors that a template of a recipe can raise."""

UNENCODABLE = re.compile("[\ud800-\udfff]")
"""Halves of characters, which a template can write as escape sequences of a text."""

ROLES = ("system", "user")
"""Turns of a chat, which are blocks of a template."""


@dataclass(frozen=True, slots=True)
class Templates:
    """The templates of a recipe.

    Attributes:
        files: templates that the recipe replaces; empty: those of the package alone.
        further: whether the package describes further attributes of a persona, by the template `_further`.
        invents: whether the model invents events, which has a template of its own.

    """

    files: tuple[PromptFile, ...] = ()
    further: bool = False
    invents: bool = False
    _compiled: dict[tuple[str, str | None], Template] = field(default_factory=dict, repr=False, compare=False)

    def render(self, name: str, wording: str | None = None, /, **values: Any) -> tuple[Message, ...]:
        """Render a template and return its chat.

        The system turn and the user turn are blocks of the template, rendered separately: model text in `values` cannot
        open another turn.

        Args:
            name: name of the template.
            wording: name of its wording; None: it has one.
            values: its variables, `layer` excepted.

        Raises:
            jinja2.UndefinedError: a variable of a template of the package is missing.
            RecipeError: a template of the recipe cannot be rendered with these values, or its prompt is too long.

        """
        if not self.files:
            return _chat(_package_template(name), values | {"layer": self._layers(values.get("attributes"))})
        file = self.file_of(name, wording)
        template = _package_template(name) if file is None else self._own(file)
        try:
            with budget():
                chat_values = values | {"layer": self._layers(values.get("attributes"))}
                messages = _chat(template, chat_values, joined_parts)
        except RENDERING_ERRORS as error:
            raise self._refusal(error, file, values) from error
        return messages if file is None else _bounded(file, messages)

    def _refusal(self, error: Exception, file: PromptFile | None, values: Mapping[str, Any]) -> Exception:
        """Return the error of a rendering with the file and the line of the recipe's template; itself if in none."""
        places = [(own, line) for own in self.files if (line := _line_of(error.__traceback__, self._own(own)))]
        own, line = places[-1] if places else (file, None)
        if own is None:
            return error
        if isinstance(error, RecursionError):
            return _refused(own, None, "calls its macros without an end")
        return _refused(own, line, _explained(error, values))

    def file_of(self, name: str, wording: str | None = None) -> PromptFile | None:
        """Return the file that replaces a template in a wording; None: it is that of the package."""
        return next((file for file in self.files if file.template == name and file.wording == wording), None)

    def contents(self, name: str) -> Iterator[tuple[str, bytes]]:
        """Yield the files of a template by their names in a folder of prompts: one, or one per wording."""
        files = [file for file in self.files if file.template == name]
        for file in files:
            yield file.folder_name.removesuffix(SUFFIX), file.content
        if not files:
            yield name, package_template(name)

    def _own(self, file: PromptFile) -> Template:
        key = (file.template, file.wording)
        if key not in self._compiled:
            self._compiled[key] = PromptSandbox().from_string(file.text)
        return self._compiled[key]

    def _layers(self, attributes: Mapping[str, Any] | None) -> Any:
        """Return the macros that describe the layers, with the further attributes of a persona."""
        module = self._template("_layers").module
        if not (self.further and attributes):
            return module
        return self._template("_further").make_module({"base": module, "attributes": attributes})

    def _template(self, name: str) -> Template:
        file = self.file_of(name)
        return _package_template(name) if file is None else self._own(file)


PACKAGE = Templates()
"""The templates of the package."""


def templates_of(recipe: Recipe) -> Templates:
    """Return the templates of a recipe. Raises RecipeError if a file cannot be read any more."""
    invents = recipe.events is not None and recipe.events.invent is not None
    return _templates(recipe.prompt_files(), has_further(recipe), invents)


@lru_cache(maxsize=8)
def _templates(files: tuple[PromptFile, ...], further: bool, invents: bool) -> Templates:
    return Templates(files, further, invents)


@cache
def _environment() -> Environment:
    return Environment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=False)


@cache
def _package_template(name: str) -> Template:
    return _environment().from_string(package_template(name).decode())


def _chat(
    template: Template, values: Mapping[str, Any], join: Callable[[Iterable[str]], str] = "".join
) -> tuple[Message, ...]:
    context = template.new_context(dict(values))
    roles = [role for role in ROLES if role in template.blocks]
    return tuple(Message(role, join(template.blocks[role](context)).strip()) for role in roles)


def _bounded(file: PromptFile, messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """Return a chat without an empty system turn; raise RecipeError if it is too long or has no turn of the user."""
    length = sum(len(message.content) for message in messages)
    if length > MAX_CHARS:
        raise _refused(file, None, f"makes a prompt of {length:,} characters, wanted {MAX_CHARS:,} or fewer")
    if not messages[-1].content:
        raise _refused(file, None, "makes an empty turn of the user for this row, wanted some text")
    if any(UNENCODABLE.search(message.content) for message in messages):
        raise _refused(
            file, None, "makes a prompt with half a character (a surrogate), which no text in UTF-8 can have"
        )
    return tuple(message for message in messages if message.content)


def _refused(file: PromptFile, line: int | None, problem: str) -> RecipeError:
    place = file.name if line is None else f"{file.name}, line {line}"
    return RecipeError(f"prompts.{file.template}: {place}: {problem}; see the variables in docs/recipe.md")


def _line_of(traceback: TracebackType | None, template: Template) -> int | None:
    """Return the line of a template at which an error was raised; None: unknown."""
    line = None
    while traceback is not None:
        if traceback.tb_frame.f_globals.get("__jinja_template__") is template:
            line = template.get_corresponding_lineno(traceback.tb_lineno)
        traceback = traceback.tb_next
    return line


def _explained(error: Exception, values: Mapping[str, Any]) -> str:
    """Return the reason of an error on one line; the names of records are those of variables."""
    message = " ".join(str(error).split())[:300]
    match = NO_ATTRIBUTE.fullmatch(message)
    if isinstance(error, UndefinedError) and match:
        if match[1] == "None":
            return f"uses the attribute {match[2]!r} of what is null in this row; write it within {{% if ... %}}"
        if match[1] == "dict object":
            known = [*values.get("attributes", {})]
            return f"unknown attribute {match[2]!r}{did_you_mean(match[2], known)}; known: {', '.join(known) or 'none'}"
        kind = match[1].removesuffix(" object").rpartition(".")[2]
        record = next((value for value in values.values() if type(value).__name__ == kind), None)
        known = [name for name in getattr(record, "__slots__", ()) if not name.startswith("_")]
        return f"unknown attribute {match[2]!r} of a {kind.lower()}{did_you_mean(match[2], known)}"
    return message or type(error).__name__


def versions(templates: Templates = PACKAGE, *, styled: bool = False) -> dict[str, dict[str, str]]:
    """Return version and SHA-256 of the templates of a recipe, by name; shared parts have a leading underscore.

    Args:
        templates: templates of the recipe.
        styled: whether the recipe has expressions and styles.

    """
    return _versions(templates, styled)


@lru_cache(maxsize=8)
def _versions(templates: Templates, styled: bool) -> dict[str, dict[str, str]]:
    entries = {}
    shared = ("_layers", "_further") if templates.further else ("_layers",)
    stages = (*(STYLED_NAMES if styled else NAMES), *((EVENTS_NAME,) if templates.invents else ()))
    for name in sorted((*shared, *stages)):
        for key, source in templates.contents(name):
            version = re.match(rb"\{#-? version: (\d{1,9}) -?#\}", source)
            entries[key] = {
                "version": version[1].decode() if version else "",
                "sha256": hashlib.sha256(source).hexdigest(),
            }
    return entries


def prompt_version(templates: Templates = PACKAGE, *, styled: bool = False) -> str:
    """Return 12 hex digits of the hash of all templates: the prompt version in a row's provenance; see `versions`."""
    entries = versions(templates, styled=styled)
    return hashlib.sha256("".join(entry["sha256"] for entry in entries.values()).encode()).hexdigest()[:12]


def published_templates(recipe: Recipe) -> dict[str, bytes]:
    """Return the content of the templates that a recipe's requests are rendered from, by file name."""
    templates = templates_of(recipe)
    names = (*used_templates(recipe), *((EVENTS_NAME,) if templates.invents else ()))
    return {f"{key}.md": content for name in names for key, content in templates.contents(name)}
