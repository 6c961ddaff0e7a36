"""Batches on disk: whoever comes after a crash goes on with them, and nothing is submitted twice."""

import asyncio
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from personagen.builder.core.errors import BackendError, FolderError, RecipeError, RequestError
from personagen.builder.llm.requests import Message
from personagen.builder.planning.parsing import read_recipe
from personagen.builder.preview import preview
from tests.helpers.batches import PACE, answers, ask, asks, backend_of, expected, refused, texts
from tests.helpers.flow import (
    LAYERED,
    bytes_of,
    command,
    make,
    recipe_for,
    refusals,
    said_last,
    wait_until,
    write_recipe,
)
from tests.helpers.releasing import ROOT, manifest_of
from tests.helpers.servers.fake_batches import FULL, FakeBatches, Trouble
from tests.helpers.servers.fake_openai import FakeOpenAI, Fault


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


@pytest.mark.parametrize("record", ['{"bat', "[]", '{"batch": 7}'])
def test_damaged_record_is_made_good(tmp_path: Path, record: str) -> None:
    """The server knows the batch by the name of its file."""
    with FakeBatches() as server:
        first = answers(server.url, tmp_path, asks(2))
        (path,) = tmp_path.joinpath("batches").glob("*.json")
        path.write_text(record, encoding="utf-8")
        path.with_suffix(".output.jsonl").unlink()
        assert answers(server.url, tmp_path, asks(2)) == first
    assert len(server.batches) == 1
    assert path.read_text(encoding="utf-8") == '{"batch": "batch_1"}\n'


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


# Killed


def process(words: Sequence[str]) -> "subprocess.Popen[str]":
    """Start a process that finds these tests."""
    return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def kill(words: Sequence[str], due: Callable[[], bool], later: float = 0.0) -> None:
    """Run a process, and kill it at a moment, or so many seconds later."""
    with process(words) as running:
        wait_until(lambda: due() or running.poll() is not None)
        time.sleep(later)
        running.kill()


LATER = 10**9
MOMENTS: dict[str, tuple[list[Trouble], int, Callable[[FakeBatches, Path], bool]]] = {
    "written": ([Trouble("upload", "hold", nth=1)], 0, lambda server, folder: "upload" in server.calls),
    "uploaded": ([Trouble("create", "hold", nth=1)], 0, lambda server, folder: "create" in server.calls),
    "created": ([Trouble("create", "hold_after", nth=1)], 0, lambda server, folder: len(server.batches) == 1),
    "polling": ([], LATER, lambda server, folder: bool(server.batches) and server.batches[0].polls > 2),
    "fetching": ([Trouble("content", "hold", nth=1)], 0, lambda server, folder: "content" in server.calls),
    "fetching errors": (
        [Trouble("content", "hold", nth=2)],
        0,
        lambda server, folder: server.calls.count("content") > 1,
    ),
    "fetched": ([], 0, lambda server, folder: any(folder.glob("batches/*.output.jsonl"))),
}


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_process_is_gone_on_with(tmp_path: Path, moment: str) -> None:
    """`kill -9` wherever it hurts: the same replies, from one batch."""
    trouble, polls, due = MOMENTS[moment]
    faults = [Fault("status", seed=7, status=400)]
    with FakeBatches(polls=polls, trouble=trouble, faults=faults) as server:
        words = [sys.executable, "-m", "tests.helpers.batches", server.url, str(tmp_path), "7"]
        kill(words, lambda: due(server, tmp_path))
        assert len(list(tmp_path.glob("batches/*.jsonl"))) == 1 + (moment == "fetched")
        server.polls = 0
        assert texts(answers(server.url, tmp_path, asks(6))) == expected(asks(6))
        refused(server.url, tmp_path, [ask(7)], RequestError, r"refused the request \(400\)")
    assert [len(batch.lines) for batch in server.batches] == [7]
    assert len(server.uploads) <= 2


def test_batch_that_failed_unseen_is_made_anew(tmp_path: Path) -> None:
    """The queue was full when nobody looked, and a second batch was created before the process died."""
    with FakeBatches(fates={1: FULL}, trouble=[Trouble("create", "hold_after", nth=2)]) as server:
        words = [sys.executable, "-m", "tests.helpers.batches", server.url, str(tmp_path), "1"]
        kill(words, lambda: len(server.batches) == 2)
        assert texts(answers(server.url, tmp_path, [ask(1)])) == expected([ask(1)])
    assert [batch.data["status"] for batch in server.batches] == ["failed", "completed"]


# Whole runs

BATCH = LAYERED | {"backend.kind": "batch"}


def run_batch(url: str, out: Path, recipe: Path) -> list[str]:
    """Spell the command that makes a release, with a backend that hurries."""
    words = command(url, out, recipe)
    place = words.index("-c") + 1
    words[place] = f"from tests.helpers.batches import hurry; hurry()\n{words[place]}"
    return words


