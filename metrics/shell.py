"""What the `evaluate` modules have in common: the names of their arguments, and how they treat those of the others.

`evaluate.combine` hands every argument to every module, and knows texts as `predictions` and `references` only. So each
module takes the arguments of all, uses its own, and refuses what none of them knows: left alone, `evaluate` drops it
without a word.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from personagen.metrics.texts.inputs import validate_texts

ARGUMENTS = frozenset(
    {
        "data", "reference_data", "predictions", "references", "labels", "reference_labels", "embeddings",
        "reference_embeddings", "seed", "sample_size", "personas", "vocabulary", "judge", "test_data", "test_labels",
        "test_embeddings", "model", "mask_words",
    }
)  # fmt: skip
"""Every argument that some module takes; one name means one thing in all of them."""

ALIASES: Mapping[str, str] = {"predictions": "data", "references": "reference_data"}
"""What `evaluate.combine` calls the texts and the real texts."""


def own_arguments(given: Mapping[str, Any], own: Iterable[str]) -> dict[str, Any]:
    """Pick the arguments of one module, texts under the names `data` and `reference_data`; None counts as not given.

    Args:
        given: what `compute` was called with.
        own: the arguments that this module takes.

    Raises:
        TypeError: an argument is known to no module, or texts were given under both names.

    """
    said = {name: value for name, value in given.items() if value is not None}
    unknown = sorted(said.keys() - ARGUMENTS)
    if unknown:
        wanted = ", ".join(sorted(own))
        raise TypeError(f"compute got {', '.join(unknown)}, wanted no more than {wanted}")
    for alias, name in ALIASES.items():
        if alias in said:
            value = said.pop(alias)
            if said.get(name, value) is not value:
                raise TypeError(f"compute got {alias} and {name}, which mean the same; give one of them")
            said[name] = value
    return {name: said[name] for name in own if name in said}


def both_sides(predictions: object, references: object) -> tuple[list[str | None], list[str | None]]:
    """Check texts and real texts, and make them equally many with None, which `evaluate` wants of them.

    Raises:
        TypeError: one of them is missing, or no list of strings.
        ValueError: one of them is empty.

    """
    if predictions is None or references is None:
        raise TypeError(
            f"{'predictions' if predictions is None else 'references'} is missing, wanted a list of strings"
        )
    sides = validate_texts(predictions, "predictions"), validate_texts(references, "references")
    longest = max(map(len, sides))
    padding = [[None] * (longest - len(side)) for side in sides]
    return [*sides[0], *padding[0]], [*sides[1], *padding[1]]


def unpadded(column: Iterable[str | None]) -> list[str]:
    """Take out the None that `both_sides` put in."""
    return [text for text in column if text is not None]
