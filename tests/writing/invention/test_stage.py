"""The stage that invents events: bounded, distinct, checked, and the same in whatever order replies arrive."""

import asyncio
import json
import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from personagen.builder.core.errors import AllRejectedError, GenerationError, PersonaGenError, RequestError
from personagen.builder.llm.requests import Ask, Candidate, Reply, Request
from personagen.builder.planning.plan import Plan, make_plan
from personagen.builder.planning.recipe.parsing import parse_recipe
from personagen.builder.planning.situations.bank import bank_events
from personagen.builder.planning.situations.dealing import DealtEvents, event_of
from personagen.builder.writing.invention.batches import (
    EVENTS_PER_REQUEST,
    Batch,
    batch_request,
    first_batches,
    group_of,
)
from personagen.builder.writing.invention.stage import MAX_EXTRA_REQUESTS, Inventions, invent_events
from tests.helpers.servers.fake_openai import clause

Answer = Callable[[Request], str]


def plan_of(**changes: Any) -> Plan:
    keys = {"backend.kind": "openai", "backend.model": "m", "emotions": ["joy"], "rows": 100}
    settings = {key.replace("__", "."): value for key, value in changes.items()}
    return make_plan(parse_recipe("", "r", keys | {"events.invent.per_emotion": 40} | settings))


def writes(request: Request) -> str:
    """Write ten clauses that depend on the request alone."""
    rng = random.Random(f"{request.messages}{request.seed}")
    return json.dumps({"events": [clause(rng) for _ in range(EVENTS_PER_REQUEST)]})


def invent(plan: Plan, answer: Answer = writes, *, paid: bool = False, shuffled: int | None = None) -> Inventions:
    """Run the stage with a model that is a function of the request; `shuffled`: seed of the order of its replies."""
    rng = random.Random(shuffled)
    sent: list[Request] = []

    def ask_of(priority: int) -> Ask:
        async def ask(request: Request) -> Reply:
            sent.append(request)
            for _ in range(rng.randrange(20) if shuffled is not None else 0):
                await asyncio.sleep(0)
            return Reply((Candidate(answer(request), "stop"),), 1, 1)

        return ask

    try:
        return asyncio.run(invent_events(plan, ask_of, paid=paid))
    finally:
        REQUESTS[:] = sent


REQUESTS: list[Request] = []
"""Requests of the last run of the stage."""


def clauses(inventions: Inventions, emotion: str = "joy") -> list[str]:
    assert inventions.plan.events is not None
    return [event.clause for event in inventions.plan.events[emotion]]


def test_as_many_events_as_wanted_are_invented_and_have_ids() -> None:
    inventions = invent(plan_of())
    assert inventions.plan.events is not None
    events = inventions.plan.events["joy"]
    assert len(events) == len({event.clause for event in events}) == 40
    assert [event.kind for event in events[:2]] == ["invented_joy_00001", "invented_joy_00002"]
    assert all(event.is_own and not event.companions and not event.times for event in events)


def test_without_the_wish_the_plan_stays_as_it_is() -> None:
    plan = make_plan(parse_recipe("backend: {kind: openai, model: m}", "r"))
    assert invent(plan).plan is plan


def test_events_do_not_depend_on_the_order_of_the_replies() -> None:
    plan = plan_of(emotions=["joy", "anger"])
    expected = invent(plan)
    for seed in range(4):
        assert invent(plan, shuffled=seed) == expected


def test_a_smaller_number_sends_requests_that_a_larger_one_has_sent() -> None:
    """So a run that could not invent enough is continued with a lower number by the replies that it has."""
    invent(plan_of(rows=400, events__invent__per_emotion=400))
    larger = set(map(str, REQUESTS))
    invent(plan_of(rows=400, events__invent__per_emotion=100))
    assert set(map(str, REQUESTS)) <= larger


def test_half_of_the_events_or_more_fit_everybody_and_the_others_a_group_of_the_personas() -> None:
    plan = plan_of(rows=600, events__invent__per_emotion=600)
    batches = first_batches(plan, plan.recipe.chosen_taxonomy()["joy"], 600)
    assert len(batches) == 60
    grouped = Counter(batch.group for batch in batches if batch.group)
    rows = Counter(group_of(plan.people.persona(plan.turn("joy", turn).persona).values) for turn in range(600))
    assert 0 < sum(grouped.values()) <= 30 and len(grouped) > 3
    assert all(2 * EVENTS_PER_REQUEST * count <= rows[group] for group, count in grouped.items())
    group = next(iter(grouped))
    assert (
        group.phrase in batch_request(plan, Batch(plan.recipe.chosen_taxonomy()["joy"], group, 0)).messages[1].content
    )


