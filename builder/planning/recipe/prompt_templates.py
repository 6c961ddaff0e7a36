"""The prompt templates that the texts of a recipe are written with: which ones, and those that it replaces."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from personagen.builder.core.package_data import TEMPLATES
from personagen.builder.core.records import layers_of
from personagen.builder.planning.prompts import PromptFile, read_prompts, validate_templates, wordings_in
from personagen.builder.planning.prompts.files import FURTHER, LAYERS, PROSE_NAMES, TEXT_NAMES

if TYPE_CHECKING:
    from personagen.builder.planning.recipe.model import Recipe

MODEL_OF: Mapping[str, str] = {
    "expression": "is for texts with neither style nor expression, of models that follow instructions",
    "styled": "is for texts with a style or an expression, of models that follow instructions",
    "continuation": "is for texts with neither style nor expression, of the embedded model",
    "styled_continuation": "is for texts with a style or an expression, of the embedded model",
    "list": "is for the embedded model at depth none with text.examples or grounding",
    LAYERS: "is called by none of the recipe's templates",
    FURTHER: "is for personas with further attributes, where a template calls `layer`",
    **dict.fromkeys(PROSE_NAMES, "is for prose that the model does not write here; see elaborate and depth"),
}
"""Why a template can be without effect."""

LAYER_CALL = re.compile(r"\blayer\b")
"""Use of the macros of `_layers` in a template."""


def text_template(recipe: "Recipe") -> str:
    """Return the template of the texts of a recipe."""
    styled = recipe.mixture() is not None
    if recipe.is_embedded:
        return "styled_continuation" if styled else "continuation"
    return "styled" if styled else "expression"


def used_templates(recipe: "Recipe") -> tuple[str, ...]:
    """Return the templates that a recipe's requests are rendered from, in the order of the stages."""
    depths = (recipe.depth, *recipe.ablations)
    layers = layers_of(recipe.deepest)
    names = [layer for layer in recipe.elaborated() if layer in layers]
    names += [text_template(recipe), *(["list"] if _continues_lists(recipe, depths) else [])]
    own = {file.template: file.text for file in recipe.prompt_files()}
    texts = [own[name] if name in own else package_template(name).decode() for name in names]
    calls_layers = any(LAYER_CALL.search(text) for text in texts)
    return (*(["_layers", *(["_further"] if has_further(recipe) else [])] if calls_layers else []), *names)


def has_further(recipe: "Recipe") -> bool:
    """Return whether the template `_further` describes further attributes of the personas to the model.

    It does unless the recipe has a template `_layers` of its own and no `_further`.
    """
    own = {file.template for file in recipe.prompt_files()}
    has_attributes = recipe.personas is not None and bool(recipe.personas.attributes)
    return has_attributes and (LAYERS not in own or FURTHER in own)


def _continues_lists(recipe: "Recipe", depths: Sequence[str]) -> bool:
    """Return whether the embedded model continues lists of real texts: paraphrases, or examples without a persona."""
    grounding = recipe.grounding
    has_examples = recipe.text.examples is not None or (grounding is not None and grounding.examples is not None)
    paraphrases = grounding is not None and grounding.paraphrased() is not None
    return recipe.is_embedded and (paraphrases or (has_examples and "none" in depths))


def wordings_of(recipe: "Recipe") -> tuple[str, ...]:
    """Return the names of the wordings of the template of a recipe's texts, in order; empty: it has one."""
    files = [] if recipe.prompts is None else recipe.prompt_files()
    template = text_template(recipe) if files else ""
    return wordings_in([file for file in files if file.template == template])


def package_template(name: str) -> bytes:
    """Return the content of a template of the package."""
    return (TEMPLATES / f"{name}.md").read_bytes()


def validate_prompts(recipe: "Recipe") -> None:
    """Raise ValueError if a template of a recipe cannot be rendered, or would have no effect."""
    files = read_prompts(recipe.prompts)
    used = used_templates(recipe)
    for file in files:
        if file.template not in used and not _is_as_in_package(file):
            meant = f"; name it {text_template(recipe)}" if file.template in TEXT_NAMES else "; leave it out"
            raise ValueError(
                f"prompts.{file.template}: {file.name} would have no effect: the template {MODEL_OF[file.template]}, "
                f"and this recipe uses {', '.join(used)}{meant}"
            )
    validate_templates(files)


def _is_as_in_package(file: PromptFile) -> bool:
    return file.content == package_template(file.template)
