"""Describe which texts of a release have personal information or slurs, by the counts in its manifest."""

from collections.abc import Mapping
from typing import Any

from personagen.builder.release.verdicts.content import counted, percentage

KIND_NAMES: Mapping[str, tuple[str, str]] = {
    "email": ("an e-mail address", "e-mail addresses"),
    "phone": ("a phone number", "phone numbers"),
    "url": ("a web address", "web addresses"),
    "street": ("a street address", "street addresses"),
    "iban": ("an IBAN", "IBANs"),
    "card": ("a payment card number", "payment card numbers"),
    "handle": ("a handle of a social network", "handles of social networks"),
    "person": ("a full name of a person", "full names of persons"),
    "slur": ("a slur", "slurs"),
}
"""Singular and plural of each kind of finding of `metrics.texts.screening`."""


def screening_line(manifest: Mapping[str, Any]) -> str:
    """Return how the texts were searched for personal information and slurs, and how many texts have each kind."""
    screening = manifest.get("screening")
    if not screening:
        return "The texts were not searched for personal information or slurs."
    kinds = [plural for _, plural in KIND_NAMES.values()]
    method = (
        f"Rules and lists searched {screening['checked']:,} texts for {', '.join(kinds[:-1])} and {kinds[-1]}. "
        "Street addresses, names and slurs are English ones, and no list is complete."
    )
    counts = {kind: count for kind, count in screening["texts"].items() if count}
    if not counts:
        return f"{method} They found none."
    findings = "; ".join(f"{count:,} with {KIND_NAMES.get(kind, (kind, kind))[0]}" for kind, count in counts.items())
    return f"{method} Texts found: {findings}. manifest.json lists ids (screening, at most 100)."


def profanity_line(manifest: Mapping[str, Any]) -> str:
    """Return how many texts have a swear word; "": no text has one, or none was checked."""
    profanity = manifest.get("profanity")
    if not profanity or not profanity["texts"]:
        return ""
    texts, checked = profanity["texts"], profanity["checked"]
    return (
        f"{texts:,} of {counted(checked, 'checked text')} ({percentage(texts, checked)}) have a swear word, by an "
        "English list that is not complete."
    )
