"""Planted truths: an arm of copies, of another domain, with wrong labels, with leaked labels, of real rows.

Each must be ranked where it belongs by every measure that is concerned, and no worse than real text by the others.
"""

import random
from functools import cache

import numpy as np
import pytest

from personagen.builder.core.package_data import read_yaml
from personagen.builder.evaluation.claims import CLAIMS, SUPPORTED, verdict
from personagen.metrics.diversity.measure import semantic
from personagen.metrics.emotion_classifiers import train_linear
from personagen.metrics.panel import (
    MEASURES,
    Figures,
    PanelReference,
    Sample,
    _replace_text_counts,
    dealt,
    few_rows,
    measure,
    measure_resampled,
    reference_of,
    sample_of,
)
from personagen.metrics.statistics.paired import Blocks, estimate
from personagen.metrics.statistics.persona_trace import persona_f
from personagen.metrics.texts.corpus import Corpus
from personagen.metrics.texts.emotion_words import mask_pattern, mask_words
from tests.helpers.real_texts import corpus_of, real, vectors_of
from tests.writing.test_checks import FOREIGN

COUNT = 280
ARMS = ("real", "duplicates", "domain", "shuffled", "leaked", "copied")
GIVEAWAYS = {
    "anger": ("infuriated", "outrageously", "enraging", "resentfully"),
    "disgust": ("repulsed", "loathsome", "disgustedly", "nauseatingly"),
    "fear": ("terrifyingly", "frightens", "scariest", "dreaded"),
    "joy": ("rejoicing", "joyously", "happiest", "delightfully"),
    "sadness": ("saddened", "miserably", "unhappiest", "gloomily"),
    "surprise": ("astonishingly", "surprisingly", "astounds", "startled"),
}
"""Words that name an emotion to a reader of English; neutral texts get one of any emotion, which leaks nothing."""


@cache
def held() -> Corpus:
    return real(700)


@cache
def unseen() -> Corpus:
    return real(700, 700)


@cache
def sample() -> Corpus:
    """Real texts that are in neither part, evenly of all labels."""
    more = real(1400, 1400)
    labels = more.labels or []
    rows = [row for label in sorted(set(labels)) for row in [r for r, each in enumerate(labels) if each == label][:40]]
    return more.take(rows)


def hide(corpus: Corpus) -> Corpus:
    return corpus_of(
        [mask_words(text, mask_pattern(frozenset(classes()))) for text in corpus.texts], list(corpus.labels or [])
    )


@cache
def classes() -> tuple[str, ...]:
    return tuple(sorted(set(held().labels or [])))


@cache
def reference() -> PanelReference:
    classifier = train_linear(held(), unseen(), "test", lambda texts: vectors_of(list(texts)))
    return reference_of(held(), unseen(), held().texts, classifier, hide)


def without_personas(corpus: Corpus) -> Sample:
    return sample_of(corpus, hide(corpus), [None] * len(corpus))


def arm(name: str) -> Corpus:
    """Make an arm of which the truth is known."""
    base, rng = sample(), random.Random(0)
    texts, labels = list(base.texts), list(base.labels or [])
    if name == "duplicates":
        texts = [texts[row - row % 10] for row in range(len(texts))]
    elif name == "domain":
        events = {emotion: [text for event in read_yaml(f"situations/{emotion}.yaml")["events"]
                            for text in event["tellings"]] for emotion in classes()}  # fmt: skip
        texts = [events[label][row % 40] for row, label in enumerate(labels)]
    elif name == "shuffled":
        rng.shuffle(labels)
    elif name == "leaked":
        words = [rng.choice(GIVEAWAYS.get(label) or sum(GIVEAWAYS.values(), ())) for label in labels]
        texts = [f"{text} {word}" for text, word in zip(texts, words, strict=True)]
    elif name == "copied":
        rows = [row for label in sorted(set(labels))
                for row in [r for r, each in enumerate(held().labels or []) if each == label][:40]]  # fmt: skip
        return held().take(rows)
    return corpus_of(texts, labels)


@cache
def figures(name: str) -> Figures:
    corpus = arm(name)
    return measure_resampled(without_personas(corpus), range(len(corpus)), len(corpus), reference(), seed=0, draws=0)[0]


def value(name: str, key: str) -> float:
    figure = figures(name)[key]
    assert figure is not None, key
    return figure


def far(name: str, key: str) -> float:
    """Return the distance of an arm from the best value of a measure, up to a constant."""
    better = next(names[key] for names in MEASURES.values() if key in names)
    figure = value(name, key)
    return {"lower": figure, "higher": -figure, "0.5": abs(figure - 0.5)}[better]


