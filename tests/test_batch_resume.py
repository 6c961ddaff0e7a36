"""Batches on disk: whoever comes after a crash goes on with them, and nothing is submitted twice."""

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from personagen.builder.errors import FolderError
from personagen.builder.llm import Message
from tests.batches import PACE, answers, ask, asks, backend_of, expected, refused, texts
from tests.fake_batches import FakeBatches


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in PACE.items():
        monkeypatch.setattr(f"personagen.builder.{name}", value)


# Files


def test_later_process_reads_what_came_back(tmp_path: Path) -> None:
    """Without a server, in part, and again; what is new makes a batch of its own."""
    with FakeBatches() as server:
        first = answers(server.url, tmp_path, asks(6))
    calls = list(server.calls)
    assert answers(server.url, tmp_path, asks(6)[::2]) == first[::2]
    assert server.calls == calls
    with FakeBatches() as server:
        assert texts(answers(server.url, tmp_path, asks(8))) == expected(asks(8))
        assert [len(batch.lines) for batch in server.batches] == [2]


def test_same_process_reads_what_came_back(tmp_path: Path) -> None:
    """A request asked again is not submitted again."""

    async def run(url: str) -> None:
        backend = backend_of(url, tmp_path)
        first = await backend.complete(ask(1))
        assert await backend.complete(ask(1)) == first
        await backend.close()

    with FakeBatches() as server:
        asyncio.run(run(server.url))
    assert len(server.batches) == 1


def test_lines_that_nobody_can_read_are_asked_again(tmp_path: Path) -> None:
    """A damaged file of results costs its damaged lines."""
    with FakeBatches() as server:
        first = answers(server.url, tmp_path, asks(3))
        (path,) = tmp_path.joinpath("batches").glob("*.output.jsonl")
        lines = path.read_bytes().splitlines(keepends=True)
        odd = [b'{"custom_id": 7}\n', b"[1]\n", lines[0].replace(b'"response": {', b'"response": 3, "x": {')]
        path.write_bytes(b"".join([*odd, lines[1], lines[2][:30]]))
        assert answers(server.url, tmp_path, asks(3)) == first
    assert [len(batch.lines) for batch in server.batches] == [3, 2]


def test_half_written_files_are_nothing(tmp_path: Path) -> None:
    """A process that died while it wrote leaves a temporary name; other files are none of ours."""
    folder = tmp_path / "batches"
    folder.mkdir()
    (folder / "000001-0123456789abcdef.jsonl.part").write_bytes(b'{"custom_id": "ab')
    (folder / "notes.jsonl").write_bytes(b"mine")
    with FakeBatches() as server:
        answers(server.url, tmp_path, [ask(1)])
    assert not list(folder.glob("*.part"))


def test_damaged_input_is_told(tmp_path: Path) -> None:
    """Which requests were paid cannot be known then."""
    folder = tmp_path / "batches"
    folder.mkdir()
    (folder / "000001-0123456789abcdef.jsonl").write_bytes(b"?\n")
    with FakeBatches() as server:
        message = r"^cannot read the batches in .*batches: a file is damaged \(.*\); set the run aside with --fresh$"
        folder.joinpath("000001-0123456789abcdef.jsonl").write_bytes(b'{"custom_id": "' + b"z" * 64 + b'"}\n')
        refused(server.url, tmp_path, [ask(1)], FolderError, message)
    assert server.calls == []


def test_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """Nothing is sent that could not be found again."""
    (tmp_path / "batches").touch()
    with FakeBatches() as server:
        message = (
            r"^cannot read the batches in .*: file exists; free some space or check the folder, and run the command"
        )
        refused(server.url, tmp_path, [ask(1)], FolderError, message)
    assert server.calls == []


def test_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """Before anything of it is uploaded."""

    async def run(url: str) -> None:
        backend = backend_of(url, tmp_path)
        await backend.complete(ask(1))
        shutil.rmtree(tmp_path / "batches")
        with pytest.raises(
            FolderError, match=r"^cannot write the batches in .*batches: no such file or directory; free"
        ):
            await backend.complete(ask(2))
        await backend.close()

    with FakeBatches() as server:
        asyncio.run(run(server.url))
    assert server.calls.count("upload") == 1


def test_text_of_any_script_is_sent_and_read(tmp_path: Path) -> None:
    """What separates lines elsewhere does not here."""
    request = replace(ask(1), messages=(Message("user", "caf\u00e9 \u2028 \u0085 \U0001f600"),))
    with FakeBatches() as server:
        assert texts(answers(server.url, tmp_path, [request])) == expected([request])
