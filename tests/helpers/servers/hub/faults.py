"""A layer before the application: records every request, and makes some requests fail or wait."""

import asyncio
import json
import re
import socket
import struct
import threading
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_WAIT_S = 60.0
"""Seconds after which a test that waits for requests fails."""


@dataclass
class Record:
    """A request and its answer.

    Attributes:
        method: method of the request.
        path: path as it was sent.
        query: query string.
        time: time of arrival, seconds since 1970.
        received: bytes of the body of the request.
        sent: bytes of the body of the answer.
        status: status of the answer; 0: none was sent (yet).
        seconds: time until the end of the answer.
        error: traceback of an error of the fake Hub; "": none.

    """

    method: str
    path: str
    query: str
    time: float = field(default_factory=time.time)
    received: int = 0
    sent: int = 0
    status: int = 0
    seconds: float = 0.0
    error: str = ""


class Gate:
    """Holds requests until it is opened or they are dropped."""

    def __init__(self, opens_at: int | None = None) -> None:
        """Open by itself when `opens_at` requests have arrived. None: only `open` and `drop` end the hold."""
        self._opens_at = opens_at
        self._changed = threading.Condition()
        self._held: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
        self._passes: bool | None = None

    async def enter(self) -> bool:
        """Wait at the gate; return False if the request is to be dropped."""
        released = asyncio.Event()
        with self._changed:
            if self._passes is None:
                self._held.append((asyncio.get_running_loop(), released))
                if len(self._held) == self._opens_at:
                    self._release(passes=True)
            else:
                released.set()
            self._changed.notify_all()
        await released.wait()
        return bool(self._passes)

    def wait(self, requests: int = 1) -> None:
        """Wait until this number of requests is held, or the gate is opened or dropped."""

        def arrived() -> bool:
            return len(self._held) >= requests or self._passes is not None

        with self._changed:
            assert self._changed.wait_for(arrived, MAX_WAIT_S), "no such request arrived"

    def open(self) -> None:
        """Answer the held requests, and all later ones."""
        with self._changed:
            self._release(passes=True)

    def drop(self) -> None:
        """Break the connections of the held requests, and of all later ones."""
        with self._changed:
            self._release(passes=False)

    def _release(self, *, passes: bool) -> None:
        if self._passes is not None:
            return
        self._passes = passes
        self._changed.notify_all()
        for loop, released in self._held:
            if not loop.is_closed():
                loop.call_soon_threadsafe(released.set)


@dataclass
class Fault:
    """A rule of misbehaviour; see `Hub.fail` and `Hub.hold`."""

    pattern: re.Pattern[str]
    nth: int | None = None
    times: int = 1
    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | str | None = None
    cut: int | None = None
    after: bool = False
    gate: Gate | None = None
    seen: int = 0

    def matches(self, line: str) -> bool:
        """Count a request that the rule is about; return whether the rule applies to it."""
        if self.times < 1 or not self.pattern.search(line):
            return False
        self.seen += 1
        return self.nth is None or self.seen >= self.nth


