"""What a recipe will take, before any call: requests, tokens, cost and time.

A few rows of the plan go through the real stages, with a stand-in for the model that answers at once and takes note of
what it was asked. What cannot be known is assumed, and the assumptions are told beside the result.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from personagen.builder.core.prices import Amount
from personagen.builder.core.records import layers_of
from personagen.builder.llm.budget import TOKENS_PER_TURN
from personagen.builder.llm.connect import OPENAI_CONCURRENCY
from personagen.builder.llm.requests import Ask, Candidate, Reply, Request
from personagen.builder.planning.counterfactuals import add_counterfactuals
from personagen.builder.planning.plan import Plan, make_plan
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.sections import CHANGEABLE_ATTRIBUTES
from personagen.builder.writing.expression import writing_of
from personagen.builder.writing.pipeline import Job, write_row

SAMPLE = 24
"""Rows whose requests are looked at, spread over the plan."""

BYTES_A_TOKEN = 4.0
"""UTF-8 bytes of a prompt that make a token, as in English."""

TOKENS_A_WORD = 1.35
"""Tokens of a written word, as in English."""

REFUSED = 0.05
"""Share of the replies that are refused, so that they are asked for again."""

FIRST_TOKEN, TOKENS_A_SECOND = 0.5, 50.0
"""Seconds until a server begins to answer, and tokens a second of one answer."""

EMBEDDED_SECONDS = 0.9
"""Seconds a text of the embedded model, on two cores (docs/log.md)."""

PROSE = (
    "They grew up with two siblings above a small shop near the station and moved away for work at nineteen. Most of "
    "the week goes into early shifts, the commute and cooking for whoever is home, and money is counted twice before "
    "the end of the month. They keep a notebook, repair what breaks, and rarely ask others for help."
)
"""Stands for what a model writes about a person or a situation: 55 words."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a recipe is expected to take.

    Attributes:
        texts: accepted texts, ablations and counterfactuals included.
        personas: personas that are drawn.
        stages: by stage, the requests and the tokens of each kind.
        total: the same over all stages.
        cost: in the currency of the recipe's prices; None without a price.
        seconds: from the first request to the last reply; None where it depends on a device or a queue.

    """

    texts: int
    personas: int
    stages: Mapping[str, Mapping[str, int]]
    total: Mapping[str, int]
    cost: float | None
    seconds: float | None


def estimate(recipe: Recipe) -> Estimate:
    """Estimate what a recipe takes; nothing is sent and nothing is written."""
    once = recipe.model_copy(update={"checks": recipe.checks.model_copy(update={"attempts": 1})})
    plan = add_counterfactuals(make_plan(once))
    noted = asyncio.run(_note(plan))
    stages = {stage: _stage(calls, noted[stage]) for stage, calls in _calls(plan).items()}
    total = {name: sum(stage[name] for stage in stages.values()) for name in next(iter(stages.values()))}
    price = recipe.price()
    cost = None if price is None else price.of(Amount(total["prompt_tokens"], total["completion_tokens"]))
    texts = sum(shard.stop - shard.start for shard in plan.shards())
    return Estimate(texts, sum(plan.personas.values()), stages, total, cost, _seconds(recipe, texts, total))


def _calls(plan: Plan) -> dict[str, int]:
    """Count the requests of each stage, those that are made again left out."""
    recipe, counts = plan.recipe, dict[str, int]()
    counterfactuals = [row for splits in plan.counterfactuals.values() for rows in splits.values() for row in rows]
    told = layers_of(plan.deepest)
    for layer in (layer for layer in told if layer in recipe.elaborated()):
        own = recipe.rows if layer == "situational" else sum(plan.personas.values())
        # What is told of a layer changes with it, and with those before.
        again = {
            (row.id if layer == "situational" else row.persona, row.counterfactual.attribute, row.counterfactual.value)
            for row in counterfactuals
            if row.counterfactual and told.index(CHANGEABLE_ATTRIBUTES[row.counterfactual.attribute]) <= told.index(layer)
        }
        counts[layer] = own + len(again)
    stages = {_text_stage(recipe, depth): recipe.rows for depth in (recipe.depth, *recipe.ablations)}
    stages[_text_stage(recipe, recipe.depth)] += len(counterfactuals)
    return counts | stages


def _text_stage(recipe: Recipe, depth: str) -> str:
    return "expression" if depth == recipe.depth else f"expression, depth {depth}"


def _stage(calls: int, noted: Sequence[Amount]) -> dict[str, int]:
    """Multiply the requests of a stage by the mean of those that were noted, and by the share that is made again."""
    requests = calls * (1 + REFUSED)
    return {
        "requests": round(requests),
        "prompt_tokens": round(requests * mean(each.prompt for each in noted)),
        "completion_tokens": round(requests * mean(each.completion for each in noted)),
    }


async def _note(plan: Plan) -> dict[str, list[Amount]]:
    """Take some rows through their stages, and note what each stage would ask."""
    noted: dict[str, list[Amount]] = {}
    shards = plan.shards()
    rows = [next(plan.rows(shard)) for shard in shards[:: max(1, len(shards) // SAMPLE)]]
    rows += [next(plan.rows(shard)) for shard in shards if shard.depth not in {row.depth for row in rows}]

    def noting(turn: int) -> Ask:
        row, recipe = rows[turn], plan.recipe
        stages = [layer for layer in layers_of(row.depth) if layer in recipe.elaborated()]
        left = iter([*stages, _text_stage(recipe, row.depth)])

        async def ask(request: Request) -> Reply:
            noted.setdefault(next(left), []).append(_expected(request, recipe))
            text = PROSE if request.schema is None else json.dumps({"prose": PROSE})
            return Reply((Candidate(text, "stop"),), 0, 0)

        return ask

    job = Job(plan, plan.recipe.chosen_taxonomy(), noting, writing_of(plan.recipe), "", 1)
    for turn, row in enumerate(rows):
        await write_row(job, turn, row, 0)
    return noted


def _expected(request: Request, recipe: Recipe) -> Amount:
    """Estimate the tokens of a request and its reply."""
    size = sum(len(message.content.encode()) for message in request.messages) + len(request.prefill.encode())
    words = len(PROSE.split()) if request.schema else (recipe.text.min_words + recipe.text.max_words) / 2
    written = min(words * TOKENS_A_WORD, request.sampling.max_tokens) * request.candidates
    return Amount(round(size / BYTES_A_TOKEN) + TOKENS_PER_TURN * len(request.messages), round(written))


def _seconds(recipe: Recipe, texts: int, total: Mapping[str, int]) -> float | None:
    """Estimate the time: of all requests at so many in flight, or as the caps on requests and tokens have it."""
    backend = recipe.backend
    if backend.kind == "embedded":
        return texts * EMBEDDED_SECONDS
    if backend.kind != "openai":
        return None
    requests, tokens = total["requests"], total["prompt_tokens"] + total["completion_tokens"]
    answering = requests * FIRST_TOKEN + total["completion_tokens"] / TOKENS_A_SECOND
    paces = [answering / (backend.concurrency or OPENAI_CONCURRENCY)]
    paces += [60 * amount / cap for amount, cap in ((requests, backend.rpm), (tokens, backend.tpm)) if cap]
    return max(paces)
