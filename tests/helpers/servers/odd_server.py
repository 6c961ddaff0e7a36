"""A chat server on loopback with one behaviour of the table; it counts its calls and remembers what it wrote.

    with OddServer(behaviour_named("thought: whole")) as server:
        generate(server.base_url); assert server.tally.unusable(texts) == []

As a script (`python -m tests.helpers.servers.odd_server NAME`) it prints its base URL and serves until interrupted.
"""

import argparse
import asyncio
import contextlib
import hashlib
import json
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.helpers.servers.behaviours.records import Behaviour, OddAnswer, OddCall
from tests.helpers.servers.behaviours.replies import completion
from tests.helpers.servers.behaviours.table import ORDINARY, behaviour_named
from tests.helpers.servers.fake_judge import text_of
from tests.helpers.servers.fake_openai import CutResponse, instance, schema_of, sentences
from tests.helpers.servers.loopback import Loopback

EXAMPLE = re.compile(r'\{\\*"(\w+)\\*": *\\*"\.\.\.')
"""JSON example of a prompt, with its key: {"prose": "..."}."""

SENTENCE_END = ".!?。！？।۔"


def rating_of(text: str) -> int:
    """Return the rating that the server as a judge gives a text, from 1 to 5."""
    return 1 + hashlib.sha256(text.encode()).digest()[0] % 5


def ordinary_texts(body: Mapping[str, Any], number: int, *, judge: bool = False) -> tuple[str, ...]:
    """Write the texts of an ordinary server, one per choice.

    They depend on the messages and the seed; without a seed, on the number of the call, as those of a model that
    samples do.

    Args:
        body: the request.
        number: number of the call.
        judge: whether the request asks for a rating.

    """
    if judge:
        return (str(rating_of(text_of(body))),) * (body.get("n") or 1)
    words = json.dumps(body["messages"], ensure_ascii=False)
    texts = []
    for index in range(body.get("n") or 1):
        key = json.dumps([body["messages"], body.get("seed", number), index], sort_keys=True)
        rng = random.Random(hashlib.sha256(key.encode()).digest())
        schema = schema_of(body)
        if schema is not None and "properties" in schema:
            texts.append(json.dumps(instance(schema, rng, schema)))
        elif example := EXAMPLE.search(words):
            texts.append(json.dumps({example[1]: sentences(rng)}))
        else:
            texts.append(sentences(rng))
    return tuple(texts)


def with_plain_content(body: Mapping[str, Any]) -> dict[str, Any]:
    """Replace content in parts by its text, as servers of chat completions do."""
    messages = []
    for message in body["messages"]:
        content = message.get("content") or ""
        parts = [content] if isinstance(content, str) else [part.get("text", "") for part in content]
        messages.append({**message, "content": "".join(parts)})
    return {**body, "messages": messages}


def strings_of(text: str) -> list[str]:
    """Return a text, or the strings of the JSON object that it is."""
    try:
        data = json.loads(text)
    except ValueError:
        return [text]
    return [value for value in data.values() if isinstance(value, str)] if isinstance(data, dict) else [text]


class ServerTally:
    """What a server received, answered and wrote.

    Attributes:
        calls: chat requests in order of arrival.
        answers: their answers, in the same order.
        written: texts that a careful client can use.

    """

    def __init__(self, behaviour: Behaviour, *, judge: bool = False) -> None:
        self._serve = behaviour.make()
        self._judge = judge
        self.calls: list[OddCall] = []
        self.answers: list[OddAnswer] = []
        self.written: set[str] = set()

    def answer(
        self,
        body: Mapping[str, Any],
        *,
        headers: Mapping[str, str] | None = None,
        path: str = "/v1/chat/completions",
        query: Mapping[str, str] | None = None,
    ) -> OddAnswer:
        """Answer one chat request, and count it."""
        body = with_plain_content(body)
        number = len(self.calls) + 1
        texts = ordinary_texts(body, number, judge=self._judge)
        call = OddCall(body, headers or {}, path, query or {}, number, time.monotonic(), texts)
        answer = self._serve(call) or OddAnswer(body=completion(call))
        self.calls.append(call)
        self.answers.append(answer)
        if answer.effect == "text":
            written = texts if answer.texts is None else answer.texts
            self.written.update(" ".join(part.split()) for text in written for part in strings_of(text))
        return answer

    @property
    def wasted(self) -> int:
        """Count the calls that were refused, failed, or paid for without a usable text."""
        return sum(answer.effect in ("unusable", "refused") for answer in self.answers)

    @property
    def paid(self) -> int:
        """Count the calls that were paid for."""
        return sum(answer.effect in ("unusable", "text") for answer in self.answers)

    def effects(self) -> Counter[str]:
        """Count the calls by the use of their answers."""
        return Counter(answer.effect for answer in self.answers)

    def is_usable(self, text: str) -> bool:
        """Return whether a text is what the server wrote as one: whole, or its first complete sentences."""
        plain = " ".join(text.split())
        return plain[-1:] in SENTENCE_END and any(written.startswith(plain) for written in self.written if plain)

    def unusable(self, texts: Sequence[str]) -> list[str]:
        """Return the texts that the server did not write as such: thoughts, halves, refusals, errors."""
        return [text for text in texts if not self.is_usable(text)]


class OddServer:
    """The server, in its own thread during the `with` block.

    Attributes:
        behaviour: its behaviour.
        tally: what it received and answered.
        host: its URL without a path.
        base_url: the address to give to a client.

    """

    def __init__(self, behaviour: Behaviour = ORDINARY, *, judge: bool = False, latency: float = 0.0) -> None:
        """Bind to a free port of 127.0.0.1.

        Args:
            behaviour: a row of the table.
            judge: whether an ordinary text is a rating.
            latency: seconds before each answer.

        """
        self.behaviour = behaviour
        self.tally = ServerTally(behaviour, judge=judge)
        self._latency = latency
        self._loopback = Loopback(Starlette(routes=[Route("/{path:path}", self._chat, methods=["GET", "POST"])]))
        self.host = self._loopback.url.removesuffix("/v1")
        blanks = len(behaviour.address) - len(behaviour.address.lstrip())
        self.base_url = " " * blanks + self.host + behaviour.address.lstrip()

    def __enter__(self) -> Self:
        """Start serving."""
        self._loopback.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Stop serving."""
        self._loopback.stop()

    async def _chat(self, request: Request) -> Response:
        raw = await request.body()
        body = json.loads(raw) if raw else {}
        if "messages" not in body:
            return Response('{"detail": "Not Found"}', 404, media_type="application/json")
        if self._latency:
            await asyncio.sleep(self._latency)
        headers, query = dict(request.headers), dict(request.query_params)
        answer = self.tally.answer(body, headers=headers, path=request.url.path, query=query)
        if answer.cut:
            return CutResponse()
        content, headers = answer.body, dict(answer.headers)
        if not isinstance(content, bytes | str):
            content, headers = json.dumps(content), {"Content-Type": "application/json"} | headers
        return Response(content, answer.status, headers)


def main() -> None:
    """Serve one behaviour until interrupted; print the base URL first."""
    parser = argparse.ArgumentParser(description="Serve one behaviour of the table.")
    parser.add_argument("behaviour", help="name of the behaviour")
    with OddServer(behaviour_named(parser.parse_args().behaviour)) as server:
        print(server.base_url, flush=True)  # noqa: T201
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
