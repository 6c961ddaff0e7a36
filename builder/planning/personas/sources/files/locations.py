"""Locate the files of a persona source: a file, a folder, a release of ours, or a dataset on the Hub."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from personagen.builder.core.errors import RecipeError
from personagen.builder.core.file_names import MANIFEST
from personagen.builder.core.foreign_text import quote

SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")
"""Endings of the files that can be read."""

HUB_PREFIX = "hf://datasets/"
"""Beginning of an address on the Hub."""

CHOICE_SUFFIX = ".personas.jsonl"
"""Ending of the file that holds the chosen personas of a run."""

DIGEST_CHUNK_BYTES = 2**20
"""Bytes that are hashed at a time."""

_ADDRESS = re.compile(
    r"hf://datasets/(?P<repo>[A-Za-z0-9_][\w.-]{0,95}/[A-Za-z0-9_][\w.-]{0,95})"
    r"(?:@(?P<early>[^/@]+))?(?P<path>/[^@]*)?(?:@(?P<late>[^@]+))?",
    re.ASCII,
)
_REVISION = re.compile(r"(?!.*\.\.)[A-Za-z0-9_][\w./-]{0,199}", re.ASCII)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of personas on this machine.

    Attributes:
        name: path within its folder or repository, with slashes.
        path: path on this machine.

    """

    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class HubAddress:
    """A dataset on the Hub, or a part of it.

    Attributes:
        repo: OWNER/NAME.
        path: file or folder in the repository; "": all of it.
        revision: branch, tag or commit. None: the default branch, resolved to its commit.

    """

    repo: str
    path: str
    revision: str | None


@dataclass(frozen=True, slots=True)
class LocatedSource:
    """The files of a source.

    Attributes:
        name: name for manifest and card: an address on the Hub, or the last part of a local path.
        files: files in the order of their names.
        revision: commit on the Hub. None: a local source.
        readme: README of the source, where its licence may stand. None: it has none.
        made_by_us: whether the source is a release of ours.

    """

    name: str
    files: tuple[SourceFile, ...]
    revision: str | None = None
    readme: Path | None = None
    made_by_us: bool = False


def parse_address(source: str) -> HubAddress:
    """Parse `hf://datasets/OWNER/NAME[@REVISION][/PATH]`; the revision may also stand at the end.

    Raises:
        ValueError: the address has another form, or its path leaves the repository.

    """
    match = _ADDRESS.fullmatch(source)
    if match is None or (match["early"] and match["late"]):
        raise ValueError(f"got {quote(source)}, wanted hf://datasets/OWNER/NAME@REVISION or a path within it")
    path, revision = (match["path"] or "").strip("/"), match["early"] or match["late"]
    if any(part in ("", ".", "..") for part in path.split("/")[: 99 if path else 0]) or "\\" in path or "\0" in path:
        raise ValueError(f"got the path {quote(path)}, which leaves the repository; name a file or folder in it")
    if revision is not None and not _REVISION.fullmatch(revision):
        raise ValueError(f"got the revision {quote(revision)}, wanted a branch, a tag or a commit")
    return HubAddress(match["repo"], path, revision)


def validate_source(source: str) -> None:
    """Raise ValueError for a source that can be no address, without looking at disk or network."""
    if source.startswith(HUB_PREFIX):
        parse_address(source)
    elif "://" in source:
        raise ValueError(f"got {quote(source)}, wanted a path, or hf://datasets/OWNER/NAME@REVISION")
    elif "\0" in source or not source.strip():
        raise ValueError(f"got {quote(source)}, wanted the path of a table or of a folder of tables")


def is_address(source: str) -> bool:
    """Return whether a source is on the Hub."""
    return source.startswith(HUB_PREFIX)


def source_name(source: str) -> str:
    """Return an address as it is, and the last part of a local path."""
    return source if is_address(source) else Path(source).name


def locate_folder(source: str) -> LocatedSource:
    """Return the files of a source on this machine.

    Raises:
        RecipeError: there is no such file or folder, it has no table, or tables of several kinds.

    """
    path = Path(source)
    if path.is_file():
        if path.suffix.lower() not in SUFFIXES:
            raise RecipeError(
                f"personas.source: got {quote(path.name)}, wanted a file that ends in {', '.join(SUFFIXES)}; convert it"
            )
        return LocatedSource(path.name, (SourceFile(path.name, path),), readme=_readme(path.parent))
    if not path.is_dir():
        raise RecipeError(
            f"personas.source: {quote(source, limit=200)} does not exist; give a path relative to the recipe, or "
            "hf://datasets/OWNER/NAME@REVISION"
        )
    names = sorted(entry.relative_to(path).as_posix() for entry in path.rglob("*") if entry.is_file())
    made_by_us = is_release_manifest(path / MANIFEST)
    tables = tables_of(names, path.name, made_by_us=made_by_us)
    files = tuple(SourceFile(name, path / name) for name in tables)
    return LocatedSource(path.absolute().name, files, readme=_readme(path), made_by_us=made_by_us)


def tables_of(names: Sequence[str], source: str, *, made_by_us: bool) -> list[str]:
    """Return the tables among the files of a folder, in the order of their names.

    Of a release of ours, these are the files of the layer `sociocultural` and those of `demographic`.

    Raises:
        RecipeError: there is no table, or there are tables of several kinds.

    """
    visible = [name for name in names if not any(part.startswith(".") for part in PurePosixPath(name).parts)]
    tables = [name for name in visible if PurePosixPath(name).suffix.lower() in SUFFIXES]
    if made_by_us:
        tables = [name for name in tables if PurePosixPath(name).parts[0] == "demographic"]
    if not tables:
        raise RecipeError(
            f"personas.source: {quote(source)} has no file that ends in {', '.join(SUFFIXES)}"
            + (" in `demographic`; name a release with personas" if made_by_us else "; name a folder of tables")
        )
    kinds = sorted({PurePosixPath(name).suffix.lower() for name in tables})
    if len(kinds) > 1:
        raise RecipeError(
            f"personas.source: {quote(source)} has {' and '.join(kinds)} files, wanted one kind; name a file or a "
            "folder with one kind"
        )
    return sorted(tables)


def digest_of(files: Sequence[SourceFile]) -> str:
    """Return the SHA-256 of a file; of several, that of the lines that `sha256sum` prints for them in name order."""
    digests = []
    for file in files:
        digest = hashlib.sha256()
        with file.path.open("rb") as stream:
            while chunk := stream.read(DIGEST_CHUNK_BYTES):
                digest.update(chunk)
        digests.append(digest.hexdigest())
    if len(digests) == 1:
        return digests[0]
    lines = "".join(f"{digest}  {file.name}\n" for digest, file in zip(digests, files, strict=True))
    return hashlib.sha256(lines.encode()).hexdigest()


def _readme(folder: Path) -> Path | None:
    path = folder / "README.md"
    return path if path.is_file() else None


def is_release_manifest(path: Path) -> bool:
    """Return whether a file is the manifest of a release of ours."""
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        return str(manifest["format"]).startswith("personagen-release/")
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return False
