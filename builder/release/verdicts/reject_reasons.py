"""What each reason for which a reply is rejected means."""

from collections.abc import Iterable, Mapping

REASONS: Mapping[str, str] = {
    "request": "the server refused the request",
    "thought": "it is a thought of the model without an end, or without a text after it",
    "secret": "it repeats a key or a password",
    "empty": "there is no text",
    "schema": "it has not the form that was asked for",
    "clause": "the invented event is no clause without a subject",
    "refusal": "the model declined to write",
    "meta": "it talks about the task or about being a model",
    "garbled": "it has broken characters or repeats itself without end",
    "truncated": "it stops in the middle",
    "length": "it has too few or too many words",
    "language": "it is in another language",
    "echo": "it repeats the prompt",
    "leak": "it has a word for its emotion",
    "personal": "it has personal information",
    "slur": "it has a slur",
    "astray": "the end that the model gave to a beginning names another emotion, is a known blunder or improbable",
    "expression": "it expresses its emotion in another way than asked",
    "label": "the emotion classifier predicts another emotion",
    "duplicate": "it is nearly the same as an earlier text",
}
"""Meaning by reason, as a clause on the reply."""


def reasons_line(reasons: Iterable[str]) -> str:
    """Return the meanings of reasons in one line; reasons of other versions are left out."""
    return "; ".join(f"{reason}: {REASONS[reason]}" for reason in reasons if reason in REASONS)
