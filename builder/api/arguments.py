"""Arguments of the public verbs: a recipe from keywords, a file or an object, and the names of its keys."""

import difflib
import inspect
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, get_type_hints

from personagen.builder.core.errors import RecipeError
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.recipe.parsing import parse_recipe, read_recipe
from personagen.builder.planning.recipe.sections import (
    BackendChoice,
    Budgets,
    Checks,
    CounterfactualPairs,
    CustomTaxonomy,
    Elaboration,
    ModelPrice,
    RecipeSection,
    SamplingSettings,
    Splits,
    TextRequirements,
)
from personagen.builder.planning.suggestions import did_you_mean

if TYPE_CHECKING:
    from personagen.builder.replay import ReplaySettings

PathOrName = str | PathLike[str]
Function = TypeVar("Function", bound=Callable[..., Any])

DEFAULT_FOLDER = "personagen"
"""Folder of the release where a verb is given none, as on the command line."""

KINDS = ("openai", "transformers", "batch")
"""Backends that `model="KIND:NAME"` chooses; "embedded" stands alone, for it has one model only."""

SHORTHANDS: Mapping[str, str] = {
    **{name: f"backend.{name}" for name in ("model", "base_url", "reasoning_effort", "concurrency", "rpm", "tpm")},
    **{name: f"budget.{name}" for name in ("max_cost", "max_tokens")},
}
"""Keys of a section that are keywords of their own, as they are options of the command line."""


class ArmKeys(TypedDict, total=False):
    """Keywords of a recipe that every arm of a comparison shares. A section takes a mapping or a record."""

    name: str
    seed: int
    taxonomy: str | CustomTaxonomy | Mapping[str, Any]
    emotions: Sequence[str] | None
    intensities: Sequence[str]
    expression: str | Mapping[str, float] | None
    personas: Mapping[str, Any] | None
    channels: Mapping[str, Any] | None
    events: Mapping[str, Any] | None
    situations_per_persona: int
    elaborate: Elaboration | Mapping[str, Any]
    text: TextRequirements | Mapping[str, Any]
    checks: Checks | Mapping[str, Any]
    backend: BackendChoice | Mapping[str, Any] | Sequence[BackendChoice | Mapping[str, Any]]
    draw: SamplingSettings | Mapping[str, Any]
    prompts: str | Mapping[str, str | Sequence[str]] | None
    prices: Mapping[str, ModelPrice | Mapping[str, float]]
    budget: Budgets | Mapping[str, Any]
    model: str
    base_url: str | None
    reasoning_effort: str | None
    concurrency: int | None
    rpm: int | None
    tpm: int | None
    max_cost: float | None
    max_tokens: int | None


class RecipeKeys(ArmKeys, total=False):
    """Keywords of a recipe: its own keys, and the shorthands of `SHORTHANDS`."""

    rows: int
    quotas: Mapping[str, int] | None
    grounding: Mapping[str, Any] | None
    batches: Sequence[Mapping[str, int]] | None
    depth: str
    ablations: Sequence[str]
    counterfactual: CounterfactualPairs | Mapping[str, Any] | None
    splits: Splits | Mapping[str, Any]
    shard_rows: int
    license: str | None
    license_name: str | None
    license_link: str | None


def as_recipe(source: Recipe | PathOrName | None, keys: Mapping[str, Any], verb: Callable[..., Any]) -> Recipe:
    """Build the recipe that a caller describes.

    Args:
        source: a recipe, or the path of a recipe file; None: the default of every key.
        keys: values that replace those of `source`, by key of the recipe or by shorthand.
        verb: the function that was called; its signature holds the keywords that it takes.

    Raises:
        RecipeError: the file cannot be read, a keyword is unknown, or a value is out of bounds; one line.

    """
    known = inspect.signature(verb).parameters
    for key in keys:
        if key not in known:
            raise RecipeError(
                f"{verb.__name__}: unknown keyword {key!r}{did_you_mean(key, known)}; known: {', '.join(known)}"
            )
    overrides = _overrides(keys)
    if source is None:
        _require_kind(keys, overrides, "embedded")
        return _parse("", overrides)
    if isinstance(source, Recipe):
        _require_kind(keys, overrides, source.backends[0].kind)
        text = json.dumps(source.model_dump(mode="json", exclude_unset=True))
        return _parse(text, overrides) if overrides else source
    try:
        path = Path(fspath(source))
    except TypeError:
        kind = type(source).__name__
        raise RecipeError(f"recipe: got {kind}, wanted a Recipe, the path of a YAML file, or keywords") from None
    return read_recipe(path, overrides)


def _require_kind(keys: Mapping[str, Any], overrides: Mapping[str, Any], kind: str) -> None:
    """Raise RecipeError for a model name that no backend can load: none was named, and the embedded has its own."""
    name = overrides.get("backend.model")
    if "model" in keys and isinstance(name, str) and overrides.get("backend.kind", kind) == "embedded":
        prefix, _, rest = name.partition(":")
        kinds = difflib.get_close_matches(prefix, KINDS, n=1) or KINDS  # a misspelt prefix, else a model alone
        model = name if kinds is KINDS else rest or "NAME"
        wanted = ", ".join(f'"{kind}:{model}"' for kind in kinds)
        raise RecipeError(f'model: got {name!r:.80}, wanted {wanted} or "embedded"')


