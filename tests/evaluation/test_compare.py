"""`compare`: arms from a server on loopback, measured with the real encoder; continued, cut off, and refused.

The fixture `done` compares two arms. All arms are compared in a slow test.
"""

import asyncio
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from personagen.builder.cli.main import main
from personagen.builder.core.errors import ReleaseError
from personagen.builder.core.files import rounded
from personagen.builder.core.progress import SILENT
from personagen.builder.evaluation.arms import ARMS
from personagen.builder.evaluation.claims import CLAIMS
from personagen.builder.evaluation.compare import ComparisonSettings, acompare
from personagen.builder.evaluation.comparison import FORMAT, ComparisonResults, read_comparison
from personagen.builder.planning.recipe.parsing import parse_recipe
from personagen.builder.report.comparison_report import read_comparison_report
from personagen.metrics.panel import MEASURES
from tests.helpers.browser import open_page
from tests.helpers.command import OPENAI, Outcome, Run, run_here
from tests.helpers.flow import bytes_of, rows_of, wait_until
from tests.helpers.power.disk import Disk
from tests.helpers.real_texts import write_reference
from tests.helpers.servers.fake_openai import FakeOpenAI, Fault

SMALL = ("--emotions", "joy,anger")
ROWS = ("--rows", "16", "--seeds", "2")
TWO_ARMS = ("--arms", "none,situational")


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory
) -> Run:
    return run_here(monkeypatch, capsys, tmp_path_factory)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_reference(tmp_path_factory.mktemp("reference") / "real.jsonl")


@pytest.fixture(scope="module")
def server() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as running:
        yield running


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Disk:
    """Recorder of what `done` flushes."""
    return Disk(tmp_path_factory.mktemp("compare"))


@pytest.fixture(scope="module")
def done(server: FakeOpenAI, reference: Path, disk: Disk) -> Iterator[Path]:
    """Compare two arms once."""
    out = disk.root / "comparison"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", "sk-secret")
        words = ["personagen", "compare", *SMALL, *ROWS, *TWO_ARMS, "--reference", str(reference), "--out", str(out)]
        patch.setattr(sys, "argv", [*words, *OPENAI, server.url])
        with disk:
            main()
        yield out


def test_everything_is_flushed_before_it_gets_its_name(done: Path, disk: Disk) -> None:
    assert disk.unflushed == [] and (done / "results.json").exists()


def compare(run: Run, server: FakeOpenAI, reference: Path, out: Path, *more: str) -> Outcome:
    return run("compare", *SMALL, *ROWS, "--reference", reference, "--out", out, *OPENAI, server.url, *more)


def figures_of(comparison: ComparisonResults, arm: str) -> dict[str, float]:
    return {figure.measure: figure.value for figure in comparison.figures if figure.arm == arm}


def require_complete(comparison: ComparisonResults) -> None:
    """Require 16 texts of both emotions per arm, the same rows in all, and all measures that apply."""
    measures = {name for suite in MEASURES.values() for name in suite}
    of_personas = ("demographic", "sociocultural", "situational", "shown", "unstyled", "full+real")
    for cost in comparison.arms:
        assert (cost.texts, cost.missing) == (16, 0), cost.arm
        figures = figures_of(comparison, cost.arm)
        assert measures - set(figures) <= {
            "persona_f", "c2st_auc", "c2st_auc_length_matched", "c2st_auc_style", "mauve_star",
        }, cost.arm  # fmt: skip
        assert ("persona_f" in figures) == (cost.arm in of_personas)
        texts = [text for text in comparison.texts if text.arm == cost.arm]
        assert len(texts) == 16 and {text.label for text in texts} == {"joy", "anger"}
        assert [text.id for text in texts] == [text.id for text in comparison.texts if text.arm == "none"]
    for figure in comparison.figures:
        assert len(figure.blocks) == 2 and figure.value == pytest.approx(sum(figure.blocks) / 2, abs=1e-4)


