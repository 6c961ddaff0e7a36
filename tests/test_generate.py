"""The whole flow against a server on loopback: exact counts, the same bytes each time, nothing lost or paid twice."""

import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from subprocess import PIPE
from typing import Any

import datasets
import pyarrow.parquet as pq
import pytest
import yaml

from personagen.builder.errors import AllRejectedError, BackendError, FolderError, GenerationError
from personagen.builder.generate import HOPELESS, Result, generate
from personagen.builder.plan import request_seed
from personagen.builder.prompts import prompt_version
from personagen.builder.recipe import Recipe, parse_recipe, read_recipe
from personagen.builder.release import file_digest
from tests.fake_openai import REFUSAL, FakeOpenAI, Fault, contents

KEY = "sk-test-SECRET0123456789abcdef"
SAME = "The postman carried a green ladder to the harbour on Monday, and the clerk counted eleven boxes in the cellar."
CUT = "The postman carried a green ladder to the harbour and the"
PLAIN: dict[str, Any] = {"rows": 14, "emotions": ["joy", "anger"], "depth": "none", "text.language": None}
LAYERED: dict[str, Any] = PLAIN | {"depth": "situational"}


def recipe_for(url: str, *changes: Mapping[str, Any]) -> Recipe:
    """Make a small recipe for the model of a server: 14 texts without layers, unless changed."""
    backend = {"backend.kind": "openai", "backend.model": "fake-1", "backend.base_url": url}
    merged: dict[str, Any] = dict(PLAIN) | backend
    for change in changes:
        merged |= change
    return parse_recipe("", "test", merged)


def make(recipe: Recipe, out: Path, *, fresh: bool = False) -> Result:
    """Make a release and show no progress."""
    return generate(recipe, out, fresh=fresh, progress=lambda accepted, refused: None)


def rows_of(out: Path, config: str) -> list[dict[str, Any]]:
    """Read all rows of a folder of shards, with the split of each added."""
    return [
        row | {"split": file.name.split("-")[0]}
        for file in sorted((out / config).glob("*.parquet"))
        for row in pq.read_table(file).to_pylist()
    ]


def texts_of(out: Path) -> list[dict[str, Any]]:
    """Read the texts of both emotions."""
    return rows_of(out, "anger") + rows_of(out, "joy")


