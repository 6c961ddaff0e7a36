"""Calls by which Python code of this process changes names on a disk, or flushes to it."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

CALLS = ("fsync", "replace", "rename", "mkdir")
"""Functions of `os`; `pathlib` and `shutil` call them too."""

Watcher = Callable[[str, tuple[Any, ...]], None]
"""Function that receives the name of a call and its arguments."""


def ignore(name: str, arguments: tuple[Any, ...]) -> None:
    """Do nothing about a call."""


@contextmanager
def watched(before: Watcher = ignore, after: Watcher = ignore) -> Iterator[None]:
    """Report each call before it is made and after it has succeeded."""

    def reporting(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            before(name, arguments)
            result = function(*arguments, **options)
            after(name, arguments)
            return result

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, reporting(name, getattr(os, name)))
        yield
