"""Counterfactuals: rows that are asked for again with one attribute changed; planned, written, loaded, and measured."""

import asyncio
import json
import random
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from datasets import Dataset, load_dataset
from hypothesis import given, settings
from hypothesis import strategies as st

import personagen_dataset
from personagen.builder.core.errors import RecipeError
from personagen.builder.estimate import REFUSED, estimate
from personagen.builder.evaluation.audit_results import read_audit
from personagen.builder.hub.verify import verify_folder
from personagen.builder.llm.requests import Candidate, Reply, Request
from personagen.builder.planning.attribute_tables import known_values, persona_tables
from personagen.builder.planning.counterfactuals import add_counterfactuals, counterfactual_persona, with_attribute
from personagen.builder.planning.parsing import parse_recipe
from personagen.builder.planning.personas import draw_persona
from personagen.builder.planning.plan import Counterfactual, Plan, RowPlan, make_plan, request_seed
from personagen.builder.planning.sections import CHANGEABLE_ATTRIBUTES
from personagen.builder.writing.expression import writing_of
from personagen.builder.writing.pipeline import Job, Settled, settle
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


def planned(text: str) -> Plan:
    return add_counterfactuals(make_plan(parse_recipe(text, "test")))


def counterfactuals_of(plan: Plan) -> list[RowPlan]:
    return [row for splits in plan.counterfactuals.values() for rows in splits.values() for row in rows]