def rejects_of(out: Path) -> list[dict[str, Any]]:
    """Read the refused replies of a run."""
    lines = out.with_name(out.name + ".run").joinpath("rejects.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def without_address(rejects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave the server's port out of what it said: it differs between runs and belongs to no release."""
    return [each | {"detail": re.sub(r"127\.0\.0\.1:\d+", "server", each["detail"] or "")} for each in rejects]


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Read every file below a folder."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def seed_of(id_: str, number: int, *, stage: str = "expression") -> int:
    """Give the seed of one attempt under the recipe's seed 0."""
    return request_seed(0, id_, stage, number)


def says(content: str, seed: int, *, finish: str = "stop") -> Fault:
    """Make the server answer the request with this seed in these words."""
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": finish}
    return Fault("status", seed=seed, status=200, body={"choices": [choice], "usage": {"prompt_tokens": 9}})


def command(url: str, out: Path, recipe: Path) -> list[str]:
    """Spell the command that makes a release; Ctrl-C works even where a shell has switched it off for its children."""
    start = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    start += "from personagen.builder.cli import main; main()"
    return [sys.executable, "-c", start, "generate", str(recipe), "--base-url", url, "--out", str(out)]


def write_recipe(folder: Path, *changes: Mapping[str, Any]) -> Path:
    """Write the recipe of `recipe_for` to a file, without the server's address."""
    recipe = recipe_for("http://127.0.0.1:1/v1", *changes).model_dump(mode="json", exclude_unset=True)
    del recipe["backend"]["base_url"]
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    return path


def run_command(words: Sequence[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    env = os.environ | environment
    return subprocess.run(words, capture_output=True, text=True, timeout=120, check=False, env=env)


def limited(kibibytes: int, words: Sequence[str]) -> list[str]:
    """Let a command write no file larger than this: what a full disk looks like to it."""
    return ["bash", "-c", f'ulimit -f {kibibytes}; exec "$@"', "bash", *words]


def said_last(done: subprocess.CompletedProcess[str]) -> str:
    """Return the last line of stderr; what comes before may be the progress bar only, not a traceback."""
    lines = [line for line in re.split(r"[\r\n]+", done.stderr) if line.strip()]
    assert all("text/s" in line or "?text" in line or "s/text" in line for line in lines[:-1]), done.stderr
    return lines[-1]


def long_text(rng: random.Random) -> str:
    """Write 18 KB that no compression makes small."""
    return " ".join(f"{rng.getrandbits(40):010x}" for _ in range(1650)) + "."


def journalled_texts(out: Path, scratch: Path) -> set[str]:
    """Read the replies that are on disk, from a copy, so that what the next run finds is what the last one left."""
    copy = scratch / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for file in out.with_name(out.name + ".run").glob("journal.sqlite*"):
        shutil.copy(file, copy)
    if not (copy / "journal.sqlite").exists():
        return set()
    database = sqlite3.connect(copy / "journal.sqlite")
    try:
        found = database.execute("SELECT reply FROM replies").fetchall()
    except sqlite3.OperationalError:  # killed before the table was made
        found = []
    finally:
        database.close()
    return {json.loads(reply)["candidates"][0]["text"] for (reply,) in found}


def wait_until(holds: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.002)


# What a release holds


def test_release_has_exactly_the_rows_asked_for(tmp_path: Path) -> None:
    """Quotas are met to the row, splits by their shares, ids are those of the plan, and digests those of the files."""
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
    assert (result.made, result.manifest["rejects"], rejects_of(tmp_path / "out")) == (True, {}, [])
    for shard in result.manifest["shards"]:
        assert shard["sha256"] == file_digest(tmp_path / "out" / shard["path"])
    assert result.manifest == json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))


def test_no_persona_is_in_two_splits(tmp_path: Path) -> None:
    """Neither in the texts nor in the tables of personas; and no situation belongs to two texts."""
    with FakeOpenAI() as server:
        make(recipe_for(server.url, LAYERED, {"rows": 40, "situations_per_persona": 3}), tmp_path / "out")
    rows = texts_of(tmp_path / "out")
    for found in (rows, rows_of(tmp_path / "out", "sociocultural"), rows_of(tmp_path / "out", "situational")):
        splits = {(row["persona_id"], row["split"]) for row in found}
        assert len(splits) == len({persona for persona, _ in splits})
    assert len({row["situation_id"] for row in rows}) == 40
    assert max(Counter(row["persona_id"] for row in rows).values()) == 3


def test_shards_hold_no_more_rows_than_asked_for(tmp_path: Path) -> None:
    """A configuration is cut into numbered files."""
    with FakeOpenAI() as server:
        changes = {"shard_rows": 3, "splits.train": 1.0, "splits.validation": 0.0, "splits.test": 0.0}
        result = make(recipe_for(server.url, changes), tmp_path / "out")
    assert [(shard["path"], shard["rows"]) for shard in result.manifest["shards"]] == [
        (f"{emotion}/train-{index:05}-of-00003.parquet", rows)
        for emotion in ("anger", "joy")
        for index, rows in enumerate((3, 3, 1))
    ]
    assert [row["id"] for row in rows_of(tmp_path / "out", "joy")] == [f"joy-{n:06}" for n in range(7)]


def test_depth_none_has_no_layers(tmp_path: Path) -> None:
    """The layers of its rows are null, and there are no tables of personas."""
    with FakeOpenAI() as server:
        result = make(recipe_for(server.url), tmp_path / "out")
        assert len(server.requests) == 14
    for row in texts_of(tmp_path / "out"):
        assert (row["depth"], row["demographic"], row["sociocultural"], row["situational"]) == ("none",) + (None,) * 3
        assert (row["persona_id"], row["situation_id"], row["intensity"]) == (None, None, None)
    assert list(result.manifest["configs"]) == ["all", "anger", "joy"]
    folders = {path.name for path in (tmp_path / "out").iterdir()}
    assert folders == {"anger", "joy", "README.md", "manifest.json"}


def test_ablations_repeat_every_row_with_fewer_layers(tmp_path: Path) -> None:
    """Each depth is a configuration of its own, its rows have the layers of its depth, and "all" leaves them out."""
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
            assert [row[layer] for layer in layers] == [model[layer] for layer in layers[:number]] + [None] * (
                3 - number
            )
            assert (row["label"], row["depth"], row["split"]) == (model["label"], depth, model["split"])
            assert (row["persona_id"] is None, row["situation_id"]) == (depth == "none", None)
    assert sum(result.manifest["configs"]["all"]["rows"].values()) == 6
    assert set(result.manifest["configs"]) == {
        "all", "anger", "joy", *layers, "depth_none", "depth_demographic", "depth_sociocultural",
    }  # fmt: skip


def test_layer_tables_go_as_deep_as_the_deepest_ablation(tmp_path: Path) -> None:
    """A base without layers may have an ablation with all of them."""
    with FakeOpenAI() as server:
        make(recipe_for(server.url, {"rows": 4, "ablations": ["situational"]}), tmp_path / "out")
    deep = rows_of(tmp_path / "out", "depth_situational")
    table = {row["situation_id"]: row for row in rows_of(tmp_path / "out", "situational")}
    assert len(deep) == len(table) == 4
    for row in deep:
        found = table[row["situation_id"]]
        assert (found["persona_id"], found["label"]) == (row["persona_id"], row["label"])
        assert {name: found[name] for name in row["situational"]} == row["situational"]


def test_elaborated_prose_stands_in_rows_and_tables(tmp_path: Path) -> None:
    """The model is asked once a layer, and each later prompt shows the prose of the layers before."""
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
            (found,) = [entry for entry in table if entry[key] == row[key]]
            assert found["prose"] == row[layer]["prose"]
            assert len(found["prose"]) > 20 and found["prose"] in prompt


def test_sampled_layers_have_no_prose(tmp_path: Path) -> None:
    """Where the recipe says so, the model writes the text only."""
    sampled = {f"elaborate.{layer}": "sampled" for layer in ("sociocultural", "situational")}
    with FakeOpenAI() as server:
        make(recipe_for(server.url, LAYERED, sampled), tmp_path / "out")
        assert len(server.requests) == 14
    for row in texts_of(tmp_path / "out"):
        assert {row[layer]["prose"] for layer in ("demographic", "sociocultural", "situational")} == {None}


def test_intensities_alternate_and_reach_the_prompt(tmp_path: Path) -> None:
    """Within each emotion, and the row says which it was."""
    with FakeOpenAI() as server:
        make(recipe_for(server.url, {"intensities": ["low", "high"]}), tmp_path / "out")
        bodies = {body["seed"]: body for body in server.requests}
    for row in texts_of(tmp_path / "out"):
        assert row["intensity"] == ("low", "high")[int(row["id"][-6:]) % 2]
        assert f"of {row['intensity']} intensity" in bodies[row["provenance"]["seed"]]["messages"][-1]["content"]


def test_provenance_tells_what_was_sent(tmp_path: Path) -> None:
    """Model, prompt version, seed, and the attempts that the text took."""
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
            "checker_label": None,
            "checker_confidence": None,
        }


