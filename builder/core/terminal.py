"""Text for a terminal."""


def printable(text: str) -> str:
    """Replace every character that is not printable by its escape sequence, because a terminal may interpret it."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
