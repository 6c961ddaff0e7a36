"""An emotion classifier that is a fine-tuned encoder: slower to train than the linear one, and usually better."""

import hashlib
import json
import shutil
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from personagen.metrics.emotion_classifiers.classifier import (
    UNKNOWN_LABELS,
    VERSION,
    ClassifierFacts,
    Labelled,
    Prediction,
    accuracy_facts,
    best_temperature,
    calibrated_facts,
    predictions,
)
from personagen.metrics.texts.cache import cache_folder, flush
from personagen.metrics.texts.inputs import rows_by_label
from personagen.metrics.utility.finetune import Encoder, FineTuning, fine_tune, load_encoder, logits_of
from personagen.metrics.utility.probe import codes

CALIBRATION_STEP = 10
"""Every tenth text of a label is left out of the training and used to find the temperature."""

FACTS = "classifier.json"
"""File beside the weights: classes and facts."""


@dataclass(frozen=True, slots=True, eq=False)
class EncoderClassifier:
    """An emotion classifier with a fine-tuned encoder.

    Attributes:
        classes: labels, in the order of the logits.
        facts: origin and accuracy.
        encoder: the encoder with its tokenizer.

    """

    classes: tuple[str, ...]
    facts: ClassifierFacts
    encoder: Encoder

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """Predict the label of each text."""
        return predictions(logits_of(self.encoder, texts), self.facts.temperature, self.classes) if texts else []


def train_encoder(train: Labelled, test: Labelled, name: str, model: str, seed: int = 0) -> EncoderClassifier:
    """Fine-tune an encoder, or load it from the cache if it was trained on the same texts.

    Args:
        train: real texts and their labels; a tenth of each label is used for calibration.
        test: real texts and their labels, none of them in `train`.
        name: name of the reference.
        model: name of an encoder on the Hub, or its folder.
        seed: seed of the training.

    Raises:
        ValueError: the model cannot be loaded, or no test text has a label of the training texts.
        ImportError: accelerate is not installed.

    """
    parts = json.dumps([VERSION, Path(model).name, seed, train, test])
    version = hashlib.sha256(parts.encode()).hexdigest()[:12]
    folder = cache_folder("classifiers") / version
    cached = _load(folder)
    if cached is not None:
        return cached
    texts, labels = train
    classes = tuple(sorted(set(labels)))
    known = [row for row, label in enumerate(test[1]) if label in classes]
    if not known:
        raise ValueError(UNKNOWN_LABELS)
    calibration = sorted(int(row) for rows in rows_by_label(labels).values() for row in rows[::CALIBRATION_STEP])
    rest = sorted(set(range(len(texts))) - set(calibration))
    true = codes(labels, classes)
    encoder = fine_tune(FineTuning(model, seed), [texts[row] for row in rest], true[rest], len(classes))
    temperature = best_temperature(logits_of(encoder, [texts[row] for row in calibration]), true[calibration])
    elsewhere = calibrated_facts(name, texts, classes, partial(logits_of, encoder), temperature)
    temperature = elsewhere.pop("temperature")
    test_true = codes([test[1][row] for row in known], classes)
    figures = accuracy_facts(logits_of(encoder, [test[0][row] for row in known]), test_true, temperature)
    facts = ClassifierFacts(
        Path(model).name, version, name, len(rest), temperature=round(temperature, 4), **figures, **elsewhere
    )
    return _save(EncoderClassifier(classes, facts, encoder), folder)


def _load(folder: Path) -> EncoderClassifier | None:
    """Load a classifier from the cache; None: not cached, or damaged."""
    try:
        saved = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        return EncoderClassifier(tuple(saved["classes"]), ClassifierFacts(**saved["facts"]), load_encoder(str(folder)))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _save(classifier: EncoderClassifier, folder: Path) -> EncoderClassifier:
    """Save a classifier to the cache in one step, or warn that it cannot be cached."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
        classifier.encoder.tokenizer.save_pretrained(part)
        classifier.encoder.model.save_pretrained(part)
        facts = {"classes": classifier.classes, "facts": asdict(classifier.facts)}
        (part / FACTS).write_text(json.dumps(facts), encoding="utf-8")
        for path in part.iterdir():
            flush(path)
        shutil.rmtree(folder, ignore_errors=True)  # a damaged one
        part.rename(folder)
    except OSError as error:
        warnings.warn(
            f"the emotion classifier is not cached: {folder} cannot be written ({error})", UserWarning, stacklevel=3
        )
    return classifier
