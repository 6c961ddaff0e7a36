"""A small OpenAI-compatible server on loopback with deterministic replies and faults on demand.

    with FakeOpenAI(faults=[Fault("status", nth=2, status=429)]) as server:
        connect(server.url); ...; assert len(server.requests) == 3

As a script (`python -m tests.helpers.servers.fake_openai --port 0`) it prints its URL and serves until interrupted.
"""

import argparse
import asyncio
import contextlib
import hashlib
import json
import random
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from tests.helpers.servers.loopback import Loopback

KINDS = (
    "status",  # answer `status` with `body` and `headers`
    "delay",  # wait `seconds`, then answer
    "hang",  # do not answer before the client closes the connection, or `released` is set
    "cut",  # break the connection in the middle of the reply
    "html",  # a web page instead of JSON, with status 200
    "empty_choices",  # "choices": []
    "empty_content",  # the content is ""
    "refusal",  # the content is a polite refusal
    "not_json",  # an open brace and prose where a schema asked for JSON
    "length",  # the content is cut in half, finish_reason "length"
    "content_filter",  # finish_reason "content_filter"
    "refuse_format",  # 400 for a response_format of one of `formats`
    "ignore_n",  # one choice, whatever n says
)
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "age": {"type": "integer", "minimum": 18, "maximum": 20},
        "mood": {"enum": ["plain", "casual"]},
        "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}, "minItems": 2, "maxItems": 2},
    },
    "$defs": {"tag": {"type": "string", "maxLength": 12}},
    "required": ["title", "age", "mood", "tags"],
    "additionalProperties": False,
}
"""A schema with every construct that tests need."""

