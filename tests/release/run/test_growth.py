"""Rows added to a release: its texts stay, only the new ones are paid for, and every refusal is one line."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import personagen as pg
from personagen.builder.core.progress import RunStatus
from personagen.builder.generate import GenerationResult, generate
from personagen.builder.hub.verify import verify_folder
from personagen.builder.planning.recipe import Recipe
from tests.helpers.command import OPENAI, Run
from tests.helpers.flow import LAYERED, SAME, Recorder, answer_fault, bytes_of, make, recipe_for, rows_of, seed_of
from tests.helpers.servers.fake_openai import FakeOpenAI

BOTH: dict[str, Any] = LAYERED | {"ablations": ["none"], "backend.concurrency": 4}


def add_rows(recipe: Recipe, out: Path) -> GenerationResult:
    return generate(recipe, out, append=True)


@pytest.mark.parametrize("settings", [{}, BOTH], ids=["plain", "layers and ablations"])
def test_rows_are_added_and_only_they_are_paid_for(settings: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "out"
    with FakeOpenAI() as server:
        make(recipe_for(server.url, settings), out)
        shutil.copytree(out, tmp_path / "before")
        for rows in (20, 23):
            texts, sent = rows_of(out, "all"), len(server.requests)
            done = add_rows(recipe_for(server.url, settings, {"rows": rows}), out)
            assert done.created
            assert len(rows_of(out, "all")) == rows
            new = [row["id"] for row in rows_of(out, "all") if row["id"] not in {old["id"] for old in texts}]
            assert len(new) == rows - len(texts)
            assert 0 < len(server.requests) - sent <= 4 * len(new) * (1 + bool(settings))
            found = pg.diff(tmp_path / "before", out)
            assert all(count.changed == count.removed == 0 for count in found.texts)
            assert not verify_folder(out).problems
    assert len({row["id"] for row in rows_of(out, "all")}) == 23
    if settings:
        assert len(rows_of(out, "depth_none")) == 23


def test_a_text_stays_though_an_added_row_before_it_in_the_files_repeats_it(tmp_path: Path) -> None:
    """The files have all rows of anger before those of joy."""
    faults = [answer_fault(SAME, seed_of(id_, 0)) for id_ in ("joy-000003", "anger-000008")]
    with FakeOpenAI(faults=faults) as server:
        make(recipe_for(server.url), tmp_path / "out")
        add_rows(recipe_for(server.url, {"rows": 20}), tmp_path / "out")
    texts = {row["id"]: row["text"] for row in rows_of(tmp_path / "out", "all")}
    assert texts["joy-000003"] == SAME != texts["anger-000008"]
    rejects = (tmp_path / "out.run" / "rejects.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["id"] for line in rejects] == ["anger-000008"]


def test_the_same_command_adds_nothing_more(tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        make(recipe_for(server.url), tmp_path / "out")
        first = add_rows(recipe_for(server.url, {"rows": 16}), tmp_path / "out")
        before, sent = bytes_of(tmp_path / "out"), len(server.requests)
        second = add_rows(recipe_for(server.url, {"rows": 16}), tmp_path / "out")
        assert (first.created, second.created, len(server.requests)) == (True, False, sent)
    assert bytes_of(tmp_path / "out") == before


def test_an_interrupted_run_leaves_the_release_and_is_resumed_to_the_same_bytes(tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        recipe, larger = (recipe_for(server.url, BOTH, {"rows": rows}) for rows in (14, 30))
        for name in ("calm", "out"):
            make(recipe, tmp_path / name)
        add_rows(larger, tmp_path / "calm")
        before = bytes_of(tmp_path / "out")
        with pytest.raises(KeyboardInterrupt):
            generate(larger, tmp_path / "out", append=True, progress=Recorder(interrupt_at(32)))
        assert bytes_of(tmp_path / "out") == before
        add_rows(larger, tmp_path / "out")
    calm, resumed = bytes_of(tmp_path / "calm"), bytes_of(tmp_path / "out")
    assert {name for name in calm if calm[name] != resumed.get(name)} == set()
    assert calm.keys() == resumed.keys()


def test_an_interrupted_addition_may_become_another_one(tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        small, large, larger = (recipe_for(server.url, {"rows": rows}) for rows in (14, 20, 30))
        for name in ("calm", "out"):
            make(small, tmp_path / name)
        add_rows(large, tmp_path / "calm")
        with pytest.raises(KeyboardInterrupt):
            generate(larger, tmp_path / "out", append=True, progress=Recorder(interrupt_at(18)))
        for recipe in (small, larger):
            with pytest.raises(pg.errors.FolderError, match=r"; keep its texts and add rows with --append; choose"):
                make(recipe, tmp_path / "out")
        add_rows(large, tmp_path / "out")
        with pytest.raises(pg.errors.FolderError, match=r'batches is \[\{"\w+": 7, .* --append; choose'):
            make(large, tmp_path / "out")
    calm, changed = bytes_of(tmp_path / "calm"), bytes_of(tmp_path / "out")
    assert {name for name in calm if calm[name] != changed.get(name)} == set()


def interrupt_at(accepted: int) -> Callable[[RunStatus], None]:
    """Return a receiver of counts that interrupts a run with so many texts."""

    def interrupt(status: RunStatus) -> None:
        if status.accepted >= accepted:
            raise KeyboardInterrupt

    return interrupt


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": 13}, "has 7 texts of 'joy', and the recipe asks for 6: --append adds texts and removes none; raise "),
        ({"rows": 20, "seed": 1}, "has the release of another recipe: seed is 0 there and 1 here; --append adds rows "),
        (
            {"rows": 20, "license": "cc-by-4.0"},
            "has a release with another licence than this version and recipe have; ",
        ),
    ],
)
def test_another_recipe_or_fewer_rows_are_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        make(recipe_for(server.url), tmp_path / "out")
        before, sent = bytes_of(tmp_path), len(server.requests)
        with pytest.raises(pg.errors.RecipeError) as info:
            add_rows(recipe_for(server.url, changes), tmp_path / "out")
        assert str(info.value).startswith(f"{tmp_path / 'out'} {message}")
        assert len(server.requests) == sent
    assert bytes_of(tmp_path) == before


@pytest.mark.parametrize("mode", ["fresh", "reuse"])
def test_modes_that_exclude_each_other_are_refused_before_a_folder_is_moved(mode: str, tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        make(recipe_for(server.url), tmp_path / "out")
        before = bytes_of(tmp_path)
        with pytest.raises(pg.errors.RecipeError, match=f"^{mode} and append exclude each other, wanted one of them; "):
            generate(recipe_for(server.url, {"rows": 20}), tmp_path / "out", append=True, **{mode: True})
    assert bytes_of(tmp_path) == before


def test_a_folder_without_release_or_journal_is_refused(tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        recipe = recipe_for(server.url, {"rows": 20})
        with pytest.raises(
            pg.errors.ReleaseError, match=r"^no release in \S+/out: manifest.json is missing; name the "
        ):
            add_rows(recipe, tmp_path / "out")
        make(recipe_for(server.url), tmp_path / "out")
        shutil.rmtree(tmp_path / "out.run")
        sent = len(server.requests)
        with pytest.raises(pg.errors.FolderError, match=r"out\.run has no journal, so the texts of \S+/out would be "):
            add_rows(recipe, tmp_path / "out")
        assert len(server.requests) == sent


def test_replies_that_wrote_other_texts_stop_the_run_and_the_release_stays(tmp_path: Path) -> None:
    """Here the journal is that of another server, whose replies to the same requests differ."""
    with FakeOpenAI() as server:
        make(recipe_for(server.url), tmp_path / "out")
    with FakeOpenAI(faults=[answer_fault(SAME, seed_of("joy-000003", 0))]) as server:
        make(recipe_for(server.url), tmp_path / "other")
        shutil.rmtree(tmp_path / "out.run")
        (tmp_path / "other.run").rename(tmp_path / "out.run")
        before = bytes_of(tmp_path / "out")
        with pytest.raises(pg.errors.FolderError, match=r"^the text of joy-000003 is another one than in the release"):
            add_rows(recipe_for(server.url, {"rows": 20}), tmp_path / "out")
    assert bytes_of(tmp_path / "out") == before


def test_the_command_adds_rows(tmp_path: Path, run: Run) -> None:
    with FakeOpenAI() as server:
        words = ("generate", *OPENAI, server.url, "--emotions", "joy", "--depth", "none", "--out", tmp_path / "out")
        words += ("--expression", "shown")
        assert run(*words, "--rows", "3").code == 0
        done = run(*words, "--rows", "5", "--append", "--json")
    assert sum(json.loads(done.out)["rows"].values()) == 5
    done = run(*words, "--append", "--fresh")
    assert (done.code, done.out) == (2, "")
    assert "--fresh and --append exclude each other (see `" in done.err
