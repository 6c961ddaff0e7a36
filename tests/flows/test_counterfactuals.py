"""Counterfactuals from recipe to audit: written, published, loaded and measured."""

import asyncio
import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from datasets import Dataset, load_dataset

import personagen_dataset
from personagen.builder.estimate import REJECTED_FRACTION, estimate
from personagen.builder.evaluation.audit_results import read_audit
from personagen.builder.hub.verify import verify_folder
from personagen.builder.llm.requests import Candidate, Reply, Request
from personagen.builder.planning.counterfactuals import add_counterfactuals
from personagen.builder.planning.plan import Plan, RowPlan, make_plan, request_seed
from personagen.builder.planning.recipe.parsing import parse_recipe
from personagen.builder.planning.recipe.sections.rows import CHANGEABLE_ATTRIBUTES
from personagen.builder.writing.pipeline import FinalizedRow, finalize_rows
from personagen.builder.writing.rows import RowWriter
from tests.helpers.command import Run, run_here
from tests.helpers.flow import LAYERED, make, recipe_for
from tests.helpers.real_texts import as_reference, known_vectors, real
from tests.helpers.releasing import EMOTIONS, make_release, manifest_of, records, rewrite
from tests.helpers.servers.fake_openai import FakeOpenAI, sentences

REFERENCE = real(150)

PAIRS = """
counterfactual:
  attributes: {gender: [woman, man], religion: [none, Christian, Muslim], age: [20-24, 35-44, 65-74]}
  pairs: 6
"""

run = pytest.fixture(run_here)


def counterfactuals_of(plan: Plan) -> list[RowPlan]:
    return [row for splits in plan.counterfactuals.values() for rows in splits.values() for row in rows]


