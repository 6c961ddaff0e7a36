"""Summarize the work of all workers from the headers of their segments: no worker and no scheduler is asked."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from statistics import median

from personagen.builder.core.errors import FolderError
from personagen.builder.planning.parts import Part
from personagen.builder.segments.segment import Header, Origin, SegmentName, Work, parse_name
from personagen.builder.segments.store import SegmentStore

SILENT_S = 3600.0
"""Seconds without a segment after which a worker that is not done counts as silent."""

SLOW_FRACTION = 0.5
"""Fraction of the median rate of the parts at work below which a part is slow."""

MIN_COMPARED = 3
"""Parts at work from which on their rates are compared."""

READERS = 16
"""Headers that are read at a time; each takes two calls of a remote store."""


@dataclass(frozen=True, slots=True)
class PartSummary:
    """What the segments of one part report.

    Attributes:
        part: the part.
        state: "complete", "working", "stopped", "silent" (no segment for an hour) or "not begun".
        workers: ids of the workers, the last one at work last.
        host: machine of that worker; "": not begun.
        wanted: texts of the part. None: not begun, or not counted yet.
        accepted: texts that are written.
        replies: replies in its segments, without requests that failed; one that two workers requested counts twice.
        tokens: tokens of these replies.
        cost: cost of these replies. None: unknown.
        rate: replies per minute of its processes, each from its beginning to its last segment. None: no reply yet.
        age_s: seconds since the last segment, by the clocks of both machines. None: not begun.
        is_slow: whether its rate is less than half of the median of the parts at work.

    """

    part: Part
    state: str
    workers: tuple[str, ...] = ()
    host: str = ""
    wanted: int | None = None
    accepted: int = 0
    replies: int = 0
    tokens: int = 0
    cost: float | None = 0.0
    rate: float | None = None
    age_s: float | None = None
    is_slow: bool = False


@dataclass(frozen=True, slots=True)
class RunSummary:
    """The parts of one recipe.

    Attributes:
        origin: the run.
        parts: its parts, those without a segment included.

    """

    origin: Origin
    parts: tuple[PartSummary, ...]

    @property
    def is_complete(self) -> bool:
        """Whether every part is complete."""
        return all(part.state == "complete" for part in self.parts)

    @property
    def cost(self) -> float | None:
        """Cost of all replies. None: the cost of some is unknown."""
        costs = [part.cost for part in self.parts]
        return None if None in costs else sum(cost for cost in costs if cost is not None)


@dataclass(frozen=True, slots=True)
class StoreSummary:
    """What a store holds.

    Attributes:
        url: folder or address.
        runs: the runs, by recipe and number of parts.
        problems: one line for each segment that cannot be read.

    """

    url: str
    runs: tuple[RunSummary, ...]
    problems: tuple[str, ...]


def summarize(store: SegmentStore, clock: Callable[[], float] = time.time) -> StoreSummary:
    """Summarize the segments of a store by their headers.

    Args:
        store: the store.
        clock: the time in seconds since 1970.

    Raises:
        FolderError: the store cannot be read.

    """
    problems: list[str] = []
    groups: dict[tuple[str, int], list[tuple[SegmentName, Header]]] = {}
    for name, header in _headers(store, problems.append):
        groups.setdefault((header.origin.fingerprint, name.part.of), []).append((name, header))
    runs = tuple(_summarize_run(groups[key], key[1], clock()) for key in sorted(groups))
    return StoreSummary(store.url, runs, tuple(problems))


def _headers(store: SegmentStore, on_problem: Callable[[str], None]) -> Iterator[tuple[SegmentName, Header]]:
    """Yield the headers of a store in the order of the names; a segment with two names counts once."""
    names = {name.digest: (file, name) for file in store.sizes() if (name := parse_name(file)) is not None}

    def read(file: str) -> Header | FolderError:
        try:
            return store.header(file)
        except FolderError as error:
            return error

    with ThreadPoolExecutor(READERS if store.folder.remote is not None else 1) as threads:
        headers = threads.map(read, [file for file, _ in names.values()])
        for (_, name), header in zip(names.values(), headers, strict=True):
            if isinstance(header, Header):
                yield name, header
            else:
                on_problem(str(header))


def _summarize_run(segments: Sequence[tuple[SegmentName, Header]], of: int, now: float) -> RunSummary:
    by_part: dict[Part, list[tuple[SegmentName, Work]]] = {Part(number, of): [] for number in range(of)}
    for name, header in segments:
        by_part[name.part].append((name, header.work))
    parts = [_summarize_part(part, works, now) for part, works in by_part.items()]
    rates = [part.rate for part in parts if part.state == "working" and part.rate is not None]
    limit = SLOW_FRACTION * median(rates) if len(rates) >= MIN_COMPARED else 0.0
    return RunSummary(segments[-1][1].origin, tuple(_marked(part, limit) for part in parts))


def _marked(part: PartSummary, limit: float) -> PartSummary:
    """Return a part, marked as slow if it is at work below a rate."""
    return replace(part, is_slow=part.state == "working" and part.rate is not None and part.rate < limit)


def _summarize_part(part: Part, segments: Iterable[tuple[SegmentName, Work]], now: float) -> PartSummary:
    workers: dict[str, list[Work]] = {}
    spans_s: dict[tuple[str, float], float] = {}  # by process: between two of a worker it waits, as in a queue
    for name, work in sorted(segments, key=lambda entry: entry[1].sealed):
        workers.setdefault(name.worker, []).append(work)
        spans_s[name.worker, work.began] = work.sealed - work.began
    if not workers:
        return PartSummary(part, "not begun")
    last = max((works[-1] for works in workers.values()), key=lambda work: work.sealed)
    everything = [work for works in workers.values() for work in works]
    is_complete = any(work.state == "complete" for work in everything)
    age_s = max(0.0, now - last.sealed)
    state = "complete" if is_complete else "stopped" if last.state == "stopped" else "working"
    costs = [work.cost for work in everything]
    replies = sum(work.replies for work in everything)
    wanted = max(work.wanted for work in everything)
    minutes = sum(spans_s.values()) / 60
    return PartSummary(
        part=part,
        state="silent" if state == "working" and age_s > SILENT_S else state,
        workers=tuple(sorted(workers, key=lambda worker: workers[worker][-1].sealed)),
        host=last.host,
        wanted=wanted if wanted or is_complete else None,
        accepted=max(work.accepted for work in everything),
        replies=replies,
        tokens=sum(work.prompt_tokens + work.completion_tokens for work in everything),
        cost=None if None in costs else sum(cost for cost in costs if cost is not None),
        rate=replies / minutes if replies and minutes > 0 else None,
        age_s=age_s,
    )
