"""Stands before the application: writes down every request, and makes some of them go wrong on purpose."""

import asyncio
import json
import re
import socket
import struct
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send


@dataclass
class Record:
    """What became of a request.

    Attributes:
        method: its method.
        path: its path, as it came.
        query: its query.
        time: when it came, in seconds since 1970.
        received: bytes of its body.
        sent: bytes of the body of the answer.
        status: status of the answer, 0 if none was sent (yet).
        seconds: how long it took.
        error: what went wrong in the Hub itself, "" for nothing.

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


@dataclass
class Fault:
    """A rule of misbehaviour; see `Hub.fail` and `Hub.pause`."""

    pattern: re.Pattern[str]
    nth: int | None = None
    times: int = 1
    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | str | None = None
    cut: int | None = None
    after: bool = False
    seconds: float = 0.0
    seen: int = 0

    def meets(self, line: str) -> bool:
        """Count a request that the rule is about; tell whether its turn has come."""
        if self.times < 1 or not self.pattern.search(line):
            return False
        self.seen += 1
        return self.nth is None or self.seen >= self.nth


class Watch:
    """An application around another.

    Attributes:
        requests: method and path of every request, in order.
        log: a record of each, in the same order.
        faults: the rules that are not used up.

    """

    def __init__(self, app: ASGIApp) -> None:
        """Watch over `app`."""
        self._app = app
        self.requests: list[str] = []
        self.log: list[Record] = []
        self.faults: list[Fault] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, well or badly."""
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
        if fault is not None and fault.seconds:
            await asyncio.sleep(fault.seconds)
            fault = self._fault(f"{record.method} {record.path}", pauses=False)
        if fault is None:
            await self._app(scope, wire.receive, wire.send)
        elif fault.after:
            await self._app(scope, wire.receive, _nowhere)
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

    def _fault(self, line: str, *, pauses: bool = True) -> Fault | None:
        """Find the rule that a request meets, and count it; a pause first."""
        rules = [rule for rule in self.faults if bool(rule.seconds) == pauses]
        met = [rule for rule in rules if rule.meets(line)]
        if not met:
            return self._fault(line, pauses=False) if pauses else None
        met[0].times -= 1
        if met[0].times < 1:
            self.faults.remove(met[0])
        return met[0]


class Wire:
    """Both directions of one request: counted, and cut after `cut` bytes of a body in either."""

    def __init__(self, record: Record, receive: Receive, send: Send) -> None:
        """Take what the server gives."""
        self._record, self._receive, self._send = record, receive, send
        self.cut: int | None = None
        self.is_cut = False

    async def receive(self) -> Message:
        """Take a piece of the request."""
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
        """Take the rest of the request, so that the client gets to read the answer."""
        message = await self.receive()
        while message.get("more_body"):
            message = await self.receive()

    async def refuse(self, fault: Fault) -> None:
        """Answer as the rule says."""
        body = {"error": "a fault of the test"} if fault.body is None else fault.body
        text, kind = (body, "text/plain") if isinstance(body, str) else (json.dumps(body), "application/json")
        content = text.encode()
        headers = {"content-type": kind, "content-length": str(len(content))} | dict(fault.headers)
        pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": fault.status, "headers": pairs})
        await self.send({"type": "http.response.body", "body": content})

    async def hang_up(self, *, flush: bool = False) -> None:
        """Break the connection, after what was sent has gone out if `flush`; uvicorn has no way for it of its own."""
        self.is_cut = True
        transport = self._send.__self__.transport  # type: ignore[attr-defined]
        if flush:
            transport.close()
        else:
            reset = struct.pack("ii", 1, 0)
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            transport.abort()
            self._record.status = 0
        await asyncio.sleep(0)


async def _nowhere(message: Message) -> None:
    """Send an answer that nobody gets."""
