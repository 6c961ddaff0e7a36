"""Estimate the requests, tokens, cost and time of a recipe without calling the model.

Some rows of the plan go through the real stages with a stand-in for the model, which answers at once and records the
size of each request. Everything that cannot be known is assumed, and the assumptions are printed beside the result.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from html import escape
from itertools import islice
from statistics import mean
from typing import TYPE_CHECKING, Any

from personagen.builder.core.event_loop import compute_in_thread, run_blocking
from personagen.builder.core.prices import Amount, Price
from personagen.builder.core.records import layers_of
from personagen.builder.core.result_table import ResultTable
from personagen.builder.llm.budget import TOKENS_PER_TURN
from personagen.builder.llm.connect import OPENAI_CONCURRENCY
from personagen.builder.llm.requests import Ask, Candidate, Reply, Request
from personagen.builder.planning.counterfactuals import add_counterfactuals
from personagen.builder.planning.models import require_rows_of_every_model
from personagen.builder.planning.plan import Plan, RowPlan, make_plan
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.recipe.sections import BackendChoice
from personagen.builder.planning.recipe.sections.rows import CHANGEABLE_ATTRIBUTES
from personagen.builder.planning.situations.possible import with_assumed_events
from personagen.builder.planning.situations.sources import ASSUMED_EVENT, wanted_inventions
from personagen.builder.rehearsal import require_writable, with_attempts
from personagen.builder.writing.invention.batches import EVENTS_PER_REQUEST, EVENTS_SCHEMA, Batch, batch_request
from personagen.builder.writing.invention.stage import STAGE as EVENTS_STAGE
from personagen.builder.writing.rows import RowWriter
from personagen.metrics.texts.words import count_words

if TYPE_CHECKING:
    import pandas as pd

MAX_SAMPLED_SHARDS = 24
"""Shards of which the first row is sampled, spread over the plan."""

BYTES_PER_TOKEN = 4.0
"""UTF-8 bytes of a prompt per token, as in English."""

TOKENS_PER_WORD = 1.35
"""Tokens per written word, as in English."""

REJECTED_FRACTION = 0.05
"""Fraction of the replies that are rejected and requested again."""

FIRST_TOKEN_S = 0.5
"""Time until a server begins to answer."""

TOKENS_PER_SECOND = 50.0
"""Speed of one answer."""

EMBEDDED_TEXT_S = 0.9
"""Time per text of the embedded model on two cores (docs/log.md)."""

PROSE = (
    "They grew up with two siblings above a small shop near the station and moved away for work at nineteen. Most of "
    "the week goes into early shifts, the commute and cooking for someone at home, and money is counted twice before "
    "the end of the month. They keep a notebook, repair what breaks, and rarely ask others for help."
)
"""Stand-in for the model's prose about a person or a situation: 55 words."""


@dataclass(frozen=True, slots=True)
class StageEstimate:
    """Requests of a stage, and tokens of their prompts and replies.

    Attributes:
        stage: "events", layer whose prose is written, or "expression" for the texts; "total" for all stages.
        requests: requests, those after a rejected reply included.
        prompt_tokens: tokens of the prompts.
        completion_tokens: tokens of the replies.

    """

    stage: str
    requests: int
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class ModelEstimate:
    """Requests, tokens, cost and time of one of several models.

    Attributes:
        model: name of the model.
        texts: accepted texts, ablations and counterfactuals included.
        requests: requests, those after a rejected reply included.
        prompt_tokens: tokens of the prompts.
        completion_tokens: tokens of the replies.
        cost: cost in the currency of the recipe's prices; None: the recipe has no price for the model.
        seconds: time from the first request to the last reply; None: it depends on a device or a queue.

    """

    model: str
    texts: int
    requests: int
    prompt_tokens: int
    completion_tokens: int
    cost: float | None
    seconds: float | None


@dataclass(frozen=True, slots=True, repr=False)
class Estimate:
    """Expected requests, tokens, cost and time of a recipe.

    Attributes:
        texts: accepted texts, ablations and counterfactuals included.
        personas: drawn personas.
        stages: one record per stage.
        total: sum of the stages.
        cost: cost in the currency of the recipe's prices; None: the recipe has no price for the model.
        seconds: time from the first request to the last reply; None: it depends on a device or a queue.
        models: one record per model; empty: the recipe has a single model.

    """

    texts: int
    personas: int
    stages: ResultTable[StageEstimate]
    total: StageEstimate
    cost: float | None
    seconds: float | None
    models: ResultTable[ModelEstimate] = field(default_factory=lambda: ResultTable(ModelEstimate, ()))

    def to_json(self) -> dict[str, Any]:
        """Return the estimate as plain data, the stages by name."""
        by_name = {stage.stage: asdict(stage) for stage in self._table()}
        for values in by_name.values():
            del values["stage"]
        total = by_name.pop(self.total.stage)
        counts = {"texts": self.texts, "personas": self.personas, "stages": by_name, "total": total}
        models = {"models": [asdict(model) for model in self.models]} if self.models else {}
        return counts | {"cost": self.cost, "seconds": self.seconds} | models

    def to_pandas(self) -> "pd.DataFrame":
        """Return a data frame with one row per stage, and one for the total."""
        return self._table().to_pandas()

    def __repr__(self) -> str:
        return f"<Estimate: {self._line()}>"

    def _repr_html_(self) -> str:
        """Render the counts and the stages; every value is escaped."""
        return f"<p>{escape(self._line())}</p>{self._table()._repr_html_()}"

    def _table(self) -> ResultTable[StageEstimate]:
        return ResultTable(StageEstimate, (*self.stages, self.total))

    def _line(self) -> str:
        tokens = self.total.prompt_tokens + self.total.completion_tokens
        counts = {"texts": self.texts, "personas": self.personas, "requests": self.total.requests, "tokens": tokens}
        parts = [f"{count:,} {name}" for name, count in counts.items()]
        parts += [] if self.cost is None else [f"cost {self.cost:.2f}"]
        parts += [] if self.seconds is None else [f"time {timedelta(seconds=round(self.seconds))}"]
        return ", ".join(parts)


