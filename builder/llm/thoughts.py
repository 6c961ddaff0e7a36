"""Remove the thoughts that a model writes before its reply.

The marks differ between models and change with each generation, so structure decides: a thought ends at a closing mark,
and the reply follows it. Names decide only where structure leaves the choice open, e.g. between `<think>` and `<b>`.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MAX_LAYERS = 16
"""Thoughts that are removed one after another; a reply with more is a thought without an end."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_OPENING, _CLOSING = r"<\[{＜〈《⟨⟪［【〔⟦◁◀｛", r">\]}＞〉》⟩⟫］】〕⟧▷▶｝"
_PAIRS = dict(zip("<[{＜〈《⟨⟪［【〔⟦◁◀｛", ">]}＞〉》⟩⟫］】〕⟧▷▶｝", strict=True))
_MARK = re.compile(
    rf"([{_OPENING}]{{1,2}})([^{_OPENING}{_CLOSING}\n]{{1,200}})([{_CLOSING}]{{1,2}})"
    r"|&lt;([^&<>\n]{1,200})&gt;|\\u003c([^\\<>\n]{1,200})\\u003e",
    re.IGNORECASE,
)
_NAME = re.compile(r"[^\W\d_][\w▁ .:'-]{0,60}\Z")
_WORD = re.compile(r"[A-ZÀ-Þ]?[^\W\d_A-ZÀ-Þ]+|[A-ZÀ-Þ]+(?![^\W\d_A-ZÀ-Þ])")

_THOUGHT_WORD = re.compile(
    r"(?:re)?think(?:s|ing|ings)?|thoughts?|reason(?:s|ing)?|reflect(?:ion|ions|ing)?|analy(?:sis|ses|[sz]e|[sz]ing)"
    r"|deliberat(?:e|ion|ions|ing)|ponder(?:ing)?|scratch(?:pad|work)?|cot|monologue|musings?|brainstorm(?:ing)?"
    r"|rationale|introspection|cogitation|contemplat(?:e|ion|ing)|plan(?:s|ning)?|details|denk(?:en|prozess)|gedanken"
    r"|überlegung(?:en)?|réflexion|raisonnement|pensée|pensamiento|razonamiento|pensamento|raciocínio|ragionamento"
    r"|pensiero|мысли|размышлени[ея]|рассуждени[ея]|思考(?:过程|過程)?|思维|推理(?:过程)?|分析|考え|생각|추론|विचार|تفكير"
)
_FILLERS = _words(
    """of the my own internal inner hidden private self deep step steps by chain process block section mode content
    trace log phase channel budget token start end begin model"""
)
_ANSWER_WORDS = _words(
    """answer answers response responses output reply final result solution text post tweet message content completion
    entry story prose caption comment letter email box antwort réponse respuesta resposta risposta ответ 回答 答案
    答え 답변 उत्तर الإجابة"""
)
_SEQUENCE_WORDS = _words(
    """turn im eot eom eos bos s inst sys end start begin return call message header id assistant user system human
    model sep pad cls mask unk endoftext sentence sequence document fim tool"""
)
_PROSE_NAMES = _words(
    """a abbr b big blockquote body br center cite code color del div edit em font h head header hr html i img ins
    irony joke kbd li list mark nsfw ol p pre q quote rage rant s samp sarcasm sarcastic size small snark soapbox span
    spoiler strike strong sub sup table td tr tt u ul url vent"""
)
"""Names of marks that people write around words: HTML, BBCode and jokes such as `</rant>`."""

_EDGES = {
    **dict.fromkeys(("begin", "start", "open", "prefix"), "begin"),
    **dict.fromkeys(("end", "stop", "close", "suffix"), "end"),
}
"""Words of a mark's name that state its side."""

