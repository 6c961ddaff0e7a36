"""Batches on disk: a process that follows a crash continues with them, and no request is submitted twice."""

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
from personagen.builder.planning.recipe.parsing import read_recipe
from personagen.builder.preview import preview
from tests.helpers.batch_runs import make_by_batches
from tests.helpers.batches import PATIENT, answers, ask, asks, backend_of, expected, refused, texts
from tests.helpers.flow import (
    LAYERED,
    bytes_of,
    command,
    only_line,
    recipe_for,
    refusals,
    wait_until,
    write_recipe,
)
from tests.helpers.processes.forked import ForkedProcess
from tests.helpers.releasing import manifest_of
from tests.helpers.servers.fake_batches import FULL, FakeBatches, Trouble
from tests.helpers.servers.fake_openai import FakeOpenAI, Fault

# Files


def test_later_process_reads_the_results(tmp_path: Path) -> None:
    """Without a server, in part, and again; new requests make a batch of their own."""
    with FakeBatches() as server:
        first = answers(server.url, tmp_path, asks(6))
    calls = list(server.calls)
    assert answers(server.url, tmp_path, asks(6)[::2]) == first[::2]
    assert server.calls == calls
    with FakeBatches() as server:
        assert texts(answers(server.url, tmp_path, asks(8))) == expected(asks(8))
        assert [len(batch.lines) for batch in server.batches] == [2]


def test_same_process_reads_the_results(tmp_path: Path) -> None:
    """An equal request is not submitted again."""

    async def run(url: str) -> None:
        backend = backend_of(url, tmp_path)
        first = await backend.complete(ask(1))
        assert await backend.complete(ask(1)) == first
        await backend.close()

    with FakeBatches() as server:
        asyncio.run(run(server.url))
    assert len(server.batches) == 1


def test_requests_of_damaged_lines_are_sent_again(tmp_path: Path) -> None:
    """The intact lines of a damaged file of results are used."""
    with FakeBatches() as server:
        first = answers(server.url, tmp_path, asks(3))
        (path,) = tmp_path.joinpath("batches").glob("*.output.jsonl")
        lines = path.read_bytes().splitlines(keepends=True)
        odd = [b'{"custom_id": 7}\n', b"[1]\n", lines[0].replace(b'"response": {', b'"response": 3, "x": {')]
        path.write_bytes(b"".join([*odd, lines[1], lines[2][:30]]))
        assert answers(server.url, tmp_path, asks(3)) == first
    assert [len(batch.lines) for batch in server.batches] == [3, 2]


@pytest.mark.parametrize("record", ['{"bat', "[]", '{"batch": 7}'])
def test_damaged_record_is_restored(tmp_path: Path, record: str) -> None:
    """The batch is found at the server by its token."""
    with FakeBatches() as server:
        first = answers(server.url, tmp_path, asks(2))
        (path,) = tmp_path.joinpath("batches").glob("*.json")
        path.write_text(record, encoding="utf-8")
        path.with_suffix(".output.jsonl").unlink()
        assert answers(server.url, tmp_path, asks(2)) == first
    assert len(server.batches) == 1
    assert path.read_text(encoding="utf-8") == '{"batch": "batch_1"}\n'


def test_half_written_files_are_ignored(tmp_path: Path) -> None:
    """They have a temporary name; files of other names are left alone."""
    folder = tmp_path / "batches"
    folder.mkdir()
    (folder / "000001-0123456789abcdef.jsonl.part").write_bytes(b'{"custom_id": "ab')
    (folder / "notes.jsonl").write_bytes(b"mine")
    (folder / "000002-0123456789abcdef.json").write_text('{"batch": "batch_9"}')  # deleted only in part
    with FakeBatches() as server:
        answers(server.url, tmp_path, [ask(1)])
    assert not list(folder.glob("*.part"))


def test_damaged_requests_are_refused(tmp_path: Path) -> None:
    """It is unknown which requests were paid for."""
    folder = tmp_path / "batches"
    folder.mkdir()
    (folder / "000001-0123456789abcdef.jsonl").write_bytes(b"?\n")
    with FakeBatches() as server:
        message = (
            r"^cannot read the batches in .*batches: 000001-0123456789abcdef\.jsonl is damaged \(.*\); put back a copy "
            r"of it, or remove it and its batch is paid for again, without the others$"
        )
        folder.joinpath("000001-0123456789abcdef.jsonl").write_bytes(b'{"custom_id": "' + b"z" * 64 + b'"}\n')
        refused(server.url, tmp_path, [ask(1)], FolderError, message)
    assert server.calls == []


