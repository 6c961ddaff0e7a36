"""Publish a release: compare, upload new files, commit once, tag.

The branch changes by one commit, whose contents are uploaded before it. Until then, readers get the previous release.
After any interruption the same call completes the push: uploaded files are not sent again, and a commit that was
created is found.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from personagen.builder.core.errors import HubError, ReleaseError
from personagen.builder.core.file_names import CARD, MANIFEST
from personagen.builder.core.foreign_text import quote
from personagen.builder.core.progress import SILENT, Progress
from personagen.builder.hub.client import HubClient, connect
from personagen.builder.hub.commits import commit, head_of, is_tagged, open_pull_request, set_tag, tags
from personagen.builder.hub.journal import JournalSize, ReplayedJournal, replayed_journal
from personagen.builder.hub.names import require_ref_name, require_repo_name
from personagen.builder.hub.repo_files import (
    FileChanges,
    FilesByPath,
    FileVersion,
    RepoBranch,
    diff_files,
    remote_files,
    remote_text,
    small_file,
)
from personagen.builder.planning.recipe import Recipe
from personagen.builder.release.cards.edits import keep_metadata, replaced_edits
from personagen.builder.release.cards.metadata import card_problems, split_card
from personagen.builder.release.cards.regions import merge_regions
from personagen.builder.release.folder import (
    LISTED,
    MEND,
    SHARD,
    check_release,
    files_of,
    foreign_files,
    parse_manifest,
    read_card,
)
from personagen.builder.release.prompt_files import PROMPT_PATH, listed_prompts
from personagen.builder.replay import is_same_generation
from personagen.builder.segments.publication import is_published_segment


@dataclass(frozen=True, slots=True)
class PushSettings:
    """Settings of a push.

    Attributes:
        revision: branch to change; it is created if it does not exist.
        tag: name of the version. None: no tag.
        private: whether a new repository is private. None: the default of the account.
        create_pr: open a pull request instead of changing the branch.
        message: title of the commit, followed by the digest of the release. None: the name of the release.
        dry_run: compare only; nothing is sent.
        journal: publish the replies of the models too, once they have made the release again.
        recipe: recipe of the release, for its journal. None: the one in the folder of its run.

    """

    revision: str = "main"
    tag: str | None = None
    private: bool | None = None
    create_pr: bool = False
    message: str | None = None
    dry_run: bool = False
    journal: bool = False
    recipe: Recipe | None = None


@dataclass(frozen=True, slots=True)
class PushResult:
    """Result of a push.

    Attributes:
        repo: the repository.
        commit: commit that has the release. None: a dry run, or an open pull request.
        url: page of the commit or of the pull request. None: a dry run.
        sent: bytes of the files that were sent, or would be, by path.
        kept: bytes of the files that the repository had already, by path.
        deleted: paths of the previous release that were deleted, or would be.
        card: the card, with the hand-written regions of the one on the Hub.
        journal: the published replies. None: they are not published.

    """

    repo: str
    commit: str | None
    url: str | None
    sent: Mapping[str, int] = field(repr=False)
    kept: Mapping[str, int] = field(repr=False)
    deleted: tuple[str, ...] = field(repr=False)
    card: str = field(repr=False)
    journal: JournalSize | None = None


@dataclass(frozen=True, slots=True)
class RepoState:
    """State of a repository: the commit of its branch, and the files of this commit. None: there is no repository."""

    head: str | None
    files: FilesByPath


def push(
    folder: Path,
    repo: str,
    settings: PushSettings,
    *,
    token: str | None = None,
    client: HubClient | None = None,
    progress: Progress = SILENT,
) -> PushResult:
    """Publish the release in a folder.

    Args:
        folder: the release; every byte of it is validated before anything is sent.
        repo: "USER/NAME".
        settings: settings of the push.
        token: token of the Hub. None: the token of this machine.
        client: client of the Hub. None: a new one with the token.
        progress: receives the bytes of large files: uploaded and total.

    Raises:
        ReleaseError: the folder is no release, or was altered.
        HubError: the Hub refuses, cannot be reached, or the branch was changed by another client meanwhile. The message
            reports the state of the branch.
        PersonaGenError: the journal does not make the release again; see `replay`.

    """
    validate_target(repo, settings)
    manifest = check_release(folder)
    client = client or connect(token, progress)
    with TemporaryDirectory(prefix="personagen-") as scratch:
        journal = None
        if settings.journal:
            journal = replayed_journal(folder, manifest, settings.recipe, Path(scratch), client.progress)
        return _push(client, folder, repo, settings, manifest, journal)


def _push(
    client: HubClient,
    folder: Path,
    repo: str,
    settings: PushSettings,
    manifest: Mapping[str, Any],
    journal: ReplayedJournal | None,
) -> PushResult:
    branch = RepoBranch(repo, name=settings.revision)
    state = repo_state(client, branch)
    _validate_branch(client, branch, state, private=settings.private)
    card = _merged_card(client, folder, branch, state, manifest)
    files = {**local_files(folder, manifest, card), **(journal.files if journal else {})}
    previous = _previous_manifest(client, branch, state)
    changes = diff_files(files, state.files, _previous_files(state, previous, manifest, replaces_journal=bool(journal)))
    size = journal.size if journal else None
    _require_no_foreign_files(repo, set(state.files) - set(changes.delete), manifest)
    data = {path: file for path, file in files.items() if path != CARD}  # the card of a tag may have been edited
    tagged = settings.tag is not None and state.head is not None and is_tagged(client, branch, settings.tag, data)
    if settings.dry_run:
        return _result(repo, None, None, changes, card, size)
    state = _ensure_branch(client, branch, state, private=settings.private)
    message = f"{settings.message or manifest['name']} ({manifest['digest'][:12]})"
    head, url = _send(client, branch, state, changes, message, create_pr=settings.create_pr)
    if settings.tag is not None and head is not None and not tagged:
        set_tag(client, branch, settings.tag, head)
    return _result(repo, head, url, changes, card, size)


def validate_target(repo: str, settings: PushSettings) -> None:
    """Raise HubError for a repository, branch or tag that the Hub would refuse, or a tag of a pull request."""
    require_repo_name(repo)
    require_ref_name("--revision", settings.revision)
    if settings.tag is not None:
        require_ref_name("--tag", settings.tag)
        if settings.tag in ("main", settings.revision):
            raise HubError(f"--tag: got {quote(settings.tag)}, a branch; choose another name, such as v1.0.0")
    if settings.tag is not None and settings.create_pr:
        raise HubError(
            "a tag names a commit of a branch, which a pull request does not change; leave one of the two out"
        )


def _send(
    client: HubClient, branch: RepoBranch, state: RepoState, changes: FileChanges, message: str, *, create_pr: bool
) -> tuple[str | None, str]:
    """Commit changes or open a pull request; return the commit (None: a pull request) and the page."""
    head, page = state.head, f"{client.api.endpoint}/datasets/{branch.repo}"
    assert head is not None, "the branch exists"
    if changes.send or changes.delete:
        if create_pr:
            number = open_pull_request(client, branch, head, state.files, changes, message)
            return None, f"{page}/discussions/{number}"
        head = commit(client, branch, head, state.files, changes, message)
    return head, f"{page}/commit/{head}"


def _result(
    repo: str, commit_: str | None, url: str | None, changes: FileChanges, card: str, journal: JournalSize | None
) -> PushResult:
    sent, kept = ({path: file.size for path, file in part.items()} for part in (changes.send, changes.keep))
    return PushResult(repo, commit_, url, sent, kept, tuple(changes.delete), card, journal)


def repo_state(client: HubClient, branch: RepoBranch) -> RepoState:
    """Return the state of a repository.

    Raises:
        HubError: it cannot be read, or the name is that of a model.

    """
    from huggingface_hub import errors as hub

    try:
        head = head_of(client, branch, pass_not_found=True)
    except hub.RevisionNotFoundError:
        head = head_of(client, RepoBranch(branch.repo))
    except hub.RepositoryNotFoundError:
        _require_no_model(client, branch.repo)
        return RepoState(None, {})
    return RepoState(head, remote_files(client, branch, head))


def _require_no_model(client: HubClient, repo: str) -> None:
    if client.with_retries(f"look for {repo}", lambda: client.api.repo_exists(repo, repo_type="model")):
        raise HubError(
            f"{repo} is a model on the Hub, and no dataset; choose another name, or make the dataset first: "
            f"`hf repos create {repo} --type dataset`"
        )


def local_files(folder: Path, manifest: Mapping[str, Any], card: str) -> FilesByPath:
    """Return the files of a release by their paths in the repository."""
    shards = {
        shard["path"]: FileVersion(shard["bytes"], shard["sha256"], path=folder / shard["path"])
        for shard in manifest["shards"]
    }
    prompts = [file["path"] for file in listed_prompts(manifest)]
    small = [MANIFEST, *prompts, *(path for key, path in LISTED.items() if manifest.get(key))]
    return {
        **shards,
        **{name: small_file((folder / name).read_bytes()) for name in small},
        CARD: small_file(card.encode()),
    }


def _validate_branch(client: HubClient, branch: RepoBranch, state: RepoState, *, private: bool | None) -> None:
    """Raise HubError if the repository has another visibility, or the branch is none, before anything is sent."""
    if state.head is None:
        return
    if private is not None:
        info = client.with_retries(
            f"look at {branch.repo}", lambda: client.api.repo_info(branch.repo, repo_type=branch.kind)
        )
        if bool(info.private) != private:
            visibility = "private" if info.private else "public"
            raise HubError(
                f"{branch.repo} exists and is {visibility}; change that on its page, or leave the option out"
            )
    if branch.name != "main" and (branch.name in tags(client, branch) or re.fullmatch(r"[0-9a-f]{40}", branch.name)):
        raise HubError(f"{branch.name} is a tag or a commit of {branch.repo}; --revision names a branch")


def _require_no_foreign_files(repo: str, paths: set[str], manifest: Mapping[str, Any]) -> None:
    foreign = foreign_files(paths, manifest)
    if foreign:
        raise HubError(
            f"{repo} has {foreign[0]}, which is not of this release and would be read as a part of it; delete or "
            "rename it there. Nothing was sent"
        )


def _merged_card(
    client: HubClient, folder: Path, branch: RepoBranch, state: RepoState, manifest: Mapping[str, Any]
) -> str:
    """Return the card of the folder with the hand-written regions of the card on the Hub."""
    card = read_card(folder)
    for problem in card_problems(card, manifest):
        raise ReleaseError(f"{folder}: {problem}; {MEND}")
    if state.head is None or CARD not in state.files:
        return card
    older = remote_text(client, branch, state.head, CARD, state.files[CARD])
    try:
        # The site creates cards of YAML alone, which have no hand-written text.
        merged = merge_regions(card, older) if split_card(older)[1].strip() else card
    except ReleaseError as error:
        raise HubError(f"{CARD} of {branch.repo} on the Hub: {error}. Nothing was sent") from None
    edits = list(replaced_edits(card, older, _previous_manifest(client, branch, state)))
    if edits:
        client.progress.warn(
            f"{CARD} of {branch.repo} on the Hub was edited, which this push replaces: {'; '.join(edits)}; keep text "
            "between the marks of the card, and the licence in the recipe"
        )
    try:
        return keep_metadata(merged, older)
    except ReleaseError as error:
        raise HubError(f"{CARD} of {branch.repo} on the Hub: {error}. Nothing was sent") from None


def _previous_manifest(client: HubClient, branch: RepoBranch, state: RepoState) -> Mapping[str, Any] | None:
    """Return the manifest in the repository; None: it has none."""
    if state.head is None or MANIFEST not in state.files:
        return None
    text = remote_text(client, branch, state.head, MANIFEST, state.files[MANIFEST])
    try:
        return parse_manifest(text, f"{MANIFEST} of {branch.repo}")
    except (ReleaseError, KeyError, TypeError):
        raise HubError(
            f"{branch.repo} has a {MANIFEST} that is not of a release; choose another repository, or rename it there. "
            "Nothing was sent"
        ) from None


def _previous_files(
    state: RepoState, previous: Mapping[str, Any] | None, manifest: Mapping[str, Any], *, replaces_journal: bool
) -> list[str]:
    """Return the paths of the release in the repository; files that its manifest does not list are kept.

    Its journal is one of them if the release is another one now, which it could not replay, or has a new journal.

    Args:
        state: state of the repository.
        previous: its manifest. None: it has none.
        manifest: manifest of the release that is pushed.
        replaces_journal: whether a journal is pushed.

    """
    if previous is None:
        return []
    listed = {file["path"] for file in files_of(previous)}
    paths = [path for path in state.files if path in listed and _is_of_release(path)]
    if replaces_journal or not is_same_generation(previous, manifest):
        paths += filter(is_published_segment, state.files)
    return paths


def _is_of_release(path: str) -> bool:
    return bool(SHARD.fullmatch(path) or PROMPT_PATH.fullmatch(path)) or path in LISTED.values()


def _ensure_branch(client: HubClient, branch: RepoBranch, state: RepoState, *, private: bool | None) -> RepoState:
    """Create the repository and the branch if they do not exist; return the state of the branch.

    An existing one is no error here: the answer to an earlier try may have been lost.
    """
    repo = branch.repo
    if state.head is None:
        create = partial(client.api.create_repo, repo, repo_type=branch.kind, private=private, exist_ok=True)
        client.with_retries(f"create {repo}", create)
        state = repo_state(client, RepoBranch(repo))
    if state.head is None:
        raise HubError(f"cannot create {repo}: the Hub reports that it exists but hides it; check name and token")
    if branch.name != "main":
        add = partial(client.api.create_branch, repo, branch=branch.name, repo_type=branch.kind, exist_ok=True)
        client.with_retries(f"create the branch {branch.name} of {repo}", add)
    return state
