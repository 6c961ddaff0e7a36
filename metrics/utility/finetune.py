"""A fine-tuned encoder in the place of the probe, by `transformers` and `accelerate`."""

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
BATCH = 32
RATE = 5e-5
LONGEST = 128
"""Tokens of a text that are read."""


@dataclass(frozen=True, slots=True)
class FineTuned:
    """Trains an encoder with a new head on a corpus and reads another; equal seeds give equal answers on one machine.

    Attributes:
        model: name on the Hub or folder of an encoder that `AutoModelForSequenceClassification` can load.
        seed: of the head, the order of the texts and dropout.
        epochs: how often each text is seen.

    """

    model: str
    seed: int
    epochs: int = EPOCHS

    def __call__(self, train: Corpus, test: Corpus, classes: Classes) -> NDArray[np.intp]:
        """Give the numbers of the classes of the test texts.

        Raises:
            ValueError: the model cannot be loaded.
            ImportError: accelerate is not installed.

        """
        taught = codes(train.labels or [], classes)
        encoder = fine_tune(self, train.texts, taught, len(classes))
        return np.asarray(logits_of(encoder, test.texts).argmax(axis=1), dtype=np.intp)


@dataclass(frozen=True, slots=True)
class Encoder:
    """An encoder with a head for classes, and its tokenizer."""

    tokenizer: Any
    model: Any


def load_encoder(name: str, count: int | None = None) -> Encoder:
    """Load an encoder; with a number of classes it gets a new head for them, else it keeps its own.

    Raises:
        ValueError: there is none of this name.
        ImportError: accelerate is not installed.

    """
    if find_spec("accelerate") is None:
        raise ImportError("model needs accelerate to be fine-tuned; pip install 'personagen[transformers]'")
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    head = {} if count is None else {"num_labels": count}
    try:
        return Encoder(
            AutoTokenizer.from_pretrained(name), AutoModelForSequenceClassification.from_pretrained(name, **head)
        )
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"cannot load model {name!r:.60} ({reason:.150}); name an encoder") from None


def fine_tune(how: FineTuned, texts: Sequence[str], taught: NDArray[np.intp], count: int) -> Encoder:
    """Train an encoder to tell so many classes apart; raises what `load_encoder` does."""
    from transformers import set_seed

    set_seed(how.seed)  # first, for it decides the new head
    encoder = load_encoder(how.model, count)
    with TemporaryDirectory() as folder:
        _trainer(encoder, folder, how, _rows(encoder.tokenizer, texts, taught)).train()
    return encoder


def logits_of(encoder: Encoder, texts: Sequence[str]) -> NDArray[np.float64]:
    """Return the logits of texts, shape (n, classes)."""
    asked = _rows(encoder.tokenizer, texts, np.zeros(len(texts), dtype=np.intp))
    with TemporaryDirectory() as folder:
        told = _trainer(encoder, folder, FineTuned("", 0), None).predict(asked).predictions
    return np.asarray(told, dtype=np.float64)


def _trainer(encoder: Encoder, folder: str, how: FineTuned, rows: Any) -> Any:
    import torch
    from transformers import Trainer, TrainingArguments

    arguments = TrainingArguments(
        output_dir=folder,
        num_train_epochs=how.epochs,
        per_device_train_batch_size=BATCH,
        per_device_eval_batch_size=BATCH,
        learning_rate=RATE,
        seed=how.seed,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        logging_strategy="no",
        dataloader_pin_memory=torch.cuda.is_available(),
    )
    return Trainer(model=encoder.model, args=arguments, train_dataset=rows)


def _rows(tokenizer: Any, texts: Sequence[str], labels: NDArray[np.intp]) -> list[dict[str, Any]]:
    """Tokenise texts, all padded to the longest."""
    coded = tokenizer(list(texts), truncation=True, max_length=LONGEST, padding=True)
    return [
        {**{name: values[row] for name, values in coded.items()}, "labels": int(label)}
        for row, label in enumerate(labels)
    ]
