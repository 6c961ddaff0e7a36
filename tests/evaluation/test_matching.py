"""`match`: a hand-made corpus and a server on loopback, measured with the real encoder; resumed, and refused.

The fixture `done` matches one reference with labels, and then repeats the command.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import personagen as pg
from personagen.builder.cli.main import main
from personagen.builder.core.errors import RecipeError
from personagen.builder.evaluation.matching import MatchSettings, with_budget
from personagen.builder.evaluation.matching.match_results import FORMAT
from personagen.builder.evaluation.matching.parts import FOLDS, divide
from personagen.builder.evaluation.matching.preparation import prepare_match
from personagen.builder.evaluation.matching.recipes import matched_recipe, recipe_file
from personagen.builder.evaluation.matching.usable_texts import MAX_TEXT_WORDS, MIN_TEXTS, load_usable_texts
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.recipe.parsing import parse_recipe, read_recipe
from personagen.metrics.style import measure_profile, write_profile
from tests.helpers.command import OPENAI, Outcome, Run
from tests.helpers.corpora.hand_made import corpus, write_reference
from tests.helpers.servers.fake_openai import FakeOpenAI

ROWS = ("--rows", "18")
ARMS = ["plain", "style", "style+expression", "label words", "examples", "paraphrase"]


@dataclass(frozen=True)
class Done:
    """A finished match: its folder, what the server was asked, and how often when the command was repeated."""

    folder: Path
    reference: Path
    prompts: list[str]
    repeated: int

    @property
    def content(self) -> dict[str, Any]:
        """The content of match.json."""
        found: dict[str, Any] = json.loads((self.folder / "match.json").read_text(encoding="utf-8"))
        return found


@pytest.fixture(scope="module")
def server() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as running:
        yield running


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Done]:
    folder = tmp_path_factory.mktemp("match")
    path = write_reference(folder / "real.jsonl", corpus(30))
    with pytest.MonkeyPatch.context() as patch, FakeOpenAI() as running:
        patch.setenv("OPENAI_API_KEY", "sk-secret")
        words = ["personagen", "match", str(path), *ROWS, "--out", str(folder / "out"), *OPENAI, running.url]
        patch.setattr(sys, "argv", words)
        main()
        prompts = [json.dumps(request["messages"]) for request in running.requests]
        main()
        yield Done(folder / "out", path, prompts, len(running.requests) - len(prompts))


def match(run: Run, server: FakeOpenAI, reference: Path | str, *more: str) -> Outcome:
    return run("match", reference, *ROWS, *OPENAI, server.url, *more)


def test_every_arm_is_written_and_scored_and_the_best_also_without_persona(done: Done) -> None:
    content = done.content
    assert content["format"] == FORMAT and content["labelled"] and content["examples"]
    assert content["reference"]["labels"] == {"anger": 30, "fear": 30, "joy": 30}
    names = [arm["arm"] for arm in content["arms"]]
    assert names[:-1] == ARMS and names[-1].removesuffix(" without persona") in ARMS[:-1]
    for arm in content["arms"]:
        assert arm["texts"] + arm["missing"] == 18 and arm["requests"] > 0
        assert (arm["score"] is None) == (arm["reason"] is not None)
    scores = {arm["arm"]: arm["score"] for arm in content["arms"] if arm["arm"] != "paraphrase" and arm["score"]}
    assert scores[content["best"]] == max(scores.values())


def test_the_best_arm_is_compared_with_real_rows_retrieval_and_the_floor(done: Done) -> None:
    content = done.content
    yardsticks = {one["training"]: one for one in content["yardsticks"]}
    pool = content["reference"]["pool"]
    assert {"synthetic", "plain sentences", "most frequent label", "real 50", f"real {pool}", "retrieval"} <= set(
        yardsticks
    )
    for rows in (200, 1000):
        assert yardsticks[f"real {rows}"]["macro_f1"] is None
        assert yardsticks[f"real {rows}"]["reason"] == f"the pool has {pool} texts"
    for one in yardsticks.values():
        if one["macro_f1"] is not None and one["macro_f1"] < 1:
            assert one["low"] <= one["macro_f1"] <= one["high"]
    assert (yardsticks["real 50"]["macro_f1"], yardsticks["real 50"]["low"]) == (1, None), (
        "27 texts, all predicted right"
    )
    assert yardsticks["real 50"]["macro_f1"] > yardsticks["synthetic"]["macro_f1"]
    assert (yardsticks["plain sentences"]["rows"], yardsticks["plain sentences"]["reason"]) == (9, None)
    assert "fewer than 50 real rows" in content["worth"]["words"]
    said = "\n".join(content["conclusions"])
    assert "Real texts win: 18 real rows" in said and "50 real rows 1.000" in said and "fewer than 50 real rows" in said
    assert "The floor, 9 plain sentences: " in said and "| plain sentences | 9 | " in _tables(done)
    assert all(line in _tables(done) for line in content["conclusions"])


def _tables(done: Done) -> str:
    return (done.folder / "match.md").read_text(encoding="utf-8")


def test_no_text_of_the_test_part_is_in_a_prompt_or_among_the_training_texts(done: Done) -> None:
    parts = divide(load_usable_texts(str(done.reference), Recipe()), None, 0)
    assert len(parts.test) == 27 and not set(parts.test.texts) & set(parts.pool.texts)
    asked = "\n".join(done.prompts)
    assert not [text for text in parts.test.texts if json.dumps(text)[1:-1] in asked]
    shown = [text for text in parts.pool.texts if json.dumps(text)[1:-1] in asked]
    assert len(shown) > 10
    written = (done.folder / "profile.tsv").read_text(encoding="utf-8")
    assert len(written.splitlines()) == 1 + len(parts.pool)


def test_the_same_command_sends_no_request_twice(done: Done) -> None:
    assert done.repeated == 0


def test_a_match_that_a_budget_stopped_goes_on_and_pays_for_nothing_twice(run: Run, tmp_path: Path) -> None:
    reference = write_reference(tmp_path / "real.jsonl", corpus(20))
    with FakeOpenAI() as server:
        stopped = match(run, server, reference, "--max-tokens", "30000")
        assert stopped.code == 1 and "budget" in stopped.err and not Path("match/match.json").exists()
        early = len(server.requests)
        assert match(run, server, reference).code == 0
        requests = [json.dumps(request, sort_keys=True) for request in server.requests]
    assert 0 < early < len(requests) == len(set(requests))
    content = json.loads(Path("match/match.json").read_text(encoding="utf-8"))
    assert sum(arm["requests"] for arm in content["arms"]) >= len(requests) - early


def test_an_arm_with_examples_leads_to_a_recipe_with_examples_of_its_folder(tmp_path: Path) -> None:
    profile = measure_profile("p", "a text", [row["text"] for row in corpus(20)], None, per_label=60)
    (tmp_path / "profile.tsv").write_text(write_profile(profile), encoding="utf-8")
    (tmp_path / "examples.tsv").write_text("label\ttext\njoy\tfun\n", encoding="utf-8")
    base = parse_recipe("backend: {kind: openai, model: m, headers: {X-Key: '${KEY}'}}", "r")
    matched = matched_recipe(base, tmp_path / "profile.tsv", 12, {"joy": 7, "fear": 5})
    text = recipe_file(matched, {"text.examples": str(tmp_path / "examples.tsv")}, ["A comment."])
    assert text.startswith("# A comment.\n") and str(tmp_path) not in text
    (tmp_path / "recipe.yaml").write_text(text, encoding="utf-8")
    recipe = read_recipe(tmp_path / "recipe.yaml")
    assert recipe.quota() == {"fear": 5, "joy": 7} and recipe.backend == base.backend and recipe.rows == 12
    assert recipe.text.examples == str(tmp_path / "examples.tsv")


def test_a_budget_is_a_cost_where_the_model_has_a_price() -> None:
    priced = Recipe.model_validate(
        {"backend": {"kind": "openai", "model": "m"}, "prices": {"m": {"input": 1.0, "output": 1.0}}}
    )
    assert with_budget(priced, 0.5).budget.max_cost == 0.5
    assert with_budget(Recipe(), 900.7).budget.max_tokens == 900
    assert with_budget(priced, None) is priced


def test_the_recipe_of_the_best_arm_generates_from_another_folder(
    done: Done, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (done.folder / "recipe.yaml").read_text(encoding="utf-8")
    assert text.startswith("# Made by `personagen match real.jsonl") and str(done.folder) not in text
    assert f"# Arm: {done.content['best']}" in text
    recipe = read_recipe(done.folder / "recipe.yaml")
    assert recipe.quota() == {"anger": 6, "fear": 6, "joy": 6}
    assert str(done.folder) not in json.dumps(recipe.identity())


def test_a_reference_without_labels_is_compared_by_distance(run: Run, server: FakeOpenAI, tmp_path: Path) -> None:
    rows = [{"text": row["text"]} for row in corpus(20)]
    outcome = match(run, server, write_reference(tmp_path / "plain.jsonl", rows), "--emotions", "joy,fear")
    assert outcome.code == 0 and "has no labels" in outcome.out
    content = json.loads(Path("match/match.json").read_text(encoding="utf-8"))
    assert [arm["arm"] for arm in content["arms"]][:3] == ["plain", "style", "style+expression"]
    assert len(content["arms"]) == 4 and content["yardsticks"] == [] and content["worth"] is None
    assert content["distance"]["synthetic"] > content["distance"]["real"]
    assert read_recipe(Path("match/recipe.yaml")).emotions == ("joy", "fear")


def test_no_examples_sends_no_real_text(run: Run, tmp_path: Path) -> None:
    reference = write_reference(tmp_path / "real.jsonl", corpus(20))
    with FakeOpenAI() as server:
        outcome = match(run, server, reference, "--no-examples")
        asked = "\n".join(json.dumps(request["messages"]) for request in server.requests)
    assert outcome.code == 0
    assert not [row for row in corpus(20) if json.dumps(row["text"])[1:-1] in asked]
    assert "personagen match real.jsonl --seed" not in Path("match/recipe.yaml").read_text(encoding="utf-8")
    assert "--no-examples" in json.loads(Path("match/match.json").read_text(encoding="utf-8"))["command"]


GERMAN = "Gestern habe ich mich im Bus sehr über meinen Nachbarn geärgert, weil er nicht zuhören wollte"
TWO_TEXTS = [{"text": "I am so happy today.", "label": "joy"}, {"text": "I am so angry.", "label": "anger"}]
REFUSED = [
    ("ten texts", corpus(4)[:10], (), "has 0 usable texts (of 10 or more per label, up to 300 words), wanted 50"),
    ("ten texts without labels", [{"text": row["text"]} for row in corpus(4)][:10], (), "has 10 usable texts"),
    ("one label", corpus(60, ["joy"]), (), "has one label with 10 or more texts, joy, wanted two or more"),
    (
        "another language",
        [{"text": f"{GERMAN} {number}.", "label": ("joy", "fear")[number % 2]} for number in range(60)],
        (),
        "100% of 60 texts are not in English, wanted at most 20%",
    ),
    (
        "long texts",
        [{"text": "and then we went home " * 20_000, "label": ("joy", "fear")[number % 2]} for number in range(50)],
        (),
        "has texts of 100,000 words (median), wanted 300 or fewer; split them",
    ),
    (
        "unknown labels",
        [{**row, "label": {"joy": "hygge"}.get(row["label"], row["label"])} for row in corpus(20)],
        (),
        "has labels that are no emotions of the taxonomy ekman: hygge; leave them out with --emotions anger,fear",
    ),
    (
        "labels of another taxonomy",
        [{**row, "label": {"joy": "trust"}.get(row["label"], row["label"])} for row in corpus(20)],
        (),
        "trust; choose --taxonomy plutchik, leave them out",
    ),
    ("too few rows", corpus(20), ("--rows", "14"), "--rows 14 gives fewer than 5 texts per label for 3 labels"),
    (
        "an infinite budget",
        corpus(20),
        ("--budget", "inf"),
        "--budget is inf, wanted a finite number; leave it out for no budget",
    ),
    ("a budget that is no number", corpus(20), ("--budget", "nan"), "--budget is nan, wanted a finite number"),
    ("a budget that does not suffice", corpus(20), ("--budget", "500"), "budget"),
    ("duplicates alone", TWO_TEXTS * 40, (), "nearly repeat the test part and leave too few beside it"),
    (
        "duplicates without labels",
        [{"text": "I am so happy today."}] * 80,
        (),
        "nearly repeat the test part and leave too few beside it",
    ),
    ("no text", [], (), "real.jsonl"),
    ("a text that is no text", [{"text": 5, "label": "joy"}] * 60, (), "real.jsonl"),
    ("style against bounds", corpus(20), ("--recipe", "long.yaml"), "contradicts text.min_words 110"),
]


@pytest.mark.parametrize(("rows", "more", "message"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_what_cannot_be_matched_is_refused_in_one_line(
    run: Run, server: FakeOpenAI, tmp_path: Path, rows: list[dict[str, str]], more: tuple[str, ...], message: str
) -> None:
    Path("long.yaml").write_text("text: {min_words: 110}\n", encoding="utf-8")
    outcome = match(run, server, write_reference(tmp_path / "real.jsonl", rows), *more)
    lines = [line for line in outcome.err.splitlines() if line.startswith("personagen: ")]
    assert outcome.code == 1 and len(lines) == 1 and message in lines[0]
    assert not Path("match").exists()  # no call was made, so that nothing is left behind


def test_a_match_without_a_reply_leaves_every_folder_as_it_was(run: Run, tmp_path: Path) -> None:
    """At the first call the profile and the recipe are written."""
    Path("mine").mkdir()
    path = write_reference(tmp_path / "real.jsonl", corpus(20))
    for out in ("mine", "other/folder"):
        outcome = run("match", path, *ROWS, *OPENAI, "http://127.0.0.1:9/v1", "--out", out)
        assert outcome.code == 1 and "check --base-url and that the server runs" in outcome.err
    assert not any(Path("mine").iterdir()) and not Path("other").exists()


def test_a_reference_that_does_not_exist_is_refused(run: Run, server: FakeOpenAI) -> None:
    outcome = match(run, server, "lost.csv")
    assert outcome.code == 1 and "no reference file 'lost.csv'" in outcome.err and not Path("match").exists()
    Path("binary.csv").write_bytes(b"\xff\xfe\x00")
    outcome = match(run, server, "binary.csv")
    assert outcome.code == 1 and "wanted text in UTF-8" in outcome.err and not Path("match").exists()


def test_a_folder_with_other_files_or_another_match_is_refused(
    run: Run, server: FakeOpenAI, done: Done, tmp_path: Path
) -> None:
    (tmp_path / "note.txt").write_text("mine", encoding="utf-8")
    outcome = match(run, server, done.reference, "--out", str(tmp_path))
    assert outcome.code == 1 and "holds something else than a match; choose another folder" in outcome.err
    other = write_reference(tmp_path / "other.jsonl", corpus(20))
    outcome = match(run, server, other, "--out", str(done.folder))
    assert outcome.code == 1 and "holds the match of other texts; choose another folder" in outcome.err


def test_labels_of_goemotions_count_as_basic_emotions(tmp_path: Path) -> None:
    names = {"joy": "Gratitude", "fear": "nervousness", "anger": "anger"}
    rows = [{**row, "label": names[row["label"]]} for row in corpus(20)]
    usable = load_usable_texts(str(write_reference(tmp_path / "real.jsonl", rows)), Recipe())
    assert usable.mapped == {"Gratitude": "joy", "nervousness": "fear"}
    assert usable.counts() == {"anger": 20, "fear": 20, "joy": 20}


def test_quotas_are_those_of_the_pool_and_not_of_the_test_part(tmp_path: Path) -> None:
    held = {"joy": 20, "fear": 4}
    rows = [
        {**row, "split": "test" if number >= 80 - 2 * held[row["label"]] else "train"}
        for number, row in enumerate(corpus(40, ["joy", "fear"]))
    ]
    usable = load_usable_texts(str(write_reference(tmp_path / "real.jsonl", rows)), Recipe())
    (tmp_path / "out").mkdir()
    prepared = prepare_match(Recipe(), MatchSettings(str(tmp_path), rows=30), tmp_path / "out", usable)
    pool = Counter(prepared.parts.pool.labels or ())
    assert prepared.parts.has_own_test and pool["joy"] < pool["fear"] and len(set(usable.counts().values())) == 1
    quotas = prepared.matched.quotas or {}
    assert prepared.parts.has_own_test and pool["joy"] < pool["fear"] <= 40 and usable.counts()["joy"] == 40
    assert quotas["joy"] / 30 == pytest.approx(pool["joy"] / pool.total(), abs=1 / 30)


def test_a_line_break_in_the_name_of_a_reference_adds_no_key_to_the_recipe(tmp_path: Path) -> None:
    usable = load_usable_texts(str(write_reference(tmp_path / "a\nseed: 9\n#\x1b.jsonl", corpus(20))), Recipe())
    (tmp_path / "out").mkdir()
    prepare_match(Recipe(), MatchSettings(str(tmp_path), rows=15), tmp_path / "out", usable)
    assert read_recipe(tmp_path / "out" / "recipe.yaml").seed == 0


def test_an_expression_is_measured_and_not_chosen(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"^expression: got 'named', but a match measures it; leave it out$"):
        pg.match("real.csv", out=tmp_path, expression="named")


def test_near_duplicates_of_test_texts_leave_the_pool(tmp_path: Path) -> None:
    rows = corpus(20)
    usable = load_usable_texts(str(write_reference(tmp_path / "real.jsonl", rows)), Recipe())
    clean = divide(usable, None, 0)
    test = [
        {"text": text, "label": label} for text, label in zip(clean.test.texts, clean.test.labels or [], strict=True)
    ]
    copies = [{**row, "text": row["text"].upper()} for row in test]
    split = [{**row, "split": "train"} for row in (*rows, *copies)] + [{**row, "split": "test"} for row in test]
    parts = divide(load_usable_texts(str(write_reference(tmp_path / "copies.jsonl", split)), Recipe()), None, 0)
    assert sorted(parts.test.texts) == sorted(clean.test.texts) and parts.has_own_test and not clean.has_own_test
    assert parts.near_test >= 2 * len(clean.test)
    seen = {text.lower() for text in parts.test.texts}
    assert not [text for text in parts.pool.texts if text.lower() in seen]
    assert set(parts.folds) == set(range(FOLDS))


def test_texts_that_are_too_long_or_of_rare_labels_are_left_out_and_counted(tmp_path: Path) -> None:
    long = {"text": "word " * (MAX_TEXT_WORDS + 1), "label": "joy"}
    rows = [*corpus(20), long, {"text": "oh", "label": "surprise"}]
    usable = load_usable_texts(str(write_reference(tmp_path / "real.jsonl", rows)), Recipe())
    assert usable.left_out == {"length": 1, "rare label": 1} and len(usable.texts) == 60 >= MIN_TEXTS
