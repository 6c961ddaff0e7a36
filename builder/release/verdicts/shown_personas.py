"""State how many texts show their personas by words, and which attributes a reader model recovers."""

from collections.abc import Mapping, Sequence
from typing import Any

from personagen.builder.release.verdicts.content import counted, number_in, records_in

ANY = "any"
"""Attribute of the record of all attributes."""

NAMES = {"occupation_group": "kind of work", "work": "work status"}
"""Names of attributes in sentences that differ from those of columns."""

LEVEL = 0.05
"""Corrected p below which an attribute counts as shown."""


def persona_sentence(manifest: Mapping[str, Any], scores: Mapping[str, Any] | None) -> str | None:
    """Return what the texts show of their personas; None: it was not measured."""
    parts = [*filter(None, (_words_part(manifest), _reader_part(records_in(scores, "personas"))))]
    return " ".join(parts) or None


def _words_part(manifest: Mapping[str, Any]) -> str | None:
    shown = manifest.get("persona_words")
    if not shown:
        return None
    of = "text" if shown["checked"] == 1 else "texts"
    chance = number_in(shown, "chance")
    expected = "" if chance is None else f"; with the personas of other texts, {per_hundred(chance)} would"
    return (
        f"{per_hundred(shown['texts'] / shown['checked'])} of 100 texts show their persona by words, as far as English "
        f"lists find ({shown['texts']:,} of {shown['checked']:,} {of}{expected})."
    )


def per_hundred(fraction: float) -> str:
    """Return a fraction as a number of 100; "fewer than 1" and "more than 99" instead of a false 0 or 100."""
    number = f"{100 * fraction:.0f}"
    if number == "0" and fraction > 0:
        return "fewer than 1"
    return "more than 99" if number == "100" and fraction < 1 else number


def _reader_part(records: Sequence[Mapping[str, Any]]) -> str | None:
    tested = [record for record in records if number_in(record, "auc_p") is not None]
    if not tested:
        return None
    recovered = [record for record in tested if (number_in(record, "auc_p") or 0.0) < LEVEL]
    missed = [record for record in tested if record not in recovered]
    if not recovered:
        return f"None of {counted(len(tested), 'attribute')} can be read from the texts better than chance."
    rest = f"; {_listed(missed)} cannot" if missed else ""
    return f"{_listed(recovered).capitalize()} can be read from the texts better than chance{rest}."


def _listed(records: Sequence[Mapping[str, Any]]) -> str:
    names = [attribute_name(str(record["attribute"])) for record in records]
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def attribute_name(attribute: str) -> str:
    """Return the name of an attribute in sentences."""
    return NAMES.get(attribute, attribute.replace("_", " "))
