"""The last stage: the text of a row, written by instruction or, by a model too small for that, continued."""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from personagen.builder.core.package_data import read_yaml
from personagen.builder.core.records import layers_of
from personagen.builder.llm.requests import Ask, Candidate, Request, Sampling
from personagen.builder.planning.personas.drawing import Persona
from personagen.builder.planning.plan import RowPlan
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.situations.bank import Scene
from personagen.builder.planning.situations.channels import OwnChannel
from personagen.builder.planning.styles import RowStyle, channel_of, draw_label_words
from personagen.builder.planning.taxonomy import Emotion, named_taxonomy
from personagen.builder.writing.attempts import AcceptedReply, Attempts, CheckTogether, attempt
from personagen.builder.writing.checks import TextRules, Verdict, check_text
from personagen.builder.writing.continuation import LAST_RESORT, finished, styled_beginnings, valence_distance
from personagen.builder.writing.prompts import PACKAGE, Templates, templates_of
from personagen.builder.writing.surface import surface_lines
from personagen.metrics.style import expression_of
from personagen.metrics.texts.emotion_words import emotion_pattern

MAX_LIST_CANDIDATES = 4
"""Candidates of a small model that continues a list: its items are longer than the end of a sentence."""


MIN_LOGPROB = -1.1
"""Mean log-probability per token below which a small model's completion is mostly nonsense (see docs/log.md)."""

LOGPROB_STEP = 0.15
"""What each further attempt is allowed to be below it."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Persona and situation that a row is conditioned on.

    Attributes:
        persona: None at depth "none"; its sociocultural layer is used from that depth on only.
        scene: None below depth "situational".
        channel: channel of the recipe that the text is written for; None: the recipe names none.

    """

    persona: Persona | None
    scene: Scene | None
    channel: OwnChannel | None = None


@dataclass(frozen=True, slots=True)
class Grounding:
    """Content of a row's prompt beside the layers of its persona.

    Attributes:
        examples: real texts of the emotion, as a model for the style.
        source: text to paraphrase; None: the text is a new one.
        words: length of the text, in words; None: the bounds of the recipe.
        label_words: words that texts of the emotion use, of which the text may take one or two; rows with a style only.
        opening: first sentence of the text where a small model continues a beginning; None: the event.
        real_texts: id and text of each real text of the source of a recipe among these.

    """

    examples: tuple[str, ...] = ()
    source: str | None = None
    words: int | None = None
    label_words: tuple[str, ...] = ()
    opening: str | None = None
    real_texts: tuple[tuple[str, str], ...] = ()


NO_GROUNDING = Grounding()
"""The layers alone."""


def row_label_words(row: RowPlan, words: Sequence[str], seed: int) -> tuple[str, ...]:
    """Draw the words of a row that carry its label; a row without a style has none."""
    return () if row.style is None else draw_label_words(words, seed, row.id, row.emotion, row.style.expression)


@dataclass(frozen=True, slots=True)
class TextChecks:
    """Checks of a row's text.

    Attributes:
        rules: requirements on each candidate.
        together: check of all candidates together; None: no such check.
        style: how the row is to be written; None: as before there were expressions and styles.
        reject_expressions: whether a text that expresses its emotion in another way is rejected.

    """

    rules: TextRules
    together: CheckTogether | None = None
    style: RowStyle | None = None
    reject_expressions: bool = False


@dataclass(frozen=True, slots=True)
class ExpressionSettings:
    """How texts are requested.

    Attributes:
        template: name of the template.
        continues: whether the model continues a beginning, and follows no instruction.
        templates: templates of the recipe.
        sampling: decoding parameters.
        stop: strings that end a text.
        candidates: texts drawn per request.

    """

    template: str
    sampling: Sampling
    stop: tuple[str, ...]
    candidates: int
    continues: bool = False
    templates: Templates = PACKAGE


def expression_settings(recipe: Recipe) -> ExpressionSettings:
    """Return the settings of a recipe: its own values, else the defaults of its backend."""
    draw, styled, greatest = recipe.draw, recipe.mixture() is not None, recipe.text_bounds()[1]
    if recipe.is_embedded:
        # The end of one short clause: the more the small model writes, the further it strays (see docs/log.md).
        sampling = Sampling(max_tokens=16, temperature=0.6, top_p=draw.top_p, min_p=0.08, repetition_penalty=1.05)
        stop = (".", "!", "?", ",", ";", "\n")
        template = "styled_continuation" if styled else "continuation"
        sampling = replace(sampling, max_tokens=12) if styled else sampling
        settings = ExpressionSettings(template, sampling, stop, draw.candidates or 8, continues=True)
    else:
        # Two tokens per word and a margin: a text cut off at the limit would be paid for and rejected.
        sampling = Sampling(max_tokens=2 * greatest + 64, temperature=0.9, top_p=draw.top_p)
        settings = ExpressionSettings("styled" if styled else "expression", sampling, (), draw.candidates or 1)
    if draw.temperature is not None:
        sampling = replace(sampling, temperature=draw.temperature)
    if draw.max_tokens is not None:
        sampling = replace(sampling, max_tokens=draw.max_tokens)
    return replace(settings, sampling=sampling, templates=templates_of(recipe))


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
    if settings.continues and continues_list(row, grounding):
        return _list_request(settings, emotion, grounding)
    channel = subject.channel if row.style is None or row.style.style is None else None
    least, greatest = (channel.min_words, channel.max_words) if channel else recipe.text_bounds()
    messages = settings.templates.render(
        settings.template,
        row.wording,
        examples=grounding.examples,
        source=grounding.source,
        **({"words": grounding.words} if row.style is None else {}),
        demographic=persona.demographic if persona else None,
        sociocultural=persona.sociocultural if persona and "sociocultural" in layers else None,
        attributes=persona.attributes if persona else {},
        scene=scene,
        emotion=emotion.name,
        definition=emotion.definition,
        intensity=row.intensity,
        language=recipe.text.language,
        min_words=least,
        max_words=greatest,
        **({} if row.style is None else _style_values(row.style, subject, grounding)),
    )
    return Request(messages, settings.sampling, seed=0, stop=settings.stop, candidates=settings.candidates)