UNTOUCHED = {
    "duplicates": {"real", "shuffled", "leaked", "copied"},
    "domain": {"real", "shuffled", "leaked", "copied"},
    "shuffled": {"real", "duplicates", "leaked", "copied"},
    "leaked": set(ARMS) - {"leaked"},
    "copied": set(ARMS) - {"copied"},
}
"""Arms that are as real text by the measures that a planted fault concerns: each must be ranked above it."""

CONCERNED = {
    "duplicates": (
        "duplicate_share", "distinct_2", "self_bleu", "homogenization_rouge_l", "compression_ratio", "hdd",
        "vendi_score", "rke", "mean_cosine", "cluster_entropy", "recall", "coverage", "frechet_distance", "mauve_star",
    ),
    "domain": (
        "mmd2", "frechet_distance", "energy_distance", "mauve_star", "c2st_auc", "c2st_auc_length_matched",
        "c2st_auc_style", "recall", "coverage", "js_length", "js_words", "js_punctuation",
    ),
    "shuffled": (
        "label_agreement", "masked_label_agreement", "tstr_macro_f1", "masked_tstr_macro_f1", "tfidf_tstr_macro_f1",
        "masked_tfidf_tstr_macro_f1", "gain_macro_f1", "masked_gain_macro_f1",
    ),
    "leaked": ("leak_rate",),
    "copied": ("copied_share",),
}  # fmt: skip


@pytest.mark.parametrize(("fault", "key"), [(fault, key) for fault, keys in CONCERNED.items() for key in keys])
def test_a_planted_fault_is_ranked_last_by_every_measure_that_it_concerns(fault: str, key: str) -> None:
    ranked = sorted((*UNTOUCHED[fault], fault), key=lambda name: far(name, key))
    assert ranked[-1] == fault and far(fault, key) > far(ranked[-2], key)


def test_shuffled_labels_cost_no_diversity() -> None:
    for key in ("vendi_score", "self_bleu", "mean_cosine", "mmd2"):
        assert value("shuffled", key) == pytest.approx(value("real", key), abs=1e-6)


def test_what_leaked_labels_gain_is_gone_where_their_words_are_hidden() -> None:
    assert value("leaked", "leak_rate") == pytest.approx(6 / 7) and value("real", "leak_rate") < 0.2
    assert value("leaked", "label_agreement") > value("leaked", "masked_label_agreement")
    for key in ("masked_label_agreement", "masked_tstr_macro_f1", "masked_tfidf_tstr_macro_f1"):
        assert value("leaked", key) == pytest.approx(value("real", key), abs=0.01)


@pytest.mark.parametrize(("foreign", "has_rate"), [(0.4, True), (0.6, False), (1.0, False)])
def test_leak_rate_is_that_of_the_english_texts_unless_most_are_in_other_languages(
    foreign: float, has_rate: bool
) -> None:
    """The lexicon is English: in another language a rate of 0 would mean nothing."""
    base, german = arm("leaked").take(range(70)), [text for text in FOREIGN["de"] for _ in range(14)]
    count = round(70 * foreign)
    mixed = corpus_of([*german[:count], *base.texts[count:]], list(base.labels or []))
    rate = measure(without_personas(mixed), reference(), 0)["leak_rate"]
    expected = measure(without_personas(base.take(range(count, 70))), reference(), 0)["leak_rate"] if has_rate else None
    assert rate == expected


def test_real_rows_that_are_copied_show_and_are_nearest_to_real_text() -> None:
    assert value("copied", "copied_share") == 1.0 and value("real", "copied_share") == 0.0
    assert min(ARMS, key=lambda name: value(name, "authenticity")) == "copied"
    assert min(ARMS, key=lambda name: value(name, "mmd2")) == "copied"


def test_halves_have_the_same_rows_of_the_plan_even_if_an_arm_lacks_some() -> None:
    corpus = arm("real")
    rows = [row for row in range(len(corpus)) if row % 40]
    complete, incomplete = (
        measure_resampled(without_personas(corpus.take(part)), part, len(corpus), reference(), seed=3, draws=2)[1]
        for part in (range(len(corpus)), rows)
    )
    differences = [
        abs((one["mean_words"] or 0) - (other["mean_words"] or 0))
        for one, other in zip(complete, incomplete, strict=True)
    ]
    # An arm that lacks 7 texts has nearly the same halves; other rows would differ by about 1 word.
    assert max(differences) < 0.5


