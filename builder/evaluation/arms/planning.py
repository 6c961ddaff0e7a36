"""Plan a comparison: the order of its arms, the recipe of each seed, and the rows that all arms share."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from personagen.builder.core.errors import RecipeError
from personagen.builder.evaluation.arms.conditions import ARMS, STYLE_ARMS, USES, ArmSetting
from personagen.builder.evaluation.arms.recipes import VERBALIZED
from personagen.builder.planning.plan import make_plan
from personagen.builder.planning.quotas import split_quota
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.recipe.sections import Splits
from personagen.builder.planning.suggestions import did_you_mean

if TYPE_CHECKING:
    from personagen.metrics.texts.corpus import Corpus

TEXT_BYTES = 560
"""Memory per text of an arm, held until the comparison is saved; measured by `python -m benchmarks.scale.arms`."""

GIGABYTE = 10**9


def ordered_arms(names: Sequence[str] | None, *, styled: bool) -> list[str]:
    """Return the names of arms in the order of writing, with the arms that they use.

    Args:
        names: names of arms. None: all of them.
        styled: whether the recipe asks for expressions and styles; otherwise two arms would equal the full method.

    Raises:
        RecipeError: a name is unknown, or asks for sampling from an arm of real texts.

    """
    wanted: set[str] = set()
    for name in names or [name for name in ARMS if styled or name not in STYLE_ARMS]:
        plain = name.removesuffix(VERBALIZED)
        if plain not in ARMS:
            raise RecipeError(f"unknown arm {name!r:.60}{did_you_mean(plain, ARMS)}; known: {', '.join(ARMS)}")
        if plain in STYLE_ARMS and not styled:
            raise RecipeError(
                f"arm {name!r} differs from the full method in expression and style, and the recipe is `expression: "
                "shown` in no style; leave expression or the arm out"
            )
        if plain != name and plain in ("retrieval", "real"):
            raise RecipeError(f"arm {name!r} has nothing to sample: no model writes it; leave {VERBALIZED!r} out")
        wanted |= {name, *USES.get(plain, ())}
    return [name + suffix for name in ARMS for suffix in ("", VERBALIZED) if name + suffix in wanted]


def require_memory(arms: int, rows: int) -> None:
    """Raise RecipeError if the texts of all arms take more memory than this machine has; `rows` are those per arm."""
    wanted, present = arms * rows * TEXT_BYTES, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if wanted > present:
        raise RecipeError(
            f"the texts of {arms} arms with --rows {rows} take {wanted / GIGABYTE:,.0f} GB of memory, and this machine "
            f"has {present / GIGABYTE:,.0f} GB; lower --rows, or name fewer arms with --arms"
        )


def part_recipes(recipe: Recipe, rows: int, seeds: int) -> list[Recipe]:
    """Return the recipe of each seed: the full method, its part of the rows, no splits.

    Args:
        recipe: recipe of the comparison; its seed is that of the first part.
        rows: texts per arm, over all seeds.
        seeds: number of parts.

    Raises:
        RecipeError: a part has fewer than two rows per emotion and wording.

    """
    return [_part_recipe(recipe, rows, seeds, number) for number in range(seeds)]


def _part_recipe(recipe: Recipe, all_rows: int, seeds: int, number: int) -> Recipe:
    names = recipe.chosen_taxonomy().names
    rows = all_rows // seeds + (number < all_rows % seeds)
    fractions = {name: count / recipe.rows for name, count in recipe.quota().items()}
    quotas = split_quota(rows, fractions) if recipe.quotas else None
    wordings = max(1, len(recipe.wordings()))
    least = 2 * wordings
    if rows < least * len(names) or min((quotas or {"": least}).values()) < least:
        parts = f"{len(names)} emotions" + (f" in {wordings} wordings" if wordings > 1 else "")
        raise RecipeError(
            f"--rows {all_rows} over {seeds} seeds gives {rows} texts per seed for {parts}, wanted two "
            "or more of each; raise --rows, lower --seeds or name fewer --emotions"
        )
    return recipe.model_copy(
        update={
            "seed": recipe.seed + number,
            "rows": rows,
            "quotas": quotas,
            "depth": "situational",
            "ablations": (),
            "counterfactual": None,
            "grounding": None,
            "splits": Splits(train=1, validation=0, test=0),
        }
    )


def plan_arms(part: Recipe, pool: "Corpus", source: str = "") -> ArmSetting:
    """Plan the rows of one seed, which all its arms share.

    Args:
        part: recipe of the seed.
        pool: real texts that arms may use.
        source: where they come from; "": no arm has real texts in its prompts.

    """
    plan = make_plan(part)
    return ArmSetting(part, pool, [row for shard in plan.shards() for row in plan.rows(shard)], {}, source)
