"""Look before the first request at what would fail at the end: the space on the disk and the right to write."""

import os
import shutil
from pathlib import Path

from personagen.builder.core.errors import FolderError
from personagen.builder.core.files import real_path
from personagen.builder.planning.plan import Plan
from personagen.builder.planning.recipe import Recipe

REPLY_BYTES = 1_000
"""Size of a reply in the journal; measured: 500 bytes for texts of 20 words."""

ROW_BYTES = 1_000
"""Size of a row of any table, before compression."""

TABLE_BYTES = 12_000
"""Size of an empty table: its columns and its footer."""

MARGIN = 1.5
"""Factor of the estimate, for long texts and rejected replies."""

LOG_BYTES = 4 * 2**20
"""Size to which the write-ahead log of the journal grows."""

FLOOR_BYTES = 4 * 2**20
"""Free space below which a run ends: replies in flight and the log still fit."""

MEGABYTE = 10**6


def release_bytes(plan: Plan) -> int:
    """Estimate the size of the release of a plan."""
    sizes = plan.table_sizes()
    return round(MARGIN * (sum(sizes.values()) * ROW_BYTES + len(sizes) * TABLE_BYTES))


def journal_bytes(recipe: Recipe, texts: int, journal: Path) -> int:
    """Estimate by how much a journal may grow until it has the replies for a number of texts and their prose."""
    replies = texts * (1 + len(recipe.elaborated()))
    stored = journal.stat().st_size if journal.exists() else 0
    return LOG_BYTES + max(0, round(MARGIN * replies * REPLY_BYTES) - stored)


def require_space(folder: Path, wanted: int) -> None:
    """Raise FolderError if the disk of a folder, existing or not, has less free space than wanted, in bytes."""
    free = free_bytes(folder)
    if free < wanted + FLOOR_BYTES:
        raise FolderError(
            f"the disk of {folder} has {free / MEGABYTE:,.0f} MB of free space, and the run may need "
            f"{(wanted + FLOOR_BYTES) / MEGABYTE:,.0f} MB; free some space and run the command again"
        )


def require_space_for_release(plan: Plan, out: Path, root: Path, journal: Path) -> None:
    """Raise FolderError if a release, its journal and its copy on another disk may not fit; nothing is written.

    Args:
        plan: plan of the release.
        out: folder of the release.
        root: folder of the run, in which the release is written.
        journal: journal of the run; what it has already is not needed again.

    """
    texts = sum(shard.stop - shard.start for shard in plan.shards())
    require_space(root, release_bytes(plan) + journal_bytes(plan.recipe, texts, journal))
    target = existing(real_path(out).parent)
    if target.stat().st_dev != existing(real_path(root)).stat().st_dev:
        require_space(target, release_bytes(plan))


def require_floor(folder: Path) -> None:
    """Raise FolderError if a disk is nearly full, so that a run ends while its replies can still be stored."""
    free = free_bytes(folder)
    if free < FLOOR_BYTES:
        raise FolderError(
            f"the disk of {folder} has {free / MEGABYTE:,.1f} MB of free space left; free some space and run the "
            "command again: all replies are kept"
        )


def require_right_to_write(folder: Path) -> None:
    """Raise FolderError if no file can be created in a folder, or in the first of its parents that exists."""
    place = existing(real_path(folder))
    if place.is_dir() and not os.access(place, os.W_OK | os.X_OK):
        raise FolderError(
            f"{place} cannot be written: no permission, or a disk that is read-only; change that, or choose another "
            "folder"
        )


def free_bytes(folder: Path) -> int:
    """Return the free space of the disk of a folder, existing or not, in bytes."""
    return shutil.disk_usage(existing(real_path(folder))).free


def existing(path: Path) -> Path:
    """Return the first of a path and its parents that exists."""
    return next(parent for parent in (path, *path.parents) if parent.exists())
