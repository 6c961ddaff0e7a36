"""Mutations of JSON values and texts, the same in every run, and a watch over the files that a call opens."""

import copy
import json
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 7, 8.0, 1e300, -0.0, 2**53, 2**64, 10**400, "", "x",
    "no", "../../outside/secret.parquet",
    "/etc/passwd", "joy/../../outside/secret.parquet", "joy/train-00000-of-00001.parquet", "C:\\x", "a" * 5000, "\x00",
    "\x1b[31m", "\u202e", "\ud800", "{{ 7*7 }}", "<script>", "9" * 5000, [], {}, [None], [[]], [{}],
    {"": 1}, {"a": None},
    ["../outside/secret.parquet"], {"name": "../outside"}, float("nan"), float("inf"), "1.1.0", "9.9.9", "0" * 64,
)  # fmt: skip
"""Values in place of others."""


DEEP = "[" * 3000


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every part of a JSON value."""
    yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from places(part, (*path, key))


def mutated(value: Any, rng: random.Random, known: list[tuple[Any, ...]]) -> Any:
    """Return a copy with one to three changes: a part is replaced, removed, repeated, renamed, swapped or nested."""
    value = copy.deepcopy(value)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        *parents, last = rng.choice(known[1:])
        holder = value
        try:
            for key in parents:
                holder = holder[key]
            old = holder[last]
        except (LookupError, TypeError):
            continue  # an earlier change took it away
        if not isinstance(holder, dict | list):
            continue
        kind = rng.randrange(8)
        if kind < 4:
            holder[last] = rng.choice(ODD)
        elif kind == 4:
            del holder[last]
        elif kind == 5 and isinstance(holder, list):
            holder.append(copy.deepcopy(old))
        elif kind == 5 and isinstance(holder, dict):
            holder[rng.choice(("", "x", "../outside", "all", "joy", "depth_none", "\x1b", "\ud800"))] = old
        elif kind == 6:
            holder[last] = [old] if rng.random() < 0.5 else {"value": old}
        else:
            holder[last] = deep(rng.choice((50, 400, 900))) if rng.random() < 0.2 else str(old)
    return value


def damaged(text: str, rng: random.Random) -> str:
    """Return a text with a part cut, repeated, or replaced by odd characters."""
    start = rng.randrange(len(text) + 1)
    end = min(len(text), start + rng.choice((0, 1, 2, 9, 80)))
    odd = rng.choice(("", "\x00", "{", "}", "[", "]", '"', ",", ":", "\\", "\n", "é", "\ud800", "&a ", "*a",
                      "!!python/x ",
                      "- ", "? ", "<<: ", "1e999", "NaN", text[start:end] * 3, DEEP))  # fmt: skip
    if odd == DEEP and rng.random() < 0.8:
        odd = "[" * 30  # a parser in Python takes 0.2 s for the other one
    return text[:start] + odd + text[end:]


def as_json(value: Any) -> str:
    try:
        return json.dumps(value)
    except (ValueError, RecursionError):  # an integer of more digits than Python converts
        return "{"


_opened: list[str] | None = None
_hooked = False


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _opened is None:
        return
    if event == "open" and isinstance(arguments[0], str | bytes):
        _opened.append(
            arguments[0] if isinstance(arguments[0], str) else arguments[0].decode("utf-8", "surrogateescape")
        )
    elif event in ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.symlink", "os.truncate", "subprocess.Popen"):
        _opened.append(f"{event} {arguments[0]!r}")


@contextmanager
def watched_files() -> Iterator[list[str]]:
    """Collect the paths that this process opens by Python, and its changes of folders."""
    global _opened, _hooked  # noqa: PLW0603 - an audit hook cannot be removed
    if not _hooked:
        sys.addaudithook(_hook)
        _hooked = True
    _opened = []
    try:
        yield _opened
    finally:
        _opened = None


def strange_files(opened: list[str], *folders: Path) -> list[str]:
    """Return what was opened outside these folders and the code of Python and of this project."""
    root = Path(__file__).resolve().parents[3]
    code = tuple(map(str, (Path(sys.prefix), Path(sys.base_prefix), root / "src", root / "builder", root / "metrics",
                           Path(json.__file__).parent.parent, Path("/usr"), Path("/proc"), Path("/dev"))))  # fmt: skip
    packages = tuple(path for path in sys.path if path)
    inside = tuple(str(folder) for folder in folders)
    return [path for path in opened if not path.startswith((*inside, *code, *packages))]
