"""The stage that invents events: request batches in rounds until every emotion has the events that it wants."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from personagen.builder.core.errors import AllRejectedError, GenerationError
from personagen.builder.core.event_loop import compute_in_thread, gather_or_cancel
from personagen.builder.core.records import Reject
from personagen.builder.llm.json_replies import parse_json
from personagen.builder.llm.requests import Ask, Candidate, Request
from personagen.builder.llm.trial import Trial, Trials
from personagen.builder.planning.personas.tables import Condition
from personagen.builder.planning.plan import Plan
from personagen.builder.planning.situations.bank import INVENTED_PREFIX, Event
from personagen.builder.planning.situations.possible import require_possible
from personagen.builder.planning.situations.sources import wanted_inventions
from personagen.builder.planning.taxonomy import Emotion
from personagen.builder.writing.attempts import EVENTS_ADVICE, Attempts, attempt, describe_reject
from personagen.builder.writing.checks import TextRules, Verdict, check_text
from personagen.builder.writing.finalization.duplicate_index import DuplicateIndex
from personagen.builder.writing.invention.batches import (
    EVENTS_SCHEMA,
    Batch,
    batch_request,
    first_batches,
    known_clauses,
)
from personagen.builder.writing.invention.clauses import check_clause, clause_rules

STAGE = "events"
"""Name of the stage in seeds and rejects."""

MAX_EXTRA_REQUESTS = 4
"""Requests per request of the first round, over all rounds, after which an emotion is given up."""

MIN_REQUESTS = 8
"""The same for few events."""

REPLY_RULES = TextRules(min_words=1, max_words=10_000, language=None, emotion_words=None, reject_leaks=False)
"""Rules that find refusals and talk in a reply that is no JSON."""


@dataclass(frozen=True, slots=True)
class Inventions:
    """Invented events.

    Attributes:
        plan: the plan with the events.
        rejects: rejected replies and events.

    """

    plan: Plan
    rejects: tuple[Reject, ...] = ()


async def invent_events(
    plan: Plan, ask_of: Callable[[int], Ask], *, paid: bool, on_reject: Callable[[], None] = lambda: None
) -> Inventions:
    """Have the model invent the events that a recipe asks for; without such a section the plan stays as it is.

    Args:
        plan: plan of the rows.
        ask_of: returns the `Ask` of a batch by its priority.
        paid: whether replies may cost money, so that few are requested before the first usable one.
        on_reject: called for each rejected reply or event.

    Raises:
        AllRejectedError: no reply could be used.
        GenerationError: an emotion has fewer events than it wants when all requests are spent.
        BackendError, BudgetError: as in `generate`.

    """
    wanted = wanted_inventions(plan.recipe)
    if not wanted or plan.events is None:
        return Inventions(plan)
    trial = Trials(paid=paid).of_stage(STAGE)
    taxonomy = plan.recipe.chosen_taxonomy()
    rules = clause_rules(taxonomy.names)
    searches = [_Search(plan, taxonomy[name], count, ask_of, trial, rules, on_reject) for name, count in wanted.items()]
    first = await compute_in_thread(
        lambda: [first_batches(plan, taxonomy[name], count) for name, count in wanted.items()]
    )
    tasks = [asyncio.create_task(search.run(batches)) for search, batches in zip(searches, first, strict=True)]
    await gather_or_cancel(tasks)
    events = {name: (*plan.events[name], *search.events()) for name, search in zip(wanted, searches, strict=True)}
    complete = replace(plan, events=events)
    await compute_in_thread(lambda: require_possible(complete))
    return Inventions(complete, tuple(reject for search in searches for reject in search.rejects))


@dataclass(slots=True)
class _Search:
    """The search for the events of one emotion."""

    plan: Plan
    emotion: Emotion
    wanted: int
    ask_of: Callable[[int], Ask]
    trial: Trial
    rules: TextRules
    on_reject: Callable[[], None]
    accepted: list[tuple[Batch, str]] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)

    async def run(self, batches: Sequence[Batch]) -> None:
        """Request batches in rounds: all of a round at once, and then as many as the rounds before show to be needed.

        `batches`: those of the first round.
        """
        limit = max(MIN_REQUESTS, MAX_EXTRA_REQUESTS * len(batches))
        common = sum(batch.group is None for batch in batches)
        sent = 0
        with DuplicateIndex(self.plan.recipe.checks.near_duplicate) as index:
            for clause in known_clauses(self.plan, self.emotion):
                index.add(clause, index.fingerprint(clause))
            while batches:
                replies = await gather_or_cancel([asyncio.create_task(self._ask(batch)) for batch in batches])
                sent += len(batches)
                for batch, (clauses, rejects) in zip(batches, replies, strict=True):
                    self._reject(rejects)
                    self._accept(batch, clauses, index)
                missing = self.wanted - len(self.accepted)
                if missing <= 0:
                    return
                if self.trial.is_hopeless or sent >= limit:
                    raise self._shortfall(sent)
                per_batch = max(1.0, len(self.accepted) / sent)
                count = min(limit - sent, max(1, -(-missing // int(per_batch))))
                batches = [Batch(self.emotion, None, common + number) for number in range(count)]
                common += count

    async def _ask(self, batch: Batch) -> tuple[Sequence[str], Sequence[Reject]]:
        """Return the clauses of a batch's reply, unchecked, and the rejected replies; none: no reply had any."""
        recipe, rejects = self.plan.recipe, list[Reject]()
        attempts = Attempts(
            batch.id, batch.id, STAGE, recipe.seed, 0, recipe.checks.attempts, rejects.append, [self.trial]
        )
        request = batch_request(self.plan, batch)
        accepted = await attempt(lambda _: request, self.ask_of(batch.number), attempts, _check_reply)
        return ([] if accepted is None else json.loads(accepted.verdict.text)), rejects

    def _accept(self, batch: Batch, clauses: Sequence[str], index: DuplicateIndex) -> None:
        """Accept the clauses of a reply that pass their checks and repeat no event, in their order."""
        for number, clause in enumerate(clauses):
            if len(self.accepted) == self.wanted:
                return
            id_ = f"{batch.id}-{number}"
            verdict = check_clause(clause, self.rules)
            fingerprint = index.fingerprint(verdict.text)
            repeated = index.find(fingerprint) if verdict.reason is None else None
            if verdict.reason is not None or repeated is not None:
                reason = verdict.reason or "duplicate"
                self._reject([Reject(id_, STAGE, reason, 0, clause, repeated)])
                continue
            index.add(id_, fingerprint)
            self.accepted.append((batch, verdict.text))

    def _reject(self, rejects: Sequence[Reject]) -> None:
        for reject in rejects:
            self.rejects.append(reject)
            self.on_reject()

    def events(self) -> tuple[Event, ...]:
        """Return the accepted events."""
        return tuple(
            Event(
                kind=f"{INVENTED_PREFIX}{self.emotion.name}_{number:05d}",
                label="",
                clause=clause,
                narrations=(),
                appraisal=None,
                stakes=None,
                fit=Condition() if batch.group is None else batch.group.condition,
                places=() if (place := batch.place(self.plan.recipe.seed)) is None else (place,),
                companions=(),
                times=(),
                is_own=True,
            )
            for number, (batch, clause) in enumerate(self.accepted, 1)
        )

    def _shortfall(self, sent: int) -> AllRejectedError | GenerationError:
        reasons = Counter(reject.reason for reject in self.rejects)
        counts = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common()) or "no reply had enough"
        last = f", the last one: {describe_reject(self.rejects[-1], EVENTS_ADVICE)}" if self.rejects else ""
        requests = f"{sent} request" + ("s" if sent != 1 else "")
        got = f"{len(self.accepted)} of {self.wanted} events of {self.emotion.name!r} in {requests}"
        error = GenerationError if self.accepted else AllRejectedError
        return error(
            f"events.invent: the model invented {got} ({counts}{last}); lower the number, or try a larger model; "
            "replies are kept and not paid for again"
        )


def _check_reply(candidate: Candidate, request: Request) -> Verdict:
    """Accept a reply with a list of clauses; its text is the list as JSON."""
    try:
        events = parse_json(candidate.text, EVENTS_SCHEMA).get("events")
    except ValueError:
        events = None
    clauses = [event for event in events if isinstance(event, str)] if isinstance(events, list) else []
    if clauses:
        return Verdict(json.dumps(clauses), None, leaked=False)
    if not candidate.text.strip():
        return Verdict("", "empty", leaked=False)
    is_talk = "{" not in candidate.text
    reason = (
        check_text(candidate.text, prompt="", finish=candidate.finish, rules=REPLY_RULES).reason if is_talk else None
    )
    return Verdict(candidate.text, reason if reason in ("refusal", "meta") else "schema", leaked=False)
