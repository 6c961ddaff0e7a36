"""Rewrite chats for templates that do not render them, and render chats without a template."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from personagen.builder.llm.requests import Message

SYSTEM_ROLE = "system role"
"""A system turn."""

CONSECUTIVE_TURNS = "consecutive turns"
"""Turns of one role after each other."""

EDGE_ROLES = "assistant turn at an end of the chat"
"""A chat that begins or ends with a turn of the assistant."""

ALL_TURNS = "all turns"
"""Every turn of the chat: some are not in the prompt."""

CHAT_TEMPLATE = "chat template"
"""Marks between turns, for the lack of a template."""

REASONING_EFFORT = "reasoning effort"
"""The wanted length of thoughts."""


def rewrite(messages: Sequence[Message], steps: Sequence[str]) -> list[Message]:
    """Rewrite a chat for a template that lacks something: SYSTEM_ROLE, EDGE_ROLES or CONSECUTIVE_TURNS."""
    turns = list(messages)
    if SYSTEM_ROLE in steps:
        turns = _without_system_turns(turns)
    if EDGE_ROLES in steps:
        turns = _with_user_turns_at_the_ends(turns)
    if CONSECUTIVE_TURNS in steps:
        groups = groupby(turns, key=lambda message: message.role)
        turns = [Message(role, "\n\n".join(message.content for message in group)) for role, group in groups]
    return turns


REWRITES: tuple[tuple[str, ...], ...] = (
    (),
    (CONSECUTIVE_TURNS,),
    (SYSTEM_ROLE,),
    (SYSTEM_ROLE, CONSECUTIVE_TURNS),
    (EDGE_ROLES,),
    (EDGE_ROLES, CONSECUTIVE_TURNS),
    (SYSTEM_ROLE, EDGE_ROLES),
    (SYSTEM_ROLE, EDGE_ROLES, CONSECUTIVE_TURNS),
)


def _without_system_turns(messages: Sequence[Message]) -> list[Message]:
    """Put each system turn in front of the user turn that follows it, or make it one."""
    turns: list[Message] = []
    for message in messages:
        follows_system = bool(turns) and turns[-1].role == "system"
        if follows_system and message.role in ("system", "user"):
            turns[-1] = Message(message.role, f"{turns[-1].content}\n\n{message.content}")
        else:
            turns.append(message)
    return [replace(message, role="user") if message.role == "system" else message for message in turns]


def _with_user_turns_at_the_ends(messages: Sequence[Message]) -> list[Message]:
    """Add a user turn in front of a first assistant turn, and one after a last assistant turn."""
    turns = list(messages)
    first = next((number for number, message in enumerate(turns) if message.role != "system"), len(turns))
    if turns[first:] and turns[first].role == "assistant":
        turns.insert(first, Message("user", "Please begin."))
    if turns and turns[-1].role == "assistant":
        turns.append(Message("user", "Please continue."))
    return turns


def render_plain(messages: Sequence[Message]) -> str:
    """Render a chat as text for a model without a template; a system turn has no heading."""
    headings = {"system": "", "user": "User:\n", "assistant": "Assistant:\n"}
    turns = [headings.get(message.role, f"{message.role}:\n") + message.content for message in messages]
    return "\n\n".join([*turns, "Assistant:\n"])
