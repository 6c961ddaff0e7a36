"""Processes that do not outlive the process that started them."""

import ctypes
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG = 1
"""Operation of Linux's prctl: which signal a process gets when its parent ends."""


def end_with_parent(number: int) -> Callable[[], None] | None:
    """Return what a child process runs at its start, so that it gets a signal when its parent is killed.

    None: the system has no such call; a child of a killed parent completes its part.
    """
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)  # loaded here: between fork and exec nothing may need a lock

    def request_signal() -> None:
        library.prctl(PR_SET_PDEATHSIG, number)

    return request_signal