def test_progress_tells_accepted_and_refused(tmp_path: Path) -> None:
    """It starts at nothing and ends at everything."""
    calls: list[tuple[int, int]] = []
    with FakeOpenAI(faults=[Fault("refusal", seed=seed_of("joy-000002", 0))]) as server:
        generate(recipe_for(server.url), tmp_path / "out", fresh=False, progress=lambda *now: calls.append(now))
    assert (calls[0], calls[-1]) == ((0, 0), (14, 1))
    assert calls == sorted(calls)


# Refused replies


def refusals() -> list[Fault]:
    """List one fault of each kind, each at the attempt of one row or persona, whatever the order of arrival."""
    return [
        Fault("refusal", seed=seed_of("joy-000001", 0)),
        says(" \n ", seed_of("joy-000002", 0)),
        Fault("empty_content", seed=seed_of("joy-000003", 0)),
        says(CUT, seed_of("anger-000001", 0), finish="length"),
        says("Too short.", seed_of("anger-000001", 1)),
        Fault("content_filter", seed=seed_of("anger-000002", 0)),
        says(SAME, seed_of("anger-000000", 0)),
        says(SAME.upper(), seed_of("joy-000004", 0)),
        Fault("not_json", seed=seed_of("p000000", 0, stage="sociocultural")),
        Fault("not_json", seed=seed_of("p000001-s0", 0, stage="situational")),
        Fault("refusal", seed=seed_of("p000001-s0", 1, stage="situational")),
    ]


EXPECTED = {
    ("joy-000001", "expression", "refusal", 0),
    ("joy-000002", "expression", "empty", 0),
    ("joy-000003", "expression", "request", 0),
    ("anger-000001", "expression", "truncated", 0),
    ("anger-000001", "expression", "length", 1),
    ("anger-000002", "expression", "request", 0),
    ("joy-000004", "expression", "duplicate", 0),
    ("p000000", "sociocultural", "schema", 0),
    ("p000001-s0", "situational", "schema", 0),
    ("p000001-s0", "situational", "schema", 1),
}


def test_every_refused_reply_is_listed_and_counted(tmp_path: Path) -> None:
    """Each once, with id, stage, reason and attempt, and refilled with a new seed until the count is met."""
    with FakeOpenAI(faults=refusals()) as server:
        result = make(recipe_for(server.url, LAYERED), tmp_path / "out")
        assert len(server.requests) == len({body["seed"] for body in server.requests}) == 7 + 14 + 14 + len(EXPECTED)
    rejects = rejects_of(tmp_path / "out")
    assert {(each["id"], each["stage"], each["reason"], each["attempt"]) for each in rejects} == EXPECTED
    assert len(rejects) == len(EXPECTED)
    assert result.manifest["rejects"] == {
        "expression": {"duplicate": 1, "empty": 1, "length": 1, "refusal": 1, "request": 2, "truncated": 1},
        "situational": {"schema": 2},
        "sociocultural": {"schema": 1},
    }
    by_id = {(each["id"], each["attempt"]): each for each in rejects}
    assert by_id["joy-000001", 0]["text"] == REFUSAL
    assert by_id["anger-000001", 0]["text"] == CUT
    assert (by_id["joy-000004", 0]["text"], by_id["joy-000004", 0]["detail"]) == (SAME.upper(), "anger-000000")
    assert by_id["anger-000002", 0]["text"] is None and "content filter" in by_id["anger-000002", 0]["detail"]
    assert len(texts_of(tmp_path / "out")) == 14


def test_duplicate_is_the_later_row_of_the_plan(tmp_path: Path) -> None:
    """Also where its reply arrives first: the earlier row keeps its text, whatever the concurrency."""
    faults = [
        says(SAME, seed_of("anger-000003", 0)),
        Fault("delay", seed=seed_of("anger-000003", 0), seconds=0.3),
        says(SAME, seed_of("joy-000002", 0)),
        says(SAME + " Indeed.", seed_of("joy-000002", 1)),
    ]
    for concurrency in (1, 16):
        with FakeOpenAI(faults=faults) as server:
            make(recipe_for(server.url, {"backend.concurrency": concurrency}), tmp_path / str(concurrency) / "out")
    out = tmp_path / "16" / "out"
    assert [(each["id"], each["reason"], each["attempt"], each["detail"]) for each in rejects_of(out)] == [
        ("joy-000002", "duplicate", 0, "anger-000003"),
        ("joy-000002", "duplicate", 1, "anger-000003"),
    ]
    rows = {row["id"]: row for row in texts_of(out)}
    assert (rows["anger-000003"]["text"], rows["joy-000002"]["provenance"]["attempts"]) == (SAME, 3)
    assert bytes_of(out) == bytes_of(tmp_path / "1" / "out")


