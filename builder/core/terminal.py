"""Text of a model or a server is data: control characters of it never reach the terminal."""


def printable(text: str) -> str:
    """Replace everything that a terminal might obey by its escape."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
