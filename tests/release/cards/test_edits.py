"""Keys that a person added to the metadata of a card are kept, or the reason why they cannot be is given."""

import pytest
import yaml

from personagen.builder.core.errors import ReleaseError
from personagen.builder.release.cards.edits import MAX_METADATA_CHARS, keep_metadata, metadata_of
from tests.release.cards.test_card import CARD

NEW = CARD.read_text(encoding="utf-8")


def with_keys(card: str, **keys: str) -> str:
    """Return a card with further keys in its metadata."""
    return card.replace("\n---\n", f"\n{yaml.safe_dump(keys)}---\n", 1)


def test_a_key_of_a_person_is_kept_beside_a_megabyte_of_metadata() -> None:
    long = with_keys(NEW, doi="10.1/x", note="x" * 1_000_000)
    kept = metadata_of(keep_metadata(NEW, long))
    assert kept is not None and kept["doi"] == "10.1/x"


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_metadata_that_is_too_long_is_refused(ending: str) -> None:
    long = with_keys(NEW, doi="10.1/x", note="x" * MAX_METADATA_CHARS).replace("\n", ending)
    with pytest.raises(ReleaseError, match=r"^its YAML has 2,\d+,\d+ characters, wanted at most 2,000,000: keys that"):
        keep_metadata(NEW, long)
