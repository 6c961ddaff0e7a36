"""The `openai` backend: any server that speaks OpenAI's chat completions, the hosted one or a local one.

Servers differ in what they take. What one of them refuses in clear words is learnt once and not sent again.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

import openai

from personagen.builder.errors import BackendError, RequestError
from personagen.builder.llm import Candidate, Reply, Request, with_schema

HOSTED = "https://api.openai.com/v1"

PATIENCE = 600.0
"""Seconds that one call may take before it is tried again: a slow machine needs minutes for a long text."""

# How to ask for JSON, from the strictest way to the one that every server takes.
_FORMATS = ("json_schema", "json_object", "prompt")

# No connection was made, so no request can succeed; any other failure may concern one request only.
# By name, because the HTTP library is a dependency of `openai` and not ours.
_UNREACHABLE = {"ConnectError", "ConnectTimeout", "ProxyError", "UnsupportedProtocol"}


class OpenAIBackend:
    """Answers requests over HTTP; built by `connect_openai`.

    Attributes:
        name: "openai".
        model: the model as the server names it.
        revision: None, because a server does not tell which weights it runs.
        licence: None, for the same reason.

    """

    def __init__(self, client: openai.AsyncOpenAI, *, model: str, secret: str | None, concurrency: int) -> None:
        """Take a ready client; `secret` is the key to keep out of messages, `concurrency` what may be in flight."""
        self.name = "openai"
        self.model = model
        self.revision: str | None = None
        self.licence: str | None = None
        self._client = client
        self._secret = secret
        self.concurrency = concurrency
        self._format = _FORMATS[0]
        self._limit_name = "max_tokens"
        self._takes_n = True

    async def complete(self, request: Request) -> Reply:
        """Answer one request; where the server gives fewer candidates than asked, the rest are asked one by one.

        Sampling parameters that are None are not sent, so the server's own defaults hold. Candidate i of a server
        that ignores `n` is drawn with seed + i. `mean_logprob` is None.

        Raises:
            RequestError: the request was refused, timed out, or its reply is unusable; also for a prefill, since a
                chat completion cannot portably continue an assistant's turn.
            BackendError: the server cannot be reached, refuses the key, lacks the model, or is no such server.

        """
        if request.prefill:
            raise RequestError(
                "backend openai: a prefill was asked for, but chat completions cannot continue an assistant's turn; "
                "put the text into the prompt or use another backend"
            )
        replies = [await self._ask(request, seed=request.seed, count=request.candidates)]
        while (have := sum(len(reply.candidates) for reply in replies)) < request.candidates:
            replies.append(await self._ask(request, seed=(request.seed + have) % 2**31, count=1))
        return Reply(
            candidates=tuple(each for reply in replies for each in reply.candidates)[: request.candidates],
            prompt_tokens=sum(reply.prompt_tokens for reply in replies),
            completion_tokens=sum(reply.completion_tokens for reply in replies),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _ask(self, request: Request, *, seed: int, count: int) -> Reply:
        """Send one call, again after every refusal that teaches what this server does not take."""
        while True:
            body = self._body(request, seed=seed, count=count)
            try:
                raw = await self._client.chat.completions.with_raw_response.create(**body)
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                # Each lesson leaves fewer things to refuse, so this ends.
                if not self._learn(error, body):
                    raise self._error_of(error) from None
            except openai.APIError as error:
                # The original holds the server's body, which may echo the key: it must not be in the traceback.
                raise self._error_of(error) from None
            else:
                return self._read(raw.http_response.text, request)

    def _body(self, request: Request, *, seed: int, count: int) -> dict[str, Any]:
        sampling = request.sampling
        in_prompt = request.schema is not None and self._format != "json_schema"
        messages = with_schema(request.messages, request.schema or {}) if in_prompt else request.messages
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": message.role, "content": message.content} for message in messages],
            "seed": seed,
            self._limit_name: sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "stop": list(request.stop) or None,
            "n": count if count > 1 and self._takes_n else None,
            "response_format": self._response_format(request.schema),
        }
        extra = {"min_p": sampling.min_p, "repetition_penalty": sampling.repetition_penalty}
        body["extra_body"] = {name: value for name, value in extra.items() if value is not None} or None
        return {name: value for name, value in body.items() if value is not None}

    def _response_format(self, schema: Mapping[str, Any] | None) -> dict[str, Any] | None:
        if schema is None or self._format == "prompt":
            return None
        if self._format == "json_object":
            return {"type": "json_object"}
        return {"type": "json_schema", "json_schema": {"name": "reply", "strict": True, "schema": schema}}

    def _learn(self, error: openai.APIStatusError, body: Mapping[str, Any]) -> bool:
        """Note what a 400 or 422 says the server does not take; False if it says nothing of the kind."""
        text = f"{error.param} {_message_of(error)}".lower()
        sent = body.get("response_format")
        if sent and re.search(r"response_format|json_schema|json_object", text):
            # Calls in flight at the same time get the same 400, and only the first of them moves on.
            if sent["type"] == self._format:
                self._format = _FORMATS[_FORMATS.index(self._format) + 1]
            return True
        if "max_tokens" in body and "max_completion_tokens" in text:
            self._limit_name = "max_completion_tokens"
            return True
        if "n" in body and (error.param == "n" or re.search(r"['\"`]n['\"`]", text)):
            self._takes_n = False
            return True
        return False

    def _read(self, text: str, request: Request) -> Reply:
        """Read the body of a reply; the SDK would let a web page or any other JSON pass."""
        if text.lstrip()[:1] == "<":
            raise BackendError(
                f"{self._where()} answered with a web page, not with JSON: got {self._quote(text)}; "
                "check --base-url (it usually ends in /v1)"
            )
        try:
            reply = json.loads(text)
        except ValueError:
            raise self._unusable("is no JSON", text) from None
        choices = reply.get("choices") if isinstance(reply, dict) else None
        if not isinstance(choices, list):
            raise self._unusable("has no list of choices", text)
        if not choices:
            raise self._unusable("has empty choices", text)
        usage = reply.get("usage")
        counts = usage if isinstance(usage, dict) else {}
        return Reply(
            candidates=tuple(self._candidate(choice, request) for choice in choices),
            prompt_tokens=_count(counts.get("prompt_tokens")),
            completion_tokens=_count(counts.get("completion_tokens")),
        )

    def _candidate(self, choice: Any, request: Request) -> Candidate:
        message = choice.get("message") if isinstance(choice, dict) else None
        if not isinstance(message, dict):
            raise self._unusable("has a choice without a message", json.dumps(choice))
        finish, content = choice.get("finish_reason"), message.get("content")
        if finish == "content_filter":
            raise RequestError(f"{self._where()}: the content filter stopped the reply (finish_reason content_filter)")
        if message.get("refusal"):
            raise RequestError(f"{self._where()}: the model refused: {self._quote(str(message['refusal']))}")
        if not isinstance(content, str) or not content:
            hint = f"; max_tokens {request.sampling.max_tokens} may be too small" if finish == "length" else ""
            raise RequestError(f"{self._where()}: the reply has no content (finish_reason {finish}){hint}")
        # Names for a natural end differ between servers ("stop", "eos", none at all); only a cut matters.
        return Candidate(text=content, finish="length" if finish == "length" else "stop")

    def _unusable(self, what: str, text: str) -> RequestError:
        return RequestError(
            f"{self._where()}: the reply {what}: got {self._quote(text)}, expected a chat completion; "
            "check that --base-url points to an OpenAI-compatible server"
        )

    def _error_of(self, error: openai.APIError) -> BackendError | RequestError:
        """Translate what the client raised after its own retries, without the key."""
        where = self._where()
        if isinstance(error, openai.APIStatusError):
            return self._status_error(error)
        cause = error.__cause__
        reason = self._quote(f"{type(cause).__name__}: {cause}" if cause else str(error), limit=160)
        if type(cause).__name__ in _UNREACHABLE:
            return BackendError(f"cannot reach {where}: {reason}; check --base-url and that the server runs")
        if isinstance(error, openai.APITimeoutError):
            return RequestError(f"{where}: no reply within {PATIENCE:g} s, also after retries")
        return RequestError(f"{where}: the connection broke after retries: {reason}")

    def _status_error(self, error: openai.APIStatusError) -> BackendError | RequestError:
        where, status = self._where(), error.status_code
        said = self._quote(_message_of(error), limit=160)
        if error.code == "insufficient_quota":
            # A 429 that no waiting cures.
            status = 402
        for_all = {
            # What the server says to a 401 is left out: it usually repeats a part of the key.
            401: "refused the key (401); check the environment variable OPENAI_API_KEY",
            402: f"has no credit left for this key (402): {said}; top up the account or use another key",
            403: f"denied access (403): {said}; check what the key in OPENAI_API_KEY may do",
            404: f"has no model {self.model!r} (404): {said}; check --model and --base-url",
        }
        if status in for_all:
            return BackendError(f"{where} {for_all[status]}")
        if status == 429:
            return RequestError(f"{where} still limits the rate (429) after retries: {said}; lower --concurrency")
        if status >= 500:
            return RequestError(f"{where} failed (server error {status}), also after retries: {said}")
        return RequestError(f"{where} refused the request ({status}): {said}")

    def _where(self) -> str:
        # A user and password in the URL are secrets as well.
        return re.sub(r"//[^/@]*@", "//", str(self._client.base_url)).rstrip("/")

    def _quote(self, text: str, *, limit: int = 80) -> str:
        """Quote foreign text on one line, at most `limit` characters, control characters escaped, without the key."""
        if self._secret:
            # Before the cut, which might leave a part of the key.
            text = text.replace(self._secret, "***")
        return repr(text[:limit] + ("..." if len(text) > limit else ""))


def connect_openai(*, model: str, base_url: str | None, api_key: str | None, concurrency: int) -> OpenAIBackend:
    """Make a backend for one model of one server; nothing is sent yet.

    Args:
        model: the model as the server names it.
        base_url: where "/chat/completions" hangs, say "http://127.0.0.1:8000/v1"; None means OpenAI's own server.
        api_key: value of OPENAI_API_KEY; None is fine where `base_url` is given, since local servers need no key.
        concurrency: requests that a run may keep in flight.

    Raises:
        BackendError: no key for OpenAI's server, a key with impossible characters, or a base URL that is none.

    """
    key = (api_key or "").strip()
    if not key and base_url is None:
        raise BackendError(
            "backend openai: no API key; set the environment variable OPENAI_API_KEY, or name a server of your own "
            "with --base-url"
        )
    if not (key.isascii() and key.isprintable()):
        raise BackendError("backend openai: OPENAI_API_KEY holds characters that no key can have; set it again")
    if base_url is not None and not re.match(r"https?://[^/]", base_url):
        raise BackendError(
            f"backend openai: --base-url {base_url!r} is no URL; expected something like http://127.0.0.1:8000/v1"
        )
    # The base URL is always given, lest OPENAI_BASE_URL send the prompts elsewhere than the recipe says.
    patience = openai.Timeout(PATIENCE, connect=10.0)
    client = openai.AsyncOpenAI(api_key=key or "none", base_url=base_url or HOSTED, timeout=patience)
    return OpenAIBackend(client, model=model, secret=key or None, concurrency=concurrency)


def _message_of(error: openai.APIStatusError) -> str:
    """Find what the server said: the usual message field, else the whole body."""
    message = error.body.get("message") if isinstance(error.body, dict) else None
    return message if isinstance(message, str) else error.response.text


def _count(value: Any) -> int:
    """Take a token count as it is, and anything that cannot be one for 0."""
    return value if type(value) is int and 0 <= value < 2**31 else 0
