"""Which address asks for what."""

import json
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.hub import cards, discussions, lfs, reading, writing
from tests.hub.access import Access
from tests.hub.answers import Refusal
from tests.hub.asked import Asked
from tests.hub.store import PREFIXES, Repo, Store

READ = {
    "revision": reading.info,
    "tree": reading.tree,
    "paths-info": reading.paths_info,
    "refs": writing.refs,
    "commits": writing.commits,
}
WRITE = {
    "preupload": writing.preupload,
    "commit": writing.commit,
    "tag": writing.tag,
    "branch": writing.branch,
    "super-squash": writing.squash,
}


class Routes:
    """Answers requests from what a store holds."""

    def __init__(self, store: Store, access: Access, multipart: int | None) -> None:
        """Serve `store`; contents of more than `multipart` bytes come in parts of that size."""
        self.url = ""
        self._store, self._access, self._multipart = store, access, multipart

    async def answer(self, request: Request) -> Response:
        """Answer one request."""
        # Revisions such as refs/pr/1 come encoded as one part: only the raw path tells where they end.
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
            case ["GET", "api", "whoami-v2"]:
                return self._access.whoami(request)
            case ["POST", "api", "validate-yaml"]:
                return await _validate(request)
            case ["POST", "api", "repos", "create"]:
                return await self._create(request)
            case ["DELETE", "api", "repos", "delete"]:
                return await self._delete(request)
            case [_, "api", types, user, name, *rest] if types in ("models", "datasets", "spaces"):
                return await self._api(self._asked(request, types[:-1], f"{user}/{name}", rest))
            case _:
                return await self._repo(request, parts)

    async def _repo(self, request: Request, parts: list[str]) -> Response:
        """Answer what is asked by the address of a repository itself."""
        types = {"datasets": "dataset", "spaces": "space"}
        type = types.get(parts[0], "model")
        user, name, *rest = [*(parts if type == "model" else parts[1:]), "", ""][: len(parts) + 2]
        match [request.method, *[part for part in rest if part]]:
            case ["GET" | "HEAD", "resolve", _, _, *_]:
                return await reading.resolve(self._asked(request, type, f"{user}/{name}", rest[: rest.index("")]))
            case ["POST", "info", "lfs", "objects", what] if name.endswith(".git"):
                asked = self._asked(request, type, f"{user}/{name.removesuffix('.git')}", [])
                self._access.need_write(request)
                return await (lfs.verify(asked) if what == "verify" else lfs.batch(asked, self._multipart))
        raise Refusal(404, "Repository not found", "RepoNotFound")

    def _asked(self, request: Request, type: str, id: str, parts: list[str]) -> Asked:
        repo = self._access.see(request, self._store.repos.get((type, unquote(id))))
        return Asked(request, self._store, repo, [unquote(part) for part in parts], self.url, self._access.user)

    async def _api(self, asked: Asked) -> Response:
        what, method = asked.parts[0] if asked.parts else "revision", asked.request.method
        if method in ("GET", "HEAD") or what == "paths-info":
            if what == "discussions":
                return await discussions.discussions(asked)
            if what == "auth-check":
                return Response()
            if what in READ:
                return await READ[what](asked)
        else:
            self._access.need_write(asked.request)
            if what == "discussions":
                return await discussions.discussions(asked)
            if what in WRITE:
                return await WRITE[what](asked)
        raise Refusal(404, "Not Found")

    async def _create(self, request: Request) -> Response:
        self._access.need_write(request)
        body = json.loads(await request.body())
        type = body.get("type") or "model"
        id = f"{body.get('organization') or self._access.user}/{body['name']}"
        told = {"url": f"{self.url}/{PREFIXES[type]}{id}", "name": id, "id": id}
        if (type, id) in self._store.repos:
            raise Refusal(409, f"You already created this {type} repo: {id}", **told)
        self._store.create(type, id, private=bool(body.get("private") or body.get("visibility") == "private"))
        return JSONResponse(told)

    async def _delete(self, request: Request) -> Response:
        self._access.need_write(request)
        body = json.loads(await request.body())
        id = f"{body.get('organization') or self._access.user}/{body['name']}"
        repo: Repo = self._access.see(request, self._store.repos.get((body.get("type") or "model", id)))
        self._store.delete(repo)
        return Response("OK")


async def _validate(request: Request) -> Response:
    errors, warnings = cards.check(json.loads(await request.body())["content"])
    told = {"errors": [{"message": text} for text in errors], "warnings": [{"message": text} for text in warnings]}
    return JSONResponse(told | ({"error": errors[0]} if errors else {}), 400 if errors else 200)
