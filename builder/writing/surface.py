"""Describe the surface of a text in the words of a prompt."""

from collections.abc import Callable

from personagen.metrics.style import StyleFeatures

LINES: tuple[tuple[Callable[[StyleFeatures], object], str], ...] = (
    (lambda one: one.second, "The person speaks to another person (you)."),
    (lambda one: one.third and not one.first, "It is about other people (he, she or they), not about the person."),
    (lambda one: not (one.first or one.second or one.third), "It is about a thing or a matter; no I, no you."),
    (lambda one: one.first, "The person says I, me or my."),
    (lambda one: one.questions, "It asks a question."),
    (lambda one: one.exclamations == 1, "It has one exclamation mark."),
    (lambda one: one.exclamations > 1, "It has several exclamation marks."),
    (lambda one: not one.exclamations, "It has no exclamation mark."),
    (lambda one: one.profanity, "It has a swear word."),
    (lambda one: one.laughter, "It has written laughter, such as lol or haha."),
    (lambda one: one.emoji, "It has an emoji or an emoticon."),
    (lambda one: one.shouted, "A word is in CAPITALS."),
    (lambda one: one.contractions, "It has a contraction, such as don't."),
    (lambda one: one.misspelt, "A word is spelt as in a hasty message, such as dont, u or gonna."),
    (lambda one: one.lowercase, "It begins with a small letter."),
    (lambda one: one.unpunctuated, "It ends without a mark."),
    (lambda one: one.fragments, "A part of it is no whole sentence."),
)
"""Conditions on features, with the line of a prompt that asks for them."""


def surface_lines(features: StyleFeatures | None) -> list[str]:
    """Return the lines of a prompt that ask for the features of a text; None: none."""
    return [] if features is None else [line for is_asked, line in LINES if is_asked(features)]
