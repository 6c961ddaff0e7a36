"""Render chats with a template in its dialect."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from personagen.builder.llm.chat_templates.rewriting import ALL_TURNS, REWRITES, render_plain, rewrite
from personagen.builder.llm.requests import Message


class RenderTemplate(Protocol):
    """`apply_chat_template` of a tokenizer that returns text; raises any exception if the template refuses the chat."""

    def __call__(self, conversation: list[dict[str, Any]], **options: Any) -> str:
        """Render a chat up to the beginning of the reply."""
        ...


@dataclass(frozen=True, slots=True)
class TemplateDialect:
    """How chats are rendered with one template.

    Attributes:
        options: arguments of the template.
        has_parts: whether the content of a turn is a list of parts instead of a string.
        opening: the mark of a thought with which every prompt ends; empty: none.
        thinks: whether replies may begin with a thought.
        left_out: parts of every request that the template does not render.
        is_plain: whether there is no template; turns become paragraphs with the name of their role.

    """

    options: Mapping[str, Any] = field(default_factory=dict)
    has_parts: bool = False
    opening: str = ""
    thinks: bool = False
    left_out: tuple[str, ...] = ()
    is_plain: bool = False

    @property
    def stop(self) -> tuple[str, ...]:
        """Strings that end every text: without a template, a model goes on with the next turn."""
        return ("\n\nUser:",) if self.is_plain else ()


@dataclass(frozen=True, slots=True)
class ChatPrompt:
    """One rendered chat.

    Attributes:
        text: the prompt, up to the beginning of the model's text.
        opening: the mark at its end that opens a thought; empty: none.
        thinks: whether the reply may begin with a thought.
        left_out: parts of the request that the template does not render, and that were left out or rewritten.

    """

    text: str
    opening: str = ""
    thinks: bool = False
    left_out: tuple[str, ...] = ()


NO_CHAT = ChatPrompt("")
"""A chat that is not rendered yet."""


class ChatRenderer:
    """Renders chats; what a sequence of roles needs is learnt when it first occurs."""

    def __init__(self, render: RenderTemplate, dialect: TemplateDialect) -> None:
        """Render with a template in its dialect."""
        self.dialect = dialect
        self._render = render
        self._rewrites: dict[tuple[str, ...], tuple[str, ...]] = {}

    def prompt(self, messages: Sequence[Message], prefill: str = "") -> ChatPrompt:
        """Render a chat, and the beginning of the reply after it.

        A reply with a prefill has no thought: its mark is removed from the prompt.

        Raises:
            Exception: the template refuses the chat.

        """
        dialect = self.dialect
        if dialect.is_plain:
            return ChatPrompt(render_plain(messages) + prefill, left_out=dialect.left_out)
        roles = tuple(message.role for message in messages)
        if roles not in self._rewrites:
            self._rewrites[roles] = choose_rewrite(self._render, dialect, roles)
        steps = self._rewrites[roles]
        text = render_turns(self._render, dialect, rewrite(messages, steps))
        opening = dialect.opening if text.endswith(dialect.opening) else ""
        if prefill:
            return ChatPrompt(text.removesuffix(opening) + prefill, left_out=dialect.left_out + steps)
        return ChatPrompt(text, opening, dialect.thinks, dialect.left_out + steps)


def choose_rewrite(render: RenderTemplate, dialect: TemplateDialect, roles: Sequence[str]) -> tuple[str, ...]:
    """Find the least change after which a template renders all turns of a chat, as arguments of `rewrite`."""
    chat = [Message(role, f"Marker{number}x") for number, role in enumerate(roles)]
    tried: list[list[Message]] = []
    best: tuple[str, ...] = ()
    best_turns = -1
    for steps in REWRITES:
        turns = rewrite(chat, steps)
        if turns in tried:
            continue
        tried.append(turns)
        prompt = try_turns(render, dialect, turns)
        rendered_turns = -1 if prompt is None else sum(message.content in prompt for message in chat)
        if rendered_turns > best_turns:
            best, best_turns = steps, rendered_turns
        if rendered_turns == len(chat):
            return best
    return (*best, ALL_TURNS) if best_turns >= 0 else ()


def render_turns(render: RenderTemplate, dialect: TemplateDialect, messages: Sequence[Message]) -> str:
    """Render turns as they are.

    Raises:
        Exception: the template refuses them.

    """
    conversation = [
        {
            "role": message.role,
            "content": [{"type": "text", "text": message.content}] if dialect.has_parts else message.content,
        }
        for message in messages
    ]
    return str(render(conversation, add_generation_prompt=True, **dialect.options))


def try_turns(render: RenderTemplate, dialect: TemplateDialect, messages: Sequence[Message]) -> str | None:
    """Render a chat; None: the template refuses it."""
    try:
        return render_turns(render, dialect, messages)
    except Exception:  # a template is code of the model's author
        return None