def test_spent_attempts_end_in_an_error_and_more_of_them_finish_the_same_folder(tmp_path: Path) -> None:
    """Nothing is paid for again, and the release is that of an undisturbed run."""
    faults = [Fault("refusal", seed=seed_of("joy-000002", number)) for number in range(3)]
    faults.append(says(SAME, seed_of("anger-000000", 0)))
    faults += [says(SAME, seed_of("joy-000005", number)) for number in range(2)]
    with FakeOpenAI(faults=faults) as server:
        few, many = recipe_for(server.url, {"checks.attempts": 2}), recipe_for(server.url, {"checks.attempts": 4})
        message = (
            r"^12 texts were accepted, 2 rows were given up after 2 attempts each \(expression refusal 2, expression "
            r"duplicate 2\); see \S+/out\.run/rejects\.jsonl, then raise checks\.attempts or loosen the checks: what "
            r"was accepted is kept and not paid for again$"
        )
        with pytest.raises(GenerationError, match=message):
            make(few, tmp_path / "out")
        assert (len(server.requests), (tmp_path / "out").exists()) == (16, False)
        make(many, tmp_path / "out")
        assert len(server.requests) == 16 + 3
        make(many, tmp_path / "calm")
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "calm")
    assert len(texts_of(tmp_path / "out")) == 14


def test_hopeless_run_stops_early(tmp_path: Path) -> None:
    """A model that refuses everything is not paid for every row."""
    with FakeOpenAI(faults=[Fault("refusal")]) as server:
        recipe = recipe_for(server.url, {"rows": 300, "checks.attempts": 2, "backend.concurrency": 4})
        message = (
            rf"^no text was accepted: {2 * HOPELESS} replies were refused \(expression refusal {2 * HOPELESS}\); "
            r"see \S+/rejects\.jsonl, then try another model or loosen the checks of the recipe$"
        )
        with pytest.raises(AllRejectedError, match=message):
            make(recipe, tmp_path / "out")
        assert len(server.requests) < 150, "a quarter of what all rows would have cost"
    assert len(rejects_of(tmp_path / "out")) == 2 * HOPELESS


def test_small_run_that_is_refused_throughout_says_so(tmp_path: Path) -> None:
    """Also where the background of the personas is what fails; each of its replies is counted once."""
    with FakeOpenAI(faults=[Fault("not_json")]) as server:
        message = r"^no text was accepted: 14 replies were refused \(sociocultural schema 14\); "
        with pytest.raises(AllRejectedError, match=message):
            make(recipe_for(server.url, LAYERED, {"checks.attempts": 2}), tmp_path / "out")
        assert len(server.requests) == 14


def test_layer_tables_hold_the_prose_that_the_texts_were_written_with(tmp_path: Path) -> None:
    """A request that failed once is not asked again at the end of the run, when it would succeed."""
    fault = Fault("status", contains="Write this person's background", times=2, status=400)
    with FakeOpenAI(faults=[fault]) as server:
        make(recipe_for(server.url, LAYERED, {"backend.concurrency": 1}), tmp_path / "out")
    prose = {row["persona_id"]: row["prose"] for row in rows_of(tmp_path / "out", "sociocultural")}
    assert len(rejects_of(tmp_path / "out")) == 2
    for row in texts_of(tmp_path / "out"):
        assert row["sociocultural"]["prose"] == prose[row["persona_id"]]


# The same bytes each time


def test_release_is_the_same_whatever_the_timing(tmp_path: Path) -> None:
    """One request at a time or sixteen, prompt replies or late ones: every byte is equal, the rejects too."""
    rng = random.Random(3)
    for concurrency in (1, 16):
        late = [Fault("delay", nth=number, seconds=rng.uniform(0, 0.15)) for number in rng.sample(range(1, 45), 10)]
        with FakeOpenAI(faults=late + refusals(), latency=0.002) as server:
            recipe = recipe_for(server.url, LAYERED, {"backend.concurrency": concurrency})
            make(recipe, tmp_path / str(concurrency) / "out")
            assert server.most_in_flight <= concurrency
    one, many = tmp_path / "1" / "out", tmp_path / "16" / "out"
    assert bytes_of(one) == bytes_of(many)
    assert without_address(rejects_of(one)) == without_address(rejects_of(many))


def test_another_seed_makes_another_release(tmp_path: Path) -> None:
    """Personas, situations and texts all differ."""
    with FakeOpenAI() as server:
        for seed in (0, 1):
            make(recipe_for(server.url, LAYERED, {"seed": seed, "rows": 6}), tmp_path / str(seed))
    one, other = texts_of(tmp_path / "0"), texts_of(tmp_path / "1")
    assert {row["text"] for row in one}.isdisjoint(row["text"] for row in other)
    assert [row["demographic"] for row in one] != [row["demographic"] for row in other]


