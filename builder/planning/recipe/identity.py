"""The identity of a recipe: the settings that determine its accepted rows, from which its fingerprint is computed."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from personagen.builder.core.errors import RecipeError, raise_as
from personagen.builder.core.files import redact_path
from personagen.builder.planning.personas.sources.files.locations import source_name
from personagen.builder.planning.prompts import prompts_id
from personagen.builder.planning.real_texts.sources import source_id
from personagen.builder.planning.recipe.licences import LICENCE_KEYS
from personagen.builder.planning.situations.event_files import event_file_content
from personagen.builder.planning.styles import EXAMPLE_KEYS, examples_id
from personagen.builder.planning.styles.library import file_id

if TYPE_CHECKING:
    from personagen.builder.planning.recipe.model import Recipe

RUNTIME_KEYS = ("base_url", "headers", "query", "timeout", "thinking_tokens", "concurrency", "rpm", "tpm")
"""Keys of the backend that change no accepted row."""

NEWER_SECTIONS = (
    "batches", "personas", "prompts", "channels", "events", "grounding",
)  # fmt: skip
"""Sections that are part of a fingerprint only if they are set."""

NEWER_BACKEND_KEYS = ("body", "reasoning_effort", "share")
"""Keys of a model that are part of a fingerprint only if they are set."""

SHARE_DIGITS = 12
"""Digits of the fractions of models in a fingerprint: shares of 3 to 1 and of 0.75 to 0.25 are the same."""

NEWER_KEYS = (
    ("draw", "max_tokens"),
    *(("text", key) for key in EXAMPLE_KEYS),
)  # fmt: skip
"""Section and key of settings that are part of a fingerprint only if they are set."""


def identity_of(recipe: "Recipe") -> dict[str, Any]:
    """Return the settings that determine the accepted rows, as plain data.

    Left out: the endpoint, rate limits, attempts, prices, budget and licence. They change no accepted row. Keys
    that are newer than the first fingerprints are left out if they are not set.
    """
    data = recipe.model_dump(mode="json")
    data["backend"] = _identity_of_models(recipe, data["backend"])
    _leave_out_runtime(data)
    for section in NEWER_SECTIONS:
        if data[section] is None or section == "personas":
            del data[section]
    data |= _personas(recipe)
    for section, key in NEWER_KEYS:
        if data[section][key] in (None, {}):
            del data[section][key]
    data["text"]["min_words"], data["text"]["max_words"] = recipe.text_bounds()
    mixture = recipe.mixture()
    if mixture is None:  # as before there were expressions and styles
        del data["expression"], data["text"]["style"], data["checks"]["expression"]
    else:
        data["expression"], data["text"]["style"] = mixture.identity()
    data["text"] |= {key: examples_id(path, key) for key in EXAMPLE_KEYS if (path := getattr(recipe.text, key))}
    if recipe.prompts is not None:
        data["prompts"] = prompts_id(recipe.prompt_files())
    _identify_sources(data.get("grounding") or {})
    _identify_situations(recipe, data)
    if recipe.counterfactual is None:
        del data["counterfactual"]
    if recipe.checks.label is None:  # without a classifier its settings change nothing
        for key in ("label", "label_reference", "label_model"):
            del data["checks"][key]
    else:  # the manifest publishes this: no local folders
        data["checks"]["label_reference"] = redact_path(recipe.checks.label_reference)
    return data


def _personas(recipe: "Recipe") -> dict[str, Any]:
    """Return the section on personas with the keys that are set; empty: none is.

    A source is named without its local folders. Its content is no part of the identity: a run continues with the rows
    that it has copied, whatever has become of the source.
    """
    settings = {} if recipe.personas is None else recipe.personas.model_dump(mode="json", exclude_defaults=True)
    for key in ("source_license", "source_citation"):
        settings.pop(key, None)
    if "source" in settings:
        settings["source"] = source_name(settings["source"])
    return {"personas": settings} if settings else {}


def _identify_sources(data: dict[str, Any]) -> None:
    """Replace the sources of real texts, of which the manifest publishes no local path; leave their terms out."""
    for settings in data.values():
        if isinstance(settings, dict):
            settings["source"] = source_id(settings["source"])
            del settings["license"], settings["attribution"]


def _identity_of_models(recipe: "Recipe", data: Any) -> Any:
    """Return the keys of a model that change accepted rows; those of a list with the fraction of each model."""
    if isinstance(data, list):
        fractions = [round(fraction, SHARE_DIGITS) for fraction in recipe.model_fractions()]
        models = zip(map(_identity_of_model, data), fractions, strict=True)
        return [model | {"share": fraction} for model, fraction in models]
    return _identity_of_model(data)


def _identity_of_model(data: Mapping[str, Any]) -> dict[str, Any]:
    unset = {key for key in NEWER_BACKEND_KEYS if data[key] in (None, {})}
    return {key: value for key, value in data.items() if key not in unset and key not in RUNTIME_KEYS}


def _identify_situations(recipe: "Recipe", data: dict[str, Any]) -> None:
    """Leave out the keys of channels and events that are not set, and record the file of events by its digest."""
    if recipe.channels is not None:
        data["channels"] = {name: _set_keys(channel) for name, channel in data["channels"].items()}
    if recipe.events is not None:
        data["events"] = _set_keys(data["events"])
        if (path := recipe.events.file) is not None:
            with raise_as(RecipeError):  # the file may have changed since the recipe was read
                data["events"]["file"] = file_id(path, event_file_content(path))


def _set_keys(section: dict[str, Any]) -> dict[str, Any]:
    """Return the keys of a section that are set, and those of the sections in it."""
    inner = {key: _set_keys(value) if isinstance(value, dict) else value for key, value in section.items()}
    return {key: value for key, value in inner.items() if value not in (None, [])}


def _leave_out_runtime(data: dict[str, Any]) -> None:
    """Remove the settings that change no accepted row from the plain data of a recipe."""
    for other in ("prices", "budget", *LICENCE_KEYS):
        del data[other]
    for key in ("attempts", *(kind for kind in ("personal", "slurs") if data["checks"][kind] == "flag")):
        del data["checks"][key]
