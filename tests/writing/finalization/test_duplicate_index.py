"""Exact and near duplicates, in every process alike."""

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personagen.builder.writing.finalization.duplicate_index import DuplicateIndex
from personagen.builder.writing.finalization.fingerprints import fold

STORY = (
    "The landlord raised the rent again without a word, and I found out from a note that he had slid under my door "
    "while I was at work on Tuesday."
)
PROBE = """
from personagen.builder.writing.finalization.duplicate_index import DuplicateIndex
index = DuplicateIndex(0.3)
texts = [" ".join(f"w{(i * j) % 97}" for j in range(1, 30)) for i in range(300)]
ids = []
for i, text in enumerate(texts):
    fingerprint = index.fingerprint(text)
    ids.append(index.find(fingerprint))
    if ids[-1] is None:
        index.add(str(i), fingerprint)
print(ids)
"""


FULL = """
import resource
from personagen.builder.writing.finalization.duplicate_index import DuplicateIndex
from personagen.builder.core.errors import FolderError
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
try:
    with DuplicateIndex(0.7) as index:
        for number in range(60_000):
            text = " ".join(f"{number * word % 99991:x}" for word in range(1, 30))
            index.add(str(number), index.fingerprint(text))
except FolderError as error:
    print(error)
"""


OTHER = "My daughter took four wobbly steps across the kitchen this morning and then sat down and clapped."


def repeated_ids(*texts: str, threshold: float = 0.7) -> list[str | None]:
    """Return the id of the text that each text repeats; those that repeat none are added as "a", "b", ..."""
    ids: list[str | None] = []
    with DuplicateIndex(threshold) as index:
        for number, text in enumerate(texts):
            fingerprint = index.fingerprint(text)
            ids.append(index.find(fingerprint))
            if ids[-1] is None:
                index.add(chr(ord("a") + number), fingerprint)
    return ids


@pytest.mark.parametrize(
    "text",
    [
        STORY,
        STORY.upper(),
        STORY.replace(",", "").replace(".", "!!! 😡"),
        "  " + STORY.replace(" ", "\n "),
        STORY.replace("Tuesday", "Thursday"),
        STORY + " Typical.",
    ],
    ids=["same", "case", "punctuation", "spaces", "one-word", "longer"],
)
def test_a_text_that_differs_in_form_or_in_a_word_is_a_duplicate(text: str) -> None:
    assert repeated_ids(STORY, OTHER, text) == [None, None, "a"]


@pytest.mark.parametrize(
    "text",
    [
        "The landlord fixed the boiler today without a word, so the flat is warm.",
        "I was at work on Tuesday when the phone rang.",
        "",
        "😡",
    ],
)
def test_shared_phrases_are_no_duplicate(text: str) -> None:
    assert repeated_ids(STORY, OTHER, text) == [None, None, None]


def test_the_threshold_is_exact() -> None:
    """A pair at Jaccard 2/4 is a duplicate at 0.5 and not above."""
    for threshold, repeated in ((0.5, "a"), (0.51, None)):
        assert repeated_ids("one two three four five", "two three four five six", threshold=threshold) == [
            None,
            repeated,
        ]


def test_texts_are_compared_with_accepted_texts_only() -> None:
    """A chain of small changes is not followed; the earliest text is named."""
    near = STORY.replace("landlord", "owner")
    assert repeated_ids(STORY, near, STORY, near + " Really.") == [None, "a", "a", "a"]
    two = "The ferry was late again and we stood on the pier with the dog for an hour."
    assert repeated_ids(STORY, two, two + " Typical.", STORY + " Typical.") == [None, None, "b", "a"]


def test_short_and_wordless_texts_are_compared_whole() -> None:
    """Two words have no triple, and symbols no word."""
    first = ("Not again", "😭 😭", "奶奶走了以后树第一次开花了")
    ids = repeated_ids(*first, "not AGAIN!", "😭😭", "Not now", "奶奶走了以后,树第一次开花了。")
    assert ids == [None, None, None, "a", "b", None, "c"]


@pytest.mark.parametrize("threshold", [0, -0.1, 1.01])
def test_a_threshold_out_of_range_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match=f"threshold is {threshold}, wanted above 0"):
        DuplicateIndex(threshold)


@pytest.mark.parametrize("threshold", [0.05, 0.33, 1])
def test_every_threshold_in_range_finds_equal_texts(threshold: float) -> None:
    assert repeated_ids(STORY, OTHER, STORY, threshold=threshold)[-1] == "a"


def test_a_full_disk_is_an_error_of_one_line() -> None:
    done = subprocess.run([sys.executable, "-c", FULL], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("cannot write the index of duplicates: ")
    assert done.stdout.endswith("; free some space on the disk for temporary files and run the command again\n")


def test_results_do_not_depend_on_the_hash_seed_of_the_process() -> None:
    runs = {
        subprocess.run(
            [sys.executable, "-c", PROBE],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "31337")
    }
    assert len(runs) == 1
    assert "'" in runs.pop()


@given(st.text(st.characters(codec=None), max_size=80), st.text(max_size=80))
def test_every_added_string_is_found(text: str, other: str) -> None:
    _, repeats, again = repeated_ids(other, text, text)
    assert again == (repeats or "b")
    assert repeats == "a" or fold(text) != fold(other)


@given(st.text(st.characters(codec=None), max_size=80))
def test_folding_is_idempotent(text: str) -> None:
    assert fold(fold(text)) == fold(text)
