"""Commits that arrive once or not at all, whatever happens to the answers."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from personagen.builder.core.errors import HubError
from personagen.builder.hub.client import Caller
from personagen.builder.hub.repo_files import Change, Files, Place, compare, operations, remote_files

COMMIT_FILES = 25_000
"""Files of one commit at most: the limit of the Hub. Their contents are sent before, so a commit of many is small."""

UPLOAD_BYTES = 64_000_000
"""Bytes that are sent together: hf_xet takes several times as much memory."""


def head_of(caller: Caller, place: Place, *, absent: bool = False) -> str:
    """Look up the commit that a branch is at; `absent` raises what the client does where there is none."""

    def look() -> str:
        info = caller.api.repo_info(place.repo, repo_type=place.kind, revision=place.branch)
        return str(info.sha)

    found: str = caller.patiently(f"look at {place.repo}", look, absent=absent)
    return found


def same_files(there: Files, wanted: Files) -> bool:
    """Tell whether a commit holds these files and no others."""
    return there.keys() == wanted.keys() and all(file.same(there[path]) for path, file in wanted.items())


def after(there: Files, change: Change) -> Files:
    """Work out what a commit holds when a change has come to these files."""
    gone = frozenset(change.delete)
    return {path: file for path, file in {**there, **change.send}.items() if path not in gone}


def commit(caller: Caller, place: Place, head: str, there: Files, change: Change, message: str) -> str:
    """Bring a change to a branch that is at `head` and holds the files `there`; gives the commit.

    A commit whose answer was lost is recognised by its message and its files.

    Raises:
        HubError: the Hub refuses, or somebody else was faster; the message says what became of the branch.

    """
    what = f"commit to {place.repo}, {place.branch} is as it was"
    send = _create(caller, place, _uploaded(caller, place, change, what, create_pr=False), head, message)
    arrived = partial(_arrived, caller, place, head, message, after(there, change))
    done: str = caller.patiently(what, lambda: str(send().oid), arrived=arrived)
    return done


def open_pull_request(caller: Caller, place: Place, head: str, there: Files, change: Change, message: str) -> int:
    """Put a change into a pull request; gives its number. One that holds the very same is not opened again."""
    title = f"{message} on {head[:12]}"
    find = partial(_find, caller, place, title, after(there, change))
    found = find()
    if found is not None:
        return found
    what = f"open a pull request at {place.repo}, {place.branch} is as it was"
    send = _create(caller, place, _uploaded(caller, place, change, what, create_pr=True), head, title)
    number: int = caller.patiently(what, lambda: int(send(create_pr=True).pr_num), arrived=find)
    return number


def _create(caller: Caller, place: Place, parts: list[Any], head: str, message: str) -> Callable[..., Any]:
    """Make the call that creates a commit."""
    return partial(
        caller.api.create_commit,
        place.repo,
        parts,
        commit_message=message,
        repo_type=place.kind,
        revision=place.branch,
        parent_commit=head,
    )


def _uploaded(caller: Caller, place: Place, change: Change, what: str, *, create_pr: bool) -> list[Any]:
    """Make the operations of a commit, and send the contents of large files, so many bytes at a time."""
    count = len(change.send) + len(change.delete)
    if count > COMMIT_FILES:
        raise HubError(
            f"cannot {what}: {count} files are more than the {COMMIT_FILES} that the Hub takes at once; raise "
            "shard_rows"
        )
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


def _arrived(caller: Caller, place: Place, head: str, message: str, wanted: Files) -> str | None:
    """Look whether a commit has arrived of which no answer came; None where the branch is as it was."""
    try:
        now = head_of(caller, place)
        made = _made(caller, place, now, head, message, wanted) if now != head else None
    except HubError as error:
        raise HubError(f"{error}; whether the commit has arrived is not known: run the same command again") from error
    if now != head and made is None:
        raise HubError(
            f"{place.repo} was changed by somebody else meanwhile ({place.branch} is at {now[:12]}), and has nothing "
            "of this; look at it, then run the same command again"
        )
    return made


def _made(caller: Caller, place: Place, now: str, head: str, message: str, wanted: Files) -> str | None:
    """Find our commit among those that came to a branch since it was at `head`; others may have come after it."""

    def listed() -> list[Any]:
        return list(caller.api.list_repo_commits(place.repo, repo_type=place.kind, revision=now))

    for each in caller.patiently(f"list the commits of {place.repo}", listed):
        if each.commit_id == head:
            return None
        if each.title == message and same_files(remote_files(caller, place, each.commit_id), wanted):
            return str(each.commit_id)
    return None


def _find(caller: Caller, place: Place, title: str, wanted: Files) -> int | None:
    """Find an open pull request of this title that holds what is wanted, to the last byte, whoever opened it."""

    def listed() -> list[Any]:
        return list(
            caller.api.get_repo_discussions(
                place.repo, repo_type=place.kind, discussion_type="pull_request", discussion_status="open"
            )
        )

    for each in caller.patiently(f"list the pull requests of {place.repo}", listed):
        if each.title == title and same_files(remote_files(caller, place, f"refs/pr/{each.num}"), wanted):
            return int(each.num)
    return None


def tags(caller: Caller, place: Place) -> dict[str, str]:
    """List the tags of a repository with their commits."""
    refs = caller.patiently(
        f"list the tags of {place.repo}", lambda: caller.api.list_repo_refs(place.repo, repo_type=place.kind)
    )
    return {tag.name: str(tag.target_commit) for tag in refs.tags}


def is_tagged(caller: Caller, place: Place, tag: str, files: Files) -> bool:
    """Tell whether a tag names these files already, whatever else is beside them.

    Raises:
        HubError: the tag names something else.

    """
    at = tags(caller, place).get(tag)
    if at is not None and compare(files, remote_files(caller, place, at)).send:
        raise HubError(
            f"{place.repo} has a tag {tag} already, with other content ({at[:12]}); choose the next version. Nothing "
            "was sent"
        )
    return at is not None


def set_tag(caller: Caller, place: Place, tag: str, at: str) -> None:
    """Give a commit a name; one that it has already is no error.

    Raises:
        HubError: the Hub refuses, or another commit was given the name meanwhile.

    """
    what = f"set the tag {tag} of {place.repo}, {place.branch} holds what was pushed ({at[:12]})"
    create = partial(caller.api.create_tag, place.repo, tag=tag, revision=at, repo_type=place.kind)
    caller.patiently(what, create, arrived=lambda: at if tags(caller, place).get(tag) == at else None)