UNIONS = ("anyOf", "oneOf", "allOf")
REFUSAL = "I'm sorry, but I can't help with that."
PAGE = "<!DOCTYPE html>\n<html><body><h1>It works!</h1></body></html>"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault; it affects the requests that meet all of its conditions.

    Attributes:
        kind: one of KINDS.
        nth: number of the request, from 1 in order of arrival; None: any.
        contains: text that a message of the request must contain; "": any.
        seed: seed of the request; None: any.
        times: number of requests to affect; None: no limit.
        status: HTTP status of kind "status".
        body: its body; a mapping is sent as JSON, a string unchanged.
        headers: its headers, e.g. Retry-After (seconds).
        seconds: delay of kind "delay".
        formats: types of response_format that kind "refuse_format" refuses.

    """

    kind: str
    nth: int | None = None
    contains: str = ""
    seed: int | None = None
    times: int | None = None
    status: int = 500
    body: Mapping[str, Any] | str = field(default_factory=lambda: {"error": {"message": "the server is overloaded"}})
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    formats: tuple[str, ...] = ("json_schema", "json_object")

    def __post_init__(self) -> None:
        """Reject an unknown kind: a typing error would make a test pass without its fault."""
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault {self.kind!r}, expected one of {KINDS}")


def _bank(words: str) -> list[str]:
    return [word.strip() for word in words.split(",")]


# Neutral words only: no name of an emotion and no other emotion word, so that no text leaks its label.
SUBJECTS = _bank("""I, we, my neighbour, the postman, our landlord, my cousin, the librarian, an old colleague,
    the night porter, my sister, two students, the bus driver, our gardener, the new tenant, my uncle, a carpenter,
    the woman next door, my flatmate, the clerk, the plumber""")
VERBS = _bank("""carried, painted, repaired, counted, borrowed, measured, folded, wrapped, photographed, sorted,
    labelled, weighed, polished, moved, sketched, rented, delivered, returned, described, assembled, washed, stacked,
    unpacked, catalogued, exchanged, copied, inspected, varnished, dismantled, tagged""")
ADJECTIVES = _bank("""green, wooden, narrow, second-hand, folding, striped, rusty, oval, woollen, printed, dusty,
    yellow, spare, tall, round, leather, copper, painted, square, grey, plastic, antique, cotton, glazed, hollow,
    portable, woven, purple, numbered, metal, shallow, Danish, framed, padded, electric, rented""")
NOUNS = _bank("""ladder, teapot, suitcase, notebook, bicycle, lampshade, kettle, carpet, umbrella, bookcase, drawer,
    calendar, typewriter, blanket, map, bench, mirror, toolbox, curtain, tray, basket, radio, doormat, stool, envelope,
    clock, jug, bucket, shelf, poster, raincoat, cupboard, parcel, lantern, keyboard, thermos, wheelbarrow, saucepan,
    tablecloth, globe, fence, stamp album, coat rack, spirit level, pillowcase, tripod""")
PLACES = _bank("""behind the station, in the stairwell, near the harbour, at the corner shop, beside the canal,
    in the back yard, on the third floor, under the bridge, at the tram stop, across the square, in the cellar,
    by the town hall, outside the bakery, along the river, in the waiting room, at the allotment, on the landing,
    next to the garage, inside the workshop, opposite the museum, at the ferry pier, in the laundry room""")
TIMES = _bank("""on Monday, before breakfast, last week, around noon, after the meeting, in early March,
    on the way home, during the lunch break, late on Thursday, at half past six, over the weekend,
    two days ago, shortly after nine, between two appointments, in the middle of October, before the shops closed,
    on the first of June, after supper""")
NAMES = _bank("""Marta, Oskar, Leila, Tomas, Ingrid, Pavel, Naomi, Dario, Yuki, Hamid, Greta, Louis, Amara, Stefan,
    Chloe, Mateo, Freya, Igor, Salma, Bruno, Petra, Kofi, Elena, Ravi, Astrid, Jonas, Mina, Felix""")
SHAPES = (
    "{subject} {verb} the {adjective} {noun} {place} {time}",
    "{time} {subject} {verb} a {plain} for {name} {place}",
    "{place} {subject} {verb} {number} boxes and the {adjective} {noun}",
    "{name} said that {subject} {verb} the {noun} {time}",
    "{subject} {verb} one {adjective} {noun}, so {name} {verb2} the other {noun2}",
    "with {number} minutes left, {subject} {verb} the {noun} that {name} had {verb2} {place}",
)


def sentences(rng: random.Random) -> str:
    """Write 15 to 40 words of readable English that name no emotion and end with a full stop."""
    parts: list[str] = []
    wanted = rng.randint(15, 21)
    shapes = rng.sample(SHAPES, len(SHAPES))
    while sum(len(part.split()) for part in parts) < wanted:
        noun, noun2 = rng.sample(NOUNS, 2)
        verb, verb2 = rng.sample(VERBS, 2)
        part = shapes[len(parts)].format(
            subject=rng.choice(SUBJECTS),
            verb=verb,
            verb2=verb2,
            adjective=rng.choice(ADJECTIVES),
            noun=noun,
            noun2=noun2,
            plain=rng.choice([word for word in NOUNS if word[0] not in "aeiou" and word != noun]),
            place=rng.choice(PLACES),
            time=rng.choice(TIMES),
            name=rng.choice(NAMES),
            number=rng.randint(2, 99),
        )
        parts.append(part[0].upper() + part[1:] + ".")
    return " ".join(parts)


def clause(rng: random.Random) -> str:
    """Write one clause without a subject, as an event is described."""
    stem = rng.choice([verb.replace("ied", "yed").removesuffix("ed") for verb in VERBS if verb.endswith("ed")])
    noun, place, time = (rng.choice(bank) for bank in (NOUNS, PLACES, TIMES))
    return f"{stem}ing the {rng.choice(ADJECTIVES)} {noun} {place} {time}"


def instance(schema: Any, rng: random.Random, root: Mapping[str, Any]) -> Any:
    """Draw a value that satisfies a JSON schema (without pattern and if/then).

    Optional properties are included; strings are sentences; "$ref" is resolved in `root`.
    """
    while "$ref" in schema or not schema.keys().isdisjoint(UNIONS):
        schema = _resolved(schema, root)
    if "enum" in schema or "const" in schema:
        return rng.choice(schema.get("enum", [schema.get("const")]))
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if list(schema.get("properties", {})) == ["events"]:
        return {"events": [clause(rng) for _ in range(schema["properties"]["events"]["maxItems"])]}
    if kind == "object":
        return {name: instance(part, rng, root) for name, part in schema.get("properties", {}).items()}
    if kind == "array":
        least = schema.get("minItems", 1)
        count = rng.randint(least, schema.get("maxItems", least + 2))
        return [instance(schema.get("items", {}), rng, root) for _ in range(count)]
    return _scalar(schema, kind, rng)


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Any:
    """Resolve a reference, or return the first alternative of a union."""
    if "$ref" not in schema:
        return next(schema[union][0] for union in UNIONS if union in schema)
    target: Any = root
    for step in schema["$ref"].removeprefix("#/").split("/"):
        target = target[step]
    return target


def _scalar(schema: Mapping[str, Any], kind: str, rng: random.Random) -> Any:
    if kind == "boolean":
        return rng.random() < 0.5
    if kind == "null":
        return None
    if kind in ("integer", "number"):
        low = schema.get("minimum", schema.get("exclusiveMinimum", schema.get("maximum", 100) - 100))
        high = schema.get("maximum", schema.get("exclusiveMaximum", low + 100))
        step = 1 if kind == "integer" else 0.001
        low, high = low + step * ("minimum" not in schema), high - step * ("maximum" not in schema)
        return rng.randint(int(low), int(high)) if kind == "integer" else round(rng.uniform(low, high), 3)
    text = sentences(rng)
    while len(text) < schema.get("minLength", 0):
        text += " " + sentences(rng)
    return text[: schema.get("maxLength", len(text))]


def schema_of(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the schema of a request: from response_format, or a JSON object in a message; None: no schema."""
    response_format = body.get("response_format") or {}
    if response_format.get("type") == "json_schema":
        schema: Mapping[str, Any] = response_format["json_schema"]["schema"]
        return schema
    for message in body["messages"]:
        for brace in re.finditer(r"\{", message["content"]):
            try:
                value, _ = json.JSONDecoder().raw_decode(message["content"], brace.start())
            except json.JSONDecodeError:
                continue
            if isinstance(value, dict) and ("properties" in value or value.get("type") in ("object", "array")):
                return value
    if response_format.get("type") == "json_object":
        return {"type": "object", "properties": {"text": {"type": "string"}}}
    return None


