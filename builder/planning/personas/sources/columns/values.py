"""Turn the values of a source's columns into values of personas: ours where the meaning is the same, else as text."""

import unicodedata
from collections.abc import Callable, Mapping
from functools import cache, lru_cache, partial
from typing import Any

from personagen.builder.planning.personas.sources.columns.mapping import ColumnMap
from personagen.builder.planning.personas.sources.columns.presets import BACKGROUND, ID, PROSE
from personagen.builder.planning.personas.tables import persona_tables

NUMBERS = ("age", "openness", "conscientiousness", "extraversion", "agreeableness", "neuroticism")
"""Attributes that are whole numbers; a value that is none is null."""

MAX_AGE = 120
"""Greatest age that is taken for one, in years."""

GENDERS: Mapping[str, tuple[str, ...]] = {
    "woman": (
        "f",
        "female",
        "woman",
        "w",
        "여자",
        "여성",
        "女",
        "女性",
        "femme",
        "féminin",
        "feminino",
        "mulher",
        "mujer",
    ),
    "man": ("m", "male", "man", "남자", "남성", "男", "男性", "homme", "masculin", "masculino", "homem", "hombre"),
    "nonbinary": ("nonbinary", "non-binary", "non binary", "x", "nb"),
}
"""Words for our genders, in the languages of Nemotron-Personas."""

COUNTRIES: Mapping[str, tuple[str, ...]] = {
    "United States": ("usa", "us", "u.s.", "u.s.a.", "united states of america"),
    "United Kingdom": ("uk", "u.k.", "great britain"),
    "Japan": ("日本", "jp"),
    "South Korea": ("대한민국", "한국", "korea", "republic of korea", "kr"),
    "India": ("भारत", "bharat", "in"),
    "Brazil": ("brasil", "br"),
    "France": ("france", "fr"),
    "Singapore": ("sg",),
}
"""Names of countries that differ from ours."""

EDUCATIONS: Mapping[str, tuple[str, ...]] = {
    "bachelor": ("bachelors", "bachelor's", "bachelor's degree", "bachelors degree", "bachelor degree"),
    "master": ("masters", "master's", "master's degree", "masters degree"),
    "doctorate": ("phd", "ph.d.", "doctoral", "doctorate degree", "doctoral degree"),
    "upper secondary": ("high school", "high school diploma", "high school graduate"),
}
"""Words for levels of education that mean the same as ours; `graduate` or `some college` do not."""

NOT_WORKING: Mapping[str, str | None] = {
    "retired": "retired", "student": "student", "homemaker": "homemaker", "housewife": "homemaker",
    "unemployed": "jobseeker", "jobseeker": "jobseeker", "not in workforce": None, "no occupation": None, "none": None,
    "not working": None, "무직": None, "無職": None,
}  # fmt: skip
"""Occupations that are none, with the main activity that they stand for. None: not known."""

FORMER = ("retired ", "former ", "ex-", "unemployed ")
"""Beginnings of an occupation that a person no longer has."""

MAX_KEPT_VALUES = 65_536
"""Values per column whose attribute is kept in memory."""

SEPARATED = ("occupation", "education")
"""Attributes in whose values "_" stands for a blank."""


def clean(text: str) -> str:
    """Return a text as one line of visible characters: no control, direction or invisible characters."""
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    kept = (
        char if _is_kept(char) else " " if char.isspace() or unicodedata.category(char) == "Cc" else "" for char in text
    )
    return " ".join("".join(kept).split())


def _is_kept(char: str) -> bool:
    category = unicodedata.category(char)
    return category not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") or char in "\u200c\u200d"


@cache
def _equivalents() -> Mapping[str, Mapping[str, str]]:
    """Return our value by attribute and lower-case word: our own words and those that mean the same."""
    words: dict[str, dict[str, str]] = {}
    for table in persona_tables().tables:
        words[table.name] = {value.lower(): value for _, row in table.rows for value in row}
    for name, others in (("gender", GENDERS), ("country", COUNTRIES), ("education", EDUCATIONS)):
        words[name] |= {word: value for value, synonyms in others.items() for word in synonyms}
    return words


def to_attribute(name: str, raw: Any) -> str | int | None:
    """Return the value of an attribute of ours; None: no value, or no number where one is needed."""
    if raw is None:
        return None
    if name in NUMBERS:
        return _to_number(name, raw)
    text = clean(str(raw))
    if name in SEPARATED:
        text = text.replace("_", " ")
    return _equivalents().get(name, {}).get(text.lower(), text) or None


def _to_number(name: str, raw: Any) -> int | None:
    try:
        number = float(raw)
    except (TypeError, ValueError):
        return None
    greatest = MAX_AGE if name == "age" else 99
    return int(number) if 0 <= number <= greatest and number == int(number) else None


@cache
def _bands() -> tuple[tuple[int, int, str], ...]:
    table = next(table for table in persona_tables().tables if table.name == "age")
    names = {name for _, row in table.rows for name in row}
    return tuple((*map(int, name.split("-")), name) for name in names)  # type: ignore[misc] # two numbers and a name


def age_band(age: int | None) -> str | None:
    """Return our band of an age; None: no age, or one outside of our bands."""
    return next((name for low, high, name in _bands() if age is not None and low <= age <= high), None)


Reader = Callable[[Any], Any]
"""Returns the value of an attribute from the value of its column; None: there is none."""


def readers_of(columns: ColumnMap) -> dict[str, tuple[str, Reader]]:
    """Return column and reader by attribute: with a column, following from another attribute, or further ones.

    Readers keep the values that they have seen: a column has far fewer values than rows.
    """
    readers: dict[str, tuple[str, Reader]] = {}
    for name, column in columns.attributes.items():
        if name not in (ID, PROSE, BACKGROUND):
            readers[name] = (column, _kept(partial(to_attribute, name)))
    for name, origin, derive in DERIVATIONS:
        if name not in readers and origin in readers:
            column, read = readers[origin]
            readers[name] = (column, _kept(partial(_derived, read, derive)))
    return readers | {name: (column, to_own) for name, column in columns.own.items()}


def _kept(read: Reader) -> Reader:
    return lru_cache(maxsize=MAX_KEPT_VALUES)(read)


def _derived(read: Reader, derive: Reader, raw: Any) -> Any:
    return None if (value := read(raw)) is None else derive(value)


def _of_job(key: str, occupation: str) -> str | None:
    return persona_tables().occupations.get(occupation, {}).get(key)


def main_activity(occupation: str) -> str | None:
    """Return our word for what a person of this occupation mainly does; None: it is not known."""
    lowered = occupation.lower()
    return None if lowered.startswith(FORMER) else NOT_WORKING.get(lowered, "employed")


DERIVATIONS: tuple[tuple[str, str, Reader], ...] = (
    ("age_band", "age", age_band),
    ("work", "occupation", main_activity),
    ("occupation_group", "occupation", partial(_of_job, "group")),
    ("isco08", "occupation", partial(_of_job, "isco")),
    ("workplace", "occupation", partial(_of_job, "workplace")),
)
"""Attributes that follow from another one, which comes second, if the source has no column for them."""


def row_values(readers: Mapping[str, tuple[str, Reader]], raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of a row, ours and further ones; those without a value are left out.

    Args:
        readers: see `readers_of`.
        raw: values by column.

    """
    values = {name: read(raw[column]) for name, (column, read) in readers.items()}
    return {name: value for name, value in values.items() if value is not None}


def to_own(raw: Any) -> str | int | float | None:
    """Return the value of a further attribute."""
    return (clean(raw) or None) if isinstance(raw, str) else raw