def _style_values(style: RowStyle, subject: Subject, grounding: Grounding) -> dict[str, Any]:
    """Return what the template of a row with a style needs beside the layers."""
    features, scene = style.features, subject.scene
    form = channel_of(style.style)[1] if style.style else scene.channel if scene else "a short personal text"
    form = form if subject.channel is None else subject.channel.form
    return {
        "form": form,
        "expression": style.expression,
        "words": grounding.words or (features.words if features else None),
        "sentences": features.sentences if features and grounding.words is None else None,
        "surface": surface_lines(features),
        "label_words": grounding.label_words,
    }


def continues_list(row: RowPlan, grounding: Grounding) -> bool:
    """Return whether a small model continues a list of real texts instead of a beginning of its own text."""
    return grounding.source is not None or (bool(grounding.examples) and row.depth == "none")


def _list_request(settings: ExpressionSettings, emotion: Emotion, grounding: Grounding) -> Request:
    """Build the request for one more item of a list: a small model follows a pattern better than an instruction."""
    values = {"emotion": emotion.name, "examples": grounding.examples, "source": grounding.source}
    pattern = settings.templates.render("list", **values)[0].content
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
            verdict = _check_completion(candidate, request.prefill, prompt, emotion, checks)
            if checks.style is not None and _is_improbable(candidate, beginnings.index(request.prefill)):
                verdict = replace(verdict, reason=verdict.reason or "astray")
        elif not candidate.text.strip():
            return Verdict("", "empty", leaked=False)
        else:
            verdict = check_text(candidate.text, prompt=prompt, finish=candidate.finish, rules=checks.rules)
        return _with_expression(verdict, emotion, checks, request.prefill if beginnings else "")

    return await attempt(make_request, ask, attempts, check, checks.together)


def _with_expression(verdict: Verdict, emotion: Emotion, checks: TextChecks, beginning: str) -> Verdict:
    """Add how an English text expresses its emotion, and reject it if it is another way than asked for.

    The end of a sentence is rejected only if it changes the expression of a beginning that was as asked for. A small
    model draws several, so that another one costs nothing; there are emotions without any such beginning.
    """
    if checks.style is None or verdict.leaked is None:
        return verdict
    found = expression_of(verdict.text, emotion.name)
    asked = checks.style.expression
    spoils = bool(beginning) and expression_of(beginning, emotion.name) == asked
    rejects = verdict.reason is None and found != asked and (checks.reject_expressions or spoils)
    misses = valence_distance(verdict.text, checks.style.features) if beginning else 0
    return replace(verdict, expression=found, reason="expression" if rejects else verdict.reason, misses=misses)


def _check_completion(
    candidate: Candidate, beginning: str, prompt: str, emotion: Emotion, checks: TextChecks
) -> Verdict:
    """Check the end of a sentence whose beginning was given, and the sentence as a whole."""
    text = candidate.text.rstrip()
    if not text:
        return Verdict("", "empty", leaked=False)
    if candidate.finish == "length":
        return Verdict(text, "truncated", leaked=False)
    if _stray_pattern(emotion.bank, is_styled=checks.style is not None).search(text):
        return Verdict(text, "astray", leaked=False)
    # The stop string that ended the sentence is not part of the reply.
    whole = f"{beginning}{text}." if checks.style is None else finished(beginning + text, checks.style.features)
    return check_text(whole, prompt=prompt, finish=candidate.finish, rules=checks.rules)


def _is_improbable(candidate: Candidate, attempt: int) -> bool:
    """Return whether the small model itself finds its completion improbable; later attempts may be less probable."""
    logprob = candidate.mean_logprob
    return logprob is not None and logprob < MIN_LOGPROB - attempt * LOGPROB_STEP


@cache
def _stray_pattern(bank: str | None, *, is_styled: bool) -> re.Pattern[str]:
    """Compile the faults of a small model's completion: its usual blunders, and words that name other emotions."""
    patterns = list(read_yaml("completions.yaml" if is_styled else "continuation.yaml")["refuse"])
    for name in named_taxonomy("ekman").names:
        if name != bank and (other := emotion_pattern(name)) is not None:
            patterns.append(other.pattern)
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.IGNORECASE)


def beginnings(
    seed: int, row: RowPlan, emotion: Emotion, scene: Scene | None, grounding: Grounding = NO_GROUNDING
) -> list[str]:
    """Return beginnings of a row's text, in shuffled order.

    Each consists of a sentence and a clause that implies the emotion. The sentence is the opening, else the event in
    the persona's own words; without either the clause stands alone.
    """
    if row.style is not None:
        style = row.style
        if grounding.words is not None and style.features is not None:
            style = replace(style, features=replace(style.features, words=grounding.words))
        return styled_beginnings(seed, replace(row, style=style), emotion, scene)
    opening = grounding.opening
    clauses = read_yaml("continuation.yaml")["openings"].get(emotion.bank, [LAST_RESORT])
    order = random.Random(f"opening:{seed}:{row.emotion}:{row.turn}").sample(clauses, len(clauses))
    if opening is not None:  # a text that began with one of the clauses gets another one
        order = [clause for clause in order if not opening.startswith(clause)] or order
    sentence = opening or (scene.narration if scene else None)
    return [f"{sentence} {clause}" if sentence else clause for clause in order]
