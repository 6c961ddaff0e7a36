"""Names of repositories, branches and tags: those that the Hub or git would refuse are refused before a call."""

import re

from personagen.builder.core.errors import HubError
from personagen.builder.core.foreign_text import quote

MAX_PART_CHARS = 96
"""Upper bound of the Hub on each part of the name of a repository."""

MAX_REF_BYTES = 200
"""Upper bound on the name of a branch or tag: git writes it as the path of a file."""

_REPO_PART = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?")
_FORBIDDEN_IN_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|(^|/)\.|\.(/|$)|\.lock(/|$)|^[-/]|/$|^@$")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_READABLE_REF = re.compile(r"refs/(pr/[0-9]{1,9}|convert/[a-z]{1,20})")


def require_repo_name(repo: str) -> None:
    """Raise HubError for a name that no repository can have (huggingface_hub, `validate_repo_id`)."""
    parts = repo.split("/")
    valid = len(parts) == 2 and all(len(part) <= MAX_PART_CHARS and _REPO_PART.fullmatch(part) for part in parts)
    if not valid or "--" in repo or ".." in repo or repo.endswith((".git", ".ipynb")):
        raise HubError(
            f"repository: got {quote(repo)}, wanted USER/NAME of letters, digits, '-', '_' and '.', at most "
            f"{MAX_PART_CHARS} characters each; correct the name"
        )


def require_ref_name(option: str, name: str) -> None:
    """Raise HubError for a name that no branch or tag can have (git-check-ref-format), or that names another kind."""
    if _COMMIT.fullmatch(name):
        raise HubError(f"{option}: got {quote(name)}, the form of a commit, wanted a branch or a tag, such as v1.0.0")
    if not _is_ref_name(name) or name.startswith("refs/") or name == "HEAD":
        raise HubError(
            f"{option}: got {quote(name)}, which git takes for no branch or tag; wanted a name without blanks, '..', "
            "'~^:?*[\\', such as v1.0.0"
        )


def require_revision(source: str, name: str) -> None:
    """Raise HubError for a name that no branch, tag, commit or pull request can have."""
    if not _is_ref_name(name) or (name.startswith("refs/") and not _READABLE_REF.fullmatch(name)):
        raise HubError(f"{source}: got the revision {quote(name)}, wanted a branch, a tag or a commit")


def _is_ref_name(name: str) -> bool:
    is_text = name.isprintable() and len(name.encode("utf-8", "surrogatepass")) <= MAX_REF_BYTES
    return bool(name) and is_text and not _FORBIDDEN_IN_REF.search(name)
