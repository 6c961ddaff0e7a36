"""The `openai` backend: any server with OpenAI's chat completions, hosted or local.

aiohttp carries the calls: the `openai` client takes four to ten times the processor time per call, which limits servers
that answer fifty at once, plus 30 MB and 0.5 s to import (docs/log.md). The batch backend, with few calls, uses that
client. This module never retries: a failure that may pass is a TransientError, and the dispatcher schedules the retry.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Unpack
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

from personagen.builder.core.errors import BackendError, RequestError, TransientError
from personagen.builder.core.retry_after import retry_after
from personagen.builder.llm.backends.openai_settings import ServerOptions, make_endpoint, report_nothing
from personagen.builder.llm.chat_protocol.endpoint import Endpoint, redirect_target
from personagen.builder.llm.chat_protocol.learning import DialectLearner, shape_of
from personagen.builder.llm.chat_protocol.replies import merge_replies, parse_reply
from personagen.builder.llm.chat_protocol.request_body import (
    UNENFORCED_FORMAT,
    Dialect,
    levels_of,
    missing_candidates,
    request_body,
    require_no_prefill,
)
from personagen.builder.llm.chat_protocol.schema_repair import repair_request, schema_violation
from personagen.builder.llm.chat_protocol.statuses import OVERLOAD_STATUSES, status_error
from personagen.builder.llm.chat_protocol.token_room import TokenRoom
from personagen.builder.llm.requests import Reply, Request, has_text

MAX_REPLY_BYTES = 8 * 1024 * 1024
"""Upper bound on the bytes of a reply; no requested text is that long."""

MAX_REDIRECTS = 5
"""Redirects that are followed in a run; each is followed once for all later calls."""

MAX_LIMITS = 3
"""Other limits on completion tokens that a request is sent with after the server refused its own."""


@dataclass(frozen=True, slots=True)
class ChatTimeouts:
    """Timeouts of one call, in seconds.

    Attributes:
        total_s: timeout of the whole call; a slow machine needs minutes for a long text.
        connect_s: timeout of the connection.

    """

    total_s: float = 600.0
    connect_s: float = 4.0


@dataclass(frozen=True, slots=True)
class ServerAnswer:
    """Answer to one call.

    Attributes:
        url: URL of the call.
        status: HTTP status.
        data: body.
        wait: seconds that the server asks to wait; None: it does not ask.
        location: header Location; None: absent.

    """

    url: str
    status: int
    data: bytes
    wait: float | None = None
    location: str | None = None

    @property
    def text(self) -> str:
        """Body as text."""
        return self.data.decode("utf-8", "replace")

    @property
    def redirects(self) -> bool:
        """Whether the server redirects the call."""
        return self.status in (301, 302, 303, 307, 308)


class OpenAIBackend:
    """Answers requests over HTTP; built by `connect_openai`.

    Attributes:
        name: "openai".
        model: the model as the server names it.
        revision: None: servers do not state the revision of the weights.
        licence: None, for the same reason.
        concurrency: upper bound on calls in flight.
        paid: True.
        adaptive: True: the number of calls that the server can answer at once is found.
        variant: parts of every request body that the recipe sets.

    """

    name = "openai"
    revision: str | None = None
    licence: str | None = None
    paid = True
    adaptive = True

    def __init__(self, endpoint: Endpoint, options: ServerOptions, *, concurrency: int, timeouts: ChatTimeouts) -> None:
        """Use an endpoint; see `connect_openai`."""
        self.model = endpoint.model
        self.variant: Mapping[str, Any] = endpoint.body
        self.concurrency = concurrency
        self._endpoint = self._named_endpoint = endpoint
        self._alternatives = endpoint.alternatives
        self._timeouts = timeouts
        self._session: aiohttp.ClientSession | None = None
        self._learner = DialectLearner(endpoint, warn=options.get("warn", report_nothing))
        self._room = TokenRoom(options.get("thinking_tokens"))
        self._answered = False
        self._redirects = 0

    def token_limit(self, request: Request, cut_at: int | None = None) -> int:
        """Return the limit of the request, and the room for thoughts that replies have shown to be needed."""
        if cut_at is not None:
            self._room.record_cut(request, cut_at)
        return self._room.limit(request)

    async def complete(self, request: Request) -> Reply:
        """Answer one request; candidates that the server leaves out are requested one by one.

        Sampling parameters that are None are not sent, so the server's own defaults apply. Parts that the server
        refuses are left out, see `DialectLearner`. Candidate i of a server that ignores `n` is drawn with seed + i.
        `mean_logprob` is None. If the server cannot enforce a schema, a reply that violates it is sent back once with a
        description of the violation.

        Raises:
            RequestError: the request was refused or the reply is no chat completion; also for a prefill, since chat
                completions cannot portably continue an assistant's turn.
            TransientError: the server is overloaded, failed, broke off, or cannot be reached for now.
            BackendError: the server refuses the key, lacks the model, or is no such server.

        """
        require_no_prefill(request, self.name)
        reply = await self._call(request)
        if request.schema is not None:
            reply = await self._conforming(request, reply)
        missing = missing_candidates(request, reply)
        if not missing and len(reply.candidates) <= request.candidates:
            return reply
        further = [await self._call(single) for single in missing]
        return merge_replies([reply, *further], request.candidates)

    def stop(self) -> None:
        """Send no request that waits for another one to find out the dialect."""
        self._learner.stop()

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _conforming(self, request: Request, reply: Reply) -> Reply:
        """Let the model correct a reply that violates the schema, once; the tokens of both calls count.

        A server that should enforce the schema gets no correction, but loses that trust after a few violations.
        """
        first = next(iter(reply.candidates), None)
        if first is None or first.problem is not None or first.finish == "length":
            return reply
        is_enforced = self._learner.dialect.level("response_format") < UNENFORCED_FORMAT
        if is_enforced and self._learner.keeps_format:
            return reply
        violation = schema_violation(first.text, request.schema or {})
        if is_enforced:
            self._learner.record_format(kept=violation is None)
            return reply
        if violation is None:
            return reply
        try:
            corrected = await self._call(repair_request(request, first.text, violation))
        except RequestError:
            return reply  # it was paid for, and the checks report its defects
        merged = merge_replies([reply, corrected], len(reply.candidates) + 1)
        usable = [candidate for candidate in corrected.candidates if candidate.problem is None]
        return replace(merged, candidates=((usable or reply.candidates)[0], *reply.candidates[1:]))

    async def _call(self, request: Request) -> Reply:
        """Send one call, and resend it in another dialect after each refusal of a part of it."""
        build_body = partial(self._body, request, self._room.limit(request))
        async with self._learner.turn(shape_of(request), build_body) as negotiation:
            limit, limits_left = self._room.limit(request), MAX_LIMITS
            while True:
                body = self._body(request, limit, negotiation.dialect)
                answer = await self._post(body)
                if answer.status == 200:
                    reply = self._parse(answer, request, limit)
                    self._learner.record_acceptance(negotiation, body, reply)
                    self._room.record_reply(request, reply)
                    self._answered = self._answered or has_text(reply)
                    left_out = negotiation.dialect.left_out()
                    return replace(reply, left_out=left_out) if left_out else reply
                if self._moves(answer):
                    continue
                other = self._room.refused_limit(limit, answer.text) if answer.status in (400, 422) else None
                if other is not None and limits_left and "max_tokens" in levels_of(body):
                    limit, limits_left = other, limits_left - 1
                elif not self._learner.record_refusal(negotiation, answer.status, answer.text, body):
                    raise status_error(
                        answer.status, answer.text, self._endpoint, wait=answer.wait, answered=self._answered
                    )

    def _body(self, request: Request, limit: int, dialect: Dialect) -> dict[str, Any]:
        return request_body(request, self.model, dialect, limit=limit, extra=self._endpoint.body)

    def _parse(self, answer: ServerAnswer, request: Request, limit: int) -> Reply:
        """Parse a reply; a web page in the middle of a run is an outage of a proxy, and not a wrong address."""
        try:
            return parse_reply(answer.data, request, self._endpoint, limit=limit)
        except BackendError as error:
            if self._answered:
                raise TransientError(str(error)) from None
            raise

    def _moves(self, answer: ServerAnswer) -> bool:
        """Return whether the call is to be sent to another address: a redirect, or a spelling of the base URL."""
        if answer.redirects:
            self._redirects += 1
            if self._redirects > MAX_REDIRECTS:
                raise BackendError(f"{self._endpoint.address} redirects again and again; check --base-url")
            self._endpoint = self._endpoint.at(redirect_target(self._endpoint, answer.url, answer.location))
            return True
        if answer.status not in (404, 405) or self._answered or _is_about_the_request(answer.text):
            return False
        return self._tries_alternative()

    def _tries_alternative(self) -> bool:
        """Take the next spelling of the address; False: there is none, and the first one is taken again."""
        self._alternatives, others = (), self._alternatives
        self._endpoint = self._named_endpoint.at(others[0]) if others else self._named_endpoint
        return bool(others)

    async def _post(self, body: dict[str, Any]) -> ServerAnswer:
        """Send a body and return the answer, whatever its status."""
        address, url = self._endpoint.address, self._endpoint.chat_url
        data = json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")
        try:
            # No redirects: aiohttp would send the key's headers along to another host.
            async with self._open_session().post(url, data=data, allow_redirects=False) as response:
                answer = await self._read(response)
                if response.status == 200:
                    return ServerAnswer(url, 200, answer)
                text = answer.decode("utf-8", "replace") if response.status in OVERLOAD_STATUSES else ""
                wait, location = retry_after(response.headers, text), response.headers.get("Location")
                return ServerAnswer(url, response.status, answer, wait, location)
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
    return OpenAIBackend(endpoint, options, concurrency=concurrency, timeouts=timeouts)


def _is_about_the_request(answer: str) -> bool:
    """Return whether a 404 names the model or parameters, so that the address is right."""
    return re.search(r"model|parameter", answer, re.IGNORECASE) is not None


def _proxy(url: str) -> str | None:
    """Return the proxy that the environment names for a URL; None: no proxy."""
    parts = urlsplit(url)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
