"""Estimates of recipes compared with real runs."""

import json
from pathlib import Path
from typing import Any

import pytest

from personagen.builder.estimate import REJECTED_FRACTION, estimate
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.recipe.parsing import parse_recipe
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
def test_the_requests_of_each_stage_are_those_of_a_run(changes: dict[str, Any], tmp_path: Path) -> None:
    """Without rejected replies the counts are exact."""
    with FakeOpenAI() as server:
        layered = recipe_for(server.url, LAYERED, changes)
        usage = make(layered, tmp_path / "out").manifest["usage"]
        expected = estimate(layered)
        assert len(server.requests) == usage["requests"]
    calls = [round(stage.requests / (1 + REJECTED_FRACTION)) for stage in expected.stages]
    assert sum(calls) == usage["requests"]


@pytest.mark.parametrize("missing", [0, 1, 8])
def test_prose_of_a_source_is_no_request(missing: int, tmp_path: Path) -> None:
    people = (f"{number},{'' if number < missing else f'grew up on farm {number}'}\n" for number in range(8))
    (tmp_path / "people.csv").write_text("id,background\n" + "".join(people), encoding="utf-8")
    source = {"source": str(tmp_path / "people.csv"), "source_license": "cc0-1.0"}
    changes = {"rows": 8, "emotions": ["joy"], "situations_per_persona": 1, "ablations": [], "personas": source}
    with FakeOpenAI() as server:
        sourced = recipe_for(server.url, LAYERED, changes)
        requests = {stage.stage: stage.requests for stage in estimate(sourced).stages}
        usage = make(sourced, tmp_path / "out").manifest["usage"]
    assert requests.get("sociocultural") == (round(missing * (1 + REJECTED_FRACTION)) or None)
    assert usage["requests"] == 8 + 8 + missing


def test_a_plan_sends_nothing(run: Run) -> None:
    with FakeOpenAI() as server:
        done = run("plan", *OPENAI, server.url)
        assert done.code == 0 and not server.requests


def test_the_tokens_are_of_the_right_magnitude(tmp_path: Path) -> None:
    """The server counts words, of which a prompt has fewer than tokens."""
    with FakeOpenAI() as server:
        layered = recipe_for(server.url, LAYERED)
        usage = make(layered, tmp_path / "out").manifest["usage"]
    total = estimate(layered).total
    assert 1.2 < total.prompt_tokens / usage["prompt_tokens"] < 2.5
    assert 1 < total.completion_tokens / usage["completion_tokens"] < 6


def test_the_cost_follows_the_prices_and_a_batch_costs_half() -> None:
    """No server listens at the address, so nothing is sent."""
    expected = estimate(recipe())
    total = expected.total
    assert expected.cost == pytest.approx((0.15 * total.prompt_tokens + 0.6 * total.completion_tokens) / 1e6)
    half = estimate(recipe(**{"backend.kind": "batch"}))
    assert (half.cost, half.seconds, half.stages) == (pytest.approx((expected.cost or 0) / 2), None, expected.stages)
    assert estimate(recipe(prices={})).cost is None


def test_the_time_follows_the_slowest_of_concurrency_and_rate_limits() -> None:
    free = estimate(recipe())
    assert free.seconds is not None
    assert estimate(recipe(**{"backend.concurrency": 32})).seconds == pytest.approx(2 * free.seconds)
    requests = free.total.requests
    assert estimate(recipe(**{"backend.rpm": 10})).seconds == pytest.approx(6 * requests)
    tokens = free.total.prompt_tokens + free.total.completion_tokens
    assert estimate(recipe(**{"backend.tpm": 1000})).seconds == pytest.approx(0.06 * tokens)


