"""The `openai` backend: any server that speaks OpenAI's chat completions, the hosted one or a local one.

aiohttp carries the calls. The `openai` client would take four to ten times the processor time a call, and so fall
behind a server that answers fifty at once, besides 30 MB and half a second to import (docs/log.md); it serves where
calls are few, in `openai_batch.py`. Nothing is repeated here: what may succeed later is a TransientError, and whoever
schedules the calls decides when.
"""

import json
import os
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

from personagen.builder.core.errors import RequestError, TransientError
from personagen.builder.core.retry_after import retry_after
from personagen.builder.llm.backends.openai_protocol import (
    Dialect,
    Server,
    joined,
    learn,
    read_reply,
    repair_request,
    request_body,
    status_error,
    violation,
)
from personagen.builder.llm.backends.openai_settings import check_settings
from personagen.builder.llm.requests import Reply, Request
from personagen.builder.version import __version__

PATIENCE = 600.0
"""Seconds that one call may take before it is tried again: a slow machine needs minutes for a long text."""

CONNECT_PATIENCE = 4.0
"""Seconds that a connection may take."""

LARGEST = 8 * 1024 * 1024
"""Bytes of a reply that are read: no text that was asked for is as long."""


class OpenAIBackend:
    """Answers requests over HTTP; built by `connect_openai`.

    Attributes:
        name: "openai".
        model: the model as the server names it.
        revision: None, because a server does not tell which weights it runs.
        licence: None, for the same reason.
        concurrency: calls in flight at most.
        adaptive: True: how many calls the server bears is to be found.

    """

    def __init__(self, *, model: str, base_url: str, key: str | None, concurrency: int) -> None:
        """Take checked settings; see `connect_openai`."""
        self.name = "openai"
        self.model = model
        self.revision: str | None = None
        self.licence: str | None = None
        self.concurrency = concurrency
        self.adaptive = True
        self._server = Server(base_url.rstrip("/"), model, key)
        self._url = f"{base_url.rstrip('/')}/chat/completions"
        self._headers = _headers(key)
        self._session: aiohttp.ClientSession | None = None
        self._dialect = Dialect()

    async def complete(self, request: Request) -> Reply:
        """Answer one request; where the server gives fewer candidates than asked, the rest are asked one by one.

        Sampling parameters that are None are not sent, so the server's own defaults hold. Candidate i of a server
        that ignores `n` is drawn with seed + i. `mean_logprob` is None. Where the server cannot be bound to a schema,
        a reply that violates it is sent back once with what is wrong.

        Raises:
            RequestError: the request was refused or the reply is no chat completion; also for a prefill, since a chat
                completion cannot portably continue an assistant's turn.
            TransientError: the server is overloaded, failed, broke off, or cannot be reached for now.
            BackendError: the server refuses the key, lacks the model, or is no such server.

        """
        if request.prefill:
            raise RequestError(
                "backend openai: a prefill was asked for, but chat completions cannot continue an assistant's turn; "
                "put the text into the prompt or use another backend"
            )
        replies = [await self._ask(request, seed=request.seed, count=request.candidates)]
        if request.schema is not None and self._dialect.format != "json_schema":
            replies = [await self._repaired(request, replies[0])]
        for number in range(len(replies[0].candidates), request.candidates):
            if replies[0].problem is not None:
                break  # a filter or a refusal would meet the others too
            replies.append(await self._ask(request, seed=(request.seed + number) % 2**31, count=1))
        return joined(replies, request.candidates)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _repaired(self, request: Request, reply: Reply) -> Reply:
        """Give the model one chance to correct a reply that violates the schema; both calls count."""
        if reply.problem is not None:
            return reply
        first = reply.candidates[0]
        problem = violation(first.text, request.schema or {})
        if problem is None or first.finish == "length":
            return reply
        again = replace(repair_request(request, first.text, problem), candidates=1)
        try:
            better = await self._ask(again, seed=request.seed, count=1)
        except RequestError:
            return reply  # it was paid for; the checks say what is wrong with it
        merged = joined([reply, better], len(reply.candidates) + 1)
        return replace(merged, candidates=((better.candidates or reply.candidates)[0], *reply.candidates[1:]))

    async def _ask(self, request: Request, *, seed: int, count: int) -> Reply:
        """Send one call, again after every refusal that teaches what this server does not take."""
        while True:
            body = request_body(request, self.model, self._dialect, seed=seed, count=count)
            status, text, wait = await self._post(body)
            if status == 200:
                return read_reply(text, request, self._server)
            lesson = learn(self._dialect, body, text) if status in (400, 422) else None
            if lesson is None:
                raise status_error(status, text, self._server, wait=wait)
            self._dialect = lesson

    async def _post(self, body: dict[str, Any]) -> tuple[int, str, float | None]:
        """Send a body: status, text, and the seconds that the server asks to wait."""
        if self._session is None:
            patience = aiohttp.ClientTimeout(total=PATIENCE, connect=None, sock_connect=CONNECT_PATIENCE)
            # No limit of its own: how many are in flight is decided elsewhere.
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30)
            # Not trust_env: that reads the environment and ~/.netrc again for every call.
            self._session = aiohttp.ClientSession(
                connector=connector, timeout=patience, headers=self._headers, proxy=_proxy(self._url)
            )
        address = self._server.address
        try:
            async with self._session.post(
                self._url, data=json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")
            ) as response:
                text = await self._text(response)
                return response.status, text, retry_after(response.headers)
        except (
            aiohttp.ClientConnectorError,
            aiohttp.ClientProxyConnectionError,
            aiohttp.ConnectionTimeoutError,
        ) as error:
            reason = self._server.quote(_words(error), limit=160)
            raise TransientError(
                f"cannot reach {address}: {reason}; check --base-url and that the server runs", unreachable=True
            ) from None
        except TimeoutError:
            raise TransientError(f"{address}: no reply within {PATIENCE:g} s", overload=True) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # The original may hold headers, so it must not be in the traceback.
            raise TransientError(
                f"{address}: the connection broke: {self._server.quote(_words(error), limit=160)}"
            ) from None

    async def _text(self, response: aiohttp.ClientResponse) -> str:
        parts, size = [], 0
        async for part in response.content.iter_any():
            parts.append(part)
            size += len(part)
            if size > LARGEST:
                response.close()
                raise RequestError(
                    f"{self._server.address}: the reply is larger than {LARGEST // 2**20} MB, expected a chat "
                    "completion; check that --base-url points to an OpenAI-compatible server"
                )
        return b"".join(parts).decode("utf-8", "replace")


def connect_openai(*, model: str, base_url: str | None, api_key: str | None, concurrency: int) -> OpenAIBackend:
    """Make a backend for one model of one server; nothing is sent yet.

    Args:
        model: the model as the server names it.
        base_url: see `check_settings`; so is `api_key`.
        api_key: value of OPENAI_API_KEY.
        concurrency: calls that a run may keep in flight.

    Raises:
        BackendError: see `check_settings`.

    """
    url, key = check_settings(base_url, api_key)
    return OpenAIBackend(model=model, base_url=url, key=key, concurrency=concurrency)


def _headers(key: str | None) -> dict[str, str]:
    """Say who asks; organisation and project by the environment variables that OpenAI's own client reads."""
    named = {"OpenAI-Organization": "OPENAI_ORG_ID", "OpenAI-Project": "OPENAI_PROJECT_ID"}
    own = {header: os.environ[name] for header, name in named.items() if os.environ.get(name)}
    who = {"Authorization": f"Bearer {key or 'none'}", "User-Agent": f"personagen/{__version__}"}
    return own | who | {"Content-Type": "application/json", "Accept": "application/json"}


def _proxy(url: str) -> str | None:
    """Find the proxy that the environment names for a URL; None where there is none."""
    parts = urlsplit(url)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
