"""Find and download the files of a persona source on the Hub, at one commit."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from personagen.builder.core.errors import HubError, PersonaGenError, RecipeError
from personagen.builder.core.file_names import CARD, MANIFEST
from personagen.builder.core.foreign_text import environment_secrets, printable, quote, redact
from personagen.builder.planning.personas.sources.files.locations import (
    HUB_PREFIX,
    HubAddress,
    LocatedSource,
    SourceFile,
    is_release_manifest,
    tables_of,
)

MAX_REASON_CHARS = 200
"""Upper bound on what a message quotes of an answer."""


def locate_on_hub(address: HubAddress) -> LocatedSource:
    """Return the tables of a dataset, downloaded to the cache of `huggingface_hub`.

    A branch or tag is resolved to its commit first, so that all files are of one commit.

    Raises:
        RecipeError: dataset, revision or path do not exist, or it has no table.
        HubError: the Hub cannot be reached.

    """
    from huggingface_hub import HfApi, constants

    if constants.is_offline_mode():
        raise HubError(
            "personas.source: HF_HUB_OFFLINE is set, so the Hub cannot be asked; unset it, or name a file on this "
            "machine"
        )
    with _errors_as_lines(address):
        info = HfApi().dataset_info(address.repo, revision=address.revision)
        commit = info.sha
        if commit is None:
            raise HubError(f"personas.source: the Hub names no commit of {address.repo}; give one after @")
        names = [entry.rfilename for entry in info.siblings or ()]
    chosen, made_by_us = _chosen(address, names, commit)
    files = tuple(SourceFile(name, _download(address, name, commit)) for name in chosen)
    readme = _download(address, CARD, commit) if CARD in names else None
    if made_by_us:  # the layers are in two files that are read together
        for name in names:
            if PurePosixPath(name).parts[0] == "sociocultural":
                _download(address, name, commit)
    return LocatedSource(f"{HUB_PREFIX}{address.repo}", files, commit, readme, made_by_us)


def _chosen(address: HubAddress, names: list[str], commit: str) -> tuple[list[str], bool]:
    """Return the tables that an address names, and whether they are of a release of ours."""
    safe = [name for name in names if ".." not in PurePosixPath(name).parts and not name.startswith("/")]
    if address.path in safe:
        return tables_of([address.path], address.path, made_by_us=False), False
    within = [name for name in safe if not address.path or name.startswith(f"{address.path}/")]
    if not within:
        raise RecipeError(
            f"personas.source: {address.repo} has no {quote(address.path)} at {commit[:12]}; name a file or "
            "folder of it"
        )
    made_by_us = not address.path and MANIFEST in safe and is_release_manifest(_download(address, MANIFEST, commit))
    return tables_of(within, address.repo, made_by_us=made_by_us), made_by_us


def _download(address: HubAddress, name: str, commit: str) -> Path:
    from huggingface_hub import hf_hub_download

    with _errors_as_lines(address):
        return Path(hf_hub_download(address.repo, name, repo_type="dataset", revision=commit))


@contextmanager
def _errors_as_lines(address: HubAddress) -> Iterator[None]:
    """Raise errors of `huggingface_hub` in one line, without secrets."""
    from huggingface_hub import errors, get_token

    try:
        yield
    except PersonaGenError:
        raise
    except errors.RevisionNotFoundError:
        raise RecipeError(
            f"personas.source: {address.repo} has no revision {quote(str(address.revision))}, wanted a branch, a "
            "tag or a commit; correct what follows @"
        ) from None
    except errors.RepositoryNotFoundError:
        raise RecipeError(
            f"personas.source: the Hub has no dataset {address.repo}, or the token cannot see it; check the name"
        ) from None
    except Exception as error:  # whatever the client makes of an answer
        secrets = (*((token,) if (token := get_token()) else ()), *environment_secrets())
        reason = printable(" ".join(redact(str(error), secrets).split()))[:MAX_REASON_CHARS]
        raise HubError(
            f"personas.source: cannot read {address.repo} ({type(error).__name__}: {reason}); check the network and "
            "try again"
        ) from None
