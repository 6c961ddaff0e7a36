"""A small OpenAI-compatible server on loopback whose answers depend on the time and the number of the call.

    with WeatherServer(Spell(begin=10, seconds=1.0, event=Event(status=503))) as server:
        connect(server.url); ...; assert server.paid_twice == 0

Its replies are those of `fake_openai.py`, so that a release equals the one that is made with that server.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.helpers.servers.fake_openai import CutResponse, completion
from tests.helpers.servers.loopback import Loopback


@dataclass(frozen=True, slots=True)
class Call:
    """One call: its number from 1 in order of arrival, and the seconds since the first one."""

    number: int
    at: float


@dataclass(frozen=True, slots=True)
class Event:
    """How one call ends, unless it is answered at once.

    Attributes:
        status: its HTTP status; 200: a completion.
        headers: its headers.
        delay: seconds before the answer.
        is_cut: whether the connection breaks in the middle of the reply.
        hangs: whether there is no answer before the client closes the connection.

    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    is_cut: bool = False
    hangs: bool = False


Weather = Callable[[Call], Event]

FINE = Event()


class Spell:
    """Weather that is fine but for the calls that arrive within some seconds after the call `begin`."""

    def __init__(self, *, begin: int, seconds: float, event: Event) -> None:
        self._begin, self._seconds, self._event = begin, seconds, event
        self._since: float | None = None

    def __call__(self, call: Call) -> Event:
        """Return the event of a call."""
        if self._since is None and call.number >= self._begin:
            self._since = call.at
        return self._event if self._since is not None and call.at < self._since + self._seconds else FINE


class WeatherServer:
    """The server, in its own thread during the `with` block.

    Attributes:
        url: base URL for a client, "/v1" included.
        calls: calls that arrived.
        spoiled: those of them that were not answered with a completion.
        answered: completions by request body.

    """

    def __init__(
        self,
        weather: Weather = lambda call: FINE,
        *,
        latency: float = 0.01,
        port: int = 0,
        keeps_connections: bool = True,
        date: bool = True,
    ) -> None:
        """Bind to `port` of 127.0.0.1.

        Args:
            weather: event of each call.
            latency: seconds before each completion.
            port: port; 0: a free one.
            keeps_connections: whether a connection stays open after an answer.
            date: whether answers have a Date header.

        """
        self._weather = weather
        self._latency = latency
        self._headers = {} if keeps_connections else {"Connection": "close"}
        self.calls = 0
        self.spoiled = 0
        self.answered: Counter[str] = Counter()
        self._first: float | None = None
        app = Starlette(routes=[Route("/v1/chat/completions", self._chat, methods=["POST"])])
        self._loopback = Loopback(app, port, date=date)
        self.url = self._loopback.url

    def __enter__(self) -> Self:
        """Start serving."""
        self._loopback.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Stop serving, unless `stop` did."""
        self.stop()

    @property
    def port(self) -> int:
        """Port that the server is bound to."""
        return int(self.url.rsplit(":", 1)[1].removesuffix("/v1"))

    @property
    def paid_twice(self) -> int:
        """Count the completions of bodies that had been completed before."""
        return self.answered.total() - len(self.answered)

    def stop(self) -> None:
        """Stop serving; requests in flight have one second to finish."""
        self._loopback.stop()

    async def _chat(self, request: Request) -> Response:
        body: dict[str, Any] = await request.json()
        now = time.monotonic()
        self._first = now if self._first is None else self._first
        self.calls += 1
        event = self._weather(Call(self.calls, now - self._first))
        await asyncio.sleep(self._latency + event.delay)
        while event.hangs and not await request.is_disconnected():
            await asyncio.sleep(0.01)
        if event.hangs or event.is_cut or event.status != 200:
            self.spoiled += 1
            failure = {"error": {"message": "the weather is bad"}}
            return CutResponse() if event.is_cut else JSONResponse(failure, event.status, dict(event.headers))
        self.answered[json.dumps(body, sort_keys=True)] += 1
        return JSONResponse(completion(body), headers={**self._headers, **event.headers})
