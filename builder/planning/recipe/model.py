"""The recipe: a frozen model of every setting of a release, with its fingerprint."""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ModelWrapValidatorHandler, ValidationError, field_validator, model_validator

from personagen.builder.core.errors import RecipeError, raise_as
from personagen.builder.core.prices import Price
from personagen.builder.core.records import DEPTHS
from personagen.builder.planning.prompts import PromptFile, read_prompts
from personagen.builder.planning.recipe.consistency import taxonomy_of, validate_together
from personagen.builder.planning.recipe.identity import identity_of
from personagen.builder.planning.recipe.licences import LICENCE_KEYS
from personagen.builder.planning.recipe.prompt_templates import wordings_of
from personagen.builder.planning.recipe.sections import (
    BackendChoice,
    BackendSection,
    Budgets,
    Channel,
    ChannelName,
    Checks,
    CounterfactualPairs,
    CustomTaxonomy,
    Depth,
    Elaboration,
    EventSources,
    GroundingSettings,
    Intensity,
    ModelPrice,
    Name,
    PersonaSettings,
    PromptPaths,
    RecipeSection,
    SamplingSettings,
    Share,
    Splits,
    TextRequirements,
)
from personagen.builder.planning.situations.channels import channel_bounds
from personagen.builder.planning.styles import (
    DEFAULT_STYLE,
    StyleMixture,
    fits_default_style,
    make_mixture,
    unstyled_bounds,
)
from personagen.builder.planning.suggestions import did_you_mean, explain_refusal
from personagen.builder.planning.taxonomy import NAMED_TAXONOMIES, Taxonomy
from personagen.metrics.style import Expression
from personagen.metrics.texts.emotion_words import LEXICON_LANGUAGES

