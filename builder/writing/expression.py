"""The last stage: have the text written, by instruction or, for a model too small for that, by a beginning."""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from personagen.builder.core.package_data import read_yaml
from personagen.builder.core.records import layers_of
from personagen.builder.llm.requests import Ask, Candidate, Request, Sampling
from personagen.builder.planning.personas import Persona
from personagen.builder.planning.plan import RowPlan
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.situations import Scene
from personagen.builder.planning.taxonomy import Emotion, named_taxonomy
from personagen.builder.writing.attempts import Attempts, Draft, Recheck, attempt
from personagen.builder.writing.checks import TextRules, Verdict, check_text
from personagen.builder.writing.prompts import render
from personagen.metrics.texts.emotion_words import emotion_pattern

LIST_CANDIDATES = 4
"""Texts that a small model draws where it goes on with a list: they are longer than the end of a sentence."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Who writes about what: the layers that a row is conditioned on.

    Attributes:
        persona: None at depth "none"; its sociocultural layer counts from that depth on only.
        scene: None below depth "situational".

    """

    persona: Persona | None
    scene: Scene | None


@dataclass(frozen=True, slots=True)
class Grounding:
    """What the prompt of a row shows beside the layers of its persona.

    Attributes:
        examples: real texts of the emotion, to be written like.
        source: text that is to be said in other words; None where the text is a new one.
        words: words that the text should have; None leaves them to the bounds of the recipe.
        opening: sentence that the text begins with where a small model goes on with a beginning, in the place of the
            event; None for the event.

    """

    examples: tuple[str, ...] = ()
    source: str | None = None
    words: int | None = None
    opening: str | None = None


@dataclass(frozen=True, slots=True)
class Checking:
    """What a text must be like: rules, and a check of all candidates together; None where there is none."""

    rules: TextRules
    recheck: Recheck | None = None


BARE = Grounding()
"""Layers alone."""


@dataclass(frozen=True, slots=True)
class Writing:
    """How texts are asked for.

    Attributes:
        template: "expression" (an instruction) or "continuation" (a beginning that the model goes on with).
        sampling: decoding parameters.
        stop: strings that end a text.
        candidates: texts drawn a request.

    """

    template: str
    sampling: Sampling
    stop: tuple[str, ...]
    candidates: int


def writing_of(recipe: Recipe) -> Writing:
    """Choose how texts are asked for: the recipe's wishes over the defaults of its backend."""
    draw = recipe.draw
    if recipe.backend.kind == "embedded":
        # The end of one short clause: the more the small model writes, the further it strays (see docs/log.md).
        sampling = Sampling(max_tokens=16, temperature=0.6, top_p=draw.top_p, min_p=0.08, repetition_penalty=1.05)
        writing = Writing("continuation", sampling, (".", "!", "?", ",", ";", "\n"), draw.candidates or 8)
    else:
        # Two tokens a word and some room: a text cut off at the limit would be paid for and thrown away.
        sampling = Sampling(max_tokens=2 * recipe.text.max_words + 64, temperature=0.9, top_p=draw.top_p)
        writing = Writing("expression", sampling, (), draw.candidates or 1)
    if draw.temperature is not None:
        writing = replace(writing, sampling=replace(sampling, temperature=draw.temperature))
    return writing


def expression_request(
    writing: Writing,
    recipe: Recipe,
    row: RowPlan,
    emotion: Emotion,
    subject: Subject,
    grounding: Grounding = BARE,
) -> Request:
    """Make the request for a row's text; its seed is set by the attempt."""
    layers, persona, scene = layers_of(row.depth), subject.persona, subject.scene
    if writing.template == "continuation" and lists(row, grounding):
        return _list_request(writing, emotion, grounding)
    messages = render(
        writing.template,
        examples=grounding.examples,
        source=grounding.source,
        words=grounding.words,
        demographic=persona.demographic if persona else None,
        sociocultural=persona.sociocultural if persona and "sociocultural" in layers else None,
        scene=scene,
        emotion=emotion.name,
        definition=emotion.definition,
        intensity=row.intensity,
        language=recipe.text.language,
        min_words=recipe.text.min_words,
        max_words=recipe.text.max_words,
    )
    return Request(messages, writing.sampling, seed=0, stop=writing.stop, candidates=writing.candidates)


