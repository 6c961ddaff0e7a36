"""Language of the prose of layers."""

import asyncio
import json

import pytest

from personagen.builder.core.records import Reject
from personagen.builder.llm.requests import Candidate
from personagen.builder.writing.elaboration import ProseRequirements, elaborate
from tests.writing.test_attempts import WHO, answering, attempts_of


@pytest.mark.parametrize(
    ("content", "language", "reason"),
    [
        ("She grew up above a small shop near the station and works early shifts at the bakery.", "en", None),
        ("Sie wuchs über einem kleinen Laden am Bahnhof auf und arbeitet früh in der Bäckerei.", "de", None),
        ("She grew up above a small shop near the station and works early shifts at the bakery.", "de", None),
        (
            "Elle a grandi au-dessus d'une petite boutique près de la gare et travaille tôt à la boulangerie.",
            "de",
            "language",
        ),
        (
            "Elle a grandi au-dessus d'une petite boutique près de la gare et travaille tôt à la boulangerie.",
            None,
            None,
        ),
    ],
)
def test_prose_is_in_english_or_in_the_language_of_the_texts(
    content: str, language: str | None, reason: str | None
) -> None:
    """A model that answers in a third language will hardly write the texts."""
    rejects: list[Reject] = []
    attempts = attempts_of(rejects, stage="demographic", limit=1)
    writing = elaborate(
        "demographic",
        answering(Candidate(json.dumps({"prose": content}), "stop")),
        attempts,
        ProseRequirements(language),
        demographic=WHO.demographic,
    )
    assert asyncio.run(writing) == (None if reason else content)
    assert [reject.reason for reject in rejects] == ([reason] if reason else [])
