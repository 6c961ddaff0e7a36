"""The openings, remarks and short lines of the embedded model: complete, without doubles, and no one else's text."""

import re
from collections import Counter
from collections.abc import Iterator

import pytest

from personagen.builder.core.package_data import read_yaml, table_names
from personagen.builder.planning.situations.bank import bank_events
from personagen.builder.planning.taxonomy import bank_emotions
from personagen.builder.writing.continuation.material import (
    REGISTERS,
    event_labels,
    follow_ups,
    incidents,
    label_of,
    reactions,
    short_tellings,
)
from personagen.metrics.style import EXPRESSIONS, expression_of
from personagen.metrics.texts.words import count_words
from tests.helpers.real_texts import goemotions

BANKS = sorted(bank_emotions())
LEAST_OPENINGS = 10
"""Openings of an emotion, per expression and kind, below which its texts would begin alike."""

FORMS, KINDS = ("openings", "remarks"), ("self", "other")


def reaction_items(bank: str) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield label, form, expression, kind and text of every opening and remark."""
    for label, forms in read_yaml(f"reactions/{bank}.yaml")["reactions"].items():
        for form, levels in forms.items():
            for level, kinds in levels.items():
                for kind, items in (kinds or {}).items():
                    for item in items or ():
                        yield label, form, level, kind, item


def event_lines(bank: str) -> Iterator[tuple[str, str, str, str]]:
    """Yield event, register, openness and text of every line on an event."""
    for event, registers in read_yaml(f"tellings/{bank}.yaml")["tellings"].items():
        for register, lines in registers.items():
            for openness, items in lines.items():
                for item in items:
                    yield event, register, openness, item


def texts_of(bank: str) -> list[str]:
    return [entry[-1] for entry in (*reaction_items(bank), *event_lines(bank))]


def folded(text: str) -> str:
    """Return a text without case, punctuation and spaces at its ends."""
    return " ".join(re.findall(r"[a-z0-9']+", text.lower()))


def test_every_emotion_of_the_bank_has_its_tables() -> None:
    for folder in ("reactions", "tellings"):
        assert sorted(table_names(folder)) == [f"{folder}/{bank}.yaml" for bank in BANKS]


@pytest.mark.parametrize("bank", BANKS)
def test_reactions_have_the_keys_that_are_read_and_no_others(bank: str) -> None:
    table = read_yaml(f"reactions/{bank}.yaml")
    assert set(table) == {"emotion", "reactions"} and table["emotion"] == bank
    for label, forms in table["reactions"].items():
        assert set(forms) == set(FORMS), label
        for levels in forms.values():
            assert set(levels) <= set(EXPRESSIONS)
            assert all(set(kinds or {}) <= set(KINDS) for kinds in levels.values())
    labels = {label for label, *_ in reaction_items(bank)}
    assert labels >= set(event_labels(bank)) or labels == {bank}, "each event has its label, or all have one"


@pytest.mark.parametrize("bank", BANKS)
def test_tellings_have_every_event_in_every_register(bank: str) -> None:
    table = read_yaml(f"tellings/{bank}.yaml")
    assert set(table) == {"emotion", "tellings"} and table["emotion"] == bank
    assert set(table["tellings"]) == {event.kind for event in bank_events(bank)}
    for event, registers in table["tellings"].items():
        assert set(registers) == set(REGISTERS.values()), event
        for register, lines in registers.items():
            assert set(lines) <= {"open", "covert"} and lines.get("covert"), (event, register)
            assert short_tellings(bank, event, register)["covert"] == tuple(lines["covert"])
        assert label_of(bank, event) in event_labels(bank)
    assert label_of(bank, "an event of a recipe") is None and short_tellings(bank, "none", "comments") == {}


@pytest.mark.parametrize("bank", BANKS)
def test_every_item_is_one_line_of_plain_english(bank: str) -> None:
    for text in texts_of(bank):
        assert isinstance(text, str) and text == text.strip() and "\n" not in text and "  " not in text
        assert 1 <= count_words(text) <= 30, text
    for _, form, _, _, text in reaction_items(bank):
        if form == "openings":  # the model goes on in the same sentence
            assert not text.endswith((".", "!", "?", "…")), text


@pytest.mark.parametrize("bank", BANKS)
def test_no_item_of_an_emotion_is_there_twice(bank: str) -> None:
    """An opening of a label may stand with another expression or kind too, but not twice in one list."""
    lists: dict[tuple[str, ...], list[str]] = {}
    for entry in (*reaction_items(bank), *event_lines(bank)):
        lists.setdefault(entry[:-1], []).append(folded(entry[-1]))
    for place, texts in lists.items():
        assert [text for text, number in Counter(texts).items() if number > 1] == [], place
    tellings = Counter(folded(text) for *_, text in event_lines(bank))
    assert [text for text, number in tellings.items() if number > 1] == []


def test_no_item_is_a_real_comment_of_the_package_nor_a_longer_sentence_of_one() -> None:
    """Items of less than four words and sentences of less than seven are everyone's."""
    comments = {folded(text) for text in goemotions().texts}
    sentences = {folded(part) for text in goemotions().texts for part in re.split(r"[.!?]+", text)}
    written = {folded(text): count_words(text) for bank in BANKS for text in texts_of(bank)}
    assert len(comments) > 2000
    assert [text for text, words in written.items() if words >= 4 and text in comments] == []
    assert [text for text, words in written.items() if words >= 7 and text in sentences] == []


