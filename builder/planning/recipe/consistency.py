"""Validate what the sections of a recipe say together."""

from typing import TYPE_CHECKING

from personagen.builder.core.records import DEPTHS, PLAIN, REPEATING_PREFIXES, layers_of
from personagen.builder.planning.personas.tables import known_values
from personagen.builder.planning.real_texts.terms import SourceTerms, terms_of, text_conflict
from personagen.builder.planning.recipe.licences import LICENCES, validate_licence
from personagen.builder.planning.recipe.prompt_templates import validate_prompts
from personagen.builder.planning.recipe.sections.grounding import TextSource
from personagen.builder.planning.recipe.sections.model_lists import validate_models
from personagen.builder.planning.recipe.sections.rows import CHANGEABLE_ATTRIBUTES
from personagen.builder.planning.recipe.situation_rules import validate_channels, validate_events
from personagen.builder.planning.styles import EXAMPLE_KEYS, require_examples
from personagen.builder.planning.suggestions import did_you_mean, require_unique
from personagen.builder.planning.taxonomy import Emotion, Taxonomy, bank_emotions, named_taxonomy
from personagen.metrics.texts.emotion_words import LEXICON_LANGUAGES

if TYPE_CHECKING:
    from personagen.builder.planning.recipe.model import Recipe

RESERVED_NAMES = ("all", "default", PLAIN, *DEPTHS[1:])
"""Names that no emotion can have, nor any that begins with one of `REPEATING_PREFIXES`: other
configurations of a release, and the default configuration of `datasets`."""

