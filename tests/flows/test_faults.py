"""External faults of a run: unusable replies, a full disk, and a server that sends keys and hostile text."""

import json
import random
import re
import shutil
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import datasets
import pytest
import yaml

from personagen.builder.core.errors import (
    AllRejectedError,
    FolderError,
    GenerationError,
    PersonaGenError,
)
from personagen.builder.planning.recipe.parsing import read_recipe
from tests.helpers.flow import (
    CUT,
    LAYERED,
    SAME,
    answer_fault,
    bytes_of,
    command,
    journalled_texts,
    make,
    only_line,
    recipe_for,
    refusals,
    rejects_of,
    rows_of,
    run_command,
    seed_of,
    texts_of,
    write_recipe,
)
from tests.helpers.servers.fake_openai import REFUSAL, FakeOpenAI, Fault

KEY = "sk-test-SECRET0123456789abcdef"


def limited(kibibytes: int, words: Sequence[str]) -> list[str]:
    """Return a command that cannot write a file larger than `size` bytes, as on a full disk."""
    return ["bash", "-c", f'ulimit -f {kibibytes}; exec "$@"', "bash", *words]


def long_text(rng: random.Random) -> str:
    """Return 20 KB of text that compression does not shrink, in which every other word is English."""
    return " ".join(f"{('the', 'and')[number % 2]} {rng.getrandbits(80):020x}" for number in range(800)) + "."


# Refused replies

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
    ("p000001-s0", "situational", "refusal", 1),
}


def test_every_rejected_reply_is_listed_once_and_counted(tmp_path: Path) -> None:
    """Each has id, stage, reason and attempt, and is retried with a new seed until the row is accepted."""
    with FakeOpenAI(faults=refusals()) as server:
        result = make(recipe_for(server.url, LAYERED), tmp_path / "out")
        assert len(server.requests) == len({body["seed"] for body in server.requests}) == 7 + 14 + 14 + len(EXPECTED)
    rejects = rejects_of(tmp_path / "out")
    assert {(reject["id"], reject["stage"], reject["reason"], reject["attempt"]) for reject in rejects} == EXPECTED
    assert len(rejects) == len(EXPECTED)
    assert result.manifest["rejects"] == {
        "expression": {"duplicate": 1, "empty": 1, "length": 1, "refusal": 1, "request": 2, "truncated": 1},
        "situational": {"refusal": 1, "schema": 1},
        "sociocultural": {"schema": 1},
    }
    by_id = {(reject["id"], reject["attempt"]): reject for reject in rejects}
    assert by_id["joy-000001", 0]["text"] == REFUSAL
    assert by_id["anger-000001", 0]["text"] == CUT
    assert (by_id["joy-000004", 0]["text"], by_id["joy-000004", 0]["detail"]) == (SAME.upper(), "anger-000000")
    assert by_id["anger-000002", 0]["text"] is None and "content filter" in by_id["anger-000002", 0]["detail"]
    assert len(texts_of(tmp_path / "out")) == 14


def test_of_two_duplicates_the_later_row_of_the_plan_is_rejected(tmp_path: Path) -> None:
    """Also if its reply arrives first, and at any concurrency."""
    faults = [
        answer_fault(SAME, seed_of("anger-000003", 0)),
        Fault("delay", seed=seed_of("anger-000003", 0), seconds=0.3),
        answer_fault(SAME, seed_of("joy-000002", 0)),
        answer_fault(SAME + " Indeed.", seed_of("joy-000002", 1)),
    ]
    for concurrency in (1, 16):
        with FakeOpenAI(faults=faults) as server:
            make(recipe_for(server.url, {"backend.concurrency": concurrency}), tmp_path / str(concurrency) / "out")
    out = tmp_path / "16" / "out"
    assert [(reject["id"], reject["reason"], reject["attempt"], reject["detail"]) for reject in rejects_of(out)] == [
        ("joy-000002", "duplicate", 0, "anger-000003"),
        ("joy-000002", "duplicate", 1, "anger-000003"),
    ]
    rows = {row["id"]: row for row in texts_of(out)}
    assert (rows["anger-000003"]["text"], rows["joy-000002"]["provenance"]["attempts"]) == (SAME, 3)
    assert bytes_of(out) == bytes_of(tmp_path / "1" / "out")


