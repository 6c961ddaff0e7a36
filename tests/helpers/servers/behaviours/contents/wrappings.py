"""What stands around a text, and texts that only look like thoughts, refusals or errors."""

from collections.abc import Sequence

from tests.helpers.servers.behaviours.contents.languages import SPEECHES, answer, sentences
from tests.helpers.servers.behaviours.records import Behaviour, OddAnswer, OddCall, Serve, always
from tests.helpers.servers.behaviours.replies import reply

WRAPPED, INNOCENT = "wrappings", "innocent texts"

SHAPES = {
    "template tokens": ("<|im_start|>assistant\n{x}<|im_end|>", "servers that decode special tokens"),
    "sentence tokens": ("<s> {x} </s>", "servers that decode special tokens"),
    "end of the turn": ("{x}<end_of_turn>\n<eos>", "Gemma"),
    "header tokens": ("<|start_header_id|>assistant<|end_header_id|>\n\n{x}<|eot_id|>", "Llama 3"),
    "the role": ("assistant\n\n{x}", "Llama 3 with tokens lost"),
    "the end of an instruction": (" [/INST] {x}", "Mistral"),
    "quotation marks": ('"{x}"', "instruction-tuned models"),
    "typographic marks": ("“{x}”", "instruction-tuned models"),
    "a fence": ("```\n{x}\n```", "instruction-tuned models"),
    "an announcement": ("Sure! Here's the post:\n\n{x}", "instruction-tuned models"),
    "a count of words": ("{x}\n\n(Word count: 34)", "instruction-tuned models"),
    "a note": ("{x}\n\nNote: I kept it in the first person and avoided the word.", "instruction-tuned models"),
    "half an emoji": ("{x} \ud83d", "servers that cut characters"),
    "blank lines": ("\n\n\n{x}\n\n\n", "DeepSeek"),
}
"""Text {x} and what is around it. All of it is taken off."""

LOOK_ALIKES = (
    "I <3 the bench by the canal.",
    "Thinking of the harbour, we went home early.",
    "Analysis of the bill took the clerk two days.",
    "The final answer of the landlord was that the ladder stays in the cellar.",
    "The error message on the radio said 502, so we called the plumber.",
    "I'm sorry I cannot come on Monday, the bus leaves at nine.",
    "My cousin says he cannot help with the fence before Thursday.",
    "The assistant at the bakery counted the boxes again.",
    "We have to decline the offer for the old bicycle.",
    "Please try again later, said the sign at the tram stop.",
)
"""Sentences that only look like thoughts, errors or refusals."""

ELSEWHERE = {
    "de": "Leider kann ich am Montag nicht kommen, der Bus fährt schon um neun.",
    "fr": "Désolé, je ne peux pas venir lundi, le bus part déjà à neuf heures.",
    "es": "Lo siento, no puedo ir el lunes, el autobús sale ya a las nueve.",
    "pt": "Desculpe, não posso ir na segunda-feira, o ônibus sai já às nove.",
    "ru": "К сожалению, в понедельник я не смогу прийти, автобус уходит уже в девять.",
    "ja": "すみませんが、月曜日は行けません。バスはもう九時に出ます。",
    "zh": "抱歉，星期一我不能来，公共汽车九点就开了。",
}
"""Sentences that only look like refusals, in other languages."""

FEW_CALLS = 22
"""Calls of a run that rejects next to nothing; 18 are needed."""


def wrapped(shape: str) -> Serve:
    """Put something around every text."""
    return lambda call: reply(call, [shape.replace("{x}", text) for text in call.texts])


def after(sentence: str) -> Serve:
    """Write a sentence before the ordinary ones, in texts only."""

    def serve(call: OddCall) -> OddAnswer | None:
        if any(text.startswith("{") for text in call.texts):
            return None
        texts = tuple(f"{sentence} {text}" for text in call.texts)
        return OddAnswer(body=reply(call, texts).body, texts=texts)

    return serve


def elsewhere(code: str) -> Serve:
    """Write a sentence of another language before the ordinary ones of that language."""
    return lambda call: answer(call, f"{ELSEWHERE[code]} {sentences(SPEECHES[code], call)}")


def _rows() -> Sequence[Behaviour]:
    wrappings = [
        Behaviour(f"around the text: {name}", WRAPPED, always(wrapped(shape)), source, most_calls=FEW_CALLS)
        for name, (shape, source) in SHAPES.items()
    ]
    innocent = [
        Behaviour(f"innocent: {sentence}", INNOCENT, always(after(sentence)), "people", most_calls=FEW_CALLS)
        for sentence in LOOK_ALIKES
    ]
    other = [
        Behaviour(
            f"innocent: {code}",
            INNOCENT,
            always(elsewhere(code)),
            "people",
            recipe=f"depth: none\ntext: {{language: {code}}}\n",
            most_calls=9,
        )
        for code in ELSEWHERE
    ]
    return [*wrappings, *innocent, *other]


WRAPPINGS = tuple(_rows())
"""All rows of both groups."""
