"""Find personal information and slurs in a text, by rules and lists.

Numbers count only in the forms that people write them in, and payment cards and IBANs only with a right check digit, so
that a date or a price is no finding. Street addresses, names of persons and slurs are English ones. A name of a person
is a frequent first name before a frequent surname of the United States. The lists are not complete.
"""

import gzip
import re
from functools import cache
from importlib.resources import files

PERSONAL_KINDS = ("email", "url", "handle", "iban", "card", "phone", "street", "person")
"""Kinds of personal information, in the order in which they are searched for."""

KINDS = (*PERSONAL_KINDS, "slur")
"""All kinds of findings."""

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[a-zA-Z]{2,24}(?![\w-])")
_URL = re.compile(
    r"\bhttps?://\S|\bwww\.\w|(?<![\w@.-])(?:[a-z0-9-]{2,63}\.){1,4}(?:com|org|net|edu|gov|info|io|co\.uk|de|fr|eu|ca|au)"
    r"(?:/\S|(?![\w-]|\.\w))",
    re.IGNORECASE,
)
_HANDLE = re.compile(r"(?<![\w@./+-])@[A-Za-z_][A-Za-z0-9_]{2,29}(?![\w@]|\.\w)")
_IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)")
_CARD = re.compile(r"(?<![\d-])[2-6]\d{3}(?:[ -]?\d{2,6}){2,4}(?![\d-])")
_PHONE = re.compile(
    r"(?<![\w.-])(?:"
    r"\+\d{1,3}(?:[ ./-]?\(?\d{1,4}\)?){2,6}"  # international
    r"|(?:1[ .-])?\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}"  # North America
    r"|0\d{2,4}[ /-]\d{3,4}[ -]?\d{3,4}"  # with a trunk prefix
    r"|0\d{9,10}"
    r")(?![\w-]|\.\d)"
)
_LOCAL_PHONE = re.compile(  # North America, without the area; alone it is a price or a range as often
    r"\b(?:call|dial|mobile|number|phone|reach|ring|tel|text)\w{0,6}\b[^\d$€£\n]{0,30}(?<![\w.-])\d{3}-\d{4}(?![\w-]|\.\d)",
    re.IGNORECASE,
)
_STREET = re.compile(
    r"(?<![\w.])\d{1,5}[A-Za-z]? (?:[NSEW]\.? )?(?:[A-Z][a-z'.-]{1,20} ){1,3}"
    r"(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Place|Pl|Square|Terrace|Crescent|Close)"
    r"(?!\w)"
)
_NAMES = re.compile(r"(?<![\w'-])([A-Z][a-z]{2,14}) (?:[A-Z]\. )?(?=([A-Z][a-z]{2,14})(?![\w-]))")

MIN_PHONE_DIGITS = 7
"""Digits of a phone number, at least; at most 15 (ITU-T E.164)."""

MAX_PHONE_DIGITS = 15
"""Digits of a phone number, at most."""


def screen(text: str) -> tuple[str, ...]:
    """Return the kinds of personal information and slurs that a text has, in the order of `KINDS`."""
    kinds = []
    has_digits = any(character in text for character in "0123456789")
    if "@" in text:
        kinds += ["email"] if _EMAIL.search(text) else []
        kinds += ["handle"] if _HANDLE.search(text) else []
    if "." in text or "://" in text:
        kinds += ["url"] if _URL.search(_EMAIL.sub(" ", text) if "@" in text else text) else []
    if has_digits:
        kinds += _number_kinds(text)
    kinds += ["person"] if _names_person(text) else []
    kinds += ["slur"] if _slurs().search(text) else []
    return tuple(sorted(kinds, key=KINDS.index))


def _number_kinds(text: str) -> list[str]:
    """Return the kinds of findings that need digits."""
    kinds = []
    if any(_is_iban(match[0]) for match in _IBAN.finditer(text)):
        kinds.append("iban")
    cards = [match[0] for match in _CARD.finditer(text) if _is_card_number(match[0])]
    kinds += ["card"] if cards else []
    if any(
        MIN_PHONE_DIGITS <= sum(map(str.isdigit, match[0])) <= MAX_PHONE_DIGITS
        and not any(match[0].strip() in card for card in cards)
        for match in (*_PHONE.finditer(text), *_LOCAL_PHONE.finditer(text))
    ):
        kinds.append("phone")
    kinds += ["street"] if _STREET.search(text) else []
    return kinds


def _is_iban(text: str) -> bool:
    """Return whether the check digits of an IBAN are right (ISO 13616: remainder 1 by 97)."""
    compact = text.replace(" ", "")
    if not 15 <= len(compact) <= 34:
        return False
    return int("".join(str(int(character, 36)) for character in compact[4:] + compact[:4])) % 97 == 1


def _is_card_number(text: str) -> bool:
    """Return whether digits are a payment card number: 13 to 19 of them, with a right check digit (Luhn)."""
    digits = [int(character) for character in text if character.isdigit()]
    if not 13 <= len(digits) <= 19:
        return False
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _names_person(text: str) -> bool:
    """Return whether a first name stands before a surname; two names that are also words do not count."""
    first_names, surnames = _names()
    for match in _NAMES.finditer(text):
        first, last = match[1].lower(), match[2].lower()
        if first in first_names and last in surnames and not (first_names[first] and surnames[last]):
            return True
    return False


@cache
def _names() -> tuple[dict[str, bool], dict[str, bool]]:
    """Return first names and surnames; the value is whether the name is also a word."""
    tables: dict[str, dict[str, bool]] = {"first": {}, "last": {}}
    for line in _lines("names.tsv.gz"):
        kind, name, word = line.split("\t")
        tables[kind][name] = word == "1"
    return tables["first"], tables["last"]


@cache
def _slurs() -> re.Pattern[str]:
    words = [line.split("\t")[0] for line in _lines("slurs.tsv.gz")]
    return re.compile(rf"(?<![\w-])(?:{'|'.join(words)})(?![\w-])", re.IGNORECASE)


def _lines(name: str) -> list[str]:
    """Return the lines of a packed table of the package, without its head."""
    packed = (files("personagen.metrics") / "data" / name).read_bytes()
    return gzip.decompress(packed).decode().splitlines()[1:]
