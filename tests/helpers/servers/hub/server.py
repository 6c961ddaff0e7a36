"""A Hub on loopback: everything that the clients of Hugging Face request when they publish and read datasets.

    with Hub() as hub:
        hub.publish("user/personagen", folder, tag="v1.0.0")
        hub.fail(r"POST .*/commit/", status=503)
        subprocess.run([sys.executable, "-c", code], env=os.environ | hub.env())

`huggingface_hub` reads the address of the Hub when it is imported, so clients run in processes of their own. As a
process (`python -m tests.helpers.servers.hub --folder DIR --port 0`) the Hub prints its URL and serves until a signal.
"""

import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from starlette.applications import Starlette
from starlette.routing import Route

from tests.helpers.servers.hub.access import Access
from tests.helpers.servers.hub.faults import Fault, Gate, Record, Watch
from tests.helpers.servers.hub.routes import Routes
from tests.helpers.servers.hub.storage.objects import Objects
from tests.helpers.servers.hub.storage.store import MAIN, Repo, Store
from tests.helpers.servers.loopback import Loopback

METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE"]


class Hub:
    """A Hub to publish to; a context manager.

    Attributes:
        requests: method and path of every request, in order.
        log: record of every request, in the same order.
        url: address of the Hub.
        folder: folder of all data.
        store: the repositories.
        jobs: the jobs.

    """

    def __init__(
        self,
        *,
        folder: Path | None = None,
        port: int = 0,
        tokens: Mapping[str, str] | None = None,
        user: str = "user",
        multipart: int | None = None,
        xet: bool = False,
    ) -> None:
        """Bind to a port.

        Args:
            folder: folder of all data. None: a temporary one.
            port: port of 127.0.0.1. 0: a free one.
            tokens: "write" or "read" by token. None: every caller has write permission.
            user: owner of the tokens and author of all commits.
            multipart: contents of more bytes are uploaded in parts of this size. None: no multipart uploads.
            xet: whether clients send and read large contents by Xet.

        """
        self._is_temporary = folder is None
        self.folder = Path(tempfile.mkdtemp(prefix="personagen-hub-")) if folder is None else folder
        self.store = Store(self.folder, xet=xet)
        routes = Routes(self.store, Access(tokens, user), multipart)
        self.jobs = routes.jobs
        self._watch = Watch(Starlette(routes=[Route("/{path:path}", routes.answer, methods=METHODS)]))
        self.requests: list[str] = self._watch.requests
        self.log: list[Record] = self._watch.log
        self._gates: list[Gate] = []
        self._loopback = Loopback(self._watch, port)
        self.url = routes.url = self._loopback.url.removesuffix("/v1")

    def __enter__(self) -> Self:
        """Start serving."""
        self._loopback.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop serving; a temporary folder is removed."""
        self._loopback.stop()
        if self._is_temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    def env(self) -> dict[str, str]:
        """Return the environment in which clients use this Hub."""
        endpoint = {"HF_ENDPOINT": self.url, "HF_HUB_OFFLINE": "0", "HF_EVALUATE_OFFLINE": "0"}
        return {**endpoint, "HF_HUB_DISABLE_XET": "0" if self.store.xet else "1"}

    def publish(self, repo: str, folder: Path, tag: str | None = None, repo_type: str = "dataset") -> str:
        """Commit the files of a folder to a repository and return the commit."""
        objects: Objects = self.store.objects
        paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        files = {path.relative_to(folder).as_posix(): objects.copy(path) for path in paths}
        stored = self.store.repos.get((repo_type, repo))
        if stored is None:
            stored = self.store.create(repo_type, repo, files=files)
        elif stored.commits[stored.refs[MAIN]].files != files:
            self.store.commit(stored, MAIN, files, "Publish", parent=stored.refs[MAIN])
        if tag is not None:
            stored.refs[f"refs/tags/{tag}"] = stored.refs[MAIN]
            self.store.save(stored)
        return stored.refs[MAIN]

    def repo(self, name: str, repo_type: str = "dataset") -> Repo:
        """Return a repository."""
        return self.store.repos[repo_type, name]

    def files(self, name: str, revision: str = "main", repo_type: str = "dataset") -> dict[str, Path]:
        """Return the location of the content of each file of a revision, by path."""
        commit = self.repo(name, repo_type).find(revision)
        assert commit is not None, f"{name} has no revision {revision}"
        return {path: self.store.objects.path(file) for path, file in commit.files.items()}

    def fail(
        self,
        pattern: str,
        nth: int | None = None,
        *,
        status: int = 500,
        headers: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | str | None = None,
        cut: int | None = None,
        times: int = 1,
        after: bool = False,
    ) -> None:
        """Make requests fail.

        Args:
            pattern: regular expression that is searched in "METHOD path".
            nth: number of the first matching request that fails, from 1 and from now on. None: the next one.
            status: status of the answer, which is sent after the whole request was received.
            headers: headers of the answer.
            body: body of the answer: a mapping is sent as JSON, a string as it is.
            cut: break the connection instead. 0: before the request is processed; else after this number of bytes of
                the body of the request, or of the answer if the request is shorter, or at the end of the answer.
            times: number of requests that fail.
            after: process the request first, so that it takes effect although its answer is lost.

        """
        settings = {"status": status, "headers": headers or {}, "body": body, "cut": cut, "after": after}
        self._watch.faults.append(Fault(re.compile(pattern), nth, times, **settings))  # type: ignore[arg-type]

    def hold(
        self, pattern: str, nth: int | None = None, *, after: bool = False, times: int = 1, opens_at: int | None = None
    ) -> Gate:
        """Hold requests at a gate before they are processed.

        Args:
            pattern: see `fail`.
            nth: see `fail`.
            after: process the request first, and never answer it.
            times: number of requests that are held.
            opens_at: number of held requests at which the gate opens by itself. None: the test opens it.

        """
        gate = Gate(opens_at)
        self._gates.append(gate)
        self._watch.faults.append(Fault(re.compile(pattern), nth, times, after=after, gate=gate))
        return gate

    @property
    def faults_left(self) -> int:
        """Number of requests that are still to fail or to be held."""
        return sum(fault.times for fault in self._watch.faults)

    def heal(self) -> None:
        """Remove the faults that are left, and drop the requests that are held."""
        self._watch.faults.clear()
        for gate in self._gates:
            gate.drop()
        self._gates.clear()
