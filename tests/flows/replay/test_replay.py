"""Replays of a release in a folder: all of it is built again without a call, and what differs is named."""

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import personagen as pg
from personagen.builder.cli.display import replay_line
from personagen.builder.core.errors import PersonaGenError
from personagen.builder.fill import FillSettings, fill
from personagen.builder.generate import generate
from personagen.builder.hub.verify import verify_folder
from personagen.builder.planning.parts import Part
from personagen.builder.planning.recipe.parsing import read_recipe
from personagen.builder.release.folder import read_manifest
from personagen.builder.replay import ReplaySettings, replay
from tests.helpers.command import Run
from tests.helpers.flow import LAYERED, Recorder, answer_fault, bytes_of, make, recipe_for, refusals, seed_of
from tests.helpers.releasing import RECIPE, make_release, manifest_of, rewrite, write_manifest
from tests.helpers.servers.fake_openai import FakeOpenAI, Fault

ROWS: dict[str, Any] = LAYERED | {
    "rows": 16,
    "license": "cc-by-4.0",
    "prices.fake-1.input": 1,
    "prices.fake-1.output": 2,
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a release, its run, and its segments; the server is gone, so that a call would fail."""
    folder = tmp_path_factory.mktemp("made")
    with FakeOpenAI() as server:
        recipe = recipe_for(server.url, ROWS)
        for number in range(2):
            fill(recipe, Part(number, 2), FillSettings(str(folder / "journals"), folder / f"work-{number}"))
        generate(recipe, folder / "out", journals=str(folder / "journals"))
        # What repeats a text of another part was requested at the join: a third worker ships it.
        fill(recipe, Part(0, 1), FillSettings(str(folder / "journals"), folder / "work"))
    return folder


def copied(made: Path, tmp_path: Path) -> Path:
    """Copy the release and its run."""
    for name in ("out", "out.run"):
        shutil.copytree(made / name, tmp_path / name)
    return tmp_path / "out"


def replayed(out: Path, journals: Path | None = None) -> tuple[str, ...]:
    settings = ReplaySettings(None if journals is None else str(journals))
    return replay(read_manifest(out), settings, folder=out).differences


def refusal(out: Path, settings: ReplaySettings | None = None) -> str:
    with pytest.raises(PersonaGenError) as caught:
        replay(read_manifest(out), settings or ReplaySettings(), folder=out)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_release_is_replayed_from_its_segments_and_from_its_run(made: Path, run: Run) -> None:
    before = bytes_of(made)
    for journals in ([], ["--journals", str(made / "journals")]):
        done = run("verify", made / "out", "--replay", *journals)
        count = manifest_of(made / "out")["usage"]["requests"]
        assert done.out.splitlines()[1:] == [
            f"replayed from {count} replies without a call: every data file and the manifest are the same"
        ]
    found = json.loads(run("verify", made / "out", "--replay", "--json").out)
    assert found["replay"] == {"replies": count, "differences": [], "not_compared": []}
    assert {name: data for name, data in bytes_of(made).items() if "-shm" not in name} == before


def test_options_of_a_replay_need_it(made: Path, run: Run) -> None:
    done = run("verify", made / "out", "--journals", "x")
    assert done.code == 2 and "--journals and --recipe are for the replay; add --replay" in done.err


def test_a_text_that_was_changed_with_its_manifest_is_found_out(made: Path, tmp_path: Path, run: Run) -> None:
    def change(table: pa.Table) -> pa.Table:
        return table.set_column(1, table.schema.field(1), pa.array(["A text of nobody."] * table.num_rows))

    forged = rewrite(made / "out", tmp_path / "forged", "joy/train-", change)
    assert verify_folder(forged).problems == ()
    done = run("verify", forged, "--replay", "--journals", made / "journals")
    assert done.code == 1
    assert done.err.splitlines()[-1].startswith(
        f"personagen: {forged} is not what its replies make: its replay differs: "
        "joy/train-00000-of-00001.parquet is another one; configs of the manifest is another one; "
    )
    assert done.err.endswith("it was altered, or these are not its replies\n")


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("rejects", {"expression": {"length": 3}}, "rejects of the manifest is another one"),
        ("license", {"license": "mit", "license_name": None, "license_link": None}, "license of the manifest"),
        ("verdicts", ["Very good."], "verdicts of the manifest is another one"),
        ("usage", {"requests": 1, "prompt_tokens": 1, "completion_tokens": 1, "cost": 0}, "usage of the manifest"),
    ],
)
def test_a_changed_key_is_named(key: str, value: Any, problem: str, made: Path, tmp_path: Path) -> None:
    out = copied(made, tmp_path)
    write_manifest(out, manifest_of(out) | {key: value})
    assert any(difference.startswith(problem) for difference in replayed(out))


def test_results_that_were_added_are_not_compared_and_said(made: Path, tmp_path: Path) -> None:
    out = copied(made, tmp_path)
    results = {"evaluation": {"path": "scores.json", "bytes": 2, "sha256": "0" * 64}, "verdicts": ["Good."]}
    write_manifest(out, manifest_of(out) | results | {"croissant": results["evaluation"]})
    done = replay(read_manifest(out), ReplaySettings(), folder=out)
    assert done.differences == () and done.not_compared == ("croissant", "digest", "evaluation", "verdicts")
    assert replay_line(done).endswith("are the same; not compared: croissant, digest, evaluation, verdicts")


def test_a_missing_reply_is_reported(made: Path, tmp_path: Path) -> None:
    out = copied(made, tmp_path)
    with closing(sqlite3.connect(tmp_path / "out.run" / "journal.sqlite")) as database:
        key = database.execute("SELECT min(key) FROM replies").fetchone()[0]
        database.execute("DELETE FROM replies WHERE key = ?", (key,))
        database.commit()
    assert refusal(out).startswith("the release cannot be replayed: the journal lacks replies for ")
    assert refusal(out).endswith("; name all of its replies with --journals")


def test_segments_of_another_recipe_are_refused(made: Path, tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        other = recipe_for(server.url, ROWS, {"seed": 5})
        fill(other, Part(0, 1), FillSettings(str(tmp_path / "other"), tmp_path / "work"))
    own, fingerprint = manifest_of(made / "out")["fingerprint"], other.fingerprint()
    assert refusal(made / "out", ReplaySettings(str(tmp_path / "other"))) == (
        f"no segment in {tmp_path / 'other'} is of the recipe of this release, {own}: they are of '{fingerprint}'; "
        "name its own with --journals"
    )
    assert "there is no segment in" in refusal(made / "out", ReplaySettings(str(tmp_path / "none")))
    assert (
        refusal(made / "out", ReplaySettings(str(made / "journals"), other))
        == "the recipe is not that of the release: seed is 0 there and 5 here; give its own by --recipe FILE"
    )


def test_a_damaged_segment_is_named(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "journals", tmp_path / "journals")
    path = max((tmp_path / "journals").iterdir(), key=lambda path: path.stat().st_size)
    data = bytearray(path.read_bytes())
    data[300] ^= 1
    path.write_bytes(data)
    message = refusal(made / "out", ReplaySettings(str(tmp_path / "journals")))
    assert path.name in message and "was cut or altered" in message
    assert message.endswith("; download it again, or name another copy with --journals")


def test_a_run_without_its_recipe_or_its_journal_says_what_to_do(made: Path, tmp_path: Path) -> None:
    out = copied(made, tmp_path)
    (tmp_path / "out.run" / "recipe.json").unlink()
    assert refusal(out) == (
        f"{tmp_path / 'out.run'} has no recipe.json; run the same generate command again, which writes it without a "
        "call, or give the recipe by --recipe FILE"
    )
    generate(recipe_for("http://127.0.0.1:9/v1", ROWS), out)
    assert replayed(out) == ()
    (tmp_path / "out.run" / "recipe.json").write_text("[", encoding="utf-8")
    assert refusal(out).startswith(f"cannot read {tmp_path / 'out.run' / 'recipe.json'}: ")
    (tmp_path / "out.run" / "recipe.json").write_text("[]", encoding="utf-8")
    assert "unknown key" in refusal(out) or "recipe.json" in refusal(out)
    (tmp_path / "out.run" / "journal.sqlite").unlink()
    assert refusal(out) == (
        f"{tmp_path / 'out.run'} has no journal to replay {out} from; name its replies with --journals"
    )


def test_another_version_is_said_before_the_work_and_does_not_count(made: Path, tmp_path: Path) -> None:
    out, recorder = copied(made, tmp_path), Recorder()
    manifest = manifest_of(out) | {"personagen": "0.0.9"}
    done = replay(manifest, ReplaySettings(), folder=out, progress=recorder)
    assert done.differences == () and done.not_compared == ("citation", "croissant", "digest", "personagen")
    assert recorder.warnings[0].startswith("the release was made by PersonaGen '0.0.9', this is ")
    manifest["tables"] = {**manifest["tables"], "setting": "0" * 8}
    with pytest.raises(PersonaGenError, match=r"^the release has other tables than PersonaGen .*; replay it with Pers"):
        replay(manifest, ReplaySettings(), folder=out)


def test_a_recipe_with_files_is_replayed_from_its_run_and_with_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "recipe").mkdir()
    (tmp_path / "recipe" / "events.yaml").write_text(
        "- {clause: they found their keys, emotions: [joy]}\n", encoding="utf-8"
    )
    with FakeOpenAI() as server:
        (tmp_path / "recipe" / "r.yaml").write_text(
            f"rows: 7\nemotions: [joy]\nevents: {{file: events.yaml, bank: {{}}}}\ntext: {{language: null}}\n"
            f"expression: shown\nbackend: {{kind: openai, model: fake-1, base_url: '{server.url}'}}\n",
            encoding="utf-8",
        )
        recipe = read_recipe(tmp_path / "recipe" / "r.yaml")
        fill(recipe, Part(0, 1), FillSettings(str(tmp_path / "journals"), tmp_path / "work"))
        out = generate(recipe, tmp_path / "out", journals=str(tmp_path / "journals")).folder
    segments = ReplaySettings(str(tmp_path / "journals"))
    assert refusal(out, segments) == (
        f"the recipe in the segments in {tmp_path / 'journals'} names 'events.yaml', which is not published with it; "
        "give the recipe, with its files, by --recipe FILE"
    )
    assert replay(read_manifest(out), replace(segments, recipe=recipe)).differences == ()
    shutil.rmtree(tmp_path / "recipe")
    assert replayed(out) == ()


def test_a_release_that_has_grown_is_replayed(tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        make(recipe_for(server.url), tmp_path / "out")
        generate(recipe_for(server.url, {"rows": 20}), tmp_path / "out", append=True)
    assert replayed(tmp_path / "out") == ()
    larger = recipe_for("http://127.0.0.1:9/v1", {"rows": 20})
    assert replay(read_manifest(tmp_path / "out"), ReplaySettings(recipe=larger), folder=tmp_path / "out").replies


def test_rejected_replies_and_ablations_are_replayed(tmp_path: Path) -> None:
    changes = ROWS | {"ablations": ["none"], "shard_rows": 5}
    with FakeOpenAI(faults=refusals()) as server:
        make(recipe_for(server.url, changes), tmp_path / "out")
    assert replayed(tmp_path / "out") == ()


def test_the_models_of_a_list_are_replayed(tmp_path: Path) -> None:
    models = [{"kind": "openai", "model": name, "body": {"top_k": 3}} for name in ("fake-1", "fake-2")]
    with FakeOpenAI() as server:
        recipe = recipe_for(server.url, {"rows": 14})
        listed = recipe.model_dump(mode="json", exclude_unset=True)
        listed["backend"] = [model | {"base_url": server.url} for model in models]
        out = make(type(recipe).model_validate_json(json.dumps(listed)), tmp_path / "out").folder
    assert replayed(out) == ()


def test_release_of_the_fixture_is_replayed(tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        out = make_release(tmp_path / "personagen", server.url, RECIPE)
    assert replayed(out) == ()


def test_a_request_that_the_server_refused_is_replayed(tmp_path: Path) -> None:
    """From the run, and from the segments of workers of which one was refused a text and one a background."""
    background = seed_of("p000003", 0, stage="sociocultural")
    refused = [
        Fault("status", seed=seed, status=400, body={"error": {"message": "no"}}, times=99)
        for seed in (seed_of("anger-000002", 0), background)
    ]
    with FakeOpenAI(faults=refused) as server:
        recipe = recipe_for(server.url, LAYERED)
        make(recipe, tmp_path / "out")
        assert len([body for body in server.requests if body["seed"] == background]) == 1
        for number in range(2):
            fill(recipe, Part(number, 2), FillSettings(str(tmp_path / "journals"), tmp_path / f"work-{number}"))
    rejects = manifest_of(tmp_path / "out")["rejects"]
    assert [rejects[stage]["request"] for stage in ("expression", "sociocultural")] == [1, 1]
    assert replayed(tmp_path / "out") == replayed(tmp_path / "out", tmp_path / "journals") == ()
    generate(recipe, tmp_path / "joined", journals=str(tmp_path / "journals"), calls=False)
    assert bytes_of(tmp_path / "joined") == bytes_of(tmp_path / "out")
    rejected = [(tmp_path / name / "rejects.jsonl").read_text() for name in ("out.run", "joined.run")]
    assert rejected[0] == rejected[1]


def test_a_request_that_was_refused_after_a_cut_reply_is_replayed_from_segments(tmp_path: Path) -> None:
    """A segment has both: the reply that was cut within its thoughts, and the failure of the request with more room."""
    seed = seed_of("anger-000002", 0)
    faults = [
        replace(answer_fault("<think>What would she say", seed, finish="length"), times=1),
        Fault("status", seed=seed, status=400, body={"error": {"message": "no"}}),
    ]
    with FakeOpenAI(faults=faults) as server:
        recipe = recipe_for(server.url)
        make(recipe, tmp_path / "out")
        assert len([body for body in server.requests if body["seed"] == seed]) == 2
    with FakeOpenAI(faults=faults) as server:
        fill(recipe_for(server.url), Part(0, 1), FillSettings(str(tmp_path / "journals"), tmp_path / "work"))
    assert manifest_of(tmp_path / "out")["rejects"] == {"expression": {"request": 1}}
    assert replayed(tmp_path / "out") == replayed(tmp_path / "out", tmp_path / "journals") == ()
    generate(recipe, tmp_path / "joined", journals=str(tmp_path / "journals"), calls=False)
    assert bytes_of(tmp_path / "joined") == bytes_of(tmp_path / "out")


def test_the_python_call_replays(made: Path) -> None:
    release = pg.Release(made / "out")
    assert release.verify().replay is None
    for journals in (None, made / "journals"):
        done = release.verify(replay=True, journals=journals, progress=False)
        assert done.problems == () and done.replay is not None and done.replay.differences == ()
    with pytest.raises(
        pg.errors.RecipeError, match=r"^verify: journals and recipe are for the replay; add replay=True$"
    ):
        release.verify(journals="x")
