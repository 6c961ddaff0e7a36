"""Fill the parts of a run by tasks of Ray Core: one task per part, which Ray places, retries and gives its GPUs.

A task starts the command as a process of its own. Its signals, its exit codes and its memory are then those of every
other launcher; a call in Ray's worker would leave a model on the GPU for the next task, and Ray's cancellation does not
wake an event loop. The process ends with its worker, so that what Ray kills is the part.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from personagen.builder.core.errors import LaunchError
from personagen.builder.core.event_loop import run_blocking
from personagen.builder.core.foreign_text import quote
from personagen.builder.launch.commands import process_words
from personagen.builder.launch.processes import prepare_worker

POLL_S = 0.5
"""Seconds between two looks at a process: Ray's cancellation is noticed between them."""

CONNECT_S = 30.0
"""Seconds within which a cluster has to accept a connection."""

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
"""Signals whose handlers Ray replaces when it starts."""

PASSED_ON = ("OPENAI_BASE_URL",)
"""Environment variables of this process that workers on other machines get: they decide which server has a request."""


@dataclass(frozen=True, slots=True)
class RaySettings:
    """The cluster, and what a task needs.

    Attributes:
        address: address of a cluster. None: a cluster on this machine that ends with the command.
        cpus_per_part: processors that Ray counts per part.
        gpus_per_part: GPUs per part; a fraction shares one.
        retries: further tries of a part whose worker or machine fails.

    """

    address: str | None = None
    cpus_per_part: float = 1.0
    gpus_per_part: float = 0.0
    retries: int = 2


def run_ray(
    arguments: Sequence[tuple[str, ...]], settings: RaySettings, report: Callable[[str], None]
) -> list[int | None]:
    """Run one task per part; return the exit code of each. None: the part has not run, or its last worker failed.

    Args:
        arguments: arguments of `personagen` for each part.
        settings: the cluster, and what a task needs.
        report: receives messages about the tasks; the lines of the workers are shown by Ray.

    Raises:
        LaunchError: Ray is not installed, or the cluster cannot be reached.

    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_DEDUP_LOGS", "0")  # parts report the same lines
    os.environ.setdefault("RAY_COLOR_PREFIX", "0")
    try:
        ray: Any = import_module("ray")
    except ImportError as error:
        raise LaunchError(
            f"launch ray: {error}; install it with pip install 'personagen[ray]' on every machine of the cluster"
        ) from None
    with _cluster(ray, settings):
        task = ray.remote(
            num_cpus=settings.cpus_per_part,
            num_gpus=settings.gpus_per_part,
            max_retries=settings.retries,
            retry_exceptions=[ChildProcessError],
        )(fill_part)
        variables = {name: value for name in PASSED_ON if (value := os.environ.get(name))}
        references = [
            task.options(name=f"part {part}/{len(arguments)}").remote(words, variables)
            for part, words in enumerate(arguments)
        ]
        return run_blocking(_await_all(ray, references, report))


def fill_part(arguments: tuple[str, ...], variables: Mapping[str, str]) -> int:
    """Run `personagen` in a process, and return its exit code; runs in a worker of Ray.

    Args:
        arguments: its arguments.
        variables: environment variables beside those of the worker.

    Raises:
        ChildProcessError: the process was killed, as by the system when memory is short; Ray tries again.

    """
    process = subprocess.Popen(  # noqa: S603 - words of this command; no shell
        process_words(arguments),
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        preexec_fn=prepare_worker(9),  # noqa: PLW1509 - what runs between fork and exec takes no lock
    )
    code = None
    while code is None:
        try:
            code = process.wait(POLL_S)
        except subprocess.TimeoutExpired:
            continue
        except KeyboardInterrupt:  # `ray.cancel`
            process.terminate()
    if code < 0:
        raise ChildProcessError(f"killed by signal {-code}")
    return code


@contextmanager
def _cluster(ray: Any, settings: RaySettings) -> Iterator[None]:
    """Connect to the cluster, or start one on this machine, without changing the handlers of signals.

    Ray prints lines of its processes to stdout, which has the results of the command.
    """
    if settings.address is not None:
        _require_reachable(settings.address)
    local = {"include_dashboard": False} if settings.address is None else {}
    handlers = {name: signal.getsignal(getattr(signal, name)) for name in SIGNALS}
    try:
        ray.init(address=settings.address or "local", logging_level="ERROR", **local)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        where = "on this machine" if settings.address is None else f"at {settings.address}"
        raise LaunchError(f"launch ray: no cluster {where}: {quote(' '.join(str(error).split()), limit=200)}") from None
    finally:
        with suppress(ValueError):  # signals are handled in the main thread only
            for name, handler in handlers.items():
                signal.signal(getattr(signal, name), handler)
    with redirect_stdout(sys.stderr):
        try:
            yield
        finally:
            ray.shutdown()


def _require_reachable(address: str) -> None:
    """Raise LaunchError unless a server listens at an address with a port; Ray itself tries for five minutes."""
    host, _, port = address.partition("://")[2].rpartition(":") if "://" in address else address.rpartition(":")
    if not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_S).close()
    except (OSError, OverflowError) as error:
        raise LaunchError(f"launch ray: no cluster at {address}: {error}; check the address and the network") from None


async def _await_all(ray: Any, references: Sequence[Any], report: Callable[[str], None]) -> list[int | None]:
    futures = {part: asyncio.wrap_future(reference.future()) for part, reference in enumerate(references)}
    stops = 0
    while pending := [part for part, future in futures.items() if not future.done()]:
        try:
            await asyncio.wait([futures[part] for part in pending])
        except asyncio.CancelledError:  # by the first signal, and by a second one
            stops += 1
            if stops == 1:
                report(f"stopping: {len(pending)} parts ship their replies; interrupt again to end them")
            for part in pending:
                ray.cancel(references[part], force=stops > 1)
    codes = [_code_of(part, len(references), future, report) for part, future in futures.items()]
    if stops:
        complete = sum(code == 0 for code in codes)
        report(f"stopped: {complete} of {len(codes)} parts are complete; run the same command to continue")
        raise asyncio.CancelledError
    return codes


def _code_of(part: int, parts: int, future: "asyncio.Future[int]", report: Callable[[str], None]) -> int | None:
    try:
        return future.result()
    except Exception as error:  # whatever Ray raises: a worker or a machine that failed, a cancelled task
        cause = getattr(error, "cause", None) or error
        report(f"part {part}/{parts}: {type(cause).__name__}: {quote(' '.join(str(cause).split()), limit=200)}")
        return None