def test_thoughts_count_if_the_recipe_makes_room_for_them(run: Run) -> None:
    """Every candidate has its own thoughts."""
    priced, thinking = estimate(recipe()), estimate(recipe(**{"backend.thinking_tokens": 500}))
    calls = sum(stage.requests for stage in priced.stages)
    thoughts = thinking.total.completion_tokens - priced.total.completion_tokens
    assert thoughts == pytest.approx(500 * calls, rel=0.01)
    assert thinking.total.prompt_tokens == priced.total.prompt_tokens
    several = [estimate(recipe(**{"draw.candidates": 2, "backend.thinking_tokens": room})) for room in (0, 500)]
    assert several[1].stages[-1].completion_tokens - several[0].stages[-1].completion_tokens == pytest.approx(
        2 * 500 * several[0].stages[-1].requests, rel=0.01
    )
    Path("thinking.yaml").write_text("backend: {kind: openai, model: m, thinking_tokens: 2000}", encoding="utf-8")
    assert (
        "\nEvery reply begins with 2,000 tokens of thoughts (backend.thinking_tokens).\n"
        in run("plan", "thinking.yaml").out
    )


@pytest.mark.slow
def test_the_sampled_rows_represent_the_plan() -> None:
    """Another seed or more rows change the tokens per request little."""
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


def test_the_printed_plan_is_the_golden_one(run: Run) -> None:
    """After an intended change, copy the output to tests/golden/plan.txt."""
    assert plan_text(run) == (GOLDEN / "plan.txt").read_text(encoding="utf-8")


def test_the_plan_as_json(run: Run) -> None:
    done = run("plan", *OPENAI, NOWHERE, "--rows", "7", "--json")
    facts = json.loads(done.out)
    assert (done.code, done.err, facts["texts"], facts["personas"], facts["cost"]) == (0, "", 7, 4, None)
    assert facts["total"]["requests"] == sum(stage["requests"] for stage in facts["stages"].values())


@pytest.mark.parametrize(
    ("arguments", "lines"),
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
def test_the_plan_of_every_backend_states_cost_and_time_or_why_they_are_unknown(
    arguments: tuple[str, ...], lines: tuple[str, ...], run: Run
) -> None:
    done = run("plan", *arguments)
    assert done.code == 0
    assert all(text in done.out for text in lines)


TWO = """
rows: 140
ablations: [none]
backend:
- {kind: openai, model: a, share: 3, base_url: 'http://127.0.0.1:9/v1'}
- {kind: openai, model: b, share: 1, base_url: 'http://127.0.0.1:9/v1', rpm: 10, thinking_tokens: 100}
prices: {a: {input: 0.15, output: 0.6}, b: {input: 1.5, output: 6}}
"""


def test_requests_tokens_and_cost_are_estimated_by_model(run: Run) -> None:
    expected, single = estimate(recipe(TWO)), estimate(recipe())
    a, b = expected.models
    assert (a.model, a.texts, b.model, b.texts) == ("a", 210, "b", 70)
    assert not single.models and expected.total.requests == pytest.approx(single.total.requests, abs=4)
    assert a.requests == pytest.approx(3 * b.requests, rel=0.02) and a.requests + b.requests == expected.total.requests
    thoughts = b.completion_tokens - a.completion_tokens / 3
    assert thoughts == pytest.approx(100 * b.requests, rel=0.02)
    for model, price in ((a, 0.15), (b, 1.5)):
        assert model.cost == pytest.approx((price * model.prompt_tokens + 4 * price * model.completion_tokens) / 1e6)
    assert expected.cost == pytest.approx((a.cost or 0) + (b.cost or 0))
    assert expected.seconds == b.seconds == pytest.approx(6 * b.requests), "the slowest model"
    assert [model["model"] for model in expected.to_json()["models"]] == ["a", "b"]
    Path("two.yaml").write_text(TWO)
    done = run("plan", "two.yaml")
    assert "openai: a, openai: b" in done.out and f"cost: {expected.cost:.2f}\n" in done.out
    assert f"b{b.requests:>39,}{b.prompt_tokens:>14,}" in done.out and "Every reply of b begins with 100" in done.out
    Path("one.yaml").write_text(TWO.replace("prices: {a", "prices: {c"))
    assert "cost: unknown; add the price of a to `prices` in the recipe" in run("plan", "one.yaml").out
