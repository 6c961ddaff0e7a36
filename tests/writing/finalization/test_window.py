"""Rows, rejects and requests of the window: those of writing one row after the other, whatever the timing."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from itertools import count

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from personagen.builder.core.records import Reject
from personagen.builder.llm.requests import Ask, Candidate, Reply, Request
from personagen.builder.llm.trial import DISTINCT_TEXTS, HOPELESS_REPLIES
from personagen.builder.planning.counterfactuals import add_counterfactuals
from personagen.builder.planning.plan import Plan, RowPlan, make_plan, request_seed
from personagen.builder.planning.recipe.parsing import parse_recipe
from personagen.builder.writing.finalization.duplicate_index import DuplicateIndex
from personagen.builder.writing.finalization.window import MAX_TRIAL_ROWS, Window
from personagen.builder.writing.pipeline import FinalizedRow, finalize_rows
from personagen.builder.writing.rows import RowWriter

ATTEMPTS = 4
BASES = (
    "the ferry was late again and we stood on the pier with the dog for an hour before my brother called us back home",
    "my daughter took four wobbly steps across the kitchen this morning and then sat down on the rug and clapped twice",
    "a note under the door said that the rent goes up in june so i counted the coins in the jar and went out",
)


def variants(text: str) -> list[str]:
    """Return a text, one that is near it, and one that is near the second and not the first."""
    words = text.split()
    second = [*words[:-2], "quite", "soon"]
    return [" ".join(words), " ".join(second), " ".join(["last", "week", *second[2:]])]


POOL = [variant for base in BASES for variant in variants(base)]
EMPTY = ""
Attempt = tuple[int, int]
"""Position of a row and number of an attempt at its text."""


def unique(position: int, number: int) -> str:
    """Return a text that repeats no other."""
    return " ".join(f"word{letters(position * 1000 + number * 100 + word)}" for word in range(20))


def letters(number: int) -> str:
    return "".join("abcdefghij"[int(digit)] for digit in str(number))


def small_plan(rows: int = 14, *, counterfactuals: bool = False) -> Plan:
    text = f"rows: {rows}\nemotions: [joy]\ndepth: demographic\ntext: {{language: null}}\n"
    text += f"checks: {{attempts: {ATTEMPTS}}}\nbackend: {{kind: openai, model: m}}\n"
    if not counterfactuals:
        return make_plan(parse_recipe(text, "test"))
    text += "counterfactual: {attributes: {gender: [woman, man]}, pairs: 6}"
    return add_counterfactuals(make_plan(parse_recipe(text, "test")))


def rows_of(plan: Plan) -> list[RowPlan]:
    return [row for shard in plan.shards() for row in plan.rows(shard)]


async def at_once(attempt: Attempt) -> None:
    """Answer without waiting."""


@dataclass
class ScriptedModel:
    """Model whose replies are given by row and attempt, and arrive when a function lets them.

    Attributes:
        plan: plan of the rows.
        text_of: returns the text of an attempt.
        before_reply: awaited before each reply.
        calls: attempts in the order in which they were requested.

    """

    plan: Plan
    text_of: Callable[[int, int], str]
    before_reply: Callable[[Attempt], Awaitable[None]] = at_once
    calls: list[Attempt] = field(default_factory=list)

    def __post_init__(self) -> None:
        rows = rows_of(self.plan)
        seed_ids = [row.counterfactual.original_id if row.counterfactual else row.id for row in rows]
        self._numbers = [
            {request_seed(0, seed_id, "expression", number): number for number in range(ATTEMPTS)}
            for seed_id in seed_ids
        ]

    def ask_of(self, position: int, stage: str, model: int) -> Ask:
        """Return the `Ask` of a row."""

        async def ask(request: Request) -> Reply:
            attempt = (position, self._numbers[position][request.seed])
            self.calls.append(attempt)
            await self.before_reply(attempt)
            return Reply((Candidate(self.text_of(*attempt), "stop"),), 1, 1)

        return ask

    def writer(self, *, paid: bool = False) -> RowWriter:
        """Return the writer of the plan's rows by this model."""
        return RowWriter(self.plan, self.ask_of, models=["m"], paid=paid)

    async def finalize(self, concurrency: int, *, paid: bool = False) -> list[FinalizedRow]:
        """Write all rows."""
        return [row async for row in finalize_rows(self.writer(paid=paid), concurrency)]


