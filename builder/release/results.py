"""Add results to a finished release: a JSON file, the card rendered anew, and the manifest that vouches for both."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from personagen.builder.core.file_names import CARD, MANIFEST
from personagen.builder.core.files import write_text
from personagen.builder.release.card import render_card
from personagen.builder.release.card_regions import merge_regions
from personagen.builder.release.folder import ADDED, read_card, sealed


def add_results(
    folder: Path, manifest: Mapping[str, Any], key: str, content: Mapping[str, Any], facts: Mapping[str, Any]
) -> None:
    """Write a file of results into a release, then its card, then its manifest.

    The manifest comes last: an interrupted call leaves a file that the manifest does not list, and a second call
    completes it.

    Args:
        folder: the release.
        manifest: its manifest.
        key: key of the manifest that lists the file: one of `ADDED`.
        content: JSON content of the file.
        facts: further keys of the manifest; the card displays them.

    Raises:
        FolderError: the release cannot be written.
        ReleaseError: the marks of the card's regions are not in order.

    """
    text = json.dumps(content, indent=1, ensure_ascii=True) + "\n"
    entry = {"path": ADDED[key], "bytes": len(text), "sha256": hashlib.sha256(text.encode()).hexdigest()}
    extended = sealed({**manifest, **facts, key: entry})
    card = merge_regions(render_card(extended), read_card(folder))
    write_text(folder / ADDED[key], text)
    write_text(folder / CARD, card)
    write_text(folder / MANIFEST, json.dumps(extended, indent=2, ensure_ascii=False) + "\n")
