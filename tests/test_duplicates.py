"""Exact and near duplicates, and that the answers do not depend on the process."""

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personagen.builder.duplicates import DuplicateIndex, normalise

STORY = (
    "The landlord raised the rent again without a word, and I found out from a note that he had slid under my door "
    "while I was at work on Tuesday."
)
PROBE = """
from personagen.builder.duplicates import DuplicateIndex
index = DuplicateIndex(0.3)
texts = [" ".join(f"w{(i * j) % 97}" for j in range(1, 30)) for i in range(300)]
answers = []
for i, text in enumerate(texts):
    answers.append(index.find(text))
    index.add(str(i), text)
print(answers)
"""


def filled(threshold: float = 0.7) -> DuplicateIndex:
    """Return an index that holds STORY as "a" and another text as "b"."""
    index = DuplicateIndex(threshold)
    index.add("a", STORY)
    index.add("b", "My daughter took four wobbly steps across the kitchen this morning and then sat down and clapped.")
    return index


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
def test_finds_a_duplicate(text: str) -> None:
    """What differs in form or in a word is found."""
    assert filled().find(text) == "a"


@pytest.mark.parametrize(
    "text",
    [
        "The landlord fixed the boiler today without a word, so the flat is warm.",
        "I was at work on Tuesday when the phone rang.",
        "",
        "😡",
    ],
)
def test_leaves_other_texts_alone(text: str) -> None:
    """Shared phrases are no duplicate."""
    assert filled().find(text) is None


def test_threshold_is_exact() -> None:
    """A pair at Jaccard 2/4 is found from 0.5 down and not above."""
    for threshold, found in ((0.5, "a"), (0.51, None)):
        index = DuplicateIndex(threshold)
        index.add("a", "one two three four five")
        assert index.find("two three four five six") == found


def test_prefers_the_same_text_to_a_similar_one() -> None:
    """The exact match wins, then the earliest."""
    index = DuplicateIndex(0.5)
    for row_id, text in (("a", STORY), ("b", STORY + " Really."), ("c", STORY)):
        index.add(row_id, text)
    assert index.find(STORY + " Really!") == "b"
    assert index.find(STORY) == "a"
    assert index.find(STORY + " Great.") == "a"


def test_short_and_wordless_texts_are_compared_whole() -> None:
    """Two words have no triple; symbols have no word."""
    index = DuplicateIndex(0.7)
    for row_id, text in (("two", "Not again"), ("face", "😭 😭"), ("han", "奶奶走了以后树第一次开花了")):
        index.add(row_id, text)
    found = [index.find(text) for text in ("not AGAIN!", "😭😭", "Not now", "奶奶走了以后,树第一次开花了。")]
    assert found == ["two", "face", None, "han"]


@pytest.mark.parametrize("threshold", [0, -0.1, 1.01])
def test_refuses_a_threshold_out_of_range(threshold: float) -> None:
    """The message says what was found and wanted."""
    with pytest.raises(ValueError, match=f"threshold is {threshold}, wanted above 0"):
        DuplicateIndex(threshold)


@pytest.mark.parametrize("threshold", [0.05, 0.33, 1])
def test_any_threshold_in_range_works(threshold: float) -> None:
    """The bands fit every threshold."""
    assert filled(threshold).find(STORY) == "a"


def test_answers_do_not_depend_on_the_process() -> None:
    """Neither on the seed of Python's hashes."""
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
def test_any_string_is_found_again(text: str, other: str) -> None:
    """No string raises, and what was added is found."""
    index = DuplicateIndex(0.7)
    index.add("other", other)
    index.add("text", text)
    assert index.find(text) == ("other" if normalise(text) == normalise(other) else "text")


@given(st.text(st.characters(codec=None), max_size=80))
def test_normalising_twice_changes_nothing(text: str) -> None:
    """The normal form is one."""
    assert normalise(normalise(text)) == normalise(text)
