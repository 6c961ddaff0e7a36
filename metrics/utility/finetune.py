"""A fine-tuned encoder as the classifier, with `transformers` and `accelerate`."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.texts.corpus import Corpus
from personagen.metrics.utility.probe import Classes, codes

EPOCHS = 3
BATCH_TEXTS = 32
LEARNING_RATE = 5e-5

MAX_TOKENS = 128
"""Tokens of a text that the encoder gets; the rest is cut."""


@dataclass(frozen=True, slots=True)
class FineTuning:
    """Fine-tunes an encoder with a new head; equal seeds give equal predictions on one machine.

    Attributes:
        model: name on the Hub, or folder, of an encoder for `AutoModelForSequenceClassification`.
        seed: seed of the head, the order of texts and dropout.
        epochs: passes over the training texts.

    """

    model: str
    seed: int
    epochs: int = EPOCHS

    def __call__(self, train: Corpus, test: Corpus, classes: Classes) -> NDArray[np.intp]:
        """Train on one corpus, and predict the classes of another, shape (m,).

        Raises:
            ValueError: the model cannot be loaded.
            ImportError: accelerate is not installed.

        """
        encoder = fine_tune(self, train.texts, codes(train.labels or [], classes), len(classes))
        return np.asarray(logits_of(encoder, test.texts).argmax(axis=1), dtype=np.intp)


@dataclass(frozen=True, slots=True)
class Encoder:
    """An encoder with a head for classes, and its tokenizer."""

    tokenizer: Any
    model: Any


def load_encoder(name: str, count: int | None = None) -> Encoder:
    """Load an encoder.

    Args:
        name: name on the Hub, or folder.
        count: number of classes of a new head; None: the head of the model.

    Raises:
        ValueError: the model cannot be loaded.
        ImportError: accelerate is not installed.

    """
    _require_accelerate()
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    head = {} if count is None else {"num_labels": count}
    try:
        return Encoder(
            AutoTokenizer.from_pretrained(name), AutoModelForSequenceClassification.from_pretrained(name, **head)
        )
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"cannot load model {name!r:.60} ({reason:.150}); name an encoder") from None


def _require_accelerate() -> None:
    if find_spec("accelerate") is None:
        raise ImportError("model needs accelerate to be fine-tuned; run: pip install accelerate")


def fine_tune(settings: FineTuning, texts: Sequence[str], labels: NDArray[np.intp], count: int) -> Encoder:
    """Train an encoder to separate `count` classes.

    Raises:
        ValueError, ImportError: see `load_encoder`.

    """
    _require_accelerate()
    from transformers import set_seed

    set_seed(settings.seed)  # before loading, which draws the new head
    encoder = load_encoder(settings.model, count)
    with TemporaryDirectory() as folder:
        _trainer(encoder, folder, settings, _rows(encoder.tokenizer, texts, labels)).train()
    return encoder


def logits_of(encoder: Encoder, texts: Sequence[str]) -> NDArray[np.float64]:
    """Return the logits of texts, shape (n, classes)."""
    rows = _rows(encoder.tokenizer, texts, np.zeros(len(texts), dtype=np.intp))
    with TemporaryDirectory() as folder:
        logits = _trainer(encoder, folder, FineTuning("", 0), None).predict(rows).predictions
    return np.asarray(logits, dtype=np.float64)


def _trainer(encoder: Encoder, folder: str, settings: FineTuning, rows: Any) -> Any:
    import torch
    from transformers import Trainer, TrainingArguments

    arguments = TrainingArguments(
        output_dir=folder,
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=BATCH_TEXTS,
        per_device_eval_batch_size=BATCH_TEXTS,
        learning_rate=LEARNING_RATE,
        seed=settings.seed,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        logging_strategy="no",
        dataloader_pin_memory=torch.cuda.is_available(),
    )
    return Trainer(model=encoder.model, args=arguments, train_dataset=rows)


def _rows(tokenizer: Any, texts: Sequence[str], labels: NDArray[np.intp]) -> list[dict[str, Any]]:
    """Tokenise texts, all padded to the longest."""
    encoded = tokenizer(list(texts), truncation=True, max_length=MAX_TOKENS, padding=True)
    return [
        {**{name: values[row] for name, values in encoded.items()}, "labels": int(label)}
        for row, label in enumerate(labels)
    ]
