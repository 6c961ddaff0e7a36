"""Waiting texts: the same pairs as the index of accepted texts, and nothing left behind."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personagen.builder.writing.finalization.duplicate_index import DuplicateIndex
from personagen.builder.writing.finalization.fingerprints import band_count, fingerprint_of
from personagen.builder.writing.finalization.waiting_texts import WaitingTexts

THRESHOLD = 0.5
BANDS = band_count(THRESHOLD)
TEXTS = st.lists(st.sampled_from("abc"), max_size=9).map(" ".join)


def waiting_texts(texts: list[str]) -> WaitingTexts:
    waiting = WaitingTexts(THRESHOLD)
    for position, text in enumerate(texts):
        waiting.add(position, fingerprint_of(text, BANDS))
    return waiting


@given(st.lists(TEXTS, max_size=12), TEXTS)
def test_the_pairs_are_those_of_the_index_of_accepted_texts(texts: list[str], accepted: str) -> None:
    waiting = waiting_texts(texts)
    with DuplicateIndex(THRESHOLD) as index:
        index.add("accepted", index.fingerprint(accepted))
        repeats = [number for number, text in enumerate(texts) if index.find(index.fingerprint(text)) is not None]
    fingerprint = fingerprint_of(accepted, BANDS)
    assert waiting.remove_near(fingerprint) == repeats
    assert waiting.remove_near(fingerprint) == [], "they are removed"
    assert len(waiting) == len(texts) - len(repeats)


@given(st.lists(TEXTS, min_size=1, max_size=12), st.data())
def test_a_removed_text_is_not_found_and_the_others_are(texts: list[str], data: st.DataObject) -> None:
    waiting = waiting_texts(texts)
    gone = data.draw(st.integers(0, len(texts) - 1))
    assert waiting.remove(gone) == fingerprint_of(texts[gone], BANDS)
    for position, text in enumerate(texts):
        near = waiting.remove_near(fingerprint_of(text, BANDS))
        assert gone not in near
        for other in near:
            waiting.add(other, fingerprint_of(texts[other], BANDS))
        assert (position in near) == (position != gone)


def test_an_unknown_row_cannot_be_removed() -> None:
    with pytest.raises(KeyError):
        waiting_texts(["a b c"]).remove(1)
