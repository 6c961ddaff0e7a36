"""Accuracy and calibration of the emotion classifier on the corpora that the package contains, at home and elsewhere.

python -m benchmarks.metrics.classifier [--embeddings MODEL] [--out docs/results/classifier.json]

Trains the default classifier on each bundled slice and tests it on all: on the test part of its own, on all texts of
the others that did not calibrate it. `unseen_calibration_error` has a temperature from the third corpus alone, so that
neither training nor calibration knows the tested corpus.
"""

import argparse
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from personagen.builder.version import __version__
from personagen.metrics.emotion_classifiers import LinearClassifier, train_and_test, train_linear
from personagen.metrics.emotion_classifiers.classifier import accuracy_facts, best_temperature, other_corpora
from personagen.metrics.emotion_classifiers.linear import vectors_of
from personagen.metrics.texts.corpus import read_corpus
from personagen.metrics.texts.embeddings import DEFAULT_MODEL
from personagen.metrics.texts.reference import SLICES, load_reference
from personagen.metrics.utility.probe import codes

FIGURES = ("tested_on", "accuracy", "balanced_accuracy", "calibration_error")
"""Figures of a test; `accuracy_facts` has more."""


def labelled(source: str, classes: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return all texts of a slice whose label is among the classes."""
    slice_ = load_reference(source)
    texts, labels = [*slice_.texts, *slice_.test_texts], [*(slice_.labels or ()), *(slice_.test_labels or ())]
    pairs = [(text, label) for text, label in zip(texts, labels, strict=True) if label in classes]
    return [text for text, _ in pairs], [label for _, label in pairs]


def rows(source: str, model: str) -> Iterator[dict[str, Any]]:
    """Yield the test results of the classifier of one slice, its own first."""
    train, test = (read_corpus(*part, model) for part in train_and_test(load_reference(source)))
    classifier = train_linear(train, test, source, lambda texts: vectors_of(texts, model))
    facts = classifier.facts
    home = {name: getattr(facts, name) for name in FIGURES}
    yield {
        "trained_on": source,
        "tested_on_corpus": source,
        **home,
        "mean_confidence": _confidence(classifier, test.texts),
    }
    used = {name: set(texts) for name, (texts, _) in other_corpora(source, train.texts, classifier.classes)}
    for other in sorted(set(SLICES.values()) - {source}):
        texts, labels = labelled(other, classifier.classes)
        free = [row for row, text in enumerate(texts) if text not in used.get(other, set())]
        texts, labels = [texts[row] for row in free], [labels[row] for row in free]
        logits, true = _logits(classifier, texts, model), codes(labels, classifier.classes)
        found = accuracy_facts(logits, true, facts.temperature)
        third = [name for name in used if name != other]
        unseen = _temperature(classifier, third, train.texts, model)
        yield {
            "trained_on": source,
            "tested_on_corpus": other,
            **{name: found[name] for name in FIGURES},
            "mean_confidence": _confidence(classifier, texts),
            "unseen_calibration_error": accuracy_facts(logits, true, unseen)["calibration_error"],
            "unseen_mean_confidence": round(float(softmax(logits / unseen, axis=1).max(axis=1).mean()), 4),
        }


def _logits(classifier: LinearClassifier, texts: list[str], model: str) -> NDArray[np.float64]:
    return np.asarray(vectors_of(texts, model) @ classifier.weights + classifier.bias)


def _temperature(classifier: LinearClassifier, names: Sequence[str], own: Sequence[str], model: str) -> float:
    """Return the temperature that texts of some other corpora give."""
    parts = [part for name, part in other_corpora(classifier.facts.reference, own, classifier.classes) if name in names]
    texts, labels = ([item for part in parts for item in part[side]] for side in (0, 1))
    return best_temperature(_logits(classifier, texts, model), codes(labels, classifier.classes))


def _confidence(classifier: LinearClassifier, texts: Sequence[str]) -> float:
    return round(float(np.mean([prediction.confidence for prediction in classifier.predict(texts)])), 4)


def table(results: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield the rows of the Markdown table."""
    yield "| trained on | tested on | texts | accuracy | balanced | confidence | ECE | unseen: confidence | ECE |"
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for row in results:
        unseen = [row.get(f"unseen_{name}") for name in ("mean_confidence", "calibration_error")]
        yield (
            f"| {row['trained_on']} | {row['tested_on_corpus']} | {row['tested_on']:,} | {row['accuracy']:.3f} | "
            f"{row['balanced_accuracy']:.3f} | {row['mean_confidence']:.3f} | {row['calibration_error']:.3f} | "
            f"{' | '.join('' if value is None else f'{value:.3f}' for value in unseen)} |"
        )


def main(arguments: list[str] | None = None) -> None:
    """Write the results with their origin, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.metrics.classifier", description=__doc__)
    parser.add_argument("--embeddings", default=DEFAULT_MODEL, metavar="MODEL")
    parser.add_argument("--out", type=Path, default=Path("docs/results/classifier.json"))
    options = parser.parse_args(arguments)
    results = [row for source in SLICES.values() for row in rows(source, options.embeddings)]
    slices = {}
    for source in SLICES.values():
        texts = [*load_reference(source).texts, *load_reference(source).test_texts]
        slices[source] = {"texts": len(texts), "sha256": hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:16]}
    content = {
        "command": "python -m benchmarks.metrics.classifier",
        "personagen": __version__,
        "embeddings": options.embeddings,
        "slices": slices,
        "results": results,
    }
    options.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print("\n".join(table(results)))


if __name__ == "__main__":
    main()
