"""One case in one process: reads the input, runs, and prints CPU seconds, growth of memory and the value."""

import json
import resource
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

LABELS = 20
"""Groups of the silhouette."""


@dataclass(frozen=True)
class Case:
    """Input of a case: texts, their words, and two sets of unit vectors."""

    texts: list[str]
    words: list[list[str]]
    one: np.ndarray
    other: np.ndarray


@dataclass(frozen=True)
class Part:
    """Value of a case and the fraction of the work that gave it."""

    value: Any
    share: float


def read(place: Path) -> Case:
    """Read an input."""
    texts, words = (json.loads((place / f"{name}.json").read_text(encoding="utf-8")) for name in ("texts", "words"))
    return Case(texts, words, np.load(place / "one.npy"), np.load(place / "other.npy"))


def run(cases: Mapping[str, Callable[[Case], Any]], side: str) -> None:
    """Run the case of the command line on its input and print one line of JSON.

    A small input goes first, so that imports are not counted.
    """
    name, place = sys.argv[1], Path(sys.argv[2])
    case = read(place)
    few = min(200, len(case.words))
    cases[name](Case(case.texts[:few], case.words[:few], case.one[:few], case.other[:few]))
    before, started = peak(), time.process_time()
    found = cases[name](case)
    seconds = time.process_time() - started
    part = found if isinstance(found, Part) else Part(found, 1.0)
    value = None if part.value is None else np.asarray(part.value, dtype=float).tolist()
    line = {
        "side": side,
        "seconds": seconds / part.share,
        "share": part.share,
        "mib": peak() - before,
        "value": value,
    }
    print(json.dumps(line))


def peak() -> float:
    """Return the peak memory of this process in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
