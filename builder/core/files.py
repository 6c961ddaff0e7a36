"""Write files whole or not at all, and turn errors of the operating system into advice."""

import errno
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from personagen.builder.core.errors import FolderError


@contextmanager
def write_atomically(target: Path, *, durable: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `target`; rename it to `target` if the block succeeds, delete it if it fails.

    A reader of `target` finds the old content or the new content, never a part.

    Args:
        target: the file to write or to replace.
        durable: flush the file and its folder to the disk, so that the new content survives a power cut.

    Raises:
        OSError: the file cannot be written or renamed.

    """
    part = target.with_name(f"{target.name}.part")
    try:
        yield part
        if durable:
            _sync(part)
        part.replace(target)
        if durable:
            _sync(target.parent)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(target: Path, text: str) -> None:
    """Write a UTF-8 file atomically. Raises FolderError if that fails."""
    try:
        with write_atomically(target) as part:
            part.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise FolderError(f"cannot write {target}: {explain(error)}") from error


def write_json(target: Path, value: Any, *, ensure_ascii: bool = False) -> None:
    """Write a JSON file, indented by one space, as `write_text` does."""
    write_text(target, json.dumps(value, indent=1, ensure_ascii=ensure_ascii) + "\n")


def rounded(value: Any, digits: int = 6) -> Any:
    """Round every float of a JSON value to significant digits: beyond six, processors differ."""
    if isinstance(value, float):
        return float(f"{value:.{digits}g}")
    if isinstance(value, Mapping):
        return {key: rounded(part, digits) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(rounded(part, digits) for part in value)
    return value


def redact_path(source: str) -> str:
    """Return the file name without its folders, so that local paths do not leak; return other strings unchanged."""
    return Path(source).name if Path(source).exists() else source


def explain(error: OSError) -> str:
    """Return the reason of an operating system error and what to do about it."""
    advice = {
        errno.ENOSPC: "free some space and run the command again; nothing that was paid for is lost",
        errno.EACCES: "choose another folder with --out, or change its permissions",
        errno.EPERM: "choose another folder with --out, or change its permissions",
        errno.EROFS: "choose another folder with --out",
    }
    hint = advice.get(error.errno or 0, "choose another folder with --out")
    return f"{(error.strerror or str(error)).lower()}; {hint}"
