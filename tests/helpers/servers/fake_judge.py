"""A small OpenAI-compatible server on loopback that rates texts by a rule, with or without token probabilities."""

import asyncio
import json
import math
import random
import re
from collections.abc import Callable, Mapping
from threading import Event
from types import TracebackType
from typing import Any, Self

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.helpers.servers.loopback import Loopback

Rule = Callable[[str], float]
"""Returns the rating of a text, from 1 to 5."""

POLL_S = 0.01
"""Pause between two checks whether the replies that are held back were released."""


def text_of(body: Mapping[str, Any]) -> str:
    """Return the text that a request asks about."""
    match = re.search(r'^"(?:[^"\\]|\\.)*"$', body["messages"][-1]["content"], re.MULTILINE)
    return str(json.loads(match.group())) if match else ""


class FakeJudge:
    """The server, in its own thread during the `with` block.

    Attributes:
        url: base URL for a client, "/v1" included.
        requests: bodies of the requests in order of arrival.
        holding: set while a reply is held back.
        released: set it to send the replies that are held back.

    """

    def __init__(
        self,
        rule: Rule,
        *,
        logprobs: str = "returned",
        template: str = "{}",
        status: int = 200,
        hold_after: int | None = None,
    ) -> None:
        """Rate by a rule.

        Args:
            rule: rating of a text.
            logprobs: "returned", "ignored" or "refused".
            template: text of a reply, with "{}" for the rating.
            status: HTTP status of every answer; other than 200: an error.
            hold_after: replies that are sent at once; those after them are held back. None: all.

        """
        self._rule, self._logprobs, self._template, self._status = rule, logprobs, template, status
        self._hold_after = hold_after
        self.holding, self.released = Event(), Event()
        self.requests: list[dict[str, Any]] = []
        self._loopback = Loopback(Starlette(routes=[Route("/v1/chat/completions", self._chat, methods=["POST"])]))
        self.url = self._loopback.url

    def __enter__(self) -> Self:
        """Start serving."""
        self._loopback.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Stop serving."""
        self.released.set()
        self._loopback.stop()

    async def _chat(self, request: Request) -> JSONResponse:
        body = await request.json()
        self.requests.append(body)
        if self._hold_after is not None and len(self.requests) > self._hold_after:
            self.holding.set()
            while not self.released.is_set():
                await asyncio.sleep(POLL_S)
        if self._status != 200:
            return JSONResponse({"error": {"message": "no"}}, self._status, {"retry-after": "0"})
        if body.get("logprobs") and self._logprobs == "refused":
            return JSONResponse({"error": {"message": "logprobs are not supported", "param": "logprobs"}}, 400)
        rating = self._rule(text_of(body))
        draws = random.Random(json.dumps([body["messages"], body.get("seed")]))
        choices = []
        for index in range(body.get("n") or 1):
            drawn = math.floor(rating) + (draws.random() < rating % 1)
            choice: dict[str, Any] = {
                "index": index,
                "message": {"role": "assistant", "content": self._template.format(drawn)},
                "finish_reason": "stop",
            }
            if body.get("logprobs") and self._logprobs == "returned":
                choice["logprobs"] = {"content": [_logprobs(rating)]}
            choices.append(choice)
        usage = {"prompt_tokens": 100, "completion_tokens": len(choices), "total_tokens": 100 + len(choices)}
        return JSONResponse(
            {"id": "x", "object": "chat.completion", "created": 0, "model": body["model"], "choices": choices,
             "usage": usage}
        )  # fmt: skip


def _logprobs(rating: float) -> dict[str, Any]:
    """Split 80 % of the probability between the two nearest ratings; the rest goes to a word."""
    low, fraction = math.floor(rating), rating % 1
    probabilities = {str(low): 0.8 * (1 - fraction), str(low + 1): 0.8 * fraction, "Rating": 0.2}
    top = [
        {"token": token, "logprob": math.log(probability), "bytes": None}
        for token, probability in probabilities.items()
        if probability > 0
    ]
    return {**top[0], "top_logprobs": top}
