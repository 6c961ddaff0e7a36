"""Decide which written rows have to be retried, as soon as that is certain.

A text is rejected if it repeats the accepted text of an earlier row. Accepted texts stay what they are, so the reject
is certain as soon as both texts are known. A text that is not accepted yet is no reason: its row may be retried.
"""

from dataclasses import dataclass

from personagen.builder.core.records import Reject, Row
from personagen.builder.planning.plan import RowPlan
from personagen.builder.writing.finalization.duplicate_index import DuplicateIndex
from personagen.builder.writing.finalization.waiting_texts import WaitingTexts


@dataclass(frozen=True, slots=True)
class Retry:
    """Reason and first attempt of a retry.

    Attributes:
        first_attempt: number of the first attempt.
        reject: reject of the written text; None: the retry has another reason, and no text is rejected.

    """

    first_attempt: int
    reject: Reject | None = None


class CertainRetries:
    """Finds the retries that accepted rows make certain; rows are accepted in the order of the plan."""

    def __init__(self, index: DuplicateIndex, original_ids: frozenset[str]) -> None:
        """Begin without rows.

        Args:
            index: index of the accepted texts, empty.
            original_ids: ids of the rows that have a counterfactual.

        """
        self._index = index
        self._original_ids = original_ids
        self._accepted_attempts: dict[str, int] = {}
        self._waiting = WaitingTexts(index.threshold)
        self._rows: dict[int, Row] = {}
        self._counterfactuals: dict[str, list[int]] = {}

    def compare(self, position: int, planned: RowPlan, row: Row) -> Retry | None:
        """Return the retry of a row that was just written; None: the row waits, and `accept` may return one later.

        Args:
            position: position of the row in the plan.
            planned: its plan.
            row: the row, its text checked.

        """
        if planned.counterfactual is not None:
            original_id = planned.counterfactual.original_id
            first_attempt = self._accepted_attempts.get(original_id)
            if first_attempt is not None:
                return _retry_from(row, first_attempt)
            self._counterfactuals.setdefault(original_id, []).append(position)
        else:
            fingerprint = self._index.fingerprint(row.text)
            repeated_id = self._index.find(fingerprint)
            if repeated_id is not None:
                return _retry_of_duplicate(row, repeated_id)
            self._waiting.add(position, fingerprint)
        self._rows[position] = row
        return None

    def accept(self, position: int, planned: RowPlan, row: Row) -> dict[int, Retry]:
        """Accept the waiting row of the lowest position, and return the retries of waiting rows by position."""
        self._rows.pop(position, None)
        if planned.counterfactual is not None:
            return {}
        fingerprint = self._waiting.remove(position)
        self._index.add(row.id, fingerprint)
        near = self._waiting.remove_near(fingerprint)
        retries = {later: _retry_of_duplicate(self._rows.pop(later), row.id) for later in near}
        if planned.id in self._original_ids:
            retries |= self._retries_of_counterfactuals(planned.id, row.provenance.attempts - 1)
        return retries

    def _retries_of_counterfactuals(self, original_id: str, attempt: int) -> dict[int, Retry]:
        self._accepted_attempts[original_id] = attempt
        positions = self._counterfactuals.pop(original_id, [])
        retries = {position: _retry_from(self._rows.pop(position), attempt) for position in positions}
        return {position: retry for position, retry in retries.items() if retry is not None}


def _retry_of_duplicate(row: Row, repeated_id: str) -> Retry:
    """Return the retry of a row whose text repeats that of an accepted row."""
    attempt = row.provenance.attempts - 1
    return Retry(attempt + 1, Reject(row.id, "expression", "duplicate", attempt, row.text, repeated_id))


def _retry_from(row: Row, first_attempt: int) -> Retry | None:
    """Return the retry of a counterfactual from the attempt of its original on; None: it was written then or later.

    Both thus have the same seed. A counterfactual may repeat its original word for word.
    """
    return Retry(first_attempt) if row.provenance.attempts - 1 < first_attempt else None
