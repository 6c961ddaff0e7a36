"""Route each request to its handler."""

import json
from typing import Any
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.helpers.servers.hub.access import Access
from tests.helpers.servers.hub.handlers import cards, discussions, lfs, reading, writing
from tests.helpers.servers.hub.handlers.jobs import Jobs
from tests.helpers.servers.hub.handlers.refusals import Refusal, no_repo
from tests.helpers.servers.hub.handlers.repo_request import RepoRequest
from tests.helpers.servers.hub.storage.store import PREFIXES, Store

READ = {
    "revision": reading.info,
    "tree": reading.tree,
    "paths-info": reading.paths_info,
    "refs": writing.refs,
    "commits": writing.commits,
    "xet-read-token": reading.xet_token,
}
WRITE = {
    "preupload": writing.preupload,
    "commit": writing.commit,
    "tag": writing.tag,
    "branch": writing.branch,
    "super-squash": writing.squash,
}


class Routes:
    """Answers requests from the data of a store."""

    def __init__(self, store: Store, access: Access, multipart: int | None) -> None:
        """Serve `store`; contents of more than `multipart` bytes are uploaded in parts of that size."""
        self.url = ""
        self.jobs = Jobs()
        self._store, self._access, self._multipart = store, access, multipart

    async def answer(self, request: Request) -> Response:
        """Answer one request."""
        # Revisions such as refs/pr/1 are one encoded part; the decoded path would split them.
        path = request.scope["raw_path"].decode().split("?")[0]
        parts = path.strip("/").split("/")
        try:
            return await self._route(request, parts)
        except Refusal as refusal:
            return refusal.response()

    async def _route(self, request: Request, parts: list[str]) -> Response:
        match [request.method, *parts]:
            case [_, "_lfs", *rest]:
                return await lfs.storage(request, self._store.objects, rest)
            case [_, "api", "models" | "datasets" | "spaces" as kinds, user, name, *rest]:
                return await self._api(self._about(request, kinds[:-1], f"{user}/{name}", rest))
            case [_, "api", "jobs", *rest]:
                return await self.jobs.answer(request, self._access, rest)
            case [_, "api", *rest]:
                return await self._site(request, "/".join(rest))
            case [_, "datasets" | "spaces" as kinds, user, name, *rest]:
                return await self._repo(request, kinds[:-1], (user, name), rest)
            case [_, user, name, *rest]:
                return await self._repo(request, "model", (user, name), rest)
        raise no_repo()

    async def _site(self, request: Request, path: str) -> Response:
        """Answer a request that names no repository in its path."""
        match request.method, path:
            case "GET", "whoami-v2":
                return self._access.whoami(request)
            case "POST", "validate-yaml":
                return await _validate(request)
            case "POST", "repos/create":
                return await self._create(request)
            case "DELETE", "repos/delete":
                return await self._delete(request)
        raise no_repo()

    async def _repo(self, request: Request, kind: str, user_name: tuple[str, str], rest: list[str]) -> Response:
        """Answer a request to the address of a repository."""
        name = "/".join(user_name)
        match [request.method, *rest]:
            case ["GET" | "HEAD", "resolve", _, _, *_]:
                return await reading.resolve(self._about(request, kind, name, rest))
            case ["POST", "info", "lfs", "objects", what] if name.endswith(".git"):
                repo_request = self._about(request, kind, name.removesuffix(".git"), [])
                self._access.require_write(request)
                return await (
                    lfs.verify(repo_request) if what == "verify" else lfs.batch(repo_request, self._multipart)
                )
        raise no_repo()

    def _about(self, request: Request, kind: str, name: str, parts: list[str]) -> RepoRequest:
        repo = self._access.visible(request, self._store.repos.get((kind, unquote(name))))
        return RepoRequest(request, self._store, repo, [unquote(part) for part in parts], self.url, self._access.user)

    async def _api(self, request: RepoRequest) -> Response:
        what, method = request.parts[0] if request.parts else "revision", request.http.method
        if what == "xet-write-token":
            self._access.require_write(request.http)
            return await reading.xet_token(request)
        if method in ("GET", "HEAD") or what == "paths-info":
            if what == "discussions":
                return await discussions.discussions(request)
            if what == "auth-check":
                return Response()
            if what in READ:
                return await READ[what](request)
        else:
            self._access.require_write(request.http)
            if what == "discussions":
                return await discussions.discussions(request)
            if what in WRITE:
                return await WRITE[what](request)
        raise Refusal(404, "Not Found")

    async def _create(self, request: Request) -> Response:
        self._access.require_write(request)
        body = json.loads(await request.body())
        kind, name = self._named(body)
        facts: dict[str, Any] = {"url": f"{self.url}/{PREFIXES[kind]}{name}", "name": name, "id": name}
        if (kind, name) in self._store.repos:
            raise Refusal(409, f"You already created this {kind} repo: {name}", **facts)
        self._store.create(kind, name, private=bool(body.get("private") or body.get("visibility") == "private"))
        return JSONResponse(facts)

    async def _delete(self, request: Request) -> Response:
        self._access.require_write(request)
        body = json.loads(await request.body())
        self._store.delete(self._access.visible(request, self._store.repos.get(self._named(body))))
        return Response("OK")

    def _named(self, body: dict[str, Any]) -> tuple[str, str]:
        """Return type and name of the repository in a body."""
        return body.get("type") or "model", f"{body.get('organization') or self._access.user}/{body['name']}"


async def _validate(request: Request) -> Response:
    errors, warnings = cards.check(json.loads(await request.body())["content"])
    answer = {"errors": [{"message": text} for text in errors], "warnings": [{"message": text} for text in warnings]}
    return JSONResponse(answer | ({"error": errors[0]} if errors else {}), 400 if errors else 200)