def estimate(recipe: Recipe) -> Estimate:
    """Estimate a recipe; nothing is sent or written, and a running event loop is no obstacle.

    Raises:
        RecipeError: the recipe cannot be planned, or the embedded model cannot write its texts.

    """
    return run_blocking(aestimate(recipe))


async def aestimate(recipe: Recipe) -> Estimate:
    """Estimate a recipe in the running event loop; see `estimate`."""
    await require_writable(recipe)
    single = with_attempts(recipe, 1)
    plan = await compute_in_thread(lambda: add_counterfactuals(with_assumed_events(make_plan(single))))
    require_rows_of_every_model(recipe, plan.model_quotas)
    sampled = _sample_inventions(plan) | await _sample_requests(plan)
    requests = _requests_per_stage(plan)
    texts = sum(shard.stop - shard.start for shard in plan.shards())
    parts = [
        [
            _stage(
                stage,
                count * (part if stage != EVENTS_STAGE else number == 0),  # the first model invents all events
                [_expected(request, recipe, choice) for request in sampled[stage]],
            )
            for stage, count in requests.items()
        ]
        for number, (choice, part) in enumerate(zip(recipe.backends, _parts_of_models(plan), strict=True))
    ]
    stages = [_sum(stage, of_stage) for stage, of_stage in zip(requests, zip(*parts, strict=True), strict=True)]
    models = [
        _of_model(choice, price, texts * part, _sum("total", stages_of_model))
        for choice, price, part, stages_of_model in zip(
            recipe.backends, recipe.model_prices(), _parts_of_models(plan), parts, strict=True
        )
    ]
    costs, seconds = [model.cost for model in models], [model.seconds for model in models]
    return Estimate(
        texts,
        sum(plan.personas.values()),
        ResultTable(StageEstimate, tuple(stages)),
        _sum("total", stages),
        None if None in costs else sum(cost for cost in costs if cost is not None),
        None if None in seconds else max(time for time in seconds if time is not None),
        ResultTable(ModelEstimate, tuple(models) if len(models) > 1 else ()),
    )


def _parts_of_models(plan: Plan) -> list[float]:
    """Return the fraction of the texts of each model; that of all prose is about the same."""
    totals = [sum(of_model) for of_model in zip(*plan.model_quotas.values(), strict=True)]
    return [total / sum(totals) for total in totals] or [1.0]


def _sum(stage: str, parts: Sequence[StageEstimate]) -> StageEstimate:
    return StageEstimate(
        stage,
        requests=sum(part.requests for part in parts),
        prompt_tokens=sum(part.prompt_tokens for part in parts),
        completion_tokens=sum(part.completion_tokens for part in parts),
    )


def _of_model(choice: BackendChoice, price: Price | None, texts: float, total: StageEstimate) -> ModelEstimate:
    cost = None if price is None else price.of(Amount(total.prompt_tokens, total.completion_tokens))
    return ModelEstimate(
        choice.model or choice.kind,
        round(texts),
        total.requests,
        total.prompt_tokens,
        total.completion_tokens,
        cost,
        _seconds(choice, texts, total),
    )


