"""Bound the tokens and the cost of a run: an upper bound per request, reserved before the request is sent."""

from collections.abc import Callable

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
    """Tokens spent by a model and tokens reserved for its requests in flight, with bounds on their sum.

    The models of one run share the bounds: each has a budget of its own that knows the others.

    Attributes:
        price: price of the model; None: cost is unknown and unbounded.
        spent: tokens of all replies of the model so far.
        on_room: called when the reservation of a request of another model ends.

    """

    def __init__(
        self,
        *,
        price: Price | None = None,
        max_tokens: int | None = None,
        max_cost: float | None = None,
        spent: Amount = NOTHING,
        joint: "Budget | None" = None,
    ) -> None:
        """Start with `spent` tokens.

        Args:
            price: price of the model; None: unknown.
            max_tokens: upper bound on the tokens of all models; None: no limit.
            max_cost: upper bound on the cost of all models that have a price; None: no limit.
            spent: tokens of earlier replies of the model.
            joint: budget of another model of the same run; None: the first or only model.

        """
        self.price = price
        self.spent = spent
        self._max_tokens = max_tokens
        self._max_cost = max_cost
        self._reserved = NOTHING
        self.on_room: Callable[[], None] = lambda: None
        self._all: list[Budget] = [] if joint is None else joint._all
        self._all.append(self)

    @property
    def tokens(self) -> int:
        """Tokens spent by all models."""
        return sum(budget.spent.tokens for budget in self._all)

    @property
    def cost(self) -> float | None:
        """Cost of the tokens spent by all models, in the currency of the prices; None: a model has no price."""
        costs = [None if budget.price is None else budget.price.of(budget.spent) for budget in self._all]
        return None if None in costs else sum(cost for cost in costs if cost is not None)

    @property
    def has_reservations(self) -> bool:
        """Whether a request of any model is in flight."""
        return any(budget._reserved != NOTHING for budget in self._all)

    def has_room(self, upper_bound: Amount) -> bool:
        """Return whether one more request stays within the bounds, even if every reservation is used up."""
        totals = [
            (budget.price, budget.spent + budget._reserved + (upper_bound if budget is self else NOTHING))
            for budget in self._all
        ]
        if self._max_tokens is not None and sum(total.tokens for _, total in totals) > self._max_tokens:
            return False
        cost = sum(price.of(total) for price, total in totals if price is not None)
        return self._max_cost is None or self.price is None or cost <= self._max_cost

    def reserve(self, upper_bound: Amount) -> None:
        """Reserve the upper bound of a request that is about to be sent."""
        self._reserved += upper_bound

    def charge(self, reserved: Amount, used: Amount) -> None:
        """Replace the reservation of a request by the tokens that it used."""
        self._reserved -= reserved
        self.spent += used
        for budget in self._all:
            if budget is not self:
                budget.on_room()

    def exhausted_error(self) -> BudgetError:
        """Build the error of a request that might exceed the bounds."""
        bounds = []
        if self._max_tokens is not None:
            bounds.append(f"{self.tokens} of {self._max_tokens} tokens")
        if self._max_cost is not None:
            bounds.append(f"{self.cost or 0:.4f} of {self._max_cost:g} in cost")
        state = "spent" if self.tokens else "too small"
        return BudgetError(
            f"the budget is {state}: {' and '.join(bounds)}, and the next request might exceed it; what was paid for "
            "is kept: raise --max-tokens or --max-cost and run the same command to go on"
        )
