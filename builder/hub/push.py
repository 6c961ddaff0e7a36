"""Publish a release: look, send the files that are new, commit once, tag.

The branch changes by one commit, whose contents were sent before. Until then whoever loads the dataset gets the old
release. Whatever stops a push, the same command goes on: files that the Hub has are not sent again, and a commit that
arrived is recognised.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from personagen.builder.core.errors import HubError, ReleaseError
from personagen.builder.hub.client import Caller, connect
from personagen.builder.hub.commits import commit, head_of, is_tagged, open_pull_request, set_tag, tags
from personagen.builder.hub.repo_files import Change, File, Files, Place, compare, remote_files, remote_text, small_file
from personagen.builder.release.card import card_problems, split_card
from personagen.builder.release.card_regions import merge_regions
from personagen.builder.release.folder import (
    ADDED,
    CARD,
    MANIFEST,
    SHARD,
    check_release,
    files_of,
    foreign_files,
    parse_manifest,
    read_card,
)


@dataclass(frozen=True, slots=True)
class Options:
    """How to publish.

    Attributes:
        revision: branch that is changed; it is made where there is none.
        tag: name of the version; None sets none.
        private: whether a repository that is made here is private; None leaves that to the user's settings.
        create_pr: leave a pull request open instead of changing the branch.
        message: title of the commit, which the digest of the release follows; None is its name.
        dry_run: look, and send nothing.

    """

    revision: str = "main"
    tag: str | None = None
    private: bool | None = None
    create_pr: bool = False
    message: str | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Pushed:
    """How a push ended.

    Attributes:
        repo: the repository.
        commit: what holds the release now; None after a dry run and for a pull request that was left open.
        url: page of the commit or of the pull request; None after a dry run.
        change: files that were sent, kept and deleted.
        card: the card, with what a person added to the one on the Hub.

    """

    repo: str
    commit: str | None
    url: str | None
    change: Change
    card: str


@dataclass(frozen=True, slots=True)
class Release:
    """A finished release in a folder."""

    folder: Path

    def push_to_hub(  # noqa: PLR0913 - the arguments are those of `datasets`
        self,
        repo_id: str,
        *,
        commit_message: str | None = None,
        private: bool | None = None,
        token: str | None = None,
        revision: str | None = None,
        create_pr: bool = False,
        tag: str | None = None,
    ) -> Pushed:
        """Publish the release; the arguments are those of `Dataset.push_to_hub`, and the tag. See `push`."""
        options = Options(revision or "main", tag, private, create_pr, commit_message)
        return push(self.folder, repo_id, options, token=token)


@dataclass(frozen=True, slots=True)
class State:
    """What the Hub has: commit of the branch and its files; None and nothing where there is no repository."""

    head: str | None
    files: Files


def push(
    folder: Path, repo: str, options: Options, *, token: str | None = None, caller: Caller | None = None
) -> Pushed:
    """Publish the release in a folder.

    Args:
        folder: the release; every byte of it is checked before anything is sent.
        repo: "USER/NAME".
        options: how.
        token: for the Hub; None takes that of this machine.
        caller: who asks the Hub; None makes one with the token.

    Raises:
        ReleaseError: the folder is no release, or was altered.
        HubError: the Hub refuses, cannot be reached, or was changed by somebody else meanwhile. The message says what
            has become of the branch.

    """
    manifest = check_release(folder)
    if options.tag is not None and options.create_pr:
        raise HubError("a tag names what is on a branch, and a pull request is not; leave one of the two out")
    caller = caller or connect(token)
    place = Place(repo, branch=options.revision)
    state = look(caller, place)
    _check_place(caller, place, state, private=options.private)
    card = _card(caller, folder, place, state, manifest)
    files = local_files(folder, manifest, card)
    change = compare(files, state.files, _older(caller, place, state))
    _refuse_foreign_files(repo, set(state.files) - set(change.delete), manifest)
    data = {path: file for path, file in files.items() if path != CARD}  # a person may add to the card of a version
    tagged = options.tag is not None and state.head is not None and is_tagged(caller, place, options.tag, data)
    if options.dry_run:
        return Pushed(repo, None, None, change, card)
    head, there = _ready(caller, place, state, private=options.private)
    message = f"{options.message or manifest['name']} ({manifest['digest'][:12]})"
    page = f"{caller.api.endpoint}/datasets/{repo}"
    if options.create_pr and (change.send or change.delete):
        number = open_pull_request(caller, place, head, there, change, message)
        return Pushed(repo, None, f"{page}/discussions/{number}", change, card)
    done = commit(caller, place, head, there, change, message) if change.send or change.delete else head
    if options.tag is not None and not tagged:
        set_tag(caller, place, options.tag, done)
    return Pushed(repo, done, f"{page}/commit/{done}", change, card)


def look(caller: Caller, place: Place) -> State:
    """See what a repository holds.

    Raises:
        HubError: it cannot be seen, or there is a model of this name and no dataset.

    """
    from huggingface_hub import errors as hub

    try:
        head = head_of(caller, place, absent=True)
    except hub.RevisionNotFoundError:
        head = head_of(caller, Place(place.repo))
    except hub.RepositoryNotFoundError:
        _refuse_model(caller, place.repo)
        return State(None, {})
    return State(head, remote_files(caller, place, head))


def _refuse_model(caller: Caller, repo: str) -> None:
    if caller.patiently(f"look for {repo}", lambda: caller.api.repo_exists(repo, repo_type="model")):
        raise HubError(
            f"{repo} is a model on the Hub, and no dataset; choose another name, or make the dataset first: "
            f"`hf repos create {repo} --type dataset`"
        )


def local_files(folder: Path, manifest: Mapping[str, Any], card: str) -> Files:
    """List the files that a release puts into its repository."""
    shards = {
        shard["path"]: File(shard["bytes"], shard["sha256"], path=folder / shard["path"])
        for shard in manifest["shards"]
    }
    small = [MANIFEST, *(path for key, path in ADDED.items() if manifest.get(key))]
    return {
        **shards,
        **{name: small_file((folder / name).read_bytes()) for name in small},
        CARD: small_file(card.encode()),
    }


def _check_place(caller: Caller, place: Place, state: State, *, private: bool | None) -> None:
    """Refuse what would be published otherwise than it was meant, before anything is sent."""
    if state.head is None:
        return
    if private is not None:
        info = caller.patiently(f"look at {place.repo}", lambda: caller.api.repo_info(place.repo, repo_type=place.kind))
        if bool(info.private) != private:
            kind = "private" if info.private else "public"
            raise HubError(f"{place.repo} exists and is {kind}; change that on its page, or leave the option out")
    if place.branch != "main" and (place.branch in tags(caller, place) or re.fullmatch(r"[0-9a-f]{40}", place.branch)):
        raise HubError(f"{place.branch} is a tag or a commit of {place.repo}; --revision names a branch")


def _refuse_foreign_files(repo: str, there: set[str], manifest: Mapping[str, Any]) -> None:
    found = foreign_files(there, manifest)
    if found:
        raise HubError(
            f"{repo} has {found[0]}, which is not of this release and would be read as a part of it; delete or rename "
            "it there. Nothing was sent"
        )


def _card(caller: Caller, folder: Path, place: Place, state: State, manifest: Mapping[str, Any]) -> str:
    """Take the card of the folder, with what a person wrote into the one on the Hub."""
    card = read_card(folder)
    for problem in card_problems(card, manifest):
        raise ReleaseError(f"{folder}: {problem}; make the release again")
    if state.head is None or CARD not in state.files:
        return card
    older = remote_text(caller, place, state.head, CARD)
    # A repository that was made on the site has a card of YAML alone: nobody wrote anything in it.
    return merge_regions(card, older) if split_card(older)[1].strip() else card


def _older(caller: Caller, place: Place, state: State) -> list[str]:
    """List the files of the release that the repository holds; files that no release of ours names stay.

    Raises:
        HubError: the repository has a manifest.json of something else.

    """
    if state.head is None or MANIFEST not in state.files:
        return []
    try:
        manifest = parse_manifest(remote_text(caller, place, state.head, MANIFEST), f"{MANIFEST} of {place.repo}")
        named = {file["path"] for file in files_of(manifest)}
    except (ReleaseError, KeyError, TypeError):
        raise HubError(
            f"{place.repo} has a {MANIFEST} that is not of a release; choose another repository, or rename it there. "
            "Nothing was sent"
        ) from None
    return [path for path in state.files if path in named and (SHARD.fullmatch(path) or path in ADDED.values())]


def _ready(caller: Caller, place: Place, state: State, *, private: bool | None) -> tuple[str, Files]:
    """Make the repository and the branch where there are none; gives the commit to go out from, and its files.

    That they exist by then is no error: the answer to an earlier try may have been lost.
    """
    repo = place.repo
    if state.head is None:
        create = partial(caller.api.create_repo, repo, repo_type=place.kind, private=private, exist_ok=True)
        caller.patiently(f"create {repo}", create)
        state = look(caller, Place(repo))
    if state.head is None:
        raise HubError(f"cannot create {repo}: the Hub says that it exists, and does not show it; check name and token")
    if place.branch != "main":
        branch = partial(caller.api.create_branch, repo, branch=place.branch, repo_type=place.kind, exist_ok=True)
        caller.patiently(f"create the branch {place.branch} of {repo}", branch)
    return state.head, state.files
