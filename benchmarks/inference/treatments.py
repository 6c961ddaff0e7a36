"""Simulate how often `compare` calls the trace of personas delivered: python -m benchmarks.inference.treatments."""

from collections import Counter

import numpy as np

from personagen.builder.evaluation.arms.delivery import persona_delivery
from personagen.metrics.statistics.paired import Blocks
from personagen.metrics.statistics.persona_trace import persona_f
from personagen.metrics.texts.corpus import Corpus

SEEDS = 3
"""Seeds per comparison."""

COLUMNS = 64
"""Columns of the simulated vectors, of falling variance."""

LABELS = 7
"""Labels, each with a mean of its own."""

DRAWS = 10
"""Halves per seed."""

CASES = ((28, 0.0), (28, 0.05), (28, 0.1), (70, 0.0), (70, 0.02), (70, 0.05), (70, 0.1), (70, 0.2), (350, 0.0),
         (350, 0.05), (350, 0.1))  # fmt: skip
"""Texts per seed, and fraction of their variance that is due to their persona; every persona has two texts."""


def simulated_blocks(generator: np.random.Generator, texts: int, fraction: float) -> Blocks:
    """Draw the vectors of one comparison and return its F ratios."""
    scale = 1 / np.sqrt(np.arange(1, COLUMNS + 1))
    wholes, halves = [], []
    kinds = texts // 2
    for _ in range(SEEDS):
        personas, labels = np.repeat(np.arange(kinds), 2), generator.permutation(np.arange(texts) % LABELS)
        means = generator.normal(size=(LABELS, COLUMNS)) * 0.5
        own = generator.normal(size=(kinds, COLUMNS)) * np.sqrt(fraction)
        noise = generator.normal(size=(texts, COLUMNS)) * np.sqrt(1 - fraction)
        vectors = (means[labels] + own[personas] + noise) * scale
        vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        corpus = Corpus([""] * texts, [str(label) for label in labels], vectors, "simulated")
        parts = [np.isin(personas, generator.choice(kinds, size=kinds // 2, replace=False)) for _ in range(DRAWS)]
        rows = [np.arange(texts), *map(np.flatnonzero, parts)]
        ratios = [persona_f(corpus.take(part), [str(persona) for persona in personas[part]]) for part in rows]
        wholes.append(ratios[0])
        halves.append(ratios[1:])
    return Blocks(np.array(wholes, dtype=float), np.array(halves, dtype=float), SEEDS * (kinds - 1))


def main(comparisons: int = 300) -> None:
    """Print the outcomes of each case."""
    for texts, fraction in CASES:
        generator = np.random.default_rng(5)
        outcomes = Counter[str]()
        for _ in range(comparisons if texts < 100 else comparisons // 4):
            delivery = persona_delivery("situational", simulated_blocks(generator, texts, fraction))
            outcomes["unknown" if delivery is None else delivery.outcome] += 1
        shares = ", ".join(f"{name} {count / outcomes.total():.1%}" for name, count in outcomes.most_common())
        print(f"{texts} texts per seed, {fraction:.0%} of the variance: {shares}")


if __name__ == "__main__":
    main()
