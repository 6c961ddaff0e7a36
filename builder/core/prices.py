"""What replies cost, and how much may be spent."""

from dataclasses import dataclass

from personagen.builder.core.errors import BudgetError
from personagen.builder.llm.requests import Request

BYTES_A_TOKEN = 3.0
"""UTF-8 bytes of a prompt that make a token at the least in common tokenizers: English has four to five."""

TURN_TOKENS = 8
"""Tokens that a chat template adds a turn, at most in the usual ones."""


@dataclass(frozen=True, slots=True)
class Amount:
    """Tokens, by kind."""

    prompt: int
    completion: int

    @property
    def tokens(self) -> int:
        """Both kinds together."""
        return self.prompt + self.completion

    def __add__(self, other: "Amount") -> "Amount":
        """Add by kind."""
        return Amount(self.prompt + other.prompt, self.completion + other.completion)


NOTHING = Amount(0, 0)


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars (or any currency, as long as it is one) for a million tokens."""

    prompt: float
    completion: float

    def of(self, amount: Amount) -> float:
        """What an amount costs."""
        return (self.prompt * amount.prompt + self.completion * amount.completion) / 1e6


def most_tokens(request: Request) -> Amount:
    """Estimate from above what one call takes: of its prompt by its bytes, of its reply by its limit."""
    size = sum(len(message.content.encode("utf-8", "surrogatepass")) for message in request.messages)
    size += len(request.prefill)
    prompt = int(size / BYTES_A_TOKEN) + TURN_TOKENS * len(request.messages)
    return Amount(prompt, request.sampling.max_tokens * request.candidates)


class Budget:
    """What was spent, what is promised to requests in flight, and what both together may not exceed."""

    def __init__(
        self,
        *,
        price: Price | None = None,
        max_tokens: int | None = None,
        max_cost: float | None = None,
        spent: Amount = NOTHING,
    ) -> None:
        """Take the bounds; None does not limit. A bound on cost needs a price. `spent` counts from the beginning."""
        self.price = price
        self.spent = spent
        self._max_tokens = max_tokens
        self._max_cost = max_cost
        self._promised = NOTHING

    @property
    def cost(self) -> float | None:
        """What was spent, in the price's currency; None without a price."""
        return None if self.price is None else self.price.of(self.spent)

    def allows(self, most: Amount) -> bool:
        """Tell whether a request that takes `most` at most can be paid, whatever those in flight take."""
        total = self.spent + self._promised + most
        if self._max_tokens is not None and total.tokens > self._max_tokens:
            return False
        return self._max_cost is None or self.price is None or self.price.of(total) <= self._max_cost

    def promise(self, most: Amount) -> None:
        """Set aside what a request may take."""
        self._promised += most

    def settle(self, most: Amount, spent: Amount) -> None:
        """Replace what was set aside for a request by what it took."""
        self._promised += Amount(-most.prompt, -most.completion)
        self.spent += spent

    def exceeded(self) -> BudgetError:
        """Say that the next request might be too much."""
        bounds = []
        if self._max_tokens is not None:
            bounds.append(f"{self.spent.tokens} of {self._max_tokens} tokens")
        if self._max_cost is not None:
            bounds.append(f"{self.cost or 0:.4f} of {self._max_cost:g} in cost")
        return BudgetError(
            f"the budget is spent: {' and '.join(bounds)}, and the next request might exceed it; what was paid for is "
            "kept: raise --max-tokens or --max-cost and run the same command to go on"
        )
