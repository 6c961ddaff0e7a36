"""Calls by which Python code of this process changes names in a folder, or flushes what is in it."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CALLS = ("fsync", "replace", "rename", "mkdir")
"""Functions of `os`; `pathlib` and `shutil` call them too."""

Watcher = Callable[[str, list[Path]], None]
"""Function that receives the name of a call and the paths in the folder that it is about."""


def ignore(name: str, paths: list[Path]) -> None:
    """Do nothing about a call."""


@contextmanager
def watched(root: Path, before: Watcher = ignore, after: Watcher = ignore) -> Iterator[None]:
    """Report each call about a path in `root` before it is made and after it has succeeded."""

    def reporting(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            paths = [path for path in _paths(name, arguments) if path.is_relative_to(root)]
            if paths:
                before(name, paths)
            result = function(*arguments, **options)
            if paths:
                after(name, paths)
            return result

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, reporting(name, getattr(os, name)))
        yield


def _paths(name: str, arguments: tuple[Any, ...]) -> list[Path]:
    if name == "fsync":
        return [Path(f"/proc/self/fd/{arguments[0]}").readlink()]
    return [Path(argument).absolute() for argument in arguments if isinstance(argument, str | os.PathLike)]
