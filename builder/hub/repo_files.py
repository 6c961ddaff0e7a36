"""Files of a repository on the Hub, and their differences to local files."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personagen.builder.core.errors import HubError
from personagen.builder.hub.client import HubClient

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete


@dataclass(frozen=True, slots=True)
class RepoBranch:
    """A branch of a repository.

    Attributes:
        repo: "USER/NAME".
        kind: "dataset" or "space".
        name: name of the branch; for reading, also of a tag or a commit.

    """

    repo: str
    kind: str = "dataset"
    name: str = "main"


@dataclass(frozen=True, slots=True)
class FileVersion:
    """A local or a remote file: its size and the digests that identify its content.

    Attributes:
        size: bytes.
        sha256: SHA-256 in hex. None: the Hub stores the file without one.
        blob: SHA-1 of the content as a git blob. None: unknown.
        content: the bytes of a small local file.
        path: location of a large local file.

    """

    size: int
    sha256: str | None = None
    blob: str | None = None
    content: bytes | None = field(default=None, repr=False)
    path: Path | None = None

    def same(self, other: "FileVersion") -> bool:
        """Return whether two files have the same content."""
        equal = self.sha256 == other.sha256 if self.sha256 and other.sha256 else self.blob == other.blob
        return self.size == other.size and equal


FilesByPath = Mapping[str, FileVersion]
"""Files of a commit or of a folder by path."""


@dataclass(frozen=True, slots=True)
class FileChanges:
    """Difference of a commit to local files: files to send, files that are equal, and paths to delete."""

    send: FilesByPath
    keep: FilesByPath
    delete: Sequence[str]


def small_file(content: bytes) -> FileVersion:
    """Return a local file with this content."""
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    return FileVersion(len(content), hashlib.sha256(content).hexdigest(), blob, content=content)


def remote_files(client: HubClient, branch: RepoBranch, commit: str) -> FilesByPath:
    """Return the files of a commit."""
    from huggingface_hub.hf_api import RepoFile

    def list_tree() -> dict[str, FileVersion]:
        tree = client.api.list_repo_tree(branch.repo, recursive=True, revision=commit, repo_type=branch.kind)
        return {entry.path: _remote_version(entry) for entry in tree if isinstance(entry, RepoFile)}

    return client.once(f"list the files of {branch.repo}", list_tree)


def _remote_version(entry: Any) -> FileVersion:
    """Return the version of a file that the Hub lists; raise TypeError if its answer has another form."""
    sha256, blob = (entry.lfs.sha256, None) if entry.lfs else (None, entry.blob_id)
    digests_are_texts = all(digest is None or isinstance(digest, str) for digest in (sha256, blob))
    if not isinstance(entry.path, str) or type(entry.size) is not int or not digests_are_texts:
        raise TypeError(f"no file: {entry.path!r:.60}")
    return FileVersion(entry.size, sha256, blob)


def remote_text(client: HubClient, branch: RepoBranch, commit: str, path: str, version: FileVersion) -> str:
    """Read a small text file of a commit; invalid UTF-8 becomes U+FFFD.

    An earlier answer that was cut or altered may be in the cache of `huggingface_hub`, and so a file of another version
    than the listed one is read again.

    Raises:
        HubError: it cannot be read, or the Hub has another content than it lists.

    """
    for is_last in (False, True):
        content = client.once(f"read {path} of {branch.repo}", partial(_read, client, branch, commit, path, is_last))
        if version.same(small_file(content)):
            return content.decode("utf-8", errors="replace")
    raise HubError(f"cannot read {path} of {branch.repo}: the Hub sends another content than it lists; try again later")


def _read(client: HubClient, branch: RepoBranch, commit: str, path: str, anew: bool) -> bytes:
    cached = client.api.hf_hub_download(branch.repo, path, repo_type=branch.kind, revision=commit, force_download=anew)
    return Path(cached).read_bytes()


def diff_files(local: FilesByPath, remote: FilesByPath, previous: Iterable[str] = ()) -> FileChanges:
    """Compare local files with those of a commit.

    Args:
        local: files that the branch should have.
        remote: files that it has.
        previous: paths of the previous release, which are deleted unless `local` has them.

    """
    keep = {path: file for path, file in local.items() if path in remote and file.same(remote[path])}
    send = {path: file for path, file in local.items() if path not in keep}
    return FileChanges(send, keep, [path for path in previous if path in remote and path not in local])


def commit_operations(send: FilesByPath, delete: Sequence[str]) -> "list[CommitOperationAdd | CommitOperationDelete]":
    """Return the operations of a commit: additions first, in the order of `send`."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    additions = [
        CommitOperationAdd(path, file.content if file.content is not None else str(file.path))
        for path, file in send.items()
    ]
    return [*additions, *(CommitOperationDelete(path) for path in delete)]
