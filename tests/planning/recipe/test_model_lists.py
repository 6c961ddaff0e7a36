"""A list of models as `backend`: what it means, what is refused, and what its fingerprint depends on."""

from collections.abc import Mapping
from typing import Any

import pytest

from personagen.builder.core.errors import RecipeError
from personagen.builder.core.prices import Price
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.recipe.parsing import parse_recipe
from personagen.builder.planning.recipe.sections import BackendChoice

A = "{kind: openai, model: a, share: 3}"
B = "{kind: openai, model: b, share: 1}"
PRICED_A = "prices: {a: {input: 1, output: 2}}"

REFUSED = [
    ("backend: []", "backend: got an empty list, wanted two models or more; write one model as a mapping, without"),
    (f"backend: [{A}]", "backend: got a list of one model, wanted two models or more; write one model as a mapping"),
    (f"backend: [{A}, {A}]", "backend.1: got the model a, which backend.0 has too, wanted different models, since a"),
    (f"backend: {A}", "backend.share: a single model writes all rows; leave it out, or list several models"),
    (f"backend: [{A}, {{kind: openai, model: b}}]", "backend.1: has no share, but others have; give every model one"),
    (f"backend: [{{kind: openai, model: b}}, {A}]", "backend.0: has no share, but others have; give every model one"),
    (f"backend: [{A}, {{kind: openai, model: b, share: 0}}]", "backend.1.share: got 0, wanted greater than 0"),
    (f"backend: [{A}, {{kind: openai, model: b, share: -2}}]", "backend.1.share: got -2, wanted greater than 0"),
    (f"backend: [{A}, {{kind: openai, model: b, share: .inf}}]", "backend.1.share: got Infinity, wanted a finite"),
    (
        f"backend: [{A}, {{kind: openai, model: b, share: 1.0e+300}}]",
        "backend.1.share: got 1e+300, wanted less than",
    ),
    (f"backend: [{A}, {{kind: openai, model: b, share: half}}]", 'backend.1.share: got "half", wanted a valid number'),
    ("backend: null", "backend: got null, wanted an object"),
    (f"backend: [{A}, null]", "backend.1: got null, wanted an object"),
    (f"backend: [{A}, b]", 'backend.1: got "b", wanted an object'),
    (f"backend: [{A}, {{kind: openai}}]", "backend.1: backend openai needs a model; name one"),
    (f"backend: [{A}, {{kind: opneai, model: b}}]", "'batch' or 'transformers', did you mean 'openai'?"),
    (
        f"backend: [{A}, {{kind: embedded, share: 1}}]",
        "backend.1: got the embedded model, which has prompts of",
    ),
    (f"backend: [{A}, {{kind: openai, model: b, shares: 1}}]", "unknown key 'backend.1.shares', did you mean"),
    (f"backend: [{A}, {{kind: openai, model: b, headers: {{X-Key: 5}}}}]", "X-Key: got a value of type int, wanted a"),
    (f"backend: [{A}, {{kind: openai, model: b, headers: S3CRET}}]", "headers: got a value of type str, wanted a map"),
    (f"backend: [{A}, {B}]\n{PRICED_A}\nbudget: {{max_cost: 2}}", "budget.max_cost needs the price of b; give it as"),
    (f"backend: [{', '.join(f'{{kind: openai, model: m{n}}}' for n in range(51))}]", "backend: got 51 models, wanted"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED, ids=[message[:40] for _, message in REFUSED])
def test_a_list_that_cannot_share_the_rows_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(RecipeError) as info:
        parse_recipe(text, "r")
    assert message in str(info.value) and "\n" not in str(info.value) and "S3CRET" not in str(info.value)


def fingerprint(*models: str, **overrides: Any) -> str:
    return parse_recipe(f"backend: [{', '.join(models)}]", "r", overrides).fingerprint()


def test_the_fingerprint_depends_on_kinds_models_shares_and_order() -> None:
    base = fingerprint(A, B)
    assert fingerprint(A.replace("3", "0.75"), B.replace("1", "0.25")) == base, "shares are relative"
    other = [
        fingerprint(B, A),
        fingerprint(A, B.replace("1", "2")),
        fingerprint(A, B.replace("b", "c")),
        fingerprint(A, B.replace("openai", "batch")),
        fingerprint(A, B.replace("share: 1", "share: 1, reasoning_effort: low")),
        fingerprint(A, B.replace("share: 1", "share: 1, body: {x: 1}")),
        parse_recipe(f"backend: {A.replace(', share: 3', '')}", "r").fingerprint(),
    ]
    assert len({base, *other}) == len(other) + 1


def test_equal_shares_are_the_default() -> None:
    equal = fingerprint(A.replace("3", "1"), B)
    assert fingerprint(A.replace(", share: 3", ""), B.replace(", share: 1", "")) == equal
    assert parse_recipe(f"backend: [{A}, {B}]", "r").model_fractions() == (0.75, 0.25)
    assert Recipe().model_fractions() == (1.0,)


@pytest.mark.parametrize(
    "runtime",
    [
        {"base_url": "http://localhost:1/v1"},
        {"headers": {"X-Title": "personas"}},
        {"query": {"api-version": "2024-10-21"}},
        {"timeout": 60},
        {"thinking_tokens": 2000},
        {"concurrency": 3},
        {"rpm": 60},
        {"tpm": 1000},
    ],
    ids=str,
)
def test_settings_of_a_run_change_no_fingerprint(runtime: Mapping[str, Any]) -> None:
    models: list[dict[str, Any]] = [{"kind": "openai", "model": "a"}, {"kind": "openai", "model": "b"}]
    base = parse_recipe("", "r", {"backend": models})
    changed = parse_recipe("", "r", {"backend": [models[0], models[1] | dict(runtime)]})
    assert changed != base and changed.fingerprint() == base.fingerprint()
    assert not {"headers", "query", "base_url"} & set(changed.identity()["backend"][1])


def test_limits_from_outside_apply_to_each_model() -> None:
    overrides = {"backend.concurrency": 2, "backend.rpm": 30, "backend.tpm": 900, "backend.timeout": 5.0}
    recipe = parse_recipe(f"backend: [{A}, {B}]", "r", overrides)
    assert [(choice.concurrency, choice.rpm, choice.tpm) for choice in recipe.backends] == [(2, 30, 900)] * 2


@pytest.mark.parametrize("key", ["kind", "model", "base_url", "reasoning_effort"])
def test_other_settings_from_outside_are_refused(key: str) -> None:
    with pytest.raises(RecipeError, match=rf"^r: backend is a list of 2 models, so backend\.{key} cannot be set for"):
        parse_recipe(f"backend: [{A}, {B}]", "r", {f"backend.{key}": "x"})


def test_a_list_takes_the_place_of_a_mapping() -> None:
    models = [{"kind": "openai", "model": "a"}, BackendChoice(kind="openai", model="b")]
    assert [choice.model for choice in Recipe(backend=models).backends] == ["a", "b"]  # type: ignore[arg-type]


def test_each_model_has_its_price_and_a_local_one_costs_nothing() -> None:
    text = f"backend: [{A}, {{kind: batch, model: b, share: 1}}, {{kind: transformers, model: c, share: 1}}]"
    prices = "prices: {a: {input: 1, output: 2}, b: {input: 1, output: 2}}"
    assert parse_recipe(f"{text}\n{prices}\nbudget: {{max_cost: 1}}", "r").model_prices() == (
        Price(1, 2),
        Price(0.5, 1),
        Price(0, 0),
    )


def test_one_model_is_wanted_where_there_can_be_one_only() -> None:
    assert Recipe().single_backend("compare") == BackendChoice()
    with pytest.raises(RecipeError, match=r"^compare: backend is a list of 2 models \(a, b\), wanted one; compare"):
        parse_recipe(f"backend: [{A}, {B}]", "r").single_backend("compare")
