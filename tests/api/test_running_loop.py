"""Every public verb inside a running event loop, as in a notebook, and the asynchronous variants beside other work."""

import asyncio
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import personagen as pg
from tests.helpers.flow import journalled_texts
from tests.helpers.real_texts import as_reference, known_vectors, real
from tests.helpers.releasing import EMOTIONS, records
from tests.helpers.servers.fake_judge import FakeJudge
from tests.helpers.servers.fake_openai import FakeOpenAI, Fault

REAL, LABELLED = real(150), real(400)
SMALL: dict[str, Any] = {"rows": 14, "depth": "none", "expression": "shown", "text": {"language": None}}


def save_encoder(folder: Path, texts: Sequence[str]) -> None:
    """Save an encoder of random vectors per word: quick to load, and no figure is looked at."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, pre_tokenizers

    torch.manual_seed(0)
    words = sorted({word for text in texts for word in text.split()} - {"?"})
    tokenizer = Tokenizer(models.WordLevel({word: row for row, word in enumerate(["?", *words])}, "?"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=16)]).save(str(folder))


@dataclass(frozen=True)
class Notebook:
    """What a cell works with.

    Attributes:
        url: a model.
        judge: a model that rates texts.
        release: a folder whose texts, and those of the references, have vectors in the cache.
        reference: real texts without labels, so that no classifier is trained.
        labelled: real texts with labels.

    """

    url: str
    judge: str
    release: Path
    reference: Path
    labelled: Path


@pytest.fixture(scope="module")
def vectors(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    texts = [row["text"] for emotion in EMOTIONS for row in records(release, emotion)]
    with known_vectors(tmp_path_factory.mktemp("cache"), [*texts, *REAL.texts, *LABELLED.texts]):
        yield


@pytest.fixture(scope="module")
def judge() -> Iterator[FakeJudge]:
    with FakeJudge(lambda text: 4.0 if text in REAL.texts else 2.0) as server:
        yield server


@pytest.fixture
def notebook(
    model: FakeOpenAI,
    judge: FakeJudge,
    release: Path,
    vectors: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Notebook:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    copy = Path(shutil.copytree(release, tmp_path / "personagen"))
    plain = tmp_path / "real.jsonl"
    plain.write_text("\n".join(json.dumps({"text": text}) for text in REAL.texts), encoding="utf-8")
    return Notebook(model.url, judge.url, copy, plain, as_reference(tmp_path / "labelled.jsonl", LABELLED))


def generate(at: Notebook) -> object:
    return pg.generate(**SMALL, model="openai:fake-1", base_url=at.url, out="out", progress=False)


def preview(at: Notebook) -> object:
    return pg.preview(**SMALL, model="openai:fake-1", base_url=at.url, number=2)


def estimate(at: Notebook) -> object:
    return pg.estimate(rows=700, model="openai:fake-1")


def load(at: Notebook) -> object:
    return pg.load(at.release, split="test")


def evaluate(at: Notebook) -> object:
    return pg.evaluate(
        at.release,
        reference=at.reference,
        judges="openai:judge-1",
        judge_url=at.judge,
        sample_size=12,
        progress=False,
    )


def audit(at: Notebook) -> object:
    return pg.audit(at.release, reference=at.labelled, progress=False)


def compare(at: Notebook) -> object:
    arms: dict[str, Any] = {"arms": ["none", "situational"], "rows": 16, "seeds": 2, "emotions": ["joy", "anger"]}
    model: dict[str, Any] = {"model": "openai:fake-1", "base_url": at.url}
    save_encoder(Path("encoder"), LABELLED.texts)
    return pg.compare(reference=at.labelled, embeddings="encoder", out="cmp", progress=False, **arms, **model)


def match(at: Notebook) -> object:
    save_encoder(Path("encoder"), LABELLED.texts)
    return pg.match(at.labelled, **_matching(at))


def _matching(at: Notebook) -> dict[str, Any]:
    model: dict[str, Any] = {"model": "openai:fake-1", "base_url": at.url, "emotions": ["joy", "anger"]}
    return {**model, "rows": 14, "embeddings": "encoder", "out": "matched", "progress": False}


def report(at: Notebook) -> object:
    return pg.Release(at.release).report(reference=at.labelled, progress=False)


def verify(at: Notebook) -> object:
    return pg.Release(at.release).verify()


VERBS: dict[Callable[[Notebook], object], str] = {
    generate: "<Release 'out': 14 texts of 7 emotions by fake-1",
    preview: "<Preview: 2 texts (anger, disgust)>",
    estimate: "<Estimate: 700 texts, ",
    load: "num_rows: 7",
    evaluate: "<Scores against real.jsonl: diversity, realism, human_likeness>",
    audit: "<Audit",
    compare: "<Comparison of 2 arms: ",
    match: "<Match: ",
    report: "personagen.report.html",
    verify: "problems=()",
}
"""Verb: part of what a cell shows of its result."""


@pytest.mark.parametrize(("verb", "shown"), VERBS.items(), ids=lambda value: getattr(value, "__name__", "-"))
def test_a_verb_works_inside_a_running_loop(verb: Callable[[Notebook], object], shown: str, notebook: Notebook) -> None:
    async def cell() -> object:
        return verb(notebook)

    assert shown in repr(asyncio.run(cell()))


def test_evaluation_runs_beside_other_work(notebook: Notebook) -> None:
    async def cell() -> tuple[object, int]:
        ticks = 0
        task = asyncio.create_task(pg.aevaluate(notebook.release, reference=notebook.reference, progress=False))
        while not task.done():
            ticks += 1
            await asyncio.sleep(0.01)
        return await task, ticks

    scores, ticks = asyncio.run(cell())
    assert repr(scores) == "<Scores against real.jsonl: diversity, realism>"
    assert ticks > 1


def test_a_match_runs_beside_other_work_and_its_recipe_generates(notebook: Notebook) -> None:
    async def cell() -> tuple[Any, int]:
        ticks = 0
        task = asyncio.create_task(pg.amatch(notebook.labelled, **_matching(notebook)))
        while not task.done():
            ticks += 1
            await asyncio.sleep(0.01)
        return await task, ticks

    save_encoder(Path("encoder"), LABELLED.texts)
    result, ticks = asyncio.run(cell())
    assert ticks > 1 and result.facts.command.startswith("personagen.match('labelled.jsonl', rows=14")
    assert {one.training for one in result.yardsticks} >= {"synthetic", "real 50", "retrieval"}
    assert [*result.to_pandas()["training"]] == [one.training for one in result.yardsticks]
    assert "<table" in result._repr_html_() and "personagen match" not in result.recipe.read_text(encoding="utf-8")
    assert result == pg.match(notebook.labelled, **_matching(notebook))  # from the journal
    assert pg.estimate(result.recipe).texts == 14


def test_the_release_keeps_the_scores_and_the_call_that_measured_them(notebook: Notebook) -> None:
    release = pg.Release(notebook.release)
    assert release.scores is None
    scores = release.evaluate(reference=notebook.reference, sample_size=12, seed=3, progress=False)
    call = "personagen.evaluate('personagen', reference='real.jsonl', seed=3, sample_size=12)"
    assert scores.content["command"] == call
    for opened in (release, pg.Release(notebook.release)):
        assert opened.scores is not None
        assert opened.scores.realism.c2st_auc == scores.realism.c2st_auc
    assert release.verify().problems == ()


def test_the_release_keeps_the_audit(notebook: Notebook) -> None:
    release = pg.Release(notebook.release)
    results = release.audit(reference=notebook.labelled, progress=False)
    assert results.command == "personagen.audit('personagen', reference='labelled.jsonl', seed=0)"
    assert {"gender", "age"} <= set(results.associations.to_pandas()["attribute"])
    assert release.verify().problems == ()
    assert "personagen.audit(" in (notebook.release / "README.md").read_text(encoding="utf-8")


def test_a_wrong_keyword_of_evaluate_is_refused_before_anything(notebook: Notebook) -> None:
    with pytest.raises(
        TypeError, match=r"evaluate\(\) got an unexpected keyword argument 'referenc', did you mean 'reference'\?"
    ):
        pg.evaluate(notebook.release, referenc="goemotions")  # type: ignore[call-arg]  # what is tested


def test_a_cancelled_coroutine_keeps_every_answered_reply(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    held = [Fault("delay", nth=number, seconds=600) for number in range(6, 100)]

    async def cell(url: str, journaled: Callable[[], bool]) -> None:
        work = pg.agenerate(**SMALL, model="openai:fake-1", base_url=url, out="out", progress=False)
        task = asyncio.create_task(work)
        while not journaled():
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    def replies() -> int:
        return len(journalled_texts(tmp_path / "out", tmp_path))

    with FakeOpenAI(faults=held) as server:
        asyncio.run(cell(server.url, lambda: replies() == 5))
    assert replies() == 5
    with FakeOpenAI() as server:
        release = pg.generate(**SMALL, model="openai:fake-1", base_url=server.url, out="out", progress=False)
        assert (len(release), len(server.requests)) == (14, 14 - 5)
