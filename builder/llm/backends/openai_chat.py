"""The `openai` backend: any server with OpenAI's chat completions, hosted or local.

aiohttp carries the calls: the `openai` client takes four to ten times the processor time per call, which limits servers
that answer fifty at once, plus 30 MB and 0.5 s to import (docs/log.md). The batch backend, with few calls, uses that
client. This module never retries: a failure that may pass is a TransientError, and the dispatcher schedules the retry.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Unpack
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

from personagen.builder.core.errors import RequestError, TransientError
from personagen.builder.core.retry_after import retry_after
from personagen.builder.llm.backends.openai_settings import ServerOptions, make_endpoint
from personagen.builder.llm.chat_protocol.endpoint import Endpoint
from personagen.builder.llm.chat_protocol.learning import adapt_dialect
from personagen.builder.llm.chat_protocol.replies import merge_replies, parse_reply
from personagen.builder.llm.chat_protocol.request_body import (
    Dialect,
    missing_candidates,
    request_body,
    require_no_prefill,
)
from personagen.builder.llm.chat_protocol.schema_repair import repair_request, schema_violation
from personagen.builder.llm.chat_protocol.statuses import OVERLOAD_STATUSES, status_error
from personagen.builder.llm.requests import Reply, Request

MAX_REPLY_BYTES = 8 * 1024 * 1024
"""Upper bound on the bytes of a reply; no requested text is that long."""


@dataclass(frozen=True, slots=True)
class ChatTimeouts:
    """Timeouts of one call, in seconds.

    Attributes:
        total_s: timeout of the whole call; a slow machine needs minutes for a long text.
        connect_s: timeout of the connection.

    """

    total_s: float = 600.0
    connect_s: float = 4.0


class OpenAIBackend:
    """Answers requests over HTTP; built by `connect_openai`.

    Attributes:
        name: "openai".
        model: the model as the server names it.
        revision: None: servers do not state the revision of the weights.
        licence: None, for the same reason.
        concurrency: upper bound on calls in flight.
        adaptive: True: the number of calls that the server can answer at once is found.
        variant: parts of every request body that the recipe sets.

    """

    name = "openai"
    revision: str | None = None
    licence: str | None = None
    adaptive = True

    def __init__(self, *, endpoint: Endpoint, concurrency: int, timeouts: ChatTimeouts | None = None) -> None:
        """Use an endpoint; see `connect_openai`."""
        self.model = endpoint.model
        self.variant: Mapping[str, Any] = endpoint.body
        self.concurrency = concurrency
        self._endpoint = endpoint
        self._timeouts = timeouts or ChatTimeouts()
        self._session: aiohttp.ClientSession | None = None
        self._dialect = Dialect()

    async def complete(self, request: Request) -> Reply:
        """Answer one request; candidates that the server leaves out are requested one by one.

        Sampling parameters that are None are not sent, so the server's own defaults apply. Candidate i of a server
        that ignores `n` is drawn with seed + i. `mean_logprob` is None. If the server cannot enforce a schema, a reply
        that violates it is sent back once with a description of the violation.

        Raises:
            RequestError: the request was refused or the reply is no chat completion; also for a prefill, since chat
                completions cannot portably continue an assistant's turn.
            TransientError: the server is overloaded, failed, broke off, or cannot be reached for now.
            BackendError: the server refuses the key, lacks the model, or is no such server.

        """
        require_no_prefill(request, self.name)
        reply = await self._call(request)
        if request.schema is not None and self._dialect.format != "json_schema":
            reply = await self._repaired(request, reply)
        further = [await self._call(single) for single in missing_candidates(request, reply)]
        return merge_replies([reply, *further], request.candidates)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _repaired(self, request: Request, reply: Reply) -> Reply:
        """Let the model correct a reply that violates the schema, once; the tokens of both calls count."""
        if reply.problem is not None or reply.candidates[0].problem is not None:
            return reply
        first = reply.candidates[0]
        violation = schema_violation(first.text, request.schema or {})
        if violation is None or first.finish == "length":
            return reply
        try:
            corrected = await self._call(repair_request(request, first.text, violation))
        except RequestError:
            return reply  # it was paid for, and the checks report its defects
        merged = merge_replies([reply, corrected], len(reply.candidates) + 1)
        return replace(merged, candidates=((corrected.candidates or reply.candidates)[0], *reply.candidates[1:]))

    async def _call(self, request: Request) -> Reply:
        """Send one call, and resend it after each refusal of a parameter that can be left out."""
        while True:
            body = request_body(request, self.model, self._dialect)
            status, data, wait = await self._post(body)
            if status == 200:
                return parse_reply(data, request, self._endpoint, limit=request.sampling.max_tokens)
            text = data.decode("utf-8", "replace")
            adapted = adapt_dialect(self._dialect, body, text) if status in (400, 422) else None
            if adapted is None:
                raise status_error(status, text, self._endpoint, wait=wait)
            self._dialect = adapted

    async def _post(self, body: dict[str, Any]) -> tuple[int, bytes, float | None]:
        """Send a body; return status, body of the answer, and the seconds that the server asks to wait."""
        address = self._endpoint.address
        data = json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")
        try:
            async with self._open_session().post(self._endpoint.chat_url, data=data) as response:
                answer = await self._read(response)
                text = answer.decode("utf-8", "replace") if response.status in OVERLOAD_STATUSES else ""
                return response.status, answer, retry_after(response.headers, text)
        except (
            aiohttp.ClientConnectorError,
            aiohttp.ClientProxyConnectionError,
            aiohttp.ConnectionTimeoutError,
        ) as error:
            reason = self._endpoint.quote(_describe(error), limit=160)
            raise TransientError(
                f"cannot reach {address}: {reason}; check --base-url and that the server runs", unreachable=True
            ) from None
        except TimeoutError:
            raise TransientError(f"{address}: no reply within {self._timeouts.total_s:g} s", overload=True) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # Without the original, whose headers may show the key in a traceback.
            raise TransientError(
                f"{address}: the connection broke: {self._endpoint.quote(_describe(error), limit=160)}"
            ) from None

    def _open_session(self) -> aiohttp.ClientSession:
        """Return the session; opened at the first call, in the event loop of the run."""
        if self._session is None:
            timeouts = aiohttp.ClientTimeout(
                total=self._timeouts.total_s, connect=None, sock_connect=self._timeouts.connect_s
            )
            # No limit here: admission control bounds the calls in flight.
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30)
            # Not trust_env, which rereads the environment and ~/.netrc per call.
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=timeouts,
                headers={**self._endpoint.headers, "Content-Type": "application/json", "Accept": "application/json"},
                proxy=_proxy(self._endpoint.address),
            )
        return self._session

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        chunks, size = [], 0
        async for chunk in response.content.iter_any():
            chunks.append(chunk)
            size += len(chunk)
            if size > MAX_REPLY_BYTES:
                response.close()
                raise RequestError(
                    f"{self._endpoint.address}: the reply is larger than {MAX_REPLY_BYTES // 2**20} MB, expected a "
                    "chat completion; check that --base-url points to an OpenAI-compatible server"
                )
        return b"".join(chunks)


def connect_openai(
    *,
    model: str,
    base_url: str | None,
    api_key: str | None,
    concurrency: int,
    timeouts: ChatTimeouts | None = None,
    **options: Unpack[ServerOptions],
) -> OpenAIBackend:
    """Build a backend for one model of one server, without sending anything.

    Args:
        model: the model as the server names it.
        base_url: see `make_endpoint`.
        api_key: value of OPENAI_API_KEY; see `make_endpoint`.
        concurrency: upper bound on calls in flight.
        timeouts: timeouts of a call; None: the defaults.
        options: further settings of the server.

    Raises:
        BackendError: see `make_endpoint`.

    """
    endpoint = make_endpoint(model, base_url, api_key, options)
    timeouts = timeouts or ChatTimeouts()
    if (timeout_s := options.get("timeout")) is not None:
        timeouts = replace(timeouts, total_s=timeout_s)
    return OpenAIBackend(endpoint=endpoint, concurrency=concurrency, timeouts=timeouts)


def _proxy(url: str) -> str | None:
    """Return the proxy that the environment names for a URL; None: no proxy."""
    parts = urlsplit(url)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
