"""Learn the dialect of a server from its answers, once per run.

A refused part is read from the answer, or found by a search if the answer names none. A change of the dialect counts
once a request was accepted with it: otherwise a flagged prompt could cost the run its parameters. Until the server has
accepted a request with the same parts, requests are sent one at a time, so that a refusal is met once and not once per
request in flight.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Hashable, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from personagen.builder.core.errors import TransientError
from personagen.builder.llm.chat_protocol.endpoint import Endpoint
from personagen.builder.llm.chat_protocol.part_search import PartGroup, PartSearch, start_search
from personagen.builder.llm.chat_protocol.refused_parts import ALIASES, names_a_part, next_levels, refused_parts
from personagen.builder.llm.chat_protocol.request_body import Dialect, levels_of
from personagen.builder.llm.requests import Reply, Request, has_text

BLIND_STATUSES = (400, 415, 422, 500, 501)
"""Statuses of a refusal that may concern a part although the answer names none."""

VALUED_PARTS = ("top_p", "min_p", "repetition_penalty", "n")
"""Parts of which a server may accept some values only."""

USUAL_TEMPERATURE = 1.0
"""Temperature up to which a server accepts all values or none."""

UNNAMED_STATUSES = (401, 402, 408, 413, 429)
"""Statuses that never concern a part, whatever the answer says."""

MAX_SERVER_ERRORS = 2
"""Server errors that count as passing before one counts as a refusal: some servers fail on a part that they lack."""

MAX_BLIND_SEARCHES = 2
"""Requests in a row that are sent without optional parts to find out whether one is refused, and refused again."""

MAX_VIOLATIONS = 3
"""Replies in a row that violate their schema after which response_format counts as ignored."""

MAX_DOUBTS = 3
"""Refusals of requests such as the server has accepted after which it counts as changed: in a row, or of one part."""

MAX_CHANGES = 16
"""Changes of the dialect within one request, a safeguard against a server that refuses everything in turn."""

MAX_MENTIONED = 3
"""Parts that a sentence may mention; one with more repeats the request and names none."""

SUSPICION = (
    "response_format", "temperature", "seed", "system role", "n", "logprobs", "stop", "top_p", "min_p",
    "repetition_penalty", "reasoning_effort", "stream",
)  # fmt: skip
"""Parts in the order in which a search tests them: those that servers refuse most often first."""

CONSEQUENCES: Mapping[str, str] = {
    "temperature": "its default temperature applies",
    "top_p": "its default applies",
    "min_p": "its default applies",
    "repetition_penalty": "its default applies",
    "seed": "a text cannot be drawn a second time from its seed, so the journal is what makes the release repeatable",
    "n": "candidates are requested one by one",
    "stop": "texts end where the model ends them",
    "logprobs": "answers are sampled",
    "reasoning_effort": "the model thinks as much as it does by default",
    "stream": "the server decides whether it streams",
    "system role": "instructions are part of the user turn",
    "response_format": "the JSON schema is part of the prompt or less strict",
    "max_tokens": "the length of a reply has no limit, and the budget reckons with the usual one",
}
"""Consequence of each part that is left out."""


def speaks_of_parameters(status: int, answer: str) -> bool:
    """Return whether a 404 is about parameters: a router finds no server that takes them all."""
    return status == 404 and "parameter" in answer.lower()


@dataclass(slots=True)
class Negotiation:
    """Dialect of one request while it is sent, changed by each refusal.

    Attributes:
        dialect: dialect of the next try.
        is_test: whether it tests a group of the search.
        named: levels of the parts that answers named.
        bareness: 0: all accepted parts are sent; 1: all optional parts but the limit are left out; 2: the limit is
            renamed or left out too.
        changes: changes so far.

    """

    dialect: Dialect
    is_test: bool = False
    named: dict[str, int] = field(default_factory=dict)
    bareness: int = 0
    changes: int = 0


def shape_of(request: Request) -> Hashable:
    """Return a value that is equal for requests with the same optional parts."""
    return (
        request.sampling,
        request.candidates,
        request.top_logprobs > 0,
        bool(request.stop),
        request.schema is None,
        tuple(message.role for message in request.messages),
    )


class DialectLearner:
    """Knowledge of one server's dialect, shared by the requests of a run; for use from one event loop."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        warn: Callable[[str], None] = lambda message: None,
        patience_s: float = 3.0,
        can_search: bool = True,
    ) -> None:
        """Start with a server that is assumed to accept everything.

        Args:
            endpoint: the server; parts of its body are requested by the user and never left out, but for the effort.
            warn: receives one line per part that is left out.
            patience_s: time that a request waits for another one that finds out the dialect: a refusal comes at once.
            can_search: whether to test parts one group at a time; False: without a named part, all are left out.

        """
        self._address = endpoint.address
        self._fixed = frozenset(ALIASES.get(name, name) for name in endpoint.body) - {"reasoning_effort"}
        self._warn = warn
        self._patience_s = patience_s
        self._can_search = can_search
        self._learnt = Dialect()
        self._search: PartSearch | None = None
        self._confirmed: frozenset[str] = frozenset()
        self._tried: set[str] = set()  # parts that were accepted, or are or were part of a search
        self._known_shapes: set[Hashable] = set()  # a dialect with more parts left out has no parts that are not known
        self._blind_searches = 0
        self._server_errors = 0
        self._violations = 0  # in a row; -1: a schema was kept
        self._unfinished: Negotiation | None = None  # of the request that is alone, or whose last try failed
        self._doubts = 0  # refusals of confirmed requests in a row
        self._mentions = Counter[str]()  # such refusals by the part that their sentences mention
        self._reported: set[str] = set()
        self._alone = asyncio.Lock()
        self._waiting: set[asyncio.Task[Any]] = set()
        self._stopped = False

    @property
    def dialect(self) -> Dialect:
        """The dialect that the server is known to accept."""
        return self._learnt if self._search is None else self._learnt.without(self._search.suspects)

    @asynccontextmanager
    async def turn(
        self, shape: Hashable, build_body: Callable[[Dialect], Mapping[str, Any]]
    ) -> AsyncIterator[Negotiation]:
        """Yield the negotiation of a request, alone as long as the server has not accepted such a request.

        Args:
            shape: equal for requests with the same optional parts; see `shape_of`.
            build_body: builds the body of the request in a dialect.

        """
        if shape in self._known_shapes and self._search is None:
            yield Negotiation(self._learnt)
            return
        if self.knows(build_body):
            self._known_shapes.add(shape)
            yield Negotiation(self.dialect)
            return
        if not await self._acquire():
            yield self._hint()
            return
        with ExitStack() as alone:
            alone.callback(self._alone.release)
            if self._stopped:
                raise asyncio.CancelledError
            if self.knows(build_body):  # another request has found out meanwhile
                alone.close()
                yield Negotiation(self.dialect)
            elif self._search is None:
                self._unfinished = self._resumed()
                try:
                    yield self._unfinished
                except TransientError:  # the next request goes on with what the answers named
                    raise
                except BaseException:
                    self._unfinished = None
                    raise
                self._unfinished = None
            else:
                self._unfinished = None
                search = self._widened(self._search, build_body(self._learnt))
                yield Negotiation(self._learnt.without(search.left_out_in_test), is_test=True)

    def stop(self) -> None:
        """Cancel the requests that wait for their turn."""
        self._stopped = True
        for task in self._waiting:
            task.cancel()

    def knows(self, build_body: Callable[[Dialect], Mapping[str, Any]]) -> bool:
        """Return whether the server has accepted a request with the same parts."""
        return self._is_confirmed(build_body(self.dialect))

    async def _acquire(self) -> bool:
        """Wait until no other request finds out the dialect; False: it takes too long."""
        task = asyncio.current_task()
        assert task is not None
        self._waiting.add(task)
        try:
            async with asyncio.timeout(self._patience_s):
                return await self._alone.acquire()
        except TimeoutError:
            return False
        finally:
            self._waiting.discard(task)

    def _widened(self, search: PartSearch, body: Mapping[str, Any]) -> PartSearch:
        """Add the parts of a request that none before it had, so that its test does not meet their refusal."""
        new = [part for part in SUSPICION if part in self._sent(body) and part not in self._tried]
        self._tried.update(new)
        self._search = replace(search, groups=(*search.groups, PartGroup(tuple(new)))) if new else search
        return self._search

    def _resumed(self) -> Negotiation:
        """Return the negotiation that a failure interrupted, else a new one."""
        if self._unfinished is None:
            return Negotiation(self._learnt)
        return replace(self._unfinished, dialect=self._unfinished.dialect.weakened(self._learnt.levels), changes=0)

    def _hint(self) -> Negotiation:
        """Begin beside a request that takes long: with the parts that its refusals named."""
        if self._unfinished is None or self._search is not None:
            return Negotiation(self.dialect)
        return replace(self._resumed(), named=dict(self._unfinished.named), bareness=0)

    def record_refusal(self, negotiation: Negotiation, status: int, answer: str, body: Mapping[str, Any]) -> bool:
        """Change the dialect of a refused request; False: no part of it is refused, so the request is.

        Args:
            negotiation: of the request.
            status: HTTP status of the answer.
            answer: body of the answer.
            body: the refused body.

        """
        if status in UNNAMED_STATUSES or negotiation.changes >= MAX_CHANGES:
            return False
        negotiation.changes += 1
        sent = self._sent(body)
        parts = self._named(answer, body)
        if parts:
            levels = next_levels(answer, parts, sent)
            negotiation.named |= levels
            negotiation.dialect = negotiation.dialect.weakened(levels)
            return True
        if negotiation.is_test and self._search is not None:
            negotiation.is_test = False
            self._search = self._search.record_refused()
            negotiation.dialect = self.dialect
            self._end_search()
            return True
        if is_confirmed := self._is_confirmed(body):
            self._doubt(status)
        if is_confirmed or not (status in BLIND_STATUSES or speaks_of_parameters(status, answer)):
            return False
        if status >= 500 and not negotiation.bareness:
            self._server_errors += 1
            if self._server_errors <= MAX_SERVER_ERRORS:
                return False
        return self._strip(negotiation, sent)

    def record_acceptance(self, negotiation: Negotiation, body: Mapping[str, Any], reply: Reply) -> None:
        """Record that the server accepted a request in the negotiation's dialect.

        Args:
            negotiation: of the request.
            body: the accepted body.
            reply: its reply; other requests go on being sent one at a time if it has no content.

        """
        self._doubts = 0
        if not (negotiation.named or negotiation.bareness or self._search) and self._is_confirmed(body):
            return
        self._learnt = self._learnt.weakened(negotiation.named)
        if negotiation.bareness and self._search is None:
            self._blind_searches = 0
            # A limit that had to be changed is known to be refused; the others may be fine then.
            self._learnt = self._learnt.weakened({"max_tokens": negotiation.dialect.level("max_tokens")})
            suspects = [part for part in SUSPICION if negotiation.dialect.level(part) > self._learnt.level(part)]
            self._tried.update(suspects)
            self._search = start_search(suspects, guilty=negotiation.bareness == 1)
            if not self._can_search:
                self._search = PartSearch((), tuple(suspects))
        elif negotiation.is_test and self._search is not None:
            self._search = self._search.record_accepted()
        self._end_search()
        if self._search is None:
            self._report()
            if has_text(reply):
                self._confirmed |= self._features(body)

    @property
    def keeps_format(self) -> bool:
        """Whether a reply has satisfied the schema in its response_format, so that the server need not be checked."""
        return self._violations < 0

    def record_format(self, *, kept: bool) -> None:
        """Record whether a reply satisfies the schema in its response_format.

        A server that accepts the schema and never keeps to it gets schemas in the prompt from then on.
        """
        self._violations = -1 if kept or self._violations < 0 else self._violations + 1
        if self._violations == MAX_VIOLATIONS and "response_format" not in self._fixed:
            self._learnt = self._learnt.without(["response_format"])
            self._report()

    def _named(self, answer: str, body: Mapping[str, Any]) -> frozenset[str]:
        """Return the sent parts that an answer refuses, as far as it can be believed."""
        parts = refused_parts(answer, self._sent(body))
        if names_a_part(answer):
            return parts
        if len(parts) > MAX_MENTIONED:
            return frozenset()
        if not self._is_confirmed(body):
            return parts
        # A request that was flagged for its content may be quoted in the answer: one mention is no evidence.
        self._mentions.update(parts)
        believed = frozenset(part for part in parts if self._mentions[part] >= MAX_DOUBTS)
        for part in believed:
            del self._mentions[part]
        return believed

    def _doubt(self, status: int) -> None:
        """Count a refusal of a request such as the server has accepted; it may have become another server."""
        self._doubts += status in BLIND_STATUSES and status < 500  # an outage is no change
        if self._doubts >= MAX_DOUBTS:
            self._doubts, self._confirmed = 0, frozenset()
            self._known_shapes.clear()

    def _strip(self, negotiation: Negotiation, sent: Mapping[str, int]) -> bool:
        """Leave out all optional parts but the limit, then rename the limit, then leave it out too."""
        if negotiation.bareness == 0:
            if self._blind_searches >= MAX_BLIND_SEARCHES:
                return False
            self._blind_searches += 1
        optional = [part for part in sent if part != "max_tokens"]
        if optional and negotiation.bareness == 0:
            negotiation.bareness = 1
            negotiation.dialect = negotiation.dialect.without(optional)
            return True
        if "max_tokens" in sent:
            negotiation.bareness = 2
            negotiation.dialect = negotiation.dialect.weakened({"max_tokens": sent["max_tokens"] + 1})
            return True
        return False

    def _end_search(self) -> None:
        if self._search is not None and self._search.is_over:
            self._learnt, self._search = self._learnt.without(self._search.refused), None

    def _sent(self, body: Mapping[str, Any]) -> dict[str, int]:
        return {part: level for part, level in levels_of(body).items() if part not in self._fixed}

    def _features(self, body: Mapping[str, Any]) -> frozenset[str]:
        """Return the parts of a body, with their values where a server may refuse some of them."""
        parts = {f"{part} {body[part]}" if part in VALUED_PARTS else part for part in self._sent(body)}
        return frozenset(parts | {"hot"} if body.get("temperature", 0) > USUAL_TEMPERATURE else parts)

    def _is_confirmed(self, body: Mapping[str, Any]) -> bool:
        return self._search is None and self._features(body) <= self._confirmed

    def _report(self) -> None:
        for part in self._learnt.left_out():
            if part not in self._reported:
                self._reported.add(part)
                self._warn(f"{self._address} refuses {part}: left out from now on; {CONSEQUENCES[part]}")