def test_finished_release_is_not_made_again(tmp_path: Path) -> None:
    """It is known from its manifest, so no server is needed; neither is one to see that it is complete."""
    with FakeOpenAI() as server:
        recipe = recipe_for(server.url)
        first = make(recipe, tmp_path / "out")
    before = bytes_of(tmp_path)
    again = make(recipe, tmp_path / "out")
    assert (first.made, again.made) == (True, False)
    assert again.manifest == first.manifest
    assert bytes_of(tmp_path) == before


@pytest.mark.parametrize("lost", ["anger/test-00000-of-00001.parquet", "manifest.json", "", "moved"])
def test_lost_part_of_a_release_is_made_again_from_the_journal(tmp_path: Path, lost: str) -> None:
    """A file, the folder, or, killed between the two renames of a second run, the folder set aside."""
    out = tmp_path / "out"
    with FakeOpenAI() as server:
        recipe = recipe_for(server.url)
        make(recipe, out)
        before = bytes_of(out)
        if lost == "moved":
            out.rename(tmp_path / "out.run" / "replaced")
        elif lost in ("", "manifest.json"):
            shutil.rmtree(out)
        else:
            (out / lost).unlink()
        assert make(recipe, out).made
        assert len(server.requests) == 14
    assert bytes_of(out) == before
    assert {path.name for path in tmp_path.joinpath("out.run").iterdir()} >= {
        "journal.sqlite",
        "run.json",
        "rejects.jsonl",
    }
    assert not (tmp_path / "out.run" / "replaced").exists()


def test_changed_prompts_make_the_release_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal answers what has not changed; the old release makes room."""
    with FakeOpenAI() as server:
        recipe = recipe_for(server.url)
        make(recipe, tmp_path / "out")
        for module in ("manifest", "pipeline"):
            monkeypatch.setattr(f"personagen.builder.{module}.prompt_version", lambda: "other")
        again = make(recipe, tmp_path / "out")
        assert again.made and not make(recipe, tmp_path / "out").made
        assert len(server.requests) == 14
    assert {row["provenance"]["prompt_version"] for row in texts_of(tmp_path / "out")} == {"other"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "out.run"]


# Cut off and gone on with


def kill_often(folder: Path, kills: int, seed: int) -> None:
    """Kill a run at random moments until it is let finish; compare with a calm one.

    Every other kill comes at any number of requests; the others late, while the last files are written and moved.
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

            with subprocess.Popen(command(server.url, out, path), stdout=PIPE, stderr=PIPE) as process:
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
    assert without_address(rejects_of(out)) == without_address(rejects_of(calm))


def test_killed_run_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    """Wherever `kill -9` strikes, the same command finishes the release and pays for nothing twice."""
    kill_often(tmp_path, kills=6, seed=1)


@pytest.mark.slow
def test_run_killed_very_often_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    """The same with more kills."""
    kill_often(tmp_path, kills=20, seed=2)


def test_run_killed_while_its_folder_was_made_goes_on(tmp_path: Path) -> None:
    """A state that was half written is no foreign file."""
    (tmp_path / "out.run").mkdir()
    (tmp_path / "out.run" / "lock").touch()
    (tmp_path / "out.run" / "run.json.part").write_text('{"format": "perso', encoding="utf-8")
    with FakeOpenAI() as server:
        assert make(recipe_for(server.url), tmp_path / "out").made


def test_interrupted_run_says_how_to_go_on(tmp_path: Path) -> None:
    """Ctrl-C ends with 130 and one line; the same command finishes with what was paid for."""
    path, out = write_recipe(tmp_path, {"rows": 60, "backend.concurrency": 4}), tmp_path / "out"
    with FakeOpenAI(latency=0.05) as server:
        words = command(server.url, out, path)
        with subprocess.Popen(words, stdout=PIPE, stderr=PIPE, text=True) as process:
            wait_until(lambda: len(server.requests) >= 15)
            process.send_signal(signal.SIGINT)
            stdout, stderr = process.communicate(timeout=30)
        done = subprocess.CompletedProcess(words, process.returncode, stdout, stderr)
        assert (done.returncode, done.stdout, out.exists()) == (130, "", False)
        assert said_last(done) == "personagen: stopped; what was paid for is kept: run the same command to go on"
        assert len(server.requests) <= 30, "it stopped, but went on asking"
        recipe = read_recipe(path, {"backend.base_url": server.url})
        make(recipe, out)
        assert len(server.requests) <= 60 + 4
        make(recipe, tmp_path / "calm")
    assert bytes_of(out) == bytes_of(tmp_path / "calm")


def test_run_whose_server_dies_is_told_and_finished_later(tmp_path: Path) -> None:
    """One line that names the server; then, at another address, only what is missing is asked for."""
    changes = {"rows": 30, "backend.concurrency": 2}
    with FakeOpenAI(latency=0.02) as server:

        def stop_early(accepted: int, _: int) -> None:
            if accepted == 5:
                server.__exit__(None, None, None)

        with pytest.raises(
            BackendError, match=rf"^cannot reach {server.url}: .*; check --base-url and that the"
        ) as info:
            generate(recipe_for(server.url, changes), tmp_path / "out", fresh=False, progress=stop_early)
        assert "\n" not in str(info.value)
        paid = len(server.requests)
    assert 5 <= paid < 30 and not (tmp_path / "out").exists()
    with FakeOpenAI() as server:
        make(recipe_for(server.url, changes), tmp_path / "out")
        assert len(server.requests) <= 30 - paid + 4
        make(recipe_for(server.url, changes), tmp_path / "calm")
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "calm")


