"""Commits that arrive once or not at all, whatever happens to the answers; many files by way of a pull request."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from personagen.builder.errors import HubError
from personagen.builder.hub_calls import TRIES, Caller, passing, wait_before
from personagen.builder.hub_files import Change, Files, Place, operations, remote_files

COMMIT_FILES = 250
"""Files of one commit at most: the Hub cuts off what takes it too long."""

UPLOAD_BYTES = 64_000_000
"""Bytes that are sent together: hf_xet takes several times as much memory."""


def head_of(caller: Caller, place: Place, *, absent: bool = False) -> str:
    """Look up the commit that a branch is at; `absent` raises what the client does where there is none."""

    def look() -> str:
        info = caller.api.repo_info(place.repo, repo_type=place.kind, revision=place.branch)
        return str(info.sha)

    found: str = caller.patiently(f"look at {place.repo}", look, absent=absent)
    return found


def holds(there: Files, wanted: Files, gone: Sequence[str] = ()) -> bool:
    """Tell whether a commit holds these files, and no longer those that are gone."""
    return all(path in there and file.same(there[path]) for path, file in wanted.items()) and not any(
        path in there for path in gone
    )


def commit(caller: Caller, place: Place, head: str, change: Change, message: str) -> str:
    """Bring a change to a branch that is at `head`; gives the commit that holds it.

    A commit whose answer was lost is recognised by its files.

    Raises:
        HubError: the Hub refuses, or somebody else was faster; the message says what became of the branch.

    """
    what = f"commit to {place.repo}, {place.branch} is as it was"
    parts = _uploaded(caller, place, change, what)
    for number in range(TRIES):
        with caller.told(what):
            try:
                done = caller.api.create_commit(
                    place.repo,
                    parts,
                    commit_message=message,
                    repo_type=place.kind,
                    revision=place.branch,
                    parent_commit=head,
                )
            except Exception as error:
                if not passing(error):
                    raise
                arrived = _arrived(caller, place, head, change)
                if arrived is not None:
                    return arrived
                if number + 1 == TRIES:
                    raise
                pause = wait_before(error, number)
            else:
                return str(done.oid)
        caller.sleep(pause)
    raise AssertionError("the last try returns or raises")


def _uploaded(caller: Caller, place: Place, change: Change, what: str, *, create_pr: bool = False) -> list[Any]:
    """Make the operations of a commit, and send the contents of large files, so many bytes at a time."""
    parts = operations(change.send, change.delete)
    # What is deleted comes after what is sent.
    large = [(part, file.size) for part, file in zip(parts, change.send.values(), strict=False) if file.path]
    done, total = 0, sum(size for _, size in large)
    for group in _groups(large):
        send = partial(
            caller.api.preupload_lfs_files,
            place.repo,
            [part for part, _ in group],
            repo_type=place.kind,
            revision=place.branch,
            create_pr=create_pr,
            free_memory=False,
        )
        caller.progress(done, total)
        caller.patiently(what, send)
        done += sum(size for _, size in group)
        caller.progress(done, total)
    return parts


def _groups(files: Sequence[tuple[Any, int]]) -> Iterator[list[tuple[Any, int]]]:
    """Gather files up to `UPLOAD_BYTES`, or one that is larger."""
    group: list[tuple[Any, int]] = []
    for part, size in files:
        if group and sum(each for _, each in group) + size > UPLOAD_BYTES:
            yield group
            group = []
        group.append((part, size))
    if group:
        yield group


def _arrived(caller: Caller, place: Place, head: str, change: Change) -> str | None:
    """Look whether a commit has arrived of which no answer came; None where the branch is as it was."""
    try:
        now = head_of(caller, place)
        there = remote_files(caller, place, now) if now != head else {}
    except HubError as error:
        raise HubError(f"{error}; whether the commit has arrived is not known: run the same command again") from error
    if now == head:
        return None
    if holds(there, {**change.send, **change.keep}, change.delete):
        return now
    raise HubError(
        f"{place.repo} was changed by somebody else meanwhile ({place.branch} is at {now[:12]}), and has nothing of "
        "this; look at it, then run the same command again"
    )


def gather(caller: Caller, place: Place, head: str, change: Change, message: str) -> int:
    """Put a change into a pull request, in as many commits as it takes; gives its number.

    One that was left half made is gone on with: it bears the message, and the commit it goes out from.
    """
    title = f"{message} on {head[:12]}"
    number = _find(caller, place, title)
    if number is None:
        first = dict(list(change.send.items())[:COMMIT_FILES])
        number = _open(caller, place, head, replace(change, send=first, delete=()), title)
    branch = replace(place, branch=f"refs/pr/{number}")
    at = head_of(caller, branch)
    there = remote_files(caller, branch, at)
    left = {path: file for path, file in change.send.items() if path not in there or not file.same(there[path])}
    delete = [path for path in change.delete if path in there]
    for start in range(0, len(left), COMMIT_FILES):
        part = dict(list(left.items())[start : start + COMMIT_FILES])
        at = commit(caller, branch, at, Change(part, {}, ()), message)
    if delete:
        commit(caller, branch, at, Change({}, {}, delete), message)
    return number


def _find(caller: Caller, place: Place, title: str) -> int | None:
    def listed() -> list[Any]:
        return list(
            caller.api.get_repo_discussions(
                place.repo, repo_type=place.kind, discussion_type="pull_request", discussion_status="open"
            )
        )

    found = caller.patiently(f"list the pull requests of {place.repo}", listed)
    return next((each.num for each in found if each.title == title), None)


def _open(caller: Caller, place: Place, head: str, change: Change, title: str) -> int:
    what = f"open a pull request at {place.repo}, {place.branch} is as it was"
    parts = _uploaded(caller, place, change, what, create_pr=True)
    for number in range(TRIES):
        with caller.told(what):
            try:
                done = caller.api.create_commit(
                    place.repo,
                    parts,
                    commit_message=title,
                    repo_type=place.kind,
                    revision=place.branch,
                    parent_commit=head,
                    create_pr=True,
                )
            except Exception as error:
                if not passing(error):
                    raise
                found = _find(caller, place, title)
                if found is not None:
                    return found
                if number + 1 == TRIES:
                    raise
                pause = wait_before(error, number)
            else:
                assert done.pr_num is not None, "a pull request was asked for"
                return int(done.pr_num)
        caller.sleep(pause)
    raise AssertionError("the last try returns or raises")


def merge(caller: Caller, place: Place, head: str, number: int, change: Change) -> str:
    """Merge a pull request into a branch that is still at `head`; gives the commit that holds the change.

    Raises:
        HubError: the branch has moved, or the merge fails; the pull request stays open then.

    """
    if head_of(caller, place) != head:
        raise HubError(
            f"{place.repo} was changed by somebody else meanwhile: pull request {number} was not merged, "
            f"{place.branch} has nothing of it; look at it, then run the same command again"
        )

    def merged() -> str:
        try:
            caller.api.merge_pull_request(place.repo, number, repo_type=place.kind)
        except Exception as error:
            if not passing(error) or (arrived := _arrived(caller, place, head, change)) is None:
                raise
            return arrived
        return head_of(caller, place)

    done: str = caller.patiently(f"merge pull request {number} of {place.repo}, {place.branch} is as it was", merged)
    if not holds(remote_files(caller, place, done), {**change.send, **change.keep}, change.delete):
        raise HubError(f"{place.repo} was changed by somebody else while pull request {number} was merged; look at it")
    return done


def tags(caller: Caller, place: Place) -> dict[str, str]:
    """List the tags of a repository with their commits."""
    refs = caller.patiently(
        f"list the tags of {place.repo}", lambda: caller.api.list_repo_refs(place.repo, repo_type=place.kind)
    )
    return {tag.name: str(tag.target_commit) for tag in refs.tags}


def set_tag(caller: Caller, place: Place, tag: str, at: str) -> None:
    """Give a commit a name; one that it has already is no error.

    Raises:
        HubError: the Hub refuses, or another commit was given the name meanwhile.

    """

    def create() -> None:
        try:
            caller.api.create_tag(place.repo, tag=tag, revision=at, repo_type=place.kind)
        except Exception as error:
            if not passing(error) or tags(caller, place).get(tag) != at:
                raise

    caller.patiently(f"set the tag {tag} of {place.repo}, {place.branch} holds the release ({at[:12]})", create)
