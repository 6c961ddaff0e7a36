"""The last stage: the text of a row, written by instruction or, by a model too small for that, continued."""

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
from personagen.builder.writing.attempts import AcceptedReply, Attempts, CheckTogether, attempt
from personagen.builder.writing.checks import TextRules, Verdict, check_text
from personagen.builder.writing.prompts import render
from personagen.metrics.texts.emotion_words import emotion_pattern

MAX_LIST_CANDIDATES = 4
"""Candidates of a small model that continues a list: its items are longer than the end of a sentence."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Persona and situation that a row is conditioned on.

    Attributes:
        persona: None at depth "none"; its sociocultural layer is used from that depth on only.
        scene: None below depth "situational".

    """

    persona: Persona | None
    scene: Scene | None


@dataclass(frozen=True, slots=True)
class Grounding:
    """Content of a row's prompt beside the layers of its persona.

    Attributes:
        examples: real texts of the emotion, as a model for the style.
        source: text to paraphrase; None: the text is a new one.
        words: length of the text, in words; None: the bounds of the recipe.
        opening: first sentence of the text where a small model continues a beginning; None: the event.

    """

    examples: tuple[str, ...] = ()
    source: str | None = None
    words: int | None = None
    opening: str | None = None


NO_GROUNDING = Grounding()
"""The layers alone."""


@dataclass(frozen=True, slots=True)
class TextChecks:
    """Checks of a row's text: rules, and a check of all candidates together (None: no such check)."""

    rules: TextRules
    together: CheckTogether | None = None


@dataclass(frozen=True, slots=True)
class ExpressionSettings:
    """How texts are requested.

    Attributes:
        template: "expression" (an instruction) or "continuation" (a beginning that the model continues).
        sampling: decoding parameters.
        stop: strings that end a text.
        candidates: texts drawn per request.

    """

    template: str
    sampling: Sampling
    stop: tuple[str, ...]
    candidates: int


def expression_settings(recipe: Recipe) -> ExpressionSettings:
    """Return the settings of a recipe: its own values, else the defaults of its backend."""
    draw = recipe.draw
    if recipe.backend.kind == "embedded":
        # The end of one short clause: the more the small model writes, the further it strays (see docs/log.md).
        sampling = Sampling(max_tokens=16, temperature=0.6, top_p=draw.top_p, min_p=0.08, repetition_penalty=1.05)
        stop = (".", "!", "?", ",", ";", "\n")
        settings = ExpressionSettings("continuation", sampling, stop, draw.candidates or 8)
    else:
        # Two tokens per word and a margin: a text cut off at the limit would be paid for and rejected.
        sampling = Sampling(max_tokens=2 * recipe.text.max_words + 64, temperature=0.9, top_p=draw.top_p)
        settings = ExpressionSettings("expression", sampling, (), draw.candidates or 1)
    if draw.temperature is not None:
        sampling = replace(sampling, temperature=draw.temperature)
    if draw.max_tokens is not None:
        sampling = replace(sampling, max_tokens=draw.max_tokens)
    return replace(settings, sampling=sampling)


def expression_request(
    settings: ExpressionSettings,
    recipe: Recipe,
    row: RowPlan,
    emotion: Emotion,
    subject: Subject,
    grounding: Grounding = NO_GROUNDING,
) -> Request:
    """Build the request for a row's text; the attempt sets its seed."""
    layers, persona, scene = layers_of(row.depth), subject.persona, subject.scene
    if settings.template == "continuation" and continues_list(row, grounding):
        return _list_request(settings, emotion, grounding)
    messages = render(
        settings.template,
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
    return Request(messages, settings.sampling, seed=0, stop=settings.stop, candidates=settings.candidates)


def continues_list(row: RowPlan, grounding: Grounding) -> bool:
    """Return whether a small model continues a list of real texts instead of a beginning of its own text."""
    return grounding.source is not None or (bool(grounding.examples) and row.depth == "none")


def _list_request(settings: ExpressionSettings, emotion: Emotion, grounding: Grounding) -> Request:
    """Build the request for one more item of a list: a small model follows a pattern better than an instruction."""
    pattern = render("list", emotion=emotion.name, examples=grounding.examples, source=grounding.source)[0].content
    sampling = replace(settings.sampling, max_tokens=48, temperature=0.8)
    candidates = min(settings.candidates, MAX_LIST_CANDIDATES)
    return Request((), sampling, seed=0, prefill=pattern, stop=("\n",), candidates=candidates)


async def express(
    request: Request,
    emotion: Emotion,
    *,
    ask: Ask,
    attempts: Attempts,
    checks: TextChecks,
    beginnings: Sequence[str] = (),
) -> AcceptedReply | None:
    """Return the text of a row; None: all attempts were rejected.

    Args:
        request: request of the text.
        emotion: emotion that the text must express.
        ask: sends a request.
        attempts: seeds and limits.
        checks: checks of the text.
        beginnings: beginnings for the model to continue, one per attempt, which become part of the text; empty: the
            model writes the whole text.

    """
    prompt = "\n".join([*(message.content for message in request.messages), request.prefill])

    def make_request(number: int) -> Request:
        return replace(request, prefill=beginnings[number % len(beginnings)]) if beginnings else request

    def check(candidate: Candidate, request: Request) -> Verdict:
        if beginnings:
            return _check_completion(candidate, request.prefill, prompt, emotion, checks.rules)
        if not candidate.text.strip():
            return Verdict("", "empty", leaked=False)
        return check_text(candidate.text, prompt=prompt, finish=candidate.finish, rules=checks.rules)

    return await attempt(make_request, ask, attempts, check, checks.together)


def _check_completion(candidate: Candidate, beginning: str, prompt: str, emotion: Emotion, rules: TextRules) -> Verdict:
    """Check the end of a sentence whose beginning was given, and the sentence as a whole."""
    text = candidate.text.rstrip()
    if not text:
        return Verdict("", "empty", leaked=False)
    if candidate.finish == "length":
        return Verdict(text, "truncated", leaked=False)
    if _stray_pattern(emotion.bank).search(text):
        return Verdict(text, "astray", leaked=False)
    # The stop string that ended the sentence is not part of the reply.
    return check_text(f"{beginning}{text}.", prompt=prompt, finish=candidate.finish, rules=rules)


@cache
def _stray_pattern(bank: str | None) -> re.Pattern[str]:
    """Compile the faults of a small model's completion: its usual blunders, and words that name other emotions."""
    patterns = list(read_yaml("continuation.yaml")["refuse"])
    for name in named_taxonomy("ekman").names:
        if name != bank and (other := emotion_pattern(name)) is not None:
            patterns.append(other.pattern)
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.IGNORECASE)


def beginnings(seed: int, row: RowPlan, emotion: Emotion, scene: Scene | None, opening: str | None = None) -> list[str]:
    """Return beginnings of a row's text, in shuffled order.

    Each consists of a sentence and a clause that implies the emotion. The sentence is the opening, else the event in
    the persona's own words; without either the clause stands alone.
    """
    clauses = read_yaml("continuation.yaml")["openings"].get(emotion.bank, ["After that I"])
    order = random.Random(f"opening:{seed}:{row.emotion}:{row.turn}").sample(clauses, len(clauses))
    if opening is not None:  # a text that began with one of the clauses gets another one
        order = [clause for clause in order if not opening.startswith(clause)] or order
    sentence = opening or (scene.narration if scene else None)
    return [f"{sentence} {clause}" if sentence else clause for clause in order]
