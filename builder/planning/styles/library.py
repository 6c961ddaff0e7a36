"""Load style profiles: those of the package by name, and a profile that `personagen match` measured by its file."""

import hashlib
from functools import lru_cache
from pathlib import Path

from personagen.builder.core.package_data import read_text, read_yaml
from personagen.builder.planning.suggestions import did_you_mean
from personagen.metrics.style import StyleProfile, parse_profile

STYLES: tuple[str, ...] = ("comments", "messages", "tweets", "dialogue", "reports", "diary", "mail")
"""Names of the profiles of the package."""

DEFAULT_STYLE = "comments"
"""Style of a recipe that names none."""

PROFILE_SUFFIX = ".tsv"
"""Suffix of the file of a profile: a name that ends with it is a path."""

OWN_FORM = "a short text, such as a post or a message"
"""What a text of a measured profile is called in prompts."""


def find_style(name: str) -> StyleProfile:
    """Return a profile by its name, or by the path of its file, which is read again if it has changed.

    Raises:
        ValueError: there is no such profile, or the file cannot be read.

    """
    if name in STYLES:
        return _packaged(name)
    return _parsed(Path(name).name, _table_of(name))


@lru_cache(maxsize=len(STYLES))
def _packaged(name: str) -> StyleProfile:
    return parse_profile(name, read_yaml("styles.yaml")[name]["form"], read_text(f"styles/{name}.tsv"))


@lru_cache(maxsize=32)
def _parsed(name: str, table: str) -> StyleProfile:
    return parse_profile(name, OWN_FORM, table)


def _table_of(name: str) -> str:
    """Read the file of a profile."""
    if not name.endswith(PROFILE_SUFFIX):
        raise ValueError(
            f"text.style: unknown style {name!r}{did_you_mean(name, STYLES)}; known: {', '.join(STYLES)}, or the "
            f"path of a profile (*{PROFILE_SUFFIX}) that `personagen match` wrote"
        )
    try:
        return Path(name).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:  # a name with a null byte is a ValueError
        is_binary = isinstance(error, UnicodeDecodeError)
        reason = "no text in UTF-8" if is_binary else getattr(error, "strerror", None) or str(error)
        raise ValueError(f"text.style: cannot read the profile {name!r} ({reason}); run personagen match") from None


def channel_of(name: str) -> tuple[str | None, str]:
    """Return the channel of a style, by its id in builder/data/setting.yaml, and its wording; None: any channel."""
    entry = read_yaml("styles.yaml").get(name, {})
    return entry.get("channel"), entry.get("form", OWN_FORM)


def style_name(name: str) -> str:
    """Return the name of a style in a release: its own, or that of its file without the folder."""
    return Path(name).name


def style_id(name: str) -> str:
    """Return how a style is recorded in a recipe: its name, or file name and digest of a profile from a file.

    Raises:
        ValueError: there is no such profile, or the file cannot be read.

    """
    if name in STYLES:
        return name
    return file_id(name, _table_of(name).encode())


def file_id(path: str, content: bytes) -> str:
    """Return how a file is recorded: its name without the folder, and 16 hex digits of the SHA-256 of its content."""
    return f"{Path(path).name} sha256:{hashlib.sha256(content).hexdigest()[:16]}"
