"""Thoughts in the content of a message, in the marks of many model families."""

from typing import Any

from tests.helpers.servers.behaviours.records import MANY_ROWS, Behaviour, OddAnswer, OddCall, Serve, always
from tests.helpers.servers.behaviours.replies import THOUGHT, reply, useless

GROUP = "thoughts"

SHAPES = {
    "whole": ("<think>\n{t}\n</think>\n\n{x}", "R1, Qwen3"),
    "closing mark only": ("{t}\n</think>\n\n{x}", "templates that open the thought: R1, QwQ"),
    "empty": ("<think>\n\n</think>\n\n{x}", "Qwen3 without thinking"),
    "twice": ("<think>{t}</think>\n<think>{t}</think>\n{x}", "R1"),
    "upper case": ("<THINK>\n{t}\n</THINK>\n{x}", "fine-tunes"),
    "thinking": ("<thinking>\n{t}\n</thinking>\n\n{x}", "Claude prompts"),
    "with an attribute": ('<think duration="3">{t}</think>{x}', "web interfaces"),
    "square brackets": ("[THINK]{t}[/THINK]{x}", "Magistral"),
    "square brackets, closing only": ("{t}[/THINK]{x}", "Magistral"),
    "channels": (
        "<|channel|>analysis<|message|>{t}<|end|><|start|>assistant<|channel|>final<|message|>{x}",
        "gpt-oss",
    ),
    "channels, tokens lost": ("analysis{t}assistantfinal{x}", "gpt-oss, special tokens skipped"),
    "channels with an end": (
        "<|channel|>analysis<|message|>{t}<|end|><|start|>assistant<|channel|>final<|message|>{x}<|return|>",
        "gpt-oss",
    ),
    "reasoning": ("<reasoning>{t}</reasoning>\n{x}", "fine-tunes"),
    "reasoning and answer": ("<reasoning>\n{t}\n</reasoning>\n<answer>\n{x}\n</answer>", "GRPO fine-tunes"),
    "think and answer": ("<think>\n{t}\n</think>\n<answer>\n{x}\n</answer>", "Hunyuan"),
    "thought": ("<thought>{t}</thought>\n{x}", "EXAONE"),
    "with a colon": ("<seed:think>{t}</seed:think>{x}", "Seed-OSS"),
    "lozenges": ("◁think▷{t}◁/think▷{x}", "Kimi-VL"),
    "response in marks": (
        "<|START_THINKING|>{t}<|END_THINKING|><|START_RESPONSE|>{x}<|END_RESPONSE|>",
        "Command A Reasoning",
    ),
    "begin and end": (
        "<|begin_of_thought|>\n{t}\n<|end_of_thought|>\n\n<|begin_of_solution|>\n{x}\n<|end_of_solution|>",
        "Sky-T1, OpenThinker",
    ),
    "prefix and suffix": ("<|inner_prefix|>{t}<|inner_suffix|>{x}", "Apertus"),
    "a channel in marks": ("<|channel>thought\n{t}<channel|>{x}", "Gemma 4"),
    "unused tokens": ("<unused94>thought\n{t}<unused95>{x}", "MedGemma"),
    "details": (
        '<details type="reasoning" done="true" duration="3">\n<summary>Thought for 3 seconds</summary>\n> {t}\n'
        "</details>\n{x}",
        "Open WebUI",
    ),
    "a fence": ("```thinking\n{t}\n```\n\n{x}", "chat front ends"),
    "a new name": ("<inner_monologue>\n{t}\n</inner_monologue>\n{x}", "what comes next"),
    "a new name, closing only": ("{t}\n</scratchpad>\n{x}", "what comes next"),
    "words of ollama": ("Thinking...\n{t}\n...done thinking.\n\n{x}", "Ollama"),
    "escaped": ("&lt;think&gt;{t}&lt;/think&gt;\n{x}", "gateways"),
    "granite": ("Here is my thought process:\n{t}\n\nHere is my response:\n{x}", "Granite 3.2"),
    "headings": ("**Reasoning:**\n{t}\n\n**Answer:**\n{x}", "instruction-tuned models"),
}
"""Thought {t} and text {x}, and the models that write so."""

UNCLOSED = {
    "think": "<think>{t} {x}",
    "square brackets": "[THINK]{t} {x}",
    "a channel": "<|channel|>analysis<|message|>{t} {x}",
    "lozenges": "◁think▷{t} {x}",
    "start": "<|START_THINKING|>{t} {x}",
    "reasoning": "<reasoning>\n{t}\n{x}",
    "a new name": "<inner_monologue>\n{t}\n{x}",
    "words of ollama": "Thinking...\n{t} {x}",
}
"""Openings without an end: where the thought ends cannot be seen."""


def shaped(shape: str) -> Serve:
    """Write the thought before every text."""
    return lambda call: reply(call, [_fill(shape, text) for text in call.texts])


def unclosed(shape: str, nth: int = 1) -> Serve:
    """Write a thought that does not end before every n-th text."""

    def serve(call: OddCall) -> OddAnswer | None:
        return useless(call, [_fill(shape, text) for text in call.texts]) if call.number % nth == 0 else None

    return serve


def _fill(shape: str, text: str) -> str:
    return shape.replace("{t}", THOUGHT).replace("{x}", text)


def _row(name: str, serve: Serve, source: str, **options: Any) -> Behaviour:
    return Behaviour(name, GROUP, always(serve), source, **options)


JUDGED = ("whole", "closing mark only", "channels")

THOUGHTS = (
    *(
        _row(f"thought: {name}", shaped(shape), source, judge=name in JUDGED)
        for name, (shape, source) in SHAPES.items()
    ),
    *(
        _row(f"thought without an end now and then: {name}", unclosed(shape, 3), "cut or broken replies", wasted=12)
        for name, shape in UNCLOSED.items()
    ),
    _row(
        "thought without an end, always",
        unclosed(UNCLOSED["think"]),
        "broken replies",
        stop=("thought",),
        rows=MANY_ROWS,
        wasted=20,
        most_calls=20,
    ),
)
"""All rows of the group."""
