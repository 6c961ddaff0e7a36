"""The verbs in a real Jupyter kernel."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.flow import journalled_texts, wait_until
from tests.helpers.jupyter.kernel import Kernel, started_kernel
from tests.helpers.servers.fake_openai import FakeOpenAI, Fault

ROWS, ANSWERED = 70, 9
HELD = [Fault("delay", nth=number, seconds=600) for number in range(ANSWERED + 1, 200)]
"""Every request after the first ANSWERED waits longer than any test."""

CELL = """import personagen as pg
keys = dict(rows={rows}, depth="none", text=dict(language=None), model="openai:fake-1", base_url="{url}")
keys |= dict(expression="shown")
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
