"""What happens to the workers of a part: disks, stores and machines that fail, and workers that meet."""

import gc
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from openai import AsyncOpenAI

from personagen.builder.core.errors import BudgetError, FolderError, RecipeError
from personagen.builder.generate import generate
from personagen.builder.planning.parts import Part
from personagen.builder.planning.recipe import Recipe
from personagen.builder.release.run.worker import open_work
from personagen.builder.segments.sealing import Sealer, ShippingTimes
from personagen.builder.segments.store import open_store
from tests.helpers.flow import PLAIN, Recorder, bytes_of, make, recipe_for, wait_until
from tests.helpers.parts.made_segments import rewritten, set_in
from tests.helpers.parts.workers import fill_part, headers_of, repeats
from tests.helpers.servers.fake_openai import FakeOpenAI, Fault

ROWS: dict[str, Any] = PLAIN | {"rows": 24}
NOWHERE = "http://127.0.0.1:9/v1"


def segments(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.parquet"))


def check_release(recipe: Recipe, folder: Path) -> None:
    """Write the release from the segments without a call, and compare it with that of one process."""
    generate(recipe, folder / "out", journals=str(folder / "journals"), calls=False)
    make(recipe, folder / "calm")
    assert bytes_of(folder / "out") == bytes_of(folder / "calm")


def test_a_part_is_taken_over_from_its_segments_alone(tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        recipe = recipe_for(server.url, ROWS)
        fill_part(recipe, "0/2", tmp_path)
        sent = len(server.requests)
        shutil.rmtree(tmp_path / "work-0-2")
        result = fill_part(recipe, "0/2", tmp_path, work=tmp_path / "other machine")
        assert (result.texts, result.replies, len(server.requests)) == (14, sent, sent)
        replies = [header.work.replies for header in headers_of(tmp_path / "journals")]
        assert sum(replies) == sent, "what another worker has shipped is not shipped again"
        fill_part(recipe, "1/2", tmp_path)
        check_release(recipe, tmp_path)


def test_two_workers_of_a_part_are_named_and_their_replies_joined(tmp_path: Path) -> None:
    progress = Recorder()
    with FakeOpenAI(faults=[Fault("hang", nth=3)]) as server:
        recipe = recipe_for(server.url, ROWS, {"backend.concurrency": 1})
        first = Thread(target=lambda: fill_part(recipe, "0/1", tmp_path))
        first.start()
        wait_until(lambda: len(server.requests) == 3)
        fill_part(recipe, "0/1", tmp_path, progress, work=tmp_path / "second")
        server.released.set()
        first.join()
        assert repeats(server.requests) <= 24
        (line,) = [line for line in progress.warnings if "is also filled" in line]
        wanted = (
            r"part 0/1 is also filled by a worker on '[^']+', whose last segment is 0:00:\d\d old; replies that both "
        )
        assert re.fullmatch(wanted + "request are paid for twice", line)
        check_release(recipe, tmp_path)


# The worker's own disk


def test_a_segment_that_the_store_has_lost_or_altered_is_shipped_again(tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        recipe = recipe_for(server.url, ROWS)
        fill_part(recipe, "0/1", tmp_path)
        requests = len(server.requests)
        whole = {path.name: path.read_bytes() for path in segments(tmp_path / "journals")}
        for damage in (Path.unlink, cut, flip):
            for path in segments(tmp_path / "journals"):
                damage(path)
            fill_part(recipe, "0/1", tmp_path)
            shipped = {path.name: path.read_bytes() for path in segments(tmp_path / "journals")}
            assert whole.items() <= shipped.items()
        assert len(server.requests) == requests


def cut(path: Path) -> None:
    """Cut a file in the middle."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    """Change a byte of a file."""
    data = path.read_bytes()
    path.write_bytes(data[:-20] + bytes([data[-20] ^ 1]) + data[-19:])


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-50], lambda data: data[:200] + b"x" + data[201:], lambda data: b""]
)
def test_a_damaged_segment_of_the_worker_replaces_no_whole_one(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    """It is set aside; the store has it whole."""
    progress = Recorder()
    with FakeOpenAI() as server:
        recipe = recipe_for(server.url, ROWS)
        fill_part(recipe, "0/1", tmp_path)
        whole = {path.name: path.read_bytes() for path in segments(tmp_path / "journals")}
        for path in segments(tmp_path / "work-0-1" / "segments"):
            path.write_bytes(damage(path.read_bytes()))
        fill_part(recipe, "0/1", tmp_path, progress)
        assert whole.items() <= {path.name: path.read_bytes() for path in segments(tmp_path / "journals")}.items()
        assert all(line.endswith("; it is set aside, and its replies are sealed anew") for line in progress.warnings)
        assert len(progress.warnings) == len(whole) and len(server.requests) == 24
        check_release(recipe, tmp_path)


def test_replies_of_a_segment_that_is_lost_on_both_sides_are_sealed_anew(tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        recipe = recipe_for(server.url, ROWS)
        fill_part(recipe, "0/1", tmp_path)
        for folder in (tmp_path / "journals", tmp_path / "work-0-1" / "segments"):
            for path in segments(folder):
                path.unlink()
        fill_part(recipe, "0/1", tmp_path)
        assert len(server.requests) == 24
        check_release(recipe, tmp_path)


def test_segments_of_another_model_are_not_shipped_among_those_of_this_one(tmp_path: Path) -> None:
    """A worker whose server has another model by now, with the same folder."""
    with FakeOpenAI() as server:
        fill_part(recipe_for(server.url, ROWS), "0/1", tmp_path)
        other = recipe_for(server.url, ROWS, {"backend.body": {"min_p": 0.1}})
        places = {"work": tmp_path / "other", "journals": str(tmp_path / "new")}
        fill_part(other, "0/1", tmp_path, **places)
        shipped = segments(tmp_path / "new")
        shutil.copytree(tmp_path / "work-0-1" / "segments", tmp_path / "other" / "segments", dirs_exist_ok=True)
        with pytest.raises(
            FolderError, match=r"is of another recipe: [^;]*; name another folder of the worker with --work$"
        ):
            fill_part(other, "0/1", tmp_path, **places)
        assert segments(tmp_path / "new") == shipped


def test_own_segments_of_a_newer_version_are_named_with_the_advice_for_a_worker(tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        recipe = recipe_for(server.url, ROWS)
        fill_part(recipe, "0/8", tmp_path)
        path = segments(tmp_path / "work-0-8" / "segments")[0]
        rewritten(path, lambda header: set_in(header, ["origin", "personagen"], "99.0"))
        wanted = r"is of PersonaGen '99\.0', this is [\d.]+; name another folder of the worker with --work$"
        with pytest.raises(FolderError, match=wanted):
            fill_part(recipe, "0/8", tmp_path)


def test_models_are_closed_if_the_worker_cannot_begin(tmp_path: Path) -> None:
    """Its segments have no folder."""
    work = tmp_path / "work"
    recipe = recipe_for(NOWHERE, ROWS, {"backend.kind": "batch"})
    with open_work(work, recipe, Part(0, 2), accept_lost_replies=False):
        (work / "segments").write_text("in the way")
    with pytest.raises(
        FolderError, match=f"cannot make {work / 'segments'}: file exists; name another folder with --work$"
    ) as raised:
        fill_part(recipe, "0/2", tmp_path, work=work)
    clients = [
        client for client in gc.get_objects() if type(client) is AsyncOpenAI
    ]  # `isinstance` asks each for its class
    assert raised and clients and all(client.is_closed() for client in clients)


# The store


def test_a_store_that_cannot_be_written_for_a_while_delays_the_segments(tmp_path: Path) -> None:
    store = tmp_path / "journals"
    progress, sealers = Recorder(), []

    def break_it(sealer: Sealer) -> None:
        sealers.append(sealer)
        shutil.rmtree(store)
        store.write_text("in the way")

    def mend() -> None:
        wait_until(lambda: any("shipped later" in line for line in progress.warnings))
        store.unlink()
        server.released.set()

    with FakeOpenAI(faults=[Fault("hang", nth=20)]) as server:
        recipe = recipe_for(server.url, ROWS, {"backend.concurrency": 2})
        mending = Thread(target=mend)
        mending.start()
        fill_part(recipe, "0/1", tmp_path, progress, on_sealer=break_it, times=ShippingTimes(0.05, retry_s=0.05))
        mending.join()
        (line,) = progress.warnings
        wanted = (
            rf"cannot (?:read|write) the segments in {store}: .*; check the address and its access, and run the same "
        )
        wanted += rf"command again; the segments are kept in {tmp_path / 'work-0-1' / 'segments'} and shipped later"
        assert re.fullmatch(wanted, line)
        assert {path.name for path in segments(store)} == {
            path.name for path in segments(tmp_path / "work-0-1" / "segments")
        }
        assert len(server.requests) == 24
        check_release(recipe, tmp_path)


def test_a_store_that_cannot_be_written_for_good_is_named_and_the_next_command_ships(tmp_path: Path) -> None:
    store, progress = tmp_path / "journals", Recorder()

    def break_it(_: Sealer) -> None:
        shutil.rmtree(store)
        store.write_text("in the way")

    with FakeOpenAI() as server:
        recipe = recipe_for(server.url, ROWS)
        own = tmp_path / "work-0-1" / "segments"
        wanted = (
            f"cannot ship all replies of part 0/1 to {store}; they are in {own}: run the same command again, which "
        )
        with pytest.raises(FolderError, match=re.escape(wanted + "ships them")):
            fill_part(recipe, "0/1", tmp_path, progress, on_sealer=break_it)
        assert len(progress.warnings) == 1 and len(server.requests) == 24
        with pytest.raises(
            FolderError, match=rf"^cannot read the segments in {store}: not a directory; check the address"
        ):
            fill_part(recipe, "0/1", tmp_path)
        store.unlink()
        fill_part(recipe, "0/1", tmp_path)
        assert len(server.requests) == 24
        check_release(recipe, tmp_path)


# Limits


def test_the_budget_is_divided_unless_it_is_that_of_each_worker(tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        recipe = recipe_for(server.url, ROWS, {"budget.max_tokens": 12_000, "backend.concurrency": 4})
        steps = Steps()
        fill_part(recipe, "0/2", tmp_path, steps)
        assert steps.steps[0] == (
            "filling part 0/2 with 1/2 of the limits of the run: 2 requests in flight; 6,000 tokens"
        )
        small = recipe_for(server.url, ROWS, {"budget.max_tokens": 3_000})
        with pytest.raises(BudgetError, match=r"of 1500 tokens"):
            fill_part(small, "1/2", tmp_path)
        assert fill_part(small, "1/2", tmp_path, per_worker=True).texts == 10
        with pytest.raises(RecipeError, match=r"backend\.concurrency is 4, which 16 workers cannot divide"):
            fill_part(recipe, "0/16", tmp_path)


class Steps(Recorder):
    """A receiver of progress that keeps its steps."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[str] = []

    def step(self, name: str) -> None:
        self.steps.append(name)


def test_a_worker_that_ends_with_an_error_has_shipped_its_replies(tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        with pytest.raises(BudgetError):
            fill_part(recipe_for(server.url, ROWS, {"budget.max_tokens": 2_000}), "0/1", tmp_path)
        headers = headers_of(tmp_path / "journals")
        assert headers[-1].work.state == "stopped"
        assert sum(header.work.replies for header in headers) == len(server.requests)
        recipe = recipe_for(server.url, ROWS)
        fill_part(recipe, "0/1", tmp_path, work=tmp_path / "other")
        assert len(server.requests) == 24
    assert headers_of(tmp_path / "journals")[-1].origin.fingerprint == recipe.fingerprint()
    assert open_store(str(tmp_path / "journals")).others() == []
