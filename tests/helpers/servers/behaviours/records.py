"""Records of the table: a call of a server, its answer, and a behaviour."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Use = Literal["text", "unusable", "refused", "moved"]
"""Use of an answer to a careful client: a text, a paid reply without one, a refusal or failure, or a redirect."""

MANY_ROWS = 700
"""Rows of a run in which nothing can be written: each further reply would be paid for in vain."""

MOST_HOPELESS_CALLS = 20
"""Paid calls after which a client has seen that nothing can be written."""

MOST_REFUSED_CALLS = 30
"""The same for calls that cost nothing: the search for the part that is refused takes some."""


@dataclass(frozen=True, slots=True)
class OddCall:
    """One chat request that a server received.

    Attributes:
        body: its body.
        headers: its headers, names in lower case.
        path: its path, without the query.
        query: its query.
        number: number of the request, from 1 in order of arrival.
        at_s: time of arrival on a monotonic clock, in seconds.
        texts: texts that an ordinary server would answer, one per choice.

    """

    body: Mapping[str, Any]
    headers: Mapping[str, str]
    path: str
    query: Mapping[str, str]
    number: int
    at_s: float
    texts: tuple[str, ...]

    @property
    def limit(self) -> int:
        """Limit on completion tokens by either name; without one, what no reply reaches."""
        return int(self.body.get("max_completion_tokens") or self.body.get("max_tokens") or 10**6)

    @property
    def words(self) -> str:
        """All messages of the request as one text."""
        return json.dumps(self.body["messages"], ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class OddAnswer:
    """Answer of a server.

    Attributes:
        status: HTTP status.
        body: its body; bytes and strings are sent unchanged, anything else as JSON.
        headers: its headers.
        use: its use to a careful client; None: "text" for 200, "moved" for a redirect, else "refused".
        texts: texts that a careful client can use; None: those of the call.
        cut: whether the connection breaks in the middle of the answer.

    """

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    use: Use | None = None
    texts: tuple[str, ...] | None = None
    cut: bool = False

    @property
    def effect(self) -> Use:
        """Use of the answer, with its default filled in."""
        if self.use is not None:
            return self.use
        if self.status == 200:
            return "text"
        return "moved" if 300 <= self.status < 400 else "refused"


Serve = Callable[[OddCall], OddAnswer | None]
"""Answers a call; None: as an ordinary server does."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One way in which a server differs from an ordinary one, and what a careful client makes of it.

    Attributes:
        name: unique name.
        group: name of the group.
        make: returns the server's function; each call starts with fresh state.
        source: server or public report where it is seen.
        stop: words that the one-line message of a run must contain, in any case; empty: all rows can be written.
        recipe: YAML of the recipe that the behaviour needs.
        rows: rows of the run.
        wasted: most calls that may be refused, fail, or be paid for without a usable text.
        most_calls: most calls in total; None: no bound.
        honest_usage: whether `usage` states the tokens; None: it does not, and nothing shows that.
        address: what follows the host in the base URL; a full URL is used unchanged.
        batch: whether a batch API can behave so: the answer depends on the body, and it is JSON with a status.
        judge: whether it is tried on a judge too.
        texts: whether it is tried on releases; else on a judge only.
        seconds: seconds that a careful client needs because the server makes it wait.

    """

    name: str
    group: str
    make: Callable[[], Serve]
    source: str
    stop: tuple[str, ...] = ()
    recipe: str = ""
    rows: int = 7
    wasted: int = 0
    most_calls: int | None = None
    honest_usage: bool | None = True
    address: str = "/v1"
    batch: bool = True
    judge: bool = False
    texts: bool = True
    seconds: float = 0.0


def always(serve: Serve) -> Callable[[], Serve]:
    """Return the factory of a function without state."""
    return lambda: serve


def first(count: int, answer: OddAnswer) -> Callable[[], Serve]:
    """Return the factory of a server whose first calls get this answer."""
    return always(lambda call: answer if call.number <= count else None)


def every(nth: int, answer: Serve) -> Callable[[], Serve]:
    """Return the factory of a server that answers every n-th call so."""
    return always(lambda call: answer(call) if call.number % nth == 0 else None)


def constant(answer: OddAnswer) -> Serve:
    """Return a function that answers every call so."""
    return lambda call: answer