@dataclass(frozen=True)
class Expected:
    """Outcome of a row: number of the accepted attempt (None: none was accepted), and its rejects."""

    attempt: int | None
    rejects: list[tuple[str, int, str | None]]


def expected_outcomes(plan: Plan, text_of: Callable[[int, int], str]) -> tuple[list[Expected], set[Attempt]]:
    """Write one row after the other: each takes its first text that is near no accepted text of an earlier row."""
    outcomes: list[Expected] = []
    calls: set[Attempt] = set()
    accepted: dict[str, str] = {}
    attempts: dict[str, int] = {}
    repeats = distinct = 0
    for position, row in enumerate(rows_of(plan)):
        chosen, rejects = None, list[tuple[str, int, str | None]]()
        first = 0 if row.counterfactual is None else attempts.get(row.counterfactual.original_id, 0)
        numbers = list(range(ATTEMPTS))
        while numbers and chosen is None:
            number = numbers.pop(0)
            calls.add((position, number))
            text = text_of(position, number)
            if text == EMPTY:
                rejects.append(("empty", number, None))
            elif row.counterfactual is not None and number < first:
                numbers = list(range(first, ATTEMPTS))
            elif row.counterfactual is None and (near := first_near(text, accepted)) is not None:
                rejects.append(("duplicate", number, near))
                repeats += 1
                assume(distinct >= DISTINCT_TEXTS or repeats < HOPELESS_REPLIES)
            else:
                chosen, distinct = number, distinct + 1
        if chosen is not None:
            attempts[row.id] = chosen
            if row.counterfactual is None:
                accepted[row.id] = text_of(position, chosen)
        outcomes.append(Expected(chosen, rejects))
    return outcomes, calls


def first_near(text: str, accepted: dict[str, str]) -> str | None:
    one = triples(text)
    return next((id_ for id_, other in accepted.items() if similar(one, triples(other)) >= 0.7), None)


def triples(text: str) -> set[tuple[str, ...]]:
    words = text.split()
    return set(zip(words, words[1:], words[2:], strict=False))


def similar(one: set[tuple[str, ...]], other: set[tuple[str, ...]]) -> float:
    return len(one & other) / len(one | other)


def outcome_of(row: FinalizedRow) -> Expected:
    def facts(reject: Reject) -> tuple[str, int, str | None]:
        return reject.reason, reject.attempt, reject.detail if reject.reason == "duplicate" else None

    attempt = None if row.row is None else row.row.provenance.attempts - 1
    return Expected(attempt, [facts(reject) for reject in row.rejects])


def test_nearness_in_the_pool_is_not_transitive() -> None:
    first, second, third, *_ = POOL
    near = [similar(triples(one), triples(two)) >= 0.7 for one, two in ((first, second), (second, third))]
    assert near == [True, True] and similar(triples(first), triples(third)) < 0.7


