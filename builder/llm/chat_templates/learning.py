"""Learn the dialect of a chat template: what it renders, and how it switches thoughts.

It is learnt by rendering chats of marker words and comparing the prompts, never from the name of a model: a template
may raise on a turn, or drop it without an error.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from personagen.builder.llm.chat_templates.opening_marks import TAG, is_closing, opening_mark
from personagen.builder.llm.chat_templates.rendering import RenderTemplate, TemplateDialect, render_turns, try_turns
from personagen.builder.llm.chat_templates.rewriting import CHAT_TEMPLATE, REASONING_EFFORT
from personagen.builder.llm.requests import Message

QUIET_EFFORTS = ("none", "minimal")
"""Values of `reasoning_effort` that ask for no thoughts."""

DATE_STRING = "26 Jul 2024"
"""Date for templates that cannot do without: the default of Llama 3's. With today's date, texts would change daily."""

_FIRST, _SECOND, _THIRD = "Marker1x", "Marker2x", "Marker3x"
_USER = Message("user", _FIRST)


def learn_dialect(
    render: RenderTemplate, sources: Mapping[str, str], reasoning_effort: str | None = None
) -> TemplateDialect:
    """Learn the dialect of a model's template.

    Args:
        render: renders with these templates.
        sources: templates by name. The one called "default" is used, else the first by name that renders; empty: the
            model has none.
        reasoning_effort: passed to the template, which switches thoughts on unless it is one of QUIET_EFFORTS; None:
            not passed, and thoughts are switched off.

    Raises:
        Exception: no template renders a turn of a user; the error is that of the first one.

    """
    if not sources:
        effort = (REASONING_EFFORT,) if reasoning_effort else ()
        return TemplateDialect(is_plain=True, left_out=(CHAT_TEMPLATE, *effort))
    first_error: Exception | None = None
    for name in sorted(sources, key=lambda name: (name != "default", name)):
        chosen = {"chat_template": name} if len(sources) > 1 else {}
        for switches in _switches(reasoning_effort):
            try:
                dialect = _accepted(render, {**chosen, **switches})
            except Exception as error:  # a template is code of the model's author
                first_error = first_error or error
            else:
                return _with_thoughts(render, dialect, sources[name], reasoning_effort)
    raise first_error or ValueError("no template")


def templates_by_name(templates: Any) -> dict[str, str]:
    """Return the templates of a tokenizer by name, from a text, a mapping or a list; empty: there is none."""
    if isinstance(templates, list):
        return {entry["name"]: entry["template"] for entry in templates}
    return dict(templates) if isinstance(templates, Mapping) else {"default": templates} if templates else {}


def _switches(reasoning_effort: str | None) -> Iterator[dict[str, Any]]:
    """Yield the options of thoughts, the most complete first: some templates and tokenizers refuse unknown ones."""
    is_on = reasoning_effort is not None and reasoning_effort not in QUIET_EFFORTS
    if reasoning_effort is not None:
        yield {"enable_thinking": is_on, "reasoning_effort": reasoning_effort}
    yield {"enable_thinking": is_on}
    yield {}


def _accepted(render: RenderTemplate, options: Mapping[str, Any]) -> TemplateDialect:
    """Return the dialect in which a template renders a turn of a user; raise the template's first error if none."""
    refusal: Exception | None = None
    for has_parts in (False, True):
        dialect = TemplateDialect(options, has_parts)
        for chat in ([Message("system", _SECOND), _USER], [_USER]):
            dialect, error = _with_missing_variables(render, dialect, chat)
            if error is not None:
                refusal = refusal or (error if chat == [_USER] else None)
            elif _FIRST in (try_turns(render, dialect, chat) or ""):
                return _with_missing_variables(render, dialect, [_USER])[0]
    raise refusal or ValueError("the prompt lacks the turn of the user")


