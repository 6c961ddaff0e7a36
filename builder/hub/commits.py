"""Create commits, pull requests and tags on the Hub exactly once, even if the answer of the server is lost."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from personagen.builder.core.errors import HubError
from personagen.builder.core.foreign_text import quote
from personagen.builder.hub.client import HubClient
from personagen.builder.hub.repo_files import (
    FileChanges,
    FilesByPath,
    RepoBranch,
    commit_operations,
    diff_files,
    remote_files,
)

MAX_COMMIT_FILES = 25_000
"""Files per commit that the Hub accepts. Contents are uploaded before, so such a commit is still a small request."""

MAX_UPLOAD_BYTES = 64_000_000
"""Bytes per upload call: hf_xet takes several times as much memory."""


COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
"""Names of commits."""


def head_of(client: HubClient, branch: RepoBranch, *, pass_not_found: bool = False) -> str:
    """Return the commit of a branch; see `HubClient.with_retries` for `pass_not_found`."""

    def look_up() -> str:
        info = client.api.repo_info(branch.repo, repo_type=branch.kind, revision=branch.name)
        return require_commit(info.sha)

    return client.with_retries(f"look at {branch.repo}", look_up, pass_not_found=pass_not_found)


def require_commit(value: Any) -> str:
    """Return the name of a commit in an answer; raise TypeError for anything else."""
    if not isinstance(value, str) or not COMMIT.fullmatch(value):
        raise TypeError(f"no commit: {value!r:.60}")
    return value


def commit(
    client: HubClient, branch: RepoBranch, head: str, files: FilesByPath, changes: FileChanges, message: str
) -> str:
    """Commit changes to a branch and return the commit.

    A commit whose answer was lost is identified by its message and its files.

    Args:
        client: the client.
        branch: the branch.
        head: commit of the branch.
        files: files of `head`.
        changes: files to send and to delete.
        message: title of the commit.

    Raises:
        HubError: the Hub refuses, or the branch was changed by another client; the message reports its state.

    """
    action = f"commit to {branch.repo}, {branch.name} is unchanged"
    send = _create(client, branch, _upload(client, branch, changes, action, create_pr=False), head, message)
    wanted = _after(files, changes)
    recover = partial(_recover, client, branch, head, message, wanted)
    created = client.with_retries(action, lambda: require_commit(send().oid), recover=recover)
    _require_files(client, branch, created, wanted)
    return created


def open_pull_request(
    client: HubClient, branch: RepoBranch, head: str, files: FilesByPath, changes: FileChanges, message: str
) -> int:
    """Open a pull request with changes and return its number; an open one with the same content is returned as is."""
    title = f"{message} on {head[:12]}"
    wanted = _after(files, changes)
    find = partial(_find_pull_request, client, branch, title, wanted)
    number = find()
    if number is not None:
        return number
    action = f"open a pull request at {branch.repo}, {branch.name} is unchanged"
    send = _create(client, branch, _upload(client, branch, changes, action, create_pr=True), head, title)
    number = client.with_retries(action, lambda: int(send(create_pr=True).pr_num), recover=find)
    _require_files(client, branch, f"refs/pr/{number}", wanted)
    return number


def _require_files(client: HubClient, branch: RepoBranch, revision: str, wanted: FilesByPath) -> None:
    """Raise HubError if a commit of ours lacks a file or has another content."""
    present = remote_files(client, branch, revision)
    wrong = [path for path, file in wanted.items() if path not in present or not file.same(present[path])]
    if wrong:
        raise HubError(
            f"{branch.repo} at {revision[:12]} lacks {quote(wrong[0])} ({len(wrong)} of {len(wanted)} files): the Hub "
            "did not keep what was sent; look at its .gitignore, then run the same command again"
        )


def _after(files: FilesByPath, changes: FileChanges) -> FilesByPath:
    """Return the files of a commit after changes."""
    deleted = frozenset(changes.delete)
    return {path: file for path, file in {**files, **changes.send}.items() if path not in deleted}


def _same_files(files: FilesByPath, others: FilesByPath) -> bool:
    return files.keys() == others.keys() and all(file.same(files[path]) for path, file in others.items())


def _create(
    client: HubClient, branch: RepoBranch, operations: list[Any], head: str, message: str
) -> Callable[..., Any]:
    """Return the call that creates a commit."""
    return partial(
        client.api.create_commit,
        branch.repo,
        operations,
        commit_message=message,
        repo_type=branch.kind,
        revision=branch.name,
        parent_commit=head,
    )


def _upload(client: HubClient, branch: RepoBranch, changes: FileChanges, action: str, *, create_pr: bool) -> list[Any]:
    """Upload the contents of large files in groups, and return the operations of the commit.

    Raises:
        HubError: the Hub refuses, cannot be reached, or ignores a file.

    """
    count = len(changes.send) + len(changes.delete)
    if count > MAX_COMMIT_FILES:
        raise HubError(
            f"cannot {action}: {count} files are more than the {MAX_COMMIT_FILES} that the Hub accepts at once; raise "
            "shard_rows"
        )
    operations = commit_operations(changes.send, changes.delete)
    additions = list(zip(operations, changes.send.values(), strict=False))  # deletions follow them
    large = [(operation, file.size) for operation, file in additions if file.path]
    groups = [[operation for operation, _ in group] for group in _groups(large)] or [[]]
    groups[0] += [operation for operation, file in additions if not file.path]  # the Hub says which it ignores
    sizes = {id(operation): size for operation, size in large}
    done, total = 0, sum(sizes.values())
    for group in filter(None, groups):
        send = partial(
            client.api.preupload_lfs_files,
            branch.repo,
            group,
            repo_type=branch.kind,
            revision=branch.name,
            create_pr=create_pr,
            free_memory=False,
        )
        client.progress.advance(done, total)
        client.with_retries(action, send)
        _require_not_ignored(branch, group)
        done += sum(sizes.get(id(operation), 0) for operation in group)
        client.progress.advance(done, total)
    return operations


def _require_not_ignored(branch: RepoBranch, operations: Iterable[Any]) -> None:
    """Raise HubError for a file that the Hub will leave out of the commit, which its client does without a word."""
    for operation in operations:
        if getattr(operation, "_should_ignore", False):
            raise HubError(
                f"{branch.repo} ignores {quote(operation.path_in_repo)} by its .gitignore; delete that line there. "
                "Nothing was committed"
            )


def _groups(files: Sequence[tuple[Any, int]]) -> Iterator[list[tuple[Any, int]]]:
    """Group files up to `MAX_UPLOAD_BYTES`; a larger file is a group of its own."""
    group: list[tuple[Any, int]] = []
    for file, size in files:
        if group and sum(bytes_ for _, bytes_ in group) + size > MAX_UPLOAD_BYTES:
            yield group
            group = []
        group.append((file, size))
    if group:
        yield group


def _recover(client: HubClient, branch: RepoBranch, head: str, message: str, files: FilesByPath) -> str | None:
    """Return the commit that was created although its answer was lost; None: the branch is unchanged."""
    try:
        now = head_of(client, branch)
        ours = _find_commit(client, branch, now, head, message, files) if now != head else None
    except HubError as error:
        raise HubError(f"{error}; whether the commit was created is unknown: run the same command again") from error
    if now != head and ours is None:
        raise HubError(
            f"{branch.repo} was changed by another client meanwhile ({branch.name} is at {now[:12]}), without this "
            "commit; look at it, then run the same command again"
        )
    return ours


def _find_commit(
    client: HubClient, branch: RepoBranch, now: str, head: str, message: str, files: FilesByPath
) -> str | None:
    """Return our commit among those since `head`, possibly below later ones; None: it is not there."""

    def list_commits() -> list[Any]:
        return list(client.api.list_repo_commits(branch.repo, repo_type=branch.kind, revision=now))

    for entry in client.with_retries(f"list the commits of {branch.repo}", list_commits):
        if entry.commit_id == head:
            return None
        if entry.title == message and _same_files(remote_files(client, branch, entry.commit_id), files):
            return str(entry.commit_id)
    return None


def _find_pull_request(client: HubClient, branch: RepoBranch, title: str, files: FilesByPath) -> int | None:
    """Return the number of an open pull request with this title and exactly these files; None: there is none."""

    def list_requests() -> list[Any]:
        return list(
            client.api.get_repo_discussions(
                branch.repo, repo_type=branch.kind, discussion_type="pull_request", discussion_status="open"
            )
        )

    for entry in client.with_retries(f"list the pull requests of {branch.repo}", list_requests):
        if entry.title == title and _same_files(remote_files(client, branch, f"refs/pr/{entry.num}"), files):
            return int(entry.num)
    return None


def tags(client: HubClient, branch: RepoBranch) -> dict[str, str]:
    """Return the tags of a repository with their commits."""
    refs = client.with_retries(
        f"list the tags of {branch.repo}", lambda: client.api.list_repo_refs(branch.repo, repo_type=branch.kind)
    )
    return {tag.name: str(tag.target_commit) for tag in refs.tags}


def is_tagged(client: HubClient, branch: RepoBranch, tag: str, files: FilesByPath) -> bool:
    """Return whether a tag already names a commit with these files, whatever else it has.

    Raises:
        HubError: the tag names other content.

    """
    commit = tags(client, branch).get(tag)
    if commit is not None and diff_files(files, remote_files(client, branch, commit)).send:
        raise HubError(
            f"{branch.repo} already has a tag {tag} with other content ({commit[:12]}); choose the next version. "
            "Nothing was sent"
        )
    return commit is not None


def set_tag(client: HubClient, branch: RepoBranch, tag: str, commit: str) -> None:
    """Tag a commit; a tag that already names it is no error.

    Raises:
        HubError: the Hub refuses, or the tag was set to another commit meanwhile.

    """
    action = f"set the tag {tag} of {branch.repo}, {branch.name} has the pushed commit ({commit[:12]})"
    create = partial(client.api.create_tag, branch.repo, tag=tag, revision=commit, repo_type=branch.kind)

    def recover() -> bool | None:
        return True if tags(client, branch).get(tag) == commit else None

    def create_tag() -> bool:
        create()
        return True

    client.with_retries(action, create_tag, recover=recover)
