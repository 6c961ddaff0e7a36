"""`personagen compare`: every arm from a server on loopback, measured with the real encoder; cut off, and wrong."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from personagen.builder.core.progress import SILENT
from personagen.builder.evaluation.arms import ARMS
from personagen.builder.evaluation.claims import CLAIMS
from personagen.builder.evaluation.compare import FORMAT, Options, rounded
from personagen.builder.report.comparison_report import read_comparison_report
from personagen.metrics.panel import MEASURES
from tests.helpers.browser import open_page
from tests.helpers.command import OPENAI, Outcome, Run, run_here
from tests.helpers.flow import bytes_of, wait_until
from tests.helpers.real_texts import goemotions
from tests.helpers.servers.fake_openai import FakeOpenAI, Fault

SMALL = ("--emotions", "joy,anger", "--no-judge")
ROWS = ("--rows", "16", "--seeds", "2")


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory
) -> Run:
    return run_here(monkeypatch, capsys, tmp_path_factory)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real texts of three emotions, 60 of each, and as many to test on."""
    path = tmp_path_factory.mktemp("reference") / "real.jsonl"
    whole = goemotions()
    rows = [
        {"text": text, "label": label, "split": split}
        for split, texts, labels in (
            ("train", whole.texts, whole.labels),
            ("test", whole.test_texts, whole.test_labels),
        )
        for emotion in ("joy", "anger", "fear")
        for text, label in [pair for pair in zip(texts, labels or [], strict=True) if pair[1] == emotion][:60]
    ]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def server() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as running:
        yield running


