"""The models of a run: each with a backend, limits and a price of its own."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from personagen.builder.core.errors import BackendError
from personagen.builder.core.event_loop import run_to_end
from personagen.builder.core.prices import Price
from personagen.builder.llm.connect import BackendSettings, connect
from personagen.builder.llm.requests import Backend


@dataclass(frozen=True, slots=True)
class EngineModel:
    """A model of a run, with the settings of its requests.

    Attributes:
        backend: answers the requests.
        settings: concurrency and rate limits.
        price: price of the model; None: cost is unknown and unbounded.
        label: name of the model in errors and counts, if there are several.

    """

    backend: Backend
    settings: BackendSettings
    price: Price | None = None
    label: str = ""

    @property
    def concurrency(self) -> int:
        """Upper bound on requests in flight."""
        return self.settings.concurrency or self.backend.concurrency


def connect_models(
    choices: Sequence[BackendSettings],
    prices: Sequence[Price | None],
    folder: Path | None,
    api_key: str | None = None,
    *,
    warn: Callable[[str], None] = lambda _: None,
) -> tuple[EngineModel, ...]:
    """Load or connect every model of a recipe; of several models, errors and warnings name the entry of the list.

    Args:
        choices: backend and model of each.
        prices: price of each; None: unknown.
        folder: folder of the batches; see `connect`.
        api_key: key of all endpoints; None: environment variable OPENAI_API_KEY. An entry may have headers of its own.
        warn: receives one line about each way in which a backend departs from its settings.

    Raises:
        BackendError: see `connect`.

    """
    if len(choices) == 1:
        return (EngineModel(connect(choices[0], folder, api_key, warn=warn), choices[0], prices[0]),)
    models: list[EngineModel] = []
    for position, (choice, price) in enumerate(zip(choices, prices, strict=True)):
        label = f"backend.{position} ({choice.kind} {choice.model})"
        try:
            backend = connect(choice, folder, api_key, warn=partial(_warn_of, label, warn))
        except BackendError as error:
            raise BackendError(f"{label}: {error}") from error
        models.append(EngineModel(backend, choice, price, label))
    return tuple(models)


@asynccontextmanager
async def closing_models(models: Sequence[EngineModel]) -> AsyncIterator[None]:
    """Close models at the end of the block, whatever the cause, also those that an engine has closed."""
    async with AsyncExitStack() as stack:
        for model in models:
            stack.push_async_callback(run_to_end, model.backend.close)
        yield


def _warn_of(label: str, warn: Callable[[str], None], message: str) -> None:
    warn(f"{label}: {message}")