def test_folder_that_cannot_be_created_is_refused(tmp_path: Path) -> None:
    """Nothing is sent that a later process could not find."""
    (tmp_path / "batches").touch()
    with FakeBatches() as server:
        message = (
            r"^cannot read the batches in .*: file exists; free some space or check the folder, and run the command"
        )
        refused(server.url, tmp_path, [ask(1)], FolderError, message)
    assert server.calls == []


def test_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """Before the batch is uploaded."""

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
    """Unicode line separators separate no lines."""
    request = replace(ask(1), messages=(Message("user", "caf\u00e9 \u2028 \u0085 \U0001f600"),))
    with FakeBatches() as server:
        assert texts(answers(server.url, tmp_path, [request])) == expected([request])


# Killed


def kill(words: Sequence[str], due: Callable[[], bool], later: float = 0.0) -> None:
    """Run a process, and kill it `later` seconds after a condition holds."""
    with ForkedProcess(words) as running:
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
def test_killed_process_is_continued(tmp_path: Path, moment: str) -> None:
    """`kill -9` at any step: the same replies, from one batch."""
    trouble, polls, due = MOMENTS[moment]
    faults = [Fault("status", seed=7, status=413, body={"error": {"message": "too long"}})]
    with FakeBatches(polls=polls, trouble=trouble, faults=faults) as server:
        words = [sys.executable, "-m", "tests.helpers.batches", server.url, str(tmp_path), "7"]
        kill(words, lambda: due(server, tmp_path))
        assert len(list(tmp_path.glob("batches/*.jsonl"))) == 1 + (moment == "fetched")
        server.polls = 0
        assert texts(answers(server.url, tmp_path, asks(6))) == expected(asks(6))
        refused(server.url, tmp_path, [ask(7)], RequestError, r"refused the request \(413\)")
    assert [len(batch.lines) for batch in server.batches] == [7]
    assert len(server.uploads) <= 2


def test_batch_that_failed_unseen_is_created_again(tmp_path: Path) -> None:
    """The queue was full while no process ran, and a second batch was created before the process died."""
    with FakeBatches(fates={1: FULL}, trouble=[Trouble("create", "hold_after", nth=2)]) as server:
        words = [sys.executable, "-m", "tests.helpers.batches", server.url, str(tmp_path), "1"]
        kill(words, lambda: len(server.batches) == 2)
        assert texts(answers(server.url, tmp_path, [ask(1)])) == expected([ask(1)])
    assert [batch.data["status"] for batch in server.batches] == ["failed", "completed"]


# Whole runs

BATCH = LAYERED | {"backend.kind": "batch"}


def run_to_kill(url: str, out: Path, recipe: Path) -> list[str]:
    """Return the command of a process that makes a release by batches, with short pauses."""
    return [sys.executable, "-m", "tests.helpers.batch_runs", str(out), str(recipe), url]


def test_release_takes_one_batch_per_stage_after_the_first_request(tmp_path: Path) -> None:
    """One request finds out the dialect; then backgrounds, situations, texts, each with the next ones of that row.

    A second release takes its replies from the journal.
    """
    with FakeBatches(polls=2) as server:
        recipe = recipe_for(server.url, BATCH)
        result = make_by_batches(recipe, tmp_path / "out", PATIENT)
        assert result.created and not manifest_of(tmp_path / "out")["rejects"]
        assert [len(batch.lines) for batch in server.batches] == [1, 6 + 2, 12 + 2, 12]
        assert server.repeated() == {}
        shutil.rmtree(tmp_path / "out")
        assert make_by_batches(recipe, tmp_path / "out", PATIENT).created
        assert len(server.batches) == 4
    assert manifest_of(tmp_path / "out")["model"]["backend"] == "batch"


def test_rejected_texts_are_written_again_in_further_batches(tmp_path: Path) -> None:
    """The rows that need another attempt share a batch."""
    with FakeBatches(faults=refusals()) as server:
        make_by_batches(recipe_for(server.url, BATCH), tmp_path / "out", PATIENT)
    assert server.repeated() == {}
    assert manifest_of(tmp_path / "out")["rejects"]
    assert 3 < len(server.batches) < 12


