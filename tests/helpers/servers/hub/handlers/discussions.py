"""Answer requests about discussions and pull requests."""

import hashlib
from itertools import takewhile
from typing import Any

from starlette.responses import JSONResponse, Response

from tests.helpers.servers.hub.handlers.refusals import Refusal
from tests.helpers.servers.hub.handlers.repo_request import RepoRequest
from tests.helpers.servers.hub.storage.objects import File
from tests.helpers.servers.hub.storage.store import MAIN, Commit, Discussion, now

STATUSES = {"open": ("open", "draft"), "closed": ("closed", "merged")}


def open_discussion(
    request: RepoRequest, title: str, text: str, *, base: Commit | None, draft: bool = False
) -> Discussion:
    """Open a discussion, or a pull request on top of `base` if that is given."""
    number = max(request.repo.discussions, default=0) + 1
    status = "draft" if draft else "open"
    made = Discussion(number, title, request.user, status, base="" if base is None else base.id)
    request.repo.discussions[number] = made
    if base is not None:
        request.repo.refs[f"refs/pr/{number}"] = base.id
    _event(request, made, "comment", _comment(text))
    return made


async def discussions(request: RepoRequest) -> Response:
    """Answer a request about one discussion or about all."""
    if len(request.parts) == 1:
        return await _start(request) if request.http.method == "POST" else _list(request)
    number = request.parts[1]
    discussion = request.repo.discussions.get(int(number)) if number.isdigit() else None
    if discussion is None:
        raise Refusal(404, "Discussion not found")
    if len(request.parts) == 2:
        return JSONResponse(_summary(request, discussion) | _details(request, discussion))
    change = {"merge": _merge, "status": _status, "comment": _comment_on, "title": _rename}.get(request.parts[2])
    if change is None:
        raise Refusal(404, "Not Found")
    return JSONResponse(change(request, discussion, await request.json()))


async def _start(request: RepoRequest) -> Response:
    body = await request.json()
    base = request.repo.find("main") if body.get("pullRequest") else None
    made = open_discussion(request, body["title"], body.get("description", ""), base=base, draft=base is not None)
    request.store.save(request.repo)
    return JSONResponse({"num": made.num, "pullRequest": base is not None})


def _list(request: RepoRequest) -> Response:
    query = request.http.query_params
    kind, status, author = query.get("type", "all"), query.get("status", "all"), query.get("author")
    matches = [
        _summary(request, entry)
        for entry in reversed(request.repo.discussions.values())
        if kind in ("all", "pull_request" if entry.base else "discussion")
        and (status == "all" or entry.status in STATUSES.get(status, (status,)))
        and author in (None, entry.author)
    ]
    start = 50 * int(query.get("p", "0"))
    return JSONResponse({"discussions": matches[start : start + 50], "count": len(matches), "start": start})


def _summary(request: RepoRequest, discussion: Discussion) -> dict[str, Any]:
    return {
        "num": discussion.num,
        "title": discussion.title,
        "status": discussion.status,
        "isPullRequest": bool(discussion.base),
        "createdAt": discussion.created,
        "author": {"name": discussion.author},
        "repo": {"name": request.repo.id, "type": request.repo.type},
    }


def _details(request: RepoRequest, discussion: Discussion) -> dict[str, Any]:
    events = list(discussion.events)
    if not discussion.base:
        return {"events": events}
    base, head = _ends(request, discussion)
    commits = list(takewhile(lambda commit: commit.id != base.id, request.repo.history(head)))
    for entry in reversed(commits):
        event = {"id": entry.id, "type": "commit", "createdAt": entry.date, "author": {"name": entry.author}}
        events.append(event | {"data": {"subject": entry.title, "oid": entry.id}})
    changes: dict[str, Any] = {"base": MAIN} | ({"mergeCommitId": discussion.merged} if discussion.merged else {})
    main = request.repo.commits[request.repo.refs[MAIN]].files
    touched = _changes(base, head)
    clash = [path for path, file in touched.items() if main.get(path) not in (base.files.get(path), file)]
    conflicts = clash if discussion.status in STATUSES["open"] else []
    diff = "".join(f"diff --git a/{path} b/{path}\n" for path in touched)
    return {"events": events, "changes": changes, "filesWithConflicts": conflicts, "diff": diff}


def _ends(request: RepoRequest, discussion: Discussion) -> tuple[Commit, Commit]:
    return request.repo.commits[discussion.base], request.repo.commits[request.repo.refs[f"refs/pr/{discussion.num}"]]


def _changes(base: Commit, head: Commit) -> dict[str, File | None]:
    """Return the files that a pull request changes; None: it removes the file."""
    paths = dict.fromkeys([*base.files, *head.files])
    return {path: head.files.get(path) for path in paths if base.files.get(path) != head.files.get(path)}


def _merge(request: RepoRequest, discussion: Discussion, body: dict[str, Any]) -> dict[str, Any]:
    """Apply the changes of a pull request to main in one commit."""
    if not discussion.base or discussion.status != "open":
        raise Refusal(409, f"This cannot be merged: it is {discussion.status if discussion.base else 'a discussion'}")
    main = request.repo.commits[request.repo.refs[MAIN]]
    files = dict(main.files)
    for path, file in _changes(*_ends(request, discussion)).items():
        if file is None:
            files.pop(path, None)
        else:
            files[path] = file
    title = f"{discussion.title} (#{discussion.num})"
    # One save stores the commit and the merge, so that a stop in between leaves neither.
    discussion.status = "merged"
    _event(request, discussion, "status-change", {"status": "merged"})
    made = request.store.commit(
        request.repo, MAIN, files, title, body.get("comment", ""), parent=main.id, by=request.user
    )
    discussion.merged = made.id
    request.store.save(request.repo)
    return {"mergeCommitId": made.id}


def _status(request: RepoRequest, discussion: Discussion, body: dict[str, Any]) -> dict[str, Any]:
    if body.get("status") not in ("open", "closed"):
        raise Refusal(400, "A status is open or closed")
    if discussion.status == "merged":
        raise Refusal(409, "This pull request was merged")
    discussion.status = body["status"]
    event = _event(request, discussion, "status-change", {"status": body["status"]})
    if body.get("comment"):
        _event(request, discussion, "comment", _comment(body["comment"]))
    request.store.save(request.repo)
    return {"newStatus": event}


def _comment_on(request: RepoRequest, discussion: Discussion, body: dict[str, Any]) -> dict[str, Any]:
    event = _event(request, discussion, "comment", _comment(body["comment"]))
    request.store.save(request.repo)
    return {"newMessage": event}


def _rename(request: RepoRequest, discussion: Discussion, body: dict[str, Any]) -> dict[str, Any]:
    event = _event(request, discussion, "title-change", {"from": discussion.title, "to": body["title"]})
    discussion.title = body["title"]
    request.store.save(request.repo)
    return {"newTitle": event}


def _comment(text: str) -> dict[str, Any]:
    return {"edited": False, "hidden": False, "latest": {"raw": text, "html": text}}


def _event(request: RepoRequest, discussion: Discussion, kind: str, data: dict[str, Any]) -> dict[str, Any]:
    name = hashlib.sha1(f"{request.repo.id} {discussion.num} {len(discussion.events)}".encode()).hexdigest()[:24]
    event = {"id": name, "type": kind, "createdAt": now(), "author": {"name": request.user}, "data": data}
    discussion.events.append(event)
    return event
