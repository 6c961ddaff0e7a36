"""croissant.json through mlcroissant: it validates, and rows are read by its fields, for releases of every kind."""

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from personagen.builder.generate import generate
from personagen.builder.planning.recipe.parsing import parse_recipe
from personagen.builder.release.results import add_results
from tests.helpers.command import python
from tests.helpers.releasing import make_release, manifest_of, records
from tests.helpers.servers.fake_openai import FakeOpenAI

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("mlcroissant") is None, reason="mlcroissant is not installed; it is in the extra `dev`"
    ),
]

RECIPES = {
    "plain": "rows: 14",
    "ablated": "rows: 14\nablations: [none, demographic]\nintensities: [low, high]\nshard_rows: 3",
    "counterfactual": "rows: 14\ncounterfactual: {attributes: {gender: [woman, man]}, pairs: 2}",
    "own_taxonomy": json.dumps(
        {
            "rows": 8,
            "taxonomy": {
                "name": "mine",
                "emotions": [
                    {"name": "awe", "definition": 'a "glacier"\n\u2028', "like": "joy", "events": ["saw a comet"]},
                    {"name": "calm", "definition": "rest | <b>", "like": "joy", "events": ["sat by a lake"]},
                ],
            },
        }
    ),
    "depth_none": "rows: 14\ndepth: none",
    "prose": "rows: 14\nelaborate: {demographic: llm}\ntext: {language: null, max_words: 45}",
}

READ = """
import json, logging
logging.disable(logging.WARNING)
import mlcroissant
dataset = mlcroissant.Dataset(jsonld="croissant.json")
def plain(value):
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    return value.decode() if isinstance(value, bytes) else value.item() if hasattr(value, "item") else value
rows = {table.id: [plain(row) for row in dataset.records(table.id)] for table in dataset.metadata.record_sets}
print(json.dumps({"warnings": sorted(dataset.metadata.ctx.issues.warnings), "rows": rows}))
"""


@pytest.fixture(scope="module")
def server() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as started:
        yield started


def read(release: Path) -> dict[str, Any]:
    """Validate and read a release in a process of its own: mlcroissant sets up logging for its whole process."""
    done = python(READ, release)
    assert done.code == 0, done.err
    parsed: dict[str, Any] = json.loads(done.out.splitlines()[-1])
    return parsed


def flat(config: str, row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of a file with the keys of mlcroissant: a struct has one key per part, at one level."""

    def parts(path: str, value: Any) -> Iterator[tuple[str, Any]]:
        for name, part in value.items():
            if isinstance(part, dict):
                yield from parts(f"{path}{name}.", part)
            else:
                yield path + name, part

    return {f"{config}/{path}": value for path, value in parts("", row)}


def merged(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of mlcroissant without its structs, and without the split."""
    values: dict[str, Any] = {}
    for name, value in row.items():
        values |= value if isinstance(value, dict) else {name: value}
    return {name: value for name, value in values.items() if not name.endswith("/split")}


def repr_of(row: dict[str, Any]) -> str:
    return json.dumps(row, sort_keys=True)


def compare(release: Path) -> None:
    """Read all rows of all configurations, and compare them with those of the files."""
    found = read(release)
    assert [line for line in found["warnings"] if "datePublished" not in line] == []
    for config in manifest_of(release)["configs"]:
        rows = [merged(row) for row in found["rows"][config]]
        expected = [flat(config, row) for row in records(release, config)]
        assert sorted(rows, key=repr_of) == sorted(expected, key=repr_of), config
        splits = {row[f"{config}/split"] for row in found["rows"][config]}
        assert splits == set(manifest_of(release)["configs"][config]["rows"]), config
    labels = [row["labels/emotion"] for row in found["rows"]["labels"]]
    assert labels == [emotion["name"] for emotion in manifest_of(release)["taxonomy"]["emotions"]]


@pytest.mark.parametrize("name", RECIPES)
def test_rows_read_through_mlcroissant_are_those_of_the_files(name: str, tmp_path: Path, server: FakeOpenAI) -> None:
    compare(make_release(tmp_path / name, server.url, RECIPES[name]))


def test_a_release_of_the_embedded_model_is_read(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp", reason="the embedded model needs xllamacpp")
    generate(parse_recipe("rows: 7\nbackend: {kind: embedded}", "test"), tmp_path / "embedded")
    compare(tmp_path / "embedded")


def test_a_measured_and_audited_release_is_read(tmp_path: Path, server: FakeOpenAI) -> None:
    out = make_release(tmp_path / "measured", server.url, "rows: 14")
    scores = {"scores": [{"metric": "utility", "value": "0.31 [0.2, 0.4]", "command": "personagen evaluate measured"}]}
    add_results(out, manifest_of(out), "evaluation", {"figures": 1}, scores)
    add_results(
        out, manifest_of(out), "audit", {"findings": []}, {"findings": ["length and age 0.1"], "audited_by": "x"}
    )
    compare(out)
