"""Figures of `evaluate`: p values of one source, ratings of few texts, diversity of independent sets of one source."""

from collections.abc import Iterator

import numpy as np

from benchmarks.inference.comparisons import all_comments, comments
from benchmarks.inference.rates import ErrorCounts, ErrorRate, below, holds
from personagen.metrics.diversity.measure import diversity
from personagen.metrics.diversity.personas import association_p, persona_variance
from personagen.metrics.human_likeness.agreement import agreement_interval, krippendorff_alpha
from personagen.metrics.human_likeness.measure import Item, _likeness
from personagen.metrics.realism.mmd import bandwidth, mmd2_p
from personagen.metrics.texts.corpus import Corpus


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
                counter.add("realism: mmd2_p < 0.05", below(mmd2_p(sides[0], sides[1], width, seed)))
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
                counter.add(figure, below(association_p([people[row] for row in owners], list(map(str, labels)), seed)))
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
        for _ in range(sets if count < 2000 else max(sets // 2, 1)):
            drawn = np.concatenate([_rated(3, count, generator), _rated(mean, count, generator), np.ones(3)])
            found = _likeness(items, drawn)
            for name, key, truth in zip(names, ("", "_gap", "_auc"), truths, strict=True):
                ends = found[f"human_likeness{key}_ci"] or (None, None)
                counter.add(name, holds(ends[0], ends[1], truth))
        yield from counter.rates(f"{count} texts a side, means 3 and {mean}", promises)


def _rated(mean: float, count: int, generator: np.random.Generator) -> np.ndarray:
    raters = mean + 0.6 * generator.normal(size=count)[:, None] + 0.9 * generator.normal(size=(count, 4))
    return np.asarray(np.clip(np.round(raters), 1, 5).mean(axis=1))


def sets_of_texts(sets: int) -> Iterator[ErrorRate]:
    """Yield how often the interval of a measure of diversity holds its mean over independent sets, where there is one.

    Sets of 350 overlap: two of them share 7 % of their texts.
    """
    whole = all_comments()
    corpus = Corpus(whole.texts, None, whole.vectors, whole.model)
    for texts, wanted in ((20, sets), (70, sets // 2), (350, sets // 8)):
        results = [
            diversity(corpus.take(np.random.default_rng([seed, texts]).permutation(len(corpus))[:texts]), seed=seed)
            for seed in range(max(wanted, 2))
        ]
        counter = ErrorCounts()
        for name in (key.removesuffix("_ci") for key in results[0] if key.endswith("_ci")):
            values = [found[name] for found in results if found[name] is not None]
            for found in results if values else ():
                ends = found[f"{name}_ci"] or (None, None)
                counter.add(f"diversity: {name}_ci holds its mean", holds(ends[0], ends[1], float(np.mean(values))))
        yield from counter.rates(f"{texts} independent texts", dict.fromkeys(counter.hits, "95 %"))


def traces_of_personas(sets: int) -> Iterator[ErrorRate]:
    """Yield how often vectors vary between personas to whom texts were dealt at random."""
    corpus, figure = all_comments(), "diversity: persona_variance_p < 0.05"
    for texts in (20, 70, 350):
        counter = ErrorCounts()
        for seed in range(sets):
            rows = np.random.default_rng([seed, texts, 11]).permutation(len(corpus))[:texts]
            people = [{"name": str(row // 2)} for row in range(texts)]
            counter.add(figure, below(persona_variance(corpus.vectors[rows], people, seed)[1]))
        yield from counter.rates(f"{texts} texts, 2 texts per persona", {figure: "5 %"})


def agreements(sets: int) -> Iterator[ErrorRate]:
    """Yield the coverage of the interval of Krippendorff's alpha of two judges, over texts and controls."""
    figure = "judge_alpha_ci holds the truth"
    for count in (10, 20, 70, 350):
        for noise in (0.7, 1.5):
            generator = np.random.default_rng([count, int(10 * noise)])
            many = np.concatenate([_judged(count, noise, generator) for _ in range(40_000 // count)])
            truth = krippendorff_alpha(many.reshape(-1, 2))
            counter = ErrorCounts()
            for _ in range(sets if count < 350 else max(sets // 20, 1)):
                ends = agreement_interval(krippendorff_alpha, _judged(count, noise, generator)) or (None, None)
                counter.add(figure, holds(ends[0], ends[1], truth or 0.0))
            yield from counter.rates(f"{count} texts a side, two judges, alpha {truth:.2f}", {figure: "95 %"})


def _judged(count: int, noise: float, generator: np.random.Generator) -> np.ndarray:
    """Draw ratings of texts, real texts and controls on four dimensions, shape (texts, 4, 2)."""
    controls = 3 * max(count // 3, min(count, 5))
    means = np.repeat([3.0, 3.5, 1.8], [count, count, controls]) + 0.6 * generator.normal(size=2 * count + controls)
    by_dimension = means[:, None] + 0.4 * generator.normal(size=(len(means), 4))
    judged = by_dimension[:, :, None] + noise * generator.normal(size=(*by_dimension.shape, 2))
    return np.asarray(np.clip(np.round(judged), 1, 5))
