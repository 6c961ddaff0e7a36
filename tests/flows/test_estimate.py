"""What a recipe is said to take, held against what it takes."""

import json
from pathlib import Path
from typing import Any

import pytest

from personagen.builder.estimate import REJECTED_FRACTION, estimate
from personagen.builder.planning.parsing import parse_recipe
from personagen.builder.planning.recipe import Recipe
from tests.helpers.command import NOWHERE, OPENAI, Run, run_here
from tests.helpers.flow import LAYERED, make, recipe_for
from tests.helpers.releasing import GOLDEN
from tests.helpers.servers.fake_openai import FakeOpenAI

run = pytest.fixture(run_here)
PRICED = """
rows: 140
ablations: [none]
backend: {kind: openai, model: m-1, base_url: 'http://127.0.0.1:9/v1'}
prices: {m-1: {input: 0.15, output: 0.6}}
"""


def recipe(text: str = PRICED, **changes: Any) -> Recipe:
    return parse_recipe(text, "test", changes)


@pytest.mark.parametrize(
    "changes",
    [{}, {"depth": "none"}, {"depth": "sociocultural", "ablations": ["situational"]}, {"elaborate.demographic": "llm"}],
)
def test_requests_are_those_that_a_run_makes(changes: dict[str, Any], tmp_path: Path) -> None:
    """Without a refused reply, to the last one, by stage."""
    with FakeOpenAI() as server:
        own = recipe_for(server.url, LAYERED, changes)
        usage = make(own, tmp_path / "out").manifest["usage"]
        expected = estimate(own)
        assert len(server.requests) == usage["requests"]
    calls = [round(stage.requests / (1 + REJECTED_FRACTION)) for stage in expected.stages.values()]
    assert sum(calls) == usage["requests"]


def test_tokens_are_of_the_right_size(tmp_path: Path) -> None:
    """The server counts words, of which a prompt of facts has fewer than tokens; an estimate is no bill."""
    with FakeOpenAI() as server:
        own = recipe_for(server.url, LAYERED)
        usage = make(own, tmp_path / "out").manifest["usage"]
    total = estimate(own).total
    assert 1.2 < total.prompt_tokens / usage["prompt_tokens"] < 2.5
    assert 1 < total.completion_tokens / usage["completion_tokens"] < 6


def test_cost_follows_the_prices_and_a_batch_is_half() -> None:
    """Nothing is asked on the way: nobody listens at the address."""
    expected = estimate(recipe())
    total = expected.total
    assert expected.cost == pytest.approx((0.15 * total.prompt_tokens + 0.6 * total.completion_tokens) / 1e6)
    half = estimate(recipe(**{"backend.kind": "batch"}))
    assert (half.cost, half.seconds, half.stages) == (pytest.approx((expected.cost or 0) / 2), None, expected.stages)
    assert estimate(recipe(prices={})).cost is None


def test_time_follows_the_caps_and_the_requests_in_flight() -> None:
    """Whichever is slowest."""
    free = estimate(recipe())
    assert free.seconds is not None
    assert estimate(recipe(**{"backend.concurrency": 32})).seconds == pytest.approx(2 * free.seconds)
    requests = free.total.requests
    assert estimate(recipe(**{"backend.rpm": 10})).seconds == pytest.approx(6 * requests)
    tokens = free.total.prompt_tokens + free.total.completion_tokens
    assert estimate(recipe(**{"backend.tpm": 1000})).seconds == pytest.approx(0.06 * tokens)


@pytest.mark.slow
def test_seed_and_size_of_the_plan_change_little() -> None:
    """The rows that are looked at stand for the others."""
    one, other = estimate(recipe()).total, estimate(recipe(seed=7)).total
    assert one.prompt_tokens == pytest.approx(other.prompt_tokens, rel=0.05)
    many = estimate(recipe(rows=14_000)).total
    assert many.prompt_tokens == pytest.approx(100 * one.prompt_tokens, rel=0.05)


def plan_text(run: Run) -> str:
    """Print the plan of the priced recipe."""
    Path("recipe.yaml").write_text(PRICED, encoding="utf-8")
    done = run("plan", "recipe.yaml", "--max-tokens", "1000")
    assert (done.code, done.err) == (0, "")
    assert [path.name for path in Path().iterdir()] == ["recipe.yaml"], "nothing is written"
    return done.out


def test_plan_is_shown_as_it_was(run: Run) -> None:
    """After a change that is meant, copy what is printed to tests/golden/plan.txt."""
    assert plan_text(run) == (GOLDEN / "plan.txt").read_text(encoding="utf-8")


def test_plan_for_a_program(run: Run) -> None:
    done = run("plan", *OPENAI, NOWHERE, "--rows", "7", "--json")
    facts = json.loads(done.out)
    assert (done.code, done.err, facts["texts"], facts["personas"], facts["cost"]) == (0, "", 7, 4, None)
    assert facts["total"]["requests"] == sum(stage["requests"] for stage in facts["stages"].values())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), ("cost: none; the model runs on this machine\n", "time: about 0:01:03\n")),
        (
            ("--backend", "transformers", "--model", "m"),
            ("cost: none; the", "time: unknown; it depends on"),
        ),
        (
            ("--backend", "batch", "--model", "m"),
            ("cost: unknown; add the", "time: 3 batches in sequence"),
        ),
    ],
)
def test_plan_of_every_backend_says_what_it_knows(arguments: tuple[str, ...], said: tuple[str, ...], run: Run) -> None:
    done = run("plan", *arguments)
    assert done.code == 0
    assert all(text in done.out for text in said)
