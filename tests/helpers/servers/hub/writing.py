"""Commits, tags and branches."""

import base64
import json
from typing import Any

from starlette.responses import JSONResponse, Response

from tests.helpers.servers.hub.answers import Refusal, no_entry, no_revision
from tests.helpers.servers.hub.asked import Asked
from tests.helpers.servers.hub.discussions import open_discussion
from tests.helpers.servers.hub.objects import File, goes_to_lfs, pointer
from tests.helpers.servers.hub.store import MAIN


async def preupload(asked: Asked) -> Response:
    """Say how each file is to be sent, and what is there under its name."""
    commit = asked.commit()
    told = []
    for file in (await asked.json())["files"]:
        path, there = file["path"], commit.files.get(file["path"])
        lfs = goes_to_lfs(path, file["size"], base64.b64decode(file["sample"]))
        entry = {"path": path, "uploadMode": "lfs" if lfs else "regular", "shouldIgnore": False}
        told.append(entry | ({"oid": there.etag} if there is not None else {}))
    return JSONResponse({"files": told, "commitOid": commit.id})


async def commit(asked: Asked) -> Response:
    """Add a commit to a branch, or make it a pull request."""
    lines = [json.loads(line) for line in (await asked.request.body()).splitlines() if line.strip()]
    header = next((line["value"] for line in lines if line["key"] == "header"), None)
    if header is None or not header.get("summary"):
        raise Refusal(400, "A commit needs a header with a summary")
    repo, opens, parent = asked.repo, asked.flag("create_pr"), header.get("parentCommit") or ""
    head, ref = asked.commit(), repo.ref(asked.part(1))
    if opens and parent:
        if (found := repo.find(parent)) is None:
            raise no_revision(parent)
        head = found
    elif not opens and (ref is None or ref.startswith("refs/tags/")):
        raise Refusal(400, "A commit goes to a branch or a pull request")
    elif parent and not (len(parent) > 6 and head.id.startswith(parent)):
        raise Refusal(412, "A commit has happened since. Please refresh and try again.")
    for line in lines:
        if line["key"] == "lfsFile" and asked.store.xet is not None and "size" in line["value"]:
            await asked.store.xet.fetch(asked.key, line["value"]["oid"], line["value"]["size"])
    files = _changed(asked, dict(head.files), head.id, lines)
    title, message = header["summary"], header.get("description", "")
    number = None
    if opens:
        number = open_discussion(asked, title, message, base=head).num
        ref = f"refs/pr/{number}"
    made = asked.store.commit(repo, ref or MAIN, files, title, message, parent=head.id, by=asked.user)
    told: dict[str, Any] = {"success": True, "commitOid": made.id, "commitUrl": f"{asked.address}/commit/{made.id}"}
    told |= {"pullRequestUrl": f"{asked.address}/discussions/{number}"} if opens else {}
    return JSONResponse(told | {"hookOutput": ""})


def _changed(asked: Asked, files: dict[str, File], head: str, lines: list[dict[str, Any]]) -> dict[str, File]:
    """Apply what a commit says to the files of the one before."""
    for line in lines:
        path = line["value"].get("path", "")
        match line["key"]:
            case "header":
                pass
            case "file":
                files[path] = _blob(asked, line["value"])
            case "lfsFile":
                files[path] = _pointer(asked, line["value"])
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


def _blob(asked: Asked, value: dict[str, Any]) -> File:
    content = value["content"]
    return asked.store.objects.add(base64.b64decode(content) if value.get("encoding") == "base64" else content.encode())


def _pointer(asked: Asked, value: dict[str, Any]) -> File:
    size = asked.store.objects.size(value["oid"])
    if size is None or size != value.get("size", size):
        refused = "Your push was rejected because an LFS pointer pointed to a file that does not exist."
        raise Refusal(400, f"{refused} Offending file: - {value['path']}")
    return pointer(value["oid"], size)


async def tag(asked: Asked) -> Response:
    """Make or remove a tag."""
    if asked.request.method == "DELETE":
        return _remove(asked, f"refs/tags/{asked.part(1)}")
    commit = asked.commit()
    name = (await asked.json()).get("tag")
    if not name:
        raise Refusal(400, "A tag needs a name")
    return _name(asked, f"refs/tags/{name}", commit.id)


async def branch(asked: Asked) -> Response:
    """Make or remove a branch."""
    name = asked.part(1)
    if asked.request.method == "DELETE":
        if name == "main":
            raise Refusal(400, "The main branch cannot be deleted")
        return _remove(asked, f"refs/heads/{name}")
    if name.startswith("refs/"):
        raise Refusal(400, "Invalid reference for a branch")
    start = (await asked.json()).get("startingPoint", "main")
    if (commit := asked.repo.find(start)) is None:
        raise no_revision(start)
    return _name(asked, f"refs/heads/{name}", commit.id)


def _name(asked: Asked, ref: str, commit: str) -> Response:
    if ref in asked.repo.refs:
        raise Refusal(409, "Reference already exists")
    asked.repo.refs[ref] = commit
    asked.store.save(asked.repo)
    return Response(status_code=201)


def _remove(asked: Asked, ref: str) -> Response:
    if asked.repo.refs.pop(ref, None) is None:
        raise no_revision(ref)
    asked.store.save(asked.repo)
    return Response(status_code=204)


async def refs(asked: Asked) -> Response:
    """List branches and tags, and pull requests if they are asked for."""

    def named(start: str) -> list[dict[str, str]]:
        refs = [(ref, oid) for ref, oid in asked.repo.refs.items() if ref.startswith(start)]
        return [{"name": ref.removeprefix(start), "ref": ref, "targetCommit": oid} for ref, oid in refs]

    told = {"branches": named("refs/heads/"), "tags": named("refs/tags/"), "converts": []}
    if asked.flag("include_prs"):
        told["pullRequests"] = named("refs/pr/")
    return JSONResponse(told)


async def commits(asked: Asked) -> Response:
    """List the commits up to a revision, newest first."""
    return JSONResponse(
        [
            {"id": each.id, "title": each.title, "message": each.message, "date": each.date}
            | {"authors": [{"user": each.author}]}
            for each in asked.repo.history(asked.commit())
        ]
    )


async def squash(asked: Asked) -> Response:
    """Make one commit of a branch and all that came before."""
    head, ref = asked.commit(), asked.repo.ref(asked.part(1))
    title = (await asked.json()).get("message") or "Super-squash"
    made = asked.store.commit(asked.repo, ref or MAIN, head.files, title, parent="", by=asked.user)
    return JSONResponse({"commitId": made.id})