_THOUGHT = (
    r"(?:(?:my|the|internal|inner|initial) )?(?:think(?:ing)?|thoughts?|reasoning|reflection|analysis|planning"
    r"|rationale|monologue|chain[- ]of[- ]thought|step[- ]by[- ]step (?:thinking|reasoning)|scratchpad|denkprozess"
    r"|überlegung(?:en)?|gedankengang|réflexion|raisonnement|pensamiento|razonamiento|pensamento|raciocínio"
    r"|ragionamento|размышлени[ея]|рассуждени[ея]|思考过程|思考|推理过程|推理|分析|考え|생각|추론)"
    r"(?: (?:process|steps?|block|phase))?"
)
_ANSWER = (
    r"(?:(?:my|the|your) )?(?:final )?(?:answer|response|output|text|reply|result|post|tweet|message|version|draft"
    r"|entry|antwort|réponse|respuesta|resposta|risposta|ответ|最终回答|最終回答|最终答案|回答|答案|答え|최종 답변"
    r"|답변|답)|final"
)
_FINAL = r"final (?:answer|response|text|output|version|post|message|reply)"
_BEFORE = r"[#*_\[(（【〔=~\s-]{0,8}"
_COLON = r"[*_\])】〕]{0,4} ?[:：](?:\*\*|__)?"
_CLOSED = r"(?:\*\*|__|\]|[】〕]|={2,8}|-{2,8})"

_LABEL = re.compile(
    rf"(?P<before>{_BEFORE})(?:here(?:'s|’s| is| are) )?(?:(?:begin|start)(?: of)? )?(?P<name>{_THOUGHT})"
    rf"(?P<after>{_COLON}|\*\*(?=\s)|[】〕]|[.…]{{0,3}}[*_)\]=~ -]{{0,8}}(?=\n))",
    re.IGNORECASE,
)
_ANSWER_LINE = re.compile(
    rf"^{_BEFORE}(?:(?:here(?:'s|’s| is) )?(?:{_ANSWER})(?:{_COLON}| ?{_CLOSED} ?$|[】〕])"
    rf"|[#*_=~ -]{{0,8}}(?:{_ANSWER})[ \t]?$"
    rf"|(?:\.{{3}} ?)?done (?:thinking|reasoning)\.?|end(?: of)? {_THOUGHT}[*_)\]=~ -]{{0,8}}$)",
    re.IGNORECASE | re.MULTILINE,
)
_ANSWER_INSIDE = re.compile(
    r"\s(?:\*\*|__)?(?:Final [Aa]nswer|Answer|Final [Rr]esponse|Response|Text|Output|Post)(?:\*\*|__)? ?:(?:\*\*|__)?"
    r"|回答[:：]"
)
_FINAL_LINE = re.compile(rf"^{_BEFORE}{_FINAL}(?:{_COLON}|{_CLOSED} ?$)", re.IGNORECASE | re.MULTILINE)
_RULE = re.compile(r"^(?:-{3,20}|={3,20}|\*{3,20})[ \t]{0,9}$", re.MULTILINE)
_ENCLOSED = {"(": r"\)[ \t]{0,9}\n", "（": r"）", "[": r"\][ \t]{0,9}\n", "*": r"\*[ \t]{0,9}\n", "_": r"_[ \t]{0,9}\n"}
_ELAPSED = re.compile(
    rf"[>*_\s(]{{0,6}}(?:{_THOUGHT}) for (?:a (?:few|couple of) |\d[\d.]{{0,6}} ?)[a-z]{{1,9}}[.…:)*_]{{0,6}} ?"
    r"(?:\n|\Z)",
    re.IGNORECASE,
)
_QUOTED_LINE = re.compile(r"\s*>[^\n]*(?:\n|\Z)")

_CHANNEL_MARK = re.compile(r"<[|｜]channel[|｜]>")
_CHANNEL = re.compile(
    rf"{_CHANNEL_MARK.pattern}\s{{0,9}}(\w{{0,40}})[^<]{{0,60}}(?:<[|｜]constrain[|｜]>[^<]{{0,40}})?<[|｜]message[|｜]>"
)
_CHANNEL_END = re.compile(r"<[|｜](?:end|return|call|start)[|｜]>")
_LOST_CHANNEL = re.compile(r"\s{0,9}(?:assistant\s{0,2})?(?:analysis|commentary)")
_LOST_FINAL = re.compile(r"assistantfinal|assistant\s{1,2}final(?![a-z])")
_NUMBERED = re.compile(r"\s{0,9}<([a-z]{2,12})\d{1,4}>\s{0,9}(?:thought|think|reason|analysis)", re.IGNORECASE)
_FENCE = re.compile(r"\s{0,9}(```|~~~)[ \t]{0,9}([^\s`~]{1,40})[^\n]{0,80}\n")