@given(
    texts=st.lists(st.integers(-len(POOL), len(POOL)), min_size=80, max_size=80),
    ticks=st.lists(st.integers(0, 40), min_size=80, max_size=80),
    concurrency=st.integers(1, 8),
    paid=st.booleans(),
)
@settings(max_examples=150)
def test_outcomes_and_calls_are_those_of_one_row_after_the_other(
    texts: list[int], ticks: list[int], concurrency: int, paid: bool
) -> None:
    plan = small_plan(counterfactuals=True)
    assert len(rows_of(plan)) * ATTEMPTS <= len(texts)

    def text_of(position: int, number: int) -> str:
        choice = texts[position * ATTEMPTS + number]
        if choice < 0:
            return unique(position, number)
        return EMPTY if choice == len(POOL) and position % 4 == 3 else POOL[choice % len(POOL)]

    async def before_reply(attempt: Attempt) -> None:
        for _ in range(ticks[attempt[0] * ATTEMPTS + attempt[1]]):
            await asyncio.sleep(0)

    expected, calls = expected_outcomes(plan, text_of)
    model = ScriptedModel(plan, text_of, before_reply)
    rows = asyncio.run(model.finalize(concurrency, paid=paid))
    assert [outcome_of(row) for row in rows] == expected
    assert sorted(model.calls) == sorted(calls), "each request is sent once, and no other"
    assert [row.planned for row in rows] == rows_of(plan)


def repeating(repeats: Iterable[int]) -> Callable[[int, int], str]:
    """Return the texts of a model whose first attempts at these rows repeat the first row's text."""
    positions = set(repeats)
    return lambda position, number: unique(0, 0) if number == 0 and position in positions else unique(position, number)


class Gates:
    """Events by name, made when first used."""

    def __init__(self) -> None:
        self._events: dict[str, asyncio.Event] = {}

    def __getitem__(self, name: str) -> asyncio.Event:
        return self._events.setdefault(name, asyncio.Event())


REPEATS = range(5, 11)


def answers_in_order(arrives: str, gates: Gates) -> Callable[[Attempt], Awaitable[None]]:
    """Answer row 3 after all retries are in flight, and each retry with the others; see the test below."""
    together, pending = asyncio.Barrier(len(REPEATS)), count(1)

    async def before_reply(attempt: Attempt) -> None:
        position, number = attempt
        if position in REPEATS and number == 1:
            await together.wait()
            gates["retried"].set()
        elif position in REPEATS and arrives == "after":
            await gates["finalized"].wait()
        elif position in REPEATS and next(pending) == len(REPEATS):
            gates["repeated"].set()
        elif position == 3:
            await gates["retried"].wait()
        elif position == 0 and arrives == "before":
            await gates["repeated"].wait()

    return before_reply


@pytest.mark.parametrize("arrives", ["before", "after"])
def test_rows_that_repeat_a_finalized_row_are_retried_together_and_before_their_turn(arrives: str) -> None:
    """The repeats arrive before the text that they repeat is accepted, or after it."""
    model = ScriptedModel(small_plan(), repeating(REPEATS))

    async def run() -> list[FinalizedRow]:
        gates = Gates()
        model.before_reply = answers_in_order(arrives, gates)
        rows: list[FinalizedRow] = []
        async for row in finalize_rows(model.writer(), 14):
            rows.append(row)
            if len(rows) == 3:
                gates["finalized"].set()
        return rows

    rows = asyncio.run(run())
    retried = [row.row.provenance.attempts == 2 for row in rows if row.row is not None]
    assert retried == [position in REPEATS for position in range(14)]


def test_a_row_that_repeats_one_that_is_not_finalized_waits_for_it() -> None:
    """The text of row 3 is rejected in the end, so that a retry of row 6 would have been paid for in vain."""
    texts = {(3, 0): POOL[0], (0, 0): POOL[1], (6, 0): POOL[2], (7, 0): POOL[2]}
    model = ScriptedModel(
        small_plan(), lambda position, number: texts.get((position, number), unique(position, number))
    )

    async def run() -> list[FinalizedRow]:
        gates = Gates()

        async def before_reply(attempt: Attempt) -> None:
            if attempt == (0, 0):
                await gates["all"].wait()
            elif len(model.calls) == 14:
                for _ in range(50):
                    await asyncio.sleep(0)
                assert sorted(model.calls) == [(position, 0) for position in range(14)]
                gates["all"].set()

        model.before_reply = before_reply
        return await model.finalize(14)

    rows = asyncio.run(run())
    assert sorted(set(model.calls) - {(position, 0) for position in range(14)}) == [(3, 1), (6, 1), (7, 1)]
    assert [row.planned.id for row in rows if row.rejects] == ["joy-000003", "joy-000006", "joy-000007"]


