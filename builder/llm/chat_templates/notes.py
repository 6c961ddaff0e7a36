"""What a user should know about a chat template, as predicates of sentences about the model."""

from collections.abc import Iterator

from personagen.builder.llm.chat_templates.learning import QUIET_EFFORTS
from personagen.builder.llm.chat_templates.rendering import TemplateDialect
from personagen.builder.llm.chat_templates.rewriting import (
    ALL_TURNS,
    CHAT_TEMPLATE,
    CONSECUTIVE_TURNS,
    EDGE_ROLES,
    REASONING_EFFORT,
    SYSTEM_ROLE,
)

NOTES = {
    SYSTEM_ROLE: "has no system role; the instruction opens the first user turn",
    CONSECUTIVE_TURNS: "requires roles that alternate; consecutive turns of one role are merged",
    EDGE_ROLES: "requires user turns at both ends of a chat; they are added",
    ALL_TURNS: "leaves out turns of a chat",
    CHAT_TEMPLATE: "has no chat template (a base model); prompts are plain text: prefer its instruct variant",
    REASONING_EFFORT: "has no levels of reasoning effort; the setting has no effect",
}
"""By part of a request that a template does not render: what is done instead."""


def dialect_notes(dialect: TemplateDialect, reasoning_effort: str | None, thinking_tokens: int) -> Iterator[str]:
    """Yield what is known of a template before the first request.

    Args:
        dialect: its dialect.
        reasoning_effort: as requested by the user.
        thinking_tokens: tokens that are added to the limit of a text for a thought.

    """
    yield from (NOTES[part] for part in dialect.left_out)
    if "chat_template" in dialect.options:
        yield f"has several chat templates; {dialect.options['chat_template']!r} is used"
    if dialect.thinks and (reasoning_effort is None or reasoning_effort in QUIET_EFFORTS):
        yield f"may think before it writes, and cannot be kept from it: {thinking_tokens} tokens more per text"