@dataclass(frozen=True, slots=True)
class _Mark:
    """A mark such as `</think>` or `<|begin_of_thought|>`.

    Attributes:
        start: position of its first character.
        end: position after its last character.
        name: words of its name, lower case, without "begin of" and "end of".
        family: its opening bracket, or "|" for a special token.
        closes: whether it closes a pair, or stands alone as `<think/>`.
        is_upper: whether its name is in capitals.
        is_explicit: whether its name says "begin" or "end".

    """

    start: int
    end: int
    name: tuple[str, ...]
    family: str
    closes: bool
    is_upper: bool
    is_explicit: bool

    @property
    def is_thought(self) -> bool:
        """Whether it marks a thought by its name."""
        if self.family == "|" and self.name == ("channel",):
            return True
        return is_thought_name(self.name)

    @property
    def is_answer(self) -> bool:
        """Whether it marks the reply itself by its name."""
        return not self.is_thought and self.name[-1] in _ANSWER_WORDS and not self.is_sequence

    @property
    def is_sequence(self) -> bool:
        """Whether it marks a turn or a sequence, as `<|im_end|>` does; cleaning removes those."""
        return all(word in _SEQUENCE_WORDS for word in self.name) and (self.family == "|" or self.name != ("message",))

    @property
    def is_loose(self) -> bool:
        """Whether people write such brackets around a word, as in "[laughs]"."""
        return self.family in "[{［｛【〔《〈" and not self.is_upper


def without_thoughts(text: str) -> str | None:
    """Return a reply without its thoughts, which are cut up to their last closing mark.

    A text without a thought is returned as it is. Idempotent; the time is linear in the length of the text.

    Returns:
        None: a thought has no end, or nothing follows it.

    """
    for _ in range(MAX_LAYERS):
        rest = _without_layer(text)
        if rest is None or rest == text:
            return rest
        text = rest
    return None


def is_thought_name(words: Sequence[str]) -> bool:
    """Return whether a name denotes a thought; `words`: its words in lower case."""
    return any(_THOUGHT_WORD.fullmatch(word) for word in words)


def words_of(name: str) -> tuple[str, ...]:
    """Split a name at capitals and at everything but letters; lower case."""
    return tuple(word.lower() for word in _WORD.findall(name))


def _without_layer(text: str) -> str | None:
    """Remove one thought; the same text: it has none."""
    for cut in (_cut_channels, _cut_marks, _cut_blocks, _cut_labels):
        rest = cut(text)
        if rest is None or rest != text:
            return rest
    return text


def _rest(text: str, start: int, end: int | None = None) -> str | None:
    """Return a part of the text, stripped; None: it has neither a letter nor a digit nor a symbol."""
    part = text[start:end].strip()
    return part if any(not character.isspace() and character not in "*_#>-=`.:|" for character in part) else None


def _cut_channels(text: str) -> str | None:
    """Return the message of the last channel, if it is the final one; also where a server lost the special tokens."""
    channels = list(_CHANNEL.finditer(text))
    marks = list(_CHANNEL_MARK.finditer(text))
    if marks:
        if not channels or channels[-1].start() != marks[-1].start() or not channels[-1][1].startswith("final"):
            return None
        end = _CHANNEL_END.search(text, channels[-1].end())
        return _rest(text, channels[-1].end(), end.start() if end else None)
    if numbered := _NUMBERED.match(text):
        closings = list(re.finditer(rf"<{numbered[1]}\d{{1,4}}>", text[numbered.end() :]))
        return _rest(text, numbered.end() + closings[-1].end()) if closings else None
    finals = list(_LOST_FINAL.finditer(text))
    if (lost := _LOST_CHANNEL.match(text)) and finals:
        return _rest(text, finals[-1].end())
    if finals and not text[: finals[0].start()].strip():
        return _rest(text, finals[0].end())
    after = text[lost.end() : lost.end() + 1] if lost else ""
    return None if after.isalpha() and not "a" <= after <= "z" else text


