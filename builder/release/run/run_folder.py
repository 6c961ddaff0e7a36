"""The folder of a run, beside the release: everything that an interrupted run must not lose.

personagen/            the release, moved here when it is complete
personagen.run/
lock                 lock file of the process at work
run.json             fingerprint of the recipe
recipe.json          the recipe as it may be published, once the release is complete
journal.sqlite       every reply of the model
journal.count        number of these replies, which shows that some were lost
rejects.jsonl        rejected replies with their reasons
inputs/              copies of the files that the recipe names, and the chosen personas of a source
batches/             open batches of the batch backend (llm/backends/batch_files.py)
card.md              card of the previous release, until its regions are in the new card
aside/               files of an earlier run, while --fresh moves them to personagen.run.1
release/             the release that is being written

One process at a time may use a run folder.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from personagen.builder.core.errors import FolderError, ReleaseError
from personagen.builder.core.file_names import CARD, JOURNAL, LOCK, RECIPE, REJECTS
from personagen.builder.core.files import (
    explain,
    is_mount_point,
    make_folder,
    move,
    numbered,
    publish_folder,
    real_path,
    require_usable_name,
    set_aside,
    write_json,
    write_text,
)
from personagen.builder.llm.storage.opening import JournalFile
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.recipe.public import public_recipe
from personagen.builder.release.cards.regions import validate_regions
from personagen.builder.release.folder import is_release, missing_files, read_manifest, sealed
from personagen.builder.release.run.locking import BATCHES, locked
from personagen.builder.release.run.mending import has_tables, keep_results
from personagen.builder.release.run.run_state import KEPT_CARD, STATE, RunRecipe, check_run, claim, is_run_of
from personagen.builder.release.run.space import require_right_to_write

ASIDE = "aside"


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Paths of a run.

    Attributes:
        out: folder of the release.
        root: folder of the run.
        guard: called after every commit of a reply; raises FolderError if the folder is not in place.
        accept_lost_replies: whether replies that the journal has lost may be paid for again.

    """

    out: Path
    root: Path
    guard: Callable[[], None] = lambda: None
    accept_lost_replies: bool = False

    @property
    def journal(self) -> Path:
        """File of the journal."""
        return self.root / JOURNAL

    @property
    def rejects(self) -> Path:
        """File of rejected replies."""
        return self.root / REJECTS

    @property
    def batches(self) -> Path:
        """Folder of open batches."""
        return self.root / BATCHES

    @property
    def inputs(self) -> Path:
        """Folder of the copies of a recipe's files."""
        return self.root / "inputs"

    @property
    def personas(self) -> Path:
        """File of the personas that are chosen from a source."""
        return self.inputs / "chosen.personas.jsonl"

    @property
    def staging(self) -> Path:
        """Folder of the release that is being written."""
        return self.root / "release"

    def journal_file(self, warn: Callable[[str], None], *, calls: bool) -> JournalFile:
        """Return the journal with the options of the run; once there is a release, be it a damaged one, failures stay.

        Args:
            warn: receives one line about each kind of damage.
            calls: whether a model may be called; otherwise failures stay too.

        """
        keeps = not calls or is_release(self.out) or has_tables(self.out)
        return JournalFile(self.journal, self.accept_lost_replies, warn, self.guard, keeps_failures=keeps)

    def keep_card(self) -> None:
        """Copy the card of the existing release, whose hand-written regions the new card will keep.

        Raises:
            ReleaseError: the marks of the regions are not in order.
            FolderError: the copy cannot be written.

        """
        _keep_card(self.out, self.root)

    def kept_card(self) -> str:
        """Read the copy; "": there is none."""
        path = self.root / KEPT_CARD
        return _read_card(path) if path.is_file() else ""

    def keep_results(self, manifest: Mapping[str, Any]) -> Mapping[str, Any]:
        """Add the scores and the audit of a release with the same texts, which the new one replaces.

        Returns:
            The manifest of the new release.

        Raises:
            FolderError: a file cannot be written.

        """
        try:
            return keep_results(self.staging, self.out, manifest)
        except OSError as error:
            raise FolderError(f"cannot write {self.staging}: {explain(error)}") from error

    def keep_recipe(self, recipe: Recipe) -> None:
        """Write the recipe as it may be published. Raises FolderError if that fails."""
        write_json(self.root / RECIPE, public_recipe(recipe), ensure_ascii=True)

    def publish(self, manifest: Mapping[str, Any]) -> None:
        """Move the complete release to `out`; an existing one is renamed with a number.

        Raises:
            FolderError: the release cannot be moved, or a file of the manifest is missing before or after that.

        """
        self._require_complete(self.staging, manifest)
        try:
            publish_folder(self.staging, self.out)
            (self.root / KEPT_CARD).unlink(missing_ok=True)
        except OSError as error:
            raise FolderError(f"cannot move the release to {self.out}: {explain(error)}") from error
        self._require_complete(self.out, manifest)

    def _require_complete(self, folder: Path, manifest: Mapping[str, Any]) -> None:
        if missing := missing_files(folder, manifest):
            raise FolderError(
                f"{folder / missing[0]} was removed or changed by another process; run the command again, which sends "
                f"no request that {self.journal} answers"
            )


def run_folder_of(out: Path) -> Path:
    """Return the run folder of a release."""
    return out.with_name(out.name + ".run")


