"""Texts that break off are reduced to their complete sentences."""

import pytest

from personagen.builder.writing.sentences import complete_sentences


@pytest.mark.parametrize(
    ("text", "cut", "part"),
    [
        ("I ran. Then I", True, "I ran."),
        ("I ran. Then I", False, "I ran. Then I"),
        ("I ran. Then the", False, "I ran."),
        ("I ran. And then,", False, "I ran."),
        ("I ran", True, ""),
        ("I ran! 😭 Then I", True, "I ran! 😭"),
        ("I ran 😭", True, "I ran 😭"),
        ("I ran :)", True, "I ran :)"),
        ("I ran (of course)", False, "I ran (of course)"),
        ("I ran…", True, "I ran…"),
        ("I ran. #scared", False, "I ran. #scared"),
        ("I ran. #sca", True, "I ran."),
        ("I ran. He said \"Stop. I", True, "I ran."),
        ("He said \"Stop.\" So I", True, "He said \"Stop.\""),
        ("I ran. I saw Dr. Lee at 3.30 and", True, "I ran."),
        ("我跑了。然后我", True, "我跑了。"),
        ("我跑了。然后，", False, "我跑了。"),
        ("मैं भागा। फिर मैं", True, "मैं भागा।"),
        ("मैं भागा।", True, "मैं भागा।"),
        ("আমি দৌড়ালাম। তারপর", True, "আমি দৌড়ালাম।"),
        ("میں بھاگا۔ پھر میں", True, "میں بھاگا۔"),
        ("هل ركضت؟ ثم", True, "هل ركضت؟"),
        ("ركضت. ثم،", False, "ركضت."),
        ("Ich lief. Er rief: »Halt!«", False, "Ich lief. Er rief: »Halt!«"),
        ("Ich lief. Er rief: «", False, "Ich lief."),
    ],
)  # fmt: skip
def test_a_text_that_breaks_off_is_reduced_to_its_complete_sentences(text: str, cut: bool, part: str) -> None:
    assert complete_sentences(text, cut=cut) == part
