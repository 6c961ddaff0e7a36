"""Which licence of a release conflicts with that of its source."""

import pytest

from personagen.builder.planning.licence_terms import licence_conflict


@pytest.mark.parametrize(
    ("source", "release", "conflict"),
    [
        ("cc-by-nc-sa-2.0", "cc-by-nc-sa-4.0", None),
        ("cc-by-nc-sa-4.0", "cc-by-nc-sa-2.0", "share-alike"),
        ("cc-by-sa-3.0", "cc-by-nc-sa-4.0", "share-alike"),
        ("gpl-2.0", "gpl-3.0", "share-alike"),
        ("odbl", "odbl", None),
        ("odbl", "cc-by-sa-4.0", "share-alike"),
        ("cc-by-nc-4.0", "h-research", None),
        ("h-research", "mit", "commercial use"),
        ("h-research", "cc-by-nc-4.0", "own terms"),
        ("llama3", "cc0-1.0", "own terms"),
        ("cc0-1.0", "pddl", None),
        ("cc-by-4.0", "pddl", "attribution"),
        ("unknown", "mit", "unknown"),
        ("cc-by-sa-4.0", "unknown", None),
        ("cc-by-nd-4.0", "other", None),
    ],
)
def test_a_conflict_is_the_first_term_that_a_release_breaks(source: str, release: str, conflict: str | None) -> None:
    assert licence_conflict(source, release) == conflict
