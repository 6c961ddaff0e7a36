"""What is in a commit: folders, files and their contents."""

import hashlib
import mimetypes
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from starlette.responses import JSONResponse, Response, StreamingResponse

from tests.helpers.servers.hub.answers import Refusal, no_entry
from tests.helpers.servers.hub.asked import Asked
from tests.helpers.servers.hub.cards import front_matter
from tests.helpers.servers.hub.objects import CHUNK, POINTER, File
from tests.helpers.servers.hub.store import Commit, Repo


async def info(asked: Asked) -> Response:
    """Describe the repository at a revision."""
    repo, commit = asked.repo, asked.commit()
    first = next(iter(repo.commits.values()))
    siblings = [
        {"rfilename": path} | (_sibling(file) if asked.flag("blobs") else {}) for path, file in commit.files.items()
    ]
    told = {
        "_id": hashlib.sha1(f"{repo.type} {repo.id}".encode()).hexdigest()[:24],
        "id": repo.id,
        "author": repo.id.partition("/")[0],
        "sha": commit.id,
        "private": repo.private,
        "createdAt": first.date,
        "lastModified": commit.date,
        "siblings": siblings,
    }
    told |= {"gated": False, "disabled": False, "downloads": 0, "likes": 0, "tags": []}
    if (readme := commit.files.get("README.md")) is not None:
        content = asked.store.objects.path(readme).read_bytes().decode(errors="replace")
        told |= {"cardData": found} if isinstance(found := front_matter(content), dict) else {}
    return JSONResponse(told)


def _sibling(file: File) -> dict[str, Any]:
    lfs = {"lfs": {"sha256": file.lfs, "size": file.size, "pointerSize": _pointer_size(file)}} if file.lfs else {}
    return {"size": file.size, "blobId": file.oid} | lfs


async def tree(asked: Asked) -> Response:
    """List a folder."""
    commit, folder = asked.commit(), "/".join(asked.parts[2:])
    found = entries(asked, commit, folder, recursive=asked.flag("recursive"))
    if not found and folder:
        raise no_entry(folder, commit.id)
    return JSONResponse(_expanded(asked.repo, commit, found) if asked.flag("expand") else found)


async def paths_info(asked: Asked) -> Response:
    """Describe files and folders; those that are not there are left out."""
    commit = asked.commit()
    form = parse_qs((await asked.request.body()).decode())
    found = []
    for path in form.get("paths", []):
        folder, _, _ = path.rpartition("/")
        found += [entry for entry in entries(asked, commit, folder, recursive=False) if entry["path"] == path]
    expand = form.get("expand", [""])[0].lower() == "true"
    return JSONResponse(_expanded(asked.repo, commit, found) if expand else found)


def entries(asked: Asked, commit: Commit, folder: str, *, recursive: bool) -> list[dict[str, Any]]:
    """Describe the files and folders in a folder; those in the folders of it too where `recursive`."""
    prefix = f"{folder}/" if folder else ""
    folders: dict[str, Any] = {}
    found: dict[str, dict[str, Any]] = {}
    for path, file in commit.files.items():
        if not path.startswith(prefix):
            continue
        *above, _ = path.removeprefix(prefix).split("/")
        for depth in range(1, len(above) + 1):
            name = prefix + "/".join(above[:depth])
            folders.setdefault(name, hashlib.sha1()).update(f"{path} {file.oid}\n".encode())
            if recursive or depth == 1:
                found.setdefault(name, {"type": "directory", "path": name, "size": 0})
        if recursive or not above:
            found[path] = _entry(asked, path, file)
    for name, entry in found.items():
        if entry["type"] == "directory":
            entry["oid"] = folders[name].hexdigest()
    return list(found.values())


def _entry(asked: Asked, path: str, file: File) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": path, "size": file.size, "oid": file.oid}
    if file.lfs:
        entry["lfs"] = {"oid": file.lfs, "size": file.size, "pointerSize": _pointer_size(file)}
        entry |= {"xetHash": found} if (found := _xet_hash(asked, file)) is not None else {}
    return entry


def _xet_hash(asked: Asked, file: File) -> str | None:
    return asked.store.xet.hash(asked.key, file.lfs) if asked.store.xet is not None and file.lfs else None


async def xet_token(asked: Asked) -> Response:
    """Say where chunks are."""
    if asked.store.xet is None:
        raise Refusal(404, "Xet is off")
    told = asked.store.xet.token(asked.key, write=asked.parts[0] == "xet-write-token")
    names = {"casUrl": told["X-Xet-Cas-Url"], "accessToken": told["X-Xet-Access-Token"]}
    return JSONResponse(names | {"exp": int(told["X-Xet-Token-Expiration"])}, headers=told)


def _pointer_size(file: File) -> int:
    return len(POINTER.format(file.lfs, file.size))


def _expanded(repo: Repo, commit: Commit, found: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add the commit that last changed each."""
    history = list(repo.history(commit))

    def below(files: Any, path: str) -> list[tuple[str, str]]:
        return sorted((name, file.oid) for name, file in files.items() if name == path or name.startswith(f"{path}/"))

    def last(path: str) -> Commit:
        wanted = below(commit.files, path)
        for newer, older in zip(history, [*history[1:], None], strict=True):
            if older is None or below(older.files, path) != wanted:
                return newer
        return commit

    told = []
    for entry in found:
        change = last(entry["path"])
        told.append(entry | {"lastCommit": {"id": change.id, "title": change.title, "date": change.date}})
    return told


async def resolve(asked: Asked) -> Response:
    """Send a file, or a range of it, from the disk."""
    commit, path = asked.commit(), "/".join(asked.parts[2:])
    file = commit.files.get(path)
    if file is None:
        raise no_entry(path, commit.id)
    headers = {"X-Repo-Commit": commit.id, "ETag": f'"{file.etag}"', "Accept-Ranges": "bytes"}
    if file.lfs:
        headers |= {"X-Linked-Etag": f'"{file.lfs}"', "X-Linked-Size": str(file.size)}
        if (found := _xet_hash(asked, file)) is not None:
            route = f"{asked.url}/api/{asked.repo.type}s/{asked.repo.id}/xet-read-token/{commit.id}"
            headers |= {"X-Xet-Hash": found, "X-Xet-Refresh-Route": route, "Link": f'<{route}>; rel="xet-auth"'}
    start, stop, status = 0, file.size, 200
    if (wanted := asked.request.headers.get("range", "")).startswith("bytes="):
        start, stop = _range(wanted.removeprefix("bytes="), file.size)
        status = 206
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{file.size}"
    headers["Content-Length"] = str(stop - start)
    kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
    if asked.request.method == "HEAD":
        return Response(None, status, headers, kind)
    return StreamingResponse(_content(asked.store.objects.path(file), start, stop), status, headers, kind)


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