class Watch:
    """An application around another.

    Attributes:
        requests: method and path of every request, in order.
        log: record of every request, in the same order.
        faults: rules that are not used up.

    """

    def __init__(self, app: ASGIApp) -> None:
        """Watch `app`."""
        self._app = app
        self.requests: list[str] = []
        self.log: list[Record] = []
        self.faults: list[Fault] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, by the rules or by the application."""
        record = Record(scope["method"], scope["raw_path"].decode().split("?")[0], scope["query_string"].decode())
        line = f"{record.method} {record.path}"
        self.requests.append(line)
        self.log.append(record)
        try:
            await self._answer(self._fault(line), record, scope, Wire(record, receive, send))
        except Exception:
            record.error = traceback.format_exc()
            raise
        finally:
            record.seconds = time.time() - record.time

    async def _answer(self, fault: Fault | None, record: Record, scope: Scope, wire: "Wire") -> None:
        if fault is not None and fault.gate is not None:
            if fault.after:
                await self._app(scope, wire.receive, _discard)
            if not await fault.gate.enter() or fault.after:
                await wire.hang_up()
                return
            fault = self._fault(f"{record.method} {record.path}", holds=False)
        if fault is None:
            await self._app(scope, wire.receive, wire.send)
        elif fault.after:
            await self._app(scope, wire.receive, _discard)
            await (wire.refuse(fault) if fault.cut is None else wire.hang_up())
        elif fault.cut is None:
            await wire.drain()
            await wire.refuse(fault)
        elif fault.cut == 0:
            await wire.hang_up()
        else:
            wire.cut = fault.cut
            try:
                await self._app(scope, wire.receive, wire.send)
            except Exception:
                if not wire.is_cut:
                    raise

    def _fault(self, line: str, *, holds: bool = True) -> Fault | None:
        """Return the first rule that applies to a request, and use it up; rules that hold requests come first."""
        rules = [rule for rule in self.faults if (rule.gate is not None) == holds]
        matching = [rule for rule in rules if rule.matches(line)]
        if not matching:
            return self._fault(line, holds=False) if holds else None
        matching[0].times -= 1
        if matching[0].times < 1:
            self.faults.remove(matching[0])
        return matching[0]


class Wire:
    """Both directions of a request, counted, and cut after `cut` bytes of a body in either direction."""

    def __init__(self, record: Record, receive: Receive, send: Send) -> None:
        """Wrap the two callables of the server."""
        self._record, self._receive, self._send = record, receive, send
        self.cut: int | None = None
        self.is_cut = False

    async def receive(self) -> Message:
        """Receive a piece of the request."""
        if self.is_cut:
            return {"type": "http.disconnect"}
        message = await self._receive()
        self._record.received += len(message.get("body", b""))
        if self.cut is not None and self._record.received > self.cut:
            await self.hang_up()
            return {"type": "http.disconnect"}
        return message

    async def send(self, message: Message) -> None:
        """Send a piece of the answer."""
        if self.is_cut:
            return
        if message["type"] == "http.response.start":
            self._record.status = message["status"]
        body = message.get("body", b"")
        over = self.cut is not None and (
            self._record.sent + len(body) > self.cut
            or (message["type"] == "http.response.body" and not message.get("more_body"))
        )
        if over:
            body = body[: max(0, (self.cut or 0) - self._record.sent)]
            message = {**message, "body": body, "more_body": True}
        self._record.sent += len(body)
        await self._send(message)
        if over:
            await self.hang_up(flush=True)

    async def drain(self) -> None:
        """Receive the rest of the request, so that the client reads the answer."""
        message = await self.receive()
        while message.get("more_body"):
            message = await self.receive()

    async def refuse(self, fault: Fault) -> None:
        """Send the answer of a rule."""
        body = {"error": "a fault of the test"} if fault.body is None else fault.body
        text, kind = (body, "text/plain") if isinstance(body, str) else (json.dumps(body), "application/json")
        content = text.encode()
        headers = {"content-type": kind, "content-length": str(len(content))} | dict(fault.headers)
        pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": fault.status, "headers": pairs})
        await self.send({"type": "http.response.body", "body": content})

    async def hang_up(self, *, flush: bool = False) -> None:
        """Break the connection, with `flush` after the sent bytes have gone out; uvicorn has no call for this."""
        self.is_cut = True
        transport = self._send.__self__.transport  # type: ignore[attr-defined]
        if flush:
            transport.close()
        else:
            reset = struct.pack("ii", 1, 0)
            if (connection := transport.get_extra_info("socket")) is not None and not transport.is_closing():
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            transport.abort()
            self._record.status = 0
        await asyncio.sleep(0)


async def _discard(message: Message) -> None:
    """Drop an answer."""
