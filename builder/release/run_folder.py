"""Where a run keeps what it must not lose: a folder beside the release, held by one process at a time.

personagen/            the release: moved here whole, when it is done
personagen.run/
lock                 held by the process at work
run.json             the fingerprint of the recipe that the folder belongs to
journal.sqlite       every reply of the model
rejects.jsonl        replies that were refused, with reasons
batches/             batches under way, of the batch backend (batch_folder.py)
card.md              card of the release that makes room, until its notes are in the new one
release/             the release in the making
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from filelock import FileLock, Timeout

from personagen.builder.core.errors import FolderError, ReleaseError
from personagen.builder.core.file_names import CARD, JOURNAL, LOCK, REJECTS
from personagen.builder.core.files import explain, write_text
from personagen.builder.llm.journal import is_empty
from personagen.builder.release.card_regions import check_notes
from personagen.builder.release.folder import is_release, read_manifest

FORMAT = "personagen-run/1"
STATE = "run.json"
BATCHES = "batches"
KEPT_CARD = "card.md"
OURS = frozenset({LOCK, f"{STATE}.part", KEPT_CARD, f"{KEPT_CARD}.part"})
"""What may be in a folder that no run has claimed yet."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Paths of a run.

    Attributes:
        out: where the release goes.
        root: the run's own folder.

    """

    out: Path
    root: Path

    @property
    def journal(self) -> Path:
        """The journal's file."""
        return self.root / JOURNAL

    @property
    def rejects(self) -> Path:
        """The file of rejects."""
        return self.root / REJECTS

    @property
    def batches(self) -> Path:
        """The folder of batches."""
        return self.root / BATCHES

    @property
    def staging(self) -> Path:
        """The release in the making."""
        return self.root / "release"

    def keep_card(self) -> None:
        """Copy the card of a release that is in place: it will make room, and what is hand-made in it must not be lost.

        Raises:
            ReleaseError: the marks around what is hand-made are not in order.
            FolderError: the copy cannot be written.

        """
        _keep_card(self.out, self.root)

    def kept_card(self) -> str:
        """Read the copy; empty where there is none."""
        path = self.root / KEPT_CARD
        return _read_card(path) if path.is_file() else ""

    def publish(self) -> None:
        """Move the finished release into place; an older one makes room and keeps a numbered name, with all in it."""
        try:
            if self.out.exists() and any(self.out.iterdir()):
                self.out.rename(_free(self.out))
            elif self.out.exists():
                self.out.rmdir()
            self.staging.rename(self.out)
            (self.root / KEPT_CARD).unlink(missing_ok=True)
        except OSError as error:
            raise FolderError(f"cannot move the release to {self.out}: {explain(error)}") from error


def run_folder_of(out: Path) -> Path:
    """Name the folder of the run that makes a release."""
    return out.with_name(out.name + ".run")


@contextmanager
def open_run(out: Path, fingerprint: str, *, fresh: bool = False, reuse: bool = False) -> Iterator[RunFolder]:
    """Take the folder of a run, and give it back at the end.

    Args:
        out: where the release goes; its run folder is the same path with ".run" added.
        fingerprint: that of the recipe.
        fresh: set an earlier run and its release aside (renamed, never deleted) and begin anew.
        reuse: take an earlier run over whatever its recipe; a release of another recipe is set aside.

    Raises:
        FolderError: `out` holds something else or another recipe's release, another process is at work on it, or it
            cannot be written.

    """
    out = Path(os.path.abspath(out))  # noqa: PTH100 - unlike resolve, it takes ".." away and leaves links alone
    if not out.name or out == Path.cwd():
        raise FolderError(f"{out} cannot be a release folder; name a new folder with --out")
    root = run_folder_of(out)
    if not (fresh or reuse):
        _check_release(out, fingerprint)  # before anything is made; again below, when the lock is held
    with locked(root):
        if fresh:
            _set_aside(out, root)
        elif reuse:
            _take_over(out, root, fingerprint)
        _check_release(out, fingerprint)
        _check_run(root, fingerprint)
        yield RunFolder(out, root)


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Make the folder where needed, and hold its lock.

    Raises:
        FolderError: another process holds it, or the folder cannot be written.

    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(root / LOCK)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise FolderError(
            f"another process is writing to {root}; wait for it or choose another folder with --out"
        ) from error
    except OSError as error:
        raise FolderError(f"cannot write {root}: {explain(error)}") from error
    try:
        yield
    finally:
        lock.release()