def test_a_half_is_the_measure_of_its_rows() -> None:
    """The definition of resampling written out: equal draws of the plan and of the held texts."""
    corpus = arm("real").take(range(0, COUNT, 4))
    sample = without_personas(corpus)
    whole, (half,) = measure_resampled(sample, range(70), 70, reference(), seed=5, draws=1)
    generator = np.random.default_rng([5, 70, 21])
    held_rows = np.sort(generator.choice(700, size=70, replace=False))
    every = dealt(unseen().labels or [], 0, 1, np.random.default_rng(0))
    compared = reference().with_held(held_rows).with_few(few_rows(held(), generator), every)
    assert whole == measure(sample, compared, 5)
    rows = np.sort(generator.choice(70, size=35, replace=False))
    held_half = np.sort(generator.choice(70, size=35, replace=False))
    tests = dealt(unseen().labels or [], 0, 2, generator)
    other = compared.with_held(held_half).with_few(few_rows(held(), generator), tests)
    wanted = measure(sample.take(rows), other, 5)
    counts = ("vendi_score", "rke")
    assert {name: half[name] for name in half if name not in counts} == {
        name: wanted[name] for name in wanted if name not in counts
    }


def test_figures_that_count_texts_have_the_level_of_the_whole_and_the_spread_of_independent_sets() -> None:
    """Halves would have 0.6 of the variance; 30 sets of 70 texts give it within about a quarter."""
    texts = real(1400, 1400)
    generator = np.random.default_rng(0)
    wholes, spreads = [], []
    for _ in range(30):
        vectors = texts.vectors[generator.choice(1400, size=70, replace=False)]
        whole: Figures = dict(semantic(vectors))
        halves: list[Figures] = [{} for _ in range(8)]
        _replace_text_counts(vectors, np.arange(70), 70, whole, halves)
        values = np.array([[half["vendi_score"], half["rke"]] for half in halves], dtype=float)
        assert values.mean(axis=0) == pytest.approx([whole["vendi_score"], whole["rke"]])
        wholes.append([whole["vendi_score"], whole["rke"]])
        spreads.append(values.var(axis=0, ddof=1))
    ratio = np.mean(spreads, axis=0) / np.var(np.array(wholes, dtype=float), axis=0, ddof=1)
    assert (ratio > 0.7).all() and (ratio < 1.9).all(), ratio


