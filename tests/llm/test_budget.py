"""Upper bounds on the tokens of a request, and the bounds of a run on tokens and cost."""

from dataclasses import replace

import pytest

from personagen.builder.core.prices import NOTHING, Amount, Price
from personagen.builder.llm.budget import MIN_BYTES_PER_TOKEN, Budget, token_upper_bound
from personagen.builder.llm.requests import Message, Request, Sampling


def test_budget_of_cost_counts_both_kinds_at_their_prices() -> None:
    """The error names the spent amount, the bound, and how to go on."""
    budget = Budget(price=Price(1.0, 2.0), max_cost=0.5, spent=Amount(100_000, 100_000))
    assert budget.cost == pytest.approx(0.3)
    assert budget.has_room(Amount(0, 100_000)) and not budget.has_room(Amount(1, 100_000))
    budget.reserve(Amount(0, 50_000))
    assert not budget.has_room(Amount(0, 60_000))
    budget.charge(Amount(0, 50_000), NOTHING)
    assert budget.has_room(Amount(0, 60_000))
    assert str(budget.exhausted_error()) == (
        "the budget is spent: 0.3000 of 0.5 in cost, and the next request might exceed it; what was paid for is kept: "
        "raise --max-tokens or --max-cost and run the same command to go on"
    )


def test_a_budget_below_the_first_request_is_too_small_and_not_spent() -> None:
    message = str(Budget(max_tokens=30).exhausted_error())
    assert message.startswith("the budget is too small: 0 of 30 tokens, and the next request might exceed it; ")


def test_budget_without_bounds_has_room_for_any_request() -> None:
    assert Budget(price=Price(1.0, 1.0)).has_room(Amount(10**12, 10**12))


def test_budget_of_tokens_counts_both_kinds() -> None:
    assert Budget(max_tokens=10).has_room(Amount(5, 5))
    assert not Budget(max_tokens=10).has_room(Amount(5, 6))


def test_cost_is_unknown_without_a_price() -> None:
    assert Budget(spent=Amount(5, 5)).cost is None


@pytest.mark.parametrize("text", ["word " * 50, "wórd ", "漢字かな交じり文。" * 20, "", "a", "\ud800"])
def test_upper_bound_counts_the_bytes_of_every_turn_and_of_the_prefill(text: str) -> None:
    """A token has three bytes or more on average; the tokens of the chat template are counted as well."""
    request = Request((Message("system", "You write."), Message("user", text)), Sampling(30), 1, candidates=4)
    bound = token_upper_bound(request)
    size = len(text.encode("utf-8", "surrogatepass"))
    assert bound.completion == 120
    assert bound.prompt >= (size + 10) // 3 + 2
    prefilled = token_upper_bound(replace(request, prefill=text))
    assert prefilled.prompt - bound.prompt == pytest.approx(size / MIN_BYTES_PER_TOKEN, abs=1)
