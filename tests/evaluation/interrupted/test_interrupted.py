"""Interrupted evaluations keep the metrics that have ended."""

import asyncio
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event
from threading import enumerate as enumerate_threads
from typing import Any

import pytest

from personagen.builder.core.progress import RunStatus
from personagen.builder.evaluation.evaluate import EvaluationSettings, aevaluate, evaluate
from personagen.builder.hub.verify import verify_folder
from tests.helpers.real_texts import known_vectors, real
from tests.helpers.releasing import make_release, manifest_of, records
from tests.helpers.servers.fake_judge import FakeJudge
from tests.helpers.servers.fake_openai import FakeOpenAI

REFERENCE = real(150)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with FakeOpenAI() as server:
        return make_release(
            tmp_path_factory.mktemp("interrupted") / "small", server.url, "rows: 70\nintensities: [low]"
        )


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write real texts without labels, so that utility is not measured, the slowest metric."""
    path = tmp_path_factory.mktemp("reference") / "real.jsonl"
    path.write_text("\n".join(json.dumps({"text": text}) for text in REFERENCE.texts))
    return path


@pytest.fixture(scope="module")
def cache(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Cache vectors for all texts under the name of the default model."""
    texts = [*(row["text"] for split in manifest_of(release)["configs"]["all"]["rows"]
               for row in records(release, "all", split)), *REFERENCE.texts]  # fmt: skip
    with known_vectors(tmp_path_factory.mktemp("cache"), texts) as folder:
        yield folder


@pytest.fixture
def copy(release: Path, cache: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(release, tmp_path / "small"))


def scores_of(folder: Path) -> dict[str, Any]:
    scores: dict[str, Any] = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    return scores


class SilentSteps:
    """Progress without a display."""

    def update(self, status: RunStatus) -> None:
        raise AssertionError("an evaluation generates nothing")

    def step(self, name: str) -> None:
        pass

    def advance(self, done: int, total: int) -> None:
        pass

    def warn(self, message: str) -> None:
        pass


def test_a_cancelled_evaluation_keeps_the_finished_metrics(copy: Path, reference: Path) -> None:
    async def caller() -> None:
        reached = asyncio.Event()
        loop = asyncio.get_running_loop()

        class Stopping(SilentSteps):
            def step(self, name: str) -> None:
                if name == "computing utility":
                    loop.call_soon_threadsafe(reached.set)
                    ended.wait()

        ended = Event()
        call = asyncio.create_task(
            aevaluate(copy, EvaluationSettings(reference=str(reference), sample_size=12), progress=Stopping())
        )
        await reached.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        ended.set()
        for thread in enumerate_threads():
            if thread.name.startswith("personagen-"):
                await asyncio.to_thread(thread.join)

    asyncio.run(caller())
    assert set(scores_of(copy)["results"]) == {"diversity", "realism"}
    assert not verify_folder(copy).problems


def test_ctrl_c_keeps_the_finished_metrics_and_a_second_call_measures_the_rest(copy: Path, reference: Path) -> None:
    """A real SIGINT, sent while the second metric is computed."""
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # the parent may ignore it
    code += "from personagen.builder.cli.main import main; main()"
    arguments = ("evaluate", str(copy), "--reference", str(reference), "--sample-size", "12")
    with subprocess.Popen([sys.executable, "-c", code, *arguments], stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        for line in child.stderr:
            if line == "computing utility\n":
                child.send_signal(signal.SIGINT)
    assert child.returncode == 130
    kept = scores_of(copy)
    assert {"diversity"} <= set(kept["results"]) < {"diversity", "realism", "utility"}
    assert set(kept["problems"]) == {"realism", "utility"} - set(kept["results"])
    assert kept["problems"]["utility"] == "the evaluation was interrupted before it"
    assert not verify_folder(copy).problems
    card = (copy / "README.md").read_text(encoding="utf-8")
    assert "diversity: vendi" in card and "the evaluation was interrupted before it" in card
    scores = evaluate(copy, EvaluationSettings(str(reference), sample_size=12))
    assert scores.content["results"]["diversity"] == kept["results"]["diversity"]
    assert set(scores.content["results"]) == {"diversity", "realism"}
    assert scores.content["problems"]["utility"].startswith("labels or reference_labels are missing")


@pytest.mark.slow
def test_metrics_without_a_judge_are_kept_when_judging_is_interrupted(copy: Path, reference: Path) -> None:
    class Stopping(SilentSteps):
        def step(self, name: str) -> None:
            if name == "writing scores.json and the card":
                raise KeyboardInterrupt

    with FakeJudge(lambda text: 3.0) as server:
        judge = {"judges": ("openai:interrupted",), "judge_url": server.url}
        settings = EvaluationSettings(str(reference), sample_size=12, **judge)
        with pytest.raises(KeyboardInterrupt):
            evaluate(copy, settings, progress=Stopping(), api_key="k")
    kept = scores_of(copy)
    assert set(kept["results"]) == {"diversity", "realism"}
    assert kept["problems"]["human_likeness"] == "the evaluation was interrupted before it"
    assert set(kept["slices"]) >= {"comments", "dialogue", "reports"}


@pytest.mark.parametrize("same", [True, False])
def test_an_interrupted_second_evaluation_loses_nothing_of_the_first(same: bool, copy: Path, reference: Path) -> None:
    """By the same command it goes on with the figures at hand; by another one the first stays until it is complete."""
    settings = EvaluationSettings(reference=str(reference), sample_size=12, command="personagen evaluate")
    evaluate(copy, settings)
    first = scores_of(copy)
    assert set(first["results"]) >= {"diversity", "realism"}

    class Stopping(SilentSteps):
        def step(self, name: str) -> None:
            if name == "computing utility":
                raise KeyboardInterrupt

    again = settings if same else replace(settings, seed=1, command="personagen evaluate --seed 1")
    with pytest.raises(KeyboardInterrupt):
        evaluate(copy, again, progress=Stopping())
    assert scores_of(copy)["results"] == first["results"] and verify_folder(copy).problems == ()
