"""Contents of a release generated with a server on loopback: exact counts, layers and provenance."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from personagen.builder.core.progress import RunStatus
from personagen.builder.generate import generate
from personagen.builder.release.tables.shards import file_digest
from personagen.builder.writing.prompts import prompt_version
from tests.helpers.flow import LAYERED, Recorder, make, recipe_for, rejects_of, rows_of, seed_of, texts_of
from tests.helpers.servers.fake_openai import FakeOpenAI, Fault, contents


def test_a_release_has_exactly_the_requested_rows(tmp_path: Path) -> None:
    """Quotas and splits are exact, ids are those of the plan, and digests those of the files."""
    with FakeOpenAI() as server:
        changes = {"rows": 30, "quotas": {"joy": 10, "anger": 20}, "situations_per_persona": 3}
        result = make(recipe_for(server.url, LAYERED, changes), tmp_path / "out")
    rows = texts_of(tmp_path / "out")
    assert Counter(row["label"] for row in rows) == {0: 20, 1: 10}
    assert {row["id"] for row in rows} == {f"joy-{n:06}" for n in range(10)} | {f"anger-{n:06}" for n in range(20)}
    assert Counter((row["label"], row["split"]) for row in rows) == {
        (0, "train"): 16, (0, "validation"): 2, (0, "test"): 2, (1, "train"): 8, (1, "validation"): 1, (1, "test"): 1,
    }  # fmt: skip
    assert result.manifest["configs"]["all"]["rows"] == {"train": 24, "validation": 3, "test": 3}
    assert len({row["text"] for row in rows}) == 30
    assert (result.created, result.manifest["rejects"], rejects_of(tmp_path / "out")) == (True, {}, [])
    for shard in result.manifest["shards"]:
        assert shard["sha256"] == file_digest(tmp_path / "out" / shard["path"])
    assert result.manifest == json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))


def test_no_persona_is_in_two_splits(tmp_path: Path) -> None:
    """Neither in the texts nor in the tables of personas. No situation belongs to two texts."""
    with FakeOpenAI() as server:
        make(recipe_for(server.url, LAYERED, {"rows": 40, "situations_per_persona": 3}), tmp_path / "out")
    rows = texts_of(tmp_path / "out")
    for table in (rows, rows_of(tmp_path / "out", "sociocultural"), rows_of(tmp_path / "out", "situational")):
        splits = {(row["persona_id"], row["split"]) for row in table}
        assert len(splits) == len({persona for persona, _ in splits})
    assert len({row["situation_id"] for row in rows}) == 40
    assert max(Counter(row["persona_id"] for row in rows).values()) == 3


def test_shards_have_at_most_the_requested_rows(tmp_path: Path) -> None:
    """A configuration is divided into numbered files."""
    with FakeOpenAI() as server:
        changes = {"shard_rows": 3, "splits.train": 1.0, "splits.validation": 0.0, "splits.test": 0.0}
        result = make(recipe_for(server.url, changes), tmp_path / "out")
    assert [(shard["path"], shard["rows"]) for shard in result.manifest["shards"]] == [
        (f"{emotion}/train-{index:05}-of-00003.parquet", rows)
        for emotion in ("anger", "joy")
        for index, rows in enumerate((3, 3, 1))
    ] + [(f"all/train-{index:05}-of-00005.parquet", rows) for index, rows in enumerate((3, 3, 3, 3, 2))]
    assert [row["id"] for row in rows_of(tmp_path / "out", "joy")] == [f"joy-{n:06}" for n in range(7)]


def test_depth_none_has_no_layers(tmp_path: Path) -> None:
    """Its rows have no columns of layers, and there are no tables of personas."""
    with FakeOpenAI() as server:
        result = make(recipe_for(server.url), tmp_path / "out")
        assert len(server.requests) == 14
    for row in texts_of(tmp_path / "out"):
        assert row["depth"] == "none"
        assert not {"demographic", "sociocultural", "situational", "persona_id", "situation_id", "intensity"} & {*row}
    assert list(result.manifest["configs"]) == ["anger", "joy", "all"]
    folders = {path.name for path in (tmp_path / "out").iterdir()}
    assert folders == {"all", "anger", "joy", "README.md", "croissant.json", "manifest.json"}


def test_ablations_repeat_every_row_with_fewer_layers(tmp_path: Path) -> None:
    """Each depth is a configuration of its own, and "all" excludes it."""
    changes = {"rows": 6, "ablations": ["none", "demographic", "sociocultural"]}
    with FakeOpenAI() as server:
        result = make(recipe_for(server.url, LAYERED, changes), tmp_path / "out")
    layers = ("demographic", "sociocultural", "situational")
    full = {row["id"]: row for row in texts_of(tmp_path / "out")}
    for number, depth in enumerate(("none", "demographic", "sociocultural")):
        rows = rows_of(tmp_path / "out", f"depth_{depth}")
        assert {row["id"] for row in rows} == {f"{id_}-{depth}" for id_ in full}
        for row in rows:
            model = full[row["id"].removesuffix(f"-{depth}")]
            assert [row.get(layer) for layer in layers] == [model[layer] for layer in layers[:number]] + [None] * (
                3 - number
            )
            assert not {*layers[number:], "situation_id"} & {*row}
            assert (row["label"], row["depth"], row["split"]) == (model["label"], depth, model["split"])
            assert ("persona_id" in row) == (depth != "none")
    assert sum(result.manifest["configs"]["all"]["rows"].values()) == 6
    assert set(result.manifest["configs"]) == {
        "anger", "joy", "all", *layers, "depth_none", "depth_demographic", "depth_sociocultural",
    }  # fmt: skip


def test_layer_tables_go_as_deep_as_the_deepest_ablation(tmp_path: Path) -> None:
    """A recipe of depth "none" may have an ablation with all layers."""
    with FakeOpenAI() as server:
        make(recipe_for(server.url, {"rows": 4, "ablations": ["situational"]}), tmp_path / "out")
    deep = rows_of(tmp_path / "out", "depth_situational")
    table = {row["situation_id"]: row for row in rows_of(tmp_path / "out", "situational")}
    assert len(deep) == len(table) == 4
    for row in deep:
        entry = table[row["situation_id"]]
        assert (entry["persona_id"], entry["label"]) == (row["persona_id"], row["label"])
        assert {name: entry[name] for name in row["situational"]} == row["situational"]


def test_elaborated_prose_is_in_rows_tables_and_later_prompts(tmp_path: Path) -> None:
    """The model writes the prose of each layer once."""
    elaborate = {"elaborate.demographic": "llm", "rows": 8}
    with FakeOpenAI() as server:
        result = make(recipe_for(server.url, LAYERED, elaborate), tmp_path / "out")
        bodies = {body["seed"]: body for body in server.requests}
    personas = sum(result.manifest["personas"][split] for split in ("train", "validation", "test"))
    assert len(bodies) == len(server.requests) == 2 * personas + 8 + 8
    tables = {layer: rows_of(tmp_path / "out", layer) for layer in ("demographic", "sociocultural", "situational")}
    for row in texts_of(tmp_path / "out"):
        prompt = bodies[row["provenance"]["seed"]]["messages"][-1]["content"]
        for layer, table in tables.items():
            key = "situation_id" if layer == "situational" else "persona_id"
            (prose,) = [entry["prose"] for entry in table if entry[key] == row[key]]
            assert prose == row[layer]["prose"]
            assert len(prose) > 20 and prose in prompt


def test_sampled_layers_have_no_prose(tmp_path: Path) -> None:
    """The model writes the texts only."""
    sampled = {f"elaborate.{layer}": "sampled" for layer in ("sociocultural", "situational")}
    with FakeOpenAI() as server:
        make(recipe_for(server.url, LAYERED, sampled), tmp_path / "out")
        assert len(server.requests) == 14
    for row in texts_of(tmp_path / "out"):
        assert not any("prose" in row[layer] for layer in ("demographic", "sociocultural", "situational"))


def test_intensities_alternate_and_reach_the_prompt(tmp_path: Path) -> None:
    """Within each emotion; the row states its intensity."""
    with FakeOpenAI() as server:
        make(recipe_for(server.url, {"intensities": ["low", "high"]}), tmp_path / "out")
        bodies = {body["seed"]: body for body in server.requests}
    for row in texts_of(tmp_path / "out"):
        assert row["intensity"] == ("low", "high")[int(row["id"][-6:]) % 2]
        assert f"of {row['intensity']} intensity" in bodies[row["provenance"]["seed"]]["messages"][-1]["content"]


def test_provenance_states_the_accepted_request(tmp_path: Path) -> None:
    """Model, prompt version, seed and attempts."""
    faults = [Fault("refusal", seed=seed_of("joy-000002", number)) for number in (0, 1)]
    with FakeOpenAI(faults=faults) as server:
        make(recipe_for(server.url), tmp_path / "out")
        replies = {body["seed"]: contents(body)[0] for body in server.requests}
    for row in texts_of(tmp_path / "out"):
        attempts = 3 if row["id"] == "joy-000002" else 1
        assert row["text"] == replies[row["provenance"]["seed"]]
        assert row["provenance"] == {
            "model": "fake-1",
            "prompt_version": prompt_version(),
            "seed": seed_of(row["id"], attempts - 1),
            "attempts": attempts,
            "leaked": False,
        }


def test_progress_reports_accepted_rows_and_rejected_replies(tmp_path: Path) -> None:
    """From none to all, with tokens and cost on the way."""
    recorder = Recorder()
    again = [
        Fault("refusal", seed=seed_of("joy-000002", 0)),
        Fault("delay", seed=seed_of("joy-000002", 1), seconds=0.5),
    ]
    with FakeOpenAI(latency=0.05, faults=again) as server:
        recipe = recipe_for(server.url, {"prices": {"fake-1": {"input": 1000, "output": 2000}}})
        manifest = generate(recipe, tmp_path / "out", progress=recorder).manifest
    usage = manifest["usage"]
    assert usage["cost"] == pytest.approx((usage["prompt_tokens"] + 2 * usage["completion_tokens"]) / 1000)
    tokens = usage["prompt_tokens"] + usage["completion_tokens"]
    calls = recorder.statuses
    first, last = calls[0], calls[-1]
    start = replace(first, limit=0, maximum=0)
    assert start == RunStatus(accepted=0, wanted=14, rejected=0, in_flight=0, tokens=0, cost=0.0)
    assert (last.accepted, last.rejected, last.in_flight, last.tokens) == (14, 1, 0, tokens)
    assert last.cost == pytest.approx(usage["cost"])
    assert (last.replies, last.waiting, last.retrying, last.paused_s) == (15, 0, 0, 0)
    assert 1 <= last.limit <= last.maximum
    counts = [(call.accepted, call.rejected) for call in calls]
    assert counts == sorted(counts)
    assert max(call.in_flight for call in calls) >= 1


def test_progress_counts_the_texts_that_wait_for_a_slow_row(tmp_path: Path) -> None:
    """The server answers the first row once all others are seen to wait for it."""

    def release(status: RunStatus) -> None:
        if status.waiting == 13:
            server.released.set()

    recorder = Recorder(release)
    with FakeOpenAI(faults=[Fault("hang", seed=seed_of("anger-000000", 0))]) as server:
        recipe = recipe_for(server.url, {"emotions": ["anger", "joy"]})
        generate(recipe, tmp_path / "out", progress=recorder)
    behind = next(status for status in recorder.statuses if status.waiting == 13)
    assert (behind.accepted, behind.replies) == (0, 13)
    assert recorder.statuses[-1].waiting == 0
    texts = {row["text"] for row in texts_of(tmp_path / "out")}
    assert behind.first_text in texts and recorder.statuses[-1].first_text == behind.first_text


def test_progress_of_a_resumed_run_counts_the_replies_of_its_journal(tmp_path: Path) -> None:
    def stop(status: RunStatus) -> None:
        if status.accepted == 7:
            raise ZeroDivisionError

    with FakeOpenAI() as server:
        recipe = recipe_for(server.url)
        with pytest.raises(ZeroDivisionError):
            generate(recipe, tmp_path / "out", progress=Recorder(stop))
        recorder = Recorder()
        generate(recipe, tmp_path / "out", progress=recorder)
        assert len(server.requests) == 14
    assert recorder.statuses[-1].replies == 14


def test_a_release_may_have_no_training_rows(tmp_path: Path) -> None:
    """All tables, samples and the card come from the splits that have rows."""
    splits = {"splits.train": 0.0, "splits.validation": 0.0, "splits.test": 1.0}
    with FakeOpenAI() as server:
        result = make(recipe_for(server.url, splits), tmp_path / "out")
    assert result.manifest["configs"]["all"]["rows"] == {"test": 14} and result.manifest["samples"]
