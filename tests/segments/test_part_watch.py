"""What the segments of a part report to those that wait for it: whether it is at work, and what is new."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from personagen.builder.core.errors import MissingReplyError
from personagen.builder.planning.parts import Part
from personagen.builder.segments.part_watch import PartWatch, WaitingTimes
from personagen.builder.segments.store import open_store
from tests.helpers.parts.made_segments import WORK, rows_of_replies, segment

TIMES = WaitingTimes(0.0, stopped_s=300.0, silent_s=3_600.0)
PART = Part(0, 4)


def ship(folder: Path, state: str, sealed: float, part: str = "0/4", worker: str = "a") -> Path:
    """Ship a segment of a part that was sealed at a time."""
    work = replace(WORK, state=state, sealed=sealed)
    rows = rows_of_replies([int(sealed)])
    return segment(folder, rows, part, worker=12 * worker, order=int(sealed), work=work)


def watch_of(folder: Path) -> tuple[PartWatch, Callable[[float], None]]:
    """Return a watch of part 0, and what sets its clock."""
    now = [0.0]

    def set_clock(value: float) -> None:
        now[0] = value

    return PartWatch(open_store(str(folder)), PART, TIMES, lambda: now[0]), set_clock


def test_only_segments_of_its_number_that_were_not_seen_are_news(tmp_path: Path) -> None:
    watch, _ = watch_of(tmp_path)
    assert not watch.has_news()
    ship(tmp_path, "working", 1.0, "1/4")
    assert not watch.has_news()
    ship(tmp_path, "working", 2.0)
    assert watch.has_news() and not watch.has_news()
    ship(tmp_path, "begun", 3.0, "0/9", worker="b")
    assert watch.has_news() and not watch.has_news()


def test_headers_that_were_read_are_not_read_again(tmp_path: Path) -> None:
    watch, set_clock = watch_of(tmp_path)
    path = ship(tmp_path, "stopped", 1.0)
    assert watch.has_news()
    path.write_bytes(b"")  # it could not be read again
    assert not watch.has_news()
    set_clock(300.0)
    with pytest.raises(MissingReplyError, match="part 0/4 has stopped, and "):
        watch.require_at_work()


@pytest.mark.parametrize("state", ["stopped", "complete"])
def test_a_part_that_has_ended_may_begin_again_for_some_minutes(tmp_path: Path, state: str) -> None:
    watch, set_clock = watch_of(tmp_path)
    ship(tmp_path, state, 1.0)
    assert watch.has_news()
    set_clock(299.0)
    watch.require_at_work()
    ship(tmp_path, "begun", 2.0)
    set_clock(301.0)
    assert watch.has_news()
    watch.require_at_work()
    ship(tmp_path, "stopped", 1.5, worker="b")  # an earlier end of another worker
    assert watch.has_news()
    set_clock(301.0 + 3_599.0)
    watch.require_at_work()
    set_clock(301.0 + 3_600.0)
    wanted = (
        f"part 0/4 has shipped nothing for 1:00:00, and {tmp_path} lacks the events that it invents for all parts; run "
    )
    with pytest.raises(MissingReplyError, match=f"^{wanted}it, then this command again$"):
        watch.require_at_work()


def test_a_damaged_segment_is_news_without_a_state(tmp_path: Path) -> None:
    watch, set_clock = watch_of(tmp_path)
    ship(tmp_path, "stopped", 1.0).write_bytes(b"PAR1")
    assert watch.has_news()
    set_clock(300.0)
    watch.require_at_work()
