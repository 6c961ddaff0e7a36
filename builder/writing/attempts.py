"""Request a reply until one is accepted: the loop that every stage shares.

A stage turns facts into a request and checks the reply. It depends on no other row and on no scheduling.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from personagen.builder.core.errors import RequestError
from personagen.builder.core.records import Reject, RejectReason
from personagen.builder.llm.requests import HOLDS_SECRET, ONLY_THOUGHT, Ask, Candidate, Reply, Request
from personagen.builder.llm.trial import Trial
from personagen.builder.planning.plan import request_seed
from personagen.builder.writing.checks import Verdict

UNFIT_REASONS = ("length", "echo", "leak", "personal", "slur", "astray", "expression", "label")
"""Reasons against a text that does not fit its row: another one of the same model may."""


ADVICE: Mapping[str, str] = {
    "request": "check the model and the backend section of the recipe",
    "thought": "raise backend.thinking_tokens, or set backend.reasoning_effort",
    "secret": "use another server: this one sends back what it must not, and change the key",
    "empty": "try another model, or raise draw.max_tokens",
    "schema": "try a larger model, or set the layers of elaborate to sampled",
    "clause": "try a larger model, or give events.file",
    "refusal": "try another model",
    "meta": "try a larger model",
    "garbled": "try another model, or lower draw.temperature",
    "truncated": "raise draw.max_tokens",
    "length": "try another model, or change text.min_words and text.max_words",
    "language": "try a model that writes the language, or change text.language",
    "echo": "try a larger model",
    "leak": "set checks.leak to flag, or try another model",
    "personal": "set checks.personal to flag, or try another model",
    "slur": "set checks.slurs to flag, or try another model",
    "expression": "set checks.expression to flag, or try another model",
    "label": "set checks.label to flag, or try another model",
    "astray": "try another model",
    "duplicate": "raise checks.near_duplicate or draw.temperature",
}
"""Advice by the reason for which replies are rejected."""

EVENTS_ADVICE: Mapping[str, str] = dict(ADVICE) | dict.fromkeys(
    ("schema", "clause", "length", "leak", "personal", "slur"), "try a larger model, or give events.file"
)
"""The same for events that the model invents: their rules are not those of the recipe's checks."""


MISS_LOGPROB = 0.2
"""Log-probability per token that a valenced word too many or too few counts for."""


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
        trials: evidence whether replies of the stage can be used; a hopeless one ends the attempts.

    """

    id: str
    seed_id: str
    stage: str
    seed: int
    first: int
    limit: int
    reject: Callable[[Reject], None]
    trials: Sequence[Trial] = ()


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

    Of several accepted candidates the one with the highest mean log-probability per token is chosen, less MISS_LOGPROB
    for each valenced word by which it misses its row; the first where the backend gives no probabilities.

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
        request = replace(make_request(number), seed=seed)
        if not await _begin(attempts.trials):
            return None
        try:
            outcome = await _attempt_once(request, number, ask, attempts, check, check_together)
        except BaseException:
            for trial in attempts.trials:
                trial.cancel()
            raise
        if isinstance(outcome, AcceptedReply):
            _end(attempts.trials, None)
            return outcome
        _end(attempts.trials, outcome)
        attempts.reject(outcome)
    return None


async def _attempt_once(
    request: Request,
    number: int,
    ask: Ask,
    attempts: Attempts,
    check: CheckCandidate,
    check_together: CheckTogether | None,
) -> AcceptedReply | Reject:
    """Send one request and check its candidates; return the reject if none is accepted."""
    try:
        reply = await ask(request)
    except RequestError as error:
        return Reject(attempts.id, attempts.stage, "request", number, None, str(error))
    if reply.problem is not None:  # paid for, so it is journaled and counted like any reply, but it holds no text
        return Reject(attempts.id, attempts.stage, _reason(reply.problem), number, None, reply.problem)
    usable = [candidate for candidate in reply.candidates if candidate.problem is None]
    verdicts: Sequence[Verdict] = [check(candidate, request) for candidate in usable]
    if check_together is not None and verdicts:
        verdicts = await check_together(verdicts)
    best = _best(usable, verdicts)
    if best is not None:
        return AcceptedReply(best, request.seed, number)
    return _rejected(attempts, number, reply, usable, verdicts)


async def _begin(trials: Sequence[Trial]) -> bool:
    """Have all trials admit a request, or none."""
    begun: list[Trial] = []
    for trial in trials:
        if not await trial.begin():
            for admitted in begun:
                admitted.cancel()
            return False
        begun.append(trial)
    return True


def _end(trials: Sequence[Trial], reject: Reject | None) -> None:
    for trial in trials:
        if reject is None:
            trial.end(None)
        else:
            trial.end(reject.reason, reject.detail or reject.text or "", unfit=reject.reason in UNFIT_REASONS)


def _best(candidates: Sequence[Candidate], verdicts: Sequence[Verdict]) -> Verdict | None:
    accepted = [
        (((candidate.mean_logprob or 0.0) - MISS_LOGPROB * verdict.misses, -position), verdict)
        for position, (candidate, verdict) in enumerate(zip(candidates, verdicts, strict=True))
        if verdict.reason is None
    ]
    return max(accepted, key=lambda entry: entry[0])[1] if accepted else None


def _rejected(
    attempts: Attempts, number: int, reply: Reply, usable: Sequence[Candidate], verdicts: Sequence[Verdict]
) -> Reject:
    """Describe a reply of which no candidate was accepted by its first one that holds a text, or by its first one."""
    if verdicts:
        first = verdicts[0]
        return Reject(attempts.id, attempts.stage, first.reason or "empty", number, usable[0].text, first.label)
    if not reply.candidates:
        return Reject(attempts.id, attempts.stage, "empty", number, "")
    candidate = reply.candidates[0]
    return Reject(
        attempts.id, attempts.stage, _reason(candidate.problem), number, candidate.text or None, candidate.problem
    )


def _reason(problem: str | None) -> RejectReason:
    """Return the reason to reject a reply that holds no text, by its problem."""
    return "thought" if problem == ONLY_THOUGHT else "secret" if problem == HOLDS_SECRET else "request"


def describe_reject(reject: Reject, advice: Mapping[str, str] = ADVICE) -> str:
    """Describe a rejected reply on one line, with advice that fits its reason."""
    text = (
        reject.detail
        if reject.reason in ("request", "secret", "thought") and reject.detail
        else repr((reject.text or "")[:160])
    )
    hint = "" if reject.reason == "request" and "; " in text else f"; {advice[reject.reason]}"
    return f"{reject.reason}, {text}{hint}"
