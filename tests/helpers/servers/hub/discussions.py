"""Discussions and pull requests."""

import hashlib
from itertools import takewhile
from typing import Any

from starlette.responses import JSONResponse, Response

from tests.helpers.servers.hub.answers import Refusal
from tests.helpers.servers.hub.asked import Asked
from tests.helpers.servers.hub.objects import File
from tests.helpers.servers.hub.store import MAIN, Commit, Discussion, now

STATUSES = {"open": ("open", "draft"), "closed": ("closed", "merged")}


def open_discussion(asked: Asked, title: str, text: str, *, base: Commit | None, draft: bool = False) -> Discussion:
    """Start a discussion; a pull request on top of `base` if there is one."""
    number = max(asked.repo.discussions, default=0) + 1
    status = "draft" if draft else "open"
    made = Discussion(number, title, asked.user, status, base="" if base is None else base.id)
    asked.repo.discussions[number] = made
    if base is not None:
        asked.repo.refs[f"refs/pr/{number}"] = base.id
    _event(asked, made, "comment", _comment(text))
    return made


async def discussions(asked: Asked) -> Response:
    """Answer what is asked about all discussions, or about one."""
    if len(asked.parts) == 1:
        return await _start(asked) if asked.request.method == "POST" else _list(asked)
    number = asked.parts[1]
    found = asked.repo.discussions.get(int(number)) if number.isdigit() else None
    if found is None:
        raise Refusal(404, "Discussion not found")
    if len(asked.parts) == 2:
        return JSONResponse(_told(asked, found) | _details(asked, found))
    change = {"merge": _merge, "status": _status, "comment": _say, "title": _rename}.get(asked.parts[2])
    if change is None:
        raise Refusal(404, "Not Found")
    return JSONResponse(change(asked, found, await asked.json()))


async def _start(asked: Asked) -> Response:
    body = await asked.json()
    base = asked.repo.find("main") if body.get("pullRequest") else None
    made = open_discussion(asked, body["title"], body.get("description", ""), base=base, draft=base is not None)
    asked.store.save(asked.repo)
    return JSONResponse({"num": made.num, "pullRequest": base is not None})


def _list(asked: Asked) -> Response:
    query = asked.request.query_params
    kind, status, author = query.get("type", "all"), query.get("status", "all"), query.get("author")
    found = [
        _told(asked, each)
        for each in reversed(asked.repo.discussions.values())
        if kind in ("all", "pull_request" if each.base else "discussion")
        and (status == "all" or each.status in STATUSES.get(status, (status,)))
        and author in (None, each.author)
    ]
    start = 50 * int(query.get("p", "0"))
    return JSONResponse({"discussions": found[start : start + 50], "count": len(found), "start": start})


def _told(asked: Asked, discussion: Discussion) -> dict[str, Any]:
    return {
        "num": discussion.num,
        "title": discussion.title,
        "status": discussion.status,
        "isPullRequest": bool(discussion.base),
        "createdAt": discussion.created,
        "author": {"name": discussion.author},
        "repo": {"name": asked.repo.id, "type": asked.repo.type},
    }


def _details(asked: Asked, discussion: Discussion) -> dict[str, Any]:
    events = list(discussion.events)
    if not discussion.base:
        return {"events": events}
    base, head = _ends(asked, discussion)
    own = list(takewhile(lambda commit: commit.id != base.id, asked.repo.history(head)))
    for each in reversed(own):
        told = {"id": each.id, "type": "commit", "createdAt": each.date, "author": {"name": each.author}}
        events.append(told | {"data": {"subject": each.title, "oid": each.id}})
    changes: dict[str, Any] = {"base": MAIN} | ({"mergeCommitId": discussion.merged} if discussion.merged else {})
    main = asked.repo.commits[asked.repo.refs[MAIN]].files
    touched = _changes(base, head)
    clash = [path for path, file in touched.items() if main.get(path) not in (base.files.get(path), file)]
    conflicts = clash if discussion.status in STATUSES["open"] else []
    diff = "".join(f"diff --git a/{path} b/{path}\n" for path in touched)
    return {"events": events, "changes": changes, "filesWithConflicts": conflicts, "diff": diff}


def _ends(asked: Asked, discussion: Discussion) -> tuple[Commit, Commit]:
    return asked.repo.commits[discussion.base], asked.repo.commits[asked.repo.refs[f"refs/pr/{discussion.num}"]]


def _changes(base: Commit, head: Commit) -> dict[str, File | None]:
    """Say what a pull request changes, None for what it removes."""
    paths = dict.fromkeys([*base.files, *head.files])
    return {path: head.files.get(path) for path in paths if base.files.get(path) != head.files.get(path)}


def _merge(asked: Asked, discussion: Discussion, body: dict[str, Any]) -> dict[str, Any]:
    """Apply what a pull request changed to main, as one commit."""
    if not discussion.base or discussion.status != "open":
        raise Refusal(409, f"This cannot be merged: it is {discussion.status if discussion.base else 'a discussion'}")
    main = asked.repo.commits[asked.repo.refs[MAIN]]
    files = dict(main.files)
    for path, file in _changes(*_ends(asked, discussion)).items():
        if file is None:
            files.pop(path, None)
        else:
            files[path] = file
    title = f"{discussion.title} (#{discussion.num})"
    # One save tells of the commit and of the merge: whoever is stopped in between finds neither.
    discussion.status = "merged"
    _event(asked, discussion, "status-change", {"status": "merged"})
    made = asked.store.commit(asked.repo, MAIN, files, title, body.get("comment", ""), parent=main.id, by=asked.user)
    discussion.merged = made.id
    asked.store.save(asked.repo)
    return {"mergeCommitId": made.id}


def _status(asked: Asked, discussion: Discussion, body: dict[str, Any]) -> dict[str, Any]:
    if body.get("status") not in ("open", "closed"):
        raise Refusal(400, "A status is open or closed")
    if discussion.status == "merged":
        raise Refusal(409, "This pull request was merged")
    discussion.status = body["status"]
    event = _event(asked, discussion, "status-change", {"status": body["status"]})
    if body.get("comment"):
        _event(asked, discussion, "comment", _comment(body["comment"]))
    asked.store.save(asked.repo)
    return {"newStatus": event}


def _say(asked: Asked, discussion: Discussion, body: dict[str, Any]) -> dict[str, Any]:
    event = _event(asked, discussion, "comment", _comment(body["comment"]))
    asked.store.save(asked.repo)
    return {"newMessage": event}


def _rename(asked: Asked, discussion: Discussion, body: dict[str, Any]) -> dict[str, Any]:
    event = _event(asked, discussion, "title-change", {"from": discussion.title, "to": body["title"]})
    discussion.title = body["title"]
    asked.store.save(asked.repo)
    return {"newTitle": event}


def _comment(text: str) -> dict[str, Any]:
    return {"edited": False, "hidden": False, "latest": {"raw": text, "html": text}}


def _event(asked: Asked, discussion: Discussion, kind: str, data: dict[str, Any]) -> dict[str, Any]:
    name = hashlib.sha1(f"{asked.repo.id} {discussion.num} {len(discussion.events)}".encode()).hexdigest()[:24]
    event = {"id": name, "type": kind, "createdAt": now(), "author": {"name": asked.user}, "data": data}
    discussion.events.append(event)
    return event