def _requests_per_stage(plan: Plan) -> dict[str, int]:
    """Count the requests of each stage, without those after a rejected reply."""
    recipe, requests = plan.recipe, dict[str, int]()
    if wanted := wanted_inventions(recipe):
        requests[EVENTS_STAGE] = sum(-(-count // EVENTS_PER_REQUEST) for count in wanted.values())
    counterfactuals = [row for splits in plan.counterfactuals.values() for rows in splits.values() for row in rows]
    layers = layers_of(plan.deepest)
    for layer in (layer for layer in layers if layer in recipe.elaborated()):
        originals = recipe.rows if layer == "situational" else sum(1 for _ in _without_prose(plan, layer))
        # A changed attribute changes the prose of its layer and of all later layers.
        changed = {
            (row.id if layer == "situational" else row.persona, row.counterfactual.attribute, row.counterfactual.value)
            for row in counterfactuals
            if row.counterfactual
            and layers.index(CHANGEABLE_ATTRIBUTES[row.counterfactual.attribute]) <= layers.index(layer)
        }
        requests |= {layer: originals + len(changed)} if originals or changed else {}
    texts = {_text_stage(recipe, depth): recipe.rows for depth in (recipe.depth, *recipe.ablations)}
    texts[_text_stage(recipe, recipe.depth)] += len(counterfactuals)
    return requests | texts


def _is_sourced(plan: Plan) -> bool:
    return plan.recipe.personas is not None and plan.recipe.personas.source is not None


def _without_prose(plan: Plan, layer: str) -> Iterator[int]:
    """Yield the numbers of the personas for which the model writes the prose of a layer: their source states none."""
    for number in range(sum(plan.personas.values())):
        if not _is_sourced(plan) or getattr(plan.people.persona(number), layer).prose is None:
            yield number


def _sample_inventions(plan: Plan) -> dict[str, list[Request]]:
    """Return a request for invented events of each emotion; empty: none are invented."""
    taxonomy = plan.recipe.chosen_taxonomy()
    requests = [batch_request(plan, Batch(taxonomy[name], None, 0)) for name in wanted_inventions(plan.recipe)]
    return {EVENTS_STAGE: requests} if requests else {}


def _text_stage(recipe: Recipe, depth: str) -> str:
    return "expression" if depth == recipe.depth else f"expression, depth {depth}"


def _stage(stage: str, requests: float, sampled: Sequence[Amount]) -> StageEstimate:
    """Multiply the mean of the sampled requests by their number, requests after a rejected reply included."""
    total = requests * (1 + REJECTED_FRACTION)
    return StageEstimate(
        stage,
        requests=round(total),
        prompt_tokens=round(total * mean(amount.prompt for amount in sampled)),
        completion_tokens=round(total * mean(amount.completion for amount in sampled)),
    )


async def _sample_requests(plan: Plan) -> dict[str, list[Request]]:
    """Take some rows through their stages, and return the requests by stage."""
    recipe, rows = plan.recipe, _sampled_rows(plan)
    sampled: dict[str, list[Request]] = {}

    def ask_of(position: int, stage: str, model: int) -> Ask:
        name = _text_stage(recipe, rows[position].depth) if stage == "expression" else stage

        async def ask(request: Request) -> Reply:
            sampled.setdefault(name, []).append(request)
            text = PROSE if request.schema is None else json.dumps({"prose": PROSE})
            return Reply((Candidate(text, "stop"),), 0, 0)

        return ask

    writer = RowWriter(plan, ask_of, models=[""] * len(recipe.backends))
    for position, row in enumerate(rows):
        await writer.write(row, priority=position)
    return sampled


def _sampled_rows(plan: Plan) -> list[RowPlan]:
    """Return the first rows of some shards; every depth of the plan and every layer that the model writes occur."""
    shards = plan.shards()
    rows = [next(plan.rows(shard)) for shard in shards[:: max(1, len(shards) // MAX_SAMPLED_SHARDS)]]
    rows += [next(plan.rows(shard)) for shard in shards if shard.depth not in {row.depth for row in rows}]
    written = [layer for layer in layers_of(plan.deepest)[:2] if layer in plan.recipe.elaborated()]
    for layer in written if _is_sourced(plan) else ():
        number = next(_without_prose(plan, layer), None)
        of_layer = (row for shard in shards if layer in layers_of(shard.depth) for row in plan.rows(shard))
        rows += islice((row for row in of_layer if row.persona == number), 1)
    return rows


def _expected(request: Request, recipe: Recipe, choice: BackendChoice) -> Amount:
    """Estimate the tokens of a request and its reply, thoughts included if the recipe makes room for them."""
    size = sum(len(message.content.encode()) for message in request.messages) + len(request.prefill.encode())
    words = count_words(PROSE) if request.schema else sum(recipe.text_bounds()) / 2
    words = EVENTS_PER_REQUEST * count_words(ASSUMED_EVENT) if request.schema == EVENTS_SCHEMA else words
    written = min(words * TOKENS_PER_WORD, request.sampling.max_tokens) + (choice.thinking_tokens or 0)
    written *= request.candidates
    return Amount(round(size / BYTES_PER_TOKEN) + TOKENS_PER_TURN * len(request.messages), round(written))


def _seconds(backend: BackendChoice, texts: float, total: StageEstimate) -> float | None:
    """Estimate the time: that of the answers at the given concurrency, or of the rate limits if they are slower."""
    if backend.kind == "embedded":
        return texts * EMBEDDED_TEXT_S
    if backend.kind != "openai":
        return None
    tokens = total.prompt_tokens + total.completion_tokens
    answering = total.requests * FIRST_TOKEN_S + total.completion_tokens / TOKENS_PER_SECOND
    seconds = [answering / (backend.concurrency or OPENAI_CONCURRENCY)]
    limits = ((total.requests, backend.rpm), (tokens, backend.tpm))
    seconds += [60 * amount / per_minute for amount, per_minute in limits if per_minute]
    return max(seconds)