@pytest.mark.slow
def test_killed_release_is_continued_to_the_same_bytes(tmp_path: Path) -> None:
    """Killed in its second and in its third stage; each request is in one batch."""
    path, out, calm = write_recipe(tmp_path, BATCH), tmp_path / "out", tmp_path / "calm"
    with FakeBatches(faults=refusals()) as server:
        make_by_batches(read_recipe(path, {"backend.base_url": server.url}), calm)
    trouble = [Trouble("create", "hold_after", nth=2), Trouble("content", "hold", nth=3)]
    with FakeBatches(faults=refusals(), trouble=trouble) as server:
        words = run_to_kill(server.url, out, path)
        kill(words, lambda: len(server.batches) >= 2)
        kill(words, lambda: server.calls.count("content") >= 3)
        assert not out.exists()
        make_by_batches(read_recipe(path, {"backend.base_url": server.url}), out)
    assert server.repeated() == {}
    assert bytes_of(out) == bytes_of(calm)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_release_killed_very_often_is_continued_to_the_same_bytes(tmp_path: Path) -> None:
    """After random numbers of calls and random pauses."""
    path, out, calm = write_recipe(tmp_path, BATCH, {"rows": 24}), tmp_path / "out", tmp_path / "calm"
    rng = random.Random(4)
    with FakeBatches(faults=refusals()) as server:
        make_by_batches(read_recipe(path, {"backend.base_url": server.url}), calm)
    with FakeBatches(faults=refusals()) as server:
        words = run_to_kill(server.url, out, path)
        for _ in range(25):
            target = len(server.calls) + rng.randrange(1, 12)
            kill(words, lambda target=target: len(server.calls) >= target, rng.uniform(0, 0.05))  # type: ignore[misc]
        make_by_batches(read_recipe(path, {"backend.base_url": server.url}), out)
    assert server.repeated() == {}
    assert bytes_of(out) == bytes_of(calm)


@pytest.mark.slow
def test_interrupted_release_leaves_its_batches_alone(tmp_path: Path) -> None:
    """Ctrl-C ends with status 130 and one line; the batch goes on, and the next run uses it."""
    path, out = write_recipe(tmp_path, BATCH), tmp_path / "out"
    with FakeBatches(polls=LATER) as server:
        words = command(server.url, out, path)
        with ForkedProcess(words) as running:
            wait_until(lambda: bool(server.waiting()) and server.batches[0].polls > 1)
            running.send_signal(signal.SIGINT)
            stdout, stderr = running.communicate(timeout=60)
        done = subprocess.CompletedProcess(words, running.returncode, stdout, stderr)
        assert (done.returncode, done.stdout, out.exists()) == (130, "", False)
        assert only_line(done) == "personagen: interrupted; paid replies are kept: run the same command to continue"
        assert len(server.waiting()) == 1
        server.polls = 0
        make_by_batches(read_recipe(path, {"backend.base_url": server.url}), out, PATIENT)
    assert len(server.batches) == 4 and server.repeated() == {}


def test_batch_under_way_keeps_its_folder_from_other_recipes(tmp_path: Path) -> None:
    """It is paid for, although there is no reply yet."""
    trouble = [Trouble("retrieve", "status", status=401)]
    with FakeBatches(trouble=trouble) as server:
        with pytest.raises(BackendError, match=r"refused the key \(401\)"):
            make_by_batches(recipe_for(server.url, BATCH), tmp_path / "out")
        with pytest.raises(FolderError, match="has a run of another recipe: seed is 0 there and 1 here"):
            make_by_batches(recipe_for(server.url, BATCH, {"seed": 1}), tmp_path / "out")
        server.quiet()
        make_by_batches(recipe_for(server.url, BATCH), tmp_path / "out", PATIENT)
    assert len(server.batches) == 4


def test_preview_does_not_wait_for_batches() -> None:
    """It sends plain calls to the same model, and writes no file."""
    with FakeOpenAI() as server:
        rows = preview(recipe_for(server.url, BATCH), 1)
    assert len(rows) == 1 and len(server.requests) == 3


def test_recipe_of_kind_batch() -> None:
    """It needs a model and may have a base URL; its model writes the same layers as other models."""
    recipe = recipe_for("http://127.0.0.1:9/v1", {"backend.kind": "batch"})
    assert recipe.elaborated() == ("sociocultural", "situational")
    with pytest.raises(RecipeError, match=r"backend batch needs a model; name one with --model or backend\.model"):
        recipe_for("http://127.0.0.1:9/v1", {"backend.kind": "batch", "backend.model": None})