def contents(body: Mapping[str, Any], *, prose: bool = False) -> list[str]:
    """Write the n replies to a request body; they depend on messages, seed and schema only.

    `prose`: write sentences even if the request has a schema.
    """
    schema = None if prose else schema_of(body)
    replies = []
    for index in range(body.get("n") or 1):
        key = json.dumps([body["messages"], body.get("seed"), index], sort_keys=True)
        rng = random.Random(hashlib.sha256(key.encode()).digest())
        replies.append(sentences(rng) if schema is None else json.dumps(instance(schema, rng, schema)))
    return replies


def completion(body: Mapping[str, Any], kinds: Sequence[str] = ()) -> dict[str, Any]:
    """Build the completion of a request body with the faults in `kinds`; words are counted as tokens."""
    body = {**body, "n": 1} if "ignore_n" in kinds else body
    texts = contents(body, prose="not_json" in kinds)
    if "not_json" in kinds:
        texts = ["{" + text for text in texts]
    finish = next((kind for kind in ("length", "content_filter") if kind in kinds), "stop")
    if "length" in kinds:
        texts = [text[: len(text) // 2] for text in texts]
    if "refusal" in kinds:
        texts = [REFUSAL for _ in texts]
    if "empty_content" in kinds:
        texts = ["" for _ in texts]
    choices = [
        {"index": index, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
        for index, text in enumerate(texts)
    ]
    prompt = sum(len(message["content"].split()) for message in body["messages"])
    written = sum(len(text.split()) for text in texts)
    return {
        "id": "chatcmpl-fake",
        "object": "chat.completion",
        "created": 0,
        "model": body["model"],
        "choices": [] if "empty_choices" in kinds else choices,
        "usage": {"prompt_tokens": prompt, "completion_tokens": written, "total_tokens": prompt + written},
    }


class CutResponse(Response):
    """A response that announces more bytes than it sends, so that the HTTP server drops the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the beginning only."""
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000")]})
        await send({"type": "http.response.body", "body": b'{"choices": [', "more_body": True})


class FakeOpenAI:
    """The server, in its own thread during the `with` block.

    Attributes:
        url: base URL for a client, "/v1" included.
        requests: bodies of the chat requests in order of arrival, refused ones included.
        headers: their headers, names in lower case.
        urls: their paths and queries.
        most_in_flight: maximum number of requests that were answered at one time.
        released: set it to have requests of kind "hang" answered.

    """

    def __init__(
        self,
        *,
        faults: Sequence[Fault] = (),
        latency: float = 0.0,
        port: int = 0,
        path: str = "/v1/chat/completions",
        secrets: Mapping[str, str] | None = None,
    ) -> None:
        """Bind to `port` of 127.0.0.1; 0: a free port.

        Args:
            faults: faults of the replies.
            latency: seconds before each reply.
            port: port; 0: a free one.
            path: path of the chat completions; every other one is a 404.
            secrets: headers without which a request is refused with a 401.

        """
        self._secrets = secrets or {}
        self.urls: list[str] = []
        self._faults = [(fault, [fault.times]) for fault in faults]
        self._latency = latency
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.most_in_flight = 0
        self._in_flight = 0
        self.released = threading.Event()
        app = Starlette(routes=[Route(path, self._chat, methods=["POST"])])
        self._loopback = Loopback(app, port)
        self.url = self._loopback.url

    def __enter__(self) -> Self:
        """Start serving."""
        self._loopback.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Stop serving."""
        self._loopback.stop()

    async def _chat(self, request: Request) -> Response:
        body = await request.json()
        self.requests.append(body)
        self.headers.append(dict(request.headers))
        self.urls.append(f"{request.url.path}?{request.url.query}".rstrip("?"))
        if any(request.headers.get(name) != value for name, value in self._secrets.items()):
            return JSONResponse({"error": {"message": "Access denied due to invalid subscription key"}}, 401)
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        try:
            faults = list(self._met(body, len(self.requests)))
            if any(fault.kind == "hang" for fault in faults):
                while not (self.released.is_set() or await request.is_disconnected()):
                    await asyncio.sleep(0.01)
            return await self._answer(body, faults)
        finally:
            self._in_flight -= 1

    def _met(self, body: Mapping[str, Any], number: int) -> Iterator[Fault]:
        for fault, left in self._faults:
            contained = any(fault.contains in message["content"] for message in body["messages"])
            due = fault.nth in (None, number) and fault.seed in (None, body.get("seed"))
            if due and contained and left[0] != 0:
                left[0] = None if left[0] is None else left[0] - 1
                yield fault

    async def _answer(self, body: Mapping[str, Any], faults: Sequence[Fault]) -> Response:
        await asyncio.sleep(self._latency + sum(fault.seconds for fault in faults))
        asked = (body.get("response_format") or {}).get("type")
        for fault in faults:
            if fault.kind == "status":
                text = fault.body if isinstance(fault.body, str) else json.dumps(fault.body)
                media = "text/html" if isinstance(fault.body, str) else "application/json"
                return Response(text, fault.status, dict(fault.headers), media)
            if fault.kind == "refuse_format" and asked in fault.formats:
                message = f"response_format of type {asked!r} is not supported by this model"
                return JSONResponse({"error": {"message": message, "param": "response_format"}}, 400)
            if fault.kind == "cut":
                return CutResponse()
            if fault.kind == "html":
                return HTMLResponse(PAGE)
        return JSONResponse(completion(body, [fault.kind for fault in faults]))


def main() -> None:
    """Serve until interrupted; print the URL first."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0: a free port")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each reply")
    options = parser.parse_args()
    with FakeOpenAI(port=options.port, latency=options.latency) as server:
        print(server.url, flush=True)  # noqa: T201
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
