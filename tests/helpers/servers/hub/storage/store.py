"""Repositories with commits, refs and discussions, as JSON in a folder that another process can open."""

import hashlib
import json
import shutil
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.helpers.servers.hub.storage.objects import File, Objects
from tests.helpers.servers.hub.storage.xet import Xet

PREFIXES = {"model": "", "dataset": "datasets/", "space": "spaces/"}
"""Prefix of the address of a repository by type."""

MAIN = "refs/heads/main"
ATTRIBUTES = b"*.parquet filter=lfs diff=lfs merge=lfs -text\n*.bin filter=lfs diff=lfs merge=lfs -text\n"


def now() -> str:
    """Return the current time in the format of the Hub."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


@dataclass(frozen=True)
class Commit:
    """A commit with all files of its tree; `parent` is "" for the first one."""

    id: str
    parent: str
    title: str
    message: str
    date: str
    author: str
    files: Mapping[str, File]


@dataclass
class Discussion:
    """A discussion; if `base` is a commit, a pull request, whose commits are those of refs/pr/NUM."""

    num: int
    title: str
    author: str
    status: str
    created: str = field(default_factory=now)
    base: str = ""
    merged: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Repo:
    """A repository.

    Attributes:
        type: "model", "dataset" or "space".
        id: user and name.
        private: whether callers without a token cannot see it.
        created: time of creation.
        commits: commits by id.
        refs: ids of commits by full name: refs/heads/main, refs/tags/v1, refs/pr/1.
        discussions: discussions by number.

    """

    type: str
    id: str
    private: bool = False
    created: str = field(default_factory=now)
    commits: dict[str, Commit] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    discussions: dict[int, Discussion] = field(default_factory=dict)

    def ref(self, revision: str) -> str | None:
        """Return the full name of a branch, a tag or a pull request; None: there is none."""
        names = (revision, f"refs/heads/{revision}", f"refs/tags/{revision}")
        return next((name for name in names if name in self.refs), None)

    def find(self, revision: str) -> Commit | None:
        """Return the commit of a ref or of an id, shortened to 7 digits or more; None: there is none."""
        if (name := self.ref(revision)) is not None:
            return self.commits[self.refs[name]]
        short = (
            [commit for oid, commit in self.commits.items() if oid.startswith(revision)] if len(revision) > 6 else []
        )
        return short[0] if len(short) == 1 else None

    def history(self, commit: Commit) -> Iterator[Commit]:
        """Yield a commit and its ancestors, newest first."""
        current: Commit | None = commit
        while current is not None:
            yield current
            current = self.commits.get(current.parent)


class Store:
    """All repositories; every change is on disk when its method returns."""

    def __init__(self, folder: Path, *, xet: bool = False) -> None:
        """Open a folder, created if it is missing; `xet`: whether clients may use Xet."""
        self._folder = folder / "repos"
        self._lock = threading.RLock()
        self.objects = Objects(folder / "objects")
        self.xet = Xet(folder / "xet", self.objects) if xet else None
        self.repos: dict[tuple[str, str], Repo] = {}
        for path in sorted(self._folder.glob("*/*/*/repo.json")):
            repo = _read_repo(path)
            self.repos[repo.type, repo.id] = repo

    def create(self, kind: str, name: str, *, private: bool = False, files: Mapping[str, File] | None = None) -> Repo:
        """Create a repository with a first commit of `files`. None: .gitattributes only."""
        repo = self.repos.setdefault((kind, name), Repo(kind, name, private))
        first = files if files is not None else {".gitattributes": self.objects.add(ATTRIBUTES)}
        self.commit(repo, MAIN, first, "initial commit", parent="")
        return repo

    def delete(self, repo: Repo) -> None:
        """Delete a repository; the contents of its files stay."""
        del self.repos[repo.type, repo.id]
        shutil.rmtree(self._repo_folder(repo))

    def commit(
        self,
        repo: Repo,
        ref: str,
        files: Mapping[str, File],
        title: str,
        message: str = "",
        *,
        parent: str,
        by: str = "user",
    ) -> Commit:
        """Add a commit with `files` and point `ref` to it."""
        with self._lock:
            tree = sorted((path, file.oid) for path, file in files.items())
            text = repr((repo.type, repo.id, len(repo.commits), parent, title, tree))
            oid = hashlib.sha1(text.encode()).hexdigest()
            commit = Commit(oid, parent, title, message, now(), by, dict(files))
            plain = {key: value for key, value in vars(commit).items() if key != "files"}
            plain |= {"files": {path: [f.oid, f.size, f.lfs] for path, f in files.items()}}
            _write(self._repo_folder(repo) / "commits" / f"{oid}.json", plain)
            repo.commits[oid] = commit
            repo.refs[ref] = oid
            self.save(repo)
        return commit

    def save(self, repo: Repo) -> None:
        """Write everything of a repository except its commits."""
        plain = {name: getattr(repo, name) for name in ("type", "id", "private", "created", "refs")}
        discussions = [asdict(discussion) for discussion in repo.discussions.values()]
        _write(self._repo_folder(repo) / "repo.json", plain | {"order": list(repo.commits), "discussions": discussions})

    def _repo_folder(self, repo: Repo) -> Path:
        return self._folder / repo.type / repo.id


def _read_repo(path: Path) -> Repo:
    plain = json.loads(path.read_text(encoding="utf-8"))
    order, discussions = plain.pop("order"), plain.pop("discussions")
    repo = Repo(**plain)
    for oid in order:
        read = json.loads((path.parent / "commits" / f"{oid}.json").read_text(encoding="utf-8"))
        files = {name: File(*parts) for name, parts in read.pop("files").items()}
        repo.commits[oid] = Commit(**read, files=files)
    repo.discussions = {entry["num"]: Discussion(**entry) for entry in discussions}
    return repo


def _write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".new")
    part.write_text(json.dumps(value), encoding="utf-8")
    part.replace(path)
