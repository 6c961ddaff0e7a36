"""2,000 mutations of a reply and of errors: a reply whose tokens are credible, or an error of one line."""

import json
import random

from personagen.builder.core.errors import PersonaGenError
from personagen.builder.llm.chat_protocol.completions.usage import MAX_TOKENS_PER_CALL
from personagen.builder.llm.chat_protocol.endpoint import Endpoint
from personagen.builder.llm.chat_protocol.replies import MAX_NAME_CHARS, parse_reply
from personagen.builder.llm.chat_protocol.statuses import status_error
from personagen.builder.llm.requests import Message, Request, Sampling
from tests.helpers.hostile.mutations import as_json, damaged, mutated, places

KEY = "sk-secret-0123456789abcdef"
ENDPOINT = Endpoint("http://h/v1", "m", secrets=(KEY,))
REQUEST = Request((Message("user", "Write."),), Sampling(max_tokens=40), seed=1, candidates=2, top_logprobs=2)
TOKEN = {
    "token": "We",
    "logprob": -0.1,
    "top_logprobs": [{"token": "We", "logprob": -0.1}, {"token": KEY, "logprob": -3}],
}
BODY = {
    "id": f"c-{KEY}", "object": "chat.completion", "model": f"m {KEY}", "system_fingerprint": "fp",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "We carried it home."}, "finish_reason": "stop"},
        {"index": 1, "message": {"role": "assistant", "content": [{"type": "text", "text": f"It is {KEY}."}],
         "reasoning_content": KEY, "refusal": None}, "finish_reason": f"stop {KEY}", "logprobs": {"content": [TOKEN]}},
    ],
    "usage": {"prompt_tokens": 12, "completion_tokens": 20, "total_tokens": 32,
              "completion_tokens_details": {"reasoning_tokens": 4}},
    "error": None,
}  # fmt: skip
ERROR = {"error": {"message": f"no {KEY}", "code": 429, "type": KEY, "metadata": {"raw": KEY}}, "detail": [KEY]}


def test_mutated_replies_are_parsed_or_refused() -> None:
    rng = random.Random(20)
    known, text = list(places(BODY)), json.dumps(BODY)
    parsed = 0
    for number in range(2000):
        changed = damaged(text, rng) if number % 3 == 0 else as_json(mutated(BODY, rng, known))
        try:
            reply = parse_reply(changed.encode("utf-8", "surrogatepass"), REQUEST, ENDPOINT, limit=40)
        except PersonaGenError as error:
            assert "\n" not in str(error) and len(str(error)) < 1000 and KEY not in str(error)
            continue
        parsed += 1
        assert KEY not in repr(reply) and len(reply.candidates) < 10
        assert 0 < reply.prompt_tokens <= MAX_TOKENS_PER_CALL and 0 <= reply.completion_tokens <= MAX_TOKENS_PER_CALL
        assert type(reply.prompt_tokens) is int and type(reply.completion_tokens) is int
        assert len(reply.answered_by or "") <= MAX_NAME_CHARS and len(reply.problem or "") < 500
        texts = [candidate.text for candidate in reply.candidates if candidate.problem is None]
        assert reply.completion_tokens > 0 or not any(texts), "what was written is counted"
    assert 200 < parsed < 1900


def test_mutated_errors_are_one_line() -> None:
    rng = random.Random(21)
    known, text = list(places(ERROR)), json.dumps(ERROR)
    for number in range(500):
        changed = damaged(text, rng) if number % 3 == 0 else as_json(mutated(ERROR, rng, known))
        for status in (400, 401, 402, 403, 404, 405, 418, 422, 429, 500, 503, 529):
            message = str(status_error(status, changed, ENDPOINT))
            assert "\n" not in message and len(message) < 600 and KEY not in message
