"""What processes of workers do first: ignore a signal, and ask to end with the process that started them."""

import ctypes
import signal
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG = 1
"""Operation of Linux's prctl: which signal a process gets when its parent ends."""


def prepare_worker(number: int) -> Callable[[], None]:
    """Return what the process of a worker runs at its start.

    It ignores SIGUSR1, which would end it, until it has a handler; and it gets a signal when its parent is killed. Only
    Linux has a call for the latter; elsewhere the worker of a killed parent completes its part.

    Args:
        number: signal that the process gets when its parent is killed.

    """
    library = ctypes.CDLL(None) if sys.platform.startswith("linux") else None  # loaded here: a fork may hold its lock

    def prepare() -> None:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        if library is not None:
            library.prctl(PR_SET_PDEATHSIG, number)

    return prepare
