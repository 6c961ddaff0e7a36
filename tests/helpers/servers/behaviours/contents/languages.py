"""Refusals and talk about the task in the languages with the most speakers, between ordinary texts of the language."""

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.helpers.servers.behaviours.records import (
    MANY_ROWS,
    MOST_HOPELESS_CALLS,
    Behaviour,
    OddAnswer,
    OddCall,
    Serve,
    always,
)
from tests.helpers.servers.behaviours.replies import completion, useless

GROUP = "languages"


@dataclass(frozen=True, slots=True)
class Speech:
    """What a model writes in one language.

    Attributes:
        refusals: refusals.
        talk: talk about the task, with a text or without one.
        when, who, where: parts of plain sentences that name no emotion.
        shape: order of the parts.

    """

    refusals: Sequence[str]
    talk: Sequence[str]
    when: Sequence[str]
    who: Sequence[str]
    where: Sequence[str]
    shape: str


SPEECHES: Mapping[str, Speech] = {
    code: Speech(**parts)
    for code, parts in yaml.safe_load(Path(__file__).with_name("speeches.yaml").read_text(encoding="utf-8")).items()
}
"""What models write, by ISO 639-1 code; written for these tests."""


def sentences(speech: Speech, call: OddCall, count: int = 2) -> str:
    """Write plain sentences that depend on the messages and the seed."""
    key = json.dumps([call.body["messages"], call.body.get("seed", call.number)], sort_keys=True)
    rng = random.Random(hashlib.sha256(key.encode()).digest())
    parts = [rng.sample(list(part), count) for part in (speech.when, speech.who, speech.where)]
    return " ".join(
        speech.shape.format(when=when, who=who, where=where) for when, who, where in zip(*parts, strict=True)
    )


def answer(call: OddCall, text: str) -> OddAnswer:
    """Answer with a text, as JSON where JSON was asked for."""
    try:
        content = json.dumps(dict.fromkeys(json.loads(call.texts[0]), text), ensure_ascii=False)
    except ValueError:
        content = text
    return OddAnswer(body=completion(call, [content]), texts=(content,))


def speaking(speech: Speech, faults: Sequence[str], nth: int) -> Serve:
    """Write in a language; every n-th reply is a fault."""

    def serve(call: OddCall) -> OddAnswer:
        if call.number % nth == 0:
            return useless(call, [faults[call.number // nth % len(faults)]])
        return answer(call, sentences(speech, call))

    return serve


def _recipe(language: str) -> str:
    return f"depth: none\ntext: {{language: {language}}}\n"


LANGUAGES = (
    *(
        Behaviour(
            f"refusals now and then: {code}",
            GROUP,
            always(speaking(speech, speech.refusals, 3)),
            "cautious models",
            wasted=9,
            recipe=_recipe(code),
        )
        for code, speech in SPEECHES.items()
    ),
    *(
        Behaviour(
            f"talk about the task now and then: {code}",
            GROUP,
            always(speaking(speech, speech.talk, 3)),
            "talkative models",
            wasted=9,
            recipe=_recipe(code),
        )
        for code, speech in SPEECHES.items()
    ),
    *(
        Behaviour(
            f"refusals, nothing else: {code}",
            GROUP,
            always(speaking(speech, speech.refusals, 1)),
            "cautious models",
            stop=("refusal",),
            rows=MANY_ROWS,
            wasted=MOST_HOPELESS_CALLS,
            most_calls=MOST_HOPELESS_CALLS,
            recipe=_recipe(code),
        )
        for code, speech in SPEECHES.items()
    ),
)
"""All rows of the group."""
