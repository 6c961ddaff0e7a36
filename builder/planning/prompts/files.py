"""Read the prompt templates that a recipe names: a folder, or files by template.

A folder has one file per template, `TEMPLATE.md`, or several of one, `TEMPLATE.WORDING.md`. README.md and hidden files
are left out.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from re import fullmatch

from personagen.builder.core.foreign_text import quote
from personagen.builder.planning.styles.library import file_id
from personagen.builder.planning.suggestions import did_you_mean

PROSE_NAMES = ("demographic", "sociocultural", "situational")
"""Templates of the prose of layers."""

TEXT_NAMES = ("expression", "styled", "continuation", "styled_continuation")
"""Templates of texts, of which a recipe uses one: by style and by kind of model."""

LAYERS, FURTHER = "_layers", "_further"

MACRO_FILES = (LAYERS, FURTHER)
"""Templates of macros: `_layers` describes a persona and a situation, `_further` adds the further attributes."""

TEMPLATE_NAMES = (*MACRO_FILES, *PROSE_NAMES, *TEXT_NAMES, "list")
"""Templates that a recipe can replace."""

SUFFIX = ".md"
"""End of the name of a template's file."""

README = "readme.md"
"""File of a folder that is no template, in lower case."""

MAX_TEMPLATE_BYTES = 65_536
"""Upper bound on the size of a template; those of the package have 3,000 at most."""

MAX_WORDINGS = 64
"""Upper bound on the wordings of a template."""

PromptSources = str | Mapping[str, str | Sequence[str]]
"""A folder, or one or several files by the name of a template."""


@dataclass(frozen=True, slots=True)
class PromptFile:
    """A template of a recipe.

    Attributes:
        template: name of the template that it replaces.
        wording: its name among the wordings of the template; None: it is the only one.
        name: name of the file, for messages.
        content: content of the file.

    """

    template: str
    wording: str | None
    name: str
    content: bytes

    @property
    def folder_name(self) -> str:
        """Name of the file in a folder of prompts."""
        return f"{self.template}{'' if self.wording is None else f'.{self.wording}'}{SUFFIX}"

    @property
    def text(self) -> str:
        """The template."""
        return self.content.decode("utf-8-sig")

    @property
    def sha256(self) -> str:
        """SHA-256 of the content, in hex."""
        return hashlib.sha256(self.content).hexdigest()


def read_prompts(sources: PromptSources | None) -> tuple[PromptFile, ...]:
    """Read the templates of a recipe, in the order of their names and wordings; None: there are none.

    Raises:
        ValueError: a file or a name is no template's, a wording has no name of its own, or a file cannot be read.

    """
    files = [
        _read(template, wording, path)
        for template, paths in template_paths(sources).items()
        for wording, path in _named(template, paths)
    ]
    return tuple(sorted(files, key=lambda file: (file.template, file.wording or "")))


def wordings_in(files: Sequence[PromptFile]) -> tuple[str, ...]:
    """Return the names of the wordings, in order; empty: every template has one."""
    return tuple(file.wording for file in files if file.wording is not None)


def prompts_id(files: Sequence[PromptFile]) -> dict[str, list[str]]:
    """Return how templates are recorded: by template, the names of their wordings and digests.

    A file counts by the name that it has in a folder of prompts, so that a mapping and a folder can be equal.
    """
    entries: dict[str, list[str]] = {}
    for file in files:
        entries.setdefault(file.template, []).append(file_id(file.folder_name, file.content))
    return entries


def template_paths(sources: PromptSources | None) -> dict[str, list[Path]]:
    """Return the files by template.

    Raises:
        ValueError: see `read_prompts`.

    """
    if sources is None:
        return {}
    if isinstance(sources, str):
        return _paths_in(Path(sources))
    for template in sources:
        if template not in TEMPLATE_NAMES:
            raise ValueError(f"prompts: {_unknown(template)}")
    if not sources:
        raise ValueError("prompts: got an empty mapping, wanted a folder or files by template; leave it out instead")
    return {
        template: [Path(path) for path in ([paths] if isinstance(paths, str) else paths)]
        for template, paths in sources.items()
    }


