"""Write small files whole or not at all, and tell what the operating system says with what to do."""

import errno
from pathlib import Path

from personagen.builder.core.errors import FolderError


def write_text(target: Path, text: str) -> None:
    """Write a text file: to a temporary name first, then renamed. Raises FolderError where that fails."""
    part = target.with_name(target.name + ".part")
    try:
        part.write_text(text, encoding="utf-8", newline="\n")
        part.replace(target)
    except OSError as error:
        raise FolderError(f"cannot write {target}: {explain(error)}") from error


def told_name(source: str) -> str:
    """Name a file without its folders, which are nobody's business; what is no file stays as it is."""
    return Path(source).name if Path(source).exists() else source


def explain(error: OSError) -> str:
    """Tell an operating system's error with what to do."""
    advice = {
        errno.ENOSPC: "free some space and run the command again; nothing that was paid for is lost",
        errno.EACCES: "choose another folder with --out, or change its permissions",
        errno.EPERM: "choose another folder with --out, or change its permissions",
        errno.EROFS: "choose another folder with --out",
    }
    hint = advice.get(error.errno or 0, "choose another folder with --out")
    return f"{(error.strerror or str(error)).lower()}; {hint}"
