"""Equal bytes of every run, also of killed and interrupted ones: no reply is lost or paid for twice."""

import asyncio
import random
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

import personagen
from personagen.builder.core.errors import BackendError
from personagen.builder.core.progress import RunStatus
from personagen.builder.generate import write_release
from personagen.builder.llm import connect_models
from personagen.builder.llm.admission.retries import RetryTiming
from personagen.builder.planning.plan import make_plan
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.recipe.parsing import read_recipe
from personagen.builder.release.run.run_folder import open_run
from personagen.builder.release.run.run_state import run_recipe
from tests.helpers.flow import (
    LAYERED,
    Recorder,
    bytes_of,
    command,
    journalled_texts,
    make,
    only_line,
    recipe_for,
    refusals,
    rejects_of,
    run_command,
    texts_of,
    wait_until,
    without_port,
    write_recipe,
)
from tests.helpers.processes.forked import ForkedProcess
from tests.helpers.servers.fake_openai import FakeOpenAI, Fault, contents

# The same bytes each time


@pytest.mark.slow
def test_release_and_rejects_do_not_depend_on_timing(tmp_path: Path) -> None:
    """At one or sixteen requests in flight, with prompt and late replies."""
    rng = random.Random(3)
    for concurrency in (1, 16):
        late = [Fault("delay", nth=number, seconds=rng.uniform(0, 0.15)) for number in rng.sample(range(1, 45), 10)]
        with FakeOpenAI(faults=late + refusals(), latency=0.002) as server:
            recipe = recipe_for(server.url, LAYERED, {"backend.concurrency": concurrency})
            make(recipe, tmp_path / str(concurrency) / "out")
            assert server.most_in_flight <= concurrency
    one, many = tmp_path / "1" / "out", tmp_path / "16" / "out"
    assert bytes_of(one) == bytes_of(many)
    assert without_port(rejects_of(one)) == without_port(rejects_of(many))


def test_another_seed_makes_another_release(tmp_path: Path) -> None:
    """Personas, situations and texts all differ."""
    with FakeOpenAI() as server:
        for seed in (0, 1):
            make(recipe_for(server.url, LAYERED, {"seed": seed, "rows": 6}), tmp_path / str(seed))
    one, other = texts_of(tmp_path / "0"), texts_of(tmp_path / "1")
    assert {row["text"] for row in one}.isdisjoint(row["text"] for row in other)
    assert [row["demographic"] for row in one] != [row["demographic"] for row in other]


def test_a_finished_release_is_not_generated_again(tmp_path: Path) -> None:
    """It is recognised by its manifest, without a server."""
    with FakeOpenAI() as server:
        recipe = recipe_for(server.url)
        first = make(recipe, tmp_path / "out")
    before = bytes_of(tmp_path)
    again = make(recipe, tmp_path / "out")
    assert (first.created, again.created) == (True, False)
    assert again.manifest == first.manifest
    assert bytes_of(tmp_path) == before


@pytest.mark.parametrize("lost", ["anger/test-00000-of-00001.parquet", "manifest.json", "", "moved"])
def test_a_release_with_a_lost_part_is_generated_again_from_the_journal(tmp_path: Path, lost: str) -> None:
    """A file, the folder, or the folder set aside by a run that was killed between two renames."""
    out = tmp_path / "out"
    with FakeOpenAI() as server:
        recipe = recipe_for(server.url)
        make(recipe, out)
        before = bytes_of(out)
        if lost == "moved":
            out.rename(tmp_path / "out.1")
        elif lost in ("", "manifest.json"):
            shutil.rmtree(out)
        else:
            (out / lost).unlink()
        assert make(recipe, out).created
        assert len(server.requests) == 14
    assert bytes_of(out) == before
    assert {path.name for path in tmp_path.joinpath("out.run").iterdir()} >= {
        "journal.sqlite",
        "run.json",
        "rejects.jsonl",
    }