def test_a_counterfactual_is_retried_once_its_original_is_accepted() -> None:
    """The last original is answered only after the counterfactual of the first one is retried."""
    plan = small_plan(counterfactuals=True)
    rows = rows_of(plan)
    original = rows[1].id
    (counterfactual,) = [
        position
        for position, row in enumerate(rows)
        if row.counterfactual and row.counterfactual.original_id == original
    ]
    model = ScriptedModel(plan, repeating([1]))

    async def run() -> list[FinalizedRow]:
        gates = Gates()

        async def before_reply(attempt: Attempt) -> None:
            if attempt == (counterfactual, 1):
                gates["retried"].set()
            elif attempt == (13, 0):
                await gates["retried"].wait()

        model.before_reply = before_reply
        return await model.finalize(20)

    outcomes = [outcome_of(row) for row in asyncio.run(run())]
    assert outcomes[1] == Expected(1, [("duplicate", 0, "joy-000000")])
    assert outcomes[counterfactual] == Expected(1, [])


def test_requests_stay_in_flight_while_one_row_waits() -> None:
    """Row 2 is answered only after the rows behind it were requested, down to the bound of the window."""
    concurrency, rows_ahead = 4, 60
    model = ScriptedModel(small_plan(120), repeating(range(10, 40, 3)))
    begun = 2 + 2 * concurrency + rows_ahead

    async def run() -> int:
        gates, slots = Gates(), asyncio.Semaphore(concurrency)

        async def before_reply(attempt: Attempt) -> None:
            async with slots:
                if attempt == (2, 0):
                    await gates["full"].wait()
            if {position for position, number in model.calls if number == 0} >= set(range(begun)):
                gates["full"].set()

        model.before_reply = before_reply
        with DuplicateIndex(0.7) as index:
            window = Window(model.writer(), index, concurrency, rows_ahead=rows_ahead)
            window.fill()
            finalized = 0
            while (await window.finalize_next()) is not None:
                if finalized == 1:
                    await gates["full"].wait()
                    assert len({position for position, _ in model.calls}) == begun, "and no further"
                finalized += 1
                window.fill()
            return finalized

    assert asyncio.run(run()) == 120
    assert len(model.calls) == 120 + len(range(10, 40, 3))


@pytest.mark.parametrize("paid", [False, True])
def test_a_model_that_repeats_one_text_is_retried_one_by_one(paid: bool) -> None:
    """Retries before the second text might all be paid for in vain."""
    model = ScriptedModel(small_plan(200), lambda position, number: POOL[0])
    rows = asyncio.run(model.finalize(64, paid=paid))
    retries = [attempt for attempt in model.calls if attempt[1] > 0]
    assert retries == sorted(retries) and len(retries) < HOPELESS_REPLIES
    assert [row.row is not None for row in rows] == [True] + [False] * (len(rows) - 1)
    assert not paid or len(model.calls) <= HOPELESS_REPLIES + MAX_TRIAL_ROWS


def test_as_many_rows_again_as_requests_in_flight_are_being_written() -> None:
    model, most = ScriptedModel(small_plan(60), unique), list[int]()

    async def run() -> list[FinalizedRow]:
        in_flight: set[Attempt] = set()

        async def before_reply(attempt: Attempt) -> None:
            in_flight.add(attempt)
            most.append(len(in_flight))
            for _ in range(20):  # turns of the loop: personas are chosen for one row after the other
                await asyncio.sleep(0)
            in_flight.discard(attempt)

        model.before_reply = before_reply
        return await model.finalize(3)

    assert len(asyncio.run(run())) == 60
    assert max(most) == 6
