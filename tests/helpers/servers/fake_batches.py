"""A small Batch API on loopback: files, batches that finish after a number of polls, and trouble on demand.

    with FakeBatches(polls=2, trouble=[Trouble("create", "cut", nth=1)]) as server:
        connect(server.url); ...; assert server.repeated() == {}

Lines are answered as tests/helpers/servers/fake_openai.py answers requests, with the same faults.
"""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.parser import BytesParser
from types import TracebackType
from typing import Any, Self

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.helpers.servers.fake_openai import CutResponse, Fault, completion
from tests.helpers.servers.loopback import Loopback

ENDPOINTS = ("upload", "create", "list", "retrieve", "content")
KINDS = (
    "status",  # answer `status` with `body` and `headers` instead of acting
    "cut",  # act, and break the connection in the middle of the reply
    "hold",  # wait until the client is gone instead of acting
    "hold_after",  # act, and wait until the client is gone
)


@dataclass(frozen=True, slots=True)
class Trouble:
    """One fault of an endpoint.

    Attributes:
        endpoint: one of ENDPOINTS.
        kind: one of KINDS.
        nth: number of the call of the endpoint, from 1; None: every call.
        status: HTTP status of kind "status".
        body: its body; a mapping is sent as JSON, a string unchanged.
        headers: its headers.

    """

    endpoint: str
    kind: str
    nth: int | None = None
    status: int = 500
    body: Mapping[str, Any] | str = field(default_factory=lambda: {"error": {"message": "the server is overloaded"}})
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Reject unknown names: a typing error would make a test pass without its trouble."""
        if self.endpoint not in ENDPOINTS or self.kind not in KINDS:
            raise ValueError(f"unknown trouble {self.endpoint} {self.kind}, expected {ENDPOINTS} and {KINDS}")


@dataclass(frozen=True, slots=True)
class Fate:
    """End of a batch that does not succeed.

    Attributes:
        status: "failed", "expired" or "cancelled".
        errors: code, message and line of each error of a failed batch.
        done: fraction of the lines that are answered before it expires or is cancelled.
        listed: whether the error file lists the lines that were not answered.

    """

    status: str
    errors: Sequence[Mapping[str, Any]] = ()
    done: float = 0.5
    listed: bool = True


FULL = Fate("failed", [{"code": "token_limit_exceeded", "message": "Enqueued token limit reached", "line": None}])


@dataclass(slots=True)
class Batch:
    """A batch of the server.

    Attributes:
        number: from 1, in order of creation.
        data: the batch as the API returns it.
        lines: its requests.
        fate: how it ends; None: it succeeds.
        polls: number of times that it was retrieved.

    """

    number: int
    data: dict[str, Any]
    lines: list[dict[str, Any]]
    fate: Fate | None
    polls: int = 0

    @property
    def keys(self) -> list[str]:
        """Custom ids of its lines."""
        return [line["custom_id"] for line in self.lines]


class FakeBatches:
    """The server, in its own thread during the `with` block.

    Attributes:
        url: base URL for a client, "/v1" included.
        polls: number of polls after which a batch is over; may be changed at any time.
        calls: endpoints in order of their calls, failed ones included.
        uploads: uploaded files, by id.
        batches: batches in order of creation.
        headers: headers of the calls, names in lower case.
        urls: their paths and queries.
        room: upper bound on the lines that wait in batches; a batch beyond it fails. None: no limit.

    """

    def __init__(
        self,
        *,
        polls: int = 1,
        trouble: Sequence[Trouble] = (),
        fates: Mapping[int, Fate] | None = None,
        faults: Sequence[Fault] = (),
        page: int = 100,
        answer: Callable[[Mapping[str, Any]], tuple[int, Any]] | None = None,
        prefix: str = "/v1",
        chat_path: str = "/v1/chat/completions",
    ) -> None:
        """Bind to a free port of 127.0.0.1.

        Args:
            polls: see the attributes.
            trouble: faults of endpoints.
            fates: ends of batches, by number from 1.
            faults: faults of lines; their `nth` is ignored.
            page: upper bound on the batches per page of the list.
            answer: returns status and body of a line's answer from its request; None: as fake_openai.py answers.
            prefix: path before that of every call.
            chat_path: path of the chat completions that batches and their lines name.

        """
        self._trouble = [*trouble]
        self._fates = dict(fates or {})
        self._faults = [(fault, [fault.times]) for fault in faults]
        self._page = page
        self._custom_answer = answer
        self._chat_path = chat_path
        self.headers: list[dict[str, str]] = []
        self.urls: list[str] = []
        self._files: dict[str, bytes] = {}
        self._lock = threading.Lock()
        self.polls = polls
        self.calls: list[str] = []
        self.uploads: dict[str, bytes] = {}
        self.batches: list[Batch] = []
        self.room: int | None = None
        app = Starlette(
            routes=[
                Route(f"{prefix}/files", self._serve("upload", self._upload), methods=["POST"]),
                Route(f"{prefix}/files/{{id}}/content", self._serve("content", self._content)),
                Route(f"{prefix}/batches", self._serve("create", self._create), methods=["POST"]),
                Route(f"{prefix}/batches", self._serve("list", self._list)),
                Route(f"{prefix}/batches/{{id}}", self._serve("retrieve", self._retrieve)),
            ]
        )
        self._loopback = Loopback(app)
        self.url = self._loopback.url

    def __enter__(self) -> Self:
        """Start serving."""
        self._loopback.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Stop serving."""
        self._loopback.stop()

    def submitted(self) -> Counter[str]:
        """Count the accepted batches of each request."""
        accepted = [batch for batch in self.batches if batch.fate is None or batch.fate.status != "failed"]
        return Counter(key for batch in accepted for key in batch.keys)

    def repeated(self) -> dict[str, int]:
        """Return the requests that were submitted, and so paid for, more than once."""
        return {key: count for key, count in self.submitted().items() if count > 1}

    def waiting(self) -> list[Batch]:
        """List the batches that are not over."""
        return [batch for batch in self.batches if batch.data["status"] in ("validating", "in_progress")]

    def _serve(self, endpoint: str, act: Any) -> Any:
        async def serve(request: Request) -> Response:
            self.calls.append(endpoint)
            self.headers.append(dict(request.headers))
            self.urls.append(f"{request.url.path}?{request.url.query}".rstrip("?"))
            number = self.calls.count(endpoint)
            current = [one for one in self._trouble if one.endpoint == endpoint and one.nth in (None, number)]
            for trouble in current:
                if trouble.kind == "status":
                    text = trouble.body if isinstance(trouble.body, str) else json.dumps(trouble.body)
                    media = "text/html" if isinstance(trouble.body, str) else "application/json"
                    return Response(text, trouble.status, dict(trouble.headers), media)
                if trouble.kind == "hold":
                    await self._gone(request)
                    return Response()
            answer: Response = await act(request)
            for trouble in current:
                if trouble.kind == "hold_after":
                    await self._gone(request)
                if trouble.kind == "cut":
                    return CutResponse()
            return answer

        return serve

    async def _gone(self, request: Request) -> None:
        while not await request.is_disconnected():
            await asyncio.sleep(0.01)

    async def _upload(self, request: Request) -> Response:
        head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
        form = BytesParser().parsebytes(head + await request.body())
        parts = {part.get_param("name", header="content-disposition"): part for part in form.get_payload()}  # type: ignore[union-attr]
        assert parts["purpose"].get_payload() == "batch"  # type: ignore[union-attr]
        content = parts["file"].get_payload(decode=True)  # type: ignore[union-attr]
        assert isinstance(content, bytes)
        id_ = f"file-in{len(self.uploads) + 1}"
        self.uploads[id_] = content
        return JSONResponse(
            {
                "id": id_,
                "object": "file",
                "bytes": len(content),
                "created_at": 0,
                "filename": "x",
                "purpose": "batch",
                "status": "processed",
            }
        )

    async def _create(self, request: Request) -> Response:
        body = await request.json()
        assert (body["endpoint"], body["completion_window"]) == (self._chat_path, "24h")
        number = len(self.batches) + 1
        lines = [json.loads(line) for line in self.uploads[body["input_file_id"]].splitlines()]
        assert all((line["method"], line["url"]) == ("POST", self._chat_path) for line in lines)
        assert len({line["custom_id"] for line in lines}) == len(lines)
        fate = self._fates.get(number)
        if self.room is not None and len(lines) + sum(len(batch.lines) for batch in self.waiting()) > self.room:
            fate = FULL
        data = {"id": f"batch_{number}", "object": "batch", "created_at": number, "status": "validating"} | body
        self.batches.append(Batch(number, data, lines, fate))
        return JSONResponse(data)

    async def _list(self, request: Request) -> Response:
        newest = [batch.data for batch in reversed(self.batches)]
        after = request.query_params.get("after")
        start = 1 + [data["id"] for data in newest].index(after) if after else 0
        page = newest[start : start + min(self._page, int(request.query_params["limit"]))]
        return JSONResponse({"object": "list", "data": page, "has_more": start + len(page) < len(newest)})

    async def _retrieve(self, request: Request) -> Response:
        batch = next((one for one in self.batches if one.data["id"] == request.path_params["id"]), None)
        if batch is None:
            return JSONResponse({"error": {"message": "No batch found"}}, 404)
        batch.polls += 1
        if batch.data["status"] in ("validating", "in_progress"):
            refused = batch.fate is not None and batch.fate.status == "failed"
            over = batch.polls > self.polls or refused
            batch.data["status"] = "in_progress"
            if over:
                self._finish(batch)
        return JSONResponse(batch.data)

    def _finish(self, batch: Batch) -> None:
        fate = batch.fate or Fate("completed", done=1.0)
        batch.data["status"] = fate.status
        if fate.status == "failed":
            batch.data["errors"] = {"object": "list", "data": [dict(error) for error in fate.errors]}
            return
        answered = round(len(batch.lines) * fate.done)
        output: list[dict[str, Any]] = []
        errors: list[dict[str, Any]] = []
        for number, line in enumerate(batch.lines):
            result = {"id": f"req_{number}", "custom_id": line["custom_id"], "response": None, "error": None}
            if number < answered:
                status, body = self._answer(line["body"])
                result["response"] = {"status_code": status, "request_id": "r", "body": body}
                (output if status == 200 else errors).append(result)
            elif fate.listed:
                errors.append(
                    result | {"error": {"code": f"batch_{fate.status}", "message": "This request could not be run."}}
                )
        # The API returns results in any order.
        for name, lines in (("output_file_id", output[::-1]), ("error_file_id", errors)):
            if lines:
                id_ = f"file-{name[:3]}{batch.number}"
                self._files[id_] = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
                batch.data[name] = id_

    def _answer(self, body: Mapping[str, Any]) -> tuple[int, Any]:
        if self._custom_answer is not None:
            return self._custom_answer(body)
        kinds = []
        for fault, left in self._faults:
            contained = any(fault.contains in message["content"] for message in body["messages"])
            if not contained or fault.seed not in (None, body.get("seed")) or left[0] == 0:
                continue
            asked = (body.get("response_format") or {}).get("type")
            if fault.kind == "refuse_format" and asked not in fault.formats:
                continue
            left[0] = None if left[0] is None else left[0] - 1
            if fault.kind == "status":
                return fault.status, fault.body
            if fault.kind == "refuse_format":
                message = f"response_format of type {asked!r} is not supported by this model"
                return 400, {"error": {"message": message, "param": "response_format"}}
            kinds.append(fault.kind)
        return 200, completion(body, kinds)

    async def _content(self, request: Request) -> Response:
        id_ = request.path_params["id"]
        if id_ not in self._files:
            return JSONResponse({"error": {"message": "No such File object"}}, 404)
        return Response(self._files[id_], media_type="application/binary")

    def lose(self) -> None:
        """Forget batches and results, as a server does in the end."""
        self._files.clear()
        self.batches.clear()

    def quiet(self) -> None:
        """End all trouble."""
        self._trouble.clear()
