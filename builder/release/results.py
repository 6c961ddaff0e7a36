"""Add results to a finished release: a JSON file, the card rendered anew, and the manifest that vouches for both."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from personagen.builder.core.errors import ReleaseError
from personagen.builder.core.file_names import CARD, CROISSANT, MANIFEST
from personagen.builder.core.files import write_text
from personagen.builder.release.cards.card import render_card
from personagen.builder.release.cards.croissant import described_anew
from personagen.builder.release.cards.regions import merge_regions
from personagen.builder.release.folder import ADDED, read_card
from personagen.builder.release.formats.plain_json import read_plain_json, require_inside
from personagen.builder.release.tables.shards import file_digest
from personagen.builder.release.verdicts import concerns, verdicts

RESULT_FACTS = (
    "scores",
    "scored_texts",
    "below_floor",
    "verdicts",
    "concerns",
    "findings",
    "counterfactuals",
    "audited_texts",
    "audit_power",
    "audit_predictions",
    "audited_by",
)
"""Further keys of the manifest that results add."""


def read_results(folder: Path, manifest: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Read a file of results that a manifest lists.

    Args:
        folder: the release.
        manifest: its manifest.
        key: key of the manifest that lists the file: one of `ADDED`.

    Raises:
        ReleaseError: the file is missing, was changed, or is no JSON object.

    """
    name, again = ADDED[key], "audit" if key == "audit" else "evaluate"
    try:
        path = require_inside(folder, name)
        if path.stat().st_size != manifest[key]["bytes"] or file_digest(path) != manifest[key]["sha256"]:
            raise ValueError("it is not the file of the manifest")
        content = read_plain_json(folder, name)
        if not isinstance(content, dict):
            raise ValueError("it is no object")
    except (OSError, ValueError) as error:
        raise ReleaseError(f"cannot read {name} of {folder}: {error}; run `{again}` again") from None
    return content


def add_results(
    folder: Path, manifest: Mapping[str, Any], key: str, content: Mapping[str, Any], facts: Mapping[str, Any]
) -> None:
    """Write a file of results into a release, then its card and croissant.json, then its manifest.

    The manifest comes last: an interrupted call leaves a file that the manifest does not list, or a croissant.json that
    is newer than the manifest, and a second call completes it.

    Args:
        folder: the release.
        manifest: its manifest.
        key: key of the manifest that lists the file: one of `ADDED`.
        content: JSON content of the file.
        facts: further keys of the manifest; the card displays them.

    Raises:
        FolderError: the release cannot be written.
        ReleaseError: the marks of the card's regions are not in order, or the other results were altered.

    """
    text = json.dumps(content, indent=1, ensure_ascii=True) + "\n"
    entry = {"path": ADDED[key], "bytes": len(text), "sha256": hashlib.sha256(text.encode()).hexdigest()}
    found = {other: read_results(folder, manifest, other) for other in ADDED if other != key and manifest.get(other)}
    sentences = _sentences({**manifest, **facts}, {**found, key: content})
    extended, croissant = described_anew(in_order({**manifest, **facts, **sentences, key: entry}))
    card = merge_regions(render_card(extended), read_card(folder))
    write_text(folder / ADDED[key], text)
    write_text(folder / CARD, card)
    if croissant is not None:
        write_text(folder / CROISSANT, croissant)
    write_text(folder / MANIFEST, json.dumps(extended, indent=2, ensure_ascii=False) + "\n")


def in_order(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return a manifest with the keys of results last, in one order whichever was added first."""
    added = (*RESULT_FACTS, *ADDED)
    others = {key: value for key, value in manifest.items() if key not in added}
    return others | {key: manifest[key] for key in added if key in manifest}


def _sentences(manifest: Mapping[str, Any], results: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the verdicts and the concerns of a release with these results."""
    scores, audit = results.get("evaluation"), results.get("audit")
    return {
        "verdicts": [verdict.text for verdict in verdicts(manifest, scores, audit)],
        "concerns": concerns(manifest, scores, audit),
    }
