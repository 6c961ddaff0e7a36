"""A process that pushes, verifies and loads on request. It reads the address of the Hub when it starts.

with Pusher(hub, home) as pusher:
    done = pusher.push(release, "user/personagen", tag="v1.0.0")
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.helpers.releasing import ROOT
from tests.helpers.servers.hub.server import Hub


class Pusher:
    """Client of the process, with one line of JSON in each direction; a context manager.

    Attributes:
        process: the process, for tests that kill it.

    """

    def __init__(self, hub: Hub, home: Path, token: str | None = "hf_write", **env: str) -> None:
        """Start the process with caches in `home`."""
        own = {"HF_HOME": str(home), "PYTHONPATH": str(ROOT), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        own |= {"HF_TOKEN": token} if token else {}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.helpers.pushing"],
            cwd=ROOT,
            env={**os.environ, **hub.env(), **own, **env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        """Wait until it is ready."""
        assert self.read() == "ready"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()

    def read(self) -> Any:
        """Wait for the next answer; None: the process was killed."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return json.loads(line) if line else None

    def send(self, what: str, **arguments: Any) -> None:
        """Send a request without waiting for its answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"what": what, **arguments}) + "\n")
        self.process.stdin.flush()

    def ask(self, what: str, **arguments: Any) -> Any:
        """Send a request and return its answer; None: the process was killed."""
        self.send(what, **arguments)
        return self.read()

    def push(self, folder: Path, repo: str, **options: Any) -> Any:
        """Push a release and return the result, or {"error": class, "message": line}."""
        return self.ask("push", folder=str(folder), repo=repo, options=options)

    def verify(self, source: str) -> Any:
        """Verify a release on the Hub."""
        return self.ask("verify", source=source)


def served(hub: Hub, repo: str, revision: str = "main") -> dict[str, bytes]:
    """Return the files of a repository, without those that the Hub creates."""
    return {path: file.read_bytes() for path, file in hub.files(repo, revision).items() if path != ".gitattributes"}


def held(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@dataclass
class Warnings:
    """A `Progress` that collects the warnings of a call."""

    lines: list[str]

    def update(self, status: Any) -> None:
        """Ignore the counts."""

    def step(self, name: str) -> None:
        """Ignore the step."""

    def advance(self, done: int, total: int) -> None:
        """Ignore the units."""

    def warn(self, message: str) -> None:
        """Keep the warning."""
        self.lines.append(message)


def answer(request: Mapping[str, Any]) -> Any:
    """Answer a request, in the process."""
    from huggingface_hub import HfApi

    from personagen.builder.cli.display import push_facts
    from personagen.builder.hub.client import HubClient, connect
    from personagen.builder.hub.push import PushSettings, push
    from personagen.builder.hub.push_metric import push_metric
    from personagen.builder.hub.verify import verify_hub

    slept: list[float] = []
    if request["what"] == "load":
        from datasets import load_dataset

        rows = load_dataset(request["repo"], request["config"], revision=request.get("revision"), split="train")
        return rows["text"][:]
    if request["what"] == "verify":
        return asdict(verify_hub(request["source"], client=HubClient(HfApi(), slept.append)))
    warnings = Warnings([])
    client = replace(connect(request.get("token")), sleep=slept.append, progress=warnings)
    if request["what"] == "metric":
        metric = push_metric(Path(request["folder"]), request["repo"], tag=request.get("tag"), client=client)
        return {"sent": list(metric.changes.send), "commit": metric.commit, "url": metric.url}
    done = push(Path(request["folder"]), request["repo"], PushSettings(**request["options"]), client=client)
    return {**push_facts(done), "slept": slept, "warned": warnings.lines}


def main() -> None:
    """Answer requests until stdin ends."""
    from personagen.builder.core.errors import PersonaGenError

    print('"ready"', flush=True)  # noqa: T201
    for line in sys.stdin:
        try:
            result = answer(json.loads(line))
        except PersonaGenError as error:
            result = {"error": type(error).__name__, "message": str(error)}
        print(json.dumps(result), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
