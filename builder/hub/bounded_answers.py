"""Bounds on answers of the Hub: bytes, pages, seconds and silence, none of which its client bounds."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import Any

import httpx2
from huggingface_hub import get_session

from personagen.builder.core.file_names import CARD, MANIFEST
from personagen.builder.hub.client import AnswerLimits, OversizedAnswer

UNPACKED_FACTOR = 100
"""Upper bound on how much a compressed answer is taken to grow."""


class BoundedStream(httpx2.SyncByteStream):
    """The body of an answer; iteration raises OversizedAnswer beyond the limits."""

    def __init__(self, stream: Any, max_bytes: int, max_s: float) -> None:
        self._stream, self._max_bytes, self._max_s = stream, max_bytes, max_s

    @property
    def elapsed(self) -> Any:
        """Time until the end of the answer."""
        return self._stream.elapsed

    def __iter__(self) -> Iterator[bytes]:
        size, start = 0, time.monotonic()
        for chunk in self._stream:
            size += len(chunk)
            if size > self._max_bytes:
                raise OversizedAnswer(f"more than {self._max_bytes:,} bytes")
            if time.monotonic() - start > self._max_s:
                raise OversizedAnswer(f"an answer that takes more than {self._max_s:g} s")
            yield chunk

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()


@contextmanager
def bounded_answers(limits: AnswerLimits) -> Iterator[None]:
    """Bound the answers that the client of `huggingface_hub`, which a process shares, gets during a block.

    Data files are bounded by the size that their list states, and are not limited here.
    """
    hooks = get_session().event_hooks
    pages = count(1)
    request_hook, response_hook = partial(_limit_request, limits, pages), partial(_limit_answer, limits)
    hooks["request"].append(request_hook)
    hooks["response"].append(response_hook)
    try:
        yield
    finally:
        hooks["request"].remove(request_hook)
        hooks["response"].remove(response_hook)


def _limit_request(limits: AnswerLimits, pages: Iterator[int], request: Any) -> None:
    if request.method == "GET" and "/api/" in request.url.path and next(pages) > limits.max_pages:
        raise OversizedAnswer(f"a list of more than {limits.max_pages:,} pages")
    timeouts = request.extensions.get("timeout") or {}
    request.extensions["timeout"] = {
        name: limits.silence_s if timeouts.get(name) is None else timeouts[name]
        for name in ("connect", "read", "write", "pool")
    }


def _limit_answer(limits: AnswerLimits, response: Any) -> None:
    request = response.request
    path = request.url.path
    is_file = request.method == "GET" and "/api/" not in path and not path.endswith((CARD, MANIFEST))
    if is_file and response.status_code < 400:
        return
    factor = UNPACKED_FACTOR if response.headers.get("content-encoding", "identity") != "identity" else 1
    response.stream = BoundedStream(response.stream, limits.max_bytes // factor, limits.max_s)
