"""No table of a release has a null: columns without values are left out, the others are filled with what is true."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from datasets import load_dataset

from personagen.builder.release.texts import read_texts
from tests.helpers.releasing import make_release, manifest_of, records
from tests.helpers.servers.fake_openai import FakeOpenAI

OWN = "taxonomy: {name: mine, emotions: [{name: awe, definition: wonder, events: [seeing the sea]}%s]}\n"
LIKE_JOY = ", {name: bliss, definition: joy, like: joy}"
RECIPES: Mapping[str, str] = {
    "defaults": "",
    "no layer": "depth: none",
    "one layer and ablations": "depth: demographic\nablations: [none, situational]",
    "counterfactuals": "counterfactual: {pairs: 3, attributes: {gender: [woman, man]}}",
    "intensities and portraits": "intensities: [low, high]\nelaborate: {demographic: llm}",
    "sampled": "elaborate: {sociocultural: sampled, situational: sampled}",
    "events of the recipe": OWN % "",
    "events of the recipe beside those of the bank": OWN % LIKE_JOY,
    "shown": "expression: shown",
    "expressions without a style": "expression: {named: 0.5, shown: 0.5}\ntext: {min_words: 5, max_words: 100}",
    "no language": "text: {language: null}",
}


def nulls(value: Any, place: str) -> Iterator[str]:
    """Yield the places of a value that are null."""
    if value is None:
        yield place
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from nulls(part, f"{place}.{name}")


@pytest.fixture(scope="module", params=RECIPES)
def made(request: pytest.FixtureRequest, model: FakeOpenAI, tmp_path_factory: pytest.TempPathFactory) -> Path:
    recipe = f"rows: 24\nseed: 5\n{RECIPES[request.param]}"
    return make_release(tmp_path_factory.mktemp("nulls") / "personagen", model.url, recipe)


def test_no_table_has_a_null(made: Path) -> None:
    manifest = manifest_of(made)
    for config in manifest["configs"]:
        rows = records(made, config)
        assert rows and sorted({place for row in rows for place in nulls(row, config)}) == []


def test_rows_are_collated_without_glue(made: Path) -> None:
    """The shortest loop over batches of PyTorch."""
    torch = pytest.importorskip("torch")
    for config in manifest_of(made)["configs"]:
        rows = load_dataset(str(made), config, split="train").with_format("torch")
        (batch,) = torch.utils.data.DataLoader(rows, batch_size=len(rows))
        assert len(next(iter(batch.values()))) == len(rows)


def test_columns_that_are_left_out_are_read_as_none(made: Path) -> None:
    manifest = manifest_of(made)
    rows = read_texts(made, manifest).rows
    for name in manifest["left_out"]:
        struct, _, part = name.rpartition(".")
        values = [row[struct] if struct else row for row in rows]
        assert {value[part or name] for value in values if value is not None} <= {None}
    for row in rows:
        demographic = row["demographic"]
        assert demographic is None or (demographic["isco08"] is None) == (demographic["work"] != "employed")


def test_what_a_row_lacks_is_filled_with_what_is_true(model: FakeOpenAI, tmp_path: Path) -> None:
    """An event of the recipe has neither appraisal nor stakes, and one of the bank has both."""
    release = make_release(tmp_path / "made", model.url, f"rows: 24\n{OWN % LIKE_JOY}")
    own, bank = (records(release, name) for name in ("awe", "bliss"))
    assert {row["situational"]["stakes"] for row in own} == {"not given"}
    assert {value for row in own for value in row["situational"]["appraisal"].values()} == {"not given"}
    assert "not given" not in str(bank)
    codes = {row["demographic"]["isco08"] for row in own if row["demographic"]["work"] != "employed"}
    assert codes == {"none"}
    read = {row["id"]: row["situational"] for row in read_texts(release, manifest_of(release)).rows}
    assert {read[row["id"]]["appraisal"] for row in own} == {None} == {read[row["id"]]["stakes"] for row in own}
