"""Ask, judge, try again: what all stages that call a model share; and the stage that elaborates a layer into prose.

A stage turns what is known into a request, asks, and checks the reply; it knows neither other rows nor scheduling.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from personagen.builder.core.errors import RequestError
from personagen.builder.core.records import Reject
from personagen.builder.llm.requests import Ask, Candidate, Reply, Request, Sampling, parse_json
from personagen.builder.planning.plan import request_seed
from personagen.builder.writing.checks import TextRules, Verdict, check_text
from personagen.builder.writing.prompts import render

PROSE_SCHEMA = {
    "type": "object",
    "properties": {"prose": {"type": "string", "minLength": 20, "maxLength": 1200}},
    "required": ["prose"],
    "additionalProperties": False,
}
"""What an elaborated layer must look like."""

PROSE_RULES = TextRules(min_words=8, max_words=200, language=None, leak_words=None, reject_leaks=False)


@dataclass(frozen=True, slots=True)
class Attempts:
    """Where the requests of one stage get their seeds, and where its rejects go.

    Attributes:
        id: what is being made: a row, a persona or a situation.
        of: whose seeds the requests have: those of `id`, or of what it is a counterfactual of.
        stage: name of the stage.
        seed: seed of the recipe.
        first: number of the first attempt.
        limit: attempts in all; the last is number `limit` - 1.
        reject: called with every reply that is refused.

    """

    id: str
    of: str
    stage: str
    seed: int
    first: int
    limit: int
    reject: Callable[[Reject], None]


@dataclass(frozen=True, slots=True)
class Draft:
    """An accepted reply: its seed, the number of its request, and what the checks found."""

    verdict: Verdict
    seed: int
    attempt: int


Judge = Callable[[Candidate, Request], Verdict]
Recheck = Callable[[Sequence[Verdict]], Awaitable[Sequence[Verdict]]]
"""A check that takes longer and looks at all candidates of a request together."""


async def attempt(
    request: Callable[[int], Request], ask: Ask, tries: Attempts, judge: Judge, recheck: Recheck | None = None
) -> Draft | None:
    """Ask until a candidate is accepted, with a new seed each time; None when the attempts are spent.

    `request` makes the request of an attempt from its number, but for the seed; `recheck` sees what `judge` made of
    its candidates, and has the last word.

    Of several accepted candidates the most probable a token is kept, the first where the backend gives no probability.
    """
    for number in range(tries.first, tries.limit):
        seed = request_seed(tries.seed, tries.of, tries.stage, number)
        try:
            asked = replace(request(number), seed=seed)
            reply = await ask(asked)
        except RequestError as error:
            tries.reject(Reject(tries.id, tries.stage, "request", number, None, str(error)))
            continue
        if reply.problem is not None:  # paid for, so it is kept and counted like any reply; but there is no text in it
            tries.reject(Reject(tries.id, tries.stage, "request", number, None, reply.problem))
            continue
        verdicts: Sequence[Verdict] = [judge(candidate, asked) for candidate in reply.candidates]
        if recheck is not None:
            verdicts = await recheck(verdicts)
        best = _best(reply, verdicts)
        if best is not None:
            return Draft(best, seed, number)
        reason = verdicts[0].reason if verdicts else "empty"
        text = reply.candidates[0].text if reply.candidates else ""
        read = verdicts[0].label if verdicts else None
        tries.reject(Reject(tries.id, tries.stage, reason or "empty", number, text, read))
    return None


def _best(reply: Reply, verdicts: Sequence[Verdict]) -> Verdict | None:
    accepted = [
        (candidate.mean_logprob or 0.0, -position, verdict)
        for position, (candidate, verdict) in enumerate(zip(reply.candidates, verdicts, strict=True))
        if verdict.reason is None
    ]
    return max(accepted, key=lambda entry: entry[:2])[2] if accepted else None


async def elaborate(layer: str, ask: Ask, tries: Attempts, **facts: Any) -> str | None:
    """Have the model write the prose of a layer; None when the attempts are spent.

    Args:
        layer: "demographic", "sociocultural" or "situational": the template.
        ask: where requests go.
        tries: seeds and rejects.
        facts: what the template shows.

    """
    sampling = Sampling(max_tokens=400, temperature=0.8)
    request = Request(render(layer, **facts), sampling, seed=0, schema=PROSE_SCHEMA)
    draft = await attempt(lambda _: request, ask, tries, _judge_prose)
    return None if draft is None else draft.verdict.text


def _judge_prose(candidate: Candidate, request: Request) -> Verdict:
    try:
        reply = parse_json(candidate.text)
        prose = reply["prose"]
    except (ValueError, TypeError, KeyError):
        return Verdict(candidate.text, "schema" if candidate.text.strip() else "empty", leaked=False)
    if not isinstance(prose, str) or set(reply) != {"prose"}:
        return Verdict(candidate.text, "schema", leaked=False)
    # The facts stand in the prompt and may stand in the prose: an echo is no fault here.
    return check_text(prose, prompt="", finish=candidate.finish, rules=PROSE_RULES)