def lists(row: RowPlan, grounding: Grounding) -> bool:
    """Tell whether a small model goes on with a list of real texts instead of a beginning of its own text."""
    return grounding.source is not None or (bool(grounding.examples) and row.depth == "none")


def _list_request(writing: Writing, emotion: Emotion, grounding: Grounding) -> Request:
    """Ask a small model for one more item of a list: it follows a pattern where it would not follow an instruction."""
    pattern = render("list", emotion=emotion.name, examples=grounding.examples, source=grounding.source)[0].content
    sampling = replace(writing.sampling, max_tokens=48, temperature=0.8)
    candidates = min(writing.candidates, LIST_CANDIDATES)
    return Request((), sampling, seed=0, prefill=pattern, stop=("\n",), candidates=candidates)


async def express(
    request: Request,
    emotion: Emotion,
    *,
    ask: Ask,
    tries: Attempts,
    checks: Checking,
    beginnings: Sequence[str] = (),
) -> Draft | None:
    """Have the model write the text of a row; None when the attempts are spent.

    Args:
        request: what to ask.
        emotion: what the text must express.
        ask: where requests go.
        tries: seeds and rejects.
        checks: what the text must be like.
        beginnings: what the model goes on with, another one each attempt, and part of the text; empty asks for the
            whole text.

    """
    prompt = "\n".join([*(message.content for message in request.messages), request.prefill])

    def asked(number: int) -> Request:
        return replace(request, prefill=beginnings[number % len(beginnings)]) if beginnings else request

    def judge(candidate: Candidate, request: Request) -> Verdict:
        if beginnings:
            return _judge_completion(candidate, request.prefill, prompt, emotion, checks.rules)
        if not candidate.text.strip():
            return Verdict("", "empty", leaked=False)
        return check_text(candidate.text, prompt=prompt, finish=candidate.finish, rules=checks.rules)

    return await attempt(asked, ask, tries, judge, checks.recheck)


def _judge_completion(candidate: Candidate, beginning: str, prompt: str, emotion: Emotion, rules: TextRules) -> Verdict:
    """Judge the end of a sentence whose beginning was given: the beginning is good, so the checks look at the end."""
    text = candidate.text.rstrip()
    if not text:
        return Verdict("", "empty", leaked=False)
    if candidate.finish == "length":
        return Verdict(text, "truncated", leaked=False)
    if _astray(emotion.bank).search(text):
        return Verdict(text, "astray", leaked=False)
    # The stop string that ended the sentence is not part of the reply.
    return check_text(f"{beginning}{text}.", prompt=prompt, finish=candidate.finish, rules=rules)


@cache
def _astray(bank: str | None) -> re.Pattern[str]:
    """Match what a small model's completion should not hold: its usual blunders, and words that name other emotions."""
    patterns = list(read_yaml("continuation.yaml")["refuse"])
    for name in named_taxonomy("ekman").names:
        if name != bank and (other := emotion_pattern(name)) is not None:
            patterns.append(other.pattern)
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.IGNORECASE)


def beginnings(seed: int, row: RowPlan, emotion: Emotion, scene: Scene | None, opening: str | None = None) -> list[str]:
    """List beginnings of a row's text, in shuffled order.

    Each is a sentence, where there is one, and a clause that implies the emotion. The sentence is the opening, else the
    event as the persona tells it.
    """
    clauses = read_yaml("continuation.yaml")["openings"].get(emotion.bank, ["After that I"])
    order = random.Random(f"opening:{seed}:{row.emotion}:{row.turn}").sample(clauses, len(clauses))
    if opening is not None:  # a text that had the first clause gets another one
        order = [clause for clause in order if not opening.startswith(clause)] or order
    sentence = opening or (scene.narration if scene else None)
    return [f"{sentence} {clause}" if sentence else clause for clause in order]
