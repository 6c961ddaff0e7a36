"""Files of a repository on the Hub, and what of them changes."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personagen.builder.hub.client import Caller

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete


@dataclass(frozen=True, slots=True)
class Place:
    """A branch of a repository.

    Attributes:
        repo: "USER/NAME".
        kind: "dataset" or "space".
        branch: name of the branch; to read, of a tag or a commit too.

    """

    repo: str
    kind: str = "dataset"
    branch: str = "main"


@dataclass(frozen=True, slots=True)
class File:
    """A file, here or on the Hub: its size, and what tells its content from another.

    Attributes:
        size: bytes.
        sha256: in hex; None where the Hub keeps the file without it.
        blob: id of the content as git has it; None where it is not known.
        content: the bytes, of small files that are made here.
        path: where it lies, for those that lie in a folder here.

    """

    size: int
    sha256: str | None = None
    blob: str | None = None
    content: bytes | None = None
    path: Path | None = None

    def same(self, other: "File") -> bool:
        """Tell whether two files have the same content."""
        known = self.sha256 == other.sha256 if self.sha256 and other.sha256 else self.blob == other.blob
        return self.size == other.size and known


Files = Mapping[str, File]
"""Files by path."""


@dataclass(frozen=True, slots=True)
class Change:
    """Files to send, files that are there already, and paths to delete."""

    send: Files
    keep: Files
    delete: Sequence[str]


def small_file(content: bytes) -> File:
    """Describe a file that is made here."""
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    return File(len(content), hashlib.sha256(content).hexdigest(), blob, content=content)


def remote_files(caller: Caller, place: Place, commit: str) -> Files:
    """List the files of a commit."""
    from huggingface_hub.hf_api import RepoFile

    def listed() -> list[Any]:
        return list(caller.api.list_repo_tree(place.repo, recursive=True, revision=commit, repo_type=place.kind))

    return {
        each.path: File(each.size, each.lfs.sha256 if each.lfs else None, None if each.lfs else each.blob_id)
        for each in caller.once(f"list the files of {place.repo}", listed)
        if isinstance(each, RepoFile)
    }


def remote_text(caller: Caller, place: Place, commit: str, path: str) -> str:
    """Read a small file of a commit; what is no text is shown as such."""

    def read() -> str:
        found = caller.api.hf_hub_download(place.repo, path, repo_type=place.kind, revision=commit)
        return Path(found).read_text(encoding="utf-8", errors="replace")

    text: str = caller.once(f"read {path} of {place.repo}", read)
    return text


def compare(here: Files, there: Files, older: Iterable[str] = ()) -> Change:
    """Work out what has to be sent; `older` names files of an earlier version, which go where this one has none."""
    keep = {path: file for path, file in here.items() if path in there and file.same(there[path])}
    send = {path: file for path, file in here.items() if path not in keep}
    return Change(send, keep, [path for path in older if path in there and path not in here])


def operations(send: Files, delete: Sequence[str]) -> "list[CommitOperationAdd | CommitOperationDelete]":
    """Make the operations of a commit."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    added = [
        CommitOperationAdd(path, file.content if file.content is not None else str(file.path))
        for path, file in send.items()
    ]
    return [*added, *(CommitOperationDelete(path) for path in delete)]
