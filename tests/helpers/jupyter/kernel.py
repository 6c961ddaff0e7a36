"""A Jupyter kernel of this interpreter, without a network and without the user's settings."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_client import BlockingKernelClient, KernelManager
from jupyter_client.kernelspec import KernelSpecManager

TIMEOUT_S = 120
"""Time after which a kernel that neither answers nor ends fails the test."""


@dataclass
class Cell:
    """What one cell left.

    Attributes:
        shown: plain text and HTML of its last value, by MIME type; empty without one.
        streams: text on stdout and stderr, by name.
        error: name of the exception that ended it; None: it ended by itself.
        message: message of the exception.

    """

    shown: dict[str, str] = field(default_factory=dict)
    streams: dict[str, str] = field(default_factory=dict)
    error: str | None = None
    message: str = ""


class Kernel:
    """A running kernel; see `started_kernel`."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        """Use a manager and a client whose channels are open."""
        self._manager = manager
        self._client = client

    def start(self, code: str) -> str:
        """Begin a cell and return its id at once."""
        return str(self._client.execute(code))

    def finish(self, cell: str) -> Cell:
        """Wait for the prompt after a cell."""
        left = Cell()
        while True:
            message = self._client.get_iopub_msg(timeout=TIMEOUT_S)
            if message["parent_header"].get("msg_id") != cell:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "status" and content["execution_state"] == "idle":
                return left
            _add(left, kind, content)

    def run(self, code: str) -> Cell:
        """Run a cell to its end."""
        return self.finish(self.start(code))

    def interrupt(self) -> None:
        """Press "Stop"."""
        self._manager.interrupt_kernel()


def _add(left: Cell, kind: str, content: dict[str, Any]) -> None:
    if kind == "stream":
        left.streams[content["name"]] = left.streams.get(content["name"], "") + content["text"]
    elif kind == "execute_result":
        left.shown = content["data"]
    elif kind == "error":
        left.error, left.message = content["ename"], content["evalue"]


def kernel_specs(folder: Path) -> KernelSpecManager:
    """Describe one kernel, "personagen-test": this interpreter, whatever the user has installed."""
    spec = folder / "kernels" / "personagen-test"
    spec.mkdir(parents=True)
    start = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    described = {"argv": start, "display_name": "test", "language": "python"}
    (spec / "kernel.json").write_text(json.dumps(described), encoding="utf-8")
    return KernelSpecManager(kernel_dirs=[str(folder / "kernels")], ensure_native_kernel=False)


def kernel_manager(folder: Path) -> KernelManager:
    """Prepare a kernel that talks through sockets below `folder`, where no other process finds it."""
    manager = KernelManager(kernel_name="personagen-test", kernel_spec_manager=kernel_specs(folder))
    manager.transport, manager.ip = "ipc", str(folder / "socket")
    return manager


def kernel_environment(folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a kernel: this one, less the user's settings of IPython, plus `environment`."""
    own = {"IPYTHONDIR": str(folder / "ipython"), "JUPYTER_RUNTIME_DIR": str(folder), "PYTHONSTARTUP": ""}
    return {**os.environ, **own, **environment}


@contextmanager
def started_kernel(folder: Path, **environment: str) -> Iterator[Kernel]:
    """Start a kernel in the working directory `folder`/work, and end it."""
    work = folder / "work"
    work.mkdir(exist_ok=True)
    manager = kernel_manager(folder)
    manager.start_kernel(cwd=str(work), env=kernel_environment(folder, environment))
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=TIMEOUT_S)
        yield Kernel(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()