WINDOWS_DEVICES = ("con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10)))
"""Names that no emotion can have: Windows creates no folder of that name."""


def validate_together(recipe: "Recipe") -> None:
    """Raise ValueError if two sections of a recipe contradict each other."""
    validate_models(recipe.backend)
    _validate_emotions(recipe)
    require_unique("ablations", recipe.ablations)
    require_unique("intensities", recipe.intensities)
    if recipe.depth in recipe.ablations:
        raise ValueError(f"ablations repeat the depth {recipe.depth!r}; leave it out of one of them")
    _validate_quotas(recipe)
    _validate_batches(recipe)
    _validate_counterfactual(recipe)
    validate_licence(recipe.license, recipe.license_name, recipe.license_link)
    _validate_leak(recipe)
    validate_channels(recipe)
    _validate_style(recipe)
    _validate_grounding(recipe)
    validate_events(recipe, taxonomy_of(recipe))
    _validate_budget(recipe)
    _validate_token_limit(recipe)
    if recipe.prompts is not None:
        validate_prompts(recipe)


def taxonomy_of(recipe: "Recipe") -> Taxonomy:
    """Return the taxonomy of a recipe, emotions that it leaves out included; ValueError: an emotion has no events."""
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
        lists_events = recipe.events is None and "situational" in (recipe.depth, *recipe.ablations)
        if custom.like is None and not custom.events and lists_events:
            raise ValueError(
                f"emotion {custom.name!r} has no situations; add `like:` (one of {', '.join(banks)}) or `events:`"
            )
        emotions.append(Emotion(custom.name, custom.definition, bank=custom.like, events=custom.events))
    return Taxonomy(recipe.taxonomy.name, tuple(emotions))


def _validate_emotions(recipe: "Recipe") -> None:
    names = taxonomy_of(recipe).names
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


def _validate_quotas(recipe: "Recipe") -> None:
    quotas, chosen = recipe.quotas, recipe.emotions or taxonomy_of(recipe).names
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


def _validate_batches(recipe: "Recipe") -> None:
    if recipe.batches is None:
        return
    known = recipe.emotions or taxonomy_of(recipe).names
    for name in {name for batch in recipe.batches for name in batch if name not in known}:
        raise ValueError(f"batches: unknown emotion {name!r}{did_you_mean(name, known)}; known: {', '.join(known)}")
    if not all(sum(batch.values()) for batch in recipe.batches):
        raise ValueError("batches: a batch has no text; leave it out")
    total = sum(sum(batch.values()) for batch in recipe.batches)
    if total != recipe.rows:
        raise ValueError(f"batches sum to {total}, wanted rows = {recipe.rows}; change one of them")
    if missing := [name for name, count in recipe.quota().items() if not count]:
        raise ValueError(f"batches have no text of {missing[0]!r}; leave the emotion out of `emotions`")
    if recipe.quotas is not None and dict(recipe.quotas) != recipe.quota():
        raise ValueError("batches and quotas differ; leave quotas out")
    if recipe.personas is not None and recipe.personas.source is not None:
        raise ValueError("batches: personas of a source are chosen together; leave personas.source or batches out")


def _validate_counterfactual(recipe: "Recipe") -> None:
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


def _validate_leak(recipe: "Recipe") -> None:
    language = recipe.text.language
    if recipe.checks.leak == "reject" and language not in (None, *LEXICON_LANGUAGES):
        raise ValueError(
            f"checks.leak: got reject with text.language {language}, wanted a language with a lexicon of emotion words "
            f"({', '.join(LEXICON_LANGUAGES)}); leave checks.leak out, and no text is checked for them"
        )


def _validate_style(recipe: "Recipe") -> None:
    for key in EXAMPLE_KEYS:
        if (path := getattr(recipe.text, key)) is not None:
            require_examples(path, f"text.{key}", recipe.emotions or taxonomy_of(recipe).names)
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


def _validate_grounding(recipe: "Recipe") -> None:
    grounding = recipe.grounding
    if grounding is None:
        return
    if grounding.examples is not None and recipe.text.examples is not None:
        raise ValueError("text.examples and grounding.examples both show real texts; leave one of them out")
    if grounding.verbalized and recipe.is_embedded:
        raise ValueError(
            "grounding.verbalized: got true for the embedded model, which cannot list texts with their probabilities; "
            "leave it out, or choose another model by backend.kind and backend.model"
        )
    if grounding.paraphrase is not None and recipe.deepest != "none":
        raise ValueError(
            f"grounding.paraphrase: got texts of depth {recipe.deepest!r}, wanted depth: none, since a real text has a "
            "writer and a situation of its own; set the depth, or leave paraphrase out"
        )
    for key, settings in grounding.sources().items():
        _require_terms(settings, terms_of(settings), recipe.license, f"grounding.{key}")


def _require_terms(settings: TextSource, terms: SourceTerms, licence: str | None, key: str) -> None:
    """Raise ValueError if the licence of a source is no licence, or forbids that of the release."""
    if settings.license is not None and settings.license not in LICENCES:
        named = settings.license[:80]
        raise ValueError(
            f"{key}.license: the Hub knows no {named!r}{did_you_mean(named, LICENCES)}; name one of "
            "https://huggingface.co/docs/hub/repositories-licenses"
        )
    if conflict := text_conflict(terms.license, licence):
        raise ValueError(
            f"{key}: got real texts under {terms.license} for a release under {licence}, but {conflict}; change "
            "`license`, or name another source"
        )


def _validate_budget(recipe: "Recipe") -> None:
    if recipe.budget.max_cost is None:
        return
    if recipe.is_embedded:
        raise ValueError("budget.max_cost: the embedded model costs nothing; leave it out")
    for choice, price in zip(recipe.backends, recipe.model_prices(), strict=True):
        if price is None:
            model = choice.model
            raise ValueError(
                f"budget.max_cost needs the price of {model}; give it as prices: {{{model}: {{input: 0.15, "
                "output: 0.6}} per million tokens, or limit budget.max_tokens"
            )


def _validate_token_limit(recipe: "Recipe") -> None:
    limit, words = recipe.draw.max_tokens, recipe.text_bounds()[0]
    if limit is not None and limit < words and not recipe.is_embedded:
        raise ValueError(
            f"draw.max_tokens is {limit} and text.min_words {words}, so every text would be cut; raise max_tokens"
        )