@pytest.fixture(scope="module")
def done(
    server: FakeOpenAI, reference: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A comparison of all arms, written once."""
    out = tmp_path_factory.mktemp("compare") / "comparison"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", "sk-secret")
        words = ["personagen", "compare", *SMALL, *ROWS, "--reference", str(reference), "--out", str(out)]
        patch.setattr(sys, "argv", [*words, *OPENAI, server.url])
        from personagen.builder.cli.main import main

        main()
        yield out, json.loads((out / "results.json").read_text(encoding="utf-8"))


def compare(run: Run, server: FakeOpenAI, reference: Path, out: Path, *more: str) -> Outcome:
    return run("compare", *SMALL, *ROWS, "--reference", reference, "--out", out, *OPENAI, server.url, *more)


def test_every_arm_has_all_its_rows_and_every_figure(done: tuple[Path, dict[str, Any]]) -> None:
    out, results = done
    assert results["format"] == FORMAT and list(results["arms"]) == list(ARMS)
    names = {name for suite in MEASURES.values() for name in suite}
    for arm, facts in results["arms"].items():
        assert (facts["texts"], facts["missing"]) == (16, 0), arm
        missing = names - set(facts["figures"])
        assert missing <= {"persona_f", "c2st_auc", "c2st_auc_length_matched", "c2st_auc_style", "mauve_star"}, arm
        assert ("persona_f" in facts["figures"]) == (
            arm in ("demographic", "sociocultural", "situational", "full+real")
        )
        for figure in facts["figures"].values():
            assert len(figure["blocks"]) == 2
            assert figure["value"] == pytest.approx(sum(figure["blocks"]) / 2, abs=1e-4)
        lines = [json.loads(line) for line in (out / "texts" / f"{arm}.jsonl").read_text().splitlines()]
        assert len(lines) == 16 and {line["label"] for line in lines} == {"joy", "anger"}
        assert [line["id"] for line in lines] == [
            line["id"] for line in map(json.loads, (out / "texts" / "none.jsonl").read_text().splitlines())
        ]


def test_what_was_asked_is_counted_and_real_texts_cost_nothing(
    done: tuple[Path, dict[str, Any]], server: FakeOpenAI
) -> None:
    arms = done[1]["arms"]
    assert arms["real"]["requests"] == arms["retrieval"]["requests"] == arms["real"]["tokens_per_text"] == 0
    assert arms["none"]["requests"] == 16 + sum(arms["none"]["rejects"].values())
    # Background and account of the situation are written too, those of one persona once.
    assert arms["situational"]["requests"] > arms["sociocultural"]["requests"] > arms["demographic"]["requests"]
    keys = {json.dumps(body, sort_keys=True) for body in server.requests}
    assert len(keys) == len(server.requests), "no request was sent twice"


def test_it_has_a_page_that_asks_for_nothing(run: Run, done: tuple[Path, dict[str, Any]]) -> None:
    comparison, results = done
    first = (comparison / "report.html").read_bytes()
    again = run("report", comparison)
    assert again.code == 0 and again.out == f"{comparison / 'report.html'}\n"
    assert (comparison / "report.html").read_bytes() == first, "the same folder, the same page"
    report = read_comparison_report(comparison, 0, SILENT)
    (found,) = [section.chart["data"][0] for section in report.sections() if section.id == "arms" and section.chart]
    figure = results["arms"]["situational"]["figures"]["vendi_score"]
    number = found["y"].index("situational")
    assert found["x"][number] == figure["value"]
    assert found["x"][number] + found["error_x"]["array"][number] == pytest.approx(figure["high"])
    with open_page(comparison / "report.html") as opened:
        page = opened.page
        assert page.locator("#arms .main-svg").count() > 0
        told = page.locator("#verdicts-section tbody tr")
        assert told.count() == len(results["claims"]) > 0
        assert results["claims"][0]["says"] in told.first.inner_text()
        assert page.locator("#costs-section tbody tr").count() == len(ARMS)
        page.locator("#source").select_option("situational")
        assert page.locator("#count").inner_text() == f"16 of {16 * len(ARMS)} texts"
        page.locator("#rows summary").first.click()
        told = page.locator("#rows details dl").first.inner_text()
        assert "occupation" in told and "household" in told and "event" in told, "the whole persona"
        page.locator("#arms .updatemenu-header").click()
        page.locator("#arms .updatemenu-dropdown-button").nth(1).click()
        assert page.evaluate("document.getElementById('arms').data.filter(trace => trace.visible).length") == 1
    assert opened.errors == [] and opened.requests == []


def test_claims_are_judged_and_told(done: tuple[Path, dict[str, Any]]) -> None:
    out, results = done
    assert {claim["says"] for claim in results["claims"]} <= {claim.says for claim in CLAIMS}
    assert len(results["claims"]) >= 18
    text = (out / "results.md").read_text(encoding="utf-8")
    for claim in results["claims"]:
        assert f"| {claim['says']} | **{claim['verdict']}** |" in text
    assert results["classifier"]["trained_on"] == 60 and f"version {results['classifier']['version']}" in text
    assert "sk-secret" not in "".join(map(str, bytes_of(out).values()))
    assert str(Path.home()) not in text and "real.jsonl" in text


def test_the_same_command_asks_and_measures_nothing_twice_and_finds_the_same(
    done: tuple[Path, dict[str, Any]], run: Run, server: FakeOpenAI, reference: Path
) -> None:
    out, results = done
    before = {name: data for name, data in bytes_of(out).items() if not name.startswith("run/journal")}
    sent = len(server.requests)
    made = {path.name: path.stat().st_mtime_ns for path in (out / "run" / "figures").iterdir()}
    again = compare(run, server, reference, out, "--json")
    assert again.code == 0 and len(server.requests) == sent
    assert json.loads(again.out) == results
    assert before == {name: data for name, data in bytes_of(out).items() if not name.startswith("run/journal")}
    assert made == {path.name: path.stat().st_mtime_ns for path in (out / "run" / "figures").iterdir()}


def test_some_arms_are_compared_with_what_they_use_and_verdicts_go_to_stdout(
    run: Run, server: FakeOpenAI, reference: Path, tmp_path: Path
) -> None:
    found = compare(run, server, reference, tmp_path / "c", "--arms", "none:verbalized,demographic,none")
    assert found.code == 0, found.err
    results = json.loads((tmp_path / "c" / "results.json").read_text())
    assert list(results["arms"]) == ["none", "none:verbalized", "demographic"]
    assert (tmp_path / "c" / "texts" / "none-verbalized.jsonl").is_file()
    assert "The demographic layer adds diversity (vendi_score, demographic - none:" in found.out
    assert found.out.splitlines()[-1] == str(tmp_path / "c")


@pytest.mark.slow
def test_a_gate_of_the_recipe_reads_every_text_that_is_written(
    run: Run, server: FakeOpenAI, reference: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text("checks: {label: reject, attempts: 40}\n")
    found = run("compare", recipe, *SMALL, *ROWS, "--reference", reference, "--out", tmp_path / "c", "--arms", "none",
                *OPENAI, server.url)  # fmt: skip
    assert found.code == 0, found.err
    results = json.loads((tmp_path / "c" / "results.json").read_text())
    refused = [json.loads(line) for line in (tmp_path / "c" / "rejects.jsonl").read_text().splitlines()]
    assert results["arms"]["none"]["rejects"]["label"] == sum(line["reason"] == "label" for line in refused) > 0
    assert {line["arm"] for line in refused} == {"none"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--rows", "6"),
            "--rows 6 over 2 seeds gives 3 texts a seed for 2 emotions, wanted two or more of each; raise",
        ),
        (("--rows", "200"), "reference real.jsonl has 2"),
        (("--arms", "situation"), "unknown arm 'situation', did you mean 'situational'?"),
        (
            ("--depth", "none"),
            "--depth is what arms differ in; name them with --arms (see `",
        ),
        (("--emotions", "joy,disgust"), "reference real.jsonl has 0 texts of 'disgust' for the arms that take real"),
        (("--reference", "no.such"), "cannot load reference 'no.such'"),
        (("--judge", "embedded"), "--judge and --no-judge exclude each other"),
        (("--seeds", "0"), "Invalid value for '--seeds': 0 is not in the range 1<=x<=100."),
    ],
)
def test_what_cannot_be_compared_is_told_in_one_line(
    run: Run, server: FakeOpenAI, reference: Path, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    found = compare(run, server, reference, tmp_path / "c", *words)
    assert found.code in (1, 2) and message in found.err and found.out == ""
    assert found.err.count("\n") == 1


def test_a_folder_that_holds_something_else_is_left_alone(
    run: Run, server: FakeOpenAI, reference: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    found = compare(run, server, reference, tmp_path)
    assert found.code == 1 and "holds something else than a comparison; choose another folder" in found.err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.slow
def test_an_arm_whose_texts_are_all_refused_stops_early_and_says_so(run: Run, reference: Path, tmp_path: Path) -> None:
    with FakeOpenAI(faults=[Fault("refusal", times=None)]) as refusing:
        words = ("--arms", "none", "--rows", "60", "--concurrency", "2")
        found = compare(run, refusing, reference, tmp_path / "c", *words)
        assert len(refusing.requests) < 2 * 30 * 8, "not every attempt of every row was paid for"
    message = "arm none has 0 texts in seed 0, wanted 4 or more of two emotions: the rest was refused (refusal "
    assert found.code == 1 and message in found.err and "leave the arm out with --arms" in found.err
    assert not (tmp_path / "c" / "results.json").exists()


def test_texts_without_labels_are_no_reference(run: Run, server: FakeOpenAI, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("text\nhello there\n")
    found = compare(run, server, tmp_path / "r.csv", tmp_path / "c")
    assert (
        found.code == 1 and "reference r.csv has no labels, wanted one per text; name another --reference" in found.err
    )


def test_numbers_are_rounded_to_what_processors_agree_on() -> None:
    assert rounded({"a": [0.1234567891, 3], "b": (None, "x", 1e-9 / 3)}) == {
        "a": [0.123457, 3], "b": [None, "x", 3.33333e-10],
    }  # fmt: skip


def test_the_command_is_told_without_paths(tmp_path: Path) -> None:
    (tmp_path / "my real.csv").write_text("")
    options = Options(reference=str(tmp_path / "my real.csv"), arms=("none", "real"), judges=("openai:m",))
    assert options.command() == (
        "personagen compare --reference 'my real.csv' --rows 210 --seeds 3 --arms none,real --judge openai:m"
    )


@pytest.mark.slow
def test_a_comparison_that_is_killed_goes_on_and_pays_for_nothing_twice(
    done: tuple[Path, dict[str, Any]], reference: Path, tmp_path: Path
) -> None:
    with FakeOpenAI(latency=0.05) as server:
        words = ["compare", *SMALL, *ROWS, "--reference", str(reference), "--out", str(tmp_path / "c"), *OPENAI]
        code = f"import sys; sys.argv = {['personagen', *words, server.url]!r}\n"
        command = [sys.executable, "-c", f"{code}from personagen.builder.cli.main import main; main()"]
        env = os.environ | {"OPENAI_API_KEY": "k"}
        for wanted in (20, 80):
            running = subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL)
            wait_until(lambda wanted=wanted: len(server.requests) >= wanted)  # type: ignore[misc]
            running.send_signal(signal.SIGKILL)
            running.wait()
        time.sleep(0.5)  # what the server had received is counted
        sent = len(server.requests)
        with closing(sqlite3.connect(tmp_path / "c" / "run" / "journal.sqlite")) as journal:
            (kept,) = journal.execute("SELECT count(*) FROM replies").fetchone()
        subprocess.run(command, env=env, check=True, capture_output=True, timeout=300)
        keys = [json.dumps(body, sort_keys=True) for body in server.requests]
    # What was not on the disk yet when a process was killed is asked again, and nothing else is.
    assert len(keys) - len(set(keys)) == sent - kept and kept > 0
    ours = {name: data for name, data in bytes_of(tmp_path / "c").items() if not name.startswith("run/")}
    theirs = {name: data for name, data in bytes_of(done[0]).items() if not name.startswith("run/")}
    assert ours == theirs