def test_every_event_is_dealt_before_one_is_repeated() -> None:
    plan = invent(plan_of(rows=600, events__invent__per_emotion=300)).plan
    dealt: DealtEvents = {}
    joy = plan.recipe.chosen_taxonomy()["joy"]
    events = [(event_of(plan, joy, plan.turn("joy", turn), dealt), plan.turn("joy", turn)) for turn in range(600)]
    assert max(Counter(event.kind for event, _ in events).values()) == 2
    assert all(event.fit.holds(plan.people.persona(row.persona).values) for event, row in events)


def test_what_repeats_an_event_or_is_unfit_is_rejected_and_requested_anew() -> None:
    known = bank_events("joy")[0].clause

    def answer(request: Request) -> str:
        return json.dumps({"events": [known, "I lost a key on the stairs", *json.loads(writes(request))["events"][:3]]})

    inventions = invent(plan_of(), answer)
    assert len(clauses(inventions)) == 40 and known not in clauses(inventions)
    reasons = Counter(reject.reason for reject in inventions.rejects)
    assert set(reasons) == {"duplicate", "clause"} and {reject.stage for reject in inventions.rejects} == {"events"}
    assert len({(reject.id, reject.attempt) for reject in inventions.rejects}) == len(inventions.rejects)
    assert len(REQUESTS) <= MAX_EXTRA_REQUESTS * 4


def test_a_reply_that_is_prose_costs_an_attempt_and_no_event() -> None:
    def answer(request: Request) -> str:
        return "Here are some ideas that come to mind." if request.seed % 2 else writes(request)

    inventions = invent(plan_of(), answer)
    assert len(clauses(inventions)) == 40
    assert {reject.reason for reject in inventions.rejects} <= {"schema", "duplicate"}


@pytest.mark.parametrize(
    ("answer", "error", "reason"),
    [
        (lambda request: "I had a long day and nothing to say.", AllRejectedError, "schema"),
        (lambda request: "I'm sorry, but I can't help with that.", AllRejectedError, "refusal"),
        (lambda request: json.dumps({"events": ["being full of joy at the news"] * 10}), AllRejectedError, "leak"),
        (lambda request: json.dumps({"events": ["winning a prize at the fair"] * 10}), GenerationError, "duplicate"),
        (lambda request: json.dumps({"events": [7, None]}), AllRejectedError, "schema"),
        (lambda request: "", AllRejectedError, "empty"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("paid", [True, False])
def test_a_model_that_cannot_invent_is_given_up_in_words(
    answer: Answer, error: type[PersonaGenError], reason: str, paid: bool
) -> None:
    """The requests are bounded, and their replies are in the journal."""
    counts = rf"the model invented \d+ of 40 events of 'joy' in \d+ requests? \({reason} \d+, the last one: "
    with pytest.raises(
        error, match=rf"events.invent: {counts}.*lower the number, or try a larger model; replies are kept"
    ) as given_up:
        invent(plan_of(), answer, paid=paid)
    assert not {"checks.leak", "elaborate"} & {*re.findall(r"[\w.]+", str(given_up.value))}, "events have other rules"
    assert len(REQUESTS) <= MAX_EXTRA_REQUESTS * 4


def test_a_refused_request_is_a_reject() -> None:
    refused: list[int] = []

    def answer(request: Request) -> str:
        if not refused:
            refused.append(request.seed)
            raise RequestError("400: no")
        return writes(request)

    inventions = invent(plan_of(), answer)
    assert [reject.reason for reject in inventions.rejects if reject.reason != "duplicate"] == ["request"]


def test_the_prompt_says_what_is_wanted_and_names_no_event_of_the_content() -> None:
    plan = plan_of()
    joy = plan.recipe.chosen_taxonomy()["joy"]
    requests = [batch_request(plan, Batch(joy, None, number)) for number in range(30)]
    texts = [request.messages[1].content for request in requests]
    assert len(set(texts)) == 30
    assert all(f"evoke joy: {joy.definition}" in text and "any age, work and household" in text for text in texts)
    assert sum(", and happen " in text for text in texts) in range(5, 26)
    seeds = replace(plan, recipe=plan.recipe.model_copy(update={"seed": 1}))
    assert batch_request(seeds, Batch(joy, None, 0)) != requests[0]