def _marks(text: str) -> Iterator[_Mark]:
    """Yield the marks of a text, in order; brackets around anything but a name are no marks."""
    for match in _MARK.finditer(text):
        bracket = (match[1] or "<")[-1]
        if match[1] and match[3][0] != _PAIRS[bracket]:
            continue
        mark = _parse_mark(match[2] or match[4] or match[5], match, bracket)
        if mark is not None and not mark.is_sequence:
            yield mark


def _parse_mark(body: str, match: re.Match[str], bracket: str) -> _Mark | None:
    """Parse what is between the brackets of a mark; None: it is no name."""
    inner = body.strip("|｜ ")
    pipes = (body[0] in "|｜", body[-1] in "|｜")
    slash = inner.startswith(("/", "\\/"))
    alone = inner.endswith("/")
    name = inner.strip("\\/ ")
    if "=" in name:
        name = name.split()[0]
    if not _NAME.match(name):
        return None
    words = words_of(name)
    rest, edge = _without_edge(words)
    if not rest or (" " in name and not _is_known_phrase(rest)):
        return None
    closes = slash or alone or edge == "end" or pipes == (False, True)
    family = "|" if any(pipes) else bracket
    start, end = match.span()
    if match[1]:  # "<think>>" closes once: the second bracket belongs to the text
        width = min(len(match[1]), len(match[3]))
        start, end = match.start(2) - width, match.start(3) + width
    return _Mark(start, end, rest, family, closes, name.isupper(), edge is not None)


def _without_edge(words: tuple[str, ...]) -> tuple[tuple[str, ...], str | None]:
    """Remove "begin of", "end of" and their like from a name; also return "begin", "end" or None."""
    if len(words) > 1 and words[0] in _EDGES:
        return words[2 if words[1] == "of" else 1 :], _EDGES[words[0]]
    if len(words) > 1 and words[-1] in _EDGES:
        return words[:-1], _EDGES[words[-1]]
    return words, None


def _is_known_phrase(words: Sequence[str]) -> bool:
    """Return whether a name of several words is one of marks: people write other words between brackets."""
    known = (_THOUGHT_WORD.fullmatch(word) or word in _FILLERS or word in _ANSWER_WORDS for word in words)
    return all(known) and any(word not in _FILLERS for word in words)


def _cut_marks(text: str) -> str | None:
    """Cut a thought between marks, or take the reply out of its marks."""
    marks = list(_marks(text))
    if not marks:
        return text
    thoughts = [mark for mark in marks if mark.is_thought]
    closing = next((mark for mark in reversed(thoughts) if mark.closes), None)
    if closing is not None:
        return _rest(text, closing.end)
    answers = [mark for mark in marks if mark.is_answer]
    opening = next((mark for mark in thoughts if not mark.is_loose), None)
    if opening is not None:
        ends_in_answer = len(answers) > 1 and answers[-1].closes and not _rest(text, answers[-1].end)
        return _answer(text, answers) if ends_in_answer else None
    if answers and (answer := _answer(text, answers)) != text:
        return answer
    others = [mark for mark in marks if not mark.is_answer and not mark.is_thought and mark.name[0] not in _PROSE_NAMES]
    return _cut_unknown(text, others)


def _answer(text: str, marks: Sequence[_Mark]) -> str | None:
    """Return the text in the last marks of a reply; the text as it is: they mark none."""
    last = marks[-1]
    is_first = not text[: last.start].strip()
    if not last.closes:
        counts = last.family == "|" or last.is_explicit or (is_first and not last.is_loose)
        return text[last.end :].strip() if counts else text
    opening = next((mark for mark in reversed(marks[:-1]) if not mark.closes and mark.name == last.name), None)
    if opening is None:
        first = next(mark for mark in marks if mark.closes)
        return text if last.is_loose else text[: first.start].strip()
    if last.is_loose and text[: opening.start].strip():
        return text
    return text[opening.end : last.start].strip()


