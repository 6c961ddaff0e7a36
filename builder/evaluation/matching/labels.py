"""Map the labels of a reference to the emotions of a recipe's taxonomy."""

from collections.abc import Collection, Sequence

from personagen.builder.core.errors import RecipeError
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.taxonomy import NAMED_TAXONOMIES, named_taxonomy
from personagen.metrics.style.expressions import family_of

BASIC = "ekman"
"""Taxonomy to whose emotions the labels of GoEmotions are mapped."""

MAX_LABELS_NAMED = 12
"""Unknown labels that a message names."""


def emotions_of_labels(labels: Collection[str], recipe: Recipe, reference: str) -> dict[str, str]:
    """Return the emotion of each label that the recipe writes; labels differ in case and outer spaces at most.

    With the taxonomy ekman, labels of GoEmotions count as the basic emotion to which GoEmotions assigns them.

    Args:
        labels: distinct labels of the reference.
        recipe: its taxonomy; its emotions, where it names some.
        reference: name of the reference in messages.

    Raises:
        RecipeError: a label is no emotion of the taxonomy, and the recipe does not choose the emotions.

    """
    taxonomy = recipe.model_copy(update={"emotions": None, "quotas": None}).chosen_taxonomy()
    wanted = set(recipe.emotions or taxonomy.names)
    mapping: dict[str, str] = {}
    unknown = []
    for label in sorted(labels):
        emotion = label.strip().lower()
        if emotion not in taxonomy.names and recipe.taxonomy == BASIC:
            emotion = family_of(emotion)
        if emotion in wanted:
            mapping[label] = emotion
        elif emotion not in taxonomy.names:
            unknown.append(label)
    if unknown and recipe.emotions is None:
        raise RecipeError(_unknown_labels(unknown, labels, taxonomy.name, reference, sorted(set(mapping.values()))))
    return mapping


def _unknown_labels(
    unknown: Sequence[str], labels: Collection[str], taxonomy: str, reference: str, known: Sequence[str]
) -> str:
    named = ", ".join(f"{label:.40}" for label in unknown[:MAX_LABELS_NAMED])
    named += f" and {len(unknown) - MAX_LABELS_NAMED} more" if len(unknown) > MAX_LABELS_NAMED else ""
    plain = {label.strip().lower() for label in labels}
    others = [name for name in NAMED_TAXONOMIES if plain <= set(named_taxonomy(name).names)]
    advice = [f"choose --taxonomy {others[0]}"] if others else []
    advice += [f"leave them out with --emotions {','.join(known)}"] if len(known) > 1 else []
    advice += ["rename them", "define them in the taxonomy of a recipe and name it with --recipe"]
    return (
        f"reference {reference} has labels that are no emotions of the taxonomy {taxonomy}: {named}; "
        f"{', '.join(advice[:-1])}, or {advice[-1]}"
    )
