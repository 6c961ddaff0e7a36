"""`evaluate`: scores in the release, its card and its manifest; errors and interrupted calls.

The vectors of all texts are cached first, so that only a slow test needs the encoder.
"""

import asyncio
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from personagen.builder.core.errors import ReleaseError
from personagen.builder.core.progress import RunStatus
from personagen.builder.evaluation.evaluate import EvaluationSettings, aevaluate, evaluate
from personagen.builder.hub.verify import verify_folder
from personagen.builder.release import measuring
from personagen.metrics.persona.words import ENGLISH_ONLY
from personagen.metrics.texts.embeddings import DEFAULT_MODEL
from tests.helpers.command import Outcome, Run, run_captured, run_here
from tests.helpers.pushing import Pusher, held, served
from tests.helpers.real_texts import as_reference, known_vectors, real
from tests.helpers.releasing import EMOTIONS, make_release, manifest_of, records, rewrite
from tests.helpers.servers.fake_judge import FakeJudge
from tests.helpers.servers.fake_openai import FakeOpenAI
from tests.helpers.servers.hub.server import Hub

REFERENCE = real(150)

SMALL = ("--no-judge", "--sample-size", "12")
"""Options of a fast evaluation: too few texts to train a classifier."""


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with FakeOpenAI() as server:
        return make_release(tmp_path_factory.mktemp("evaluate") / "small", server.url, "rows: 70\nintensities: [low]")


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write real texts without labels, so that utility is not measured, the slowest metric."""
    path = tmp_path_factory.mktemp("reference") / "real.jsonl"
    path.write_text("\n".join(json.dumps({"text": text}) for text in REFERENCE.texts))
    return path


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return as_reference(tmp_path_factory.mktemp("labelled") / "real.jsonl", REFERENCE)


@pytest.fixture(scope="module")
def cache(release: Path, german_release: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Cache vectors for all texts under the name of the default model."""
    folders = (release, german_release)
    texts = [row["text"] for folder in folders for emotion in EMOTIONS for row in records(folder, emotion)]
    texts += REFERENCE.texts
    with known_vectors(tmp_path_factory.mktemp("cache"), texts) as folder:
        yield folder


@pytest.fixture
def copy(release: Path, cache: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(release, tmp_path / "small"))


