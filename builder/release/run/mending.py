"""Find the damage of a finished release, and make of a new one what the old one was: its results belong to its texts.

generate: release of this recipe -> damage -> only the card or croissant.json: rendered anew
                                           -> a table or the manifest: made again from the journal, with the results
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from personagen.builder.core.errors import ReleaseError
from personagen.builder.core.file_names import CARD, CROISSANT, MANIFEST
from personagen.builder.core.files import copy_file, write_text
from personagen.builder.release.cards.card import render_card
from personagen.builder.release.cards.croissant import described_anew
from personagen.builder.release.cards.metadata import card_problems
from personagen.builder.release.cards.regions import merge_regions
from personagen.builder.release.folder import (
    ADDED,
    SHARD,
    check_manifest,
    check_release,
    read_card,
    read_manifest,
    written_files,
)
from personagen.builder.release.results import RESULT_FACTS, in_order
from personagen.builder.release.tables.shards import file_digest


def damage_of(folder: Path, manifest: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the tables, the manifest, the card or croissant.json of a release; None: nothing.

    Every byte of the tables is read, at about 1 GB per second, so that `verify` finds no damage that this does not.
    """
    try:
        check_release(folder, scores=False)
    except ReleaseError as error:
        return str(error).split("; ")[0]
    except OSError as error:
        return f"{folder} cannot be read: {error}"
    listed = manifest.get("croissant")
    if listed and not is_file_of(folder / CROISSANT, listed):
        return f"{folder / CROISSANT} is missing or was altered"
    return next(card_problems(read_card(folder), manifest), None)


def mend_card(folder: Path, manifest: Mapping[str, Any], kept_card: str) -> bool:
    """Render card and croissant.json of a release anew if nothing else is damaged, with the old card's regions.

    Another version of PersonaGen may render another croissant.json, which the manifest then lists.

    Args:
        folder: the release.
        manifest: its manifest.
        kept_card: the old card; "": there is none.

    Returns:
        Whether the release is whole now.

    Raises:
        FolderError: a file cannot be written.

    """
    path = folder / CARD
    try:
        check_manifest(manifest, str(folder / MANIFEST))
    except ReleaseError:
        return False
    if path.is_symlink() or not all(is_file_of(folder / shard["path"], shard) for shard in written_files(manifest)):
        return False
    extended, croissant = described_anew(manifest)
    write_text(path, merge_regions(render_card(extended), kept_card))
    if croissant is not None:
        (folder / CROISSANT).unlink(missing_ok=True)  # a link is replaced, not followed
        write_text(folder / CROISSANT, croissant)
    if extended != manifest:
        write_text(folder / MANIFEST, json.dumps(extended, indent=2, ensure_ascii=False) + "\n")
    return damage_of(folder, extended) is None


def is_file_of(path: Path, entry: Mapping[str, Any]) -> bool:
    """Return whether a file has the size and the SHA-256 of its entry in the manifest."""
    if path.is_symlink() or not path.is_file():
        return False
    return bool(path.stat().st_size == entry["bytes"] and file_digest(path) == entry["sha256"])


def keep_results(staged: Path, old: Path, manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """Add the results of an old release to a new one with the same texts; return the manifest of the new one.

    Results that cannot be read are left out, all of them.

    Raises:
        FolderError: a file of the new release cannot be written.
        OSError: a file cannot be copied.

    """
    try:
        earlier = read_manifest(old)
        check_manifest(earlier, str(old / MANIFEST))
    except ReleaseError:
        return manifest
    results = {key: earlier[key] for key in ADDED if earlier.get(key)}
    if not results or earlier["shards"] != manifest["shards"]:
        return manifest
    if not all(is_file_of(old / entry["path"], entry) for entry in results.values()):
        return manifest
    added = {key: value for key, value in earlier.items() if key in RESULT_FACTS or key in results}
    extended, croissant = described_anew(in_order({**manifest, **added}))
    for entry in results.values():
        copy_file(old / entry["path"], staged / entry["path"])
    write_text(staged / CARD, merge_regions(render_card(extended), read_card(staged)))
    if croissant is not None:
        write_text(staged / CROISSANT, croissant)
    write_text(staged / MANIFEST, json.dumps(extended, indent=2, ensure_ascii=False) + "\n")
    return extended


def has_tables(folder: Path) -> bool:
    """Return whether a folder has a file with the path of a release's table; its manifest may be lost."""
    return any(SHARD.fullmatch(path.relative_to(folder).as_posix()) for path in folder.glob("*/*.parquet"))
