"""Style profiles: measured from texts, written as a table, and parsed from tables that may be damaged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personagen.metrics.style import (
    EXPRESSIONS,
    StyleFeatures,
    StyleProfile,
    measure_profile,
    parse_profile,
    style_features,
    write_profile,
)
from personagen.metrics.style.profiles import COLUMNS, MAX_COUNT, UNLABELLED

TEXTS = ("I hate this", "damn it", "The door was open.", "so happy today", "We went home.", "?!")
LABELS = ("annoyance", "anger", "anger", "joy", "neutral", "joy")

features = st.builds(
    StyleFeatures,
    expression=st.sampled_from(EXPRESSIONS),
    **{
        name: st.booleans()
        if name in {"lowercase", "unpunctuated", "first", "second", "third"}
        else st.integers(name == "words", MAX_COUNT)
        for name in COLUMNS[1:]
        if name != "expression"
    },
)


def measured(per_label: int = 9) -> StyleProfile:
    return measure_profile("comments", "a comment", TEXTS, LABELS, per_label=per_label)


def test_texts_are_grouped_by_basic_emotion_and_those_without_a_word_left_out() -> None:
    assert {label: len(texts) for label, texts in measured().texts.items()} == {"anger": 3, "joy": 1, "neutral": 1}


def test_texts_with_a_count_that_no_table_may_have_are_left_out() -> None:
    texts = ["word " * (MAX_COUNT + 1), "wow" + "!" * (MAX_COUNT + 1), "wow" + "!" * MAX_COUNT]
    profile = measure_profile("own", "a note", texts, None, per_label=9)
    assert [one.exclamations for one in profile.of("joy")] == [MAX_COUNT]
    assert parse_profile("own", "a note", write_profile(profile)) == profile


def test_shares_of_an_emotion_sum_to_one() -> None:
    third = pytest.approx(1 / 3)
    assert measured().shares("annoyance") == {"named": third, "voiced": third, "shown": third}


def test_an_emotion_that_the_profile_lacks_has_all_texts() -> None:
    assert len(measured().of("fear")) == 5
    assert sum(measured().shares("fear").values()) == pytest.approx(1)


def test_words_are_those_of_the_shortest_and_the_longest_text() -> None:
    assert measured().words() == (2, 4)


def test_no_more_texts_per_label_than_asked_and_the_draw_has_a_seed() -> None:
    texts = [f"I waited {number} days" for number in range(50)]
    one, again = (measure_profile("x", "a text", texts, None, per_label=10) for _ in range(2))
    assert one == again
    assert len(one.texts[UNLABELLED]) == 10


def test_texts_without_labels_count_any_feeling_as_named() -> None:
    profile = measure_profile("x", "a text", TEXTS, None, per_label=9)
    assert list(profile.texts) == [UNLABELLED]
    assert profile.shares("joy")["named"] == pytest.approx(2 / 5)


def test_a_table_holds_figures_and_no_text() -> None:
    table = write_profile(measured())
    assert table.startswith("label\twords\tsentences\texpression")
    assert "hate" not in table
    assert parse_profile("comments", "a comment", table) == measured()


@given(st.dictionaries(st.sampled_from(["", "joy", "neutral"]), st.lists(features, min_size=1, max_size=4), min_size=1))
def test_a_profile_survives_writing_and_parsing(texts: dict[str, list[StyleFeatures]]) -> None:
    profile = StyleProfile("x", "a text", {label: tuple(own) for label, own in texts.items()})
    assert parse_profile("x", "a text", write_profile(profile)) == profile


@pytest.mark.parametrize("table", ["", "label\twords\n", "a,b,c\n1,2,3\n", "\0\n", "{}"])
def test_a_table_without_a_column_is_refused(table: str) -> None:
    with pytest.raises(ValueError, match=r"style x: the table has no column '\w+', wanted label, words, sentences"):
        parse_profile("x", "a text", table)


def test_a_table_without_a_row_is_refused() -> None:
    with pytest.raises(ValueError, match="style x: the table has no row, wanted one per text"):
        parse_profile("x", "a text", "\t".join(COLUMNS) + "\n")


def damaged(column: str, value: str) -> str:
    header, row = write_profile(StyleProfile("x", "a text", {"joy": (style_features("hi there"),)})).splitlines()
    values = row.split("\t")
    values[header.split("\t").index(column)] = value
    return f"{header}\n" + "\t".join(values) + "\n"


@pytest.mark.parametrize("value", ["", "loud", "NAMED", "named " * 40])
def test_an_unknown_expression_is_refused(value: str) -> None:
    with pytest.raises(
        ValueError, match=r"style x: line 2 has the expression '.*, wanted named, voiced or shown"
    ) as error:
        parse_profile("x", "a text", damaged("expression", value))
    assert len(str(error.value)) < 160


@pytest.mark.parametrize("value", ["", "-1", "1.5", "nan", "²", "٣", "1e3", " 1"])
def test_a_value_that_is_no_count_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"style x: line 2 has words '.*, wanted a count") as error:
        parse_profile("x", "a text", damaged("words", value))
    assert len(str(error.value)) < 160


@pytest.mark.parametrize("value", ["10001", "1000000000", "1" * 5000])
def test_a_count_that_no_text_can_have_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"line 2 has words \d+, wanted 10000 or fewer; leave long texts out") as error:
        parse_profile("x", "a text", damaged("words", value))
    assert len(str(error.value)) < 160


def test_a_truth_value_is_0_or_1() -> None:
    with pytest.raises(ValueError, match=r"style x: line 2 has lowercase '7', wanted 0 or 1"):
        parse_profile("x", "a text", damaged("lowercase", "7"))


def test_a_text_without_a_word_is_refused() -> None:
    with pytest.raises(ValueError, match=r"style x: line 2 has words '0', wanted 1 or more"):
        parse_profile("x", "a text", damaged("words", "0"))


def test_a_short_row_is_refused() -> None:
    with pytest.raises(ValueError, match=r"style x: line 2 has sentences '', wanted a count"):
        parse_profile("x", "a text", "\t".join(COLUMNS) + "\njoy\t3\n")


def test_a_field_beyond_the_limit_of_a_table_is_refused() -> None:
    with pytest.raises(ValueError, match=r"style x: the table cannot be read .*field larger than field limit"):
        parse_profile("x", "a text", "\t".join(COLUMNS) + "\n" + "j" * 200_000 + "\n")
