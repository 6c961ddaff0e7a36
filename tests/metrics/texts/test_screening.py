"""Personal information and slurs are found in the forms that people write them in; look-alikes are not."""

import pytest

from personagen.metrics.texts.reference import load_reference
from personagen.metrics.texts.screening import KINDS, screen

FOUND = [
    ("write to anna.k+x@mail.example.com, please", ("email",)),
    ("see https://example.org/a?b=1", ("url",)),
    ("it is on www.example.net somewhere", ("url",)),
    ("found it on guncite.com yesterday", ("url",)),
    ("ask @teamYouTube about it", ("handle",)),
    ("pay to GB82 WEST 1234 5698 7654 32 today", ("iban",)),
    ("pay to DE89370400440532013000", ("iban",)),
    ("my card is 4111 1111 1111 1111, do not laugh", ("card",)),
    ("my card is 5500005555555559", ("card",)),
    ("call +44 20 7946 0958 tonight", ("phone",)),
    ("call (212) 555-0142 tonight", ("phone",)),
    ("call 212.555.0142", ("phone",)),
    ("call 693-9222", ("phone",)),
    ("call (555) 693-9222", ("phone",)),
    ("My number is 693-9222.", ("phone",)),
    ("it was $500-1000, 100-2000 meters, pages 200-1999, 800-1200 on the SAT", ()),
    ("call 020 7946 0958", ("phone",)),
    ("at 540 Hampshire Street, second floor", ("street",)),
    ("I live at 12 Old Mill Rd.", ("street",)),
    ("then Michael Sims called", ("person",)),
    ("then Mary J. Smith called", ("person",)),
    ("he called me a gyppo", ("slur",)),
    ("mail a@b.co or call Mary Smith at 693-9222", ("email", "phone", "person")),
]


@pytest.mark.parametrize(("text", "kinds"), FOUND)
def test_each_kind_is_found(text: str, kinds: tuple[str, ...]) -> None:
    assert screen(text) == kinds


def test_every_kind_has_an_example() -> None:
    assert {kind for _, kinds in FOUND for kind in kinds} == set(KINDS)


@pytest.mark.parametrize(
    "text",
    [
        "on 2024-01-02 at 10:30, for 1,299.99 in 1990-1995",
        "order 12345678901 of 100 200 300 pieces",
        "card 4111 1111 1111 1112 has a wrong digit",
        "GB82 WEST 1234 5698 7654 33 has one, too",
        "we lost 3-2 and 21-19, 24/7, 9-5",
        "the street was 200 meters long. 5 Drive-ins",
        "e.g. this, i.e. that ... a.m. and p.m.",
        "meet @ 5 @home",
        "Will Grant it be? May Day, Summer Young",
        "Sarah said that Miller was late; Aunt Mary",
        "a spicy, retardant, niggling thing in Scunthorpe",
        "",
    ],
)
def test_look_alikes_are_no_findings(text: str) -> None:
    assert screen(text) in ((), ("handle",)) and (screen(text) == () or "@home" in text)


@pytest.mark.parametrize("unit", ["a", "1 ", "a.", "@", "a@", "Aa ", "12-", "DE12", "1 Aa ", "+1", "a-.", "4", "4444 "])
def test_a_hostile_text_ends(unit: str) -> None:
    """The timeout of the suite is the bound: a pattern that backtracks needs hours for these."""
    assert set(screen(unit * (20_000 // len(unit)))) <= set(KINDS)


def test_few_comments_of_people_have_a_finding() -> None:
    """In the slice of GoEmotions names of persons are masked: what is found are other names, an address, a slur."""
    texts = load_reference("goemotions").texts
    assert 0 < sum(bool(screen(text)) for text in texts) < len(texts) / 500
