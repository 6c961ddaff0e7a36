"""Elaborate a layer: have the model write prose about a persona or a situation."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from personagen.builder.llm.json_replies import parse_json
from personagen.builder.llm.requests import Ask, Candidate, Request, Sampling
from personagen.builder.writing.attempts import Attempts, attempt
from personagen.builder.writing.checks import TextRules, Verdict, check_text, is_in_none_of
from personagen.builder.writing.prompts import PACKAGE, Templates

PROSE_SCHEMA = {
    "type": "object",
    "properties": {"prose": {"type": "string", "minLength": 20, "maxLength": 1200}},
    "required": ["prose"],
    "additionalProperties": False,
}
"""JSON schema of a reply."""

PROSE_TOKENS = 400
"""Usual upper bound on the tokens of a reply; a recipe with a larger one for texts raises it."""

PROSE_RULES = TextRules(min_words=8, max_words=200, language=None, emotion_words=None, reject_leaks=False)


@dataclass(frozen=True, slots=True)
class ProseRequirements:
    """Requirements on the prose of all layers.

    Attributes:
        language: ISO 639-1 code of the texts; the prose may be in it or in English. None: any language.
        max_tokens: upper bound on the length of a reply.
        templates: templates of the prompts.

    """

    language: str | None = None
    max_tokens: int = PROSE_TOKENS
    templates: Templates = PACKAGE


async def elaborate(
    layer: str, ask: Ask, attempts: Attempts, requirements: ProseRequirements, **facts: Any
) -> str | None:
    """Return the model's prose of a layer; None: all attempts were rejected.

    Args:
        layer: "demographic", "sociocultural" or "situational", the name of the template.
        ask: sends a request.
        attempts: seeds and limits.
        requirements: requirements on the prose.
        facts: values of the template.

    """
    sampling = Sampling(max_tokens=requirements.max_tokens, temperature=0.8)
    request = Request(requirements.templates.render(layer, **facts), sampling, seed=0, schema=PROSE_SCHEMA)
    accepted = await attempt(lambda _: request, ask, attempts, partial(_check_prose, language=requirements.language))
    return None if accepted is None else accepted.verdict.text


def _check_prose(candidate: Candidate, request: Request, language: str | None) -> Verdict:
    """Check the prose of a reply, which may also be plain text: some servers ignore the schema."""
    try:
        prose = parse_json(candidate.text, PROSE_SCHEMA).get("prose")
    except ValueError:
        prose = None
    if not isinstance(prose, str):
        return Verdict(candidate.text, "schema" if candidate.text.strip() else "empty", leaked=False)
    is_plain = "{" not in candidate.text
    # JSON that can be decoded was not cut. The prompt states the facts that the prose repeats, so an echo is no fault.
    finish = candidate.finish if is_plain else "stop"
    verdict = check_text(prose, prompt="", finish=finish, rules=PROSE_RULES)
    if verdict.reason is None and language is not None and is_in_none_of(verdict.text, {language, "en"}):
        return replace(verdict, reason="language")
    return replace(verdict, reason="schema") if is_plain and verdict.reason == "length" else verdict
