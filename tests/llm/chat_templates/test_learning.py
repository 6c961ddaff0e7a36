"""What is learnt of a chat template by rendering it, with templates of many kinds of models."""

from collections.abc import Mapping
from typing import Any

import pytest

from personagen.builder.llm.chat_templates.learning import DATE_STRING, learn_dialect, templates_by_name
from personagen.builder.llm.chat_templates.rendering import ChatPrompt, ChatRenderer, TemplateDialect
from personagen.builder.llm.requests import Message
from tests.helpers.models import chat_templates as kinds
from tests.helpers.models.chat_templates import renderer_of

SYSTEM, USER, SECOND = Message("system", "You write."), Message("user", "Go on."), Message("user", "Five times.")
REPLY = Message("assistant", "Once.")

Template = str | Mapping[str, str]


def learnt(template: Template, effort: str | None = None) -> TemplateDialect:
    return learn_dialect(*renderer_of(template), effort)


def prompt_of(template: Template, *messages: Message, effort: str | None = None, prefill: str = "") -> ChatPrompt:
    render, sources = renderer_of(template)
    return ChatRenderer(render, learn_dialect(render, sources, effort)).prompt(messages, prefill)


# Turns.


def test_chat_that_renders_is_left_as_it_is() -> None:
    """Its prompt is that of transformers alone."""
    render, _ = renderer_of(kinds.CHATML)
    chat = [SYSTEM, USER, REPLY, SECOND, SECOND]
    conversation = [{"role": turn.role, "content": turn.content} for turn in chat]
    plain = render(conversation, add_generation_prompt=True, enable_thinking=False)
    assert prompt_of(kinds.CHATML, *chat) == ChatPrompt(plain)


@pytest.mark.parametrize("template", [kinds.GEMMA_2, kinds.MISTRAL_1, kinds.DROPS_SYSTEM])
def test_instruction_opens_the_first_user_turn_without_a_system_role(template: str) -> None:
    """Whether the template raises on a system turn or drops it."""
    prompt = prompt_of(template, SYSTEM, USER, REPLY, SECOND)
    assert prompt.left_out == ("system role",)
    assert prompt.text == prompt_of(template, Message("user", "You write.\n\nGo on."), REPLY, SECOND).text
    assert prompt_of(template, USER, REPLY, SECOND).left_out == ()


@pytest.mark.parametrize("template", [kinds.GEMMA_2, kinds.MISTRAL_1])
def test_consecutive_turns_are_merged_where_roles_must_alternate(template: str) -> None:
    prompt = prompt_of(template, SYSTEM, USER, SECOND)
    assert prompt.left_out == ("system role", "consecutive turns")
    assert "You write.\n\nGo on.\n\nFive times." in prompt.text


@pytest.mark.parametrize("template", [kinds.GEMMA_2, kinds.MISTRAL_1])
def test_chat_that_begins_or_ends_with_the_assistant_gets_a_user_turn(template: str) -> None:
    begun = prompt_of(template, REPLY, USER)
    assert begun.left_out == ("assistant turn at an end of the chat",)
    assert begun.text == prompt_of(template, Message("user", "Please begin."), REPLY, USER).text
    instructed = prompt_of(template, SYSTEM, REPLY, USER)
    assert instructed.left_out == ("system role",) and "You write." in instructed.text


@pytest.mark.parametrize("template", [kinds.NEEDS_USER, kinds.GEMMA_2])
def test_instruction_alone_becomes_a_user_turn(template: str) -> None:
    prompt = prompt_of(template, SYSTEM)
    assert (
        prompt.left_out == ("system role",) and prompt.text == prompt_of(template, Message("user", "You write.")).text
    )


def test_instruction_within_a_chat_keeps_its_place() -> None:
    prompt = prompt_of(kinds.NO_SYSTEM_WITHIN, SYSTEM, USER, REPLY, SYSTEM, SECOND)
    assert prompt.left_out == ("system role",)
    assert prompt.text.count("You write.\n\nFive times.") == 1
    assert prompt_of(kinds.NO_SYSTEM_WITHIN, SYSTEM, USER).left_out == ()


