"""Edits of an earlier card outside its regions: metadata that is kept, and what a new card replaces."""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from personagen.builder.core.errors import ReleaseError
from personagen.builder.core.foreign_text import quote
from personagen.builder.planning.plain_yaml import load_plain_yaml
from personagen.builder.release.cards.card import render_card
from personagen.builder.release.cards.metadata import split_card
from personagen.builder.release.cards.regions import regions
from personagen.builder.version import __version__

OUR_KEYS = frozenset({
    "annotations_creators", "configs", "dataset_info", "language", "language_creators", "license", "license_link",
    "license_name", "multilinguality", "pretty_name", "size_categories", "source_datasets", "tags", "task_categories",
})  # fmt: skip
"""Keys of the metadata that a card sets, and `dataset_info`, which changes what is loaded."""

MAX_METADATA_CHARS = 2_000_000
"""Characters of metadata that are parsed. They grow with the square of the emotions: 100 have 600,000."""


def keep_metadata(card: str, older: str) -> str:
    """Return a card with the keys and the tags that a person added to the metadata of an older card.

    Raises:
        ReleaseError: the metadata of a card are longer than `MAX_METADATA_CHARS`, so that such keys would be lost.

    """
    if split_card(card)[0] == split_card(older)[0]:
        return card
    longest = max(len(split_card(text.replace("\r\n", "\n"))[0]) for text in (card, older))
    if longest > MAX_METADATA_CHARS:
        raise ReleaseError(
            f"its YAML has {longest:,} characters, wanted at most {MAX_METADATA_CHARS:,}: keys that were added to it "
            "would be lost; shorten it on the Hub, or use fewer emotions"
        )
    ours, theirs = metadata_of(card) or {}, metadata_of(older) or {}
    added = {key: value for key, value in theirs.items() if key not in OUR_KEYS and isinstance(key, str)}
    tags = theirs.get("tags")
    listed = tags if isinstance(tags, list) else []
    new_tags = [tag for tag in listed if isinstance(tag, str) and tag not in ours.get("tags", [])]
    if not ours or not (added or new_tags):
        return card
    merged = ours | {"tags": [*ours.get("tags", []), *dict.fromkeys(new_tags)]} | added
    head = yaml.safe_dump(merged, sort_keys=False, allow_unicode=True)
    return f"---\n{head}---\n{split_card(card)[1]}"


def replaced_edits(card: str, older: str, manifest: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield one line per edit of an older card that a new card replaces.

    Args:
        card: the new card.
        older: the older card.
        manifest: manifest of the older card. None: the card was not rendered from one. Edits of a card of another
            version of PersonaGen cannot be separated from its own words, and yield nothing.

    """
    expected = None if card == older else _rendered(manifest)
    if expected is None:
        return
    theirs, known, ours = metadata_of(older), metadata_of(expected) or {}, metadata_of(card) or {}
    if theirs is None:
        yield "its YAML cannot be read"
    for key in sorted(OUR_KEYS & (theirs or {}).keys() - {"tags", "configs"}):
        if theirs and theirs[key] not in (known.get(key), ours.get(key)):
            yield f"{key}: {quote(str(theirs[key]), limit=60)}"
    lines = _lines_outside(older) - _lines_outside(expected) - _lines_outside(card)
    if lines:
        first = next(line for line in older.splitlines() if line.strip() in lines)
        yield f"text outside the marks ({len(lines)} lines, the first is {quote(first.strip(), limit=60)})"


def metadata_of(card: str) -> dict[str, Any] | None:
    """Return the metadata of a card; empty: it has none, None: it cannot be read."""
    head = split_card(card.replace("\r\n", "\n"))[0]
    try:
        metadata = load_plain_yaml(head) if len(head) <= MAX_METADATA_CHARS else None
    except (yaml.YAMLError, ValueError, TypeError, RecursionError):
        return None
    if not head.strip():
        return {}
    return metadata if isinstance(metadata, dict) else None


def _rendered(manifest: Mapping[str, Any] | None) -> str | None:
    """Return the card of a manifest; "": there is none, None: it is of another version, or malformed."""
    if manifest is None:
        return ""
    try:
        return render_card(manifest) if manifest.get("personagen") == __version__ else None
    except Exception:  # a template over the data of others: StrictUndefined, KeyError, TypeError
        return None


def _lines_outside(card: str) -> set[str]:
    """Return the lines of a card that are neither metadata nor in a region."""
    card = card.replace("\r\n", "\n")
    try:
        inside = {line.strip() for text in regions(card).values() for line in text.split("\n")}
    except ReleaseError:
        inside = set()
    return {line.strip() for line in split_card(card)[1].split("\n")} - inside - {""}
