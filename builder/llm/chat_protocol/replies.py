"""Parse the body of a chat completion into a reply."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from personagen.builder.core.errors import BackendError, RequestError, TransientError
from personagen.builder.llm.chat_protocol.completions.bodies import decode_body, decode_text
from personagen.builder.llm.chat_protocol.completions.finish_reasons import End, classify_end, failure_status
from personagen.builder.llm.chat_protocol.completions.messages import MessageContent, read_message
from personagen.builder.llm.chat_protocol.completions.reply_errors import (
    error_in_text,
    error_status,
    find_error,
    require_no_error,
    to_exception,
)
from personagen.builder.llm.chat_protocol.completions.usage import WrittenChoice, count_tokens, reasoning_tokens
from personagen.builder.llm.chat_protocol.endpoint import Endpoint
from personagen.builder.llm.requests import HOLDS_SECRET, Candidate, Reply, Request
from personagen.builder.llm.thoughts import without_thoughts

MAX_NAME_CHARS = 200
"""Upper bound on the name of the model that answered."""


MAX_WORD_CHARS = 40
"""Upper bound on a finish_reason in a message."""


@dataclass(frozen=True, slots=True)
class ParsedChoice:
    """One choice of a completion.

    Attributes:
        content: what its message holds; None: it has no message.
        finish: its finish_reason.
        end: class of that.
        logprobs: log probabilities of the alternatives to the first token; None: absent.
        error: error that it reports in place of a text; None: it reports none.

    """

    content: MessageContent | None
    finish: Any
    end: End
    logprobs: dict[str, float] | None
    error: Mapping[str, Any] | None

    def to_written(self, tokens: Any, limit: int, *, has_room: bool) -> WrittenChoice:
        """Return what was written.

        Args:
            tokens: tokens that the server states for this choice alone, if any.
            limit: limit on completion tokens that was sent.
            has_room: whether the limit has room for thoughts.

        """
        content = self.content or MessageContent("", "", "", calls_tool=False)
        texts = (content.text, content.thoughts, content.refusal)
        size = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
        is_full = type(tokens) is int and tokens >= limit and not content.text.strip()
        hides = has_room and not content.thoughts and without_thoughts(content.text) == content.text
        return WrittenChoice(size, at_limit=self.end == "limit" or is_full, may_hide_thoughts=hides)


def parse_reply(data: bytes, request: Request, endpoint: Endpoint, *, limit: int) -> Reply:
    """Parse the body of a chat completion.

    A choice without a usable text becomes a candidate with a problem; a reply without any usable candidate has a
    problem itself, since it was paid for. Thoughts within a text are left in it.

    Args:
        data: body of the answer.
        request: the request.
        endpoint: the server that answered.
        limit: limit on completion tokens per candidate that was sent.

    Raises:
        RequestError: the body is no chat completion, or reports that the request was refused.
        TransientError: it reports a failure that may pass.
        BackendError: it is a web page, so the URL is not that of such a server; or it reports an error that no other
            request would escape.

    """
    body = endpoint.redact_answer(_decode(data, endpoint))
    require_no_error(body, endpoint)
    parsed = _parse_choices(body, request, endpoint)
    usage = body.get("usage")
    alone = usage.get("completion_tokens") if len(parsed) == 1 and isinstance(usage, dict) else None
    has_room = limit > request.sampling.max_tokens
    written = [choice.to_written(alone, limit, has_room=has_room) for choice in parsed]
    pairs = list(zip(parsed, written, strict=True))
    candidates = tuple(_to_candidate(choice, endpoint, limit if part.at_limit else None) for choice, part in pairs)
    problem = candidates[0].problem if all(candidate.problem for candidate in candidates) else None
    if problem is not None and (error := next((choice.error for choice in parsed if choice.error), None)):
        raise to_exception(error, endpoint)
    tokens, is_estimated = count_tokens(usage, request, written, limit)
    return Reply(
        candidates=() if problem else candidates,
        prompt_tokens=tokens.prompt,
        completion_tokens=tokens.completion,
        problem=problem,
        estimated=is_estimated,
        answered_by=_answering_model(body, endpoint),
        thought_tokens=reasoning_tokens(usage),
        cut_at=limit if any(part.at_limit and _has_no_text(choice) for choice, part in pairs) else None,
    )


def _decode(data: bytes, endpoint: Endpoint) -> dict[str, Any]:
    """Decode a body that is no web page."""
    try:
        return decode_body(data)
    except ValueError:
        text = decode_text(data)
    if not text.strip():
        raise TransientError(f"{endpoint.address}: the reply is empty")
    if text.lstrip()[:1] == "<":
        raise BackendError(
            f"{endpoint.address} answered with a web page, not with JSON: got {endpoint.quote(text)}; "
            "check --base-url (it usually ends in /v1)"
        )
    raise _unusable(endpoint, "is no JSON object", text)


def _parse_choices(body: Mapping[str, Any], request: Request, endpoint: Endpoint) -> list[ParsedChoice]:
    """Parse the choices of a completion, in the order of their indices."""
    choices = body.get("choices")
    if not isinstance(choices, list):
        raise _unusable(endpoint, "has no list of choices", body)
    if not choices:
        raise _unusable(endpoint, f"has empty choices{_block_reason(body, endpoint)}", body)
    parsed = [_parse_choice(choice, request) for choice in _in_order(choices)]
    if all(choice.content is None and choice.error is None and choice.end != "filtered" for choice in parsed):
        raise _unusable(endpoint, "has a choice without a message", choices[0])
    return parsed


def _in_order(choices: Sequence[Any]) -> list[Any]:
    """Sort choices by their index, if each has one."""
    indices = [choice.get("index") if isinstance(choice, dict) else None for choice in choices]
    if not all(type(index) is int for index in indices):
        return list(choices)
    return sorted(choices, key=lambda choice: int(choice["index"]))


def _parse_choice(choice: Any, request: Request) -> ParsedChoice:
    """Parse one choice, whatever it is."""
    choice = choice if isinstance(choice, dict) else {}
    message = choice.get("message", choice.get("delta"))
    if not isinstance(message, dict) and isinstance(choice.get("text"), str):
        message = {"content": choice["text"]}  # completions without a chat
    content = read_message(message) if isinstance(message, dict) else None
    finish = choice.get("finish_reason")
    end = classify_end(finish)
    error = find_error({"error": choice.get("error")}) or error_in_text(content.text if content else "")
    if error is None and end == "failed":
        status = failure_status(finish)
        error = {"message": f"the reply ended with finish_reason {_word(finish)}", "code": status}
    logprobs = _first_logprobs(choice.get("logprobs")) if request.top_logprobs else None
    return ParsedChoice(content, finish, end, logprobs, error)


def _to_candidate(choice: ParsedChoice, endpoint: Endpoint, cut_at: int | None) -> Candidate:
    """Build the candidate of a choice; `cut_at`: limit on its tokens at which it ended, None: it did not end there."""
    content, problem = choice.content, None
    if content is not None and any(map(endpoint.holds_secret, (content.text, *(choice.logprobs or ())))):
        return Candidate("", "stop", problem=HOLDS_SECRET)
    if choice.error is not None:
        problem = f"failed ({error_status(choice.error)}): {endpoint.quote(choice.error['message'], limit=160)}"
    elif choice.end == "filtered":
        problem = f"the content filter stopped the reply (finish_reason {_word(choice.finish)})"
    elif content is None:
        problem = "the reply has a choice without a message"
    elif content.refusal:
        problem = f"the model refused: {endpoint.quote(content.refusal)}"
    elif choice.end == "malformed":
        problem = f"the reply is malformed (finish_reason {_word(choice.finish)})"
    elif not content.text:
        hint = f"; max_tokens {cut_at} may be too small" if cut_at else ""
        hint = "; the model called a tool" if content.calls_tool else hint
        problem = f"the reply has no content (finish_reason {_word(choice.finish)}){hint}"
    if problem is not None or content is None:
        return Candidate("", "stop", problem=f"{endpoint.address}: {problem}")
    return Candidate(
        text=content.text,
        finish="stop" if choice.end == "natural" else "length",
        first_logprobs=choice.logprobs,
    )


def _has_no_text(choice: ParsedChoice) -> bool:
    """Return whether a choice holds nothing but thoughts."""
    text = choice.content.text if choice.content else ""
    return not text.strip() or without_thoughts(text) is None


def _word(finish: Any) -> str:
    """Return a finish_reason as part of a line, at most `MAX_WORD_CHARS` characters."""
    return "".join(filter(str.isprintable, str(finish)))[:MAX_WORD_CHARS]


def _block_reason(body: Mapping[str, Any], endpoint: Endpoint) -> str:
    """Name the filter that stopped a prompt, as Gemini does in a reply without choices."""
    feedback = body.get("prompt_feedback", body.get("promptFeedback"))
    values = feedback.values() if isinstance(feedback, dict) else ()
    reasons = [value for value in values if isinstance(value, str)]
    return f": the prompt was blocked, {endpoint.quote(reasons[0])}" if reasons else ""


def _first_logprobs(logprobs: Any) -> dict[str, float] | None:
    """Parse the log probabilities of the first token's alternatives; None: absent or malformed."""
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    first = content[0] if isinstance(content, list) and content else None
    top = first.get("top_logprobs") if isinstance(first, dict) else None
    alternatives = {
        entry["token"]: float(entry["logprob"])
        for entry in (top if isinstance(top, list) else [])
        if isinstance(entry, dict)
        and isinstance(entry.get("token"), str)
        and type(entry.get("logprob")) in (int, float)
    }
    return alternatives or None