def _with_missing_variables(
    render: RenderTemplate, dialect: TemplateDialect, chat: Sequence[Message]
) -> tuple[TemplateDialect, Exception | None]:
    """Add the variables that a template requires for a chat, and return the error that is left; None: it renders."""
    while True:
        try:
            render_turns(render, dialect, chat)
        except Exception as error:  # a template is code of the model's author
            name = re.match(r"'(\w+)' is undefined", str(error))
            if name is None or name[1] in dialect.options:
                return dialect, error
            dialect = _with(dialect, {name[1]: DATE_STRING if "date" in name[1] else ""})
        else:
            return dialect, None


def _with_thoughts(
    render: RenderTemplate, dialect: TemplateDialect, source: str, reasoning_effort: str | None
) -> TemplateDialect:
    """Complete a dialect with what its template does about thoughts."""
    is_on = reasoning_effort is not None and reasoning_effort not in QUIET_EFFORTS
    has_levels = _has_effect(render, dialect, "reasoning_effort", ("low", "high"))
    is_switched = _has_effect(render, dialect, "enable_thinking", (True, False))
    if not is_switched:
        dialect, is_switched = _with_own_switch(render, dialect, source, is_on)
    opening, is_closed = _find_opening(render, dialect, source)
    can_think = bool(opening) or has_levels or _strips_thoughts(render, dialect, source)
    thinks = can_think or is_switched if is_on else bool(opening) or (can_think and not (is_switched or is_closed))
    has_effect = has_levels or is_switched or (bool(opening) if is_on else not thinks)
    left_out = (REASONING_EFFORT,) if reasoning_effort is not None and not has_effect else ()
    return replace(dialect, opening=opening, thinks=thinks, left_out=left_out)


def _with_own_switch(
    render: RenderTemplate, dialect: TemplateDialect, source: str, is_on: bool
) -> tuple[TemplateDialect, bool]:
    """Switch thoughts by a variable of the template, and return whether it has one."""
    default = try_turns(render, dialect, [_USER])
    for name in _switch_names(source):
        changed = {value: _with(dialect, {name: value}) for value in (False, True)}
        prompts = {value: try_turns(render, changed[value], [_USER]) for value in changed}
        if prompts[False] not in (None, default):
            return (dialect if is_on else changed[False]), True
        if prompts[True] not in (None, default):
            return (changed[True] if is_on else dialect), True
    return dialect, False


def _switch_names(source: str) -> list[str]:
    """List variables of a template that may switch thoughts, other than the two that are always tried."""
    names = set(re.findall(r"\b(?:[a-z]+_)*(?:thinking|thoughts?|reasoning)(?:_[a-z]+)*\b", source))
    return sorted(names - {"enable_thinking", "reasoning_effort"})


def _has_effect(render: RenderTemplate, dialect: TemplateDialect, option: str, values: tuple[Any, Any]) -> bool:
    """Return whether two values of an option lead to different prompts."""
    prompts = [try_turns(render, _with(dialect, {option: value}), [_USER]) for value in values]
    return None not in prompts and prompts[0] != prompts[1]


def _strips_thoughts(render: RenderTemplate, dialect: TemplateDialect, source: str) -> bool:
    """Return whether a template removes the thought of an earlier reply, which shows that the model writes thoughts."""
    for tag in {tag for tag in TAG.findall(source) if is_closing(tag)}:
        chat = [_USER, Message("assistant", f"{_SECOND}{tag}{_THIRD}"), Message("user", "Go on.")]
        prompt = try_turns(render, dialect, chat) or ""
        if _THIRD in prompt and _SECOND not in prompt:
            return True
    return False


def _find_opening(render: RenderTemplate, dialect: TemplateDialect, source: str) -> tuple[str, bool]:
    """Find what a template writes before a new reply and not before an earlier one; see `opening_mark`."""
    chat = [_USER, Message("assistant", _SECOND), Message("user", _THIRD)]
    tail = (try_turns(render, dialect, [_USER]) or "").rpartition(_FIRST)[2]
    header = (try_turns(render, dialect, chat) or "").partition(_FIRST)[2].partition(_SECOND)[0]
    return opening_mark(tail, header, source)


def _with(dialect: TemplateDialect, options: Mapping[str, Any]) -> TemplateDialect:
    return replace(dialect, options={**dialect.options, **options})
