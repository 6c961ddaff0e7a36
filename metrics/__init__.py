"""Measures of emotional text: four `evaluate` modules over plain functions, for any lists of texts.

Rooms, each importing only those before it: `texts`, `statistics`, the four metrics, `emotion_classifiers`, `panel`.
None imports the builder.
"""

from pathlib import Path

__all__ = ["NAMES", "path"]

NAMES = ("diversity", "realism", "human_likeness", "utility")
"""Names of the metrics and of their folders."""


def path(name: str) -> str:
    """Return the folder of a metric, the argument of `evaluate.load`.

    Raises:
        ValueError: there is no such metric.

    """
    if name not in NAMES:
        raise ValueError(f"metric is {name!r:.60}, wanted one of {', '.join(NAMES)}")
    return str(Path(__file__).parent / name)