@pytest.mark.parametrize("bank", ["anger", "disgust", "fear", "joy", "sadness", "surprise"])
def test_an_emotion_has_openings_enough_of_each_expression_as_it_is_measured(bank: str) -> None:
    """Over its labels; what was written as one expression counts as the one that is measured."""
    for expression in EXPRESSIONS:
        for kind in KINDS:
            openings = {text for levels in reactions(bank).values() for text in levels[expression].openings[kind]}
            assert len(openings) >= LEAST_OPENINGS, (bank, expression, kind)


@pytest.mark.parametrize("bank", BANKS)
def test_every_label_has_an_opening_of_each_expression_of_its_own_or_of_the_main_one(bank: str) -> None:
    table = reactions(bank)
    main = table.get(bank) or next(iter(table.values()))
    for label, levels in table.items():
        for expression in EXPRESSIONS:
            openings = [part for source in (levels, main) for part in source[expression].openings.values()]
            assert any(openings), (label, expression)


EKMAN = ("anger", "disgust", "fear", "joy", "sadness", "surprise")


@pytest.mark.parametrize("expression", EXPRESSIONS)
@pytest.mark.parametrize("bank", EKMAN)
def test_openings_after_an_account_are_of_their_expression_for_both_kinds(bank: str, expression: str) -> None:
    openings = follow_ups(bank, expression)
    assert set(openings) == set(KINDS)
    for items in openings.values():
        assert len(items) == len(set(items)) >= 8
        assert {expression_of(item, bank) for item in items} == {expression}
        assert all(item[-1] not in ".!" and count_words(item) >= 2 for item in items)


@pytest.mark.parametrize("bank", EKMAN)
def test_incidents_are_of_their_expression_and_shown_ones_name_nothing_before(bank: str) -> None:
    shown = incidents(bank, "shown")
    assert len(shown) == len(set(shown)) >= 25
    for expression in EXPRESSIONS:
        items = incidents(bank, expression)
        assert len(items) >= 25
        assert {expression_of(item, bank) for item in shown} == {"shown"}
        if expression != "shown":
            assert all(re.search(r"[.!?] ", item) for item in items), "a short sentence before the incident"


def test_the_tables_of_follow_ups_and_incidents_know_only_emotions_of_the_bank() -> None:
    assert set(read_yaml("follow_ups.yaml")) <= set(BANKS)
    assert set(read_yaml("incidents.yaml")["incidents"]) >= set(EKMAN)
    assert set(read_yaml("incidents.yaml")["before"]) == set(EKMAN)