def test_every_arm_has_all_its_rows_and_every_figure(done: Path) -> None:
    comparison = read_comparison(done)
    assert [cost.arm for cost in comparison.arms] == ["none", "situational"]
    require_complete(comparison)
    frame = comparison.figures.to_pandas()
    assert list(frame.columns) == ["arm", "measure", "value", "low", "high", "blocks"]
    assert comparison.to_pandas().shape == (len(comparison.claims), 15)
    assert repr(comparison).startswith("<Comparison of 2 arms: ") and "vendi_score" in comparison._repr_html_()


def test_requests_are_counted_per_arm_and_none_is_sent_twice(done: Path, server: FakeOpenAI) -> None:
    none, situational = read_comparison(done).arms
    assert none.requests == 16 + sum(none.rejects.values())
    # Background and account of the situation are requests too, those of one persona once.
    assert situational.requests > none.requests
    keys = {json.dumps(body, sort_keys=True) for body in server.requests}
    assert len(keys) == len(server.requests)


def test_claims_are_judged_and_listed_in_the_tables(done: Path) -> None:
    comparison = read_comparison(done)
    assert {claim.statement for claim in comparison.claims} <= {claim.statement for claim in CLAIMS}
    assert len(comparison.claims) == 3
    text = (done / "results.md").read_text(encoding="utf-8")
    for claim in comparison.claims:
        assert f"| {claim.statement} | **{claim.verdict}** |" in text
    classifier = comparison.facts.classifier
    assert classifier["trained_on"] == 60 and f"version {classifier['version']}" in text
    assert "sk-secret" not in "".join(map(str, bytes_of(done).values()))
    assert str(Path.home()) not in text and "real.jsonl" in text


def test_the_recorded_command_has_no_folders_and_no_addresses(done: Path) -> None:
    assert read_comparison(done).facts.command == (
        "personagen compare --emotions joy,anger --backend openai --model fake-1 --reference real.jsonl --rows 16 "
        "--seeds 2 --arms none,situational"
    )


def unchanged_parts(out: Path) -> dict[str, bytes]:
    return {name: data for name, data in bytes_of(out).items() if not name.startswith("run/journal")}


def test_the_same_command_requests_and_measures_nothing_twice(
    done: Path, run: Run, server: FakeOpenAI, reference: Path
) -> None:
    before, sent = unchanged_parts(done), len(server.requests)
    figures = {path.name: path.stat().st_mtime_ns for path in (done / "run" / "figures").iterdir()}
    again = compare(run, server, reference, done, *TWO_ARMS, "--no-judge", "--json")
    assert again.code == 0 and len(server.requests) == sent
    assert json.loads(again.out) == json.loads((done / "results.json").read_text(encoding="utf-8"))
    assert before == unchanged_parts(done)
    assert figures == {path.name: path.stat().st_mtime_ns for path in (done / "run" / "figures").iterdir()}


