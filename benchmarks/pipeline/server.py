"""A chat server that answers late and cheaply: `python -m benchmarks.pipeline.server` prints its URL and serves.

It speaks just enough HTTP/1.1 over a bare asyncio protocol, because with a web framework the server would be what is
measured. Replies are those of `tests/helpers/servers/fake_openai.py` and depend on the request alone. Faults, latency
and limits are those of `behaviour.py`. A reply to a client that has gone away is dropped and not counted, as vLLM
drops it.
"""

import argparse
import asyncio
import contextlib
import json
import math
import random
import socket
import struct
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, cast

from benchmarks.pipeline.behaviour import POOL, VARIATIONS, Behaviour
from benchmarks.pipeline.counters import RoundCounters
from tests.helpers.servers.fake_openai import completion, schema_of, sentences

TOO_MANY = {"error": {"message": "rate limit reached: too many requests", "code": "rate_limit_exceeded"}}
REFUSED = {"error": {"message": "this prompt is refused", "code": "invalid_prompt"}}
FAILURES = {
    429: TOO_MANY,
    500: {"error": {"message": "the server had an error while processing the request", "code": "server_error"}},
    503: {"error": {"message": "the engine is overloaded, please try again later", "code": "overloaded"}},
}
GARBAGE = b"upstream connect error or disconnect/reset before headers"
REASONS = {
    200: b"OK",
    400: b"Bad Request",
    404: b"Not Found",
    429: b"Too Many Requests",
    500: b"Internal Server Error",
    503: b"Service Unavailable",
}
REPEATED = [sentences(random.Random(f"pool {number}")) for number in range(POOL)]


@dataclass(slots=True)
class State:
    """State of all connections: the present round, and the requests that are being answered, of any round."""

    round: RoundCounters
    in_flight: int = 0


@dataclass(slots=True, eq=False)
class PendingAnswer:
    """An answer that is under way.

    Attributes:
        round: the round of its request.
        body: the request body.
        status: status to answer with.
        data: body to answer with.
        fault: kind of the fault; "": none.
        close: whether the connection closes after the answer.
        timer: sends it; None: not scheduled yet.

    """

    round: RoundCounters
    body: bytes
    status: int
    data: bytes
    fault: str
    close: bool
    timer: asyncio.TimerHandle | None = None


