"""Rejected replies of a run or a comparison, of which the page shows examples."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from personagen.builder.core.errors import ReleaseError
from personagen.builder.core.file_names import REJECTS
from personagen.builder.core.foreign_text import printable
from personagen.builder.evaluation.comparison import ComparedReject
from personagen.builder.release.formats.plain_json import as_records, read_json_lines
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


@dataclass(frozen=True, slots=True)
class RunReject:
    """One rejected reply of a run, by any version of the checks; for the fields see `Reject`."""

    id: str
    stage: str
    reason: str
    attempt: int
    text: str | None
    detail: str | None = None


def read_rejects(folder: Path) -> Iterator[RunReject]:
    """Yield the rejected replies of a run, one line at a time; none if there is no file.

    Raises:
        ReleaseError: the file cannot be read, or is no file of rejects.

    """
    if not (folder / REJECTS).is_file():
        return
    try:
        for record in read_json_lines(folder, REJECTS):
            yield from as_records(RunReject, [record])
    except (OSError, ValueError) as error:
        raise ReleaseError(f"cannot read {folder / REJECTS}: {printable(str(error))[:200]}") from None


def draw_examples(
    read: Callable[[], Iterable[RunReject | ComparedReject]], seed: int
) -> dict[str, list[RejectedReply]]:
    """Draw rejected replies of each reason.

    Args:
        read: returns the replies; it is called twice, so that no other reply is in memory.
        seed: seed of the sample.

    """
    counts = Counter(reject.reason for reject in read())
    drawn = {reason: set(sample(count, MAX_EXAMPLES_PER_REASON, seed)) for reason, count in counts.items()}
    examples: dict[str, list[RejectedReply]] = {reason: [] for reason in sorted(counts)}
    numbers: Counter[str] = Counter()
    for reject in read():
        if numbers[reject.reason] in drawn.get(reject.reason, ()):
            examples[reject.reason].append(RejectedReply(_origin(reject), reject.text))
        numbers[reject.reason] += 1
    return examples


def _origin(reject: RunReject | ComparedReject) -> str:
    arm = f"{reject.arm}, seed {reject.seed}, " if isinstance(reject, ComparedReject) else ""
    detail = f" ({reject.detail})" if reject.detail else ""
    return f"{arm}{reject.id}, {reject.stage}, attempt {reject.attempt + 1}{detail}"