def require_keywords(verb: str, given: Iterable[str], known: Sequence[str]) -> None:
    """Raise TypeError, as Python does for a wrong call, for a keyword that a verb lacks."""
    for key in given:
        if key not in known:
            hint = did_you_mean(key, known)
            raise TypeError(f"{verb}() got an unexpected keyword argument {key!r}{hint}; known: {', '.join(known)}")


def require_count(name: str, value: object) -> None:
    """Raise RecipeError for a value that is not an integer of 1 or more."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise RecipeError(f"{name}: got {value!r:.80}, wanted an integer of 1 or more")


def _parse(text: str, overrides: Mapping[str, Any]) -> Recipe:
    return parse_recipe(text, "recipe", overrides)


def _overrides(keys: Mapping[str, Any]) -> dict[str, Any]:
    """Return dotted keys and plain values: sections are merged key by key, everything else is replaced."""
    overrides: dict[str, Any] = {}
    for key, value in keys.items():
        plain = _as_plain(value)
        if key == "model":
            overrides |= _backend_of(plain)
        elif key in SHORTHANDS:
            overrides[SHORTHANDS[key]] = plain
        elif isinstance(plain, Mapping) and _is_section(key):
            overrides |= {f"{key}.{inner}": part for inner, part in plain.items()}
        else:
            overrides[key] = plain
    return overrides


def _is_section(key: str) -> bool:
    field = Recipe.model_fields.get(key)
    return key == "backend" or (
        field is not None and isinstance(field.annotation, type) and issubclass(field.annotation, RecipeSection)
    )


def _as_plain(value: Any) -> Any:
    """Return what YAML could have held: records become mappings of the keys that were set, sequences lists."""
    if isinstance(value, RecipeSection):
        return value.model_dump(mode="json", exclude_unset=True)
    if isinstance(value, Mapping):
        return {key: _as_plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_as_plain(part) for part in value]
    return value


def _backend_of(model: Any) -> dict[str, Any]:
    """Return the keys that `model="KIND:NAME"` stands for; a name without a kind changes the model alone."""
    if not isinstance(model, str):
        return {"backend.model": model}
    if model == "embedded":
        return {"backend.kind": "embedded", "backend.model": None}
    kind, colon, name = model.partition(":")
    if not colon or kind not in KINDS:  # names of models have colons too: "llama3:8b"
        return {"backend.model": model}
    if not name:
        raise RecipeError(f'model: got {model!r}, wanted "{kind}:NAME"')
    return {"backend.kind": kind, "backend.model": name}


def recorded_call(verb: str, *names: str, **options: Any) -> str:
    """Return the call that repeats a measurement, to record it; options that are None are left out."""
    words = [*map(repr, names), *(f"{key}={value!r}" for key, value in options.items() if value is not None)]
    return f"personagen.{verb}({', '.join(words)})"


def with_keywords(parameters: Iterable[inspect.Parameter]) -> Callable[[Function], Function]:
    """Show these parameters in place of `**keywords` in the signature of a function, for help and completion."""

    def decorate(function: Function) -> Function:
        signature = inspect.signature(function)
        fixed = [part for part in signature.parameters.values() if part.kind is not inspect.Parameter.VAR_KEYWORD]
        more = [part for part in parameters if part.name not in signature.parameters]
        function.__signature__ = signature.replace(parameters=[*fixed, *more])  # type: ignore[attr-defined]  # PEP 362
        return function

    return decorate


def recipe_keywords(keys: type[ArmKeys] | type[RecipeKeys] = RecipeKeys) -> list[inspect.Parameter]:
    """Return the keys of a recipe as parameters; their default, "...", leaves a key as it is."""
    kind = inspect.Parameter.KEYWORD_ONLY
    return [
        inspect.Parameter(name, kind, default=..., annotation=annotation)
        for name, annotation in get_type_hints(keys).items()
    ]


def keywords_of(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return the keyword-only parameters of a function."""
    parameters = inspect.signature(function).parameters.values()
    return [parameter for parameter in parameters if parameter.kind is inspect.Parameter.KEYWORD_ONLY]


def replay_settings(
    journals: PathOrName | None, recipe: Recipe | PathOrName | None, *, replay: bool
) -> "ReplaySettings | None":
    """Return what a release is replayed from; None: it is not replayed. RecipeError: then there is nothing to name."""
    if not replay:
        if journals is not None or recipe is not None:
            raise RecipeError("verify: journals and recipe are for the replay; add replay=True")
        return None
    from personagen.builder.replay import ReplaySettings

    chosen = None if recipe is None else as_recipe(recipe, {}, replay_settings)
    return ReplaySettings(None if journals is None else fspath(journals), chosen)