def _paths_in(folder: Path) -> dict[str, list[Path]]:
    """Return the files of a folder by template."""
    try:
        is_folder = folder.is_dir()
        entries = sorted(folder.iterdir()) if is_folder else []
    except (OSError, ValueError) as error:  # a name with a null byte is a ValueError
        raise _unreadable(folder, error) from None
    if not is_folder:
        what = "a file" if folder.exists() else "nothing"
        raise ValueError(
            f"prompts: got {_shown(folder)}, which is {what}, wanted a folder of templates or files by template, "
            "such as {styled: styled.md}; `personagen prompts export` writes a folder"
        )
    paths: dict[str, list[Path]] = {}
    for path in entries:
        if path.name.startswith(".") or path.name.lower() == README:
            continue
        if path.suffix != SUFFIX or path.is_dir():
            raise ValueError(
                f"prompts: {_shown(path)} is no template, wanted files such as styled{SUFFIX}; move it elsewhere"
            )
        if not path.resolve().is_relative_to(folder.resolve()):
            raise ValueError(f"prompts: {_shown(path)} is a link that leads out of the folder; put the file there")
        template = path.name.removesuffix(SUFFIX).partition(".")[0]
        if template not in TEMPLATE_NAMES:
            raise ValueError(f"prompts: {_shown(path)}: {_unknown(template)}")
        paths.setdefault(template, []).append(path)
    if not paths:
        raise ValueError(
            f"prompts: {_shown(folder)} has no template, wanted files such as styled{SUFFIX}; "
            "`personagen prompts export` writes them"
        )
    return paths


def _unknown(template: str) -> str:
    hint = did_you_mean(template, TEMPLATE_NAMES)
    return f"no template is named {quote(template)}{hint}; known: {', '.join(TEMPLATE_NAMES)}"


def _named(template: str, paths: Sequence[Path]) -> Iterator[tuple[str | None, Path]]:
    """Yield the files of a template with the names of their wordings, which are those of the files."""
    key = f"prompts.{template}"
    if not paths:
        raise ValueError(f"{key}: got an empty list, wanted one file or more; leave it out instead")
    if len(paths) > MAX_WORDINGS:
        raise ValueError(f"{key}: got {len(paths)} files, wanted {MAX_WORDINGS} or fewer")
    if len(paths) == 1:
        yield None, paths[0]
        return
    if template not in TEXT_NAMES:
        raise ValueError(
            f"{key}: got {len(paths)} wordings, wanted one file: rows share its replies, and so only a template of "
            f"texts ({', '.join(TEXT_NAMES)}) has several; name one"
        )
    names = [_wording(template, path) for path in paths]
    for name, path in zip(names, paths, strict=True):
        if not fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}", name):
            raise ValueError(
                f"{key}: got {quote(path.name)}, whose name becomes that of the wording, wanted up to 40 letters, "
                "digits, '-' and '_'; rename it"
            )
    repeated = next((name for name, count in Counter(map(str.lower, names)).items() if count > 1), None)
    if repeated is not None:
        raise ValueError(
            f"{key}: two wordings are named {repeated!r}, which is the name of their files; rename one, or name it once"
        )
    yield from zip(names, paths, strict=True)


def _wording(template: str, path: Path) -> str:
    """Return the name of the wording in a file: its name, without that of the template before a full stop."""
    return path.name.removesuffix(SUFFIX).removeprefix(f"{template}.")


def _read(template: str, wording: str | None, path: Path) -> PromptFile:
    shown = f"prompts.{template}: {_shown(path)}"
    try:
        is_file, size = path.is_file(), path.stat().st_size
        content = path.read_bytes() if is_file and size <= MAX_TEMPLATE_BYTES else b""
    except (OSError, ValueError) as error:  # a name with a null byte is a ValueError
        raise _unreadable(path, error) from None
    if not is_file:
        raise ValueError(f"{shown} is a folder or a device, wanted a file")
    if size > MAX_TEMPLATE_BYTES or len(content) > MAX_TEMPLATE_BYTES:
        raise ValueError(f"{shown} has {size:,} bytes, wanted {MAX_TEMPLATE_BYTES:,} or fewer; shorten it")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{shown} is no text in UTF-8; save it so") from None
    if "\0" in text:
        raise ValueError(f"{shown} has a zero byte, so it is no text; name a template")
    if not text.strip():
        raise ValueError(f"{shown} is empty, wanted a template; `personagen prompts export` writes one to begin with")
    return PromptFile(template, wording, path.name, content)


def _shown(path: Path) -> str:
    """Quote a path for a message; its end, the name of the file, is within the limit for usual paths."""
    return quote(str(path), limit=300)


def _unreadable(path: Path, error: Exception) -> ValueError:
    reason = getattr(error, "strerror", None) or str(error)
    return ValueError(f"prompts: cannot read {_shown(path)} ({reason}); check the path")
