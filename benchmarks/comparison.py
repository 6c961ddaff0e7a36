"""Time to evaluate 20,000 rows of 10 arms, first with and then without encoding the texts.

python benchmarks/comparison.py [--rows 20000] [--arms 10]

Texts are parts of real ones of the reference put together, so that they differ: what is timed does not depend on who
wrote them. Vectors are made once before the clock starts, and kept where all are.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from personagen.builder.core.progress import SILENT
from personagen.builder.evaluation.arms import ArmText, ReferenceParts, read_parts
from personagen.builder.evaluation.measure_arms import measure_arms
from personagen.builder.planning.plan import RowPlan

EMOTIONS = ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")


def main() -> None:
    """Print the seconds of both passes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000, help="texts of every arm")
    parser.add_argument("--arms", type=int, default=10)
    arguments = parser.parse_args()
    real = read_parts("goemotions", None, dict.fromkeys(EMOTIONS, 10))
    texts = {f"arm {number}": list(written(real, arguments.rows, number)) for number in range(arguments.arms)}
    rows = [
        RowPlan(text.id, text.label, None, "none", "train", persona=number // 2, situation=number % 2, turn=number)
        for number, text in enumerate(texts["arm 0"])
    ]
    print(f"{arguments.rows} rows x {arguments.arms} arms")
    for name in ("vectors made and kept", "vectors at hand"):
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            blocks, _ = measure_arms([texts], [rows], real, Path(folder), SILENT)
            figures = len(next(iter(blocks.values())))
            print(f"{name}: {time.perf_counter() - start:.0f} s for {figures} figures an arm", flush=True)


def written(real: ReferenceParts, rows: int, arm: int) -> Iterator[ArmText]:
    """Combine texts: the first half of one and the second half of another with the same label."""
    draw = random.Random(arm)
    by_label = {emotion: [] for emotion in EMOTIONS}  # type: dict[str, list[list[str]]]
    for text, label in zip(real.pool.texts, real.pool.labels or (), strict=True):
        by_label[label].append(text.split())
    for row in range(rows):
        label = EMOTIONS[row % len(EMOTIONS)]
        one, other = draw.sample(by_label[label], 2)
        words = [*one[: len(one) // 2 + 1], *other[len(other) // 2 :]]
        yield ArmText(f"{label}-{row:06d}", " ".join(words), label, f"p{row // 2:06d}")


if __name__ == "__main__":
    main()
