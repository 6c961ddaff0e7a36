"""Exact and near duplicates, and that the answers do not depend on the process."""

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personagen.builder.writing.duplicates import DuplicateIndex, match_form

STORY = (
    "The landlord raised the rent again without a word, and I found out from a note that he had slid under my door "
    "while I was at work on Tuesday."
)
PROBE = """
from personagen.builder.writing.duplicates import DuplicateIndex
index = DuplicateIndex(0.3)
texts = [" ".join(f"w{(i * j) % 97}" for j in range(1, 30)) for i in range(300)]
answers = []
for i, text in enumerate(texts):
    answers.append(index.add(str(i), text))
print(answers)
"""


FULL = """
import resource
from personagen.builder.writing.duplicates import DuplicateIndex
from personagen.builder.core.errors import FolderError
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
try:
    with DuplicateIndex(0.7) as index:
        for number in range(60_000):
            index.add(str(number), " ".join(f"{number * word % 99991:x}" for word in range(1, 30)))
except FolderError as error:
    print(error)
"""


OTHER = "My daughter took four wobbly steps across the kitchen this morning and then sat down and clapped."


def answers(*texts: str, threshold: float = 0.7) -> list[str | None]:
    """Add texts under the ids "a", "b", ... and return what each repeats."""
    with DuplicateIndex(threshold) as index:
        return [index.add(chr(ord("a") + number), text) for number, text in enumerate(texts)]


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
    assert answers(STORY, OTHER, text) == [None, None, "a"]


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
    assert answers(STORY, OTHER, text) == [None, None, None]


def test_threshold_is_exact() -> None:
    """A pair at Jaccard 2/4 is found from 0.5 down and not above."""
    for threshold, found in ((0.5, "a"), (0.51, None)):
        assert answers("one two three four five", "two three four five six", threshold=threshold) == [None, found]


def test_names_the_earliest_and_does_not_remember_what_it_refuses() -> None:
    """A chain of small changes is not followed: each text is compared with those that were accepted."""
    near = STORY.replace("landlord", "owner")
    assert answers(STORY, near, STORY, near + " Really.") == [None, "a", "a", "a"]
    two = "The ferry was late again and we stood on the pier with the dog for an hour."
    assert answers(STORY, two, two + " Typical.", STORY + " Typical.") == [None, None, "b", "a"]


def test_short_and_wordless_texts_are_compared_whole() -> None:
    """Two words have no triple; symbols have no word."""
    first = ("Not again", "😭 😭", "奶奶走了以后树第一次开花了")
    found = answers(*first, "not AGAIN!", "😭😭", "Not now", "奶奶走了以后,树第一次开花了。")
    assert found == [None, None, None, "a", "b", None, "c"]


@pytest.mark.parametrize("threshold", [0, -0.1, 1.01])
def test_refuses_a_threshold_out_of_range(threshold: float) -> None:
    """The message says what was found and wanted."""
    with pytest.raises(ValueError, match=f"threshold is {threshold}, wanted above 0"):
        DuplicateIndex(threshold)


@pytest.mark.parametrize("threshold", [0.05, 0.33, 1])
def test_any_threshold_in_range_works(threshold: float) -> None:
    """The bands fit every threshold."""
    assert answers(STORY, OTHER, STORY, threshold=threshold)[-1] == "a"


def test_full_disk_is_told_in_plain_words() -> None:
    """Where the index cannot grow, the run stops with one line."""
    done = subprocess.run([sys.executable, "-c", FULL], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("cannot write the index of duplicates: ")
    assert done.stdout.endswith("; free some space on the disk for temporary files and run the command again\n")


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
    _, repeats, again = answers(other, text, text)
    assert again == (repeats or "b")
    assert repeats == "a" or match_form(text) != match_form(other)


@given(st.text(st.characters(codec=None), max_size=80))
def test_normalising_twice_changes_nothing(text: str) -> None:
    """The normal form is one."""
    assert match_form(match_form(text)) == match_form(text)