IDENTITY_VERSION = "1.0.0"
"""First part of every fingerprint. Another value would change them all, so that no unfinished run could continue."""

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
    batches: tuple[Mapping[str, Annotated[int, Field(ge=0)]], ...] | None = Field(
        default=None,
        min_length=1,
        strict=False,
        description="Texts per emotion, in the order in which they were added by --append; must sum to `rows`. null: "
        "all at once.",
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
    personas: PersonaSettings | None = Field(
        default=None, description="Whom the personas are: conditions, shares and further attributes. null: the tables'."
    )
    counterfactual: CounterfactualPairs | None = Field(
        default=None, description="Rows to repeat with one attribute of the persona changed. null: none."
    )
    situations_per_persona: int = Field(default=2, ge=1, le=1000, description="Texts per persona and depth.")
    splits: Splits = Splits()
    shard_rows: int = Field(default=10_000, ge=1, description="Maximum rows per parquet file.")
    elaborate: Elaboration = Elaboration()
    text: TextRequirements = TextRequirements()
    grounding: GroundingSettings | None = Field(
        default=None, description="Real texts in the prompts, and verbalized sampling. null: neither."
    )
    checks: Checks = Checks()
    backend: BackendSection = Field(
        default=BackendChoice(),
        description="The model that writes the texts, or a list of models, of which each row has one.",
    )
    draw: SamplingSettings = SamplingSettings()
    prompts: PromptPaths | None = Field(
        default=None,
        description="Folder of prompt templates, or one or several files (wordings, which rows have in turn) by "
        "template. null: those of the package.",
    )
    channels: Annotated[Mapping[ChannelName, Channel], Field(min_length=1)] | None = Field(
        default=None, description="Kinds of text by name, as a phrase or with its settings. null: those of the package."
    )
    events: EventSources | None = Field(
        default=None, description="Sources of the events. null: the taxonomy's own, else the situational bank."
    )
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
        validate_together(self)
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
        chosen = [name for name in taxonomy_of(self).names if name in (self.emotions or taxonomy_of(self).names)]
        if self.batches is not None:
            return {name: sum(batch.get(name, 0) for batch in self.batches) for name in chosen}
        if self.quotas is not None:
            return {name: self.quotas[name] for name in chosen}
        even, remainder = divmod(self.rows, len(chosen))
        return {name: even + (position < remainder) for position, name in enumerate(chosen)}

    def chosen_taxonomy(self) -> Taxonomy:
        """Return the taxonomy without the emotions that the recipe leaves out."""
        taxonomy, quota = taxonomy_of(self), self.quota()
        return Taxonomy(taxonomy.name, tuple(emotion for emotion in taxonomy.emotions if emotion.name in quota))

    def elaborated(self) -> tuple[str, ...]:
        """Return the layers whose prose the model writes, in layer order.

        By default the model writes the background and the situation, not the portrait. The embedded model is too
        small to write any of them, so its default is none.
        """
        defaults = set() if self.is_embedded else {"sociocultural", "situational"}
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
        that wants texts of another length or in another language gets no style, nor does one with channels of its own.

        Raises:
            RecipeError: a style is unknown, or contradicts the bounds of the recipe.

        """
        text, expression = self.text, self.expression
        if isinstance(expression, Mapping) and expression.get("shown") == 1 == sum(expression.values()):
            expression = "shown"
        if expression is None and self.checks.leak == "reject":
            expression = "shown"
        style = text.style
        if style is None and expression == "shown" and self.channels is None:
            return None
        is_listed = text.language in (None, *LEXICON_LANGUAGES)
        bounds = text.min_words, text.max_words
        if style is None and self.channels is not None:
            bounds = channel_bounds(self)
        elif style is None and is_listed and fits_default_style(*bounds):
            style = DEFAULT_STYLE
        try:
            return make_mixture(expression, style, *bounds)
        except ValueError as error:
            raise RecipeError(str(error)) from error

    def text_bounds(self) -> tuple[int, int]:
        """Return the least and the greatest number of words of a text."""
        mixture = self.mixture()
        if mixture is None:
            return unstyled_bounds(self.text.min_words, self.text.max_words)
        return mixture.min_words, mixture.max_words

    def prompt_files(self) -> tuple[PromptFile, ...]:
        """Return the templates that the recipe replaces. Raises RecipeError if a file cannot be read any more."""
        with raise_as(RecipeError):
            return read_prompts(self.prompts)

    def wordings(self) -> tuple[str, ...]:
        """Return the names of the wordings of the prompt of texts, in order; empty: it has one."""
        return wordings_of(self)

    @property
    def deepest(self) -> str:
        """The greatest depth of any text."""
        return max((self.depth, *self.ablations), key=DEPTHS.index)

    @property
    def backends(self) -> tuple[BackendChoice, ...]:
        """The models that write the texts: one, or those of a list."""
        return (self.backend,) if isinstance(self.backend, BackendChoice) else self.backend

    @property
    def is_embedded(self) -> bool:
        """Whether the small model of the package writes the texts; no list of models has it."""
        return self.backends[0].kind == "embedded"

    def single_backend(self, verb: str) -> BackendChoice:
        """Return the only model of the recipe.

        Args:
            verb: command that can use one model only, for the error.

        Raises:
            RecipeError: the recipe has a list of models.

        """
        if isinstance(self.backend, BackendChoice):
            return self.backend
        names = ", ".join(str(choice.model) for choice in self.backend)
        raise RecipeError(
            f"{verb}: backend is a list of {len(self.backend)} models ({names}), wanted one; {verb} each in a folder "
            "of its own, with a mapping as backend"
        )

    def model_fractions(self) -> tuple[float, ...]:
        """Return the fraction of the rows of each model; they sum to 1."""
        shares = [choice.share or 1.0 for choice in self.backends]
        return tuple(share / sum(shares) for share in shares)

    def model_prices(self) -> tuple[Price | None, ...]:
        """Return the price of each model; None: the recipe lists none. A batch costs half.

        In a list, a model on this machine costs nothing unless the recipe lists a price.
        """
        return tuple(map(self._price_of, self.backends))

    def price(self) -> Price | None:
        """Return the price of the recipe's only model, or of the first one of a list; see `model_prices`."""
        return self._price_of(self.backends[0])

    def _price_of(self, choice: BackendChoice) -> Price | None:
        price = self.prices.get(choice.model or "")
        if price is None:
            return Price(0.0, 0.0) if choice.kind == "transformers" and len(self.backends) > 1 else None
        factor = BATCH_PRICE_FACTOR if choice.kind == "batch" else 1.0
        return Price(price.input * factor, price.output * factor)

    def identity(self) -> dict[str, Any]:
        """Return the settings that determine the accepted rows, as plain data; see `identity_of`."""
        return identity_of(self)

    def licence(self) -> dict[str, str | None]:
        """Return the dataset's licence by the keys of a dataset card."""
        return {key: getattr(self, key) for key in LICENCE_KEYS}

    def fingerprint(self) -> str:
        """Return 16 hex digits of the SHA-256 of `identity()`, equal on every machine."""
        text = json.dumps([IDENTITY_VERSION, self.identity()], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
