"""A process of its own that pushes, verifies and loads on request: the address of the Hub is read when it starts.

with Pusher(hub, home) as pusher:
    done = pusher.push(release, "user/personagen", tag="v1.0.0")
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.helpers.releasing import ROOT
from tests.helpers.servers.hub.server import Hub


class Pusher:
    """Talks with the process, a line of JSON each way; a context manager.

    Attributes:
        process: to be killed, if a test wants that.

    """

    def __init__(self, hub: Hub, home: Path, token: str | None = "hf_write", **env: str) -> None:
        """Start the process, with caches below `home`."""
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
        """Wait for the next answer; None where the process was killed."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return json.loads(line) if line else None

    def send(self, what: str, **arguments: Any) -> None:
        """Ask for something, and do not wait."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"what": what, **arguments}) + "\n")
        self.process.stdin.flush()

    def ask(self, what: str, **arguments: Any) -> Any:
        """Ask for something; gives what came of it, None if the process was killed."""
        self.send(what, **arguments)
        return self.read()

    def push(self, folder: Path, repo: str, **options: Any) -> Any:
        """Push a release; gives what became of it, or {"error": class, "message": line}."""
        return self.ask("push", folder=str(folder), repo=repo, options=options)

    def verify(self, source: str) -> Any:
        """Verify a release on the Hub."""
        return self.ask("verify", source=source)


def served(hub: Hub, repo: str, revision: str = "main") -> dict[str, bytes]:
    """Read the files of a repository, without those that the Hub makes itself."""
    return {path: file.read_bytes() for path, file in hub.files(repo, revision).items() if path != ".gitattributes"}


def held(folder: Path) -> dict[str, bytes]:
    """Read the files of a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def answer(asked: Mapping[str, Any]) -> Any:
    """Do what is asked, in the process."""
    from huggingface_hub import HfApi

    from personagen.builder.cli.display import push_facts
    from personagen.builder.hub.client import HubClient, connect
    from personagen.builder.hub.push import PushSettings, push
    from personagen.builder.hub.push_metric import push_metric
    from personagen.builder.hub.verify import verify_hub

    slept: list[float] = []
    if asked["what"] == "load":
        from datasets import load_dataset

        rows = load_dataset(asked["repo"], asked["config"], revision=asked.get("revision"), split="train")
        return rows["text"][:]
    if asked["what"] == "verify":
        return asdict(verify_hub(asked["source"], client=HubClient(HfApi(), slept.append)))
    client = replace(connect(asked.get("token")), sleep=slept.append)
    if asked["what"] == "metric":
        metric = push_metric(Path(asked["folder"]), asked["repo"], tag=asked.get("tag"), client=client)
        return {"sent": list(metric.changes.send), "commit": metric.commit, "url": metric.url}
    done = push(Path(asked["folder"]), asked["repo"], PushSettings(**asked["options"]), client=client)
    return {**push_facts(done), "slept": slept}


def main() -> None:
    """Answer until nobody asks."""
    from personagen.builder.core.errors import PersonaGenError

    print('"ready"', flush=True)  # noqa: T201
    for line in sys.stdin:
        try:
            told = answer(json.loads(line))
        except PersonaGenError as error:
            told = {"error": type(error).__name__, "message": str(error)}
        print(json.dumps(told), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
