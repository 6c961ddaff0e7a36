"""Measures of emotional text: four `evaluate` modules over plain functions, for any lists of texts."""

from pathlib import Path

__all__ = ["NAMES", "path"]

NAMES = ("diversity", "realism", "human_likeness", "utility")
"""The metrics; each is a folder here."""


def path(name: str) -> str:
    """Return the folder of a metric, as `evaluate.load` takes it.

    Raises:
        ValueError: there is no such metric.

    """
    if name not in NAMES:
        raise ValueError(f"metric is {name!r:.60}, wanted one of {', '.join(NAMES)}")
    return str(Path(__file__).parent / name)
