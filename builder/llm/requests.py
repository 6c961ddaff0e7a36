"""Requests to a language model, its replies, and the `Backend` protocol between them."""

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from personagen.builder.core.records import as_mapping
from personagen.builder.llm.thoughts import without_thoughts


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat; `role` is "system", "user" or "assistant"."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """Decoding parameters; None: the backend's own default.

    Attributes:
        max_tokens: upper bound on the length of one candidate, in tokens.
        temperature: 0: greedy decoding.
        top_p: nucleus mass in (0, 1].
        min_p: least probability relative to the best token, in [0, 1). Not part of the OpenAI API: sent only if set.
        repetition_penalty: above 1 makes repeats less likely. Not part of the OpenAI API: sent only if set.

    """

    max_tokens: int
    temperature: float | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One complete call of the model; equal requests to one model may share one reply.

    Attributes:
        messages: the chat so far.
        sampling: decoding parameters.
        seed: seed of the draw, 0 <= seed < 2**31.
        prefill: beginning of the assistant's turn; the model continues it, and the reply omits it.
        stop: strings that end a candidate; the reply omits them.
        candidates: number of independent continuations.
        schema: JSON schema that the reply must satisfy; None: plain text.
        top_logprobs: number of alternatives to the first token to return with their log probabilities; backends
            without log probabilities ignore it.

    """

    messages: tuple[Message, ...]
    sampling: Sampling
    seed: int
    prefill: str = ""
    stop: tuple[str, ...] = ()
    candidates: int = 1
    schema: Mapping[str, Any] | None = None
    top_logprobs: int = 0


ONLY_THOUGHT = "the reply is a thought without an end"
"""Problem of a candidate that holds nothing but the thoughts of a reasoning model."""

HOLDS_SECRET = "the reply repeats a key or password of this process, and was discarded"  # noqa: S105
"""Problem of a candidate whose text was discarded because it holds a secret."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One continuation.

    Attributes:
        text: the generated text, without prefill and stop string.
        finish: "stop" (ended by the model or a stop string) or "length" (cut at max_tokens, or ended in an unknown
            way).
        mean_logprob: mean natural-log probability of its tokens; None: unknown to the backend.
        first_logprobs: natural-log probabilities of up to `Request.top_logprobs` first tokens; None: not requested, or
            unknown to the backend.
        problem: why the candidate holds no text of the model (e.g. a content filter); None: it holds one.

    """

    text: str
    finish: str
    mean_logprob: float | None = None
    first_logprobs: Mapping[str, float] | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """Reply to one request; tokens are counted over all candidates.

    Attributes:
        candidates: the continuations; empty if `problem` is set.
        prompt_tokens: tokens that the model read.
        completion_tokens: tokens that the model wrote.
        problem: why a reply that was paid for is unusable (e.g. a content filter); None: it is usable.
        estimated: whether the token counts are upper bounds, because the server stated none or impossible ones.
        answered_by: model that the server names, with its fingerprint if it names one; None: it names the requested
            model, or none.
        left_out: parts of the request that the server refuses, and that were left out or rewritten.
        thought_tokens: completion tokens that were thoughts; 0: none, or not stated.
        cut_at: limit on completion tokens at which a reply without content was cut; None: it was not cut there.
        model: model that was asked, in a run of several; None: not recorded.
        failed: whether no reply came at all: the request was refused, or failed again and again; `problem` says how.

    """

    candidates: tuple[Candidate, ...]
    prompt_tokens: int
    completion_tokens: int
    problem: str | None = None
    estimated: bool = False
    answered_by: str | None = None
    left_out: tuple[str, ...] = ()
    thought_tokens: int = 0
    cut_at: int | None = None
    model: str | None = None
    failed: bool = False


def readable(reply: Reply) -> Reply:
    """Return a reply without the thoughts that the model wrote before its text; the journal keeps them."""
    candidates = tuple(map(_readable_candidate, reply.candidates))
    return reply if candidates == reply.candidates else replace(reply, candidates=candidates)


