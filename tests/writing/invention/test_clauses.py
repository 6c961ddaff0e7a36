"""Checks of an invented event."""

import pytest

from personagen.builder.planning.situations.bank import bank_events
from personagen.builder.planning.taxonomy import bank_emotions, named_taxonomy
from personagen.builder.writing.invention.clauses import check_clause, clause_rules

RULES = clause_rules(named_taxonomy("ekman").names)


def test_the_events_of_the_bank_are_clauses() -> None:
    for emotion in bank_emotions():
        for event in bank_events(emotion):
            verdict = check_clause(event.clause, clause_rules([emotion]))
            assert (verdict.reason, verdict.text) == (None, event.clause)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("1. Losing the keys on the stairs.", "losing the keys on the stairs"),
        ("- losing the keys on the stairs;", "losing the keys on the stairs"),
        ('"Losing the keys on the stairs"', "losing the keys on the stairs"),
        ("not finding the keys on the stairs", "not finding the keys on the stairs"),
        ("  finally finding the lost keys again ", "finally finding the lost keys again"),
    ],
)
def test_a_clause_is_cleaned(text: str, cleaned: str) -> None:
    verdict = check_clause(text, RULES)
    assert (verdict.reason, verdict.text) == (None, cleaned)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("...", "empty"),
        ("losing keys", "length"),
        (f"losing {'very ' * 40}old keys", "garbled"),
        (f"losing {' '.join(f'key {number} and' for number in range(20))} more", "length"),
        ("I lost the keys on the stairs", "clause"),
        ("the boss shouting at all of the staff", "clause"),
        ("something falling off the shelf at night", "clause"),
        ("a lost key on the stairs", "clause"),
        ("losing my keys on the way home", "clause"),
        ("losing the keys on the stairs. Then finding them", "clause"),
        ("losing the keys on the stairs: what a day", "clause"),
        ("being so angry at the neighbour again", "leak"),
        ("watching the sad end of a film", "leak"),
        ("I'm sorry, but I can't help with that.", "refusal"),
        ("calling 555-123-4567 to ask about the bill", "personal"),
        ("verlieren den Schlüssel auf der Treppe im Haus gestern", "language"),
    ],
)
def test_what_is_no_clause_is_rejected(text: str, reason: str) -> None:
    assert check_clause(text, RULES).reason == reason