def test_halves_consist_of_whole_personas() -> None:
    corpus = arm("real").take(range(0, COUNT, 4))
    marked = corpus_of([f"{'word ' * (row // 10 + 1)}" for row in range(70)], list(corpus.labels or []))
    personas = [row // 10 for row in range(70)]
    halves = measure_resampled(
        without_personas(marked), range(70), 70, reference(), seed=1, draws=4, personas=personas
    )[1]
    for half in halves:
        assert half["mean_words"] is not None
        assert half["mean_words"] * 3 == pytest.approx(round(half["mean_words"] * 3)), "3 personas of 10 texts each"
    assert len({half["mean_words"] for half in halves}) > 1


def test_blocks_share_no_test_texts_and_have_their_own_real_texts() -> None:
    labels = list(unseen().labels or [])
    parts = [dealt(labels, part, 3, np.random.default_rng([3, 22])) for part in range(3)]
    assert sorted(row for part in parts for row in part) == list(range(len(labels)))
    counts = [[[labels[row] for row in part].count(label) for label in classes()] for part in parts]
    assert all(max(column) - min(column) <= 1 for column in zip(*counts, strict=True))
    assert len(dealt(labels[:2], 2, 3, np.random.default_rng(0))) == 2, "fewer texts than blocks: all of them"
    draws = [set(few_rows(held(), np.random.default_rng(seed)).tolist()) for seed in range(3)]
    assert all(len(draw) == 98 for draw in draws) and len(draws[0] & draws[1]) < 60


def test_a_persona_leaves_a_trace_or_none() -> None:
    generator = np.random.default_rng(0)
    personas = [f"p{row // 4}" for row in range(200)]
    labels = [("joy", "fear")[row % 2] for row in range(200)]
    noise = generator.normal(size=(200, 16))
    own = np.repeat(generator.normal(size=(50, 16)), 4, axis=0)

    def corpus(vectors: np.ndarray) -> Corpus:
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return Corpus([""] * 200, labels, unit.astype(np.float32), "given")

    none, much = persona_f(corpus(noise), personas), persona_f(corpus(noise + own), personas)
    assert none == pytest.approx(1, abs=0.25)
    assert much is not None and much > 3
    assert persona_f(corpus(noise), [None] * 200) is None
    assert persona_f(corpus(noise), [str(row) for row in range(200)]) is None
    assert persona_f(corpus(noise), ["p"] * 200) is None


@pytest.mark.parametrize(("rows", "situations"), [(35, 2), (35, 4), (70, 2), (70, 4), (350, 2), (350, 4)])
def test_f_of_personas_is_1_without_a_trace(rows: int, situations: int) -> None:
    """The ratio without the degrees of freedom of labels would be 1.07 on average, at 35 rows 1.5."""
    generator = np.random.default_rng([rows, situations])
    labels = [str(row % 7) for row in range(rows)]
    personas = [str(row // situations) for row in range(rows)]
    means = generator.normal(size=(7, 64)) / 2
    ratios = []
    for _ in range(40 if rows < 350 else 15):
        vectors = generator.normal(size=(rows, 64)) + means[[row % 7 for row in range(rows)]]
        ratios.append(persona_f(Corpus([""] * rows, labels, vectors.astype(np.float32), "given"), personas))
    assert np.mean(np.array(ratios, dtype=float)) == pytest.approx(1, abs=0.025)


def test_f_of_personas_is_1_if_each_persona_writes_texts_of_one_label() -> None:
    """14 personas, two per label, have 7 degrees of freedom beyond the labels, not 13: F would be 0.54."""
    generator = np.random.default_rng(11)
    personas = np.arange(70) // 5
    labels, means = [str(persona % 7) for persona in personas], generator.normal(size=(7, 64))
    ratios = []
    for _ in range(30):
        vectors = generator.normal(size=(70, 64)) + means[personas % 7]
        ratios.append(persona_f(Corpus([""] * 70, labels, vectors.astype(np.float32), "given"), personas.astype(str)))
    assert np.mean(np.array(ratios, dtype=float)) == pytest.approx(1, abs=0.05)


def test_f_of_personas_is_that_of_a_linear_model() -> None:
    """Labels that favour some personas: least squares on indicator columns, with and without personas."""
    generator = np.random.default_rng(4)
    labels = generator.integers(3, size=60)
    personas = np.repeat(np.arange(15), 4)
    vectors = generator.normal(size=(60, 5)) + labels[:, None]
    one = np.eye(3)[labels]
    both = np.hstack([one, np.eye(15)[personas]])

    def residual(design: np.ndarray) -> float:
        return float(np.square(vectors - design @ np.linalg.lstsq(design, vectors, rcond=None)[0]).sum())

    rank = int(np.linalg.matrix_rank(both))
    expected = ((residual(one) - residual(both)) / (rank - 3)) / (residual(both) / (60 - rank))
    corpus = Corpus([""] * 60, [str(label) for label in labels], vectors.astype(np.float32), "given")
    assert persona_f(corpus, [str(persona) for persona in personas]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("rows", "situations"), [(35, 4), (70, 2), (70, 4)])
def test_the_claim_of_a_trace_is_supported_in_at_most_its_level_without_one(rows: int, situations: int) -> None:
    """Real texts, dealt to personas at random, 100 comparisons of 3 seeds: 2.5 % and three standard errors are 7."""
    texts, generator = real(2100), np.random.default_rng([rows, situations, 1])
    by_label = [np.flatnonzero(np.array(texts.labels) == label) for label in classes()]
    personas = np.arange(rows) // situations
    kinds = int(personas.max()) + 1
    claim = next(claim for claim in CLAIMS if claim.measure == "persona_f")
    supported = 0
    for _ in range(100):
        wholes, halves = [], []
        for _ in range(3):
            chosen = np.array([generator.choice(label, rows // 7, replace=False) for label in by_label]).T.ravel()
            part = texts.take(chosen)
            wholes.append(persona_f(part, [str(persona) for persona in personas]))
            drawn = [np.flatnonzero(np.isin(personas, generator.choice(kinds, kinds // 2, replace=False)))
                     for _ in range(6)]  # fmt: skip
            halves.append([persona_f(part.take(rows), [str(personas[row]) for row in rows]) for rows in drawn])
        complete = all(value is not None for row in halves for value in row)
        blocks = Blocks(
            np.array(wholes, dtype=float) - 1,
            np.array(halves if complete else [[]] * 3, dtype=float) - 1,
            3 * kinds - 3,
        )
        found = estimate(blocks)
        supported += verdict(claim, found.value, found.p) == SUPPORTED
    assert supported <= 7