def _readable_candidate(candidate: Candidate) -> Candidate:
    if candidate.problem is not None:
        return candidate
    text = without_thoughts(candidate.text)
    if text == candidate.text:
        return candidate
    return replace(candidate, problem=ONLY_THOUGHT) if text is None else replace(candidate, text=text)


def has_text(reply: Reply) -> bool:
    """Return whether a candidate of a reply holds more than thoughts."""
    return any(_readable_candidate(candidate).problem is None for candidate in reply.candidates)


def with_tokens_of(reply: Reply, earlier: Reply) -> Reply:
    """Add the tokens of an earlier reply to the same request, which was paid for too."""
    return replace(
        reply,
        prompt_tokens=reply.prompt_tokens + earlier.prompt_tokens,
        completion_tokens=reply.completion_tokens + earlier.completion_tokens,
        estimated=reply.estimated or earlier.estimated,
    )


Ask = Callable[[Request], Awaitable[Reply]]
"""Answers one request; callers need not know of journal, limits and retries."""


class Backend(Protocol):
    """A language model that answers requests.

    Attributes:
        name: "embedded", "openai", "batch" or "transformers".
        model: the model as its publisher names it.
        revision: commit, digest or file hash that pins the weights; None: unknown.
        licence: SPDX id or name of the licence of the weights; None: unknown.
        concurrency: upper bound on requests in flight.
        paid: whether replies may cost money, so that few are requested before the first usable one.
        adaptive: True: find the best number of requests in flight below `concurrency`, as for a shared server;
            False: use `concurrency` as it is.
        variant: settings of every request that change replies, as plain data; empty: none is set.

    """

    name: str
    model: str
    revision: str | None
    licence: str | None
    concurrency: int
    paid: bool
    adaptive: bool
    variant: Mapping[str, Any]

    def token_limit(self, request: Request, cut_at: int | None = None) -> int:
        """Return the upper bound on the completion tokens of one candidate, thoughts included, if it is sent now.

        `cut_at`: limit at which an earlier reply to the request was cut before its content; None: none was.
        """
        ...

    async def complete(self, request: Request) -> Reply:
        """Answer one request; may be called concurrently.

        Raises:
            RequestError: this request was refused or its reply is unusable; another may succeed.
            TransientError: this request failed for now; the same one may succeed later.
            BackendError: no request can succeed (unreachable, unauthorised, unknown model).

        """
        ...

    def stop(self) -> None:
        """Send no further call and cancel those that wait within the backend; calls under way go on."""
        ...

    async def close(self) -> None:
        """Free the model or close the connections; the backend is not used afterwards."""
        ...


_IDENTITY_ENCODER = json.JSONEncoder(sort_keys=True, ensure_ascii=False, default=as_mapping)


def request_key(backend: Backend, request: Request) -> str:
    """Compute the journal key: a hash of backend, model, revision, variant and the whole request (64 hex digits)."""
    fields = dict(as_mapping(request))
    if not request.top_logprobs:
        del fields["top_logprobs"]  # keeps the keys of journals that are older than this field
    identity: list[Any] = [backend.name, backend.model, backend.revision, fields]
    if backend.variant:  # left out if empty, for the same reason
        identity.append(dict(backend.variant))
    text = _IDENTITY_ENCODER.encode(identity)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def with_schema(messages: tuple[Message, ...], schema: Mapping[str, Any]) -> tuple[Message, ...]:
    """Add the JSON schema to the system turn, for models without constrained decoding; the turn is added if missing."""
    instruction = f"Answer with JSON that satisfies this JSON schema, and with nothing else:\n{json.dumps(schema)}"
    if messages and messages[0].role == "system":
        return (Message("system", f"{messages[0].content}\n\n{instruction}"), *messages[1:])
    return (Message("system", instruction), *messages)
