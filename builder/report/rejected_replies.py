"""Rejected replies of a run or a comparison, of which the page shows examples."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from personagen.builder.report.text_groups import sample

MAX_EXAMPLES_PER_REASON = 20
"""Rejected replies of one reason that the page shows."""


@dataclass(frozen=True, slots=True)
class RejectedReply:
    """A reply that a check rejected.

    Attributes:
        origin: arm, seed, row, stage and attempt, in words.
        text: the reply; None: the model returned no text.

    """

    origin: str
    text: str | None


def read_examples(path: Path, seed: int) -> dict[str, list[RejectedReply]]:
    """Draw rejected replies of each reason from a file of rejects; empty if there is no file."""
    by_reason: dict[str, list[RejectedReply]] = {}
    for reject in read_json_lines(path):
        by_reason.setdefault(reject["reason"], []).append(RejectedReply(_origin(reject), reject["text"]))
    return {
        reason: [replies[row] for row in sample(len(replies), MAX_EXAMPLES_PER_REASON, seed)]
        for reason, replies in sorted(by_reason.items())
    }


def _origin(reject: Mapping[str, Any]) -> str:
    arm = f"{reject['arm']}, seed {reject['seed']}, " if "arm" in reject else ""
    detail = f" ({reject['detail']})" if reject["detail"] else ""
    return f"{arm}{reject['id']}, {reject['stage']}, attempt {reject['attempt'] + 1}{detail}"


def read_json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Read a file of JSON lines; yields nothing if there is no file."""
    if path.is_file():
        with path.open(encoding="utf-8") as file:
            yield from map(json.loads, file)