class Connection(asyncio.Protocol):
    """One client connection: reads requests of a known length, one after the other."""

    def __init__(self, state: State) -> None:
        """Create a connection; its transport comes with `connection_made`."""
        self._state = state
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self._pending: set[PendingAnswer] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Drop the replies that no client waits for any more."""
        for pending in self._pending:
            if pending.timer is not None:
                pending.timer.cancel()
            self._end(pending)
        self._pending.clear()
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            start = end + 4
            stop = start + _length(head)
            if len(self._buffer) < stop:
                return
            body, self._buffer = self._buffer[start:stop], self._buffer[stop:]
            self._route(head, body)

    def _route(self, head: bytes, body: bytes) -> None:
        method, path = head.split(b" ", 2)[:2]
        close = b"connection: close" in head.lower()
        if path.endswith(b"/chat/completions"):
            self._chat(body, close)
        elif path == b"/stats":
            self._stats(method == b"POST", body, close)
        elif path.endswith(b"/models"):
            self._send(200, {"object": "list", "data": [{"id": "fake-1", "object": "model"}]}, close)
        else:
            self._send(404, {"error": {"message": "no such path"}}, close)

    def _stats(self, reset: bool, body: bytes, close: bool) -> None:
        """Send the counters; POST resets them and sets the behaviour in its body."""
        counters = self._state.round.to_json()
        if reset:
            self._state.round = RoundCounters(Behaviour(**json.loads(body or b"{}")))
        self._send(200, counters, close)

    def _chat(self, body: bytes, close: bool) -> None:
        request = _flat(json.loads(body))
        if not request["messages"]:  # a client that probes for limits: neither work nor waste
            self._send(200, completion(request), close)
            return
        state, now, time_now = self._state, self._state.round, time.monotonic()
        at = now.arrive(body, time_now)
        if now.is_refused(at, state.in_flight):
            self._send(429, TOO_MANY, close, _retry_after(now.behaviour, at))
            now.count(429, body, time_now, is_reply=False)
            return
        fault, seconds = now.let_in(body)
        status, content = _answer(now.behaviour, body, request, fault)
        pending = PendingAnswer(now, body, status, content, fault, close)
        state.in_flight += 1
        now.begin(at, state.in_flight)
        self._pending.add(pending)
        if seconds > 0:
            delay = seconds * now.behaviour.factor(at)
            pending.timer = asyncio.get_running_loop().call_later(delay, self._finish, pending)
        else:
            self._finish(pending)

    def _finish(self, pending: PendingAnswer) -> None:
        """Send an answer, or what a fault leaves of it."""
        self._pending.discard(pending)
        self._end(pending)
        if self._transport is None:
            return
        if pending.fault == "reset":
            _reset(self._transport)
            return
        cut = len(pending.data) // 2 if pending.fault == "cut" else None
        self._send_bytes(pending.status, pending.data, pending.close, cut=cut)
        is_reply = pending.status == 200 and pending.fault in ("", "slow")
        pending.round.count(pending.status, pending.body, time.monotonic(), is_reply=is_reply)

    def _end(self, pending: PendingAnswer) -> None:
        self._state.in_flight -= 1
        pending.round.end(time.monotonic())

    def _send(self, status: int, content: dict[str, Any], close: bool, headers: bytes = b"") -> None:
        self._send_bytes(status, json.dumps(content).encode(), close, headers)

    def _send_bytes(
        self, status: int, body: bytes, close: bool, headers: bytes = b"", *, cut: int | None = None
    ) -> None:
        """Send an answer; `cut`: bytes of its body after which the connection closes."""
        if self._transport is None:
            return
        head = b"HTTP/1.1 %d %s\r\nContent-Type: application/json\r\n" % (status, REASONS[status])
        length = b"Content-Length: %d\r\n%s\r\n" % (len(body), b"Connection: close\r\n" if close else b"")
        self._transport.write(head + headers + length + body[:cut])
        if close or cut is not None:
            self._transport.close()


def _answer(behaviour: Behaviour, body: bytes, request: dict[str, Any], fault: str) -> tuple[int, bytes]:
    """Return status and body of the answer to a request that no limit refused."""
    if fault in ("429", "503", "500"):
        return int(fault), json.dumps(FAILURES[int(fault)]).encode()
    if fault == "garbage":
        return 200, GARBAGE
    if behaviour.is_bad(body, request):
        return 400, json.dumps(REFUSED).encode()
    reply = completion(request)
    if (repeated := behaviour.repeated(body)) is not None and schema_of(request) is None:
        text, variation = repeated
        reply["choices"][0]["message"]["content"] = VARIATIONS[variation].format(REPEATED[text])
    return 200, json.dumps(reply).encode()


def _retry_after(behaviour: Behaviour, at: float) -> bytes:
    """Return the header of a 429; with a window, the whole seconds until the next one, rounded up."""
    seconds = behaviour.retry_after
    if seconds and behaviour.window:
        seconds = math.ceil(behaviour.window_s - at % behaviour.window_s)
    return b"Retry-After: %d\r\n" % seconds if seconds else b""


def _reset(transport: asyncio.Transport) -> None:
    """Reset a connection: without a linger time the system sends RST, and the client loses what it has not read."""
    peer = transport.get_extra_info("socket")
    if peer is not None:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _flat(request: dict[str, Any]) -> dict[str, Any]:
    """Join messages that come in parts to plain text, as `completion` wants them."""
    for message in request["messages"]:
        if isinstance(message["content"], list):
            message["content"] = "".join(part.get("text", "") for part in message["content"])
    return request


def _length(head: bytes) -> int:
    """Read the length of a request's body; no header is no body."""
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


async def serve(port: int, behaviour: Behaviour) -> None:
    """Serve until cancelled; the first line of standard output is the URL."""
    state = State(RoundCounters(behaviour))
    server = await asyncio.get_running_loop().create_server(lambda: Connection(state), "127.0.0.1", port, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    async with server:
        await server.serve_forever()


def run_fast(main: Coroutine[Any, Any, None]) -> None:
    """Run on uvloop where it is installed, since it takes less of the processor."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(main)
    else:
        uvloop.run(main)


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="a late and cheap chat server on loopback")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    options = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        run_fast(serve(options.port, Behaviour()))


if __name__ == "__main__":
    main()
