"""The recipe: a frozen model of every setting of a release, with its fingerprint."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, ModelWrapValidatorHandler, ValidationError, field_validator, model_validator

from personagen.builder.core.errors import RecipeError
from personagen.builder.core.files import redact_path
from personagen.builder.core.prices import Price
from personagen.builder.core.records import DEPTHS, REPEATING_PREFIXES, layers_of
from personagen.builder.planning.attribute_tables import known_values
from personagen.builder.planning.licences import LICENCE_KEYS, validate_licence
from personagen.builder.planning.sections import (
    CHANGEABLE_ATTRIBUTES,
    BackendChoice,
    Budgets,
    Checks,
    CounterfactualPairs,
    CustomTaxonomy,
    Depth,
    Elaboration,
    Intensity,
    ModelPrice,
    Name,
    RecipeSection,
    SamplingSettings,
    Share,
    Splits,
    TextRequirements,
)
from personagen.builder.planning.styles import (
    DEFAULT_STYLE,
    StyleMixture,
    examples_id,
    fits_default_style,
    make_mixture,
    require_examples,
    unstyled_bounds,
)
from personagen.builder.planning.suggestions import did_you_mean, explain_refusal, require_unique
from personagen.builder.planning.taxonomy import NAMED_TAXONOMIES, Emotion, Taxonomy, bank_emotions, named_taxonomy
from personagen.metrics.style import Expression
from personagen.metrics.texts.emotion_words import LEXICON_LANGUAGES

IDENTITY_VERSION = "1.0.0"
"""First part of every fingerprint. Another value would change them all, so that no unfinished run could continue."""

RESERVED_NAMES = ("all", "default", *DEPTHS[1:])
"""Names that no emotion can have, nor any that begins with one of `REPEATING_PREFIXES`: other
configurations of a release, and the default configuration of `datasets`."""

WINDOWS_DEVICES = ("con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10)))
"""Names that no emotion can have: Windows creates no folder of that name."""

RUNTIME_KEYS = ("base_url", "headers", "query", "timeout", "thinking_tokens", "concurrency", "rpm", "tpm")
"""Keys of the backend that change no accepted row."""

FILE_KEYS = ("examples", "label_words")
"""Keys of `text` that name a file of real texts or of their words; a fingerprint has its digest."""

NEWER_KEYS = (
    ("backend", "body"), ("backend", "reasoning_effort"), ("draw", "max_tokens"), *(("text", key) for key in FILE_KEYS),
)  # fmt: skip
"""Section and key of settings that are part of a fingerprint only if they are set."""

BATCH_PRICE_FACTOR = 0.5
"""Price of a token in a batch as a fraction of its listed price (https://platform.openai.com/docs/guides/batch)."""


class Recipe(RecipeSection):
    """Every setting of a release; all keys have defaults.

    Raises:
        RecipeError: a key is unknown, or a value is out of bounds; one line.

    """

    name: Name = Field(default="personagen", description="Name of the dataset.")
    seed: int = Field(default=0, ge=0, lt=2**63, description="Seed of personas, situations and all requests.")
    rows: int = Field(
        default=70, ge=1, le=100_000_000, description="Accepted texts at the recipe's depth, over all emotions."
    )
    taxonomy: Literal["ekman", "plutchik", "goemotions"] | CustomTaxonomy = Field(
        default="ekman", description="Name of a taxonomy, or the definition of another one."
    )
    emotions: tuple[str, ...] | None = Field(
        default=None, strict=False, description="Emotions to write, from the taxonomy. null: all of them."
    )
    quotas: Mapping[str, int] | None = Field(
        default=None, description="Texts per emotion; must sum to `rows`. null: split evenly."
    )
    intensities: tuple[Intensity, ...] = Field(
        default=(),
        strict=False,
        description="Intensities that alternate within each emotion. Empty: left to the model.",
    )
    expression: Expression | Mapping[Expression, Share] | None = Field(
        default=None,
        description="How the texts express their emotion: named (a word says it), voiced (swearing, laughter, thanks, "
        "pleas), shown (by events, thoughts and deeds), or fractions of them. null: those of the style's real texts.",
    )
    depth: Depth = Field(
        default="situational", description="Last persona layer that the texts are conditioned on; none: no layer."
    )
    ablations: tuple[Depth, ...] = Field(
        default=(),
        strict=False,
        description="Further depths; each repeats every row with the layers of that depth only.",
    )
    counterfactual: CounterfactualPairs | None = Field(
        default=None, description="Rows to repeat with one attribute of the persona changed. null: none."
    )
    situations_per_persona: int = Field(default=2, ge=1, le=1000, description="Texts per persona and depth.")
    splits: Splits = Splits()
    shard_rows: int = Field(default=10_000, ge=1, description="Maximum rows per parquet file.")
    elaborate: Elaboration = Elaboration()
    text: TextRequirements = TextRequirements()
    checks: Checks = Checks()
    backend: BackendChoice = BackendChoice()
    draw: SamplingSettings = SamplingSettings()
    prices: Mapping[str, ModelPrice] = Field(
        default={}, description="Prices by model name. The cost of a run is reported if its model has one."
    )
    budget: Budgets = Budgets()
    license: str | None = Field(
        default=None, description="Licence of the dataset, as a Hub identifier. null: the card claims none."
    )
    license_name: str | None = Field(default=None, description="Name of the licence, if `license` is other.")
    license_link: str | None = Field(default=None, description="Link to the licence text, if `license` is other.")

    @field_validator("taxonomy", mode="before")
    @classmethod
    def _known_taxonomy(cls, value: Any) -> Any:
        if isinstance(value, str) and value not in NAMED_TAXONOMIES:
            raise ValueError(
                f"got {value!r}, wanted {' or '.join(NAMED_TAXONOMIES)} or a mapping"
                f"{did_you_mean(value, NAMED_TAXONOMIES)}"
            )
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _validate_emotions(self)
        require_unique("ablations", self.ablations)
        require_unique("intensities", self.intensities)
        if self.depth in self.ablations:
            raise ValueError(f"ablations repeat the depth {self.depth!r}; leave it out of one of them")
        _validate_quotas(self)
        _validate_counterfactual(self)
        validate_licence(self.license, self.license_name, self.license_link)
        _validate_leak(self)
        _validate_style(self)
        _validate_budget(self)
        _validate_token_limit(self)
        return self

    @model_validator(mode="wrap")
    @classmethod
    def _refused_in_one_line(cls, data: Any, validate: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return validate(data)
        except ValidationError as error:
            raise RecipeError(explain_refusal(error, cls)) from error

    def quota(self) -> dict[str, int]:
        """Return the number of texts per emotion at the recipe's depth, in taxonomy order; they sum to `rows`."""
        chosen = [name for name in _taxonomy(self).names if name in (self.emotions or _taxonomy(self).names)]
        if self.quotas is not None:
            return {name: self.quotas[name] for name in chosen}
        even, remainder = divmod(self.rows, len(chosen))
        return {name: even + (position < remainder) for position, name in enumerate(chosen)}

    def chosen_taxonomy(self) -> Taxonomy:
        """Return the taxonomy without the emotions that the recipe leaves out."""
        taxonomy, quota = _taxonomy(self), self.quota()
        return Taxonomy(taxonomy.name, tuple(emotion for emotion in taxonomy.emotions if emotion.name in quota))

    def elaborated(self) -> tuple[str, ...]:
        """Return the layers whose prose the model writes, in layer order.

        By default the model writes the background and the situation, not the portrait. The embedded model is too
        small to write any of them, so its default is none.
        """
        defaults = {"sociocultural", "situational"} if self.backend.kind != "embedded" else set()
        sources = {
            "demographic": self.elaborate.demographic,
            "sociocultural": self.elaborate.sociocultural,
            "situational": self.elaborate.situational,
        }
        return tuple(
            layer for layer, source in sources.items() if source == "llm" or (source is None and layer in defaults)
        )

    def mixture(self) -> StyleMixture | None:
        """Return the expressions, styles and lengths of the texts. None: all are `shown`, in no style.

        A recipe that names neither is written as people write comments, unless `checks.leak` rejects emotion words. One
        that wants texts of another length or in another language gets no style.

        Raises:
            RecipeError: a style is unknown, or contradicts the bounds of the recipe.

        """
        text, expression = self.text, self.expression
        if isinstance(expression, Mapping) and expression.get("shown") == 1 == sum(expression.values()):
            expression = "shown"
        if expression is None and self.checks.leak == "reject":
            expression = "shown"
        style = text.style
        if style is None and expression == "shown":
            return None
        is_listed = text.language in (None, *LEXICON_LANGUAGES)
        if style is None and is_listed and fits_default_style(text.min_words, text.max_words):
            style = DEFAULT_STYLE
        try:
            return make_mixture(expression, style, text.min_words, text.max_words)
        except ValueError as error:
            raise RecipeError(str(error)) from error

    def text_bounds(self) -> tuple[int, int]:
        """Return the least and the greatest number of words of a text."""
        mixture = self.mixture()
        if mixture is None:
            return unstyled_bounds(self.text.min_words, self.text.max_words)
        return mixture.min_words, mixture.max_words

    def price(self) -> Price | None:
        """Return the price of the recipe's model, None if the recipe lists none; a batch costs half."""
        price = self.prices.get(self.backend.model or "")
        if price is None:
            return None
        factor = BATCH_PRICE_FACTOR if self.backend.kind == "batch" else 1.0
        return Price(price.input * factor, price.output * factor)

    def identity(self) -> dict[str, Any]:
        """Return the settings that determine the accepted rows, as plain data.

        Left out: the endpoint, rate limits, attempts, prices, budget and licence. They change no accepted row. Keys
        that are newer than the first fingerprints are left out if they are not set.
        """
        data = self.model_dump(mode="json")
        for runtime in RUNTIME_KEYS:
            del data["backend"][runtime]
        for section, key in NEWER_KEYS:
            if data[section][key] in (None, {}):
                del data[section][key]
        for other in ("prices", "budget", *LICENCE_KEYS):
            del data[other]
        for key in ("attempts", *(kind for kind in ("personal", "slurs") if data["checks"][kind] == "flag")):
            del data["checks"][key]
        data["text"]["min_words"], data["text"]["max_words"] = self.text_bounds()
        mixture = self.mixture()
        if mixture is None:  # as before there were expressions and styles
            del data["expression"], data["text"]["style"], data["checks"]["expression"]
        else:
            data["expression"], data["text"]["style"] = mixture.identity()
        data["text"] |= {key: examples_id(path, key) for key in FILE_KEYS if (path := getattr(self.text, key))}
        if self.counterfactual is None:
            del data["counterfactual"]
        if self.checks.label is None:  # without a classifier its settings change nothing
            for key in ("label", "label_reference", "label_model"):
                del data["checks"][key]
        else:  # the manifest publishes this: no local folders
            data["checks"]["label_reference"] = redact_path(self.checks.label_reference)
        return data

    def licence(self) -> dict[str, str | None]:
        """Return the dataset's licence by the keys of a dataset card."""
        return {key: getattr(self, key) for key in LICENCE_KEYS}

    def fingerprint(self) -> str:
        """Return 16 hex digits of the SHA-256 of `identity()`, equal on every machine."""
        text = json.dumps([IDENTITY_VERSION, self.identity()], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _taxonomy(recipe: Recipe) -> Taxonomy:
    if isinstance(recipe.taxonomy, str):
        return named_taxonomy(recipe.taxonomy)
    banks = bank_emotions()
    emotions = []
    for custom in recipe.taxonomy.emotions:
        if custom.like is not None and custom.like not in banks:
            raise ValueError(
                f"emotion {custom.name!r}: like {custom.like!r} has no events{did_you_mean(custom.like, banks)}; "
                f"known: {', '.join(banks)}"
            )
        if custom.like is None and not custom.events and "situational" in (recipe.depth, *recipe.ablations):
            raise ValueError(
                f"emotion {custom.name!r} has no situations; add `like:` (one of {', '.join(banks)}) or `events:`"
            )
        emotions.append(Emotion(custom.name, custom.definition, bank=custom.like, events=custom.events))
    return Taxonomy(recipe.taxonomy.name, tuple(emotions))


def _validate_emotions(recipe: Recipe) -> None:
    names = _taxonomy(recipe).names
    require_unique("emotions", recipe.emotions or names)
    for name in names:
        if name in RESERVED_NAMES or name.startswith(REPEATING_PREFIXES):
            raise ValueError(f"emotion {name!r} is the name of another configuration; choose another name")
        if name in WINDOWS_DEVICES:
            raise ValueError(f"emotion {name!r} can be no folder on Windows; choose another name")
    for name in (*(recipe.emotions or ()), *(recipe.quotas or {})):
        if name not in names:
            raise ValueError(f"unknown emotion {name!r}{did_you_mean(name, names)}; known: {', '.join(names)}")
    if recipe.emotions == ():
        raise ValueError("emotions is empty; name at least one or leave it out")


def _validate_quotas(recipe: Recipe) -> None:
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
        different = sorted(set(quotas) ^ set(chosen))
        raise ValueError(f"quotas and emotions differ in {', '.join(different)}; give every written emotion one quota")
    if sum(quotas.values()) != recipe.rows:
        raise ValueError(f"quotas sum to {sum(quotas.values())}, wanted rows = {recipe.rows}; change one of them")


def _validate_counterfactual(recipe: Recipe) -> None:
    for name, values in recipe.counterfactual.attributes.items() if recipe.counterfactual else ():
        key = f"counterfactual.attributes.{name}"
        if name not in CHANGEABLE_ATTRIBUTES:
            raise ValueError(
                f"{key}: not an attribute that can be changed{did_you_mean(name, CHANGEABLE_ATTRIBUTES)}; "
                f"known: {', '.join(CHANGEABLE_ATTRIBUTES)}"
            )
        require_unique(key, values)
        known = sorted(known_values(name))
        for value in values:
            if value not in known:
                raise ValueError(
                    f"{key}: unknown value {value!r}{did_you_mean(value, known)}; known: {', '.join(known)}"
                )
        if len(values) < 2:
            raise ValueError(f"{key}: got {len(values)} value, wanted two or more to compare")
        if CHANGEABLE_ATTRIBUTES[name] not in layers_of(recipe.depth):
            raise ValueError(f"{key}: texts of depth {recipe.depth!r} do not show it; leave it out or raise depth")


def _validate_leak(recipe: Recipe) -> None:
    language = recipe.text.language
    if recipe.checks.leak == "reject" and language not in (None, *LEXICON_LANGUAGES):
        raise ValueError(
            f"checks.leak: got reject with text.language {language}, wanted a language with a lexicon of emotion words "
            f"({', '.join(LEXICON_LANGUAGES)}); leave checks.leak out, and no text is checked for them"
        )


def _validate_style(recipe: Recipe) -> None:
    for key in FILE_KEYS:
        if (path := getattr(recipe.text, key)) is not None:
            require_examples(path, f"text.{key}", recipe.emotions or _taxonomy(recipe).names)
    mixture = recipe.mixture()
    if mixture is None and recipe.text.label_words is not None:
        raise ValueError("text.label_words needs a style or an expression; name one, or leave it out")
    if mixture is None or recipe.checks.leak != "reject":
        return
    if any(name == "named" for name, _ in mixture.expressions or ()):
        raise ValueError(
            "checks.leak: got reject with texts that are to name their emotion (expression: named), wanted flag; leave "
            "one of them out"
        )


def _validate_budget(recipe: Recipe) -> None:
    model = recipe.backend.model
    if recipe.budget.max_cost is not None and model is None:
        raise ValueError("budget.max_cost: the embedded model costs nothing; leave it out")
    if recipe.budget.max_cost is not None and model not in recipe.prices:
        raise ValueError(
            f"budget.max_cost needs the price of {model}; give it as prices: {{{model}: {{input: 0.15, "
            "output: 0.6}} per million tokens, or limit budget.max_tokens"
        )


def _validate_token_limit(recipe: Recipe) -> None:
    limit, words = recipe.draw.max_tokens, recipe.text_bounds()[0]
    if limit is not None and limit < words and recipe.backend.kind != "embedded":
        raise ValueError(
            f"draw.max_tokens is {limit} and text.min_words {words}, so every text would be cut; raise max_tokens"
        )
