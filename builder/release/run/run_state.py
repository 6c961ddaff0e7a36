"""The state of a run: a small file with the fingerprint of its recipe."""

import json
from pathlib import Path

from personagen.builder.core.errors import FolderError
from personagen.builder.core.file_names import JOURNAL, LOCK
from personagen.builder.core.files import write_text
from personagen.builder.release.run.locking import is_unused

FORMAT = "personagen-run/1"
STATE = "run.json"
KEPT_CARD = "card.md"
OURS = frozenset({LOCK, f"{STATE}.part", KEPT_CARD, f"{KEPT_CARD}.part"})
"""Files that may be in a run folder without `run.json`."""


def check_run(root: Path, fingerprint: str, unstyled: str | None) -> None:
    """Raise FolderError if a run folder is of another recipe or of another program; claim one without a reply.

    Earlier versions left `run.json` without bytes after a power cut in the first half minute of a run. The same command
    is likely to follow, so the recipe at hand claims such a run; replies to other requests are not touched.

    Args:
        root: folder of the run.
        fingerprint: fingerprint of the recipe.
        unstyled: see `open_run`.

    """
    state = root / STATE
    if not state.is_file():
        _require_no_foreign_file(root)
        claim(state, fingerprint)
        return
    try:
        text = state.read_text(encoding="utf-8")
        if not text.strip("\0"):
            claim(state, fingerprint)
            return
        data = json.loads(text)
        other, format_ = data["fingerprint"], data["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FolderError(
            f"cannot read {state}: {error}; if the run is of this recipe, continue it with --reuse, which keeps its "
            "replies"
        ) from error
    if format_ == FORMAT and is_unused(root):
        claim(state, fingerprint)
    elif format_ != FORMAT or other != fingerprint:
        raise FolderError(
            f"{root} has a run of recipe {other}, this recipe is {fingerprint}; {advice(other, unstyled)}"
            "choose another folder with --out, set the old run aside with --fresh, or take over its replies by --reuse"
        )


def _require_no_foreign_file(root: Path) -> None:
    foreign = [entry.name for entry in root.iterdir() if entry.name not in OURS]
    if JOURNAL in foreign:
        raise FolderError(
            f"{root} has a journal and no {STATE}; if the run is of this recipe, continue it with --reuse, which keeps "
            "its replies"
        )
    if foreign:
        raise FolderError(f"{root} is not a run folder ({foreign[0]}); choose another folder with --out")


def claim(state: Path, fingerprint: str) -> None:
    """Assign a run to the recipe with this fingerprint."""
    write_text(state, json.dumps({"format": FORMAT, "fingerprint": fingerprint}) + "\n")


def advice(other: str, unstyled: str | None) -> str:
    """Return how to continue a run of an earlier version, whose texts are all `shown`; "": it is of another recipe."""
    return "add `expression: shown` to the recipe, or --expression shown, to continue it, " * (other == unstyled)


def is_run_of(root: Path, fingerprint: str) -> bool:
    """Return whether a run folder is of the recipe with this fingerprint; one that lost its bytes is."""
    try:
        text = (root / STATE).read_text(encoding="utf-8")
        return not text.strip("\0") or json.loads(text)["fingerprint"] == fingerprint
    except (OSError, ValueError, KeyError, TypeError):
        return False
