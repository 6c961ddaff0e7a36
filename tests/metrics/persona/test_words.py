"""Words of English texts that go with attributes of personas."""

import pytest

from personagen.builder.planning.personas.tables import persona_tables
from personagen.metrics.persona.words import AGES, WORD_ATTRIBUTES, read_signs, shown_attributes, signs_in, signs_of

NURSE = {
    "age": "34", "gender": "woman", "work": "employed", "occupation": "nurse", "country": "Brazil",
    "settlement": "village", "religion": "Christian", "household": "couple with children", "means": "struggling",
    "register": "slangy",
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("My shift at the ward ran over again.", ("occupation", "work")),
        ("Forty reais for a coffee, that is São Paulo.", ("country",)),
        ("forty reais for a coffee in sao paulo", ("country",)),
        ("I'm 34 and nothing has changed.", ("age",)),
        ("A 35-year-old should know better.", ("age",)),
        ("My son took his first steps.", ("household", "age")),
        ("Gonna sleep for a week.", ("register",)),
        ("The rent is due and my husband is silent.", ("household", "gender", "means")),
        ("We prayed in church for the whole village.", ("religion", "settlement")),
        ("Nothing of this is about anyone.", ()),
    ],
)
def test_a_text_shows_the_attributes_that_its_words_go_with(text: str, shown: tuple[str, ...]) -> None:
    assert set(shown_attributes(text, NURSE)) == set(shown)


@pytest.mark.parametrize(
    "text",
    [
        "Fifty naira for a coffee, that is Lagos.",
        "I am 61 and nothing has changed.",
        "I am 34 minutes late.",
        "My 34-year-old son called.",
        "The lesson was over and my pupils ran out.",
        "The rentier is forward.",
        "He wardened the warded wardsman.",
    ],
)
def test_words_of_other_values_and_parts_of_words_show_nothing(text: str) -> None:
    persona = {name: NURSE[name] for name in ("age", "occupation", "country", "means")}
    assert shown_attributes(text, persona) == ()


def test_an_attribute_that_the_persona_lacks_is_not_shown() -> None:
    assert shown_attributes("Forty reais in São Paulo.", {"age": "34"}) == ()


def test_every_country_and_title_of_the_tables_has_words() -> None:
    tables = {table.name: table for table in persona_tables().tables}
    countries = set(tables["country"].distribution({}).values)
    assert {value for value in countries if not signs_of("country", value)} == set()
    titles = set(persona_tables().occupations)
    assert len(titles) > 200
    assert {title for title in titles if not signs_of("occupation", title)} == set()


def test_the_words_name_values_of_the_tables_alone() -> None:
    tables = {table.name: table for table in persona_tables().tables}
    known = {
        name: {value for row in tables[name].rows for value in row[1]}
        for name in ("country", "work", "household", "religion", "settlement", "gender", "means", "register")
    }
    strange = {
        (sign.attribute, value)
        for sign in read_signs()
        for value in sign.values
        if sign.attribute in known and value not in known[sign.attribute]
    }
    assert strange == set()


def test_each_sign_is_of_an_attribute_and_has_words() -> None:
    assert {sign.attribute for sign in read_signs()} == set(WORD_ATTRIBUTES)
    assert all(sign.phrases or sign.symbols for sign in read_signs())


def test_a_stated_age_fits_a_year_more_or_less() -> None:
    assert signs_in("I turned 40 today.")["age"] == {-40}
    fitting = {age for age in AGES if -40 in signs_of("age", str(age))}
    assert fitting == {39, 40, 41}


def test_a_symbol_of_a_currency_counts() -> None:
    assert shown_attributes("It cost £40.", {"country": "United Kingdom"}) == ("country",)
    assert shown_attributes("It cost £40.", {"country": "Japan"}) == ()
