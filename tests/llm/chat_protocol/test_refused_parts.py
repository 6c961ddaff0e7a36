"""Parts of a request that the answers of servers refuse, in the words of public reports."""

import json
from typing import Any

import pytest

from personagen.builder.llm.chat_protocol.refused_parts import SENTENCES, names_a_part, next_levels, refused_parts
from personagen.builder.llm.chat_protocol.request_body import LAST_LEVELS

SENT = dict.fromkeys(LAST_LEVELS, 0)


def error(message: str, **fields: Any) -> str:
    """Build an answer in OpenAI's format."""
    return json.dumps({"error": {"message": message, **fields}})


def invalid(*path: str | int) -> str:
    """Build an answer of a server that validates requests by pydantic."""
    return json.dumps(
        {"detail": [{"type": "extra_forbidden", "loc": ["body", *path], "msg": "Extra inputs", "input": 2}]}
    )


NAMED = [
    (error("Unsupported value", param="temperature"), {"temperature"}),
    (error("Invalid value", param="messages[0].role"), {"system role"}),
    (error("Unknown parameter", param="text.format"), {"response_format"}),
    (invalid("seed"), {"seed"}),
    (invalid("top_logprobs"), {"logprobs"}),
    (invalid("messages", 0, "role"), {"system role"}),
    (json.dumps({"object": "error", "message": {"detail": [{"loc": ["body", "seed"], "msg": "no"}]}}), {"seed"}),
    (json.dumps({"message": "extra", "unrecognized_arguments": ["min_p", "seed"]}), {"min_p", "seed"}),
]
SENTENCE = [
    ("Unsupported value: 'temperature' does not support 0.8 with this model.", {"temperature"}),
    ("Only one completion choice is allowed", {"n"}),
    ("'n' : number must be at most 1", {"n"}),
    ("n > 1 is not supported", {"n"}),
    ("Unrecognized request arguments supplied: seed, logprobs", {"seed", "logprobs"}),
    ("`temperature` and `top_p` cannot both be specified for this model.", {"top_p"}),
    ("System role not supported", {"system role"}),
    ("Conversation roles must alternate user/assistant/user/assistant/...", {"system role"}),
    ("Developer instruction is not enabled for this model", {"system role"}),
    ("Invalid schema for response_format 'reply': 'minLength' is not permitted.", {"response_format"}),
    ("Use 'max_completion_tokens' instead of 'max_tokens'", {"max_tokens"}),
    ("stop: at most 4 sequences", {"stop"}),
    ("This model does not support logprobs", {"logprobs"}),
    ("Argument not supported on this model: stop", {"stop"}),
    ("messages.0.role: Input should be 'user' or 'assistant'", {"system role"}),
    ("Failed to parse messages: Unsupported role", {"system role"}),
    ("property 'min_p' is unsupported, did you mean 'top_p'?", {"min_p"}),
    ("Unsupported parameter: seed. Supported parameters are: model, messages, temperature, max_tokens.", {"seed"}),
    ("Parameters not supported: seed, min_p", {"seed", "min_p"}),
    ("seed is not one of ['model', 'messages', 'temperature', 'max_tokens']", {"seed"}),
    ("Unknown field min_p. See https://example.org/structured-outputs?top_p=1#seed", {"min_p"}),
    ("The request violates its schema: property 'seed' is not allowed", {"seed"}),
    ("seed: Extra inputs are not permitted, input_value={'temperature': 1, 'top_p': 1}, input_type=dict", {"seed"}),
    ("Bad Request", set[str]()),
    ("Your input was flagged for violence", set[str]()),
    ("The station was busy, and then we had to stop", set[str]()),
    ("line one\\n is not closed", set[str]()),
]


@pytest.mark.parametrize(("answer", "parts"), NAMED)
def test_a_part_is_named_by_a_field_or_a_path(answer: str, parts: set[str]) -> None:
    assert refused_parts(answer, SENT) == parts
    assert names_a_part(answer)


@pytest.mark.parametrize(("sentence", "parts"), SENTENCE)
def test_a_part_is_named_by_a_sentence(sentence: str, parts: set[str]) -> None:
    assert refused_parts(error(sentence), SENT) == parts
    assert refused_parts(sentence, SENT) == parts
    assert not names_a_part(error(sentence))


def test_a_part_that_was_not_sent_is_not_refused() -> None:
    assert refused_parts(error("temperature is not supported"), {"seed": 0}) == frozenset()


def test_what_an_answer_repeats_of_the_request_names_no_part() -> None:
    """Gateways quote the flagged input."""
    flagged = {"message": "flagged", "metadata": {"flagged_input": "What a temperature, and I lost my seed"}}
    assert refused_parts(json.dumps({"error": flagged}), SENT) == frozenset()
    failed = {"message": "Failed to validate JSON", "failed_generation": '{"text": "a temperature"'}
    assert refused_parts(json.dumps({"error": failed}), SENT) == frozenset()
    repeated = {"message": "Bad Request", "request": {"messages": [{"role": "system", "content": "seed"}]}}
    assert refused_parts(json.dumps({"error": repeated}), SENT) == frozenset()


@pytest.mark.parametrize(
    ("sentence", "level", "expected"),
    [
        ("Invalid schema for response_format: 'minLength' is not permitted", 0, 1),
        ("response_format of type 'json_schema' is not supported", 0, 2),
        ("response_format is not supported", 0, 3),
        ("response_format of type 'json_schema' is not supported", 1, 2),
        ("json_object is not supported", 2, 3),
    ],
)
def test_a_refused_schema_takes_the_next_form_that_may_be_accepted(sentence: str, level: int, expected: int) -> None:
    assert next_levels(error(sentence), ["response_format"], {"response_format": level}) == {
        "response_format": expected
    }


def test_every_optional_part_has_its_sentences() -> None:
    assert SENTENCES.keys() == LAST_LEVELS.keys()


def test_a_hostile_answer_is_searched_up_to_a_bound() -> None:
    """A megabyte of brackets and quotation marks takes no longer than a short answer."""
    assert refused_parts("[" * 1_000_000, SENT) == frozenset()
    assert refused_parts("'n" * 500_000, SENT) <= SENT.keys()
