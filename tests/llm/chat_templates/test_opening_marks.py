"""Marks of thoughts at the end of a prompt."""

import pytest

from personagen.builder.llm.chat_templates.opening_marks import opening_mark


@pytest.mark.parametrize(
    ("tail", "header", "source", "mark"),
    [
        ("<a><think>\n", "<a>", "</think>", "<think>\n"),
        ("<a><muse>", "<a>", "{{ content.split('</muse>')[-1] }}", "<muse>"),
        ("<a><muse>", "<a>", "", ""),
        ("<a>[THINK]", "<a>", "", "[THINK]"),
        ("<a>◁think▷", "<a>", "", "◁think▷"),
        ("<a><think>", "<a><think></think>", "", "<think>"),
        ("<a><|channel>thought\n", "<a>", "", "<|channel>thought\n"),
        ("<a><think>\n", "", "", "<think>\n"),
        ("<a>", "", "", ""),
        ("<a><think></think>", "<a>", "</think>", ""),
        ("<a></think>", "<a></think>", "</think>", ""),
        ("<a><|channel>thought\n<channel|>", "<a>", "", ""),
        ("<a><think>First, I look at the task", "<a>", "</think>", ""),
        ("<a>", "<b>", "", ""),
        ("", "", "", ""),
    ],
)
def test_mark_is_what_new_replies_have_and_earlier_ones_lack(tail: str, header: str, source: str, mark: str) -> None:
    assert opening_mark(tail, header, source)[0] == mark


@pytest.mark.parametrize(
    ("tail", "header", "closed"),
    [
        ("<a><think>\n\n</think>\n\n", "<a>", True),
        ("<a></think>", "<a></think>", True),
        ("<a>", "<a>", False),
        ("[/INST]", "[/INST]", False),
    ],
)
def test_closed_thought_at_the_end_of_a_prompt(tail: str, header: str, closed: bool) -> None:
    assert opening_mark(tail, header, "") == ("", closed)