def test_a_run_with_spent_attempts_fails_and_is_finished_with_more_attempts(tmp_path: Path) -> None:
    """No reply is paid for again, and the release equals that of an undisturbed run."""
    faults = [Fault("refusal", seed=seed_of("joy-000002", number)) for number in range(3)]
    faults.append(answer_fault(SAME, seed_of("anger-000000", 0)))
    faults += [answer_fault(SAME, seed_of("joy-000005", number)) for number in range(2)]
    with FakeOpenAI(faults=faults) as server:
        few, many = recipe_for(server.url, {"checks.attempts": 2}), recipe_for(server.url, {"checks.attempts": 4})
        message = (
            r"^12 texts were accepted, 2 rows were given up \(joy 2\), each after at most 2 attempts "
            r"\(expression refusal 2, expression duplicate 2\), the last one: duplicate, 'The postman .*'; raise "
            r"checks\.near_duplicate or draw\.temperature; see \S+/out\.run/rejects\.jsonl; what was accepted is kept "
            r"and not paid for again$"
        )
        with pytest.raises(GenerationError, match=message):
            make(few, tmp_path / "out")
        assert (len(server.requests), (tmp_path / "out").exists()) == (16, False)
        make(many, tmp_path / "out")
        assert len(server.requests) == 16 + 3
        make(many, tmp_path / "calm")
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "calm")
    assert len(texts_of(tmp_path / "out")) == 14


def test_a_run_without_an_accepted_row_stops_early(tmp_path: Path) -> None:
    """A model that refuses everything is not paid for every row."""
    with FakeOpenAI(faults=[Fault("refusal")]) as server:
        recipe = recipe_for(server.url, {"rows": 300, "checks.attempts": 2, "backend.concurrency": 4})
        message = (
            r"^no text was accepted: 1[2-6] replies were rejected \(expression refusal 1[2-6]\), the last one: "
            r"refusal, \"I'm sorry, but I can't help with that\.\"; try another model; see \S+/rejects\.jsonl$"
        )
        with pytest.raises(AllRejectedError, match=message):
            make(recipe, tmp_path / "out")
        assert len(server.requests) <= 20
    assert len(rejects_of(tmp_path / "out")) == len(server.requests)


def test_a_small_run_without_an_accepted_reply_fails_in_one_line(tmp_path: Path) -> None:
    """If the prose of the personas fails, each of its replies is counted once."""
    with FakeOpenAI(faults=[Fault("refusal")]) as server:
        message = r"^no text was accepted: (\d+) replies were rejected \(sociocultural refusal \1\), the last one: "
        with pytest.raises(AllRejectedError, match=message) as info:
            make(recipe_for(server.url, LAYERED, {"checks.attempts": 2}), tmp_path / "out")
        assert f"accepted: {len(server.requests)} replies" in str(info.value)
        assert len(server.requests) <= 14


def test_layer_tables_have_the_prose_of_the_prompts(tmp_path: Path) -> None:
    """A request that failed once is not sent later in the run, when it would succeed."""
    refused = {"error": {"message": "not this one"}}
    fault = Fault("status", contains="Write this person's background", times=2, status=403, body=refused)
    with FakeOpenAI(faults=[fault]) as server:
        make(recipe_for(server.url, LAYERED, {"backend.concurrency": 1}), tmp_path / "out")
    prose = {row["persona_id"]: row["prose"] for row in rows_of(tmp_path / "out", "sociocultural")}
    assert len(rejects_of(tmp_path / "out")) == 2
    for row in texts_of(tmp_path / "out"):
        assert row["sociocultural"]["prose"] == prose[row["persona_id"]]


# No room on the disk


def write_big_recipe(folder: Path) -> Path:
    """Write a recipe for 8 long texts in one file."""
    one_file = {"splits.train": 1.0, "splits.validation": 0.0, "splits.test": 0.0}
    return write_recipe(folder, one_file, {"rows": 8, "emotions": ["joy"], "text.max_words": 2000})


def test_a_full_folder_of_temporary_files_fails_in_one_line_and_loses_no_reply(tmp_path: Path) -> None:
    """The identifier of languages unpacks its model there, while the first requests are in flight."""
    path, out = write_recipe(tmp_path, {"text.language": "en"}), tmp_path / "out"
    with FakeOpenAI() as server:
        done = run_command(limited(4096, command(server.url, out, path)))
        assert (done.returncode, out.exists()) == (1, False)
        message = r"personagen: cannot load the identifier of languages: .*[Ff]ile too large; free some space in "
        assert re.match(message, only_line(done)), done.stderr
        make(read_recipe(path, {"backend.base_url": server.url}), out)
        assert len(server.requests) == 14


def test_a_run_whose_shard_fills_the_disk_fails_in_one_line_and_is_finished_later(tmp_path: Path) -> None:
    """With space again, no request is sent twice."""
    path, out, rng = write_big_recipe(tmp_path), tmp_path / "out", random.Random(1)
    faults = [answer_fault(long_text(rng), seed_of(f"joy-{number:06}", 0)) for number in range(8)]
    with FakeOpenAI(faults=faults) as server:
        recipe = read_recipe(path, {"backend.base_url": server.url})
        make(recipe, out)
        before = bytes_of(out)
        shutil.rmtree(out)
        done = run_command(limited(64, command(server.url, out, path)))
        assert (done.returncode, done.stdout, out.exists()) == (1, "", False)
        assert re.match(
            r"personagen: cannot write \S+/joy/train-00000-of-00001\.parquet: .*file too large; ", only_line(done)
        )
        make(recipe, out)
        assert len(server.requests) == 8
    assert bytes_of(out) == before