def test_inside_a_running_event_loop_the_results_are_the_same(
    done: Path, server: FakeOpenAI, reference: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    before, sent = read_comparison(done), len(server.requests)
    keys = {"emotions": ["joy", "anger"], "backend.kind": "openai", "backend.model": "fake-1"}
    recipe = parse_recipe("", "test", keys | {"backend.base_url": server.url})
    settings = ComparisonSettings(
        reference=str(reference), rows=16, seeds=2, arms=("none", "situational"), command=before.facts.command
    )
    assert asyncio.run(acompare(recipe, settings, str(done))) == before
    assert len(server.requests) == sent


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_page_of_a_comparison_of_all_arms(run: Run, server: FakeOpenAI, reference: Path, tmp_path: Path) -> None:
    out = tmp_path / "all"
    found = compare(run, server, reference, out)
    assert found.code == 0, found.err
    comparison = read_comparison(out)
    assert [cost.arm for cost in comparison.arms] == list(ARMS) and len(comparison.claims) >= 18
    require_complete(comparison)
    costs = {cost.arm: cost for cost in comparison.arms}
    assert costs["real"].requests == costs["retrieval"].requests == costs["real"].tokens_per_text == 0
    assert costs["situational"].requests > costs["sociocultural"].requests > costs["demographic"].requests
    first = (out / "report.html").read_bytes()
    again = run("report", out)
    assert again.code == 0 and again.out == f"{out / 'report.html'}\n"
    assert (out / "report.html").read_bytes() == first, "the same folder, the same page"
    report = read_comparison_report(out, 0, SILENT)
    (trace,) = [section.chart["data"][0] for section in report.sections() if section.id == "arms" and section.chart]
    number = trace["y"].index("situational")
    (figure,) = (f for f in comparison.figures if (f.arm, f.measure) == ("situational", "vendi_score"))
    assert trace["x"][number] == figure.value
    assert trace["x"][number] + trace["error_x"]["array"][number] == pytest.approx(figure.high)
    with open_page(out / "report.html") as opened:
        page = opened.page
        assert page.locator("#arms .main-svg").count() > 0
        rows = page.locator("#verdicts-section > .scroll tbody tr")
        assert rows.count() == len(comparison.claims) > 0
        assert comparison.claims[0].statement in rows.first.inner_text()
        assert page.locator("#costs-section tbody tr").count() == len(ARMS)
        page.locator("#source").select_option("situational")
        assert page.locator("#count").inner_text() == f"16 of {16 * len(ARMS)} texts"
        page.locator("#rows summary").first.click()
        persona = page.locator("#rows details dl").first.inner_text()
        assert "occupation" in persona and "household" in persona and "event" in persona, "the whole persona"
        page.locator("select[data-chart=arms]").select_option(index=1)
        assert page.evaluate("document.getElementById('arms').data.filter(trace => trace.visible).length") == 1
    assert opened.errors == [] and opened.requests == []


@pytest.mark.slow
def test_some_arms_are_compared_with_the_arms_that_they_use_and_verdicts_go_to_stdout(
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
def test_the_label_check_of_the_recipe_applies_to_every_written_text(
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
            "--rows 6 over 2 seeds gives 3 texts per seed for 2 emotions, wanted two or more of each; raise",
        ),
        (("--rows", "200"), "reference real.jsonl has 2"),
        (("--rows", "20000000000"), "arms with --rows 20000000000 take "),
        (("--arms", "situation"), "unknown arm 'situation', did you mean 'situational'?"),
        (
            ("--depth", "none"),
            "--depth is what arms differ in; name arms with --arms (see `",
        ),
        (("--emotions", "joy,disgust"), "reference real.jsonl has 0 texts of 'disgust' for the arms that take real"),
        (("--reference", "no.such"), "cannot load reference 'no.such'"),
        (("--judge", "embedded", "--no-judge"), "--judge and --no-judge exclude each other"),
        (("--seeds", "0"), "Invalid value for '--seeds': 0 is not in the range 1<=x<=100."),
    ],
)
def test_wrong_settings_are_refused_in_one_line(
    run: Run, server: FakeOpenAI, reference: Path, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    found = compare(run, server, reference, tmp_path / "c", *words)
    assert found.code in (1, 2) and message in found.err and found.out == ""
    assert found.err.count("\n") == 1


def test_a_folder_with_other_files_is_refused_and_left_unchanged(
    run: Run, server: FakeOpenAI, reference: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    found = compare(run, server, reference, tmp_path)
    assert found.code == 1 and "holds something else than a comparison; choose another folder" in found.err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.slow
def test_an_arm_without_an_accepted_text_ends_the_comparison_early(run: Run, reference: Path, tmp_path: Path) -> None:
    with FakeOpenAI(faults=[Fault("refusal", times=None)]) as refusing:
        words = ("--arms", "none", "--rows", "60", "--concurrency", "2")
        found = compare(run, refusing, reference, tmp_path / "c", *words)
        assert len(refusing.requests) < 2 * 30 * 8, "not every attempt of every row was paid for"
    message = "arm none has 0 texts in seed 0, wanted 4 or more of two emotions: the rest was rejected (refusal "
    assert found.code == 1 and message in found.err and "leave the arm out with --arms" in found.err
    assert not (tmp_path / "c" / "results.json").exists()


def test_a_reference_without_labels_is_refused(run: Run, server: FakeOpenAI, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("text\nhello there\n")
    found = compare(run, server, tmp_path / "r.csv", tmp_path / "c")
    assert (
        found.code == 1 and "reference r.csv has no labels, wanted one per text; name another --reference" in found.err
    )


def test_numbers_are_rounded_to_the_digits_on_which_processors_agree() -> None:
    assert rounded({"a": [0.1234567891, 3], "b": (None, "x", 1e-9 / 3)}) == {
        "a": [0.123457, 3], "b": (None, "x", 3.33333e-10),
    }  # fmt: skip


def test_a_comparison_of_another_version_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text('{"format": "personagen-comparison/1"}')
    with pytest.raises(ReleaseError, match=rf"the format 'personagen-comparison/1', wanted {FORMAT}; run `compare`"):
        read_comparison(tmp_path)


def journaled(out: Path) -> int:
    """Count the replies in the journal of a comparison that another process writes."""
    path = out / "run" / "journal.sqlite"
    if not path.exists():
        return 0
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(path)) as journal:
        return int(journal.execute("SELECT count(*) FROM replies").fetchone()[0])
    return 0  # the table does not exist yet


@pytest.mark.slow
def test_a_killed_comparison_continues_from_its_journal(done: Path, reference: Path, tmp_path: Path) -> None:
    out = tmp_path / "c"
    words = ["compare", *SMALL, *ROWS, *TWO_ARMS, "--reference", str(reference), "--out", str(out), *OPENAI]
    env = os.environ | {"OPENAI_API_KEY": "k"}

    def command(url: str) -> list[str]:
        code = f"import sys; sys.argv = {['personagen', *words, url]!r}\n"
        return [sys.executable, "-c", f"{code}from personagen.builder.cli.main import main; main()"]

    with FakeOpenAI(latency=0.05) as server:
        for wanted in (5, 20):
            running = subprocess.Popen(command(server.url), env=env, stderr=subprocess.DEVNULL)
            wait_until(lambda wanted=wanted: journaled(out) >= wanted)  # type: ignore[misc]
            running.send_signal(signal.SIGKILL)
            running.wait()
    kept = journaled(out)
    with FakeOpenAI() as again:
        subprocess.run(command(again.url), env=env, check=True, capture_output=True, timeout=300)
        sent = len(again.requests)
    assert 0 < kept == journaled(out) - sent, "only requests without a journaled reply were sent again"
    ours, theirs = (
        {name: re.sub(rb"127\.0\.0\.1:\d+", b"server", data) for name, data in files.items() if "run/" not in name}
        for files in (bytes_of(out), bytes_of(done))
    )
    assert ours == theirs


def test_every_arm_with_a_recipe_is_written_as_one(run: Run, done: Path, server: FakeOpenAI, tmp_path: Path) -> None:
    """The recipe of an arm makes the texts of its first seed, and that of the best arm is another copy of one."""
    comparison = read_comparison(done)
    assert {path.name for path in (done / "recipes").iterdir()} == {"none.yaml", "situational.yaml"}
    made = run("generate", done / "recipes" / "none.yaml", "--base-url", server.url, "--out", tmp_path / "out")
    assert made.code == 0, made.err
    rows = {row["id"]: row["text"] for emotion in ("joy", "anger") for row in rows_of(tmp_path / "out", emotion)}
    assert rows == {text.id: text.text for text in comparison.texts if (text.arm, text.seed) == ("none", 0)}
    figures = {cost.arm: figures_of(comparison, cost.arm)["tstr_macro_f1"] for cost in comparison.arms}
    failed = {part.arm for part in comparison.treatments if part.outcome == "not delivered"}
    assert comparison.best == max((arm for arm in figures if arm not in failed), key=figures.__getitem__)
    best = (done / "best.yaml").read_text(encoding="utf-8")
    assert best.endswith((done / "recipes" / f"{comparison.best}.yaml").read_text(encoding="utf-8"))
    assert {part.treatment for part in comparison.treatments} <= {"persona"}
    assert f"Best arm: {comparison.best}, by the macro-F1" in (done / "results.md").read_text(encoding="utf-8")
