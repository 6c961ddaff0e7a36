"""A process that has imported what `personagen generate` imports, and runs Python code in forks of itself.

A new process takes 1.8 s of processor time for a small release, most of it for imports. Modules that read the
environment when they are imported, as `huggingface_hub` does, are imported in the fork.
"""

import gc
import importlib
import json
import os
import random
import signal
import socket
import sys
from typing import Any

PRELOADED = (
    "aiohttp",
    "pandas",
    "personagen.builder.cli.main",
    "personagen.builder.cli.signals",
    "personagen.builder.generate",
    "personagen.builder.llm.backends.openai_chat",
    "pyarrow.compute",
    "pyarrow.json",
    "pyarrow.parquet",
    "yaml",
)
READERS_OF_THE_ENVIRONMENT = ("huggingface_hub", "datasets", "torch", "transformers")
MAX_REQUEST_BYTES = 1_000_000


def prepare(request: dict[str, Any], streams: list[int]) -> str:
    """Make this fork like a new process: its arguments, folder, environment, streams and signals; return the code."""
    for number, (name, stream) in enumerate(zip(("stdin", "stdout", "stderr"), streams, strict=True)):
        os.dup2(stream, number)
        os.close(stream)
        like = getattr(sys, name)
        mode, buffering = ("w" if number else "r"), (1 if name == "stderr" else -1)
        opened = os.fdopen(number, mode, buffering, like.encoding, like.errors, closefd=False)
        setattr(sys, name, opened)
        setattr(sys, f"__{name}__", opened)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.argv = request["argv"]
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    random.seed()
    return str(request["code"])


def watch(answers: int, streams: list[int]) -> bool:
    """Fork the process of a request; return True in it, and report its id and exit code from a second fork."""
    if os.fork():
        return False
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if not child:
        return True
    for stream in streams:
        os.close(stream)
    for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
        signal.signal(number, signal.SIG_IGN)
    os.write(answers, f"{child}\n".encode())
    _, status = os.waitpid(child, 0)
    os.write(answers, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def serve(control: socket.socket) -> str | None:
    """Fork a process per request; return its code there, and None in the server once the client has gone away."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        message, passed, _, _ = socket.recv_fds(control, MAX_REQUEST_BYTES, 4)
        if not message:
            return None
        *streams, answers = passed
        if watch(answers, streams):
            control.close()
            os.close(answers)
            return prepare(json.loads(message), streams)
        for descriptor in passed:
            os.close(descriptor)


def main(descriptor: int) -> str | None:
    """Import the modules, load tables, prompts and the identifier of languages, and serve."""
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"  # as the command sets it; the usual one starts a thread
    for name in PRELOADED:
        importlib.import_module(name)
    from personagen.builder.estimate import estimate
    from personagen.builder.planning.recipe.parsing import parse_recipe
    from personagen.metrics.texts.language import load_identifier

    load_identifier()
    estimate(parse_recipe("", "test", {"rows": 8, "backend.kind": "openai", "backend.model": "m"}))
    early = [name for name in READERS_OF_THE_ENVIRONMENT if name in sys.modules]
    if early:
        raise SystemExit(f"{', '.join(early)}: imported before a test has set the environment")
    gc.freeze()  # a collection in a fork would copy the memory of all modules
    return serve(socket.socket(fileno=descriptor))


if __name__ == "__main__" and (code := main(int(sys.argv[1]))):
    exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})