def _cut_unknown(text: str, marks: Sequence[_Mark]) -> str | None:
    """Cut a pair of unknown name at the beginning, or up to a closing mark whose opening the template had written."""
    if not marks:
        return text
    first = marks[0]
    if not first.closes and not text[: first.start].strip():
        pair = [mark for mark in marks if mark.closes and (mark.name, mark.family) == (first.name, first.family)]
        if pair:
            rest = _rest(text, pair[-1].end)
            inside = text[first.end : pair[-1].start].strip()
            return rest if rest is not None and any(map(str.isalnum, rest)) else inside
    opened: set[tuple[str, ...]] = set()
    end = None
    for mark in marks:
        if not mark.closes:
            opened.add(mark.name)
        elif mark.name not in opened and not mark.is_loose and _stands_alone(text, mark):
            end = mark.end
    return text if end is None else _rest(text, end) or text


def _stands_alone(text: str, mark: _Mark) -> bool:
    """Return whether a closing mark separates blocks: people write jokes such as `</rant>` within a line."""
    before, after = text[max(0, mark.start - 1) : mark.start], text[mark.end : mark.end + 1]
    is_glued = after != "" and not after.isspace() and after not in ".,;!?)…"
    return mark.family == "|" or "\n" in (before, after) or is_glued


def _cut_blocks(text: str) -> str | None:
    """Cut a fenced, commented or quoted thought at the beginning."""
    start = text.lstrip()
    if start.startswith("<!--"):
        end = text.find("-->")
        return None if end < 0 else _rest(text, end + 3)
    if (fence := _FENCE.match(text)) and is_thought_name(words_of(fence[2])):
        closing = re.compile(rf"^\s{{0,3}}{fence[1]}[ \t]*$", re.MULTILINE).search(text, fence.end())
        return None if closing is None else _rest(text, closing.end())
    if elapsed := _ELAPSED.match(text):
        return _cut_quotation(text, elapsed.end())
    is_quotation = start.startswith(">")
    label = _LABEL.match(text.lstrip("> *_(💭🤔🧠\n"))
    # With a label of the reply, the quotation is a part of the thought.
    if (
        label
        and not any(pattern.search(text, label.end()) for pattern in (_ANSWER_LINE, _RULE))
        and (is_quotation or re.match(r"[^\n]{0,80}\n\s{0,4}>", start))
    ):
        return _cut_quotation(text, 0 if is_quotation else text.find("\n", len(text) - len(start)))
    return text


def _cut_quotation(text: str, start: int) -> str | None:
    """Cut the quoted lines from a position on."""
    while line := _QUOTED_LINE.match(text, start):
        start = line.end()
    return _rest(text, start)


def _cut_labels(text: str) -> str | None:
    """Cut a thought that has a label, up to the label of the reply or to a rule."""
    label = _LABEL.match(text)
    if label is None:
        if _FINAL_LINE.match(text) or not (finals := list(_FINAL_LINE.finditer(text))):
            return text
        return _rest(text, finals[-1].end()) or text
    for pattern in (_ANSWER_LINE, _ANSWER_INSIDE, _RULE):
        if matches := list(pattern.finditer(text, label.end())):
            return _rest(text, matches[-1].end())
    before = label["before"].strip()
    enclosed = None if before.endswith(("**", "__")) else _ENCLOSED.get(before[-1:])
    if enclosed and (closing := re.compile(enclosed).search(text, label.end())):
        return _rest(text, closing.end())
    return None if _needs_no_answer(label) else text


def _needs_no_answer(label: re.Match[str]) -> bool:
    """Return whether a label marks a thought even if no label of a reply follows: people write "Thought: ..." too."""
    is_heading = any(mark in label["before"] for mark in ("#", "**", "__", "【", "〔", "=="))
    if is_heading or label[0].lower().lstrip("*_#> ").startswith("here"):
        return True
    if ":" in label["after"] or "：" in label["after"]:
        return not re.fullmatch(
            r"(?:my |initial )?(?:thoughts?|think|reflection|考え|생각)", label["name"], re.IGNORECASE
        )
    return label["name"].islower() or "…" in label["after"] or "..." in label["after"]
