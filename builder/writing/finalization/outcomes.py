"""Count the accepted rows, the given-up ones and the rejected replies of a run, and explain what is missing."""

from collections import Counter

from personagen.builder.core.errors import AllRejectedError, GenerationError, PersonaGenError
from personagen.builder.core.records import Reject, Row
from personagen.builder.planning.plan import RowPlan
from personagen.builder.planning.recipe import Recipe
from personagen.builder.writing.attempts import describe_reject


class Outcomes:
    """Counts of the final outcomes.

    Attributes:
        accepted: rows accepted so far.
        given_up: rows of which all attempts were rejected, or that the journal lacks a reply for.
        rejects: rejected replies by stage and reason.

    """

    def __init__(self) -> None:
        """Begin without rows."""
        self.accepted = 0
        self.given_up = 0
        self.rejects: Counter[tuple[str, str]] = Counter()
        self._emotions: Counter[str] = Counter()
        self._models: Counter[int] = Counter()
        self._last: Reject | None = None

    def add_row(self, planned: RowPlan, row: Row | None) -> None:
        """Count a row; None: it was given up."""
        if row is not None:
            self.accepted += 1
            return
        self.given_up += 1
        self._emotions[planned.emotion] += 1
        self._models[planned.model] += 1

    def add_reject(self, reject: Reject) -> None:
        """Count a rejected reply."""
        self.rejects[reject.stage, reject.reason] += 1
        self._last = reject

    def counts(self) -> tuple[int, int]:
        """Return the accepted rows and the rejected replies."""
        return self.accepted, self.rejects.total()

    def shortfall(self, recipe: Recipe, see: str = "") -> PersonaGenError | None:
        """Return the error of a run that has too few rows; None: it has all.

        Args:
            recipe: recipe of the run.
            see: where the rejected replies are, as the end of a sentence; "": nowhere.

        """
        if self.accepted and not self.given_up:
            return None
        reasons = ", ".join(f"{stage} {reason} {count}" for (stage, reason), count in self.rejects.most_common())
        last = f"the last one: {describe_reject(self._last)}" if self._last else ""
        advice = "; ".join(part for part in (last, see) if part)
        if not self.accepted:
            return AllRejectedError(
                f"no text was accepted: {self.rejects.total()} replies were rejected ({reasons}), {advice}"
            )
        emotions = ", ".join(f"{name} {count}" for name, count in sorted(self._emotions.items()))
        if len(recipe.backends) > 1:
            models = sorted(self._models.items())
            emotions += "; by model: " + ", ".join(
                f"{recipe.backends[number].model} {count}" for number, count in models
            )
        return GenerationError(
            f"{self.accepted} texts were accepted, {self.given_up} rows were given up ({emotions}), each after at most "
            f"{recipe.checks.attempts} attempts ({reasons}), {advice}; what was accepted is kept and not paid for again"
        )
