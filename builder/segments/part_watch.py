"""Watch in a store whether a part is at work, while other parts wait for what it makes."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from personagen.builder.core.errors import FolderError, MissingReplyError
from personagen.builder.core.progress import duration
from personagen.builder.planning.parts import Part
from personagen.builder.segments.segment import Work, parse_name
from personagen.builder.segments.store import SegmentStore
from personagen.builder.segments.summary import SILENT_S

POLL_S = 5.0
"""Seconds between two looks into the store."""

STOPPED_S = 300.0
"""Seconds in which a part that has stopped may begin again, as where all parts are started or requeued together."""


@dataclass(frozen=True, slots=True)
class WaitingTimes:
    """How long a part waits for another one.

    Attributes:
        poll_s: seconds between two looks into the store.
        stopped_s: seconds after which one that has stopped is given up.
        silent_s: seconds after which one that ships nothing is given up.

    """

    poll_s: float = POLL_S
    stopped_s: float = STOPPED_S
    silent_s: float = SILENT_S


class PartWatch:
    """A part that others wait for, as its segments show it."""

    def __init__(
        self, store: SegmentStore, part: Part, times: WaitingTimes, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin to wait now, by a clock in seconds; segments of its number count, whatever the number of parts."""
        self._store = store
        self._part = part
        self._times = times
        self._clock = clock
        self._since = clock()
        self._seen: set[str] = set()
        self._newest: Work | None = None

    def has_news(self) -> bool:
        """Return whether there are segments that no earlier call has seen; only their headers are read.

        Raises:
            FolderError: the store cannot be read.

        """
        last: dict[str, str] = {}
        for file in self._store.sizes():
            name = parse_name(file)
            if name is not None and name.part.number == self._part.number and file not in self._seen:
                self._seen.add(file)
                last[name.worker] = file
        for file in last.values():
            with suppress(FolderError):  # `join` reports what is wrong with it
                work = self._store.header(file).work
                if self._newest is None or work.sealed >= self._newest.sealed:
                    self._newest = work
        if last:
            self._since = self._clock()
        return bool(last)

    def require_at_work(self) -> None:
        """Raise MissingReplyError if the part has stopped, or has shipped nothing for long, since the wait began."""
        quiet_s = self._clock() - self._since
        has_ended = self._newest is not None and self._newest.state in ("stopped", "complete")
        if quiet_s < (self._times.stopped_s if has_ended else self._times.silent_s):
            return
        what = "has stopped" if has_ended else f"has shipped nothing for {duration(quiet_s)}"
        raise MissingReplyError(
            f"part {self._part} {what}, and {self._store.url} lacks the events that it invents for all parts; run it, "
            "then this command again"
        )
