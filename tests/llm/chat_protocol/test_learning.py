"""What is learnt of a server's dialect, against servers that are functions of a request body."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from personagen.builder.core.errors import TransientError
from personagen.builder.llm.chat_protocol.endpoint import Endpoint
from personagen.builder.llm.chat_protocol.learning import MAX_DOUBTS, MAX_VIOLATIONS, DialectLearner, shape_of
from personagen.builder.llm.chat_protocol.request_body import Dialect, request_body
from personagen.builder.llm.requests import Candidate, Message, Reply, Request, Sampling

Body = Mapping[str, Any]
Refuse = Callable[[Body], str | None]
"""Returns the answer to a refused body; None: it is accepted."""

REPLY = Reply((Candidate("The bus was late.", "stop"),), 9, 5)
REQUEST = Request(
    (Message("system", "You write."), Message("user", "Go.")),
    Sampling(90, temperature=0.8, top_p=0.9),
    seed=1,
    schema={},
)


class ScriptedServer:
    """A server that refuses some bodies, and counts them."""

    def __init__(self, refuse: Refuse, *, status: int = 400, failures: int = 0, **options: Any) -> None:
        self.refuse, self.status, self.failures = refuse, status, failures
        self.reports: list[str] = []
        self.refused = self.accepted = 0
        self.most_in_flight = self.in_flight = 0
        endpoint = Endpoint("http://127.0.0.1:1/v1", "m", body=options.pop("body", {}))
        self.learner = DialectLearner(endpoint, warn=self.reports.append, **options)

    async def send(self, request: Request = REQUEST) -> Body | None:
        """Send a request as the chat backend does; return the accepted body, None: it is refused."""

        def build(dialect: Dialect) -> Body:
            return request_body(request, "m", dialect, limit=90)

        async with self.learner.turn(shape_of(request), build) as negotiation:
            while True:
                body = build(negotiation.dialect)
                self.in_flight += 1
                self.most_in_flight = max(self.most_in_flight, self.in_flight)
                await asyncio.sleep(0)
                self.in_flight -= 1
                answer = self.refuse(body)
                if answer is None and self.failures:
                    self.failures -= 1
                    raise TransientError("too many requests")
                if answer is None:
                    self.accepted += 1
                    self.learner.record_acceptance(negotiation, body, REPLY)
                    return body
                self.refused += 1
                if not self.learner.record_refusal(negotiation, self.status, answer, body):
                    return None

    def run(self, count: int = 20) -> list[Body | None]:
        """Send many requests at once."""

        async def run() -> list[Body | None]:
            return list(await asyncio.gather(*[self.send() for _ in range(count)]))

        return asyncio.run(run())


def refuses(*parts: str, answer: str = "Bad Request") -> Refuse:
    """Refuse bodies that have one of some parts."""
    return lambda body: answer if any(part in body for part in parts) else None


@pytest.mark.parametrize("part", ["temperature", "top_p", "seed", "response_format", "stream", "max_tokens"])
def test_a_part_that_no_answer_names_is_found_by_the_search(part: str) -> None:
    """It costs at most three refused requests for a run of any concurrency, and most other parts stay."""
    server = ScriptedServer(refuses(part))
    bodies = server.run()
    assert None not in bodies
    assert server.refused <= 3
    last = bodies[-1] or {}
    assert part not in last and len({"temperature", "top_p", "seed", "response_format", "stream"} - last.keys()) <= 2


def test_a_named_part_costs_one_refused_request() -> None:
    server = ScriptedServer(refuses("seed", answer=json.dumps({"error": {"message": "no", "param": "seed"}})))
    assert None not in server.run()
    assert server.refused == 1
    assert server.reports == [
        "http://127.0.0.1:1/v1 refuses seed: left out from now on; a text cannot be drawn a second time from its seed, "
        "so the journal is what makes the release repeatable"
    ]


def test_several_refused_parts_are_each_left_out() -> None:
    server = ScriptedServer(refuses("seed", "temperature"))
    assert None not in server.run()
    assert server.refused <= 6
    assert {"seed", "temperature"} <= set(server.learner.dialect.left_out())


def test_a_request_with_further_parts_does_not_mislead_a_search() -> None:
    """A judge asks for log probabilities first, and for several answers once they are refused."""
    server = ScriptedServer(refuses("seed", "n"))

    async def run() -> list[Body | None]:
        several = replace(REQUEST, candidates=8)
        return [await server.send(), *[await server.send(several) for _ in range(12)]]

    assert None not in asyncio.run(run())
    assert server.refused <= 6
    assert {"seed", "n"} <= set(server.learner.dialect.left_out())
    assert not {"temperature", "top_p", "system role"} & set(server.learner.dialect.left_out())


def test_the_first_request_is_sent_alone() -> None:
    """The others wait for its answer, so that a refusal is met once."""
    server = ScriptedServer(refuses("seed", answer="seed is not supported"))
    server.run(50)
    assert server.refused == 1
    assert server.most_in_flight > 1, "afterwards they are sent together"


def test_a_request_refused_for_its_content_leaves_the_dialect_alone() -> None:
    """A moderated prompt is refused in every form, even if the answer speaks of a part."""
    server = ScriptedServer(lambda body: "flagged: a schema of violence" if "Bad" in str(body["messages"]) else None)

    async def run() -> list[Body | None]:
        bad = Request((Message("user", "Bad."),), Sampling(90, temperature=0.8), seed=1)
        return [await server.send(bad), await server.send(), await server.send(bad), await server.send()]

    first, second, third, fourth = asyncio.run(run())
    assert (first, third) == (None, None)
    assert second is not None and fourth is not None
    assert (server.learner.dialect.left_out(), server.reports) == ((), [])


def test_an_accepted_part_is_not_given_up_for_a_sentence() -> None:
    """Once it was accepted, only an answer that names the part in a field is believed at once."""
    server = ScriptedServer(lambda body: "the temperature of this" if "Bad" in str(body["messages"]) else None)

    async def run() -> Body | None:
        assert await server.send() is not None
        bad = Request((Message("user", "Bad."),), Sampling(90, temperature=0.8), seed=1)
        return await server.send(bad)

    assert asyncio.run(run()) is None
    assert server.learner.dialect.left_out() == ()


def test_a_part_that_the_user_sets_is_never_left_out() -> None:
    server = ScriptedServer(refuses("seed", answer="seed is not supported"), body={"seed": 3})
    assert server.run(1) == [None]


def test_a_server_error_counts_as_passing_at_first() -> None:
    """A server that fails on a part it lacks fails every time."""
    server = ScriptedServer(refuses("seed", answer="boom"), status=500)
    outcomes = [server.run(1)[0] for _ in range(3)]
    assert outcomes[:2] == [None, None]
    assert outcomes[2] is not None and "seed" not in outcomes[2]


def test_without_a_search_all_optional_parts_are_left_out() -> None:
    """A batch takes hours, so no group of parts is tested."""
    server = ScriptedServer(refuses("seed"), can_search=False)
    assert None not in server.run(5)
    assert set(server.learner.dialect.left_out()) >= {"seed", "temperature", "response_format", "system role"}


def test_a_format_that_is_never_kept_is_given_up() -> None:
    """Some servers accept response_format and ignore it."""
    learner = ScriptedServer(refuses()).learner
    for _ in range(MAX_VIOLATIONS):
        assert learner.dialect.left_out() == ()
        learner.record_format(kept=False)
    assert learner.dialect.left_out() == ("response_format",)


def test_a_format_that_was_kept_once_stays() -> None:
    learner = ScriptedServer(refuses()).learner
    learner.record_format(kept=True)
    for _ in range(2 * MAX_VIOLATIONS):
        learner.record_format(kept=False)
    assert learner.dialect.left_out() == ()


def test_a_request_waits_no_longer_than_its_patience() -> None:
    """A refusal comes at once; a slow reply must not hold up the others."""
    server = ScriptedServer(refuses(), patience_s=0.01)

    async def run() -> None:
        async with server.learner.turn(
            shape_of(REQUEST), lambda dialect: request_body(REQUEST, "m", dialect, limit=90)
        ):
            assert await server.send() is not None

    asyncio.run(run())


def test_a_stopped_learner_lets_no_waiting_request_pass() -> None:
    server = ScriptedServer(refuses())

    async def run() -> None:
        async with server.learner.turn(
            shape_of(REQUEST), lambda dialect: request_body(REQUEST, "m", dialect, limit=90)
        ):
            waiting = asyncio.create_task(server.send())
            await asyncio.sleep(0)
            server.learner.stop()
            with pytest.raises(asyncio.CancelledError):
                await waiting  # at once, although the first request is not answered

    asyncio.run(run())


@pytest.mark.parametrize("answer", ["seed is not supported", "Bad Request"])
def test_what_a_refusal_showed_outlives_a_failure(answer: str) -> None:
    """The retry of a request, or the next request, does not meet the refusal again."""
    server = ScriptedServer(refuses("seed", answer=answer), failures=5)

    async def run() -> Body | None:
        for _ in range(5):
            with pytest.raises(TransientError):
                await server.send()
        return await server.send()

    body = asyncio.run(run())
    assert body is not None and "seed" not in body
    assert server.refused == 1


def test_requests_beside_a_slow_one_know_what_it_was_refused() -> None:
    """A reasoning model refuses a part at once and thinks for a minute."""
    server = ScriptedServer(refuses("seed", answer="seed is not supported"), patience_s=0.01)

    async def run() -> None:
        build = partial(request_body, REQUEST, "m", limit=90)
        async with server.learner.turn("shape", build) as slow:
            body = request_body(REQUEST, "m", slow.dialect, limit=90)
            assert server.learner.record_refusal(slow, 400, "seed is not supported", body)
            assert None not in await asyncio.gather(*[server.send() for _ in range(20)])

    asyncio.run(run())
    assert server.refused == 0
    assert server.learner.dialect.left_out() == ("seed",)


@pytest.mark.parametrize("answer", ["seed is not supported", "Bad Request"])
def test_a_server_that_changes_during_a_run_is_learnt_again(answer: str) -> None:
    """A gateway may move a model to another provider."""
    server = ScriptedServer(refuses())
    assert None not in server.run(3)
    server.refuse = refuses("seed", answer=answer)
    outcomes = [server.run(1)[0] for _ in range(2 * MAX_DOUBTS)]
    assert None not in outcomes[MAX_DOUBTS:]
    assert "seed" in server.learner.dialect.left_out()


def test_one_of_several_servers_that_refuses_a_part_decides() -> None:
    """A gateway may send every second request to another provider."""
    counts = iter(range(1000))
    server = ScriptedServer(lambda body: "seed is not supported" if "seed" in body and next(counts) % 2 else None)
    outcomes = [server.run(1)[0] for _ in range(20)]
    assert outcomes.count(None) < MAX_DOUBTS
    assert server.learner.dialect.left_out() == ("seed",)
