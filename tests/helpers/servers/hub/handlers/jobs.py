"""Jobs of the Hub: each is recorded, and ends as the test says once it has been looked at."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from tests.helpers.servers.hub.access import Access
from tests.helpers.servers.hub.handlers.refusals import Refusal
from tests.helpers.servers.hub.storage.store import now

LOGGED = "2026-01-01T00:00:00.000Z"
"""Time of all lines of logs: clients drop lines newer than the Date of the answer, which may be a second old."""


@dataclass
class Job:
    """A job: its owner, its specification as the client sent it, how it ends, and after how many looks."""

    id: str
    namespace: str
    spec: Mapping[str, Any]
    stage: str
    log: tuple[str, ...]
    looks_left: int

    def info(self) -> dict[str, Any]:
        """Return the job as the Hub describes it: names of secrets without their values."""
        stage = "RUNNING" if self.looks_left else self.stage
        spec = {name: self.spec.get(name) for name in ("command", "arguments", "environment", "flavor", "labels")}
        return {
            "id": self.id,
            "createdAt": now(),
            "dockerImage": self.spec.get("dockerImage"),
            "secrets": sorted(self.spec.get("secrets", {})),
            "status": {"stage": stage, "message": None},
            "owner": {"id": "0" * 24, "name": self.namespace, "type": "user"},
            "retry": self.spec.get("attempts", 1) - 1,
            **spec,
        }


@dataclass
class Jobs:
    """All jobs.

    Attributes:
        ends: returns stage and log with which a job of a specification ends.
        looks: number of looks at a job after which it has ended.
        all: the jobs in order.

    """

    ends: Callable[[Mapping[str, Any]], tuple[str, tuple[str, ...]]] = lambda spec: ("COMPLETED", ())
    looks: int = 1
    all: list[Job] = field(default_factory=list)

    async def answer(self, request: Request, access: Access, parts: list[str]) -> Response:
        """Answer a request to /api/jobs/NAMESPACE/..."""
        access.require_write(request)
        match [request.method, *map(unquote, parts)]:
            case ["POST", namespace]:
                spec = await request.json()
                job = Job(f"{len(self.all) + 1:024x}", namespace, spec, *self.ends(spec), self.looks)
                self.all.append(job)
                return JSONResponse(job.info())
            case ["GET", namespace]:
                labels = [pair.split("=", 1) for pair in request.query_params.getlist("label")]
                return JSONResponse([job.info() for job in self._of(namespace) if _has(job, labels)])
            case ["GET", namespace, id_]:
                job = self._job(namespace, id_)
                job.looks_left = max(0, job.looks_left - 1)
                return JSONResponse(job.info())
            case ["GET", namespace, id_, "logs"]:
                tail = int(request.query_params.get("tail", "0"))
                lines = self._job(namespace, id_).log[-tail:]
                return StreamingResponse(map(_event, lines), media_type="text/event-stream")
        raise Refusal(404, "Not Found")

    def _of(self, namespace: str) -> Iterator[Job]:
        return (job for job in self.all if job.namespace == namespace)

    def _job(self, namespace: str, id_: str) -> Job:
        for job in self._of(namespace):
            if job.id == id_:
                return job
        raise Refusal(404, "Job not found")


def _has(job: Job, labels: list[list[str]]) -> bool:
    own = job.spec.get("labels", {})
    return all(own.get(name) == value for name, value in labels)


def _event(line: str) -> str:
    return "data: " + JSONResponse({"timestamp": LOGGED, "data": line}).body.decode() + "\n\n"