def row_id(id_: str) -> str:
    """Name the row that a row is the counterfactual of."""
    return "-".join(id_.split("-")[:2])


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release with all layers told by the model, the portrait too."""
    with FakeOpenAI() as server:
        folder = tmp_path_factory.mktemp("counterfactuals") / "personagen"
        return make_release(folder, server.url, f"rows: 70\nelaborate: {{demographic: llm}}\n{PAIRS}")


def originals(release: Path) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for name in EMOTIONS for row in records(release, name)}


def test_a_plan_has_its_pairs_and_stays_as_it_is() -> None:
    bare, plan = make_plan(parse_recipe("rows: 70", "test")), planned(f"rows: 70\n{PAIRS}")
    assert plan == planned(f"rows: 70\n{PAIRS}")
    own = [row for shard in plan.shards() for row in plan.rows(shard) if row.counterfactual is None]
    assert own == [row for shard in bare.shards() for row in bare.rows(shard)]
    assert list(plan.counterfactuals) == ["counterfactual_gender", "counterfactual_religion", "counterfactual_age"]
    by_id = {row.id: row for row in own}
    for row in counterfactuals_of(plan):
        assert row.counterfactual is not None and row.counterfactual.original_id == row_id(row.id)
        assert (
            replace(row, id=row.counterfactual.original_id, counterfactual=None)
            == by_id[row.counterfactual.original_id]
        ), "in all else the same"
    for config, splits in plan.counterfactuals.items():
        rows = [row for own in splits.values() for row in own]
        assert len({row_id(row.id) for row in rows}) == 6, config
        assert all(row.split == split for split, own in splits.items() for row in own)
        assert max(Counter(row.emotion for row in rows if row.counterfactual).values()) <= 4, "emotions take turns"
    assert len({row.id for row in own + counterfactuals_of(plan)}) == 70 + len(counterfactuals_of(plan))
    assert sum(shard.stop - shard.start for shard in plan.shards()) == 70 + len(counterfactuals_of(plan))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 400), st.sampled_from(sorted(CHANGEABLE_ATTRIBUTES)), st.data())
def test_one_attribute_is_changed_and_the_tables_could_have_drawn_the_result(
    number: int, attribute: str, data: st.DataObject
) -> None:
    original = draw_persona(persona_tables(), PEOPLE.design, number)
    value = data.draw(st.sampled_from(sorted(known_values(attribute))))
    changed = with_attribute(original, attribute, value)
    if original.values["age_band" if attribute == "age" else attribute] == value or changed is None:
        assert changed is None
        return
    before, after = (asdict(one.demographic) | asdict(one.sociocultural) for one in (original, changed))
    assert {name for name in before if before[name] != after[name]} == {attribute}
    if attribute == "age":
        low, high = map(int, value.split("-"))
        assert low <= changed.demographic.age <= high
    else:
        assert after[attribute] == value
    for table in persona_tables().tables:
        drawn = changed.values["age_band" if table.name == "age" else table.name]
        assert drawn in table.distribution(changed.values).probabilities
    assert changed.id.startswith(f"{original.id}-{attribute}-")
    assert changed == counterfactual_persona(original, Counterfactual("row", attribute, value))


PEOPLE = make_plan(parse_recipe("rows: 900", "test"))


def test_what_the_tables_would_never_draw_is_refused() -> None:
    retired = next(
        who
        for number in range(400)
        if (who := draw_persona(persona_tables(), PEOPLE.design, number)).demographic.work == "retired"
    )
    with pytest.raises(ValueError, match=rf"^persona {retired.id} cannot be of age '16-19'$"):
        counterfactual_persona(retired, Counterfactual("row", "age", "16-19"))


def test_counterfactuals_have_situation_and_seeds_of_their_rows(release: Path) -> None:
    own = originals(release)
    assert len(own) == 70 and not verify_folder(release).problems
    for attribute in ("gender", "religion", "age"):
        rows = records(release, f"counterfactual_{attribute}")
        assert len({row_id(row["id"]) for row in rows}) == 6
        for row in rows:
            other = own[row_id(row["id"])]
            for layer in ("demographic", "sociocultural", "situational"):
                differ = {name for name in row[layer] if row[layer][name] != other[layer][name]} - {"prose"}
                assert differ == ({attribute} if CHANGEABLE_ATTRIBUTES[attribute] == layer else set())
            assert row["situation_id"] == other["situation_id"] and row["label"] == other["label"]
            assert row["provenance"]["seed"] == other["provenance"]["seed"]
            assert row["persona_id"].startswith(f"{other['persona_id']}-{attribute}-")
            if attribute == "religion":
                assert row["demographic"] == other["demographic"], "told before the change, of both"
            assert row["sociocultural"]["prose"] != other["sociocultural"]["prose"], "told anew"
    manifest = manifest_of(release)
    assert manifest["configs"]["all"]["rows"]["train"] + 14 == 70
    counts = manifest["composition"]["attributes"]["gender"]
    assert sum(counts.values()) == 70, "counterfactuals are not counted among the texts"
    assert {row["persona_id"] for row in records(release, "demographic")} == {row["persona_id"] for row in own.values()}
    card = (release / "README.md").read_text(encoding="utf-8")
    assert all(f"`counterfactual_{attribute}`" in card for attribute in ("gender", "religion", "age"))


def test_requests_are_those_of_the_estimate_and_none_is_made_twice(tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        keys = yaml.safe_load(f"rows: 70\nelaborate: {{demographic: llm}}\nablations: [none]\n{PAIRS}")
        own = recipe_for(server.url, LAYERED, keys)
        usage = make(own, tmp_path / "out").manifest["usage"]
        asked = {json.dumps(body, sort_keys=True) for body in server.requests}
        assert len(asked) == len(server.requests) == usage["requests"]
        expected = estimate(own)
    calls = [round(stage["requests"] / (1 + REFUSED)) for stage in expected.stages.values()]
    assert sum(calls) == usage["requests"]


def test_a_counterfactual_may_repeat_its_row_and_begins_at_the_attempt_at_which_that_was_accepted() -> None:
    """The model tells whatever its seed says. Of two rows with the same text the second is written again."""
    recipe = parse_recipe(
        "rows: 28\nemotions: [joy]\ndepth: demographic\nbackend: {kind: openai, model: m}\n"
        "counterfactual: {attributes: {gender: [woman, man]}}",
        "test",
    )
    plan = add_counterfactuals(make_plan(recipe))
    counterfactual = next(
        row for row in counterfactuals_of(plan) if row.counterfactual and row.counterfactual.original_id != "joy-000000"
    )
    of = counterfactual.counterfactual.original_id if counterfactual.counterfactual else ""
    repeated = request_seed(0, of, "expression", 0)

    async def ask(request: Request) -> Reply:
        seed = request_seed(0, "joy-000000", "expression", 0) if request.seed == repeated else request.seed
        return Reply((Candidate(sentences(random.Random(seed)), "stop"),), 1, 1)

    async def settled() -> dict[str, Settled]:
        job = Job(plan, recipe.chosen_taxonomy(), lambda turn: ask, writing_of(recipe), "m", 4)
        return {each.planned.id: each async for each in settle(job)}

    found = asyncio.run(settled())
    rows = {id_: each.row for id_, each in found.items() if each.row is not None}
    assert len(rows) == 28 + len(counterfactuals_of(plan)), "a counterfactual is not refused for what it repeats"
    assert [reject.reason for reject in found[of].rejects] == ["duplicate"] and rows[of].provenance.attempts == 2
    for id_, row in rows.items():
        other = rows[row_id(id_)]
        assert (row.text, row.provenance.seed, row.provenance.attempts) == (
            other.text,
            other.provenance.seed,
            other.provenance.attempts,
        )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{attributes: {}}", "counterfactual.attributes: got {}, wanted "),
        (
            "{attributes: {gendre: [woman, man]}}",
            "counterfactual.attributes.gendre: not an attribute that can be changed, did you mean 'gender'?; known:",
        ),
        ("{attributes: {gender: [woman]}}", "counterfactual.attributes.gender: got 1 value, wanted two or more"),
        ("{attributes: {gender: [woman, women]}}", "unknown value 'women', did you mean 'woman'?; known: man"),
        ("{attributes: {gender: [woman, woman]}}", "counterfactual.attributes.gender names 'woman' twice"),
        ("{attributes: {age: [20-24, '30']}}", "counterfactual.attributes.age: unknown value '30'"),
        ("{attributes: {gender: [woman, man]}, pairs: 0}", "counterfactual.pairs: got 0, wanted "),
    ],
)
def test_what_is_no_counterfactual(text: str, why: str) -> None:
    with pytest.raises(RecipeError) as error:
        parse_recipe(f"counterfactual: {text}", "test")
    assert why in str(error.value) and "\n" not in str(error.value)


def test_an_attribute_that_the_texts_do_not_know_and_names_that_are_taken() -> None:
    with pytest.raises(RecipeError, match="texts of depth 'demographic' do not show it; leave it out or raise depth"):
        parse_recipe("depth: demographic\ncounterfactual: {attributes: {means: [struggling, well off]}}", "test")
    taken = "taxonomy: {name: t, emotions: [{name: counterfactual_age, definition: x, like: joy}]}"
    with pytest.raises(RecipeError, match="'counterfactual_age' is the name of another configuration"):
        parse_recipe(taken, "test")


def test_more_pairs_than_there_are() -> None:
    text = "rows: 14\ncounterfactual: {attributes: {religion: [Buddhist, Jewish]}, pairs: 14}"
    with pytest.raises(RecipeError) as error:
        planned(text)
    assert str(error.value).startswith("counterfactual.attributes.religion: ")
    assert "of 14 rows have a persona with one of Buddhist, Jewish that can be changed to another" in str(error.value)
    assert str(error.value).endswith("lower counterfactual.pairs, or name values that are more frequent")


def test_a_recipe_without_them_is_the_same_as_ever() -> None:
    assert "counterfactual" not in parse_recipe("", "test").identity()
    assert parse_recipe(PAIRS, "test").fingerprint() != parse_recipe("", "test").fingerprint()


def test_they_load_as_a_configuration_and_are_no_part_of_all(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    """The release, in which women are wretched in all else alike, and a reference; their vectors are at hand."""

    def change(table: pa.Table) -> pa.Table:
        rows = table.to_pylist()
        for row in rows:
            row["text"] = own[row_id(row["id"])]["text"]
            if row["demographic"]["gender"] == "woman":
                row["text"] += " It was awful and I cried."
        return pa.Table.from_pylist(rows, schema=table.schema)

    own = originals(release)
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
    assert length.difference == length.low == length.high == -6 and length.p_corrected == 0
    assert effects["sentiment"].low > 0, "men are less wretched"
    assert -1 <= effects["agreement"].difference <= 1
    for attribute in ("religion", "age"):
        unchanged = [pairs for pairs in audit.pairs if pairs.attribute == attribute]
        assert unchanged, "some pairs of values"
        for pairs in unchanged:
            assert pairs.identical == 1 and pairs.reclassified == 0 and pairs.distance == pytest.approx(0, abs=1e-6)
        effects_of_none = [effect for effect in audit.effects if effect.attribute == attribute]
        assert {(effect.difference, effect.p_corrected) for effect in effects_of_none} == {(0, 1)}
    line = "gender man instead of woman, all else equal: of 6 pairs 0% are the same word for word"
    card = (folder / "README.md").read_text(encoding="utf-8").replace("\\", "")
    assert line in done.out and line in card and "length -6 [-6, -6]*" in card
    assert not verify_folder(folder).problems
    done = run("report", folder, "--reference", reference)
    page = Path(done.out.strip()).read_text(encoding="utf-8")
    assert "<h2>Counterfactual pairs</h2>" in page and line in page


def test_pairs_whose_row_is_gone(run: Run, audited: tuple[Path, Path], tmp_path: Path) -> None:
    source, reference = audited
    counterfactual = records(source, "counterfactual_gender")[0]

    def drop(table: pa.Table) -> pa.Table:
        return pa.Table.from_pylist(
            [row for row in table.to_pylist() if row["id"] != row_id(counterfactual["id"])], schema=table.schema
        )

    folder = rewrite(source, tmp_path / "less", f"{EMOTIONS[counterfactual['label']]}/", drop)
    done = run("audit", folder, "--reference", reference)
    assert done.code == 1
    assert "a text of counterfactual_gender has no row that it is the counterfactual of; make it again" in done.err
