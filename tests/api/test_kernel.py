"""The verbs in a real Jupyter kernel."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.helpers.flow import journalled_texts, wait_until
from tests.helpers.jupyter.kernel import Kernel, started_kernel
from tests.helpers.real_texts import known_vectors, real
from tests.helpers.releasing import EMOTIONS, records
from tests.helpers.servers.fake_openai import FakeOpenAI, Fault

ROWS, ANSWERED = 70, 9
HELD = [Fault("delay", nth=number, seconds=600) for number in range(ANSWERED + 1, 200)]
"""Every request after the first ANSWERED waits longer than any test."""

CELL = """import personagen as pg
keys = dict(rows={rows}, depth="none", text=dict(language=None), model="openai:fake-1", base_url="{url}")
"""


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with started_kernel(tmp_path) as running:
        yield running


def test_a_release_is_made_and_shown_in_a_cell(kernel: Kernel, model: FakeOpenAI) -> None:
    kernel.run(CELL.format(rows=7, url=model.url))
    made = kernel.run("pg.generate(**keys, out='out')")
    assert made.error is None, made
    assert made.shown["text/plain"].startswith("<Release 'out': 7 texts of 7 emotions by fake-1")
    assert "<table>" in made.shown["text/html"]
    assert "7/7" in made.streams["stderr"], "a bar"
    assert kernel.run("pg.generate(**keys, out='out', progress=False)").streams == {}


def test_an_interrupted_cell_ends_and_every_answered_reply_is_kept(kernel: Kernel, tmp_path: Path) -> None:
    out = tmp_path / "work" / "out"
    with FakeOpenAI(faults=HELD) as server:
        kernel.run(CELL.format(rows=ROWS, url=server.url))
        cell = kernel.start("pg.generate(**keys, out='out')")
        wait_until(lambda: len(journalled_texts(out, tmp_path)) == ANSWERED and len(server.requests) > ANSWERED)
        kernel.interrupt()
        ended = kernel.finish(cell)
        assert ended.error == "KeyboardInterrupt", "while the server goes on holding its replies"
        assert len(journalled_texts(out, tmp_path)) == ANSWERED
        asked = len(server.requests)
        assert kernel.run("1 + 1").shown["text/plain"] == "2"
        assert len(server.requests) == asked, "nothing is sent after the prompt is back"
    with FakeOpenAI() as server:
        kernel.run(CELL.format(rows=ROWS, url=server.url))
        made = kernel.run("pg.generate(**keys, out='out')")
        assert made.error is None, made
        assert len(server.requests) == ROWS - ANSWERED, "no reply is paid for twice"


def replies_in(journal: Path, scratch: Path) -> int:
    """Count the replies that are on disk, in a copy."""
    copy = scratch / "judge"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for file in journal.parent.glob(f"{journal.name}*"):
        shutil.copy(file, copy)
    with closing(sqlite3.connect(copy / journal.name)) as database:
        tables = database.execute("SELECT count(*) FROM sqlite_master WHERE name = 'replies'").fetchone()[0]
        return int(database.execute("SELECT count(*) FROM replies").fetchone()[0]) if tables else 0


def test_an_interrupt_ends_judging_and_every_answer_is_kept(tmp_path: Path, release: Path) -> None:
    reference, texts = tmp_path / "real.jsonl", real(60).texts
    reference.write_text("\n".join(json.dumps({"text": text}) for text in texts), encoding="utf-8")
    shutil.copytree(release, tmp_path / "work" / "personagen")
    written = [row["text"] for emotion in EMOTIONS for row in records(release, emotion)]
    with known_vectors(tmp_path / "cache", [*written, *texts]) as cache, FakeOpenAI(faults=HELD) as server:
        journal = cache / "judge" / "judge.sqlite"
        with started_kernel(tmp_path, OPENAI_API_KEY="sk-test") as kernel:
            kernel.run(f"import personagen as pg; keys = dict(judges='openai:fake-1', judge_url='{server.url}')")
            cell = kernel.start(f"pg.evaluate(reference={str(reference)!r}, sample_size=12, **keys)")
            wait_until(lambda: len(server.requests) > ANSWERED and replies_in(journal, tmp_path) == ANSWERED)
            kernel.interrupt()
            ended = kernel.finish(cell)
    assert ended.error == "KeyboardInterrupt", ended
    assert replies_in(journal, tmp_path) == ANSWERED
