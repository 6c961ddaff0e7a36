"""The seam to the language model: what is asked, what comes back, and who can answer."""

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from personagen.builder.core.records import as_mapping


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat; `role` is "system", "user" or "assistant"."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn. None leaves the choice to the backend's own default.

    Attributes:
        max_tokens: upper bound on the length of one candidate, in tokens.
        temperature: 0 means greedy.
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
    """One call of the model, complete: equal requests to one model may share one reply.

    Attributes:
        messages: the chat so far.
        sampling: decoding parameters.
        seed: seed of the draw, 0 <= seed < 2**31.
        prefill: text with which the assistant's turn begins; the model continues it and replies without it.
        stop: strings that end a candidate; they are not part of it.
        candidates: how many independent continuations to return.
        schema: JSON schema that the reply must satisfy; None asks for plain text.
        top_logprobs: how many tokens that might have come first are to be told with their log probabilities; a backend
            that cannot tell gives none.

    """

    messages: tuple[Message, ...]
    sampling: Sampling
    seed: int
    prefill: str = ""
    stop: tuple[str, ...] = ()
    candidates: int = 1
    schema: Mapping[str, Any] | None = None
    top_logprobs: int = 0


@dataclass(frozen=True, slots=True)
class Candidate:
    """One continuation.

    Attributes:
        text: what the model wrote, without prefill and stop string.
        finish: "stop" (the model or a stop string ended it) or "length" (cut at max_tokens).
        mean_logprob: mean natural-log probability of its tokens; None where the backend does not tell.
        first_logprobs: natural-log probabilities of tokens that might have come first, as many as were asked for; None
            where none were, or the backend does not tell.

    """

    text: str
    finish: str
    mean_logprob: float | None = None
    first_logprobs: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back for one request; tokens are counted over all candidates.

    Attributes:
        candidates: what the model wrote; empty where nothing of it can be used.
        prompt_tokens: tokens that were read.
        completion_tokens: tokens that were written.
        problem: why nothing can be used although it was paid for (a content filter, say); else None.

    """

    candidates: tuple[Candidate, ...]
    prompt_tokens: int
    completion_tokens: int
    problem: str | None = None


Ask = Callable[[Request], Awaitable[Reply]]
"""How the stages reach the model: they know of no journal, no limits and no schedule."""


class Backend(Protocol):
    """Anything that answers requests.

    Attributes:
        name: "embedded", "openai", "batch" or "transformers".
        model: the model as its publisher names it.
        revision: commit, digest or file hash that pins the weights; None where it cannot be known.
        licence: SPDX id or name of the licence of the weights; None where it cannot be known.
        concurrency: requests in flight at most.
        adaptive: True where the number that suits is to be found below that, as for a server that others use too;
            False where `concurrency` holds as it is.

    """

    name: str
    model: str
    revision: str | None
    licence: str | None
    concurrency: int
    adaptive: bool

    async def complete(self, request: Request) -> Reply:
        """Answer one request; may be called concurrently.

        Raises:
            RequestError: this request was refused or its reply is unusable; another may succeed.
            TransientError: this request failed for now; the same one may succeed later.
            BackendError: no request can succeed (unreachable, unauthorised, unknown model).

        """
        ...

    async def close(self) -> None:
        """Free the model or the connections; the backend is not used again."""
        ...


def request_key(backend: Backend, request: Request) -> str:
    """Hash everything that the reply depends on: backend, model, revision and the whole request (64 hex digits)."""
    asked = dict(as_mapping(request))
    if not request.top_logprobs:
        del asked["top_logprobs"]  # journals are older than this field
    identity = [backend.name, backend.model, backend.revision, asked]
    text = json.dumps(identity, sort_keys=True, ensure_ascii=False, default=as_mapping)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def with_schema(messages: tuple[Message, ...], schema: Mapping[str, Any]) -> tuple[Message, ...]:
    """Ask for JSON in the system turn, which is made if there is none: for models that no grammar can bind."""
    wish = f"Answer with JSON that satisfies this JSON schema, and with nothing else:\n{json.dumps(schema)}"
    if messages and messages[0].role == "system":
        return (Message("system", f"{messages[0].content}\n\n{wish}"), *messages[1:])
    return (Message("system", wish), *messages)


def parse_json(text: str) -> Any:
    """Parse the JSON object in a reply; some models wrap it in a code fence or in talk.

    Raises:
        ValueError: there is none.

    """
    start, end = text.find("{"), text.rfind("}")
    try:
        return json.loads(text[max(start, 0) : end + 1])
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
