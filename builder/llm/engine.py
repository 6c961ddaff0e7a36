"""Assemble what answers the requests of a run: backends, journal, admission control, budget and dispatchers."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from personagen.builder.core.errors import BackendError
from personagen.builder.core.event_loop import run_to_end
from personagen.builder.core.prices import NOTHING, Amount, Price
from personagen.builder.llm.admission.control import AdmissionControl, Load, make_admission_control
from personagen.builder.llm.admission.retries import RetryTiming
from personagen.builder.llm.budget import Budget
from personagen.builder.llm.connect import BackendSettings
from personagen.builder.llm.dispatcher import Dispatcher
from personagen.builder.llm.journal import Journal, UsedReplies
from personagen.builder.llm.models import EngineModel
from personagen.builder.llm.requests import Ask, Backend, Reply, Request
from personagen.builder.llm.storage.opening import JournalFile
from personagen.builder.llm.storage.stored_replies import StoredReply


class BudgetLimits(Protocol):
    """Bounds of a run, as a recipe's `budget` section states them."""

    @property
    def max_tokens(self) -> int | None:
        """Upper bound on the tokens of all replies in the journal; None: no limit."""

    @property
    def max_cost(self) -> float | None:
        """Upper bound on the cost of all replies in the journal, in the currency of the price; None: no limit."""


@dataclass(frozen=True, slots=True)
class Engine:
    """Everything that answers the requests of one run; made and closed by `start_engine` or `start_engine_of_models`.

    Attributes:
        models: the models by number; requests name the number.
        budget: tokens spent so far, those of earlier runs in the same journal included.

    """

    models: tuple[EngineModel, ...]
    budget: Budget
    _admissions: tuple[AdmissionControl, ...]
    _journal: Journal
    _dispatchers: tuple[Dispatcher, ...]

    @property
    def backend(self) -> Backend:
        """The only model of a run, or the first of several."""
        return self.models[0].backend

    @property
    def concurrency(self) -> int:
        """Upper bound on requests in flight, over all models."""
        return sum(model.concurrency for model in self.models)

    @property
    def is_paid(self) -> bool:
        """Whether replies of any model may cost money."""
        return any(model.backend.paid for model in self.models)

    @property
    def in_flight(self) -> int:
        """Requests sent and not answered yet."""
        return sum(admission.in_flight for admission in self._admissions)

    @property
    def replies(self) -> int:
        """Distinct replies of this run so far, journaled ones included."""
        return self._journal.used

    @property
    def has_estimates(self) -> bool:
        """Whether the tokens of a reply of this process are an upper bound, since its server counted none."""
        return self._journal.has_estimates

    def loads(self) -> tuple[Load, ...]:
        """Return limit, refusals and retries of the requests of each model now."""
        return tuple(admission.load() for admission in self._admissions)

    def ask(self, priority: int, model: int = 0) -> Ask:
        """Return the `Ask` of one row; among waiting requests, those of the lowest priority number are sent first.

        `model`: number of the model. Of several models, the error of one that fails for good names it.
        """
        ask = self._dispatchers[model].ask(priority)
        return ask if len(self.models) == 1 else _named(ask, self.models[model].label)

    def used_replies(self) -> Iterator[StoredReply]:
        """Yield the distinct replies of this run, journaled ones included, in the order of their keys."""
        return self._journal.used_replies()

    def used(self) -> UsedReplies:
        """Count the distinct replies of this run, their tokens and their origins, journaled ones included."""
        journal = self._journal
        names = [model.backend.model for model in self.models] if len(self.models) > 1 else []
        by_model = {name: UsedReplies(journal.usage(name), journal.origins(name)) for name in names}
        return UsedReplies(journal.usage(), journal.origins(), by_model)


def _named(ask: Ask, label: str) -> Ask:
    """Return an `Ask` whose BackendError names the model."""

    async def ask_model(request: Request) -> Reply:
        try:
            return await ask(request)
        except BackendError as error:
            raise BackendError(f"{label}: {error}") from error

    return ask_model