def test_turns_that_no_rewriting_saves_are_named() -> None:
    """As many as possible are rendered."""
    prompt = prompt_of(kinds.LAST_TURN, SYSTEM, USER, REPLY, SECOND)
    assert prompt.left_out == ("all turns",) and "Five times." in prompt.text
    assert prompt_of(kinds.LAST_TURN, SYSTEM, USER).left_out == ("system role",)


def test_content_may_be_a_list_of_parts() -> None:
    """A template for images and text drops a string without an error."""
    assert prompt_of(kinds.PARTS, SYSTEM, USER).text == "<|system|>You write.<|user|>Go on.<|assistant|>"


def test_each_sequence_of_roles_is_learnt_once() -> None:
    calls: list[Any] = []
    render, sources = renderer_of(kinds.GEMMA_2)

    def counted(conversation: list[dict[str, Any]], **options: Any) -> str:
        calls.append(conversation)
        return render(conversation, **options)

    chat = ChatRenderer(counted, learn_dialect(counted, sources))
    chat.prompt([SYSTEM, USER])
    learnt_by = len(calls)
    for _ in range(5):
        chat.prompt([SYSTEM, USER])
    assert len(calls) == learnt_by + 5


# Templates and their options.


def test_templates_of_any_form_are_read_by_name() -> None:
    assert templates_by_name(None) == templates_by_name("") == {}
    assert templates_by_name("x") == {"default": "x"}
    assert templates_by_name({"a": "x"}) == templates_by_name([{"name": "a", "template": "x"}]) == {"a": "x"}


def test_default_of_several_templates_is_used_else_the_first_that_renders() -> None:
    assert prompt_of(kinds.COMMAND_R, SYSTEM, USER).text == prompt_of(kinds.CHATML, SYSTEM, USER).text
    assert learnt(kinds.HERMES).options["chat_template"] == "rag"
    assert "<|rag_start|>" in prompt_of(kinds.HERMES, SYSTEM, USER).text


@pytest.mark.parametrize("effort", [None, "high"])
def test_unknown_options_are_left_out(effort: str | None) -> None:
    """Whether a template raises on them or a tokenizer has no such parameter."""

    def strict(conversation: list[dict[str, Any]], *, add_generation_prompt: bool) -> str:
        return str(conversation)

    assert learnt(kinds.REFUSES_OPTIONS, effort).options == {}
    assert learn_dialect(strict, {"default": ""}, effort).options == {}


@pytest.mark.parametrize("chat", [(USER,), (SYSTEM, USER)])
def test_missing_variables_are_filled(chat: tuple[Message, ...]) -> None:
    """A date that stays the same, and nothing for others."""
    prompt = prompt_of(kinds.NEEDS_DATE, *chat)
    assert prompt.left_out == ()
    assert prompt.text.startswith(f"Today: {DATE_STRING}\n") is (SYSTEM in chat)


def test_default_of_a_variable_is_kept() -> None:
    assert "date_string" not in learnt(kinds.LLAMA_3).options
    assert prompt_of(kinds.LLAMA_3, SYSTEM, USER).left_out == ()


def test_broken_template_raises_its_own_error() -> None:
    with pytest.raises(Exception, match="unexpected end of template"):
        learnt(kinds.BROKEN)
    with pytest.raises(ValueError, match=r"^the prompt lacks the turn of the user$"):
        learnt("Hello.")


def test_chat_without_a_template_is_plain_text() -> None:
    chat = ChatRenderer(renderer_of("")[0], learn_dialect(renderer_of("")[0], {}, "high"))
    prompt = chat.prompt([SYSTEM, USER, REPLY, SECOND], "It")
    assert prompt.text == "You write.\n\nUser:\nGo on.\n\nAssistant:\nOnce.\n\nUser:\nFive times.\n\nAssistant:\nIt"
    assert prompt.left_out == ("chat template", "reasoning effort")
    assert chat.dialect.stop == ("\n\nUser:",)


# Thoughts.


