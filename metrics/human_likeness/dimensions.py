"""The questions to judges about a text, each with a verbal scale. Their wording is part of the measure."""

import hashlib
from dataclasses import dataclass

SCALE = (1, 2, 3, 4, 5)
"""The ratings."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """One question.

    Attributes:
        name: key of the result.
        asked: the question.
        scale: meaning of the ratings.
        needs_persona: True: the question is about the persona of the text.

    """

    name: str
    asked: str
    scale: str
    needs_persona: bool = False


DIMENSIONS = (
    Dimension(
        "naturalness",
        "How much does it read like something a person really wrote or said in daily life?",
        "1: no person would put it so\n2: odd for the most part\n3: might be, with stiff or odd places\n"
        "4: natural, with a slip\n5: entirely natural",
    ),
    Dimension(
        "specificity",
        "How much does it tell of one particular situation, and not of any?",
        "1: could be said of anything\n2: hardly a detail\n3: some details\n4: a clear situation\n"
        "5: details that only somebody who was there would give",
    ),
    Dimension(
        "emotional_plausibility",
        "How believable is the feeling in it, as that of somebody who has it at that moment?",
        "1: no feeling, or one that cannot be meant\n2: a feeling that is named and not felt\n3: believable in part\n"
        "4: believable\n5: entirely believable, in strength and in words",
    ),
    Dimension(
        "fresh_wording",
        "How free is it of stock phrases, and of the ways in which chatbots write?",
        "1: made of stock phrases\n2: many\n3: some\n4: hardly one\n5: none; the words are the writer's own",
    ),
    Dimension(
        "persona_fit",
        "How well do words, concerns and knowledge in it fit the person who is said to have written it?",
        "1: cannot be that person\n2: fits badly\n3: neither fits nor does not\n4: fits\n"
        "5: could hardly be anybody else",
        needs_persona=True,
    ),
)

PROMPT_VERSION = hashlib.sha256(repr(DIMENSIONS).encode()).hexdigest()[:12]
"""Hash of the questions: ratings under different questions are not comparable."""
