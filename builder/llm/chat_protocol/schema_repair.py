"""Let a model correct a reply that violates its JSON schema."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from personagen.builder.llm.json_replies import parse_json
from personagen.builder.llm.requests import Message, Request


def schema_violation(text: str, schema: Mapping[str, Any]) -> str | None:
    """Describe on one line how a reply violates a JSON schema; None: it is valid. Further keys violate nothing."""
    import jsonschema

    try:
        value = parse_json(text, schema)
    except ValueError as error:
        return f"{error}"
    errors = jsonschema.Draft202012Validator(schema).iter_errors(value)
    problem = jsonschema.exceptions.best_match(error for error in errors if error.validator != "additionalProperties")
    if problem is None:
        return None
    return f"at {problem.json_path}: {problem.message[:300]}"


def repair_request(request: Request, text: str, violation: str) -> Request:
    """Build the request for a correction: the chat so far, the invalid reply, and its violation of the schema."""
    instruction = (
        f"That does not satisfy the JSON schema: {violation}. Answer again, with the corrected JSON and nothing else."
    )
    turns = (Message("assistant", text), Message("user", instruction))
    return replace(request, messages=(*request.messages, *turns), candidates=1)