def _answering_model(body: Mapping[str, Any], endpoint: Endpoint) -> str | None:
    """Return the model that answered, with its fingerprint; None: the requested one, without a fingerprint."""
    model, fingerprint = body.get("model"), body.get("system_fingerprint")
    name = model if isinstance(model, str) and model else endpoint.model
    mark = f" ({fingerprint})" if isinstance(fingerprint, str) and fingerprint else ""
    if name == endpoint.model and not mark:
        return None
    return "".join(filter(str.isprintable, endpoint.redact(f"{name}{mark}")))[:MAX_NAME_CHARS]


def _unusable(endpoint: Endpoint, defect: str, answer: Any) -> RequestError:
    text = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
    return RequestError(
        f"{endpoint.address}: the reply {defect}: got {endpoint.quote(text)}, expected a chat completion; "
        "check that --base-url points to an OpenAI-compatible server"
    )


def merge_replies(replies: Sequence[Reply], max_candidates: int) -> Reply:
    """Merge the candidates of several calls, at most `max_candidates`, and sum their tokens.

    The merged reply has a problem only if no call returned a usable candidate.
    """
    candidates = tuple(candidate for reply in replies for candidate in reply.candidates)[:max_candidates]
    return Reply(
        candidates=candidates,
        prompt_tokens=sum(reply.prompt_tokens for reply in replies),
        completion_tokens=sum(reply.completion_tokens for reply in replies),
        problem=None if candidates else next((reply.problem for reply in replies if reply.problem), None),
        estimated=any(reply.estimated for reply in replies),
        answered_by=next((reply.answered_by for reply in replies if reply.answered_by), None),
        left_out=tuple(dict.fromkeys(part for reply in replies for part in reply.left_out)),
        thought_tokens=sum(reply.thought_tokens for reply in replies),
        cut_at=max((reply.cut_at for reply in replies if reply.cut_at), default=None),
    )