def row_id(id_: str) -> str:
    """Return the id of the original row of a counterfactual, and of an original row its own id."""
    return "-".join(id_.split("-")[:2])


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a release in which the model writes the prose of all layers."""
    with FakeOpenAI() as server:
        folder = tmp_path_factory.mktemp("counterfactuals") / "personagen"
        return make_release(
            folder, server.url, f"rows: 70\nexpression: shown\nelaborate: {{demographic: llm}}\n{PAIRS}"
        )


def originals(release: Path) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for name in EMOTIONS for row in records(release, name)}


def test_counterfactuals_have_the_situation_and_seeds_of_their_originals(release: Path) -> None:
    by_id = originals(release)
    assert len(by_id) == 70 and not verify_folder(release).problems
    for attribute in ("gender", "religion", "age"):
        rows = records(release, f"counterfactual_{attribute}")
        assert len({row_id(row["id"]) for row in rows}) == 6
        for row in rows:
            original = by_id[row_id(row["id"])]
            for layer in ("demographic", "sociocultural", "situational"):
                differ = {name for name in row[layer] if row[layer][name] != original[layer][name]} - {"prose"}
                assert differ == ({attribute} if CHANGEABLE_ATTRIBUTES[attribute] == layer else set())
            assert row["situation_id"] == original["situation_id"] and row["label"] == original["label"]
            assert row["provenance"]["seed"] == original["provenance"]["seed"]
            assert row["persona_id"].startswith(f"{original['persona_id']}-{attribute}-")
            if attribute == "religion":
                assert row["demographic"] == original["demographic"], "the portrait does not depend on the religion"
            assert row["sociocultural"]["prose"] != original["sociocultural"]["prose"], "the background does"
    manifest = manifest_of(release)
    assert manifest["configs"]["all"]["rows"]["train"] + 14 == 70
    counts = manifest["composition"]["attributes"]["gender"]
    assert sum(counts.values()) == 70, "counterfactuals are not counted among the texts"
    personas = {row["persona_id"] for row in records(release, "demographic")}
    assert personas == {row["persona_id"] for row in by_id.values()}
    card = (release / "README.md").read_text(encoding="utf-8")
    assert all(f"`counterfactual_{attribute}`" in card for attribute in ("gender", "religion", "age"))


def test_requests_are_those_of_the_estimate_and_none_is_repeated(tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        keys = yaml.safe_load(f"rows: 70\nelaborate: {{demographic: llm}}\nablations: [none]\n{PAIRS}")
        recipe = recipe_for(server.url, LAYERED, keys)
        usage = make(recipe, tmp_path / "out").manifest["usage"]
        distinct = {json.dumps(body, sort_keys=True) for body in server.requests}
        assert len(distinct) == len(server.requests) == usage["requests"]
        expected = estimate(recipe)
    calls = [round(stage.requests / (1 + REJECTED_FRACTION)) for stage in expected.stages]
    assert sum(calls) == usage["requests"]


def test_a_counterfactual_may_repeat_its_original_and_begins_at_the_accepted_attempt() -> None:
    """The model of this test writes the same text for equal seeds. A second row with the same text is retried."""
    recipe = parse_recipe(
        "rows: 28\nemotions: [joy]\ndepth: demographic\nbackend: {kind: openai, model: m}\n"
        "counterfactual: {attributes: {gender: [woman, man]}}",
        "test",
    )
    plan = add_counterfactuals(make_plan(recipe))
    original_ids = [row.counterfactual.original_id for row in counterfactuals_of(plan) if row.counterfactual]
    retried = next(id_ for id_ in original_ids if id_ != "joy-000000")
    first_seed = request_seed(0, retried, "expression", 0)

    async def ask(request: Request) -> Reply:
        seed = request_seed(0, "joy-000000", "expression", 0) if request.seed == first_seed else request.seed
        return Reply((Candidate(sentences(random.Random(seed)), "stop"),), 1, 1)

    async def finalize_all() -> dict[str, FinalizedRow]:
        writer = RowWriter(plan, lambda priority, stage, model: ask, models=["m"])
        return {outcome.planned.id: outcome async for outcome in finalize_rows(writer, concurrency=4)}

    outcomes = asyncio.run(finalize_all())
    rows = {id_: outcome.row for id_, outcome in outcomes.items() if outcome.row is not None}
    assert len(rows) == 28 + len(counterfactuals_of(plan)), "no counterfactual is rejected as a duplicate"
    assert [reject.reason for reject in outcomes[retried].rejects] == ["duplicate"]
    assert rows[retried].provenance.attempts == 2
    for id_, row in rows.items():
        original = rows[row_id(id_)]
        assert row.text == original.text
        assert (row.provenance.seed, row.provenance.attempts) == (
            original.provenance.seed,
            original.provenance.attempts,
        )


def test_counterfactuals_load_as_a_configuration_and_are_not_part_of_all(
    release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(release.parent)
    assert personagen_dataset.NAME == "personagen"
    everything = load_dataset("personagen", split="train")
    counterfactuals = load_dataset("personagen", "counterfactual_gender", split="train")
    assert isinstance(everything, Dataset) and isinstance(counterfactuals, Dataset)
    assert not set(everything["id"]) & set(counterfactuals["id"])
    assert {row_id(id_) for id_ in counterfactuals["id"]} <= set(everything["id"])
    some = load_dataset("personagen", "counterfactual_gender", emotions=["anger"], split="train")
    assert isinstance(some, Dataset) and 0 < len(some) < len(counterfactuals)
    with pytest.raises(
        ValueError, match="depth is 'situational' for 'counterfactual_gender'; leave one of the two out"
    ):
        load_dataset("personagen", "counterfactual_gender", depth="situational")


@pytest.fixture(scope="module")
def audited(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """Yield the release with a planted effect of gender, and a reference; the vectors of all texts are cached."""

    def change(table: pa.Table) -> pa.Table:
        rows = table.to_pylist()
        for row in rows:
            row["text"] = by_id[row_id(row["id"])]["text"]
            if row["demographic"]["gender"] == "woman":
                row["text"] += " It was awful and I cried."
        return pa.Table.from_pylist(rows, schema=table.schema)

    by_id = originals(release)
    folder = tmp_path_factory.mktemp("audited")
    out = rewrite(release, folder / "counterfactuals", "counterfactual_", change)
    for number, name in enumerate(EMOTIONS):
        source, out = out, folder / f"copy{number}"
        rewrite(source, out, f"{name}/", change)
    texts = [row["text"] for path in ("counterfactual_*", *EMOTIONS) for row in records_of(out, path)]
    reference = as_reference(folder / "real.jsonl", REFERENCE)
    with known_vectors(folder / "cache", [*texts, *REFERENCE.texts]):
        yield out, reference


def records_of(release: Path, pattern: str) -> list[dict[str, Any]]:
    return [row for path in sorted(release.glob(pattern)) for row in records(release, path.name)]


def test_a_planted_effect_is_measured_pair_by_pair(run: Run, audited: tuple[Path, Path], tmp_path: Path) -> None:
    source, reference = audited
    folder = Path(shutil.copytree(source, tmp_path / "copy"))
    done = run("audit", folder, "--reference", reference)
    assert done.code == 0, done.err
    audit = read_audit(json.loads((folder / "audit.json").read_text()))
    (gender,) = (pairs for pairs in audit.pairs if pairs.attribute == "gender")
    assert (gender.first, gender.second) == ("woman", "man") and gender.pairs == 6 and gender.identical == 0
    assert gender.distance > 0
    effects = {effect.outcome: effect for effect in audit.effects if effect.attribute == "gender"}
    length = effects["length"]
    assert length.difference == -6 and (length.low, length.high, length.p, length.p_corrected) == (None,) * 4
    few = "3 of 3 personas have a difference other than 0, wanted 5"
    assert length.reason == few, "three personas carry no interval, however equal their differences"
    assert effects["sentiment"].difference > 0, "men are less wretched"
    assert -1 <= effects["agreement"].difference <= 1
    for attribute in ("religion", "age"):
        unchanged = [pairs for pairs in audit.pairs if pairs.attribute == attribute]
        assert unchanged, "some pairs of values"
        for pairs in unchanged:
            assert pairs.identical == 1 and pairs.reclassified == 0 and pairs.distance == pytest.approx(0, abs=1e-6)
        effects_of_none = [effect for effect in audit.effects if effect.attribute == attribute]
        assert {(effect.difference, effect.p_corrected) for effect in effects_of_none} == {(0, None)}
    line = "gender man instead of woman, all else equal: of 6 pairs 0% are the same word for word"
    card = (folder / "README.md").read_text(encoding="utf-8").replace("\\", "")
    assert line in done.out and line in card and f"length -6 (no interval: {few})" in card
    assert not verify_folder(folder).problems
    done = run("report", folder, "--reference", reference)
    page = Path(done.out.strip()).read_text(encoding="utf-8")
    assert ">Counterfactual pairs</h2>" in page and line in page


def test_a_counterfactual_without_its_original_is_an_error(
    run: Run, audited: tuple[Path, Path], tmp_path: Path
) -> None:
    source, reference = audited
    counterfactual = records(source, "counterfactual_gender")[0]

    def drop(table: pa.Table) -> pa.Table:
        return pa.Table.from_pylist(
            [row for row in table.to_pylist() if row["id"] != row_id(counterfactual["id"])], schema=table.schema
        )

    folder = rewrite(source, tmp_path / "less", f"{EMOTIONS[counterfactual['label']]}/", drop)
    done = run("audit", folder, "--reference", reference)
    assert done.code == 1
    assert "a text of counterfactual_gender has no row that it is the counterfactual of; run its `generate`" in done.err