def test_release_takes_a_batch_a_stage(tmp_path: Path) -> None:
    """Backgrounds, situations, texts: three batches, whose texts are as good as those of single calls."""
    with FakeBatches(polls=2) as server:
        recipe = recipe_for(server.url, BATCH)
        result = make(recipe, tmp_path / "out")
        assert result.made and not manifest_of(tmp_path / "out")["rejects"]
        assert [len(batch.lines) for batch in server.batches] == [7, 14, 14]
        assert server.repeated() == {}
        shutil.rmtree(tmp_path / "out")
        assert make(recipe, tmp_path / "out").made
        assert len(server.batches) == 3
    assert manifest_of(tmp_path / "out")["model"]["backend"] == "batch"


def test_refused_replies_are_asked_for_in_further_batches(tmp_path: Path) -> None:
    """The rows that need another attempt share a batch."""
    with FakeBatches(faults=refusals()) as server:
        make(recipe_for(server.url, BATCH), tmp_path / "out")
    assert server.repeated() == {}
    assert manifest_of(tmp_path / "out")["rejects"]
    assert 3 < len(server.batches) < 12


@pytest.mark.slow
def test_killed_release_is_gone_on_with_to_the_same_bytes(tmp_path: Path) -> None:
    """Killed in its second stage and in its third; each request is in one batch."""
    path, out, calm = write_recipe(tmp_path, BATCH), tmp_path / "out", tmp_path / "calm"
    with FakeBatches(faults=refusals()) as server:
        make(read_recipe(path, {"backend.base_url": server.url}), calm)
    trouble = [Trouble("create", "hold_after", nth=2), Trouble("content", "hold", nth=3)]
    with FakeBatches(faults=refusals(), trouble=trouble) as server:
        words = run_batch(server.url, out, path)
        kill(words, lambda: len(server.batches) == 2)
        kill(words, lambda: server.calls.count("content") == 3)
        assert not out.exists()
        make(read_recipe(path, {"backend.base_url": server.url}), out)
    assert server.repeated() == {}
    assert bytes_of(out) == bytes_of(calm)


@pytest.mark.slow
def test_release_killed_very_often_is_gone_on_with_to_the_same_bytes(tmp_path: Path) -> None:
    """After any number of calls, and a random moment more."""
    path, out, calm = write_recipe(tmp_path, BATCH, {"rows": 24}), tmp_path / "out", tmp_path / "calm"
    rng = random.Random(4)
    with FakeBatches(faults=refusals()) as server:
        make(read_recipe(path, {"backend.base_url": server.url}), calm)
    with FakeBatches(faults=refusals()) as server:
        words = run_batch(server.url, out, path)
        for _ in range(25):
            target = len(server.calls) + rng.randrange(1, 12)
            kill(words, lambda target=target: len(server.calls) >= target, rng.uniform(0, 0.05))  # type: ignore[misc]
        make(read_recipe(path, {"backend.base_url": server.url}), out)
    assert server.repeated() == {}
    assert bytes_of(out) == bytes_of(calm)


@pytest.mark.slow
def test_interrupted_release_leaves_its_batches_alone(tmp_path: Path) -> None:
    """Ctrl-C ends with 130 and one line; the batch goes on, and the same command finishes with it."""
    path, out = write_recipe(tmp_path, BATCH), tmp_path / "out"
    with FakeBatches(polls=LATER) as server:
        words = run_batch(server.url, out, path)
        with process(words) as running:
            wait_until(lambda: bool(server.waiting()) and server.batches[0].polls > 1)
            running.send_signal(signal.SIGINT)
            stdout, stderr = running.communicate(timeout=60)
        done = subprocess.CompletedProcess(words, running.returncode, stdout, stderr)
        assert (done.returncode, done.stdout, out.exists()) == (130, "", False)
        assert said_last(done) == "personagen: stopped; what was paid for is kept: run the same command to go on"
        assert len(server.waiting()) == 1
        server.polls = 0
        make(read_recipe(path, {"backend.base_url": server.url}), out)
    assert len(server.batches) == 3 and server.repeated() == {}


def test_batch_under_way_holds_its_folder(tmp_path: Path) -> None:
    """It is paid for, though there is no reply yet, so another recipe must not take the folder over."""
    trouble = [Trouble("retrieve", "status", status=401)]
    with FakeBatches(trouble=trouble) as server:
        with pytest.raises(BackendError, match=r"refused the key \(401\)"):
            make(recipe_for(server.url, BATCH), tmp_path / "out")
        with pytest.raises(FolderError, match="has a run of recipe"):
            make(recipe_for(server.url, BATCH, {"seed": 1}), tmp_path / "out")
        server.quiet()
        make(recipe_for(server.url, BATCH), tmp_path / "out")
    assert len(server.batches) == 3


def test_preview_does_not_wait_for_batches() -> None:
    """It asks the same model by single calls, and writes nothing."""
    with FakeOpenAI() as server:
        rows = preview(recipe_for(server.url, BATCH), 1)
    assert len(rows) == 1 and len(server.requests) == 3


def test_recipe_of_kind_batch() -> None:
    """It needs a model, may have an address, and has the model write what other models write."""
    recipe = recipe_for("http://127.0.0.1:9/v1", {"backend.kind": "batch"})
    assert recipe.elaborated() == ("sociocultural", "situational")
    with pytest.raises(RecipeError, match=r"backend batch needs a model; name one with --model or backend\.model"):
        recipe_for("http://127.0.0.1:9/v1", {"backend.kind": "batch", "backend.model": None})
