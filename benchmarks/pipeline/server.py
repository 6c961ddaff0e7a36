"""A chat server that answers late and cheaply: `python -m benchmarks.pipeline.server` prints its URL and serves.

It speaks just enough HTTP/1.1 over a bare asyncio protocol, because with a web framework the server would be what is
measured. Replies are those of `tests/helpers/servers/fake_openai.py` and depend on the request alone. A reply to a
client that has gone away is dropped and not counted, as vLLM drops it.
"""

import argparse
import asyncio
import contextlib
import json
import time
import zlib
from collections.abc import Coroutine
from dataclasses import asdict, dataclass, field
from typing import Any, cast

from tests.helpers.servers.fake_openai import completion

BAD = "REFUSE-THIS"
"""A prompt that holds this is answered with a 400, however often it is sent, where `bad_every` is set."""

TOO_MANY = {"error": {"message": "rate limit reached: too many requests", "code": "rate_limit_exceeded"}}
REFUSED = {"error": {"message": "this prompt is refused", "code": "invalid_prompt"}}
REASONS = {200: b"OK", 400: b"Bad Request", 404: b"Not Found", 429: b"Too Many Requests"}


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How the server answers.

    Attributes:
        latency: seconds before a reply.
        slow_share: share of the request bodies that take `slow_latency` seconds instead; their hash chooses.
        slow_latency: see `slow_share`.
        limit: requests answered at a time; one above gets a 429 at once. 0 is no limit.
        retry_after: seconds named in the 429's Retry-After header; 0 sends none.
        bad_every: one of so many request seeds gets a 400, as does every prompt that holds BAD. 0 refuses none.

    """

    latency: float = 0.1
    slow_share: float = 0.0
    slow_latency: float = 2.0
    limit: int = 0
    retry_after: int = 0
    bad_every: int = 0

    def seconds(self, body: bytes) -> float:
        """Say how long the reply to a request body takes."""
        slow = zlib.crc32(body) % 10_000 < self.slow_share * 10_000
        return self.slow_latency if slow else self.latency

    def is_bad(self, body: bytes, request: dict[str, Any]) -> bool:
        """Say whether a request gets a 400."""
        if not self.bad_every:
            return False
        seed = request.get("seed")
        return BAD.encode() in body or (seed is not None and seed % self.bad_every == 0)


@dataclass(slots=True)
class Stats:
    """What happened since the last reset; times are seconds of the monotonic clock, None before the first one.

    Attributes:
        requests: chat requests that arrived, refused ones too.
        replies: replies sent with status 200.
        repeated: those of them whose request body had been answered before: paid twice.
        statuses: answers by status.
        most_in_flight: largest number of requests that were being answered at one time.
        first_request: when the first one arrived.
        last_reply: when the last reply with status 200 was sent.
        slow: places of the slow requests among those that were let in, in order of arrival.

    """

    requests: int = 0
    replies: int = 0
    repeated: int = 0
    statuses: dict[int, int] = field(default_factory=dict)
    most_in_flight: int = 0
    first_request: float | None = None
    last_reply: float | None = None
    slow: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Round:
    """What belongs to one reset: a request that outlives it still counts for its own round.

    Attributes:
        behaviour: how requests are answered.
        stats: the counters.
        let_in: requests that were not turned away by a 429.
        answered: hashes of the request bodies that were answered with status 200.

    """

    behaviour: Behaviour
    stats: Stats = field(default_factory=Stats)
    let_in: int = 0
    answered: set[int] = field(default_factory=set)

    def count(self, status: int, body: bytes) -> None:
        """Count an answer that was sent."""
        stats = self.stats
        stats.statuses[status] = stats.statuses.get(status, 0) + 1
        if status == 200:
            stats.replies += 1
            stats.last_reply = time.monotonic()
            stats.repeated += hash(body) in self.answered
            self.answered.add(hash(body))


@dataclass(slots=True)
class State:
    """What all connections share: the present round, and the requests that are being answered, of any round."""

    round: Round
    in_flight: int = 0


class Connection(asyncio.Protocol):
    """One client connection: reads requests of a known length, one after the other."""

    def __init__(self, state: State) -> None:
        """Take the shared state; the transport comes with `connection_made`."""
        self._state = state
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self._timers: set[asyncio.TimerHandle] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Drop the replies that no client waits for any more."""
        self._state.in_flight -= len(self._timers)
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
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
        stats = asdict(self._state.round.stats)
        if reset:
            self._state.round = Round(Behaviour(**json.loads(body or b"{}")))
        self._send(200, stats, close)

    def _chat(self, body: bytes, close: bool) -> None:
        request = _flat(json.loads(body))
        if not request["messages"]:  # a client that probes for limits: neither work nor waste
            self._send(200, completion(request), close)
            return
        state, now = self._state, self._state.round
        behaviour, stats = now.behaviour, now.stats
        stats.requests += 1
        if stats.first_request is None:
            stats.first_request = time.monotonic()
        if behaviour.limit and state.in_flight >= behaviour.limit:
            now.count(429, body)
            after = b"Retry-After: %d\r\n" % behaviour.retry_after if behaviour.retry_after else b""
            self._send(429, TOO_MANY, close, after)
            return
        status, reply = (400, REFUSED) if behaviour.is_bad(body, request) else (200, completion(request))
        seconds = behaviour.seconds(body)
        if seconds != behaviour.latency:
            stats.slow.append(now.let_in)
        now.let_in += 1
        state.in_flight += 1
        stats.most_in_flight = max(stats.most_in_flight, state.in_flight)

        def answer() -> None:
            self._timers.discard(timer)
            state.in_flight -= 1
            self._send(status, reply, close)
            now.count(status, body)

        timer = asyncio.get_running_loop().call_later(seconds, answer)
        self._timers.add(timer)

    def _send(self, status: int, content: dict[str, Any], close: bool, headers: bytes = b"") -> None:
        if self._transport is None:
            return
        body = json.dumps(content).encode()
        head = b"HTTP/1.1 %d %s\r\nContent-Type: application/json\r\n" % (status, REASONS[status])
        length = b"Content-Length: %d\r\n%s\r\n" % (len(body), b"Connection: close\r\n" if close else b"")
        self._transport.write(head + headers + length + body)
        if close:
            self._transport.close()


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
    state = State(Round(behaviour))
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
