"""Several models in one run: one journal, one budget, limits of each model's own, errors that name the model."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from personagen.builder.core.errors import BackendError, BudgetError
from personagen.builder.core.prices import Amount, Price
from personagen.builder.llm import EngineModel, Reply, Request, closing_models, start_engine, start_engine_of_models
from personagen.builder.llm.admission.control import make_admission_control
from personagen.builder.llm.budget import Budget
from tests.helpers.dispatching import ask_for, until


@dataclass(frozen=True)
class Settings:
    """Settings of a model without rate limits."""

    kind: str = "openai"
    model: str | None = "m"
    base_url: str | None = None
    concurrency: int | None = None
    headers: Mapping[str, str] | None = None
    query: Mapping[str, str] | None = None
    body: Mapping[str, Any] | None = None
    timeout: float | None = None
    thinking_tokens: int | None = None
    reasoning_effort: str | None = None
    rpm: int | None = None
    tpm: int | None = None


@dataclass(frozen=True)
class Limits:
    """Bounds of a run."""

    max_tokens: int | None = None
    max_cost: float | None = None


class Echo:
    """A backend that answers once its gate is open; 30 prompt tokens and 20 completion tokens per reply."""

    name, concurrency, paid, adaptive = "echo", 4, True, False
    revision: str | None = None
    licence: str | None = None
    variant: Mapping[str, Any] = {}

    def __init__(self, model: str) -> None:
        self.model = model
        self.gate = asyncio.Event()
        self.gate.set()
        self.sent = 0
        self.error: Exception | None = None
        self.closed = False
        self.on_stop: Callable[[], None] = lambda: None

    def token_limit(self, request: Request, cut_at: int | None = None) -> int:
        return request.sampling.max_tokens

    async def complete(self, request: Request) -> Reply:
        self.sent += 1
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return Reply((), 30, 20, problem=self.model)

    def stop(self) -> None:
        self.on_stop()

    async def close(self) -> None:
        self.closed = True


def models_of(
    *backends: Echo, prices: tuple[Price | None, ...] = (Price(1.0, 1.0), Price(10.0, 10.0))
) -> list[EngineModel]:
    return [
        EngineModel(backend, Settings(), price, f"backend.{number} (openai {backend.model})")
        for number, (backend, price) in enumerate(zip(backends, prices, strict=True))
    ]


def test_equal_requests_to_two_models_are_two_replies_and_count_by_model(tmp_path: Path) -> None:
    async def run() -> None:
        for sent in (1, 0):  # the second engine answers from the journal
            a, b = Echo("a"), Echo("b")
            async with start_engine_of_models(models_of(a, b), tmp_path / "journal", limits=Limits()) as engine:
                replies = [await engine.ask(0, model)(ask_for("Go on.")) for model in (0, 1, 1)]
                assert [reply.problem for reply in replies] == ["a", "b", "b"]
                assert (a.sent, b.sent) == (sent, sent)
                assert engine.budget.tokens == 100 and engine.budget.cost == pytest.approx(550e-6)
                used = engine.used()
                assert used.usage.requests == 2
                assert {name: part.usage.requests for name, part in used.by_model.items()} == {"a": 1, "b": 1}
            assert a.closed and b.closed

    asyncio.run(run())


@pytest.mark.parametrize("fails", [False, True])
def test_models_are_closed_at_the_end_of_a_block_also_if_one_fails(fails: bool) -> None:
    class Broken(Echo):
        async def close(self) -> None:
            await super().close()
            raise BackendError("cannot be closed")

    a, b = Echo("a"), Broken("b")

    async def run() -> None:
        async with closing_models(models_of(a, b)):
            if fails:
                raise KeyError("within")

    with pytest.raises(BackendError, match="cannot be closed"):
        asyncio.run(run())
    assert a.closed and b.closed


def test_replies_without_a_model_count_at_the_highest_price(tmp_path: Path) -> None:
    async def run() -> None:
        async with start_engine(Echo("a"), tmp_path / "journal", settings=Settings(), limits=Limits()) as engine:
            await engine.ask(0)(ask_for("Go on."))
        a, b = Echo("a"), Echo("b")
        async with start_engine_of_models(models_of(a, b), tmp_path / "journal", limits=Limits()) as engine:
            assert engine.budget.cost == pytest.approx(500e-6)
            await engine.ask(0)(ask_for("Go on."))
            assert a.sent == 0 and engine.used().by_model["a"].usage.requests == 1

    asyncio.run(run())


def test_one_bound_holds_for_the_cost_of_all_models(tmp_path: Path) -> None:
    async def run() -> None:
        limits = Limits(max_cost=900e-6)  # one reply of b costs 500e-6, and 50 tokens may be written
        async with start_engine_of_models(models_of(Echo("a"), Echo("b")), None, limits=limits) as engine:
            await engine.ask(0, 1)(ask_for("Go on."))
            await engine.ask(0, 0)(ask_for("Go on."))
            with pytest.raises(BudgetError, match=r"0\.0006 of 0\.0009 in cost"):
                await engine.ask(0, 1)(ask_for("Go on again."))

    asyncio.run(run())


def test_a_request_waits_for_the_reservation_of_another_model() -> None:
    """Its own model has nothing in flight; the reply to the other's request uses less than was reserved."""

    async def run() -> None:
        one = Budget(max_tokens=100)
        controls = [
            make_admission_control(budget, concurrency=4, adaptive=False)
            for budget in (one, Budget(max_tokens=100, joint=one))
        ]
        slot = await controls[0].acquire(0, Amount(40, 40))
        waiting = asyncio.create_task(controls[1].acquire(0, Amount(40, 40)))
        await asyncio.sleep(0)
        assert not waiting.done()
        controls[0].record_reply(slot, Reply((), 10, 5))
        await waiting
        assert one.tokens == 15

    asyncio.run(run())


def test_a_model_that_fails_for_good_is_named_and_the_other_goes_on() -> None:
    async def run() -> None:
        a, b = Echo("a"), Echo("b")
        b.error = BackendError("no such model")
        async with start_engine_of_models(models_of(a, b), None, limits=Limits()) as engine:
            with pytest.raises(BackendError, match=r"^backend\.1 \(openai b\): no such model$"):
                await engine.ask(0, 1)(ask_for("Go on."))
            assert (await engine.ask(0, 0)(ask_for("Go on."))).problem == "a"

    asyncio.run(run())


def test_all_models_are_drained_at_once(tmp_path: Path) -> None:
    """Replies in flight of both arrive in the journal, though each model answers once the other one is stopped."""

    async def run() -> None:
        a, b = Echo("a"), Echo("b")
        a.gate.clear()
        b.gate.clear()
        async with start_engine_of_models(models_of(a, b), tmp_path / "journal", limits=Limits()) as engine:
            asks = [asyncio.ensure_future(engine.ask(0, model)(ask_for("Go on."))) for model in (0, 1)]
            await until(lambda: a.sent == b.sent == 1)
            assert (engine.in_flight, engine.concurrency, engine.is_paid) == (2, 8, True)
            a.on_stop, b.on_stop = b.gate.set, a.gate.set
        await asyncio.gather(*asks, return_exceptions=True)
        c, d = Echo("a"), Echo("b")
        async with start_engine_of_models(models_of(c, d), tmp_path / "journal", limits=Limits()) as engine:
            assert engine.budget.tokens == 100

    asyncio.run(run())
