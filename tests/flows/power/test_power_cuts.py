"""Power cuts on a real file system: its image is copied while a command runs, and the same command run on the copy.

The process is stopped while the image is copied. Cuts are at calls of the process that change its disk, at random
moments, and in the seconds after its end.
"""

import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.helpers.command import OPENAI, Run
from tests.helpers.flow import bytes_of, write_recipe
from tests.helpers.power.image import cut_power, make_image, mounted, reason
from tests.helpers.power.process import start, stopped
from tests.helpers.pushing import served
from tests.helpers.servers.hub.server import Hub
from tests.helpers.servers.weather_server import WeatherServer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(reason() != "", reason=f"power cannot be cut here: {reason()}"),
]

ROWS = 120
LATENCY_S = 0.1
AT_CALLS = 22
AT_TIMES = 8
AFTER_S = (0.0, 0.5, 2.0, 6.0)
"""Seconds after the end of the command."""


@dataclass(frozen=True, slots=True)
class PowerCut:
    """A copy of the disk, the number of replies that the journal had committed, and the moment in words."""

    image: Path
    stored: int
    moment: str


def stored_replies(run_folder: Path) -> int:
    """Count the replies that another process can read in the journal, hence those whose commit has been flushed."""
    journal = run_folder / "journal.sqlite"
    if not journal.exists():
        return 0
    with closing(sqlite3.connect(journal)) as database:
        if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'replies'").fetchone():
            return 0
        return int(database.execute("SELECT count(*) FROM replies").fetchone()[0])


def words_of(recipe: Path, url: str, out: Path) -> list[str]:
    return ["generate", str(recipe), *OPENAI, url, "--out", str(out), "--concurrency", "4"]


@pytest.fixture
def server() -> Iterator[WeatherServer]:
    with WeatherServer(latency=LATENCY_S) as running:
        yield running


def cut_while(words: list[str], server: WeatherServer, stops: set[int], tmp_path: Path, seed: int) -> list[PowerCut]:
    """Run a command whose output is on the mounted image, and cut the power again and again."""
    rng, cuts, run_folder = random.Random(seed), list[PowerCut](), tmp_path / "disk" / "out.run"
    image, expected_s = tmp_path / "image", ROWS * LATENCY_S / 4 + 1
    process = start(words, tmp_path / "count", stops)
    begin = time.monotonic()
    times = sorted(rng.uniform(0, expected_s) for _ in range(AT_TIMES))

    def cut(moment: str) -> None:
        stored = stored_replies(run_folder)
        cuts.append(PowerCut(cut_power(image, tmp_path / f"cut-{len(cuts)}"), stored, moment))

    def due() -> bool:
        is_due = bool(times) and time.monotonic() - begin >= times[0]
        if is_due:
            times.pop(0)
        return is_due

    for _ in stopped(process, due):
        cut(f"{time.monotonic() - begin:.2f} s, {len(server.answered)} replies")
    output = process.communicate()[0]
    assert process.returncode == 0, output
    end = time.monotonic()
    for seconds in AFTER_S:
        time.sleep(max(0.0, end + seconds - time.monotonic()))
        cut(f"{seconds} s after the end")
    return cuts


def test_generate_loses_nothing_by_a_power_cut(server: WeatherServer, run: Run, tmp_path: Path) -> None:
    """Every cut ends with the undisturbed bytes, and no reply that was stored is requested again."""
    recipe, disk = write_recipe(tmp_path, {"rows": ROWS}), tmp_path / "disk"
    process = start(words_of(recipe, server.url, tmp_path / "calm" / "out"), tmp_path / "count")
    output = process.communicate()[0]
    assert process.returncode == 0, output
    undisturbed = bytes_of(tmp_path / "calm" / "out")
    calls = int((tmp_path / "count").read_text())
    stops = set(random.Random(1).sample(range(1, calls + 1), AT_CALLS))
    server.calls = 0
    with mounted(make_image(tmp_path / "image"), disk):
        cuts = cut_while(words_of(recipe, server.url, disk / "out"), server, stops, tmp_path, seed=2)
        replies = server.calls
        assert bytes_of(disk / "out") == undisturbed
    assert len(cuts) >= 30
    assert {power_cut.stored for power_cut in cuts} >= {0, replies}
    for power_cut in cuts:
        with WeatherServer(latency=0) as fast, mounted(power_cut.image, disk):
            outcome = run(*words_of(recipe, fast.url, disk / "out"))
            assert outcome.code == 0, (power_cut.moment, outcome.err)
            assert bytes_of(disk / "out") == undisturbed, power_cut.moment
            assert {path.name for path in disk.iterdir()} == {"out", "out.run", "lost+found"}, power_cut.moment
        assert fast.calls <= replies - power_cut.stored, power_cut.moment
        power_cut.image.unlink()


def test_a_push_is_completed_after_a_power_cut(server: WeatherServer, tmp_path: Path) -> None:
    """The power is cut when the Hub has received its third, its sixth, ... request."""
    recipe, disk = write_recipe(tmp_path, {"rows": 14}), tmp_path / "disk"
    cuts: list[Path] = []
    with Hub() as hub, mounted(make_image(tmp_path / "image"), disk):
        env = {**hub.env(), "HF_TOKEN": "hf_write", "HF_HOME": str(disk / "hf")}
        words = [*words_of(recipe, server.url, disk / "out"), "--push", "user/personagen"]
        process = start(words, tmp_path / "count", **env)
        for _ in stopped(process, lambda: len(hub.requests) >= 3 * (len(cuts) + 1) and len(cuts) < 3):
            cuts.append(cut_power(tmp_path / "image", tmp_path / f"cut-{len(cuts)}"))
        output = process.communicate()[0]
        assert process.returncode == 0, output
        undisturbed = bytes_of(disk / "out")
        assert served(hub, "user/personagen") == undisturbed
    assert len(cuts) == 3
    for image in cuts:
        with Hub() as hub, mounted(image, disk):
            process = start(words, tmp_path / "count", **{**env, **hub.env()})
            output = process.communicate()[0]
            assert process.returncode == 0, output
            assert served(hub, "user/personagen") == bytes_of(disk / "out") == undisturbed
    assert server.paid_twice == 0
