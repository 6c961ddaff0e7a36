"""Rejected texts of a run, by the row that they were written for."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from personagen.builder.core.errors import ReleaseError
from personagen.builder.core.file_names import REJECTS
from personagen.builder.core.foreign_text import printable
from personagen.builder.release.formats.plain_json import parse_plain_json, require_inside
from personagen.builder.release.run.run_folder import run_folder_of
from personagen.builder.release.run.run_state import is_run_of

NO_TEXTS = ("request", "thought", "secret", "empty", "personal", "slur")
"""Reasons of rejects that have no text of the row, or one that must not be published."""


@dataclass(frozen=True, slots=True)
class RejectedText:
    """A text that a check rejected, with the reason."""

    text: str
    reason: str


class RejectedTexts:
    """Index of the log of rejected replies: the position of each text in the file, by row.

    Attributes:
        rows: number of rows that `of` was called for.
        rows_with_one: number of these with a rejected text.

    """

    def __init__(self, run: Path) -> None:
        """Read the positions.

        Args:
            run: the run folder.

        Raises:
            ReleaseError: the log cannot be read.

        """
        self.rows = self.rows_with_one = 0
        self._run = run
        self._positions: dict[str, list[int]] = {}
        for position, record in self._lines(0):
            if record["stage"] == "expression" and record["reason"] not in NO_TEXTS and record["text"]:
                self._positions.setdefault(record["id"], []).append(position)

    def of(self, row: str, accepted: str) -> Iterator[RejectedText]:
        """Yield the rejected texts of a row, each once, but for the accepted one.

        Args:
            row: id of the row.
            accepted: its text.

        Raises:
            ReleaseError: the log cannot be read.

        """
        known = {accepted}
        for position in self._positions.get(row, ()):
            _, record = next(self._lines(position))
            if record["text"] not in known:
                known.add(record["text"])
                yield RejectedText(record["text"], record["reason"])
        self.rows += 1
        self.rows_with_one += len(known) > 1

    def _lines(self, start: int) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the objects from a position of the file on, each with its position."""
        position = start
        try:
            with require_inside(self._run, REJECTS).open("rb") as file:
                file.seek(start)
                for line in file:
                    yield position, _record(line)
                    position += len(line)
        except (OSError, ValueError) as error:
            reason = printable(str(error))[:200]
            raise ReleaseError(
                f"cannot read {self._run / REJECTS}: {reason}; run the `generate` command of the release again"
            ) from None


def rejected_texts(folder: Path, fingerprint: str) -> RejectedTexts:
    """Read the rejected texts of the run that made a release.

    Args:
        folder: the release.
        fingerprint: fingerprint of its recipe.

    Raises:
        ReleaseError: the run folder is missing or of another recipe, or its log cannot be read.

    """
    run = run_folder_of(folder)
    if not (run / REJECTS).is_file():
        raise ReleaseError(
            f"{run / REJECTS} is missing: rejected texts are in the run folder, on the machine of the run"
        )
    if not is_run_of(run, fingerprint):
        raise ReleaseError(
            f"{run} is the run of another recipe than {fingerprint}; export beside the release's own run"
        )
    return RejectedTexts(run)


def _record(line: bytes) -> dict[str, Any]:
    record = parse_plain_json(_without_halves(line.decode("utf-8")))
    if not isinstance(record, dict) or not {"id", "stage", "reason", "text"} <= record.keys():
        raise ValueError("a line is no rejected reply")
    if not all(isinstance(record[name], str) for name in ("id", "stage", "reason")):
        raise ValueError("a line is no rejected reply")
    if not isinstance(record["text"], str | None):
        raise ValueError("a line has no text")
    return record


def _without_halves(line: str) -> str:
    """Replace halves of surrogate pairs, which replies of models can have and no file of UTF-8 can, by U+FFFD."""
    if "\\ud" not in line.lower():
        return line
    try:
        text = json.dumps(json.loads(line), ensure_ascii=False)
    except RecursionError:
        raise ValueError("a line is nested too deep") from None
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
