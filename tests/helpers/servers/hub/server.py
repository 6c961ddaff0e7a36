"""Repositories on loopback: what the clients of Hugging Face ask of the Hub when they publish and when they read.

    with Hub() as hub:
        hub.publish("user/personagen", folder, tag="v1.0.0")
        hub.fail(r"POST .*/commit/", status=503)
        subprocess.run([sys.executable, "-c", code], env=os.environ | hub.env())

The address of the Hub is read when `huggingface_hub` is imported, so clients run in processes of their own. As a
process (`python -m tests.helpers.servers.hub --folder DIR --port 0`) it prints its URL and serves until interrupted.
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
from tests.helpers.servers.hub.faults import Fault, Record, Watch
from tests.helpers.servers.hub.objects import Objects
from tests.helpers.servers.hub.routes import Routes
from tests.helpers.servers.hub.store import MAIN, Repo, Store
from tests.helpers.servers.loopback import Loopback

METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE"]


class Hub:
    """A Hub that can be published to; a context manager.

    Attributes:
        requests: method and path of every request, in order.
        log: a record of each, in the same order.
        url: its address.
        folder: where everything is.
        store: the repositories, for a test to look at.

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
        """Bind to a port, 0 for a free one.

        Args:
            folder: where everything is kept; None for a temporary one.
            port: port of 127.0.0.1.
            tokens: "write" or "read" by token; None lets everybody do anything.
            user: whose tokens these are, and who makes all commits.
            multipart: contents of more bytes than this are taken in parts of this size; None takes them whole.
            xet: let clients send and read large contents by Xet; otherwise `env` turns it off.

        """
        self._own = folder is None
        self.folder = Path(tempfile.mkdtemp(prefix="personagen-hub-")) if folder is None else folder
        self.store = Store(self.folder, xet=xet)
        routes = Routes(self.store, Access(tokens, user), multipart)
        self._watch = Watch(Starlette(routes=[Route("/{path:path}", routes.answer, methods=METHODS)]))
        self.requests: list[str] = self._watch.requests
        self.log: list[Record] = self._watch.log
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
        if self._own:
            shutil.rmtree(self.folder, ignore_errors=True)

    def env(self) -> dict[str, str]:
        """Environment that leads clients here."""
        there = {"HF_ENDPOINT": self.url, "HF_HUB_OFFLINE": "0", "HF_EVALUATE_OFFLINE": "0"}
        return {**there, "HF_HUB_DISABLE_XET": "0" if self.store.xet else "1"}

    def publish(self, repo: str, folder: Path, tag: str | None = None, repo_type: str = "dataset") -> str:
        """Make a folder the newest commit of a repository; gives the id of the commit."""
        objects: Objects = self.store.objects
        paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        files = {path.relative_to(folder).as_posix(): objects.copy(path) for path in paths}
        found = self.store.repos.get((repo_type, repo))
        if found is None:
            found = self.store.create(repo_type, repo, files=files)
        elif found.commits[found.refs[MAIN]].files != files:
            self.store.commit(found, MAIN, files, "Publish", parent=found.refs[MAIN])
        if tag is not None:
            found.refs[f"refs/tags/{tag}"] = found.refs[MAIN]
            self.store.save(found)
        return found.refs[MAIN]

    def repo(self, name: str, repo_type: str = "dataset") -> Repo:
        """Give a repository as it is now."""
        return self.store.repos[repo_type, name]

    def files(self, name: str, revision: str = "main", repo_type: str = "dataset") -> dict[str, Path]:
        """Say where the contents of the files of a revision are, by path."""
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
            pattern: regular expression, found in "METHOD path".
            nth: number of the first of these requests that fails, from 1 and from now on; None for the next one.
            status: what is answered, once the request was read whole.
            headers: headers of that answer.
            body: its body: a mapping is sent as JSON, a text as it is.
            cut: break the connection instead: 0 before anything is done or answered, else after so many bytes of the
                body of the request, or of the answer if the request is shorter, or at the end of the answer.
            times: how many requests fail.
            after: do first what was asked for, so that the client is told nothing of what has happened.

        """
        told = {"status": status, "headers": headers or {}, "body": body, "cut": cut, "after": after}
        self._watch.faults.append(Fault(re.compile(pattern), nth, times, **told))  # type: ignore[arg-type]

    def pause(self, pattern: str, seconds: float, nth: int | None = None, times: int = 1) -> None:
        """Make requests wait before anything is done; see `fail`."""
        self._watch.faults.append(Fault(re.compile(pattern), nth, times, seconds=seconds))

    @property
    def faults_left(self) -> int:
        """How many requests are still to fail or to wait."""
        return sum(fault.times for fault in self._watch.faults)

    def heal(self) -> None:
        """Forget the faults that are left."""
        self._watch.faults.clear()