def test_thoughts_are_switched_off() -> None:
    """By enable_thinking, or by a variable that the template has instead."""
    assert prompt_of(kinds.QWEN_3, USER).text.endswith("<think>\n\n</think>\n\n")
    assert prompt_of(kinds.QWEN_35, USER).text.endswith("<think>\n\n</think>\n\n")
    assert prompt_of(kinds.COMMAND_A, USER).text.endswith("<|START_THINKING|><|END_THINKING|>")
    assert prompt_of(kinds.DEEPSEEK_V31, USER).text.endswith("<｜Assistant｜></think>")
    assert prompt_of(kinds.OWN_SWITCH, USER).text.endswith("assistant\n")
    assert prompt_of(kinds.BUDGET, USER).text.endswith("<seed:think>\n</seed:think>")
    for template in (kinds.QWEN_3, kinds.QWEN_35, kinds.COMMAND_A, kinds.DEEPSEEK_V31, kinds.OWN_SWITCH, kinds.BUDGET):
        dialect = learnt(template)
        assert (dialect.thinks, dialect.opening, dialect.left_out) == (False, "", ())


@pytest.mark.parametrize(
    ("template", "effort", "opening"),
    [
        (kinds.DEEPSEEK_R1, None, "<think>\n"),
        (kinds.DEEPSEEK_R1, "high", "<think>\n"),
        (kinds.NEMOTRON, None, "<think>\n"),
        (kinds.QWEN_35, "high", "<think>\n"),
        (kinds.COMMAND_A, "low", "<|START_THINKING|>"),
        (kinds.DEEPSEEK_V31, "high", "<think>"),
        (kinds.OPENS_CHANNEL, None, "<|channel|>analysis<|message|>"),
        (kinds.OWN_SWITCH, "high", "[THINK]"),
    ],
)
def test_mark_at_the_end_of_a_prompt_is_found(template: str, effort: str | None, opening: str) -> None:
    prompt = prompt_of(template, SYSTEM, USER, REPLY, SECOND, effort=effort)
    assert prompt.opening == opening and prompt.text.endswith(opening)
    assert prompt.thinks


@pytest.mark.parametrize(
    "template",
    [kinds.CHATML, kinds.GEMMA_2, kinds.MISTRAL_1, kinds.LLAMA_3, kinds.LAST_TURN, kinds.PARTS, kinds.DROPS_SYSTEM],
)
def test_heading_of_a_reply_is_no_mark(template: str) -> None:
    dialect = learnt(template)
    assert (dialect.opening, dialect.thinks) == ("", False)


def test_model_that_cannot_be_kept_from_thinking_thinks() -> None:
    """Its template has levels of effort only, or removes thoughts from earlier replies."""
    for template in (kinds.GPT_OSS, kinds.QWQ):
        dialect = learnt(template)
        assert (dialect.thinks, dialect.opening) == (True, "")


@pytest.mark.parametrize(
    ("template", "effort", "thinks", "left_out"),
    [
        (kinds.GPT_OSS, "low", True, ()),
        (kinds.GPT_OSS, "minimal", True, ()),
        (kinds.QWEN_3, "high", True, ()),
        (kinds.QWEN_3, "none", False, ()),
        (kinds.DEEPSEEK_R1, "none", True, ("reasoning effort",)),
        (kinds.CHATML, "high", False, ("reasoning effort",)),
        (kinds.CHATML, "none", False, ()),
        (kinds.BUDGET, "high", True, ()),
        (kinds.DEEPSEEK_V31, "high", True, ()),
        (kinds.DEEPSEEK_V31, "none", False, ()),
        (kinds.QWQ, "high", True, ("reasoning effort",)),
        (kinds.QWQ, "none", True, ("reasoning effort",)),
        (kinds.TWO_EFFORTS, "low", False, ("reasoning effort",)),
    ],
)
def test_reasoning_effort(template: str, effort: str, thinks: bool, left_out: tuple[str, ...]) -> None:
    """It is passed on, and recorded where it has no effect."""
    dialect = learnt(template, effort)
    assert (dialect.thinks, dialect.left_out) == (thinks, left_out)
    assert dialect.options["enable_thinking"] is (effort not in ("none", "minimal"))


def test_effort_reaches_the_prompt() -> None:
    assert "Reasoning: high<" in prompt_of(kinds.GPT_OSS, USER, effort="high").text
    assert "Reasoning: medium<" in prompt_of(kinds.GPT_OSS, USER).text


def test_reply_with_a_prefill_has_no_thought() -> None:
    """The prompt ends with the prefill, outside of a thought."""
    prompt = prompt_of(kinds.DEEPSEEK_R1, USER, prefill="My hands")
    assert prompt.text.endswith("<｜Assistant｜>My hands")
    assert (prompt.opening, prompt.thinks) == ("", False)