# No room on the disk


def big_recipe(folder: Path) -> Path:
    """Write a recipe for 8 long texts in one file."""
    one_file = {"splits.train": 1.0, "splits.validation": 0.0, "splits.test": 0.0}
    return write_recipe(folder, one_file, {"rows": 8, "emotions": ["joy"], "text.max_words": 2000})


def test_full_disk_in_a_shard_is_one_line_and_finished_later(tmp_path: Path) -> None:
    """Nothing is asked for again once there is room."""
    path, out, rng = big_recipe(tmp_path), tmp_path / "out", random.Random(1)
    faults = [says(long_text(rng), seed_of(f"joy-{number:06}", 0)) for number in range(8)]
    with FakeOpenAI(faults=faults) as server:
        recipe = read_recipe(path, {"backend.base_url": server.url})
        make(recipe, out)
        before = bytes_of(out)
        shutil.rmtree(out)
        done = run_command(limited(64, command(server.url, out, path)))
        assert (done.returncode, done.stdout, out.exists()) == (1, "", False)
        assert re.match(
            r"personagen: cannot write \S+/joy/train-00000-of-00001\.parquet: .*file too large; ", said_last(done)
        )
        make(recipe, out)
        assert len(server.requests) == 8
    assert bytes_of(out) == before


@pytest.mark.parametrize("length", [10, 100_000], ids=["at the end", "at once"])
def test_full_disk_in_the_list_of_rejects_is_told_and_finished_later(tmp_path: Path, length: int) -> None:
    """The file is named, whenever its bytes are written; nothing is asked for again once there is room."""
    out, rejects = tmp_path / "out", tmp_path / "out.run" / "rejects.jsonl"
    faults = [says(REFUSAL + " Sorry." * (length // 7), seed_of(f"joy-{number:06}", 0)) for number in range(4)]
    with FakeOpenAI(faults=faults) as server:
        recipe = recipe_for(server.url)
        make(recipe, out)
        shutil.rmtree(out)
        rejects.unlink()
        rejects.symlink_to("/dev/full")
        message = (
            r"^cannot write \S+/rejects\.jsonl: no space left on device; free some space and run the command again; "
        )
        with pytest.raises(FolderError, match=message):
            make(recipe, out)
        assert not out.exists()
        rejects.unlink()
        assert make(recipe, out).made
        assert len(server.requests) == 14 + 4


def test_full_disk_in_the_journal_is_one_line_and_finished_later(tmp_path: Path) -> None:
    """What was kept before is not paid for again."""
    path, out, rng = big_recipe(tmp_path), tmp_path / "out", random.Random(1)
    faults = [says(long_text(rng), seed_of(f"joy-{number:06}", 0)) for number in range(8)]
    with FakeOpenAI(faults=faults) as server:
        done = run_command(limited(96, [*command(server.url, out, path), "--concurrency", "1"]))
        assert (done.returncode, done.stdout, out.exists()) == (1, "", False)
        assert re.match(
            r"personagen: cannot write the journal: .+; free some space and run the command again$", said_last(done)
        )
        lost = len(server.requests) - len(journalled_texts(out, tmp_path))
        assert lost <= 3, "what can no longer be kept must not be asked for"
        assert make(read_recipe(path, {"backend.base_url": server.url}), out).made
        assert len(server.requests) == 8 + lost


# Folders that are taken


def test_release_of_another_recipe_is_left_alone(tmp_path: Path) -> None:
    """Both fingerprints are told, and no request is made."""
    with FakeOpenAI() as server:
        one, other = recipe_for(server.url), recipe_for(server.url, {"seed": 1})
        make(one, tmp_path / "out")
        before = bytes_of(tmp_path)
        shutil.rmtree(tmp_path / "out.run")
        message = (
            rf"^\S+/out holds the release of recipe {one.fingerprint()}, this recipe is {other.fingerprint()}; choose "
            r"another folder with --out, or set the old one aside with --fresh$"
        )
        with pytest.raises(FolderError, match=message):
            make(other, tmp_path / "out")
        assert len(server.requests) == 14
    now = bytes_of(tmp_path)
    assert {name: now.get(name) for name in before if name.startswith("out/")} == {
        name: content for name, content in before.items() if name.startswith("out/")
    }


def test_run_of_another_recipe_is_left_alone(tmp_path: Path) -> None:
    """Also before it has made a release."""
    with FakeOpenAI(faults=[Fault("refusal")]) as server:
        one, other = recipe_for(server.url, {"checks.attempts": 1}), recipe_for(server.url, {"seed": 1})
        with pytest.raises(AllRejectedError):
            make(one, tmp_path / "out")
        before = bytes_of(tmp_path)
        message = (
            rf"^\S+/out\.run holds a run of recipe {one.fingerprint()}, this recipe is {other.fingerprint()}; choose "
            r"another folder with --out, or set the old run aside with --fresh$"
        )
        with pytest.raises(FolderError, match=message):
            make(other, tmp_path / "out")
    assert bytes_of(tmp_path) == before


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("out/thesis.txt", "years of work", r"/out holds something else than a release; choose another folder"),
        ("out", "years of work", r"/out holds something else than a release; choose another folder"),
        ("out/manifest.json", '{"version": 3}', r"/out holds something else than a release; choose another folder"),
        ("out/manifest.json", "[]", r"/out holds something else than a release; choose another folder"),
        ("out/manifest.json", "{", r"/out holds something else than a release; choose another folder"),
        ("out.run/thesis.txt", "years", r"/out\.run holds something else than a run \(thesis\.txt\); choose another"),
        ("out.run", "years", r"^cannot write /\S+/out\.run: file exists; choose another folder with --out$"),
    ],
    ids=["folder", "file", "other manifest", "list", "no JSON", "run folder", "run file"],
)
def test_foreign_files_are_refused_and_kept(tmp_path: Path, file: str, content: str, message: str, fresh: bool) -> None:
    """What is not ours is never touched, with --fresh as little as without."""
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(content, encoding="utf-8")
    with pytest.raises(FolderError, match=message):
        make(recipe_for("http://127.0.0.1:1/v1"), tmp_path / "out", fresh=fresh)
    assert path.read_text(encoding="utf-8") == content


def test_damaged_manifest_is_told(tmp_path: Path) -> None:
    """A release that does not say what it was made of is not overwritten; --fresh sets it aside."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "manifest.json").write_text('{"format": "personagen-release/1"}', encoding="utf-8")
    with FakeOpenAI() as server:
        with pytest.raises(FolderError, match=r"/out holds something else than a release; choose another folder"):
            make(recipe_for(server.url), tmp_path / "out")
        assert make(recipe_for(server.url), tmp_path / "out", fresh=True).made
    assert (tmp_path / "out.1" / "manifest.json").read_text(encoding="utf-8") == '{"format": "personagen-release/1"}'


@pytest.mark.parametrize("state", ["", "{", "[]", "{}", '{"fingerprint": "0"}', "\x00\x00"])
def test_damaged_state_of_a_run_is_told(tmp_path: Path, state: str) -> None:
    """It may be another recipe's, so it is not used; --fresh sets it aside."""
    (tmp_path / "out.run").mkdir()
    (tmp_path / "out.run" / "run.json").write_text(state, encoding="utf-8")
    with FakeOpenAI() as server:
        with pytest.raises(FolderError, match=r"^cannot read \S+/run\.json: .*; set the run aside with --fresh$"):
            make(recipe_for(server.url), tmp_path / "out")
        assert make(recipe_for(server.url), tmp_path / "out", fresh=True).made
    assert (tmp_path / "out.run.1" / "run.json").read_text(encoding="utf-8") == state


def test_second_process_is_refused(tmp_path: Path) -> None:
    """While one is at work; when it is gone, however it went, the folder is free."""
    path, out = write_recipe(tmp_path), tmp_path / "out"
    with FakeOpenAI(faults=[Fault("delay", times=2, seconds=2)]) as server:
        recipe = read_recipe(path, {"backend.base_url": server.url})
        words = [*command(server.url, out, path), "--concurrency", "1"]
        with subprocess.Popen(words, stdout=PIPE, stderr=PIPE) as process:
            wait_until(lambda: len(server.requests) > 0)
            with pytest.raises(
                FolderError, match=r"^another process is writing to \S+/out\.run; wait for it or choose another "
            ):
                make(recipe, out, fresh=True)
            process.kill()
        server_was_asked = len(server.requests)
    with FakeOpenAI() as server:
        assert make(read_recipe(path, {"backend.base_url": server.url}), out).made
    assert server_was_asked == 1


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("/dev/null/out", r"^cannot write /dev/null/out\.run: not a directory; choose another folder with --out$"),
        ("/proc/out", r"^cannot write /proc/out\.run: no such file or directory; choose another folder with --out$"),
        ("/", r"--out"),
        ("x" * 300, r"^cannot read \S+: file name too long; choose another folder with --out$"),
    ],
    ids=["below a file", "kernel", "root", "long name"],
)
def test_folder_that_cannot_be_written_is_refused(tmp_path: Path, out: str, message: str) -> None:
    """Before any request, in one line."""
    with pytest.raises(FolderError, match=message):
        make(recipe_for("http://127.0.0.1:1/v1"), tmp_path / out)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_folder_without_permission_is_refused(tmp_path: Path) -> None:
    """The advice names permissions."""
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(FolderError, match=r"permission denied; choose another folder with --out, or change its"):
            make(recipe_for("http://127.0.0.1:1/v1"), tmp_path / "out")
    finally:
        tmp_path.chmod(0o700)


