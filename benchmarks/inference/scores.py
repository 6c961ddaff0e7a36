"""Figures of `evaluate`: p values of one source, ratings of few texts, diversity of independent sets of one source."""

from collections.abc import Iterator

import numpy as np

from benchmarks.inference.comparisons import comments
from benchmarks.inference.rates import ErrorCounts, ErrorRate, below, holds
from personagen.metrics.diversity.measure import diversity
from personagen.metrics.diversity.personas import association_p
from personagen.metrics.human_likeness.measure import Item, _likeness
from personagen.metrics.realism.mmd import bandwidth, mmd2_p

DIVERSITY = ("vendi_score", "rke", "self_bleu", "distinct_2", "mean_cosine", "compression_ratio")


def sources(sets: int) -> Iterator[ErrorRate]:
    """Yield how often two samples of one source differ by MMD, with repeats within each side."""
    corpus, _ = comments()
    width = bandwidth(corpus.vectors, 0)
    for texts in (20, 70, 350):
        for repeats in (0, 20):
            counter = ErrorCounts()
            for seed in range(sets):
                rows = np.random.default_rng([seed, texts, repeats]).permutation(len(corpus))[: 2 * texts]
                sides = [corpus.vectors[rows[:texts]].copy(), corpus.vectors[rows[texts:]].copy()]
                copies = texts * repeats // 100
                for side in sides:
                    side[:copies] = side[texts - copies :]
                counter.add("realism: mmd2_p < 0.05", below(mmd2_p(sides[0], sides[1], width, 0)))
            yield from counter.rates(
                f"{texts} v {texts} texts, {repeats} % repeated", {"realism: mmd2_p < 0.05": "5 %"}
            )


def favourites(sets: int) -> Iterator[ErrorRate]:
    """Yield how often attributes go with labels if only single personas favour a label."""
    figure = "diversity: persona_label_p < 0.05"
    for texts in (70, 350, 2000):
        for per_persona in (2, 10):
            counter = ErrorCounts()
            for seed in range(sets if texts < 2000 else max(sets // 5, 1)):
                generator = np.random.default_rng([seed, texts, per_persona])
                count = texts // per_persona
                people = [{name: str(generator.integers(6)) for name in "abcd"} for _ in range(count)]
                owners = np.arange(texts) // per_persona
                favoured = generator.integers(7, size=count)[owners]
                labels = np.where(generator.random(texts) < 0.5, favoured, generator.integers(7, size=texts))
                counter.add(figure, below(association_p([people[row] for row in owners], list(map(str, labels)), 0)))
            yield from counter.rates(
                f"{texts} texts, {per_persona} texts per persona with a favourite", {figure: "<= 5 %"}
            )


def ratings(sets: int) -> Iterator[ErrorRate]:
    """Yield the coverage of the intervals of human-likeness."""
    claimed = {"": "95 %", "_gap": "95 %", "_auc": ">= 95 %"}
    promises = {f"human_likeness{name}_ci holds the truth": promise for name, promise in claimed.items()}
    names = list(promises)
    for count, mean in ((3, 3.5), (10, 3.0), (10, 4.5), (20, 3.5), (70, 3.5), (350, 3.5), (2000, 3.5)):
        generator = np.random.default_rng([count, int(2 * mean)])
        many, others = _rated(3, 20_000, generator), _rated(mean, 20_000, generator)
        area = float((np.sign(np.subtract.outer(many[:4000], others[:4000])) / 2 + 0.5).mean())
        truths = many.mean(), many.mean() - others.mean(), area
        kinds = ["synthetic"] * count + ["real"] * count + ["shuffled", "template", "truncated"]
        items = [Item(kind, "", None) for kind in kinds]
        counter = ErrorCounts()
        for _ in range(sets if count < 2000 else max(sets // 10, 1)):
            drawn = np.concatenate([_rated(3, count, generator), _rated(mean, count, generator), np.ones(3)])
            found = _likeness(items, drawn)
            for name, key, truth in zip(names, ("", "_gap", "_auc"), truths, strict=True):
                ends = found[f"human_likeness{key}_ci"] or (None, None)
                counter.add(name, holds(ends[0], ends[1], truth))
        yield from counter.rates(f"{count} texts a side, means 3 and {mean}", promises)


def _rated(mean: float, count: int, generator: np.random.Generator) -> np.ndarray:  # type: ignore[type-arg]
    raters = mean + 0.6 * generator.normal(size=count)[:, None] + 0.9 * generator.normal(size=(count, 4))
    return np.asarray(np.clip(np.round(raters), 1, 5).mean(axis=1))


def sets_of_texts(sets: int) -> Iterator[ErrorRate]:
    """Yield how often the interval of a measure of diversity holds its mean over independent sets."""
    corpus, _ = comments()
    promises = {f"diversity: {name}_ci holds its mean": "95 %" for name in DIVERSITY}
    for texts, wanted in ((20, sets), (70, sets), (350, max(sets // 4, 1)), (2000, 0)):
        found = [
            diversity(corpus.take(np.random.default_rng([seed, texts]).permutation(len(corpus))[:texts]), seed=seed)
            for seed in range(wanted)
        ]
        counter = ErrorCounts()
        for name in DIVERSITY if found else ():
            mean = float(np.mean([one[name] for one in found]))
            for one in found:
                ends = one[f"{name}_ci"] or (None, None)
                counter.add(f"diversity: {name}_ci holds its mean", holds(ends[0], ends[1], mean))
        yield from counter.rates(f"{texts} independent texts", promises)