def test_a_changed_prompt_remakes_the_release_and_its_own_requests_only(tmp_path: Path) -> None:
    """A copy of the package has another prompt for one emotion: only its texts are requested again.

    The old release is set aside with all its files, and the new one is complete for the copy.
    """
    path, out = write_recipe(tmp_path, LAYERED), tmp_path / "out"
    copy = tmp_path / "copy"
    package = Path(personagen.__file__).parent
    shutil.copytree(package, copy / "personagen", ignore=shutil.ignore_patterns("__pycache__"))
    template = copy / "personagen" / "builder" / "templates" / "expression.md"
    head, block, tail = template.read_text(encoding="utf-8").partition("{%- block user -%}\n")
    condition = '{%- if emotion == "joy" %}Be brief.\n{% endif -%}\n'
    template.write_text(head + block + condition + tail, encoding="utf-8")
    with FakeOpenAI() as server:
        make(read_recipe(path, {"backend.base_url": server.url}), out)
        (out / "notes.txt").write_text("mine")
        before = {row["id"]: row for row in texts_of(out)}
        paid = len(server.requests)
        words = command(server.url, out, path)
        done = run_command(words, PYTHONPATH=str(copy))
        assert (done.returncode, only_line(done)) == (0, f"14 texts, generated: {out}")
        requested = server.requests[paid:]
        again = run_command(words, PYTHONPATH=str(copy))
        assert only_line(again) == f"14 texts, already complete: {out}" and len(server.requests) == paid + 7
    assert len(requested) == 7
    assert all(body["messages"][-1]["content"].startswith("Be brief.") for body in requested)
    after = {row["id"]: row for row in texts_of(out)}
    versions = {row["provenance"]["prompt_version"] for row in after.values()}
    assert len(versions) == 1 and versions.isdisjoint(row["provenance"]["prompt_version"] for row in before.values())
    assert {id_ for id_, row in after.items() if row["text"] == before[id_]["text"]} == {
        id_ for id_ in before if id_.startswith("anger")
    }
    assert (tmp_path / "out.1" / "notes.txt").read_text() == "mine"


# Cut off and gone on with