def test_empty_folder_is_taken(tmp_path: Path) -> None:
    """It holds nothing to lose."""
    (tmp_path / "out").mkdir()
    with FakeOpenAI() as server:
        assert make(recipe_for(server.url), tmp_path / "out").made
    assert len(texts_of(tmp_path / "out")) == 14


def test_fresh_sets_the_old_run_and_release_aside(tmp_path: Path) -> None:
    """Renamed with a number, never deleted; all is paid for anew."""
    with FakeOpenAI() as server:
        recipes = [recipe_for(server.url, {"seed": seed}) for seed in (0, 0, 1)]
        made = []
        for recipe in recipes:
            assert make(recipe, tmp_path / "out", fresh=True).made
            made.append(bytes_of(tmp_path / "out"))
        assert len(server.requests) == 3 * 14
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "out", "out.1", "out.2", "out.run", "out.run.1", "out.run.2"
    ]  # fmt: skip
    assert [bytes_of(tmp_path / name) for name in ("out.1", "out.2", "out")] == made
    assert made[0] == made[1] != made[2]
    for name in ("out.run.1", "out.run.2"):
        assert {path.name for path in (tmp_path / name).iterdir()} >= {"journal.sqlite", "rejects.jsonl", "run.json"}


# What comes from the server is data


def test_key_is_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """In no file and no output, also when the server repeats it in an error of one request or of all."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    echo = {"error": {"message": f"cannot use the key {KEY} for this", "key": KEY}}
    path = write_recipe(tmp_path)
    with FakeOpenAI(faults=[Fault("status", seed=seed_of("joy-000001", 0), status=400, body=echo)]) as server:
        done = run_command(command(server.url, tmp_path / "out", path))
        assert (done.returncode, done.stdout) == (0, f"{tmp_path / 'out'}\n"), done.stderr
    (reject,) = rejects_of(tmp_path / "out")
    assert "cannot use the key *** for this" in reject["detail"]
    output = done.stdout + done.stderr
    for status, body in ((401, echo), (403, echo), (404, f"<html>{KEY}</html>"), (200, f"<html>{KEY}</html>")):
        with (
            FakeOpenAI(faults=[Fault("status", status=status, body=body)]) as server,
            pytest.raises(BackendError) as info,
        ):
            make(recipe_for(server.url), tmp_path / str(status))
        output += str(info.value)
    output += "".join(capfd.readouterr())
    assert KEY not in output and KEY[8:] not in output
    for name, content in bytes_of(tmp_path).items():
        assert KEY.encode() not in content, name


HOSTILE = (
    "\x1b[31mThe postman\x1b[0m carried \x1b]0;owned\x07 a green ladder \x00 to the \x08 harbour on Monday.",
    "---\nconfigs:\n- config_name: evil\n  data_files: /etc/passwd\n---\n# A title over the counted boxes down there",
    "| a | b |\n| --- | --- |\n<script>alert(1)</script> ![x](http://evil.example/x.png) counted all the boxes `rm`.",
    "word " * 200_000,
    "We measured the narrow shelf \ud800\udfff with \udcff a ruler \ufffe and \U000e0041 then went home again.",
    "\u202eThe clerk\u202c unpacked\u200b the \u2066parcel\u2069 behind the station, and nobody\ufeff said a word.",
    "{{ manifest.model.name }} {% for x in range(9) %} we sorted the wooden drawers beside the canal {% endfor %}",
    "=cmd|' /C calc'!A0 and then the landlord returned the copper kettle to the tenant on the third floor.",
    "../../../etc/passwd is where the gardener labelled nine lanterns, so Pavel stacked the other umbrellas.",
    "Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d\u034f" * 400,
    '"' * 5000 + " Oskar folded the blanket at the tram stop \r\n\r\n\v\f and the librarian copied the map.",
)


def test_hostile_texts_become_rows_or_rejects(tmp_path: Path) -> None:
    """Never broken files: counts hold, nothing invisible is left in a text, and the card and the tables stay valid."""
    out = tmp_path / "personagen"
    faults = [says(text, seed_of(f"joy-{number:06}", 0)) for number, text in enumerate(HOSTILE)]
    for number in range(len(HOSTILE)):
        # Another text than that of the persona's row, which would be an echo.
        prose = json.dumps({"prose": HOSTILE[number - 3]})
        faults.append(says(prose, seed_of(f"p{number:06}", 0, stage="sociocultural")))
        faults.append(says(prose, seed_of(f"p{number:06}-s1", 0, stage="situational")))
    with FakeOpenAI(faults=faults) as server:
        result = make(recipe_for(server.url, LAYERED, {"rows": 2 * len(HOSTILE)}), out)
    rows = texts_of(out)
    assert len(rows) == 2 * len(HOSTILE)
    told = [row["text"] for row in rows] + [
        row[layer]["prose"] for row in rows for layer in ("sociocultural", "situational")
    ]
    assert {char for text in told for char in text if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co")} == set()
    taken = [row for row in rows if row["label"] == 1 and row["provenance"]["attempts"] == 1]
    refused = [each for each in rejects_of(out) if each["stage"] == "expression"]
    assert len(taken) + len({each["id"] for each in refused}) == len(HOSTILE)
    assert len(taken) >= 3 and len(refused) >= 3
    assert {each["text"] for each in refused} <= set(HOSTILE)
    _, front, body = (out / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    card = yaml.safe_load(front)
    assert [config["config_name"] for config in card["configs"]] == list(result.manifest["configs"])
    assert "evil" not in front + body and "owned" not in body
    for config in result.manifest["configs"]:
        loaded = datasets.load_dataset(str(out), config, cache_dir=str(tmp_path / "cache"))
        assert sum(loaded.num_rows.values()) == sum(result.manifest["configs"][config]["rows"].values())
