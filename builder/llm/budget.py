"""Bound the tokens and the cost of a run: an upper bound per request, reserved before the request is sent."""

from personagen.builder.core.errors import BudgetError
from personagen.builder.core.prices import NOTHING, Amount, Price
from personagen.builder.llm.requests import Request

MIN_BYTES_PER_TOKEN = 3.0
"""Lower bound on the UTF-8 bytes of a prompt token in common tokenizers; English text has four to five."""

TOKENS_PER_TURN = 8
"""Upper bound on the tokens that the usual chat templates add per turn."""


def token_upper_bound(request: Request, limit: int | None = None) -> Amount:
    """Compute an upper bound on the tokens of one call: prompt tokens from its bytes, completions from their limit.

    `limit`: upper bound on the completion tokens of one candidate; None: that of the request.
    """
    texts = [request.prefill, *(message.content for message in request.messages)]
    size = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
    prompt = int(size / MIN_BYTES_PER_TOKEN) + TOKENS_PER_TURN * len(request.messages)
    return Amount(prompt, (limit or request.sampling.max_tokens) * request.candidates)


class Budget:
    """Tokens spent and tokens reserved for requests in flight, with bounds on their sum.

    Attributes:
        price: price of the model; None: cost is unknown and unbounded.
        spent: tokens of all replies so far.

    """

    def __init__(
        self,
        *,
        price: Price | None = None,
        max_tokens: int | None = None,
        max_cost: float | None = None,
        spent: Amount = NOTHING,
    ) -> None:
        """Start with `spent` tokens; None: no limit. `max_cost` has an effect only with a price."""
        self.price = price
        self.spent = spent
        self._max_tokens = max_tokens
        self._max_cost = max_cost
        self._reserved = NOTHING

    @property
    def cost(self) -> float | None:
        """Cost of the spent tokens, in the price's currency; None: no price."""
        return None if self.price is None else self.price.of(self.spent)

    def has_room(self, upper_bound: Amount) -> bool:
        """Return whether one more request stays within the bounds, even if every reservation is used up."""
        total = self.spent + self._reserved + upper_bound
        if self._max_tokens is not None and total.tokens > self._max_tokens:
            return False
        return self._max_cost is None or self.price is None or self.price.of(total) <= self._max_cost

    def reserve(self, upper_bound: Amount) -> None:
        """Reserve the upper bound of a request that is about to be sent."""
        self._reserved += upper_bound

    def charge(self, reserved: Amount, used: Amount) -> None:
        """Replace the reservation of a request by the tokens that it used."""
        self._reserved -= reserved
        self.spent += used

    def exhausted_error(self) -> BudgetError:
        """Build the error of a request that might exceed the bounds."""
        bounds = []
        if self._max_tokens is not None:
            bounds.append(f"{self.spent.tokens} of {self._max_tokens} tokens")
        if self._max_cost is not None:
            bounds.append(f"{self.cost or 0:.4f} of {self._max_cost:g} in cost")
        state = "spent" if self.spent.tokens else "too small"
        return BudgetError(
            f"the budget is {state}: {' and '.join(bounds)}, and the next request might exceed it; what was paid for "
            "is kept: raise --max-tokens or --max-cost and run the same command to go on"
        )