def _keep_card(out: Path, root: Path) -> None:
    card = out / CARD
    if not card.is_file():
        return
    text = _read_card(card)
    try:
        check_notes(text)
    except ReleaseError as error:
        raise ReleaseError(f"{card}: {error}") from error
    write_text(root / KEPT_CARD, text)


def _read_card(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ReleaseError(
            f"cannot read {path}: {error}; save it as UTF-8, or rename it to go on without it"
        ) from error


def _check_release(out: Path, fingerprint: str) -> None:
    try:
        if not out.exists() or (out.is_dir() and not any(out.iterdir())):
            return
    except OSError as error:
        raise FolderError(f"cannot read {out}: {explain(error)}") from error
    try:
        found = read_manifest(out)["fingerprint"]
    except (ReleaseError, KeyError) as error:
        raise FolderError(f"{out} holds something else than a release; choose another folder with --out") from error
    if found != fingerprint:
        raise FolderError(
            f"{out} holds the release of recipe {found}, this recipe is {fingerprint}; "
            "choose another folder with --out, set the old one aside with --fresh, or take over its replies by --reuse"
        )


def _check_run(root: Path, fingerprint: str) -> None:
    state = root / STATE
    if not state.is_file():
        foreign = [entry.name for entry in root.iterdir() if entry.name not in OURS]
        if foreign:
            raise FolderError(
                f"{root} holds something else than a run ({foreign[0]}); choose another folder with --out"
            )
        _claim(state, fingerprint)
        return
    try:
        data = json.loads(state.read_text(encoding="utf-8"))
        found, format_ = data["fingerprint"], data["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FolderError(f"cannot read {state}: {error}; set the run aside with --fresh") from error
    if format_ == FORMAT and is_empty(root / JOURNAL) and not any((root / BATCHES).glob("*.json")):
        _claim(state, fingerprint)  # a run that got no reply, and has no batch under way, belongs to nobody
    elif format_ != FORMAT or found != fingerprint:
        raise FolderError(
            f"{root} holds a run of recipe {found}, this recipe is {fingerprint}; "
            "choose another folder with --out, set the old run aside with --fresh, or take over its replies by --reuse"
        )


def _claim(state: Path, fingerprint: str) -> None:
    write_text(state, json.dumps({"format": FORMAT, "fingerprint": fingerprint}) + "\n")


def _set_aside(out: Path, root: Path) -> None:
    """Move a run and its release to the first free numbered names; what is no release stays, and is refused later."""
    if is_release(out):
        _keep_card(out, root)
    try:
        if (root / STATE).exists():
            aside = _free(root)
            aside.mkdir()
            for entry in root.iterdir():
                if entry.name not in (LOCK, KEPT_CARD):
                    entry.rename(aside / entry.name)
        if is_release(out):
            out.rename(_free(out))
    except OSError as error:
        raise FolderError(f"cannot set {root} aside: {explain(error)}") from error


def _take_over(out: Path, root: Path, fingerprint: str) -> None:
    """Make a run this recipe's own, its journal included; the release of another recipe is moved to a numbered name."""
    try:
        leaves = is_release(out) and read_manifest(out)["fingerprint"] != fingerprint
    except ReleaseError:
        leaves = False  # told by the check that follows
    if leaves:
        _keep_card(out, root)
    try:
        if (root / STATE).is_file():
            _claim(root / STATE, fingerprint)
        if leaves:
            out.rename(_free(out))
    except OSError as error:
        raise FolderError(f"cannot set {out} aside: {explain(error)}") from error


def _free(path: Path) -> Path:
    """Find the first numbered name that is free: personagen.1, personagen.2, ..."""
    return next(name for n in count(1) if not (name := path.with_name(f"{path.name}.{n}")).exists())
