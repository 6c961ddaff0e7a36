"""What a manifest says of the models of a release, and of their use."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from personagen.builder.core.prices import Amount, Price
from personagen.builder.llm.journal import Origins, Usage, UsedReplies
from personagen.builder.llm.requests import Backend
from personagen.builder.planning.recipe import Recipe


def joint_model(backends: Sequence[Backend], used: UsedReplies) -> dict[str, Any]:
    """Return the model of a release; of several models the names, and what all have in common."""
    models = list(map(_model, backends))
    if len(models) == 1:
        return models[0] | _deviations(used.origins)
    values = {key: list(dict.fromkeys(model[key] for model in models)) for key in models[0]}
    common = {key: known[0] if len(known) == 1 else None for key, known in values.items()}
    names = {key: ", ".join(str(value) for value in values[key]) for key in ("backend", "name")}
    return common | names | _deviations(used.origins)


def model_entries(
    backends: Sequence[Backend], recipe: Recipe, rows: Mapping[int, int], used: UsedReplies
) -> dict[str, list[dict[str, Any]]]:
    """Return the key `models` of a manifest; empty: there is a single model.

    Args:
        backends: the backends, one for each model.
        recipe: the recipe.
        rows: texts at the depth of the recipe by the number of their model.
        used: requests and tokens of the release.

    """
    return {"models": list(_entries(backends, recipe, rows, used))} if len(backends) > 1 else {}


def _entries(
    backends: Sequence[Backend], recipe: Recipe, rows: Mapping[int, int], used: UsedReplies
) -> Iterator[dict[str, Any]]:
    """Yield the facts on each model: its fraction, texts, requests, tokens and cost."""
    facts = zip(backends, recipe.model_fractions(), recipe.model_prices(), strict=True)
    for number, (backend, fraction, price) in enumerate(facts):
        replies = used.by_model[backend.model]
        yield {
            **_model(backend),
            "share": round(fraction, 6),
            "rows": rows.get(number, 0),
            **asdict(replies.usage),
            "cost": _cost_of(price, replies.usage),
            **_estimates(replies.origins),
            **_deviations(replies.origins),
        }


def usage_of(recipe: Recipe, used: UsedReplies) -> dict[str, Any]:
    """Return requests, tokens and cost of a release; the cost is None if a model has no price."""
    usages = [replies.usage for replies in used.by_model.values()] or [used.usage]
    costs = [_cost_of(price, usage) for price, usage in zip(recipe.model_prices(), usages, strict=True)]
    cost = None if None in costs else round(sum(cost for cost in costs if cost is not None), 6)
    return {**asdict(used.usage), "cost": cost, **_estimates(used.origins)}


def named_models(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the models of a release by its manifest: several, or the only one."""
    return list(manifest.get("models") or [manifest["model"]])


def model_problems(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Yield where the counts of several models do not add up to those of the release."""
    models = manifest.get("models") or ()
    totals = {"rows": sum(manifest["configs"]["all"]["rows"].values()), **manifest["usage"]}
    for key in ("rows", "requests", "prompt_tokens", "completion_tokens"):
        if models and (counted := sum(model[key] for model in models)) != totals[key]:
            name = key.replace("_", " ")
            yield f"the models of the manifest have {counted} {name} together, the release has {totals[key]}"


def _model(backend: Backend) -> dict[str, Any]:
    return {
        "backend": backend.name,
        "name": backend.model,
        "revision": backend.revision,
        "license": backend.licence,
    }


def _deviations(origins: Origins) -> dict[str, Any]:
    """Return the models that answered other than the requested one, and the refused parts of requests, by replies."""
    deviations = {"answered_by": dict(origins.answered_by), "left_out": dict(origins.left_out)}
    return {key: replies for key, replies in deviations.items() if replies}


def _estimates(origins: Origins) -> dict[str, int]:
    """Return the number of replies whose tokens are upper bounds, since the server counted none."""
    return {"estimated": origins.estimated} if origins.estimated else {}


def _cost_of(price: Price | None, usage: Usage) -> float | None:
    return None if price is None else round(price.of(Amount(usage.prompt_tokens, usage.completion_tokens)), 6)
