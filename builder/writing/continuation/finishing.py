"""Give a completed text the surface of its row: marks, capitals, contractions and spelling.

A model too small for instructions cannot be asked for them, so that they are set by rule.
"""

import re
from dataclasses import replace

from personagen.metrics.style import StyleFeatures

CONTRACTIONS = (
    (r"\bI am\b", "I'm"), (r"\bI have (?=been|had|never|got|seen)", "I've "), (r"\bI will\b", "I'll"),
    (r"\bdo not\b", "don't"), (r"\bdoes not\b", "doesn't"), (r"\bdid not\b", "didn't"), (r"\bcannot\b", "can't"),
    (r"\bcould not\b", "couldn't"), (r"\bwould not\b", "wouldn't"), (r"\bis not\b", "isn't"),
    (r"\bwas not\b", "wasn't"), (r"\bwill not\b", "won't"), (r"\b([Ii])t is\b", r"\1t's"),
    (r"\b([Tt])hat is\b", r"\1hat's"), (r"\b([Yy])ou are\b", r"\1ou're"), (r"\b([Tt])hey are\b", r"\1hey're"),
    (r"\b([Ww])hat is\b", r"\1hat's"), (r"\bare not\b", "aren't"),
)  # fmt: skip
"""Long and contracted forms."""

CHAT = (
    (r"\byou\b", "u"), (r"\byour\b", "ur"), (r"\bgoing to\b", "gonna"), (r"\bwant to\b", "wanna"),
    (r"\bbecause\b", "cuz"), (r"\bpeople\b", "ppl"), (r"\bplease\b", "pls"), (r"\bthanks\b", "thx"),
    (r"\bthough\b", "tho"), (r"n't\b", "nt"), (r"\bI'm\b", "im"), (r"\bkind of\b", "kinda"),
    (r"\bgot to\b", "gotta"),
)  # fmt: skip
"""Forms of careful and of hasty spelling."""

_OTHER_HOWS = "dare|could|can|do|does|did|is|are|long|much|many|come"
_PERSON = "you|they|we|he|she|it|i|that|this|there"

QUESTION = re.compile(
    rf"(?:.*, )?(?:why|who|where|when|since when|how (?:{_OTHER_HOWS})|whose|which|"
    r"what(?:'s|'re)?(?: (?:is|are|was|were|do|does|did|would|will|could|should|kind|if|about|happened|made|"
    r"the (?:hell|heck)|on earth|in the)\b|(?='))|"
    rf"(?:is|are|was|were|do|does|did|can|could|would|will|have|has|should)(?:n't)? (?:{_PERSON})|"
    rf"can't (?:{_PERSON}))\b",
    re.IGNORECASE,
)
"""Beginnings of a question, in the last clause of a sentence too."""

EXCLAMATION = re.compile(rf"(?:what|such|how (?!{_OTHER_HOWS}))\b", re.IGNORECASE)
"""Beginnings of an exclamation, unless they are those of a question."""

_LAST_SENTENCE = re.compile(r"(?:.*[.!?…]\s+)?(.*)", re.DOTALL)


def finished(text: str, features: StyleFeatures | None) -> str:
    """Return a completed text, whose last sentence has no mark yet, with the surface of its row.

    Args:
        text: beginning and completion.
        features: features that the text should have. None: it ends with a full stop.

    """
    match = _LAST_SENTENCE.match(text)
    last = match[1] if match else text
    mark = "?" if QUESTION.match(last) else "!" if EXCLAMATION.match(last) else "."
    if features is None:
        return text + mark
    if features.exclamations and features.expression == "shown":  # one at the end would voice the feeling
        text, features = text.replace(". ", "! ", 1), replace(features, exclamations=0)
    if features.contractions:
        text = _replaced(text, CONTRACTIONS, features.contractions)
    if features.misspelt:
        text = _replaced(text, CHAT, features.misspelt)
    if features.exclamations and mark != "?":
        mark = "!" * min(features.exclamations, 3)
    elif mark == "!":
        mark = "."
    if features.unpunctuated and mark in ".?":
        mark = ""
    if features.lowercase and text[:2] not in ("I ", "I'"):
        first = text.partition(" ")[0]
        text = first.lower() + text[len(first) :] if first.isupper() else text[:1].lower() + text[1:]
    elif features.lowercase:
        text = re.sub(r"\bI\b", "i", text)
    return text + mark


def _replaced(text: str, forms: tuple[tuple[str, str], ...], limit: int) -> str:
    """Replace up to `limit` forms."""
    for pattern, form in forms:
        changed, count = re.subn(pattern, form, text, count=limit)
        text, limit = changed, limit - count
        if limit <= 0:
            break
    return text
