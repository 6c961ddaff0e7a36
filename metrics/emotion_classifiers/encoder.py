"""A emotion classifier that is a fine-tuned encoder, for those who have the time: see `classifier` for the quick one."""

import hashlib
import json
import shutil
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from personagen.metrics.emotion_classifiers.linear import (
    VERSION,
    Facts,
    Labelled,
    Prediction,
    accuracy_facts,
    best_temperature,
    predictions,
)
from personagen.metrics.texts.cache import cache_folder
from personagen.metrics.texts.inputs import rows_by_label
from personagen.metrics.utility.finetune import Encoder, FineTuned, fine_tune, load_encoder, logits_of
from personagen.metrics.utility.probe import codes

CALIBRATION = 10
"""Every so many-th text of a label is kept from training, to find the temperature."""

FACTS = "classifier.json"


@dataclass(frozen=True, slots=True, eq=False)
class EncoderClassifier:
    """A classifier that reads texts with a fine-tuned encoder.

    Attributes:
        classes: the labels, in the order of the logits.
        facts: how good it is.
        encoder: what reads.

    """

    classes: tuple[str, ...]
    facts: Facts
    encoder: Encoder

    def read(self, texts: Sequence[str]) -> list[Prediction]:
        """Read texts."""
        return predictions(logits_of(self.encoder, texts), self.facts.temperature, self.classes) if texts else []


def train_encoder(train: Labelled, test: Labelled, name: str, model: str, seed: int = 0) -> EncoderClassifier:
    """Fine-tune an encoder; what was trained before on the same texts is taken from the cache.

    Args:
        train: real texts and their labels; a tenth of each label is kept for calibration.
        test: real texts and their labels, none of them in `train`.
        name: of the reference.
        model: encoder, by its name on the Hub or its folder.
        seed: of the training.

    Raises:
        ValueError: the model cannot be loaded, or no test text has a label of the training texts.
        ImportError: accelerate is not installed.

    """
    parts = json.dumps([VERSION, Path(model).name, seed, train, test])
    version = hashlib.sha256(parts.encode()).hexdigest()[:12]
    place = cache_folder("classifiers") / version
    kept = _kept(place)
    if kept is not None:
        return kept
    texts, labels = train
    classes = tuple(sorted(set(labels)))
    apart = {int(row) for rows in rows_by_label(labels).values() for row in rows[::CALIBRATION]}
    rest = [row for row in range(len(texts)) if row not in apart]
    true = codes(labels, classes)
    encoder = fine_tune(FineTuned(model, seed), [texts[row] for row in rest], true[rest], len(classes))
    held = sorted(apart)
    temperature = best_temperature(logits_of(encoder, [texts[row] for row in held]), true[held])
    known = [row for row, label in enumerate(test[1]) if label in classes]
    if not known:
        raise ValueError("no test text has a label that the classifier was trained on, wanted one of each at least")
    asked = codes([test[1][row] for row in known], classes)
    found = accuracy_facts(logits_of(encoder, [test[0][row] for row in known]), asked, temperature)
    facts = Facts(Path(model).name, version, name, len(rest), temperature=round(temperature, 4), **found)
    return _keep(EncoderClassifier(classes, facts, encoder), place)


def _kept(place: Path) -> EncoderClassifier | None:
    """Read a classifier from the cache; None where there is none that can be read."""
    try:
        found = json.loads((place / FACTS).read_text(encoding="utf-8"))
        return EncoderClassifier(tuple(found["classes"]), Facts(**found["facts"]), load_encoder(str(place)))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _keep(classifier: EncoderClassifier, place: Path) -> EncoderClassifier:
    """Write a classifier to the cache, whole or not at all; where that cannot be, it is told and made anew next time."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f"{place.name}.", dir=place.parent))
        classifier.encoder.tokenizer.save_pretrained(part)
        classifier.encoder.model.save_pretrained(part)
        facts = {"classes": classifier.classes, "facts": asdict(classifier.facts)}
        (part / FACTS).write_text(json.dumps(facts), encoding="utf-8")
        shutil.rmtree(place, ignore_errors=True)  # a damaged one, or nothing
        part.rename(place)
    except OSError as error:
        warnings.warn(
            f"the emotion classifier is not kept: {place} cannot be written ({error})", UserWarning, stacklevel=3
        )
    return classifier
