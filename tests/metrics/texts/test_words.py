"""Words, tokens and letter runs of a text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personagen.metrics.texts.words import _token_pattern, count_words, letter_runs, normalise, tokenise


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0), ("I'm off - bye!", 3), ("well-known 3 😭 #ok", 3), ("well-known e-mail, don't!", 3),
        ("24/7 self-made", 2), ("yes...no", 1), ("今天早上", 4), ("मेरी बेटी", 2), ("สวัสดี", 4), ("abc今def", 3),
        ("_ __ —", 0),
    ],
)  # fmt: skip
def test_count_words(text: str, words: int) -> None:
    assert count_words(text) == words


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Don't STOP, it’s well-known: 3.5!", ["don't", "stop", "it's", "well", "known", "3", "5"]),
        ("'quoted' a_b rock'n'roll ''", ["quoted", "a", "b", "rock'n'roll"]),
        ("cafe\u0301 CAFÉ", ["café", "café"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
        ("می\u200cخواهم", ["می\u200cخواهم"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("我很高兴。", ["我", "很", "高", "兴"]),
        ("カメラを2台", ["カ", "メ", "ラ", "を", "2", "台"]),
        ("น้ำใจ", ["น้", "ำ", "ใ", "จ"]),
        ("𠮷野家", ["𠮷", "野", "家"]),
        ("❤️ love 😡😡 ...", ["love"]),
        ("", []),
    ],
)
def test_tokenise(text: str, tokens: list[str]) -> None:
    assert tokenise(text) == tokens


@given(st.text(st.characters(max_codepoint=127)))
def test_the_ascii_pattern_finds_the_same_tokens(text: str) -> None:
    assert tokenise(text) == _token_pattern().findall(normalise(text))


@given(st.text("ab1-'’. \n今ไม่é\u0301😀") | st.text())
def test_every_word_holds_a_token(text: str) -> None:
    assert count_words(text) <= len(tokenise(text))


@given(st.text("ab1-'. ", max_size=20).filter(str.isascii))
def test_words_of_ascii_are_the_parts_between_white_space_with_a_letter_or_digit(text: str) -> None:
    assert count_words(text) == sum(any(map(str.isalnum, part)) for part in text.split())


@given(st.text())
def test_the_normal_form_is_one(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text) == normalise(f" \n{text}\u3000")


@pytest.mark.parametrize("unit", ["#", "# ", "-----", "\u0301", "_", "今"])
def test_long_runs_of_symbols_take_linear_time(unit: str) -> None:
    """Quadratic search would exceed the limit of the test run."""
    assert count_words(unit * 1_000_000) == (1_000_000 if unit == "今" else 0)


def test_letter_runs_drop_punctuation_marks_and_apostrophes() -> None:
    assert letter_runs("Well-known: it's 今天 3.5") == ["Well", "known", "it", "s", "今", "天", "3", "5"]


@given(st.text(st.characters(max_codepoint=127)))
def test_words_and_runs_of_ascii_are_found_alike_beside_other_scripts(text: str) -> None:
    """ASCII has patterns of its own, since they are faster."""
    assert count_words(f"{text} 今") == count_words(text) + 1
    assert letter_runs(f"{text} 今") == [*letter_runs(text), "今"]
