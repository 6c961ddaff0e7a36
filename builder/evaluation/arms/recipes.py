"""Recipes of the arms: `generate` of an arm's recipe writes the texts of the arm.

Arms of real texts have no recipe, since no model writes them, and neither has `none-lengthmatched`: it repeats lengths
and first sentences of the texts of two other arms, and so is a control of an experiment and no way to write a release.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import yaml

from personagen.builder.core.errors import RecipeError
from personagen.builder.core.foreign_text import printable
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.recipe.sections import Depth, GroundingSettings, RealExamples, TextSource
from personagen.builder.writing.grounding import load_pools

VERBALIZED = ":verbalized"
"""Suffix of the name of an arm whose texts are drawn by verbalized sampling."""

ArmRecipe = Callable[[Recipe, str], Recipe]
"""Returns the recipe of an arm, from that of the full method and the source of real texts."""


def at_depth(depth: Depth) -> ArmRecipe:
    """Return the arm that writes from the layers down to a depth."""

    def recipe_of(part: Recipe, source: str) -> Recipe:
        return _at(part, depth)

    return recipe_of


def shown(part: Recipe, source: str) -> Recipe:
    """Write from all three layers, in the same style, without naming or voicing the emotion."""
    mixture = part.mixture()
    styles = dict(mixture.styles) if mixture is not None else {}
    # `expression: shown` would lose the style of a recipe that names none.
    return _at(part, "situational", expression="shown", style=styles or None)


def unstyled(part: Recipe, source: str) -> Recipe:
    """Write from all three layers, without naming or voicing the emotion and in no style."""
    return _at(part, "situational", expression="shown", style=None)


def few_shot(part: Recipe, source: str) -> Recipe:
    """Write from real texts of the emotion, without a persona."""
    return _grounded(_at(part, "none"), examples=RealExamples(source=source))


def full_real(part: Recipe, source: str) -> Recipe:
    """Write from all three layers and real texts of the emotion."""
    return _grounded(_at(part, "situational"), examples=RealExamples(source=source))


def paraphrase(part: Recipe, source: str) -> Recipe:
    """Paraphrase real texts."""
    return _grounded(_at(part, "none"), paraphrase=TextSource(source=source))


ARM_RECIPES: Mapping[str, ArmRecipe] = {
    "none": at_depth("none"),
    "situational": at_depth("situational"),
    "demographic": at_depth("demographic"),
    "sociocultural": at_depth("sociocultural"),
    "shown": shown,
    "unstyled": unstyled,
    "few-shot": few_shot,
    "full+real": full_real,
    "paraphrase": paraphrase,
}
"""Recipes by the names of their arms."""


def arm_recipe(name: str, part: Recipe, source: str) -> Recipe | None:
    """Return the recipe of an arm; None: it has none.

    Args:
        name: name of the arm.
        part: recipe of the full method, with the rows and the seed of the arm.
        source: source of real texts; see `load_reference`.

    """
    plain = name.removesuffix(VERBALIZED)
    if plain not in ARM_RECIPES:
        return None
    recipe = ARM_RECIPES[plain](part, source)
    return as_verbalized(recipe) if plain != name else recipe


def require_real_texts(names: Sequence[str], parts: Sequence[Recipe], source: str) -> None:
    """Require that the prompts of all arms can be made, before any model is called.

    Raises:
        RecipeError: a source has too few texts that prompts may show, or the model cannot follow verbalized sampling.

    """
    for name in names:
        if name.endswith(VERBALIZED) and parts[0].is_embedded:
            raise RecipeError(
                f"arm {name!r}: the embedded model cannot list texts with their probabilities; leave it out, or choose "
                "another model with --backend and --model"
            )
        for part in parts:
            if (recipe := arm_recipe(name, part, source)) is not None:
                load_pools(recipe)


def as_verbalized(recipe: Recipe) -> Recipe:
    """Return the recipe with verbalized sampling."""
    return _grounded(recipe, verbalized=True)


def best_arm(utility: Mapping[str, float], tokens: Mapping[str, float], failed: Collection[str]) -> str | None:
    """Return the arm with a recipe whose texts make the best classifier; of equal ones the one with fewest tokens.

    Args:
        utility: macro-F1 on the test part of the reference of a classifier that an arm's texts train, by arm.
        tokens: tokens per accepted text, by arm.
        failed: arms whose texts do not show their treatment: they are not what their recipe says.

    Returns:
        Name of the arm; None: no arm has a recipe and a utility.

    """
    candidates = [name for name in utility if name.removesuffix(VERBALIZED) in ARM_RECIPES and name not in failed]
    return max(candidates, key=lambda name: (utility[name], -tokens[name]), default=None)


def recipe_text(recipe: Recipe, header: list[str]) -> str:
    """Return the file of an arm's recipe, with the keys that differ from their defaults; parsed, it is equal.

    Args:
        recipe: the recipe.
        header: lines of the comment above the keys.

    """
    comment = "".join(f"# {printable(line)}\n" for line in header)
    data = recipe.model_dump(mode="json", exclude_defaults=True)
    return comment + yaml.safe_dump(data, sort_keys=False, allow_unicode=True)


def _at(part: Recipe, depth: Depth, **changes: Any) -> Recipe:
    """Return the recipe at a depth and with the given expression and style, without real texts of its own."""
    texts: dict[str, Any] = {"examples": None, "label_words": None}
    if "style" in changes:
        texts["style"] = changes.pop("style")
    text = part.text.model_copy(update=texts)
    return part.model_copy(update={"depth": depth, "ablations": (), "grounding": None, "text": text, **changes})


def _grounded(recipe: Recipe, **keys: Any) -> Recipe:
    settings = recipe.grounding.model_copy(update=keys) if recipe.grounding else GroundingSettings(**keys)
    return recipe.model_copy(update={"grounding": settings})
