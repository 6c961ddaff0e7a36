"""The recipe: what to generate. Read from YAML, validated, frozen, fingerprinted."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from personagen.builder.core.errors import RecipeError
from personagen.builder.core.files import redact_path
from personagen.builder.core.prices import Price
from personagen.builder.core.records import DEPTHS, SCHEMA_VERSION, layers_of
from personagen.builder.planning.attribute_tables import known_values
from personagen.builder.planning.licences import KEYS, check_licence
from personagen.builder.planning.sections import (
    CHANGEABLE,
    BackendChoice,
    Budgets,
    Checks,
    CounterfactualPairs,
    CustomEmotion,
    CustomTaxonomy,
    Depth,
    Draw,
    Elaborate,
    Intensity,
    ModelPrice,
    Name,
    Section,
    Splits,
    Text,
)
from personagen.builder.planning.suggestions import nearest, unique
from personagen.builder.planning.taxonomy import NAMED, Emotion, Taxonomy, bank_emotions, named_taxonomy

RESERVED = (
    "all",
    "default",
    *DEPTHS[1:],
    *(f"depth_{depth}" for depth in DEPTHS),
    *(f"counterfactual_{attribute}" for attribute in CHANGEABLE),
)
"""Names that no emotion can have: other configurations, and the one that `datasets` takes for the default."""


class Recipe(Section):
    """Everything that decides what a release holds, with a default for every part."""

    name: Name = Field("personagen", description="Name of the dataset.")
    seed: int = Field(0, ge=0, lt=2**63)
    rows: int = Field(70, ge=1, le=100_000_000, description="Accepted texts over all emotions, at the recipe's depth.")
    taxonomy: Literal["ekman", "plutchik", "goemotions"] | CustomTaxonomy = "ekman"
    emotions: tuple[str, ...] | None = Field(None, description="Emotions to write, a subset of the taxonomy's.")
    quotas: Mapping[str, int] | None = Field(None, description="Texts an emotion; they sum to rows. null is even.")
    intensities: tuple[Intensity, ...] = Field((), description="Intensities to alternate; empty leaves them open.")
    depth: Depth = "situational"
    ablations: tuple[Depth, ...] = Field((), description="Further depths; each repeats every row, less its layers.")
    counterfactual: CounterfactualPairs | None = Field(
        None, description="Texts to ask for again, with another persona."
    )
    situations_per_persona: int = Field(2, ge=1, le=1000)
    splits: Splits = Splits()
    shard_rows: int = Field(10_000, ge=1, description="Rows of a parquet file at most.")
    elaborate: Elaborate = Elaborate()
    text: Text = Text()
    checks: Checks = Checks()
    backend: BackendChoice = BackendChoice()
    draw: Draw = Draw()
    prices: Mapping[str, ModelPrice] = Field({}, description="Prices by model name; cost is told where there is one.")
    budget: Budgets = Budgets()
    license: str | None = Field(None, description="Licence of the dataset, as the Hub calls it; null claims none.")
    license_name: str | None = Field(None, description="Name of the licence, with license: other.")
    license_link: str | None = Field(None, description="Where its text is, with license: other.")

    @field_validator("taxonomy", mode="before")
    @classmethod
    def _known_taxonomy(cls, value: Any) -> Any:
        if isinstance(value, str) and value not in NAMED:
            raise ValueError(f"got {value!r}, wanted {' or '.join(NAMED)} or a mapping{nearest(value, NAMED)}")
        return value

    @model_validator(mode="after")
    def _possible(self) -> Self:
        names = _taxonomy(self).names
        unique("emotions", self.emotions or names)
        for name in names:
            if name in RESERVED:
                raise ValueError(f"emotion {name!r} is the name of another configuration; choose another name")
        for name in (*(self.emotions or ()), *(self.quotas or {})):
            if name not in names:
                raise ValueError(f"unknown emotion {name!r}{nearest(name, names)}; known: {', '.join(names)}")
        if self.emotions == ():
            raise ValueError("emotions is empty; name at least one or leave it out")
        unique("ablations", self.ablations)
        unique("intensities", self.intensities)
        if self.depth in self.ablations:
            raise ValueError(f"ablations repeat the depth {self.depth!r}; leave it out of one of them")
        _check_quotas(self)
        _check_counterfactual(self)
        check_licence(self.license, self.license_name, self.license_link)
        model = self.backend.model
        if self.budget.max_cost is not None and model is None:
            raise ValueError("budget.max_cost: the embedded model costs nothing; leave it out")
        if self.budget.max_cost is not None and model not in self.prices:
            raise ValueError(
                f"budget.max_cost needs to know what {model} costs; give it as prices: {{{model}: {{input: 0.15, "
                "output: 0.6}} for a million tokens, or limit budget.max_tokens"
            )
        return self

    def quota(self) -> dict[str, int]:
        """Texts an emotion at the recipe's depth, in the taxonomy's order; they sum to `rows`."""
        chosen = [name for name in _taxonomy(self).names if name in (self.emotions or _taxonomy(self).names)]
        if self.quotas is not None:
            return {name: self.quotas[name] for name in chosen}
        share, rest = divmod(self.rows, len(chosen))
        return {name: share + (position < rest) for position, name in enumerate(chosen)}

    def chosen_taxonomy(self) -> Taxonomy:
        """The taxonomy, less the emotions that the recipe leaves out."""
        whole = _taxonomy(self)
        return Taxonomy(whole.name, tuple(emotion for emotion in whole.emotions if emotion.name in self.quota()))

    def elaborated(self) -> tuple[str, ...]:
        """Layers whose prose the model writes, in order.

        Where the recipe leaves it open, background and situation are written by the model, the portrait is not; the
        embedded model is too small for any of them.
        """
        by_default = ("sampled", "llm", "llm") if self.backend.kind != "embedded" else ("sampled",) * 3
        asked = (self.elaborate.demographic, self.elaborate.sociocultural, self.elaborate.situational)
        layers = ("demographic", "sociocultural", "situational")
        return tuple(
            layer for layer, own, default in zip(layers, asked, by_default, strict=True) if (own or default) == "llm"
        )

    def price(self) -> Price | None:
        """The price of the recipe's model; None where the recipe has none. Batches cost half."""
        price = self.prices.get(self.backend.model or "")
        if price is None:
            return None
        share = 0.5 if self.backend.kind == "batch" else 1.0
        return Price(price.input * share, price.output * share)

    def identity(self) -> dict[str, Any]:
        """Give the parts of the recipe that change rows, as plain data.

        Where requests go, how many at once, how often they may be repeated, what they may cost and what licence the
        dataset gets changes no row that is accepted.
        """
        data = self.model_dump(mode="json")
        for runtime in ("base_url", "concurrency", "rpm", "tpm"):
            del data["backend"][runtime]
        for other in ("prices", "budget", *KEYS):
            del data[other]
        del data["checks"]["attempts"]
        if self.counterfactual is None:
            del data["counterfactual"]
        if self.checks.label is None:  # nobody reads labels, whatever with
            for key in ("label", "label_reference", "label_model"):
                del data["checks"][key]
        else:  # of a file, its name: where it lies is nobody's business
            data["checks"]["label_reference"] = redact_path(self.checks.label_reference)
        return data

    def licence(self) -> dict[str, str | None]:
        """Give what the recipe says about the dataset's licence, by the keys of a card."""
        return {key: getattr(self, key) for key in KEYS}

    def fingerprint(self) -> str:
        """Hash the parts of the recipe that change rows: 16 hex digits, the same on every machine."""
        text = json.dumps([SCHEMA_VERSION, self.identity()], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _taxonomy(recipe: Recipe) -> Taxonomy:
    if isinstance(recipe.taxonomy, str):
        return named_taxonomy(recipe.taxonomy)
    banks = bank_emotions()
    emotions = []
    for custom in recipe.taxonomy.emotions:
        if custom.like is not None and custom.like not in banks:
            raise ValueError(
                f"emotion {custom.name!r}: like {custom.like!r} has no events{nearest(custom.like, banks)}; "
                f"known: {', '.join(banks)}"
            )
        if custom.like is None and not custom.events and "situational" in (recipe.depth, *recipe.ablations):
            raise ValueError(
                f"emotion {custom.name!r} has no situations; add `like:` (one of {', '.join(banks)}) or `events:`"
            )
        emotions.append(Emotion(custom.name, custom.definition, bank=custom.like, events=custom.events))
    return Taxonomy(recipe.taxonomy.name, tuple(emotions))


def _check_quotas(recipe: Recipe) -> None:
    quotas, chosen = recipe.quotas, recipe.emotions or _taxonomy(recipe).names
    if quotas is None:
        if recipe.rows < len(chosen):
            raise ValueError(
                f"rows is {recipe.rows} for {len(chosen)} emotions, wanted at least one each; "
                "raise rows or name fewer emotions"
            )
        return
    for name, count in quotas.items():
        if count < 1:
            raise ValueError(f"quota of {name!r} is {count}, wanted 1 or more; leave the emotion out instead")
    if set(quotas) != set(chosen):
        odd = sorted(set(quotas) ^ set(chosen))
        raise ValueError(f"quotas and emotions differ in {', '.join(odd)}; give every written emotion one quota")
    if sum(quotas.values()) != recipe.rows:
        raise ValueError(f"quotas sum to {sum(quotas.values())}, wanted rows = {recipe.rows}; change one of them")


def _check_counterfactual(recipe: Recipe) -> None:
    for name, values in recipe.counterfactual.attributes.items() if recipe.counterfactual else ():
        key = f"counterfactual.attributes.{name}"
        if name not in CHANGEABLE:
            raise ValueError(
                f"{key}: no attribute to change{nearest(name, CHANGEABLE)}; known: {', '.join(CHANGEABLE)}"
            )
        unique(key, values)
        known = sorted(known_values(name))
        for value in values:
            if value not in known:
                raise ValueError(f"{key}: unknown value {value!r}{nearest(value, known)}; known: {', '.join(known)}")
        if len(values) < 2:
            raise ValueError(f"{key}: got {len(values)} value, wanted two or more to change between")
        if CHANGEABLE[name] not in layers_of(recipe.depth):
            raise ValueError(f"{key}: texts of depth {recipe.depth!r} do not know it; leave it out or raise depth")


def parse_recipe(text: str, source: str, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Parse and validate a recipe.

    Args:
        text: YAML; empty takes every default.
        source: what to call it in errors: a path or "the command line".
        overrides: values that replace the file's, by dotted key ("backend.model").

    Raises:
        RecipeError: no YAML mapping, an unknown key (the nearest known one is named), or a value out of bounds.

    """
    data = _load_yaml(text, source)
    for key, value in (overrides or {}).items():
        *parents, last = key.split(".")
        section = data
        for parent in parents:
            section = section.setdefault(parent, {}) if isinstance(section, dict) else {}
        section[last] = value
    try:
        # Through JSON, so that YAML lists become tuples while 70.0 or "70" stay no integer.
        return Recipe.model_validate_json(json.dumps(data, default=str))
    except ValidationError as error:
        raise RecipeError(f"{source}: {_explain(error)}") from error
    except (ValueError, RecursionError) as error:  # an alias that contains itself
        raise RecipeError(f"{source}: not a plain mapping ({error}); see docs/recipe.md") from error


def _load_yaml(text: str, source: str) -> dict[str, Any]:
    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        where = getattr(error, "problem_mark", None)
        line = f", line {where.line + 1}" if where else ""
        problem = " ".join(str(getattr(error, "problem", None) or error).split())
        raise RecipeError(f"{source}{line}: not YAML ({problem}); see docs/recipe.md") from error
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise RecipeError(f"{source}: got a {type(data).__name__}, wanted a mapping of keys; see docs/recipe.md")
    return data


def read_recipe(path: Path | None, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Read a recipe file; None takes every default.

    Raises:
        RecipeError: the file cannot be read, or `parse_recipe` refuses it.

    """
    if path is None:
        return parse_recipe("", "command line", overrides)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"cannot read recipe {path}: {error}; give the path of a YAML file") from error
    return parse_recipe(text, str(path), overrides)


def _explain(error: ValidationError) -> str:
    """Tell the first problem in one line: key, what was got, what was wanted."""
    # Of the alternatives of a union the one that got furthest tells most.
    problem = max(error.errors(include_url=False), key=lambda entry: len(entry["loc"]))
    place = [str(part) for part in problem["loc"] if not str(part).startswith("literal[") and part != "CustomTaxonomy"]
    key = ".".join(place)
    if problem["type"] == "extra_forbidden":
        known = _known_keys(place[:-1])
        return f"unknown key {key!r}{nearest(place[-1], known)}; known: {', '.join(sorted(known))}"
    if problem["type"] == "value_error":
        message = str(problem["ctx"]["error"])
        return f"{key}: {message}" if key else message
    got = json.dumps(problem["input"], default=str, ensure_ascii=False)[:80]
    wanted = problem["msg"].removeprefix("Input should be ").replace("a valid array", "a list, such as [joy, anger]")
    return f"{key}: got {got}, wanted {wanted[0].lower()}{wanted[1:]}"


def _known_keys(place: list[str]) -> tuple[str, ...]:
    model: type[BaseModel] = Recipe
    for part in place:
        if part == "taxonomy":
            model = CustomTaxonomy
        elif part == "emotions":
            model = CustomEmotion
        elif not part.isdigit():
            inner = model.model_fields[part].annotation
            assert isinstance(inner, type) and issubclass(inner, BaseModel)
            model = inner
    return tuple(model.model_fields)
