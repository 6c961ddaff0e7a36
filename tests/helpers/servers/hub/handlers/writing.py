"""Answer requests about commits, tags and branches."""

import base64
import json
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from starlette.responses import JSONResponse, Response

from tests.helpers.servers.hub.handlers.discussions import open_discussion
from tests.helpers.servers.hub.handlers.refusals import Refusal, no_entry, no_revision
from tests.helpers.servers.hub.handlers.repo_request import RepoRequest
from tests.helpers.servers.hub.storage.objects import File, goes_to_lfs, pointer
from tests.helpers.servers.hub.storage.store import MAIN


async def preupload(request: RepoRequest) -> Response:
    """Answer with the upload mode of each file and the content that its path has."""
    commit = request.commit()
    answers = []
    for file in (await request.json())["files"]:
        path, current = file["path"], commit.files.get(file["path"])
        lfs = goes_to_lfs(path, file["size"], base64.b64decode(file["sample"]))
        entry = {
            "path": path,
            "uploadMode": "lfs" if lfs else "regular",
            "shouldIgnore": _is_ignored(request, commit.files, path),
        }
        answers.append(entry | ({"oid": current.etag} if current is not None else {}))
    return JSONResponse({"files": answers, "commitOid": commit.id})


def _is_ignored(request: RepoRequest, files: Mapping[str, File], path: str) -> bool:
    """Return whether a line of the repository's .gitignore names a path, one of its folders or its file name."""
    if ".gitignore" not in files:
        return False
    patterns = request.store.objects.path(files[".gitignore"]).read_text(encoding="utf-8").split()
    parts = path.split("/")
    names = [path, parts[-1], *(f"{'/'.join(parts[:end])}/" for end in range(1, len(parts)))]
    return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)


async def commit(request: RepoRequest) -> Response:
    """Add a commit to a branch, or open a pull request with it."""
    lines = [json.loads(line) for line in (await request.http.body()).splitlines() if line.strip()]
    header = next((line["value"] for line in lines if line["key"] == "header"), None)
    if header is None or not header.get("summary"):
        raise Refusal(400, "A commit needs a header with a summary")
    repo, opens, parent = request.repo, request.flag("create_pr"), header.get("parentCommit") or ""
    head, ref = request.commit(), repo.ref(request.part(1))
    if opens and parent:
        if (base := repo.find(parent)) is None:
            raise no_revision(parent)
        head = base
    elif not opens and (ref is None or ref.startswith("refs/tags/")):
        raise Refusal(400, "A commit goes to a branch or a pull request")
    elif parent and not (len(parent) > 6 and head.id.startswith(parent)):
        raise Refusal(412, "A commit has happened since. Please refresh and try again.")
    for line in lines:
        if line["key"] == "lfsFile" and request.store.xet is not None and "size" in line["value"]:
            await request.store.xet.fetch(request.key, line["value"]["oid"], line["value"]["size"])
    files = _changed(request, dict(head.files), head.id, lines)
    title, message = header["summary"], header.get("description", "")
    number = None
    if opens:
        number = open_discussion(request, title, message, base=head).num
        ref = f"refs/pr/{number}"
    made = request.store.commit(repo, ref or MAIN, files, title, message, parent=head.id, by=request.user)
    answer: dict[str, Any] = {"success": True, "commitOid": made.id, "commitUrl": f"{request.address}/commit/{made.id}"}
    answer |= {"pullRequestUrl": f"{request.address}/discussions/{number}"} if opens else {}
    return JSONResponse(answer | {"hookOutput": ""})


def _changed(request: RepoRequest, files: dict[str, File], head: str, lines: list[dict[str, Any]]) -> dict[str, File]:
    """Apply the operations of a commit to the files of its parent."""
    for line in lines:
        path = line["value"].get("path", "")
        match line["key"]:
            case "header":
                pass
            case "file":
                files[path] = _blob(request, line["value"])
            case "lfsFile":
                files[path] = _pointer(request, line["value"])
            case "deletedFile" | "deletedFolder" as key:
                prefix = path.rstrip("/") + "/"
                gone = [name for name in files if name == path or (key == "deletedFolder" and name.startswith(prefix))]
                if not gone:
                    raise no_entry(path, head)
                for name in gone:
                    del files[name]
            case key:
                raise Refusal(400, f"Unknown operation {key}")
    return files


def _blob(request: RepoRequest, value: dict[str, Any]) -> File:
    content = value["content"]
    return request.store.objects.add(
        base64.b64decode(content) if value.get("encoding") == "base64" else content.encode()
    )


def _pointer(request: RepoRequest, value: dict[str, Any]) -> File:
    size = request.store.objects.size(value["oid"])
    if size is None or size != value.get("size", size):
        refused = "Your push was rejected because an LFS pointer pointed to a file that does not exist."
        raise Refusal(400, f"{refused} Offending file: - {value['path']}")
    return pointer(value["oid"], size)


async def tag(request: RepoRequest) -> Response:
    """Create or delete a tag."""
    if request.http.method == "DELETE":
        return _delete_ref(request, f"refs/tags/{request.part(1)}")
    commit = request.commit()
    name = (await request.json()).get("tag")
    if not name:
        raise Refusal(400, "A tag needs a name")
    return _create_ref(request, f"refs/tags/{name}", commit.id)


async def branch(request: RepoRequest) -> Response:
    """Create or delete a branch."""
    name = request.part(1)
    if request.http.method == "DELETE":
        if name == "main":
            raise Refusal(400, "The main branch cannot be deleted")
        return _delete_ref(request, f"refs/heads/{name}")
    if name.startswith("refs/"):
        raise Refusal(400, "Invalid reference for a branch")
    start = (await request.json()).get("startingPoint", "main")
    if (commit := request.repo.find(start)) is None:
        raise no_revision(start)
    return _create_ref(request, f"refs/heads/{name}", commit.id)


def _create_ref(request: RepoRequest, ref: str, commit: str) -> Response:
    if ref in request.repo.refs:
        raise Refusal(409, "Reference already exists")
    request.repo.refs[ref] = commit
    request.store.save(request.repo)
    return Response(status_code=201)


def _delete_ref(request: RepoRequest, ref: str) -> Response:
    if request.repo.refs.pop(ref, None) is None:
        raise no_revision(ref)
    request.store.save(request.repo)
    return Response(status_code=204)


async def refs(request: RepoRequest) -> Response:
    """Answer with branches and tags, and with pull requests on request."""

    def named(start: str) -> list[dict[str, str]]:
        refs = [(ref, oid) for ref, oid in request.repo.refs.items() if ref.startswith(start)]
        return [{"name": ref.removeprefix(start), "ref": ref, "targetCommit": oid} for ref, oid in refs]

    answer = {"branches": named("refs/heads/"), "tags": named("refs/tags/"), "converts": []}
    if request.flag("include_prs"):
        answer["pullRequests"] = named("refs/pr/")
    return JSONResponse(answer)


async def commits(request: RepoRequest) -> Response:
    """Answer with the commits up to a revision, newest first."""
    return JSONResponse(
        [
            {"id": entry.id, "title": entry.title, "message": entry.message, "date": entry.date}
            | {"authors": [{"user": entry.author}]}
            for entry in request.repo.history(request.commit())
        ]
    )


async def squash(request: RepoRequest) -> Response:
    """Squash the history of a branch into one commit."""
    head, ref = request.commit(), request.repo.ref(request.part(1))
    title = (await request.json()).get("message") or "Super-squash"
    made = request.store.commit(request.repo, ref or MAIN, head.files, title, parent="", by=request.user)
    return JSONResponse({"commitId": made.id})
