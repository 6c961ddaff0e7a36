"""Assemble what answers the requests of a run: backend, journal, admission control, budget and dispatcher."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from personagen.builder.core.event_loop import run_to_end
from personagen.builder.core.prices import Amount, Price
from personagen.builder.llm.admission.control import AdmissionControl, Load, make_admission_control
from personagen.builder.llm.admission.retries import RetryTiming
from personagen.builder.llm.budget import Budget
from personagen.builder.llm.connect import BackendSettings
from personagen.builder.llm.dispatcher import Dispatcher
from personagen.builder.llm.journal import Journal, UsedReplies
from personagen.builder.llm.requests import Ask, Backend
from personagen.builder.llm.storage.opening import JournalFile


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
    """Everything that answers the requests of one run; made and closed by `start_engine`.

    Attributes:
        backend: the model.
        budget: tokens spent so far, those of earlier runs in the same journal included.
        concurrency: upper bound on requests in flight.

    """

    backend: Backend
    budget: Budget
    concurrency: int
    _admission: AdmissionControl
    _journal: Journal
    _dispatcher: Dispatcher

    @property
    def in_flight(self) -> int:
        """Requests sent and not answered yet."""
        return self._admission.in_flight

    @property
    def replies(self) -> int:
        """Distinct replies of this run so far, journaled ones included."""
        return self._journal.used

    @property
    def has_estimates(self) -> bool:
        """Whether the tokens of a reply of this process are an upper bound, since its server counted none."""
        return self._journal.has_estimates

    def load(self) -> Load:
        """Return limit, refusals and retries of the requests now."""
        return self._admission.load()

    def ask(self, priority: int) -> Ask:
        """Return the `Ask` of one row; among waiting requests, those of the lowest priority number are sent first."""
        return self._dispatcher.ask(priority)

    def used(self) -> UsedReplies:
        """Count the distinct replies of this run, their tokens and their origins, journaled ones included."""
        return UsedReplies(self._journal.usage(), self._journal.origins())


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
    """Open a journal and put it, the budget and the rate limits in front of a backend.

    On exit, whatever the cause, requests in flight get a grace period, replies that arrived are journaled, and journal
    and backend are closed; a cancellation meanwhile ends the grace period only. The backend is closed too if the
    journal cannot be opened.

    Args:
        backend: answers the requests.
        journal: file of the replies; None: in memory.
        settings: concurrency and rate limits.
        limits: bounds on tokens and cost; replies already in the journal count as spent.
        price: price of the model; None: cost is unknown and unbounded.
        timing: times of retries; None: the defaults.

    Raises:
        FolderError: the journal cannot be opened or read, or has lost replies.

    """
    async with AsyncExitStack() as stack:
        stack.push_async_callback(run_to_end, backend.close)
        replies = Journal(journal)
        stack.callback(replies.close)
        stack.push_async_callback(run_to_end, replies.flush)
        budget = Budget(
            price=price,
            max_tokens=limits.max_tokens,
            max_cost=limits.max_cost,
            spent=Amount(*replies.total()),
        )
        concurrency = settings.concurrency or backend.concurrency
        admission = make_admission_control(
            budget, concurrency=concurrency, adaptive=backend.adaptive, rates=(settings.rpm, settings.tpm)
        )
        dispatcher = Dispatcher(backend, replies, admission, timing)
        stack.push_async_callback(dispatcher.drain)
        yield Engine(backend, budget, concurrency, admission, replies, dispatcher)
