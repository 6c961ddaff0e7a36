"""Whole runs against a behaviour: texts by plain calls and by batches, and ratings of a judge.

    python -m tests.helpers.servers.odd_runs NAME [openai|batch|judge]

prints what came of one run as a line of JSON.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

import personagen as pg
from personagen.builder.core.errors import PersonaGenError
from personagen.builder.evaluation.judges import connect_judge
from personagen.builder.planning.recipe.parsing import read_recipe
from personagen.metrics.human_likeness.dimensions import DIMENSIONS
from personagen.metrics.human_likeness.judge import question, rate
from tests.helpers.batch_runs import make_by_batches
from tests.helpers.servers.behaviours.records import Behaviour
from tests.helpers.servers.behaviours.table import behaviour_named
from tests.helpers.servers.fake_batches import FakeBatches
from tests.helpers.servers.odd_server import OddServer, ServerTally, rating_of

KEY = "sk-test-0123456789abcdef"
"""Key of every run; it must reach no file and no message."""

RATED = [f"The clerk counted {count} boxes in the cellar and carried them to the harbour." for count in range(11, 18)]
"""Texts that a judge rates."""


@dataclass(frozen=True, slots=True)
class OddRun:
    """What came of a run.

    Attributes:
        rows: rows written, or texts rated.
        unusable: texts of the rows, prose of their layers included, that the server did not write as such; ratings
            that it did not give.
        calls: calls that the server received.
        wasted: calls that were refused, failed, or paid for without a usable text.
        paid: calls that were paid for.
        message: the one line of the error; "": none.
        has_key: whether the key stands in the message or in a file of the run.
        estimated: whether the manifest calls its usage an estimate; None: there is no manifest.

    """

    rows: int
    unusable: tuple[str, ...]
    calls: int
    wasted: int
    paid: int
    message: str
    has_key: bool = False
    estimated: bool | None = None


def run_openai(behaviour: Behaviour, folder: Path) -> OddRun:
    """Generate a release by plain calls, through the Python API."""
    recipe = _write_recipe(behaviour, folder)
    with OddServer(behaviour) as server:
        before = os.environ.get("OPENAI_API_KEY")
        os.environ["OPENAI_API_KEY"] = KEY
        try:
            options: dict[str, Any] = {"model": "openai:m", "base_url": server.base_url, "rows": behaviour.rows}
            pg.generate(recipe, out=folder / "out", progress=False, **options)
            message = ""
        except PersonaGenError as error:
            message = str(error)
        finally:
            if before is None:
                del os.environ["OPENAI_API_KEY"]
            else:
                os.environ["OPENAI_API_KEY"] = before
    return _result(server.tally, folder, message)


def run_batch(behaviour: Behaviour, folder: Path) -> OddRun:
    """Generate a release by batches whose lines are answered as the behaviour answers calls."""
    recipe = _write_recipe(behaviour, folder)
    tally = ServerTally(behaviour)

    def answer(body: Any) -> tuple[int, Any]:
        given = tally.answer(body)
        return given.status, given.body

    with FakeBatches(answer=answer, polls=0) as server:
        changes = {
            "backend.kind": "batch",
            "backend.model": "m",
            "backend.base_url": server.url,
            "rows": behaviour.rows,
        }
        try:
            make_by_batches(read_recipe(recipe, changes), folder / "out")
            message = ""
        except PersonaGenError as error:
            message = str(error)
    return _result(tally, folder, message)


def run_judge(behaviour: Behaviour, folder: Path) -> OddRun:
    """Rate seven texts by a judge."""
    questions = [question(text, DIMENSIONS[0], seed) for seed, text in enumerate(RATED)]
    ratings: list[float | None] = []
    with OddServer(behaviour, judge=True) as server:
        judge = connect_judge("openai:m", base_url=server.base_url, api_key=KEY, folder=folder / "judge")
        try:
            answers = judge(questions)
            ratings = [rate(answer).score if answer.problem is None else None for answer in answers]
            message = next((answer.problem for answer in answers if answer.problem), "")
        except PersonaGenError as error:
            message = str(error)
    rated = [(text, score) for text, score in zip(RATED, ratings, strict=False) if score is not None]
    wrong = tuple(f"{score} for {text}" for text, score in rated if score != rating_of(text))
    tally = server.tally
    return OddRun(len(rated), wrong, len(tally.calls), tally.wasted, tally.paid, message, _has_key(folder, message))


def _write_recipe(behaviour: Behaviour, folder: Path) -> Path:
    path = folder / "recipe.yaml"
    keys = {"expression": "shown"} | (yaml.safe_load(behaviour.recipe) or {})  # no behaviour follows a style
    path.write_text(yaml.safe_dump(keys), encoding="utf-8")
    return path


def _result(tally: ServerTally, folder: Path, message: str) -> OddRun:
    rows = _rows(folder / "out")
    texts = [text for row in rows for text in _written_texts(row)]
    return OddRun(
        rows=len(rows),
        unusable=tuple(tally.unusable(texts)),
        calls=len(tally.calls),
        wasted=tally.wasted,
        paid=tally.paid,
        message=message,
        has_key=_has_key(folder, message),
        estimated=_is_estimated(folder / "out"),
    )


def _rows(out: Path) -> list[dict[str, Any]]:
    """Read the rows of the configuration of each emotion."""
    if not (out / "manifest.json").exists():
        return []
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    emotions = {emotion["name"] for emotion in manifest["taxonomy"]["emotions"]}
    paths = [out / shard["path"] for shard in manifest["shards"] if shard["path"].split("/")[0] in emotions]
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


def _is_estimated(out: Path) -> bool | None:
    path = out / "manifest.json"
    return "estimated" in json.loads(path.read_text(encoding="utf-8"))["usage"] if path.exists() else None


def _written_texts(row: dict[str, Any]) -> list[str]:
    """Return what the model wrote of a row: its text, and the prose of its layers."""
    layers = [row.get(layer) or {} for layer in ("demographic", "sociocultural", "situational")]
    prose = [layer["prose"] for layer in layers if layer.get("prose")]
    return [row["text"], *prose]


def _has_key(folder: Path, message: str) -> bool:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return KEY in message or any(KEY.encode() in path.read_bytes() for path in files)


RUNNERS = {"openai": run_openai, "batch": run_batch, "judge": run_judge}
"""Runs by backend."""


def defects(behaviour: Behaviour, run: OddRun, *, rows: int | None = None, batch: bool = False) -> list[str]:
    """List what a run did worse than a careful client.

    Args:
        behaviour: the behaviour.
        run: what came of it.
        rows: rows that were asked for; None: those of the behaviour.
        batch: whether the calls are lines of batches. They are sent together, so their number has no bound here.

    """
    wanted = behaviour.rows if rows is None else rows
    problems = [f"unusable text {text!r:.90}" for text in run.unusable[:3]]
    if behaviour.stop:
        problems += [
            f"no {words!r} in {run.message!r:.300}" for words in behaviour.stop if not _matches(words, run.message)
        ]
    elif run.rows != wanted:
        problems.append(f"{run.rows} of {wanted} rows, {run.message!r:.300}")
    if "\n" in run.message:
        problems.append("the message has several lines")
    if not batch and run.wasted > behaviour.wasted:
        problems.append(f"{run.wasted} wasted calls, at most {behaviour.wasted}")
    if not batch and behaviour.most_calls is not None and run.calls > behaviour.most_calls:
        problems.append(f"{run.calls} calls, at most {behaviour.most_calls}")
    if run.estimated is not None and run.estimated is behaviour.honest_usage:
        problems.append(f"the usage is called {'an estimate' if run.estimated else 'exact'}")
    if run.has_key:
        problems.append("the key is written down")
    return problems


def _matches(words: str, message: str) -> bool:
    return any(part.lower() in message.lower() for part in words.split("|"))


def main(words: Sequence[str] | None = None) -> None:
    """Run one behaviour and print the result."""
    parser = argparse.ArgumentParser(description="Run one behaviour of the table.")
    parser.add_argument("behaviour", help="name of the behaviour")
    parser.add_argument("kind", nargs="?", choices=sorted(RUNNERS), default="openai")
    options = parser.parse_args(words)
    behaviour = behaviour_named(options.behaviour)
    with tempfile.TemporaryDirectory() as folder:
        run = RUNNERS[options.kind](behaviour, Path(folder))
    print(json.dumps(asdict(run) | {"defects": defects(behaviour, run)}, ensure_ascii=False))  # noqa: T201


if __name__ == "__main__":
    main()