@pytest.fixture(scope="module")
def german_release(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The release with German texts: they are not compared with the bundled slices, which takes most of the time."""
    return rewrite(release, tmp_path_factory.mktemp("german") / "small", "", in_german)


@pytest.fixture
def german(german_release: Path, cache: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(german_release, tmp_path / "small"))


@pytest.fixture(scope="module")
def german_measured(
    german_release: Path, cache: Path, reference: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = Path(shutil.copytree(german_release, tmp_path_factory.mktemp("german measured") / "small"))
    assert run_captured("evaluate", folder, "--reference", reference, *SMALL).code == 0
    return folder


@pytest.fixture(scope="module")
def measured(
    release: Path, cache: Path, reference: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Outcome]:
    """A copy of the release, evaluated with the options `SMALL`, and the output of the command; read only."""
    folder = Path(shutil.copytree(release, tmp_path_factory.mktemp("measured") / "small"))
    return folder, run_captured("evaluate", folder, "--reference", reference, *SMALL)


@pytest.fixture
def german_measured_copy(german_measured: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(german_measured, tmp_path / "small"))


@pytest.fixture
def measured_copy(measured: tuple[Path, Outcome], tmp_path: Path) -> Path:
    return Path(shutil.copytree(measured[0], tmp_path / "small"))


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory
) -> Run:
    return run_here(monkeypatch, capsys, tmp_path_factory)


def in_german(table: pa.Table) -> pa.Table:
    if "text" not in table.column_names:
        return table
    texts = [
        f"Heute war ein langer Tag im Büro, und ich habe den Brief {id_} geschrieben."
        for id_ in table["id"].to_pylist()
    ]
    return table.set_column(table.column_names.index("text"), "text", pa.array(texts))


def scores_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    return found


def test_scores_are_added_to_the_release_its_card_and_its_manifest(run: Run, copy: Path, labelled: Path) -> None:
    card = (copy / "README.md").read_text(encoding="utf-8")
    done = run("evaluate", copy, "--reference", labelled, "--no-judge")
    assert done.code == 0, done.err
    assert done.err.splitlines()[:2] == ["measuring 70 texts against 150 of real.jsonl", "computing diversity"]
    assert "vendi_score" in done.out and "c2st_auc" in done.out and "tstr_macro_f1" in done.out
    found = scores_of(copy)
    assert found["format"] == "personagen-scores/1" and found["problems"] == {}
    assert found["command"] == "personagen evaluate personagen --reference real.jsonl --seed 0"
    assert set(found["results"]) == {"diversity", "realism", "utility"} and found["reference"]["texts"] == 150
    assert found["texts"] == manifest_of(copy)["configs"]["all"]["digest"]
    assert found["results"]["diversity"]["embedding_model"] == DEFAULT_MODEL
    measured = (copy / "README.md").read_text(encoding="utf-8")
    assert "diversity: vendi" not in card and "diversity: vendi" in measured and found["command"] in measured
    assert str(copy.parent) not in measured + json.dumps(found), "no path of this machine"
    assert not verify_folder(copy).problems


def test_texts_that_teach_less_than_plain_sentences_say_so_first(measured: tuple[Path, Outcome]) -> None:
    """The sentences of the fake server have nothing to do with their labels."""
    copy, done = measured
    slices = scores_of(copy)["slices"]
    assert set(slices) == {"real.jsonl", "comments", "dialogue", "reports"} and "problem" in slices["real.jsonl"]
    below = []
    for name in ("comments", "dialogue", "reports"):
        for kind, prefix in (("embeddings", ""), ("TF-IDF", "tfidf_")):
            value, floor, other = (slices[name][f"{prefix}{key}_macro_f1"] for key in ("tstr", "floor", "trtr"))
            more = f"{kind}; {slices[name]['n_train']} real texts: {other:.3f}"
            if slices[name][f"{prefix}tstr_floor_gap_ci"][1] < 0:
                below.append(f"{name} {value:.3f} against {floor:.3f} ({more})")
    assert len(below) > 2 and manifest_of(copy)["below_floor"] == below
    first = done.out.splitlines()[0]
    assert first == f"These texts teach a classifier less than three plain sentences per label: {'; '.join(below)}"
    body = (copy / "README.md").read_text(encoding="utf-8").partition("# personagen\n\n")[2]
    assert body.startswith(
        "**These texts teach a classifier of real text less than three plain sentences per label do.**"
    )
    assert all(phrase in body.partition("\n\n")[0] for phrase in below) and not verify_folder(copy).problems


def test_texts_in_another_language_are_not_compared_with_english_and_an_earlier_verdict_is_taken_back(
    release: Path, cache: Path, reference: Path, tmp_path: Path
) -> None:
    below = ["comments 0.1 against 0.2 (TF-IDF)"]
    folder = rewrite(release, tmp_path / "small", "", in_german, below_floor=below)
    assert "comments 0.1 against 0.2" in (folder / "README.md").read_text(encoding="utf-8")
    scores = evaluate(folder, EvaluationSettings(reference=str(reference), sample_size=12))
    assert {score.reason for score in scores.slices if score.corpus != "real.jsonl"} == {
        "the texts are mostly not in English, and this corpus is"
    }
    assert "below_floor" not in manifest_of(folder) and not verify_folder(folder).problems
    assert "less than three plain sentences" not in (folder / "README.md").read_text(encoding="utf-8")


def test_a_second_evaluation_writes_the_same_bytes(run: Run, measured_copy: Path, reference: Path) -> None:
    first = held(measured_copy)
    assert run("evaluate", measured_copy, "--reference", reference, *SMALL).code == 0
    assert held(measured_copy) == first


def test_json_prints_the_content_of_the_file(run: Run, german: Path, reference: Path) -> None:
    done = run("evaluate", german, "--reference", reference, *SMALL, "--json", "--seed", "3")
    found = json.loads(done.out)
    assert found == scores_of(german) and found["command"].endswith("--seed 3 --sample-size 12")
    assert found["results"]["diversity"]["sample_size"] == 12


class Recorder:
    """Progress that records steps and warnings."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.warnings: list[str] = []

    def update(self, status: RunStatus) -> None:
        raise AssertionError("an evaluation generates nothing")

    def step(self, name: str) -> None:
        self.steps.append(name)

    def advance(self, done: int, total: int) -> None:
        pass

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def test_a_python_call_returns_the_scores_that_it_saves(german: Path, reference: Path) -> None:
    settings = EvaluationSettings(reference=str(reference), sample_size=12)
    recorder = Recorder()
    scores = evaluate(str(german), settings, progress=recorder)
    assert scores.content == scores_of(german) and scores.content["command"] is None
    score = scores.diversity.vendi_score
    assert score.value == scores.content["results"]["diversity"]["vendi_score"] and score.n == 12
    assert scores.utility.tstr_macro_f1.value is None and "labels" in str(scores.utility.tstr_macro_f1.reason)
    assert recorder.steps == [
        "measuring 70 texts against 150 of real.jsonl", "computing diversity", "computing realism",
        "computing utility", "comparing with plain sentences and real texts", "looking for the personas in their texts",
        "writing scores.json and the card",
    ]  # fmt: skip
    assert {trace.words_reason for trace in scores.personas} == {ENGLISH_ONLY}
    assert [trace.shown for trace in scores.personas] == [None] * len(scores.personas) and len(scores.personas) > 9
    assert not verify_folder(german).problems
    saved = held(german)
    assert asyncio.run(aevaluate(german, settings)) == scores and held(german) == saved


def test_warnings_of_metrics_are_reported_once(copy: Path, tmp_path: Path) -> None:
    recorder = Recorder()
    texts = [row["text"] for name in EMOTIONS for row in records(copy, name)]
    path = tmp_path / "own.jsonl"
    path.write_text("\n".join(json.dumps({"text": text}) for text in texts))
    evaluate(copy, EvaluationSettings(reference=str(path), sample_size=12), progress=recorder)
    assert recorder.warnings == ["70 of 70 texts are in the references too: the figures show memory, not likeness"]


def test_a_judge_over_http(run: Run, german: Path, reference: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-judge")
    with FakeJudge(lambda text: 4.0 if text in REFERENCE.texts else 2.0) as server:
        arguments = (
            "evaluate",
            german,
            "--reference",
            reference,
            "--judge",
            "openai:judge-1",
            "--judge-url",
            server.url,
        )
        done = run(*arguments, "--sample-size", "12")
        asked = len(server.requests)
        assert run(*arguments, "--sample-size", "12").code == 0 and len(server.requests) == asked
    found = scores_of(german)["results"]["human_likeness"]
    assert done.code == 0 and found["human_likeness"] == pytest.approx(2) and found["human_likeness_real"] > 3.5
    assert found["persona_fit"] == pytest.approx(2), "the judge sees the personas of the release"
    assert "not validated: one judge alone" in done.out
    assert "sk-judge" not in done.out + done.err + json.dumps(scores_of(german))
    assert "| 2; not validated |  | real: 4 |" in (german / "README.md").read_text(encoding="utf-8")


def test_all_other_metrics_are_saved_if_a_judge_cannot_be_reached(run: Run, german: Path, labelled: Path) -> None:
    with FakeJudge(lambda text: 3.0, status=401) as server:
        done = run(
            "evaluate", german, "--reference", labelled, "--judge", "openai:j", "--judge-url", server.url, *SMALL[1:]
        )
    assert done.code == 1 and "refused the key (401)" in done.err.splitlines()[-1]
    assert done.err.splitlines()[-1].endswith(f"all else was measured, see {german / 'scores.json'}")
    assert set(scores_of(german)["results"]) == {"diversity", "realism", "utility"}
    assert "401" in scores_of(german)["problems"]["human_likeness"] and not verify_folder(german).problems


def test_no_judge_is_asked_unless_named(run: Run, german: Path, reference: Path) -> None:
    done = run("evaluate", german, "--reference", reference, *SMALL[1:])
    assert done.code == 0 and "human_likeness" not in scores_of(german)["results"] | scores_of(german)["problems"]


def test_a_missing_package_is_reported_before_anything_is_read(
    run: Run, copy: Path, reference: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "find_spec", lambda name: None)
    done = run("evaluate", copy, "--reference", reference)
    wanted = "cannot measure without numpy, scipy, sklearn, rapidfuzz, sentence_transformers"
    assert done.code == 1 and done.err == f"personagen: {wanted}; run: pip install 'personagen[metrics]'\n"


def test_a_token_bound_ends_judging(run: Run, german: Path, reference: Path) -> None:
    with FakeJudge(lambda text: 3.0) as server:
        arguments = ("evaluate", german, "--reference", reference, "--judge", "openai:b", "--judge-url", server.url)
        done = run(*arguments, "--judge-max-tokens", "500", *SMALL[1:])
    assert done.code == 1 and "raise --judge-max-tokens and run" in done.err and len(server.requests) <= 5


def test_a_corpus_without_labels_is_measured_without_utility(measured: tuple[Path, Outcome]) -> None:
    copy, done = measured
    assert done.code == 0 and "utility: not measured: labels or reference_labels are missing" in done.out
    assert list(scores_of(copy)["problems"]) == ["utility"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--reference", "nowhere"), r"cannot load reference 'nowhere' \(.*\); wanted goemotions, xed, brighter, a .*"),
        (("--judge", "gpt"), r"judge is 'gpt', wanted embedded, openai:MODEL or transformers:MODEL"),
        (("--sample-size", "0"), r".*sample-size.*"),
        (("--seed", "-1"), r".*seed.*"),
        (("--embeddings", "no such"), r"embeddings is 'no such', and no such model can be loaded .*"),
        (("--no-judge", "--judge", "embedded"), r"--judge and --no-judge exclude each other .*"),
    ],
)
def test_wrong_options_are_refused_in_one_line(
    arguments: tuple[str, ...], message: str, run: Run, copy: Path, reference: Path
) -> None:
    before = held(copy)
    given = () if "--reference" in arguments else ("--reference", str(reference))
    done = run("evaluate", copy, *given, *arguments)
    assert done.code != 0 and done.out == ""
    last = done.err.splitlines()[-1]
    assert re.match(f"personagen: {message}", last), last
    assert "Traceback" not in done.err and held(copy) == before


def test_other_folders_and_altered_releases_are_refused(run: Run, copy: Path, reference: Path, tmp_path: Path) -> None:
    done = run("evaluate", tmp_path, "--reference", reference, *SMALL)
    assert done.code == 1 and "no release in" in done.err
    with next(copy.glob("joy/train-*")).open("ab") as file:
        file.write(b"x")
    done = run("evaluate", copy, "--reference", reference, *SMALL)
    assert done.code == 1 and "was altered" in done.err and not (copy / "scores.json").exists()


def test_altered_scores_are_detected_and_replaced(run: Run, german_measured_copy: Path, reference: Path) -> None:
    good = held(german_measured_copy)
    (german_measured_copy / "scores.json").write_text("{}")
    with pytest.raises(ReleaseError, match=r"scores\.json was altered: .* measure it again$"):
        verify_folder(german_measured_copy)
    assert (
        run("evaluate", german_measured_copy, "--reference", reference, *SMALL).code == 0
        and held(german_measured_copy) == good
    )


def test_the_same_command_completes_an_interrupted_evaluation(
    run: Run, german_release: Path, german_measured_copy: Path, reference: Path
) -> None:
    """The manifest is written last: until then it does not list the scores, and the release loads as before."""
    good = held(german_measured_copy)
    shutil.copy(german_release / "manifest.json", german_measured_copy)
    assert (
        run("evaluate", german_measured_copy, "--reference", reference, *SMALL).code == 0
        and held(german_measured_copy) == good
    )


def test_an_unwritable_folder_is_an_error(run: Run, copy: Path, reference: Path) -> None:
    (copy / "scores.json.part").mkdir()
    done = run("evaluate", copy, "--reference", reference, *SMALL)
    assert done.code == 1 and done.err.splitlines()[-1].startswith(f"personagen: cannot write {copy / 'scores.json'}: ")


@pytest.mark.slow
def test_scores_are_published_and_verified(measured_copy: Path, tmp_path: Path) -> None:
    with Hub(tokens={"hf_write": "write"}) as hub, Pusher(hub, tmp_path / "home") as pusher:
        pusher.push(measured_copy, "user/personagen", tag="v1.0.0")
        assert served(hub, "user/personagen") == held(measured_copy)
        assert not pusher.verify("user/personagen")["problems"]
        text = pusher.ask("load", repo="user/personagen", config="joy")
        assert len(text) > 0


@pytest.mark.slow
@pytest.mark.timeout(900)  # it may be the one that encodes
@pytest.mark.usefixtures("encoded_corpora")
def test_with_the_real_encoder(run: Run, release: Path, labelled: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(release, tmp_path / "small"))
    done = run("evaluate", folder, "--reference", labelled, "--no-judge")
    assert done.code == 0, done.err
    found = scores_of(folder)["results"]
    assert found["realism"]["c2st_auc"] > 0.9, "sentences of a generator without any model are told from comments"
    assert found["realism"]["c2st_auc_null"] == pytest.approx(0.5, abs=0.1)
    assert found["utility"]["tstr_macro_f1"] < found["utility"]["trtr_macro_f1"] + 0.1
