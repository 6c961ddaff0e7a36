"""Request a reply until one is accepted: the loop that every stage shares.

A stage turns facts into a request and checks the reply. It depends on no other row and on no scheduling.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from personagen.builder.core.errors import RequestError
from personagen.builder.core.records import Reject
from personagen.builder.llm.requests import Ask, Candidate, Reply, Request
from personagen.builder.planning.plan import request_seed
from personagen.builder.writing.checks import Verdict


@dataclass(frozen=True, slots=True)
class Attempts:
    """Seeds of the requests of one stage, and receiver of its rejects.

    Attributes:
        id: id of the row, persona or situation that is written.
        seed_id: id whose seeds the requests have: `id`, or that of the original of a counterfactual.
        stage: name of the stage.
        seed: seed of the recipe.
        first: number of the first attempt.
        limit: attempts in total; the last is number `limit` - 1.
        reject: called with every reply that is rejected.

    """

    id: str
    seed_id: str
    stage: str
    seed: int
    first: int
    limit: int
    reject: Callable[[Reject], None]


@dataclass(frozen=True, slots=True)
class AcceptedReply:
    """An accepted candidate: its verdict, and the seed and the number of its request."""

    verdict: Verdict
    seed: int
    attempt: int


CheckCandidate = Callable[[Candidate, Request], Verdict]
"""Check of one candidate of a reply."""

CheckTogether = Callable[[Sequence[Verdict]], Awaitable[Sequence[Verdict]]]
"""Second check, of all candidates of a request together, for a check that takes longer."""


async def attempt(
    make_request: Callable[[int], Request],
    ask: Ask,
    attempts: Attempts,
    check: CheckCandidate,
    check_together: CheckTogether | None = None,
) -> AcceptedReply | None:
    """Send requests, each with a new seed, until a candidate is accepted.

    Of several accepted candidates the one with the highest mean log-probability per token is chosen, the first where
    the backend gives no probabilities.

    Args:
        make_request: makes the request of an attempt, by number; its seed is replaced.
        ask: sends a request.
        attempts: seeds and limits.
        check: checks one candidate.
        check_together: checks the verdicts of all candidates of a request, and has the last word; None: no such check.

    Returns:
        The accepted reply; None: all attempts were rejected.

    """
    for number in range(attempts.first, attempts.limit):
        seed = request_seed(attempts.seed, attempts.seed_id, attempts.stage, number)
        try:
            request = replace(make_request(number), seed=seed)
            reply = await ask(request)
        except RequestError as error:
            attempts.reject(Reject(attempts.id, attempts.stage, "request", number, None, str(error)))
            continue
        if reply.problem is not None:  # paid for, so it is journaled and counted like any reply, but it holds no text
            attempts.reject(Reject(attempts.id, attempts.stage, "request", number, None, reply.problem))
            continue
        verdicts: Sequence[Verdict] = [check(candidate, request) for candidate in reply.candidates]
        if check_together is not None:
            verdicts = await check_together(verdicts)
        best = _best(reply, verdicts)
        if best is not None:
            return AcceptedReply(best, seed, number)
        attempts.reject(_rejected(attempts, number, reply, verdicts))
    return None


def _best(reply: Reply, verdicts: Sequence[Verdict]) -> Verdict | None:
    accepted = [
        (candidate.mean_logprob or 0.0, -position, verdict)
        for position, (candidate, verdict) in enumerate(zip(reply.candidates, verdicts, strict=True))
        if verdict.reason is None
    ]
    return max(accepted, key=lambda entry: entry[:2])[2] if accepted else None


def _rejected(attempts: Attempts, number: int, reply: Reply, verdicts: Sequence[Verdict]) -> Reject:
    """Describe a reply of which no candidate was accepted by its first candidate."""
    if not verdicts:
        return Reject(attempts.id, attempts.stage, "empty", number, "")
    first = verdicts[0]
    return Reject(attempts.id, attempts.stage, first.reason or "empty", number, reply.candidates[0].text, first.label)
