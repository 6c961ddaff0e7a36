"""Find the mark with which a prompt opens the thought of a model."""

import re

from personagen.builder.llm.thoughts import is_thought_name, words_of

TAG = re.compile(r"(<[^<>\s][^<>\n]{0,60}>|\[/?[A-Z][A-Z_ ]{1,40}\]|◁[^◁▷\n]{1,40}▷)")


def opening_mark(tail: str, header: str, source: str) -> tuple[str, bool]:
    """Return the mark of a thought at the end of a prompt (empty: none), and whether a closed thought is there instead.

    Args:
        tail: end of the prompt, behind the last turn.
        header: what the template writes in the same place before an earlier reply; empty: it renders none.
        source: the template.

    """
    reply, earlier = _pieces(tail), _pieces(header)
    common = 0
    while common < min(len(reply), len(earlier)) and reply[common][0] == earlier[common][0]:
        common += 1
    start = common if earlier else max(len(reply) - 1, 0)
    tags = [piece for piece, _ in reply[start:] if TAG.fullmatch(piece)]
    if start == len(reply) < len(earlier) and start and _closes(earlier[start][0], reply[-1][0]):
        # Before earlier replies, the template closes the thought at once.
        start, tags = start - 1, [reply[-1][0]]
    elif tags and start and not TAG.fullmatch(reply[start][0]):
        # The mark begins with the tag before its name, as in <|channel|>analysis<|message|>.
        start -= 1
    if len(tags) != 1 or is_closing(tags[0]):
        return "", any(is_thought_name(words_of(tag)) for tag in (*tags, reply[-1][0] if reply else ""))
    mark = tail[reply[start][1] :]
    is_last = len(mark.rpartition(tags[0])[2].split()) <= 1
    is_thought = is_thought_name(words_of(mark)) or any(_closes(tag, tags[0]) for tag in TAG.findall(source))
    return (mark if is_last and is_thought else ""), False


def _pieces(text: str) -> list[tuple[str, int]]:
    """Split a text into tags and what is between them, each with its position; blank pieces are left out."""
    pieces, position = [], 0
    for piece in TAG.split(text):
        if piece.strip():
            pieces.append((piece.strip(), position))
        position += len(piece)
    return pieces


def is_closing(tag: str) -> bool:
    """Return whether a tag has a slash before its name, such as </think>."""
    return re.match(r"\W+/", tag) is not None


def _closes(tag: str, opening: str) -> bool:
    """Return whether a tag has the name of another one behind a slash."""
    return is_closing(tag) and re.sub(r"\W", "", tag) == re.sub(r"\W", "", opening)
