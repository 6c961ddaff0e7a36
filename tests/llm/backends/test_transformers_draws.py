"""The draw of tokens of the transformers backend: its distribution, and the independence of rows and steps."""

import math
from typing import Any

import pytest

from personagen.builder.llm.backends.transformers_sampling import BatchSampler, draw_tokens
from tests.helpers.models.tiny_model import torch


def draws(scores: Any, seeds: range) -> Any:
    """Draw one token per seed from the same scores, with the generators of the rows of a batch."""
    sampler = BatchSampler(None, [], end_tokens=set())
    sampler.seed(seeds, "cpu")
    return draw_tokens(scores.expand(len(seeds), -1), sampler._generators).squeeze(1)


def test_draws_follow_the_probabilities() -> None:
    """Chi-square test over frequent and rare tokens, with the random numbers of adjacent seeds."""
    size, count = 3000, 8000
    scores = torch.randn(size, generator=torch.Generator().manual_seed(1))
    scores[::5] = -math.inf
    drawn = torch.bincount(draws(scores, range(count)), minlength=size)
    assert drawn[::5].sum() == 0
    expected = count * scores.double().softmax(-1)
    # Rare tokens are grouped by hundreds, since each is expected only a few times.
    order = expected.argsort(descending=True)[: size - (size + 4) // 5]
    wanted, got = (values[order].double().split(100) for values in (expected, drawn))
    wanted, got = ([part.sum().item() for part in parts] for parts in (wanted, got))
    square = sum((one - other) ** 2 / other for one, other in zip(got, wanted, strict=True))
    freedom = len(wanted) - 1
    assert square < freedom + 4 * math.sqrt(2 * freedom)


def test_steps_and_seeds_are_independent() -> None:
    """Neither adjacent seeds nor consecutive steps draw alike; equal seeds draw the same."""
    sampler = BatchSampler(None, [], end_tokens=set())
    sampler.seed(range(500), "cpu")
    scores = torch.zeros(500, 1000)
    first, second = (draw_tokens(scores, sampler._generators).squeeze(1) for _ in range(2))
    for one, other in ((first, second), (first[:-1], first[1:])):
        assert (one == other).sum() < 8, "one in a thousand agrees by chance"
        assert torch.corrcoef(torch.stack([one, other]).double())[0, 1].abs() < 0.15
    assert torch.equal(draws(scores[0], range(500)), first)


@pytest.mark.parametrize(
    "allowed",
    [[0], [59_999], [17, 40_000], list(range(5, 3000)), list(range(30_000, 60_000, 3))],
    ids=["first", "last", "two", "thousands", "many"],
)
def test_masked_token_is_never_drawn(allowed: list[int]) -> None:
    scores = torch.full((60_000,), -math.inf)
    scores[allowed] = torch.randn(len(allowed), generator=torch.Generator().manual_seed(3)) * 5
    assert set(draws(scores, range(50)).tolist()) <= set(allowed)


def test_rounding_hardly_ever_changes_a_draw() -> None:
    """For noise as large as that between shapes of a batch."""
    scores = torch.randn(2000, generator=torch.Generator().manual_seed(1)) * 3
    noise = torch.randn(2000, generator=torch.Generator().manual_seed(2)) * 1e-5
    assert (draws(scores, range(5000)) != draws(scores + noise, range(5000))).sum() <= 2
