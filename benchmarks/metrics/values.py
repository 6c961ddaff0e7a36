"""Values that the cards quote, and four sets that measures have to separate: `python -m benchmarks.metrics.values`.

Real vectors of the default model: three minutes the first time, for the texts are encoded then.
"""

import warnings
from collections.abc import Sequence

import numpy as np

from personagen.metrics.diversity import diversity
from personagen.metrics.realism import realism
from personagen.metrics.texts.corpus import Corpus, read_corpus
from personagen.metrics.texts.reference import load_reference
from personagen.metrics.utility import utility
from tests.helpers.real_texts import half_twice, shuffled_words, templates

SHOWN = {
    "diversity": (
        "self_bleu", "distinct_2", "homogenization_rouge_l", "compression_ratio", "hdd", "vendi_score", "rke",
        "mean_cosine",
    ),
    "realism": (
        "mmd2", "frechet_distance", "mauve_star", "fi_star", "precision", "recall", "density", "coverage",
        "authenticity", "c2st_auc", "c2st_auc_style", "js_length", "js_label", "label_consistency",
    ),
    "utility": (
        "tstr_macro_f1", "trtr_macro_f1", "trts_macro_f1", "tstr_trtr_gap", "utility_floor_shuffled",
        "utility_floor_majority", "utility_ceiling",
    ),
}  # fmt: skip

WRITTEN = (
    "named_share", "voiced_share", "shown_share", "valenced_per_100", "polarity", "words_per_text", "lowercase_share",
    "unpunctuated_share", "fragment_share", "misspelt_per_100", "exclamations_per_100", "questions_per_100",
    "contractions_per_100", "shouted_per_100", "emoji_per_100", "laughter_per_100", "profanity_per_100",
)  # fmt: skip
"""Measures of `realism` about how texts are written, which the cards quote too."""

COUNT = 1000
"""Texts per set."""


def parts() -> tuple[Corpus, Corpus]:
    """Read the train and the test part of the slice of GoEmotions."""
    reference = load_reference("goemotions")
    return (
        read_corpus(reference.texts, reference.labels),
        read_corpus(reference.test_texts, reference.test_labels),
    )


def of_the_cards(train: Corpus, test: Corpus) -> None:
    """Print the values of the cards."""
    even, odd = (train.take(np.arange(start, len(train), 2)) for start in (0, 1))
    results = {
        "diversity": diversity(test, train),
        "realism": realism(test, train),
        "utility": utility(even, odd, test),
    }
    print("| metric | value | 95 % | real text |\n| --- | ---: | ---: | ---: |")
    for metric, keys in SHOWN.items():
        for key in (*keys, *(WRITTEN if metric == "realism" else ())):
            found = results[metric]
            interval = found.get(f"{key}_ci")
            beside = found.get(f"{key}_null", found.get(f"{key}_reference"))
            spread = " to ".join(f"{value:.4g}" for value in interval) if interval else ""
            print(f"| {metric}: {key} | {found[key]:.4g} | {spread} | {'' if beside is None else f'{beside:.4g}'} |")


def four_sets(train: Corpus, width: int = COUNT) -> None:
    """Print each measure for real texts, half of them twice, shuffled words, and templates."""
    order = np.random.default_rng(0).permutation(len(train))
    sample, others = train.take(order[:width]), train.take(order[width:])
    texts: Sequence[str] = sample.texts
    sets = {
        "real, another sample": sample,
        "real, half twice": read_corpus(half_twice(list(texts))),
        "words shuffled": read_corpus(shuffled_words(list(texts))),
        "5 templates": read_corpus(templates(list(texts))),
    }
    keys = [key for metric in ("diversity", "realism") for key in SHOWN[metric] if "label" not in key]
    print("| set | " + " | ".join(keys) + " |\n| --- |" + " ---: |" * len(keys))
    for name, corpus in sets.items():
        found = {**diversity(corpus), **realism(Corpus(corpus.texts, None, corpus.vectors, corpus.model), others)}
        print(f"| {name} | " + " | ".join(f"{found[key]:.3g}" for key in keys) + " |")


def main() -> None:
    """Print both tables."""
    warnings.simplefilter("ignore", UserWarning)
    train, test = parts()
    of_the_cards(train, test)
    print()
    four_sets(train)


if __name__ == "__main__":
    main()