@asynccontextmanager
async def start_engine(
    backend: Backend,
    journal: Path | JournalFile | None,
    *,
    settings: BackendSettings,
    limits: BudgetLimits,
    price: Price | None = None,
    timing: RetryTiming | None = None,
) -> AsyncIterator[Engine]:
    """Open the engine of a single model; for the arguments see `EngineModel` and `start_engine_of_models`."""
    models = [EngineModel(backend, settings, price)]
    async with start_engine_of_models(models, journal, limits=limits, timing=timing) as engine:
        yield engine


@asynccontextmanager
async def start_engine_of_models(
    models: Sequence[EngineModel],
    journal: Path | JournalFile | None,
    *,
    limits: BudgetLimits,
    timing: RetryTiming | None = None,
) -> AsyncIterator[Engine]:
    """Open a journal and put it, the budget and the rate limits in front of the backends of one model or several.

    All models share the journal and the budget; each has rate limits, retries and outages of its own. On exit, whatever
    the cause, requests in flight get a grace period, replies that arrived are journaled, and journal and backends are
    closed; a cancellation meanwhile ends the grace period only. The backends are closed too if the journal cannot be
    opened.

    Args:
        models: the models by number.
        journal: file of the replies; None: in memory.
        limits: bounds on tokens and cost; replies already in the journal count as spent.
        timing: times of retries; None: the defaults.

    Raises:
        FolderError: the journal cannot be opened or read, or has lost replies.

    """
    async with AsyncExitStack() as stack:
        for model in models:
            stack.push_async_callback(run_to_end, model.backend.close)
        replies = Journal(journal)
        stack.callback(replies.close)
        stack.push_async_callback(run_to_end, replies.flush)
        budgets = _budgets(models, replies, limits)
        admissions = tuple(
            make_admission_control(
                budget,
                concurrency=model.concurrency,
                adaptive=model.backend.adaptive,
                rates=(model.settings.rpm, model.settings.tpm),
            )
            for model, budget in zip(models, budgets, strict=True)
        )
        names = [model.backend.model if len(models) > 1 else None for model in models]
        dispatchers = tuple(
            Dispatcher(model.backend, replies, admission, timing, model=name)
            for model, admission, name in zip(models, admissions, names, strict=True)
        )
        stack.push_async_callback(_drain, dispatchers)
        yield Engine(tuple(models), budgets[0], admissions, replies, dispatchers)


def _budgets(models: Sequence[EngineModel], journal: Journal, limits: BudgetLimits) -> list[Budget]:
    """Return the budget of each model.

    Replies in the journal of other models, or of no recorded one, count for the dearest model: an upper bound.
    """
    bounded = partial(Budget, max_tokens=limits.max_tokens, max_cost=limits.max_cost)
    if len(models) == 1:
        return [bounded(price=models[0].price, spent=Amount(*journal.total()))]
    totals = {name: Amount(*tokens) for name, tokens in journal.totals().items()}
    known = [totals.pop(model.backend.model, NOTHING) for model in models]
    dearest = max(range(len(models)), key=lambda number: _price_of_a_million(models[number].price))
    known[dearest] = sum(totals.values(), known[dearest])
    budgets: list[Budget] = []
    for model, spent in zip(models, known, strict=True):
        joint = budgets[0] if budgets else None
        budgets.append(bounded(price=model.price, spent=spent, joint=joint))
    return budgets


def _price_of_a_million(price: Price | None) -> float:
    return 0.0 if price is None else price.prompt + price.completion


async def _drain(dispatchers: Sequence[Dispatcher]) -> None:
    """Drain all dispatchers at once; a cancellation ends the grace period of each."""
    if len(dispatchers) == 1:
        await dispatchers[0].drain()
    else:
        await asyncio.gather(*(dispatcher.drain() for dispatcher in dispatchers), return_exceptions=True)
