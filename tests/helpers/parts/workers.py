"""Workers that fill the parts of a recipe, as commands and in this process, and what their segments hold."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from personagen.builder.core.progress import SILENT, Progress
from personagen.builder.fill import FillResult, FillSettings, fill
from personagen.builder.planning.parts import Part
from personagen.builder.planning.recipe import Recipe
from personagen.builder.segments.sealing import ShippingTimes
from personagen.builder.segments.segment import Header
from personagen.builder.segments.store import open_store
from tests.helpers.flow import command

TIMES = ShippingTimes(retry_s=0.01)
"""Short pauses between the last tries to ship."""


def fill_part(recipe: Recipe, part: str, folder: Path, progress: Progress = SILENT, **settings: Any) -> FillResult:
    """Fill a part, such as "0/4", in this process; a worker has a folder of its own, named by its part."""
    number, of = map(int, part.split("/"))
    default: dict[str, Any] = {"journals": str(folder / "journals"), "work": folder / f"work-{number}-{of}"}
    return fill(recipe, Part(number, of), FillSettings(**default | {"times": TIMES} | settings), progress=progress)


def fill_parts(recipe: Recipe, parts: int, folder: Path, progress: Progress = SILENT) -> None:
    """Fill all parts of a recipe one after the other."""
    for number in range(parts):
        fill_part(recipe, f"{number}/{parts}", folder, progress)


def fill_command(url: str, recipe: Path, part: Part, journals: Path | str, work: Path, *options: str) -> list[str]:
    """Return the command that fills a part."""
    words = command(url, Path(), recipe)[:3]
    places = ["--part", str(part), "--journals", str(journals), "--work", str(work)]
    return [*words, "fill", str(recipe), "--base-url", url, *places, *options]


def headers_of(folder: Path | str) -> list[Header]:
    """Return the headers of the segments in a folder or at an address, in the order of their names."""
    store = open_store(str(folder))
    return [store.header(file) for file in store.sizes()]


def repeats(requests: Sequence[Mapping[str, Any]]) -> int:
    """Count the requests that were sent before."""
    bodies = Counter(json.dumps(body, sort_keys=True) for body in requests)
    return sum(count - 1 for count in bodies.values())
