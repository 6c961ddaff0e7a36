"""Compare a release, in a folder or on the Hub, with its manifest: files, rows, columns and configurations."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from personagen.builder.core.errors import HubError, ReleaseError
from personagen.builder.core.file_names import CARD, MANIFEST
from personagen.builder.core.foreign_text import printable, quote
from personagen.builder.core.progress import SILENT, Progress
from personagen.builder.hub.client import HubClient, connect_to_read
from personagen.builder.hub.commits import head_of
from personagen.builder.hub.names import require_repo_name, require_revision
from personagen.builder.hub.repo_files import FilesByPath, RepoBranch, remote_files, remote_text
from personagen.builder.release.cards.metadata import card_problems
from personagen.builder.release.folder import (
    check_manifest,
    check_release,
    files_of,
    foreign_files,
    parse_manifest,
    read_card,
)
from personagen.builder.release.formats.tables import require_bounded_footer, require_bounded_values
from personagen.builder.release.model_facts import model_problems
from personagen.builder.release.tables.columns import TableForm, arrow_schema, columns_of, form_of
from personagen.builder.release.tables.shards import file_digest
from personagen.builder.replay import Replay, ReplaySettings, replay
from personagen.builder.segments.publication import FOLDER, is_published_segment
from personagen.builder.segments.shared_folder import SharedFolder
from personagen.builder.segments.store import CONTENT, SegmentStore

Open = Callable[[str], AbstractContextManager[BinaryIO]]
"""Opens a file of a release by its path."""

FOREIGN = "is no file of this release, and would be read"
"""Problem of a file that the manifest does not list."""


@dataclass(frozen=True, slots=True)
class Verification:
    """Result of a verification.

    Attributes:
        source: the folder or the repository.
        commit: commit of the repository. None: a folder.
        files: data files of the manifest.
        rows: rows of these files.
        columns: version of the columns.
        problems: one line per problem; empty: the release is as its manifest says.
        replay: result of its replay, whose differences are problems too. None: it was not replayed.

    """

    source: str
    commit: str | None
    files: int
    rows: int
    columns: str
    problems: tuple[str, ...]
    replay: Replay | None = None

    @property
    def earlier_form(self) -> str:
        """What the form of an earlier version means; "": the release has the form of this one."""
        if TableForm((), "none", self.columns).is_mixed:
            return ""
        return f"columns {self.columns}: `all` is one emotion after another, without their names"


def verify_folder(
    folder: Path, replaying: ReplaySettings | None = None, *, progress: Progress = SILENT
) -> Verification:
    """Verify a release in a folder.

    Args:
        folder: the release.
        replaying: what it is replayed from if it is as its manifest says. None: it is not replayed.
        progress: receives the progress of the replay.

    Raises:
        ReleaseError: the folder is no release; or its manifest or a file was altered, which ends the verification.
        PersonaGenError: it cannot be replayed; see `replay`.

    """
    manifest = check_release(folder)
    paths = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or path.is_file()}
    problems = [*_foreign(paths, manifest), *_table_problems(manifest, lambda path: (folder / path).open("rb"), folder)]
    found = _verification(str(folder), None, manifest, [*problems, *card_problems(read_card(folder), manifest)])
    if replaying is None or found.problems:
        return found
    return _with_replay(found, replay(manifest, replaying, folder=folder, progress=progress))


def verify_hub(
    source: str,
    replaying: ReplaySettings | None = None,
    *,
    token: str | None = None,
    client: HubClient | None = None,
    progress: Progress = SILENT,
) -> Verification:
    """Verify a release on the Hub.

    The SHA-256 of a data file is the one that the Hub stores it by; a file that the Hub stores without one is
    downloaded. Rows and columns are read from the footer of each file.

    Args:
        source: "USER/NAME", optionally with "@REVISION" for a tag, branch or commit.
        replaying: see `verify_folder`; without journals, the published journal of the repository.
        token: token of the Hub. None: the token of this machine, if any.
        client: client of the Hub. None: a new one with the token.
        progress: receives the progress of the replay.

    Raises:
        HubError: there is no such repository or revision, or the Hub cannot be reached.
        ReleaseError: the repository has no release, or its manifest was altered, or it has no published journal.
        PersonaGenError: the release cannot be replayed; see `replay`.

    """
    client = client or connect_to_read(token)
    branch, commit = _locate(client, source)
    files = remote_files(client, branch, commit)
    missing = next((path for path in (MANIFEST, CARD) if path not in files), None)
    if missing:
        raise ReleaseError(f"{source} is no release: it has no {missing}; check name and revision")
    manifest = parse_manifest(remote_text(client, branch, commit, MANIFEST, files[MANIFEST]), source)
    check_manifest(manifest, source)
    problems = _file_problems(client, branch, commit, manifest, files)
    card = remote_text(client, branch, commit, CARD, files[CARD])
    found = _verification(source, commit, manifest, [*problems, *card_problems(card, manifest)])
    if replaying is None or found.problems:
        return found
    if replaying.journals is None:
        replaying = replace(replaying, journals=_published_journal(client, branch, commit, files))
    return _with_replay(found, replay(manifest, replaying, progress=progress))


def _file_problems(
    client: HubClient, branch: RepoBranch, commit: str, manifest: Mapping[str, Any], files: FilesByPath
) -> list[str]:
    """Compare the files of a commit with a manifest, and if they are the same, their rows and columns."""
    problems = list(_foreign(set(files), manifest))
    for file in files_of(manifest):
        path = file["path"]
        if path not in files:
            problems.append(f"{path} is missing")
        elif (
            files[path].size != file["bytes"]
            or _sha256(client, branch, commit, path, files[path].sha256) != file["sha256"]
        ):
            problems.append(f"{path} is not the file of the manifest: its size or SHA-256 differs")
    if not problems:
        problems += client.once(
            f"read the files of {branch.repo}", partial(_footer_problems, client, branch, commit, manifest)
        )
    return problems


def _published_journal(client: HubClient, branch: RepoBranch, commit: str, files: FilesByPath) -> SegmentStore:
    """Return the journal that was published with a release. Raises ReleaseError if there is none."""
    from huggingface_hub import HfFileSystem

    if not any(map(is_published_segment, files)):
        raise ReleaseError(
            f"{branch.repo} has no published journal at {commit[:12]}; its owner publishes it with personagen push "
            "--journal, or name the replies with --journals"
        )
    root = f"datasets/{branch.repo}@{commit}/{FOLDER}"
    hub = HfFileSystem(endpoint=client.api.endpoint, token=client.api.token)
    return SegmentStore(SharedFolder(f"hf://{root}", root, CONTENT, hub))


def _with_replay(found: Verification, replayed: Replay) -> Verification:
    problems = () if not replayed.differences else (f"its replay differs: {replayed.problem()}",)
    return replace(found, problems=problems, replay=replayed)


def _locate(client: HubClient, source: str) -> tuple[RepoBranch, str]:
    """Return repository and commit of "USER/NAME@REVISION"."""
    from huggingface_hub import errors as hub

    repo, _, revision = source.removeprefix("hf://datasets/").partition("@")
    require_repo_name(repo)
    require_revision(quote(repo), revision or "main")
    branch = RepoBranch(repo, name=revision or "main")
    try:
        return branch, head_of(client, branch, pass_not_found=True)
    except hub.RepositoryNotFoundError:
        raise HubError(f"no dataset {repo} on the Hub, or no right to read it; check the name and the token") from None
    except hub.RevisionNotFoundError:
        raise HubError(f"{repo} has no revision {revision!r}; see its branches and tags on the Hub") from None


def _footer_problems(client: HubClient, branch: RepoBranch, commit: str, manifest: Mapping[str, Any]) -> list[str]:
    from huggingface_hub import HfFileSystem

    system = HfFileSystem(endpoint=client.api.endpoint, token=client.api.token)
    return list(_table_problems(manifest, lambda path: system.open(f"datasets/{branch.repo}@{commit}/{path}", "rb")))


def _verification(source: str, commit: str | None, manifest: Mapping[str, Any], problems: list[str]) -> Verification:
    rows = sum(shard["rows"] for shard in manifest["shards"])
    problems = [*problems, *model_problems(manifest)]
    return Verification(source, commit, len(manifest["shards"]), rows, manifest["version"], tuple(problems))


def _sha256(client: HubClient, branch: RepoBranch, commit: str, path: str, known: str | None) -> str:
    if known is not None:
        return known

    def download() -> Path:
        return Path(client.api.hf_hub_download(branch.repo, path, repo_type=branch.kind, revision=commit))

    return file_digest(client.with_retries(f"download {path}", download))


def _foreign(paths: Iterable[str], manifest: Mapping[str, Any]) -> list[str]:
    return [f"{path} {FOREIGN}" for path in foreign_files(paths, manifest)]


def _table_problems(manifest: Mapping[str, Any], open_file: Open, folder: Path | None = None) -> Iterator[str]:
    """Compare rows and columns in the footer of each file with the manifest, and bound the texts of a folder."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    form = form_of(manifest)
    for shard in manifest["shards"]:
        with open_file(shard["path"]) as file:
            try:
                table = pq.ParquetFile(file)
                require_bounded_footer(table, shard["bytes"])
                if folder is not None:
                    require_bounded_values(folder / shard["path"])
            except (OSError, pa.ArrowException) as error:  # Arrow raises OSError for a footer that is garbage
                yield f"{shard['path']} is no parquet ({printable(str(error))[:80]})"
                continue
            except ValueError as error:
                yield f"{shard['path']} {error}"
                continue
            config = shard["path"].split("/")[0]
            schema = arrow_schema(columns_of(config, form))
            if table.metadata.num_rows != shard["rows"]:
                yield f"{shard['path']} has {table.metadata.num_rows} rows, its manifest says {shard['rows']}"
            if not table.schema_arrow.equals(schema, check_metadata=True):
                yield f"{shard['path']} has other columns than a release of version {manifest['version']}"