@contextmanager
def open_run(
    out: Path,
    recipe: RunRecipe,
    *,
    fresh: bool = False,
    reuse: bool = False,
    accept_lost_replies: bool = False,
) -> Iterator[RunFolder]:
    """Lock the folder of a run until the end of the block.

    Args:
        out: folder of the release; its run folder is the same path with ".run" added.
        recipe: recipe of the run.
        fresh: rename an earlier run and its release (nothing is deleted) and start anew.
        reuse: continue an earlier run of any recipe; a release of another recipe is renamed.
        accept_lost_replies: see `RunFolder`.

    Raises:
        FolderError: `out` is the release of another recipe or no release, another process uses it, or it cannot be
            written.

    """
    require_usable_name(out)
    out = Path(os.path.abspath(out))  # noqa: PTH100 - unlike resolve, it removes ".." and keeps links
    if not out.name or out == Path.cwd():
        raise FolderError(f"{out} cannot be a release folder; name a new folder with --out")
    root = run_folder_of(out)
    if not (fresh or reuse):
        _check_release(out, root, recipe)  # before any folder is made; again below, under the lock
    _require_movable(out)
    with locked(root, [root / STATE, root / KEPT_CARD], RunFolder(out, root).staging) as guard:
        _finish_moving(root)
        if fresh:
            _set_aside(out, root)
        elif reuse:
            _take_over(out, root, recipe)
        _check_release(out, root, recipe)
        check_run(root, recipe)
        yield RunFolder(out, root, guard.require_in_place, accept_lost_replies)


def _require_movable(out: Path) -> None:
    """Raise FolderError if a finished release could not be moved to `out`; create the folder to which a link leads."""
    target = real_path(out)
    if target.is_symlink():
        raise FolderError(f"{out} is a link that leads back to itself; choose another folder with --out")
    if is_mount_point(target):
        raise FolderError(
            f"{out} is a mount point, which cannot be renamed; name a folder within it: --out {out / 'personagen'}"
        )
    require_right_to_write(target.parent)
    if out.is_symlink():
        try:
            make_folder(target.parent)
        except OSError as error:
            raise FolderError(f"cannot make {target.parent}, to which {out} leads: {explain(error)}") from error


def _keep_card(out: Path, root: Path) -> None:
    card = out / CARD
    if not card.is_file():
        return
    text = _read_card(card).strip("\0")  # a power cut may have left a file without bytes
    try:
        validate_regions(text)
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


def _check_release(out: Path, root: Path, recipe: RunRecipe) -> None:
    """Raise FolderError if a folder has anything else than the release of this recipe, be it a damaged one."""
    try:
        if not out.exists() or (out.is_dir() and not any(out.iterdir())):
            return
    except OSError as error:
        raise FolderError(f"cannot read {out}: {explain(error)}") from error
    try:
        manifest = read_manifest(out)
    except ReleaseError as error:
        if is_run_of(root, recipe.fingerprint) and (is_release(out) or has_tables(out)):
            return  # a damaged manifest, which the journal makes again
        raise FolderError(f"{out} is not a release; choose another folder with --out") from error
    other = manifest["fingerprint"]
    is_sealed = manifest.get("digest") == sealed(manifest)["digest"]
    if other not in (recipe.fingerprint, recipe.base) and (is_sealed or not is_run_of(root, recipe.fingerprint)):
        raise FolderError(
            f"{out} has the release of {recipe.explain_other(other, manifest['recipe'], has_release=True)}"
            "choose another folder with --out, set the old one aside with --fresh, or take over its replies by --reuse"
        )


def _set_aside(out: Path, root: Path) -> None:
    """Rename a run and its release with a number; a folder that is no release stays, and is refused later."""
    holds_release = is_release(out) or has_tables(out)
    if holds_release:
        _keep_card(out, root)
    try:
        if (root / STATE).exists():
            _move_run(real_path(root))
        if holds_release:
            set_aside(out)
    except OSError as error:
        raise FolderError(f"cannot set {root} aside: {explain(error)}") from error


def _finish_moving(root: Path) -> None:
    """Continue a `_move_run` that was interrupted."""
    if (root / ASIDE).exists():
        try:
            _move_run(real_path(root))
        except OSError as error:
            raise FolderError(f"cannot set {root} aside: {explain(error)}") from error


def _move_run(root: Path) -> None:
    """Move the files of a run to a folder with a number, which it gets when all of them are there.

    `run.json` is moved last: without it, the rest would be foreign. The next command continues an interrupted move.
    """
    aside = root / ASIDE
    make_folder(aside)
    for entry in sorted(root.iterdir(), key=lambda path: (path.name == STATE, path.name)):
        if entry.name not in (LOCK, KEPT_CARD, ASIDE):
            move(entry, aside / entry.name)
    move(aside, numbered(root))


def _take_over(out: Path, root: Path, recipe: RunRecipe) -> None:
    """Assign a run, its journal included, to this recipe; rename the release of another recipe with a number."""
    try:
        replaces = is_release(out) and read_manifest(out)["fingerprint"] != recipe.fingerprint
    except ReleaseError:
        replaces = False  # the next check raises the error
    if replaces:
        _keep_card(out, root)
    try:
        if (root / STATE).is_file() or (root / JOURNAL).is_file():
            claim(root / STATE, recipe)
        if replaces:
            set_aside(out)
    except OSError as error:
        raise FolderError(f"cannot set {out} aside: {explain(error)}") from error
