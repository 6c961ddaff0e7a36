"""Limits on completion tokens: the recipe's own, and room for the thoughts of a reasoning model."""

import re

from personagen.builder.llm.requests import Reply, Request

ROOM_STEPS = (1_024, 4_096, 16_384)
"""Tokens for thoughts beside those of the text, raised by one step when a reply was cut before its content began."""

THOUGHT_MARGIN = 2
"""Ratio of the room to the thoughts of a reply, whose length varies."""

_TOO_SMALL = re.compile(r"at least|minimum|below|too (?:small|low)|greater than|>=", re.IGNORECASE)
_TOO_LARGE = re.compile(
    r"too (?:large|high|long|many|big)|at most|maximum|exceed|above|less than|smaller|<=|context|limit"
    r"|supports? (?:up to|only)",
    re.IGNORECASE,
)
_CONTEXT = re.compile(r"context|prompt|input|messages", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w.])\d{1,3}(?:,\d{3})+(?![\w.])|(?<![\w.,])\d{1,7}(?!\w|[.,]\d)")

MAX_SHORTENED = 2
"""Limits that are lowered for a context too short, without a reply between; it may be too short for the prompt."""

Kind = tuple[int, bool]
"""Requests that share a limit: the recipe's own limit, and whether JSON is requested."""


class TokenRoom:
    """Limit per kind of request, which grows with the thoughts that replies report; for one event loop."""

    def __init__(self, thinking_tokens: int | None = None) -> None:
        """Start with `thinking_tokens` for thoughts; None: with none, since most models write no thoughts."""
        self._usual = thinking_tokens or 0  # of a kind of request that is not known yet: that of the others
        self._extra: dict[Kind, int] = {}
        self._max_limit: int | None = None
        self._shortened = 0  # since the last reply

    def limit(self, request: Request) -> int:
        """Return the limit on the completion tokens of one candidate, thoughts included."""
        limit = request.sampling.max_tokens + self._extra.get(_kind(request), self._usual)
        return limit if self._max_limit is None else min(limit, self._max_limit)

    def record_reply(self, request: Request, reply: Reply) -> None:
        """Raise the limit after a reply that was cut before its content, or that reports thoughts."""
        self._shortened = 0
        if reply.cut_at is not None:
            self.record_cut(request, reply.cut_at)
        elif reply.thought_tokens:
            per_candidate = reply.thought_tokens // max(1, len(reply.candidates))
            self._raise(request, min(THOUGHT_MARGIN * per_candidate, ROOM_STEPS[-1]))

    def record_sent(self, request: Request, limit: int) -> None:
        """Raise the limit to one that an earlier process sent, since its replies have shown it to be needed."""
        if limit > request.sampling.max_tokens:
            self._raise(request, limit - request.sampling.max_tokens)

    def record_cut(self, request: Request, cut_at: int) -> None:
        """Raise the limit by one step above the one at which a reply was cut before its content."""
        had = cut_at - request.sampling.max_tokens
        self._raise(request, next((step for step in ROOM_STEPS if step > had), 0))

    def _raise(self, request: Request, extra: int) -> None:
        kind = _kind(request)
        self._extra[kind] = max(extra, self._extra.get(kind, self._usual))
        self._usual = max(self._extra.values())

    def refused_limit(self, sent: int, answer: str) -> int | None:
        """Return the limit that a server asks for in place of the one that was sent; None: it asks for none.

        A limit that does not depend on the prompt holds for all requests from now on.
        """
        if "token" not in answer.lower():
            return None
        numbers = [int(number.replace(",", "")) for number in _NUMBER.findall(answer)]
        if _TOO_LARGE.search(answer) and (smaller := [number for number in numbers if 0 < number < sent]):
            limit = max(smaller)
            if not _CONTEXT.search(answer):
                self._max_limit = limit
                return limit
            self._shortened += 1
            return limit if self._shortened <= MAX_SHORTENED else None
        if _TOO_SMALL.search(answer) and (larger := [number for number in numbers if sent < number <= ROOM_STEPS[0]]):
            return min(larger)
        return None


def _kind(request: Request) -> Kind:
    return request.sampling.max_tokens, request.schema is not None