@pytest.mark.parametrize("length", [10, 100_000], ids=["at the end", "at once"])
def test_a_run_whose_rejects_fill_the_disk_fails_in_one_line_and_is_finished_later(tmp_path: Path, length: int) -> None:
    """The line names the file, whenever its bytes are written. With space again, no request is sent twice."""
    out, rejects = tmp_path / "out", tmp_path / "out.run" / "rejects.jsonl"
    faults = [answer_fault(REFUSAL + " Sorry." * (length // 7), seed_of(f"joy-{number:06}", 0)) for number in range(4)]
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
        assert make(recipe, out).created
        assert len(server.requests) == 14 + 4


def test_a_run_whose_journal_fills_the_disk_fails_in_one_line_and_is_finished_later(tmp_path: Path) -> None:
    """Replies that were journaled before are not paid for again."""
    path, out, rng = write_big_recipe(tmp_path), tmp_path / "out", random.Random(1)
    faults = [answer_fault(long_text(rng), seed_of(f"joy-{number:06}", 0)) for number in range(8)]
    with FakeOpenAI(faults=faults) as server:
        done = run_command(limited(96, [*command(server.url, out, path), "--concurrency", "1"]))
        assert (done.returncode, done.stdout, out.exists()) == (1, "", False)
        assert re.match(
            r"personagen: cannot write the journal: .+; free some space and run the command again$", only_line(done)
        )
        lost = len(server.requests) - len(journalled_texts(out, tmp_path))
        assert lost <= 3, "what can no longer be kept must not be asked for"
        assert make(read_recipe(path, {"backend.base_url": server.url}), out).created
        assert len(server.requests) == 8 + lost


# What comes from the server is data


def test_the_key_is_in_no_file_and_no_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Also if the server repeats it in the error of one request or of all."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    echo = {"error": {"message": f"cannot use the key {KEY} for this", "key": KEY}}
    path = write_recipe(tmp_path)
    with FakeOpenAI(faults=[Fault("status", seed=seed_of("joy-000001", 0), status=403, body=echo)]) as server:
        done = run_command(command(server.url, tmp_path / "out", path))
        assert (done.returncode, done.stdout) == (0, f"{tmp_path / 'out'}\n"), done.stderr
    (reject,) = rejects_of(tmp_path / "out")
    assert "cannot use the key *** for this" in reject["detail"]
    output = done.stdout + done.stderr
    for status, body in ((401, echo), (403, echo), (404, f"<html>{KEY}</html>"), (200, f"<html>{KEY}</html>")):
        with (
            FakeOpenAI(faults=[Fault("status", status=status, body=body)]) as server,
            pytest.raises(PersonaGenError) as info,
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
    """Counts are exact, texts hold no invisible characters, and card and tables stay valid."""
    out = tmp_path / "personagen"
    faults = [answer_fault(text, seed_of(f"joy-{number:06}", 0)) for number, text in enumerate(HOSTILE)]
    for number in range(len(HOSTILE)):
        # Another text than that of the persona's row, which would be an echo.
        prose = json.dumps({"prose": HOSTILE[number - 3]})
        faults.append(answer_fault(prose, seed_of(f"p{number:06}", 0, stage="sociocultural")))
        faults.append(answer_fault(prose, seed_of(f"p{number:06}-s1", 0, stage="situational")))
    with FakeOpenAI(faults=faults) as server:
        result = make(recipe_for(server.url, LAYERED, {"rows": 2 * len(HOSTILE)}), out)
    rows = texts_of(out)
    assert len(rows) == 2 * len(HOSTILE)
    written = [row["text"] for row in rows] + [
        row[layer]["prose"] for row in rows for layer in ("sociocultural", "situational")
    ]
    assert {
        char for text in written for char in text if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co")
    } == set()
    taken = [row for row in rows if row["label"] == 1 and row["provenance"]["attempts"] == 1]
    rejects = [reject for reject in rejects_of(out) if reject["stage"] == "expression"]
    assert len(taken) + len({reject["id"] for reject in rejects}) == len(HOSTILE)
    assert len(taken) >= 3 and len(rejects) >= 3
    assert {reject["text"] for reject in rejects} <= set(HOSTILE)
    _, front, body = (out / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    card = yaml.safe_load(front)
    assert [config["config_name"] for config in card["configs"]] == [*result.manifest["configs"], "plain"]
    assert "evil" not in front + body and "owned" not in body
    for config in result.manifest["configs"]:
        loaded = datasets.load_dataset(str(out), config, cache_dir=str(tmp_path / "cache"))
        assert sum(loaded.num_rows.values()) == sum(result.manifest["configs"][config]["rows"].values())
