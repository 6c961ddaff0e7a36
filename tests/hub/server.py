"""Dataset repositories on loopback: what the clients of Hugging Face ask of the Hub when they read.

    with Hub() as hub:
        hub.publish("user/personagen", folder, tag="v1.0.0")
        subprocess.run([sys.executable, "-c", code], env=os.environ | hub.env())

The address of the Hub is read when `huggingface_hub` is imported, so clients run in processes of their own.
"""

import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.loopback import Loopback

Files = Mapping[str, bytes]
"""What a commit holds, by path."""


@dataclass
class Repo:
    """A dataset repository: commits by id, and the branches and tags that name them."""

    commits: dict[str, Files] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)

    def commit(self, revision: str) -> str | None:
        """Find the commit that a revision names; None where there is none."""
        revision = unquote(revision)
        return revision if revision in self.commits else self.refs.get(revision)


class Hub:
    """A Hub that serves what was published to it; a context manager.

    Attributes:
        requests: method and path of every request, in order.
        url: its address.

    """

    def __init__(self) -> None:
        """Bind to a free port."""
        self._repos: dict[str, Repo] = {}
        self.requests: list[str] = []
        app = Starlette(routes=[Route("/{path:path}", self._answer, methods=["GET", "HEAD", "POST"])])
        self._loopback = Loopback(app)
        self.url = self._loopback.url.removesuffix("/v1")

    def __enter__(self) -> Self:
        """Start serving."""
        self._loopback.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop serving."""
        self._loopback.stop()

    def env(self) -> dict[str, str]:
        """Environment that leads clients here."""
        return {"HF_ENDPOINT": self.url, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}

    def publish(self, repo: str, folder: Path, tag: str | None = None) -> str:
        """Make a folder the newest commit of a repository; gives the id of the commit."""
        files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        commit = hashlib.sha1(repr([(path, _oid(content)) for path, content in files.items()]).encode()).hexdigest()
        found = self._repos.setdefault(repo, Repo())
        found.commits[commit] = files
        found.refs |= {"main": commit} | ({tag: commit} if tag else {})
        return commit

    async def _answer(self, request: Request) -> Response:
        # Revisions such as refs/pr/1 come encoded as one part: only the raw path tells where they end.
        path = request.scope["raw_path"].decode().split("?")[0]
        self.requests.append(f"{request.method} {path}")
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "datasets"] and len(parts) >= 4:
            return await self._api(request, "/".join(parts[2:4]), parts[4:])
        if parts[0] == "datasets" and len(parts) > 5 and parts[3] == "resolve":
            return self._resolve(request, "/".join(parts[1:3]), parts[4], unquote("/".join(parts[5:])))
        return _missing("RepoNotFound")

    async def _api(self, request: Request, name: str, parts: list[str]) -> Response:
        repo = self._repos.get(name)
        if repo is None:
            return _missing("RepoNotFound")
        what, *rest = parts or ["revision", "main"]
        commit = repo.commit(rest[0]) if rest else None
        if commit is None:
            return _missing("RevisionNotFound")
        files = repo.commits[commit]
        if what == "revision":
            siblings = [{"rfilename": path} for path in files]
            return JSONResponse({"id": name, "sha": commit, "private": False, "tags": [], "siblings": siblings})
        found: list[dict[str, Any]] = []
        if what == "tree":
            recursive = request.query_params.get("recursive", "").lower() in ("true", "1")
            found = _tree(files, unquote("/".join(rest[1:])), recursive=recursive)
        if what == "paths-info":
            asked = (await request.body()).decode()
            paths = [unquote(part[6:].replace("+", " ")) for part in asked.split("&") if part.startswith("paths=")]
            found = [entry for path in paths if (entry := _entry(files, path)) is not None]
        return JSONResponse(found) if found or what == "paths-info" else _missing("EntryNotFound")

    def _resolve(self, request: Request, name: str, revision: str, path: str) -> Response:
        repo = self._repos.get(name)
        if repo is None:
            return _missing("RepoNotFound")
        commit = repo.commit(revision)
        if commit is None:
            return _missing("RevisionNotFound")
        content = repo.commits[commit].get(path)
        if content is None:
            return _missing("EntryNotFound", {"X-Repo-Commit": commit})
        headers = {"X-Repo-Commit": commit, "ETag": f'"{_oid(content)}"', "Accept-Ranges": "bytes"}
        kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
        wanted, status = request.headers.get("range", ""), 200
        if wanted.startswith("bytes="):
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start = int(first) if first else len(content) - int(last)
            stop = min(int(last) + 1, len(content)) if first and last else len(content)
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
            content, status = content[start:stop], 206
        return Response(content, status, headers, kind)


def _missing(code: str, headers: Mapping[str, str] | None = None) -> Response:
    told = {"X-Error-Code": code, "X-Error-Message": "not here"}
    return JSONResponse({"error": "not here"}, 404, {**told, **(headers or {})})


def _oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _entry(files: Files, path: str) -> dict[str, Any] | None:
    if path in files:
        return {"type": "file", "path": path, "size": len(files[path]), "oid": _oid(files[path])}
    if any(each.startswith(f"{path}/") for each in files):
        return {"type": "directory", "path": path, "oid": _oid(path.encode()), "size": 0}
    return None


def _tree(files: Files, folder: str, *, recursive: bool) -> list[dict[str, Any]]:
    """List the files and folders in a folder; those in the folders of it too where `recursive`."""
    prefix = f"{folder}/" if folder else ""
    found: dict[str, None] = {}
    for path in files:
        if path.startswith(prefix):
            parts = path.removeprefix(prefix).split("/")
            depths = range(1, len(parts) + 1) if recursive else (1,)
            found |= dict.fromkeys(prefix + "/".join(parts[:depth]) for depth in depths)
    return [entry for path in found if (entry := _entry(files, path)) is not None]
