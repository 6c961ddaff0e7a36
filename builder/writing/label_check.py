"""The label check: an emotion classifier trained on real texts predicts the emotion of each text."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from personagen.builder.core.errors import BackendError, RecipeError, raise_as
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.recipe.sections import Checks
from personagen.builder.writing.checks import Verdict

if TYPE_CHECKING:
    from personagen.metrics.emotion_classifiers import EmotionClassifier
    from personagen.metrics.texts.reference import Reference


@dataclass(frozen=True, slots=True)
class LabelCheck:
    """Check of all accepted candidates of a request by an emotion classifier.

    Attributes:
        classifier: predicts the emotion of texts.
        reject: whether a text with another prediction is rejected; the prediction is kept in any case.
        lock: serialises predictions, since one already uses all cores.

    """

    classifier: "EmotionClassifier"
    reject: bool
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def __call__(self, verdicts: Sequence[Verdict], emotion: str) -> list[Verdict]:
        """Add the prediction to every verdict that accepts a text, and the reason "label" if it rejects the text."""
        positions = [position for position, verdict in enumerate(verdicts) if verdict.reason is None]
        if not positions:
            return list(verdicts)
        texts = [verdicts[position].text for position in positions]
        async with self.lock:
            predictions = await asyncio.to_thread(self.classifier.predict, texts)
        checked = list(verdicts)
        for position, prediction in zip(positions, predictions, strict=True):
            checked[position] = replace(
                checked[position],
                label=prediction.label,
                confidence=prediction.confidence,
                reason="label" if self.reject and prediction.label != emotion else None,
            )
        return checked

    def facts(self) -> dict[str, Any]:
        """Return the description of the check for a manifest."""
        return {**asdict(self.classifier.facts), "gate": "reject" if self.reject else "flag"}


def load_label_check(recipe: Recipe) -> LabelCheck | None:
    """Train or load the classifier that a recipe requests; None: it requests no label check.

    Raises:
        BackendError: packages are missing, or the reference or the model cannot be loaded.
        RecipeError: the reference has no texts of an emotion of the recipe.

    """
    checks = recipe.checks
    if checks.label is None:
        return None
    from personagen.metrics.texts.reference import load_reference

    with raise_as(BackendError, "checks.label: "):
        reference = load_reference(checks.label_reference)
        _require_emotions(reference, recipe)
        return LabelCheck(_train(reference, checks), reject=checks.label == "reject")


def _require_emotions(reference: "Reference", recipe: Recipe) -> None:
    """Raise RecipeError if the reference lacks an emotion, before anything is trained."""
    known = sorted(set(reference.labels or ()))
    unknown = [name for name in recipe.chosen_taxonomy().names if name not in known]
    if unknown:
        raise RecipeError(
            f"checks.label: reference {reference.name} has no texts of {', '.join(unknown)[:200]}; it has "
            f"{', '.join(known)[:200] or 'no labels'}: name another checks.label_reference, leave these emotions out, "
            "or leave checks.label out"
        )


def _train(reference: "Reference", checks: Checks) -> "EmotionClassifier":
    from personagen.metrics.emotion_classifiers import train_and_test, train_encoder, train_linear
    from personagen.metrics.texts.corpus import read_corpus
    from personagen.metrics.texts.embeddings import encoder

    parts = train_and_test(reference)
    if checks.label_model is not None:
        return train_encoder(*parts, reference.name, checks.label_model)
    train, test = (read_corpus(texts, labels) for texts, labels in parts)
    return train_linear(train, test, reference.name, encoder())