def kill_often(folder: Path, kills: int, seed: int) -> None:
    """Kill a run at random moments until it finishes, and compare it with an undisturbed one.

    Every other kill follows a random number of requests, the others come while the last files are written and moved.
    """
    path = write_recipe(folder, LAYERED, {"rows": 24, "shard_rows": 4, "backend.concurrency": 4})
    calm, out, rng = folder / "calm", folder / "out", random.Random(seed)
    with FakeOpenAI(faults=refusals()) as server:
        make(read_recipe(path, {"backend.base_url": server.url}), calm)
        undisturbed = len(server.requests)
    with FakeOpenAI(faults=refusals(), latency=0.01) as server:
        for number in range(kills):
            kept, start, began = journalled_texts(out, folder), len(server.requests), time.time()
            target = start + rng.randrange(undisturbed // 2)

            def due(late: bool = number % 2 == 1, began: float = began, target: int = target) -> bool:
                written = folder / "out.run" / "release" / "sociocultural"
                return (
                    (written.exists() and written.stat().st_mtime > began) if late else len(server.requests) >= target
                )

            with ForkedProcess(command(server.url, out, path)) as process:
                while not due() and process.poll() is None:
                    time.sleep(0.002)
                time.sleep(rng.uniform(0, 0.05))
                process.kill()
            asked = {contents(body)[0] for body in server.requests[start:]}
            assert kept.isdisjoint(asked), "a reply that was kept was paid for again"
            assert not out.exists() or bytes_of(out) == bytes_of(calm), "a release is whole or not there"
        done = run_command(command(server.url, out, path))
        assert (done.returncode, done.stdout) == (0, f"{out}\n"), done.stderr
        # A kill costs what is in flight (4), what has just arrived (4), and the two requests that failed.
        assert len(server.requests) <= undisturbed + 10 * kills
    assert bytes_of(out) == bytes_of(calm)
    assert without_port(rejects_of(out)) == without_port(rejects_of(calm))


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_bytes(tmp_path: Path) -> None:
    """Wherever `kill -9` strikes, the same command finishes the release and pays for no reply twice."""
    kill_often(tmp_path, kills=6, seed=1)


@pytest.mark.slow
def test_a_run_killed_very_often_resumes_to_the_same_bytes(tmp_path: Path) -> None:
    """The same with more kills."""
    kill_often(tmp_path, kills=20, seed=2)


def test_a_run_killed_while_its_folder_was_created_resumes(tmp_path: Path) -> None:
    """A state file that was half written is not a foreign file."""
    (tmp_path / "out.run").mkdir()
    (tmp_path / "out.run" / "lock").touch()
    (tmp_path / "out.run" / "run.json.part").write_text('{"format": "perso', encoding="utf-8")
    with FakeOpenAI() as server:
        assert make(recipe_for(server.url), tmp_path / "out").created


@pytest.mark.slow
def test_a_damaged_tail_of_the_journal_loses_its_replies_only(tmp_path: Path) -> None:
    """After a crash of the machine, whole replies are used and the others are requested again."""
    path, out = write_recipe(tmp_path, {"rows": 60, "backend.concurrency": 4}), tmp_path / "out"
    with FakeOpenAI(latency=0.02) as server:
        with ForkedProcess(command(server.url, out, path)) as process:
            wait_until(lambda: len(server.requests) >= 40)
            process.kill()
        kept = journalled_texts(out, tmp_path)
        log = tmp_path / "out.run" / "journal.sqlite-wal"
        data = log.read_bytes()
        log.write_bytes(data[:-6000] + b"\xa5" * 3000)
        left = journalled_texts(out, tmp_path)
        assert 0 < len(left) < len(kept)
        start = len(server.requests)
        recipe = read_recipe(path, {"backend.base_url": server.url})
        make(recipe, out)
        asked = {contents(body)[0] for body in server.requests[start:]}
        assert asked.isdisjoint(left) and len(asked) == 60 - len(left)
        make(recipe, tmp_path / "calm")
    assert bytes_of(out) == bytes_of(tmp_path / "calm")


def test_a_spent_budget_stops_the_run_and_a_raised_one_resumes_it(tmp_path: Path) -> None:
    """One line, nothing beyond the bound, and in the end the release of an undisturbed run."""
    path, out = write_recipe(tmp_path, {"backend.concurrency": 4}), tmp_path / "out"
    with FakeOpenAI() as server:
        done = run_command([*command(server.url, out, path), "--max-tokens", "2000"])
        assert (done.returncode, done.stdout, out.exists()) == (1, "", False)
        line = r"personagen: the budget is spent: (\d+) of 2000 tokens, and the next request might exceed it; .*"
        match = re.fullmatch(line, only_line(done))
        assert match and 0 < int(match[1]) <= 2000
        paid = len(server.requests)
        assert 0 < paid < 14
        recipe = read_recipe(path, {"backend.base_url": server.url})
        make(recipe, out)
        assert len(server.requests) == 14
        make(recipe, tmp_path / "calm")
    assert bytes_of(out) == bytes_of(tmp_path / "calm")


def test_the_budget_includes_earlier_runs_of_the_folder(tmp_path: Path) -> None:
    """The same budget again buys nothing more."""
    path, out = write_recipe(tmp_path), tmp_path / "out"
    with FakeOpenAI() as server:
        words = [*command(server.url, out, path), "--max-tokens", "2000"]
        run_command(words)
        paid = len(server.requests)
        assert run_command(words).returncode == 1
        assert len(server.requests) <= paid + 2, "what little was left at the first stop may do for a shorter prompt"


def test_an_interrupted_command_exits_in_one_line_and_resumes(tmp_path: Path) -> None:
    """Ctrl-C exits with 130; the same command finishes without requesting journaled replies."""
    path, out = write_recipe(tmp_path, {"rows": 60, "backend.concurrency": 4}), tmp_path / "out"
    with FakeOpenAI(latency=0.05) as server:
        words = command(server.url, out, path)
        with ForkedProcess(words) as process:
            wait_until(lambda: len(server.requests) >= 15)
            process.send_signal(signal.SIGINT)
            stdout, stderr = process.communicate(timeout=30)
        done = subprocess.CompletedProcess(words, process.returncode, stdout, stderr)
        assert (done.returncode, done.stdout, out.exists()) == (130, "", False)
        assert only_line(done) == "personagen: interrupted; paid replies are kept: run the same command to continue"
        assert len(server.requests) <= 30, "it stopped, but went on asking"
        recipe = read_recipe(path, {"backend.base_url": server.url})
        make(recipe, out)
        assert len(server.requests) <= 60 + 4
        make(recipe, tmp_path / "calm")
    assert bytes_of(out) == bytes_of(tmp_path / "calm")


def test_run_whose_server_dies_is_finished_later(tmp_path: Path) -> None:
    """One line names the server after the outage; later, at another server, only missing replies are requested."""
    changes = {"rows": 30, "backend.concurrency": 2}
    with FakeOpenAI(latency=0.02) as server:

        def stop_early(status: RunStatus) -> None:
            if status.accepted == 5:
                server.__exit__(None, None, None)

        def run_to_the_outage(recipe: Recipe) -> None:
            with open_run(tmp_path / "out", run_recipe(recipe), fresh=False, reuse=False) as run:
                plan, models = make_plan(recipe), connect_models(recipe.backends, [None], None)
                timing = RetryTiming(outage_s=2.0)
                asyncio.run(write_release(models, plan, run, Recorder(stop_early), timing=timing))

        with pytest.raises(
            BackendError, match=rf"^cannot reach {server.url}: .*; nothing was answered for 2 s: run the same command"
        ) as info:
            run_to_the_outage(recipe_for(server.url, changes))
        assert "\n" not in str(info.value)
        paid = len(server.requests)
    assert 5 <= paid < 30 and not (tmp_path / "out").exists()
    with FakeOpenAI() as server:
        make(recipe_for(server.url, changes), tmp_path / "out")
        assert len(server.requests) <= 30 - paid + 4
        make(recipe_for(server.url, changes), tmp_path / "calm")
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "calm")
