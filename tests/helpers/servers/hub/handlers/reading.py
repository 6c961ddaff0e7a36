"""Answer requests for folders, files and contents of a commit."""

import hashlib
import mimetypes
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from starlette.responses import JSONResponse, Response, StreamingResponse

from tests.helpers.servers.hub.handlers.cards import front_matter
from tests.helpers.servers.hub.handlers.refusals import Refusal, no_entry
from tests.helpers.servers.hub.handlers.repo_request import RepoRequest
from tests.helpers.servers.hub.storage.objects import CHUNK, POINTER, File
from tests.helpers.servers.hub.storage.store import Commit, Repo


async def info(request: RepoRequest) -> Response:
    """Answer with the facts on a repository at a revision."""
    repo, commit = request.repo, request.commit()
    first = next(iter(repo.commits.values()))
    siblings = [
        {"rfilename": path} | (_sibling(file) if request.flag("blobs") else {}) for path, file in commit.files.items()
    ]
    facts = {
        "_id": hashlib.sha1(f"{repo.type} {repo.id}".encode()).hexdigest()[:24],
        "id": repo.id,
        "author": repo.id.partition("/")[0],
        "sha": commit.id,
        "private": repo.private,
        "createdAt": first.date,
        "lastModified": commit.date,
        "siblings": siblings,
    }
    facts |= {"gated": False, "disabled": False, "downloads": 0, "likes": 0, "tags": []}
    if (readme := commit.files.get("README.md")) is not None:
        content = request.store.objects.path(readme).read_bytes().decode(errors="replace")
        facts |= {"cardData": data} if isinstance(data := front_matter(content), dict) else {}
    return JSONResponse(facts)


def _sibling(file: File) -> dict[str, Any]:
    lfs = {"lfs": {"sha256": file.lfs, "size": file.size, "pointerSize": _pointer_size(file)}} if file.lfs else {}
    return {"size": file.size, "blobId": file.oid} | lfs


async def tree(request: RepoRequest) -> Response:
    """Answer with the entries of a folder."""
    commit, folder = request.commit(), "/".join(request.parts[2:])
    listed = entries(request, commit, folder, recursive=request.flag("recursive"))
    if not listed and folder:
        raise no_entry(folder, commit.id)
    return JSONResponse(_expanded(request.repo, commit, listed) if request.flag("expand") else listed)


async def paths_info(request: RepoRequest) -> Response:
    """Answer with the entries of paths; paths that do not exist are left out."""
    commit = request.commit()
    form = parse_qs((await request.http.body()).decode())
    listed = []
    for path in form.get("paths", []):
        folder, _, _ = path.rpartition("/")
        listed += [entry for entry in entries(request, commit, folder, recursive=False) if entry["path"] == path]
    expand = form.get("expand", [""])[0].lower() == "true"
    return JSONResponse(_expanded(request.repo, commit, listed) if expand else listed)


def entries(request: RepoRequest, commit: Commit, folder: str, *, recursive: bool) -> list[dict[str, Any]]:
    """Return the entries of a folder, with those of its folders if `recursive`."""
    prefix = f"{folder}/" if folder else ""
    folders: dict[str, Any] = {}
    listed: dict[str, dict[str, Any]] = {}
    for path, file in commit.files.items():
        if not path.startswith(prefix):
            continue
        *above, _ = path.removeprefix(prefix).split("/")
        for depth in range(1, len(above) + 1):
            name = prefix + "/".join(above[:depth])
            folders.setdefault(name, hashlib.sha1()).update(f"{path} {file.oid}\n".encode())
            if recursive or depth == 1:
                listed.setdefault(name, {"type": "directory", "path": name, "size": 0})
        if recursive or not above:
            listed[path] = _entry(request, path, file)
    for name, entry in listed.items():
        if entry["type"] == "directory":
            entry["oid"] = folders[name].hexdigest()
    return list(listed.values())


def _entry(request: RepoRequest, path: str, file: File) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": path, "size": file.size, "oid": file.oid}
    if file.lfs:
        entry["lfs"] = {"oid": file.lfs, "size": file.size, "pointerSize": _pointer_size(file)}
        entry |= {"xetHash": xet} if (xet := _xet_hash(request, file)) is not None else {}
    return entry


def _xet_hash(request: RepoRequest, file: File) -> str | None:
    return request.store.xet.hash(request.key, file.lfs) if request.store.xet is not None and file.lfs else None


async def xet_token(request: RepoRequest) -> Response:
    """Answer with the address of the chunk store."""
    if request.store.xet is None:
        raise Refusal(404, "Xet is off")
    headers = request.store.xet.token(request.key, write=request.parts[0] == "xet-write-token")
    names = {"casUrl": headers["X-Xet-Cas-Url"], "accessToken": headers["X-Xet-Access-Token"]}
    return JSONResponse(names | {"exp": int(headers["X-Xet-Token-Expiration"])}, headers=headers)


def _pointer_size(file: File) -> int:
    return len(POINTER.format(file.lfs, file.size))


def _expanded(repo: Repo, commit: Commit, listed: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the entries with the commit that last changed each."""
    history = list(repo.history(commit))

    def below(files: Any, path: str) -> list[tuple[str, str]]:
        return sorted((name, file.oid) for name, file in files.items() if name == path or name.startswith(f"{path}/"))

    def last(path: str) -> Commit:
        wanted = below(commit.files, path)
        for newer, older in zip(history, [*history[1:], None], strict=True):
            if older is None or below(older.files, path) != wanted:
                return newer
        return commit

    expanded = []
    for entry in listed:
        change = last(entry["path"])
        expanded.append(entry | {"lastCommit": {"id": change.id, "title": change.title, "date": change.date}})
    return expanded


async def resolve(request: RepoRequest) -> Response:
    """Answer with the content of a file or a range of it."""
    commit, path = request.commit(), "/".join(request.parts[2:])
    file = commit.files.get(path)
    if file is None:
        raise no_entry(path, commit.id)
    headers = {"X-Repo-Commit": commit.id, "ETag": f'"{file.etag}"', "Accept-Ranges": "bytes"}
    if file.lfs:
        headers |= {"X-Linked-Etag": f'"{file.lfs}"', "X-Linked-Size": str(file.size)}
        if (xet := _xet_hash(request, file)) is not None:
            route = f"{request.url}/api/{request.repo.type}s/{request.repo.id}/xet-read-token/{commit.id}"
            headers |= {"X-Xet-Hash": xet, "X-Xet-Refresh-Route": route, "Link": f'<{route}>; rel="xet-auth"'}
    start, stop, status = 0, file.size, 200
    if (wanted := request.http.headers.get("range", "")).startswith("bytes="):
        start, stop = _range(wanted.removeprefix("bytes="), file.size)
        status = 206
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{file.size}"
    headers["Content-Length"] = str(stop - start)
    kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
    if request.http.method == "HEAD":
        return Response(None, status, headers, kind)
    return StreamingResponse(_content(request.store.objects.path(file), start, stop), status, headers, kind)


def _range(wanted: str, size: int) -> tuple[int, int]:
    first, _, last = wanted.partition("-")
    start = int(first) if first else max(0, size - int(last))
    stop = min(int(last) + 1, size) if first and last else size
    if start >= stop:
        raise Refusal(416, "Range Not Satisfiable", headers={"Content-Range": f"bytes */{size}"})
    return start, stop


async def _content(path: Path, start: int, stop: int) -> AsyncIterator[bytes]:
    with path.open("rb") as source:
        source.seek(start)
        while start < stop:
            chunk = source.read(min(CHUNK, stop - start))
            start += len(chunk)
            yield chunk
