"""Judging in a real Jupyter kernel: an interrupt ends it, and every answer that arrived is kept."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.helpers.flow import wait_until
from tests.helpers.jupyter.kernel import started_kernel
from tests.helpers.real_texts import known_vectors, real
from tests.helpers.releasing import EMOTIONS, records
from tests.helpers.servers.fake_openai import FakeOpenAI, Fault

ANSWERED = 9
HELD = [Fault("delay", nth=number, seconds=600) for number in range(ANSWERED + 1, 200)]
"""Every request after the first ANSWERED waits longer than any test."""


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
