"""The label check: a classifier of real texts reads each text, and the reading is kept or decides."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from personagen.builder.core.errors import BackendError, RecipeError
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.sections import Checks
from personagen.builder.writing.checks import Verdict

if TYPE_CHECKING:
    from personagen.metrics.emotion_classifiers import EmotionClassifier
    from personagen.metrics.texts.reference import Reference


@dataclass(frozen=True, slots=True)
class LabelCheck:
    """Has the texts of one request read, and refuses those in which another emotion is read, if it is asked to.

    Attributes:
        classifier: what reads.
        reject: whether another emotion refuses a text; else the reading is only kept.
        turn: one request at a time, for a model that reads takes all processors.

    """

    classifier: "EmotionClassifier"
    reject: bool
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def __call__(self, verdicts: Sequence[Verdict], emotion: str) -> list[Verdict]:
        """Add the reading to every verdict that accepts a text, and the reason "label" where it refuses it."""
        places = [place for place, verdict in enumerate(verdicts) if verdict.reason is None]
        if not places:
            return list(verdicts)
        async with self.turn:
            predictions = await asyncio.to_thread(self.classifier.predict, [verdicts[place].text for place in places])
        found = list(verdicts)
        for place, reading in zip(places, predictions, strict=True):
            refused = self.reject and reading.label != emotion
            found[place] = replace(
                found[place],
                label=reading.label,
                confidence=reading.confidence,
                reason="label" if refused else None,
            )
        return found

    def facts(self) -> dict[str, Any]:
        """Tell what a manifest says of the check."""
        return {**asdict(self.classifier.facts), "gate": "reject" if self.reject else "flag"}


def label_check(recipe: Recipe) -> LabelCheck | None:
    """Train or load the classifier that a recipe asks for; None where it asks for none.

    Raises:
        BackendError: packages are missing, or the reference or the model cannot be loaded.
        RecipeError: the reference has no texts of an emotion of the recipe.

    """
    checks = recipe.checks
    if checks.label is None:
        return None
    from personagen.metrics.texts.reference import load_reference

    try:
        reference = load_reference(checks.label_reference)
        _see_emotions(reference, recipe)
        return LabelCheck(_classifier(reference, checks), reject=checks.label == "reject")
    except (ValueError, ImportError) as error:
        raise BackendError(f"checks.label: {error}") from None


def _see_emotions(reference: "Reference", recipe: Recipe) -> None:
    """Refuse a reference that lacks an emotion, before anything is trained."""
    known = sorted(set(reference.labels or ()))
    unknown = [name for name in recipe.chosen_taxonomy().names if name not in known]
    if unknown:
        raise RecipeError(
            f"checks.label: reference {reference.name} has no texts of {', '.join(unknown)[:200]}; it has "
            f"{', '.join(known)[:200] or 'no labels'}: name another checks.label_reference, leave these emotions out, "
            "or leave checks.label out"
        )


def _classifier(reference: "Reference", checks: Checks) -> "EmotionClassifier":
    from personagen.metrics.emotion_classifiers import train_and_test, train_encoder, train_linear
    from personagen.metrics.texts.corpus import read_corpus
    from personagen.metrics.texts.embeddings import encoder

    parts = train_and_test(reference)
    if checks.label_model is not None:
        return train_encoder(*parts, reference.name, checks.label_model)
    train, test = (read_corpus(texts, labels) for texts, labels in parts)
    return train_linear(train, test, reference.name, encoder())
