"""A fine-tuned encoder in the place of the probe, by `transformers` and `accelerate`."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.corpus import Corpus
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
        if find_spec("accelerate") is None:
            raise ImportError("model needs accelerate to be fine-tuned; pip install 'personagen[transformers]'")
        import torch
        from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments, set_seed

        set_seed(self.seed)
        try:
            tokenizer = AutoTokenizer.from_pretrained(self.model)
            encoder = AutoModelForSequenceClassification.from_pretrained(self.model, num_labels=len(classes))
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise ValueError(f"cannot load model {self.model!r:.60} ({reason:.150}); name an encoder") from None
        labels = codes(train.labels or [], classes)
        with TemporaryDirectory() as folder:
            arguments = TrainingArguments(
                output_dir=folder,
                num_train_epochs=self.epochs,
                per_device_train_batch_size=BATCH,
                per_device_eval_batch_size=BATCH,
                learning_rate=RATE,
                seed=self.seed,
                save_strategy="no",
                report_to=[],
                disable_tqdm=True,
                logging_strategy="no",
                dataloader_pin_memory=torch.cuda.is_available(),
            )
            taught: Any = _rows(tokenizer, train.texts, labels)
            asked: Any = _rows(tokenizer, test.texts, np.zeros(len(test), dtype=np.intp))
            trainer = Trainer(model=encoder, args=arguments, train_dataset=taught)
            trainer.train()
            told = np.asarray(trainer.predict(asked).predictions)
        return np.asarray(told.argmax(axis=1), dtype=np.intp)


def _rows(tokenizer: Any, texts: Sequence[str], labels: NDArray[np.intp]) -> list[dict[str, Any]]:
    """Tokenise texts, all padded to the longest."""
    coded = tokenizer(list(texts), truncation=True, max_length=LONGEST, padding=True)
    return [
        {**{name: values[row] for name, values in coded.items()}, "labels": int(label)}
        for row, label in enumerate(labels)
    ]
