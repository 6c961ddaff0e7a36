"""Hold a release against its manifest, in a folder or as the Hub serves it: files, rows, columns, configurations."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from personagen.builder.core.errors import HubError, ReleaseError
from personagen.builder.hub.client import Caller, anybody
from personagen.builder.hub.commits import head_of
from personagen.builder.hub.repo_files import Place, remote_files, remote_text
from personagen.builder.release.card import card_problems
from personagen.builder.release.columns import arrow_schema, columns_of
from personagen.builder.release.folder import (
    CARD,
    MANIFEST,
    check_manifest,
    check_release,
    files_of,
    foreign_files,
    parse_manifest,
    read_card,
)
from personagen.builder.release.shards import file_digest

Open = Callable[[str], AbstractContextManager[BinaryIO]]
"""Opens a file of a release by its path."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found.

    Attributes:
        source: what was looked at.
        commit: commit of the repository; None for a folder.
        files: data files that were held against the manifest.
        rows: rows of all of them.
        problems: what is wrong, a line each; empty where all is as it should be.

    """

    source: str
    commit: str | None
    files: int
    rows: int
    problems: tuple[str, ...]


def verify_folder(folder: Path) -> Verified:
    """Verify a release in a folder.

    Raises:
        ReleaseError: it is none; or its manifest or one of its files was changed, so that nothing else can be told.

    """
    manifest = check_release(folder)
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    problems = [*_left_over(there, manifest), *_tables(manifest, lambda path: (folder / path).open("rb"))]
    return _found(str(folder), None, manifest, [*problems, *card_problems(read_card(folder), manifest)])


def verify_hub(source: str, *, token: str | None = None, caller: Caller | None = None) -> Verified:
    """Verify a release on the Hub: what its manifest says against what is served.

    Digests of data files are those that the Hub keeps them by; a file that it keeps without one is downloaded. Rows and
    columns are read from the end of each file.

    Args:
        source: "USER/NAME", with "@REVISION" for a tag, branch or commit.
        token: for the Hub; None takes that of this machine, if any.
        caller: who asks the Hub; None makes one with the token.

    Raises:
        HubError: there is no such repository or revision, or it cannot be reached.
        ReleaseError: it holds no release, or one whose manifest was changed.

    """
    caller = caller or anybody(token)
    place, commit = _found_on_hub(caller, source)
    files = remote_files(caller, place, commit)
    missing = next((path for path in (MANIFEST, CARD) if path not in files), None)
    if missing:
        raise ReleaseError(f"{source} is no release: it has no {missing}; check name and revision")
    manifest = parse_manifest(remote_text(caller, place, commit, MANIFEST), source)
    check_manifest(manifest, source)
    problems = list(_left_over(set(files), manifest))
    for file in files_of(manifest):
        path = file["path"]
        if path not in files:
            problems.append(f"{path} is missing")
        elif (
            files[path].size != file["bytes"]
            or _digest(caller, place, commit, path, files[path].sha256) != file["sha256"]
        ):
            problems.append(f"{path} is not the file of the manifest: its size or SHA-256 differs")
    if not problems:
        problems += caller.once(f"read the files of {place.repo}", partial(_ends, caller, place, commit, manifest))
    card = remote_text(caller, place, commit, CARD)
    return _found(source, commit, manifest, [*problems, *card_problems(card, manifest)])


def _found_on_hub(caller: Caller, source: str) -> tuple[Place, str]:
    from huggingface_hub import errors as hub

    repo, _, revision = source.removeprefix("hf://datasets/").partition("@")
    place = Place(repo, branch=revision or "main")
    try:
        return place, head_of(caller, place, absent=True)
    except hub.RepositoryNotFoundError:
        raise HubError(f"no dataset {repo} on the Hub, or no right to read it; check the name and the token") from None
    except hub.RevisionNotFoundError:
        raise HubError(f"{repo} has no revision {revision!r}; see its branches and tags on the Hub") from None


def _ends(caller: Caller, place: Place, commit: str, manifest: Mapping[str, Any]) -> list[str]:
    from huggingface_hub import HfFileSystem

    system = HfFileSystem(endpoint=caller.api.endpoint, token=caller.api.token)
    return list(_tables(manifest, lambda path: system.open(f"datasets/{place.repo}@{commit}/{path}", "rb")))


def _found(source: str, commit: str | None, manifest: Mapping[str, Any], problems: list[str]) -> Verified:
    rows = sum(shard["rows"] for shard in manifest["shards"])
    return Verified(source, commit, len(manifest["shards"]), rows, tuple(problems))


def _digest(caller: Caller, place: Place, commit: str, path: str, known: str | None) -> str:
    if known is not None:
        return known

    def fetched() -> Path:
        return Path(caller.api.hf_hub_download(place.repo, path, repo_type=place.kind, revision=commit))

    return file_digest(caller.patiently(f"download {path}", fetched))


def _left_over(there: Iterable[str], manifest: Mapping[str, Any]) -> list[str]:
    return [f"{path} is no file of this release, and would be read" for path in foreign_files(there, manifest)]


def _tables(manifest: Mapping[str, Any], opened: Open) -> Iterator[str]:
    """Look into the end of each file: its rows and its columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    emotions = [emotion["name"] for emotion in manifest["taxonomy"]["emotions"]]
    for shard in manifest["shards"]:
        with opened(shard["path"]) as file:
            try:
                found = pq.ParquetFile(file)
            except pa.ArrowInvalid:
                yield f"{shard['path']} is no parquet"
                continue
            wanted = arrow_schema(columns_of(shard["path"].split("/")[0], emotions, manifest["version"]))
            if found.metadata.num_rows != shard["rows"]:
                yield f"{shard['path']} has {found.metadata.num_rows} rows, its manifest says {shard['rows']}"
            if not found.schema_arrow.equals(wanted, check_metadata=True):
                yield f"{shard['path']} has other columns than a release of version {manifest['version']}"
