"""Thoughts before a reply, in the marks of many families of models and in marks that no model has yet."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personagen.builder.llm.thoughts import MAX_LAYERS, is_thought_name, without_thoughts, words_of
from tests.helpers.real_texts import goemotions
from tests.helpers.servers.behaviours.contents.thoughts import SHAPES, UNCLOSED

THOUGHT = "Okay, I have a person of 54 years. I should keep it short and plain.\nMaybe a bus ride works."
TEXT = "On Monday the postman carried the ladder. It was <b>heavy</b>, and I laughed [really] <3."

MARKS = [
    "<reflection>{t}</reflection>{x}",
    "<zorbl>{t}</zorbl>\n{x}",
    "{t}\n</zorbl>\n{x}",
    "{t}</zorbl>{x}",
    "<|zorbl|>{t}<|/zorbl|>{x}",
    "{t}<|end_of_zorbl|>{x}",
    "<|thinking_begin|>{t}<|thinking_end|> {x}",
    "<start_of_thought>{t}<end_of_thought>{x}",
    "<internalMonologue>{t}</internalMonologue>{x}",
    "<longcat_think>{t}</longcat_think>{x}",
    "<chain of thought>{t}</chain of thought>{x}",
    "< think >{t}</ think >{x}",
    "<think>{t}<\\/think>{x}",
    "\\u003cthink\\u003e{t}\\u003c/think\\u003e{x}",
    "{t}<think/>{x}",
    "<thinking>{t}</think>{x}",
    "<think>{t}<reflection>{t}</reflection>{t}</think>{x}",
    "<think>{t} I close it with </think> later. {t}</think>{x}",
    "Sure!\n<think>{t}</think>{x}",
    "<<think>>{t}<</think>>{x}",
    "[[thinking]]{t}[[/thinking]]{x}",
    "[reasoning]{t}[/reasoning]\n{x}",
    "[THINKING]\n{t}\n[END THINKING]\n{x}",
    "{{think}}{t}{{/think}}{x}",
    "【think】{t}【/think】{x}",
    "【思考】{t}【/思考】{x}",
    "⟨thought⟩{t}⟨/thought⟩{x}",
    "＜think＞{t}＜/think＞{x}",
    "<｜begin▁of▁thinking｜>{t}<｜end▁of▁thinking｜>{x}",
    "<ctrl94>thought\n{t}<ctrl95>{x}",
    "<plan>{t}</plan><draft>{t}</draft>{x}",
    "<!-- {t} -->\n{x}",
    "~~~ reasoning\n{t}\n~~~\n{x}",
]
"""Thoughts {t} before a text {x}, in marks."""

CHANNELS = [
    "<|start|>assistant<|channel|>analysis<|message|>{t}<|end|><|start|>assistant<|channel|>commentary<|message|>{t}"
    "<|end|><|start|>assistant<|channel|>final <|constrain|>json<|message|>{x}<|return|>",
    "<|channel|>final<|message|>{x}<|end|><|start|>user",
    "commentary{t}assistantcommentary{t}assistantfinal{x}",
    "analysis\n{t}\nassistant\nfinal\n{x}",
    "assistantfinal{x}",
    "analysiswe look. assistantfinal{x}",
]
"""Channels, and what is left of them where a server lost the special tokens."""

LABELS = [
    "Thinking: {t}\n\nAnswer: {x}",
    "Thinking: {t} Answer: {x}",
    "Thinking: it has no mark at its end Answer: {x}",
    "**Reasoning:**\n> quoted\n{t}\n\n**Answer:**\n{x}",
    "**Thinking**\n\n> quoted\n{t}\n\n---\n\n{x}",
    "**Reasoning**\n{t}\n\n**Final answer**:\n{x}",
    "**Thought process:** {t}\n\n**Text:** {x}",
    "# Thought process\n{t}\n\n# Final text\n{x}",
    "### Analysis\n{t}\n\n### Response\n{x}",
    "Thought: {t}\nFinal Answer: {x}",
    "Here are my reasoning steps:\n{t}\n[BEGIN FINAL RESPONSE]\n{x}\n[END FINAL RESPONSE]",
    "=== THINKING ===\n{t}\n=== ANSWER ===\n{x}",
    "--- BEGIN THINKING ---\n{t}\n--- END THINKING ---\n{x}",
    "**Thinking**\n\n{t}\n\n---\n\n{x}",
    "(Thinking: {t})\n\n{x}",
    "*Thinking: {t}*\n\n{x}",
    "思考：{t}\n\n回答：{x}",
    "【思考】{t}\n【回答】{x}",
    "（思考：{t}）{x}",
    "Überlegung: {t}\n\nAntwort: {x}",
    "Raisonnement : {t}\n\nRéponse : {x}",
    "{t}\n\n**Final answer:** {x}",
    "thought\n{t}\n\nFinal answer:\n{x}",
    "Thought for 5 seconds\n\n{x}",
    "> **Thinking**\n> {t}\n> more\n\n{x}",
    "*Thinking...*\n\n> {t}\n> more\n\n{x}",
]
"""Thoughts with a label."""

ANSWERS = [
    "<answer>{x}</answer>",
    "<text>\n{x}\n</text>",
    "<zorbl>{x}</zorbl>",
    "<answer>{x}</answer>\nI hope that you like it.",
    "{x}</answer>",
    "{t}\n</think>\n<answer>\n{x}",
    "<think>{t}<answer>{x}</answer>",
    "<answer>too short</answer> No, better: <answer>{x}</answer>",
    "<|begin_of_box|>{x}<|end_of_box|>",
    "<|begin_of_text|>{x}<|end_of_text|>",
]
"""Texts in marks of their own."""


def filled(shape: str) -> str:
    return shape.replace("{t}", THOUGHT.replace("\n", "\n> ") if "> {t}" in shape else THOUGHT).replace("{x}", TEXT)


@pytest.mark.parametrize("shape", [*MARKS, *CHANNELS, *LABELS, *ANSWERS, *(shape for shape, _ in SHAPES.values())])
def test_only_the_text_is_left(shape: str) -> None:
    assert without_thoughts(filled(shape)) == TEXT


OPEN = [
    "<think>{t}</think>",
    "<think>{t}</think>\n\n ",
    "{x}<think>{t}",
    "{x}\n<think>{t}</think>",
    "[THINK]{t}",
    "analysis{t}",
    "<|channel|>analysis<|message|>{t}<|end|><|start|>assistant<|channel|>",
    "<|channel|>final<|message|>",
    "<|channel>thought\n{t}",
    "<unused94>thought\n{t}",
    "```thinking\n{t}",
    "<!-- {t}",
    "<details><summary>Thought</summary>{t}</details>",
    "**Reasoning**\n{t}",
    "# Thinking process\n{t}",
    "Thinking: {t}",
    "Here is my thought process:\n{t}",
    "thought\n{t}",
    "Thinking...\n{t}",
    "> Thinking...\n> {t}",
    "<think>I answer in <answer> marks. {t}",
]
"""Thoughts without an end, and thoughts that nothing follows."""


@pytest.mark.parametrize("shape", [*OPEN, *UNCLOSED.values()])
def test_thought_without_an_end_or_a_text_is_no_reply(shape: str) -> None:
    assert without_thoughts(filled(shape)) is None


def test_brackets_of_the_text_stay_with_it() -> None:
    assert without_thoughts("<think>so</think>>[NAME] Why?") == ">[NAME] Why?"
    assert without_thoughts("so</zorbl>[NAME] Why?") == "[NAME] Why?"
    assert without_thoughts("analysisSo. assistantfinalthanks") == "thanks"
    assert without_thoughts("<answer>not bad ><</answer>") == "not bad ><"


PEOPLE = [
    "", "  two blanks ", "I <b>love</b> it", "<i>so</i> good\nyes", "<3", "</3 it broke", "[laughs] no", "<-- look",
    "a < b > c", "x <= y", "I love <3 you > me", "<N> persons", "<username> hello", "mail <me@example.org>",
    "I can't. </rant> Sorry.", "<sarcasm>great</sarcasm> thanks", "[quote]you[/quote] no", "enough. </crazy-talk>",
    "so there</rant>.", "analysiswise that is fine",
    "so <thinking face emoji> yes", "My plan? <smile> ok", "[thinking] hmm, no", "*thinks about it* ok",
    "[NAME] is here", "{name} hello", "I said [text] to her", "see [this](http://example.org)",
    "First thought: OH NO", "Thought: why?", "Thoughts, prayers, and hugs", "I think: Congrats!", "Plan: sleep",
    "Thinking about you.", "Reason: none.", "analysis of this is hard", "finalTEXT", "Answer: no", "Final answer: no.",
    "> you are wrong\n\nNo, I am not.", "【朗報】やった。", "《狂飙》很好看", "<|im_start|> hello", "well </s> bye",
]  # fmt: skip
"""What people write."""


@pytest.mark.parametrize("text", PEOPLE)
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert without_thoughts(text) == text


@pytest.mark.parametrize("line_end", [". ", ".\n", ".\n\n"])
def test_no_real_text_changes(line_end: str) -> None:
    """Neither the packaged comments nor the same with line ends between their sentences."""
    texts = [text.replace(". ", line_end) for text in (*goemotions().texts, *goemotions().test_texts)]
    assert len(texts) > 4_000
    assert [text for text in texts if without_thoughts(text) != text] == []


BRACKETS = "<>[]{}|◁▷【】#*_`~:：-=()（）"
PLAIN = st.text(st.characters(codec="utf-8", exclude_characters=BRACKETS, exclude_categories=["C"]))


@given(st.sampled_from([*MARKS[:8], *(shape for shape, _ in SHAPES.values())][:24]), PLAIN, st.integers(0, 10_000))
def test_any_thought_is_cut_from_any_real_text(shape: str, thought: str, number: int) -> None:
    texts = [text for text in goemotions().texts if not text.startswith(".")]  # which is no beginning after a thought
    text = texts[number % len(texts)].strip()
    assert without_thoughts(shape.replace("{t}", f"I see. {thought}").replace("{x}", text)) == text


FRAGMENTS = [
    "<think>", "</think>", "[THINK]", "[/THINK]", "<|channel|>", "final", "<|message|>", "<|end|>", "analysis",
    "assistantfinal", "<answer>", "</answer>", "<zorbl>", "</zorbl>", "◁/think▷", "```thinking\n", "```", "> ", "\n",
    "**Reasoning**", "Answer:", "<details>", "</details>", "<!--", "-->", "<unused94>thought", "<unused95>", "{", "[",
    "<b>", "Thinking: ", "---", "I came home. ", "word ",
]  # fmt: skip


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join) | st.text())
def test_cutting_is_idempotent(text: str) -> None:
    """No string raises, and what is left has no thought."""
    rest = without_thoughts(text)
    assert rest is None or without_thoughts(rest) == rest
    assert rest is None or len(rest) <= len(text)


UNITS = [
    *FRAGMENTS,
    "<",
    "<|",
    "[a",
    "<a =",
    "&lt;",
    "\\u003c",
    "<think ",
    "Final answer:",
    "\n**",
    "【",
    "a. ",
    "(",
    " ",
]


@pytest.mark.parametrize("unit", UNITS)
def test_a_long_reply_of_anything_is_read(unit: str) -> None:
    """The time is linear: a quadratic search of as many characters would take hours."""
    rest = without_thoughts(unit * (200_000 // len(unit)))
    assert rest is None or len(rest) <= 200_000


def test_random_order_of_marks_takes_no_longer() -> None:
    generator = random.Random(7)
    without_thoughts("".join(generator.choices(FRAGMENTS, k=20_000)))


def test_more_layers_than_any_model_writes_are_a_thought_without_an_end() -> None:
    def layers(count: int) -> str:
        return "".join(f"<{name}>a</{name}>" for name in ("zorb" + "x" * number for number in range(count)))

    assert without_thoughts(layers(3) + TEXT) == TEXT
    assert without_thoughts(layers(MAX_LAYERS + 1) + TEXT) is None


def test_names_are_split_into_words() -> None:
    assert words_of("seed:internalThinking_v2 XMLPlan") == ("seed", "internal", "thinking", "v", "xml", "plan")
    assert is_thought_name(words_of("reasoning_content")) and not is_thought_name(words_of("prose"))
