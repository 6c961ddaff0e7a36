"""Elaborate a layer: have the model write prose about a persona or a situation."""

from dataclasses import replace
from typing import Any

from personagen.builder.llm.json_replies import parse_json
from personagen.builder.llm.requests import Ask, Candidate, Request, Sampling
from personagen.builder.writing.attempts import Attempts, attempt
from personagen.builder.writing.checks import TextRules, Verdict, check_text
from personagen.builder.writing.prompts import render

PROSE_SCHEMA = {
    "type": "object",
    "properties": {"prose": {"type": "string", "minLength": 20, "maxLength": 1200}},
    "required": ["prose"],
    "additionalProperties": False,
}
"""JSON schema of a reply."""

PROSE_RULES = TextRules(min_words=8, max_words=200, language=None, emotion_words=None, reject_leaks=False)


async def elaborate(layer: str, ask: Ask, attempts: Attempts, **facts: Any) -> str | None:
    """Return the model's prose of a layer; None: all attempts were rejected.

    Args:
        layer: "demographic", "sociocultural" or "situational", the name of the template.
        ask: sends a request.
        attempts: seeds and limits.
        facts: values of the template.

    """
    sampling = Sampling(max_tokens=400, temperature=0.8)
    request = Request(render(layer, **facts), sampling, seed=0, schema=PROSE_SCHEMA)
    accepted = await attempt(lambda _: request, ask, attempts, _check_prose)
    return None if accepted is None else accepted.verdict.text


def _check_prose(candidate: Candidate, request: Request) -> Verdict:
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
    return replace(verdict, reason="schema") if is_plain and verdict.reason == "length" else verdict
