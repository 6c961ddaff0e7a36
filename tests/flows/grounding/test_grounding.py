"""A release with real texts in its prompts: provenance, manifest, card, and a source that vanishes."""

import asyncio
import json
from pathlib import Path

import pytest
from datasets import load_dataset

from personagen.builder.core.errors import BudgetError, RecipeError
from personagen.builder.generate import generate
from personagen.builder.hub.verify import verify_folder
from personagen.builder.llm.requests import Ask, Candidate, Reply, Request
from personagen.builder.planning.plan import make_plan
from personagen.builder.planning.recipe.parsing import parse_recipe
from personagen.builder.preview import preview
from personagen.builder.release.texts import read_texts
from personagen.builder.writing.rows import RowWriter
from tests.helpers.flow import LAYERED, Recorder, bytes_of, make, recipe_for, texts_of
from tests.helpers.real_texts import goemotions, write_reference
from tests.helpers.servers.fake_openai import FakeOpenAI

EXAMPLES = {"grounding.examples.source": "goemotions"}


def prompts_of(server: FakeOpenAI) -> list[str]:
    return ["\n".join(message["content"] for message in body["messages"]) for body in server.requests]


def test_provenance_names_the_real_texts_in_the_prompt(tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        result = make(recipe_for(server.url, EXAMPLES, {"grounding.examples.count": 3}), tmp_path / "out")
    rows, whole = texts_of(tmp_path / "out"), goemotions()
    for row in rows:
        numbers = [int(id_.removeprefix("goemotions:")) for id_ in row["provenance"]["real_texts"].split(" ")]
        shown = [" ".join(whole.texts[number].split()) for number in numbers]
        assert len({*numbers}) == 3
        assert {(whole.labels or [])[number] for number in numbers} == {row["emotion"]}
        assert any(all(f"- {text}" in prompt for text in shown) for prompt in prompts_of(server))
    seen = {id_ for row in rows for id_ in row["provenance"]["real_texts"].split(" ")}
    grounding = result.manifest["grounding"]
    assert (grounding["rows"], grounding["texts"]) == (14, len(seen)) and result.manifest["version"] == "1.4.0"
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert f"{len(seen)} distinct real texts were shown in the prompts of 14 texts" in card
    assert "cc-by-4.0; credit: Demszky" in card and "`provenance.real_texts`" in card


def test_the_release_loads_and_verifies_and_earlier_columns_stay(tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        result = make(recipe_for(server.url, EXAMPLES), tmp_path / "out")
        plain = make(recipe_for(server.url), tmp_path / "plain")
    loaded = load_dataset(str(tmp_path / "out"), "joy", split="train")
    assert all(" " in text for text in (row["real_texts"] for row in loaded["provenance"]))
    assert verify_folder(tmp_path / "out").problems == ()
    assert read_texts(tmp_path / "out", result.manifest).rows[0]["provenance"]["real_texts"]
    assert plain.manifest["version"] == "1.3.0" and "real_texts" not in texts_of(tmp_path / "plain")[0]["provenance"]
    assert "grounding" not in plain.manifest and "grounding" not in plain.manifest["recipe"]


def test_a_row_whose_prompt_shows_no_real_text_says_none(tmp_path: Path) -> None:
    """An ablation has the texts of its row's draw, whatever its depth; with a paraphrase there is one more."""
    with FakeOpenAI() as server:
        make(recipe_for(server.url, EXAMPLES, {"grounding.paraphrase": True}), tmp_path / "out")
    rows = texts_of(tmp_path / "out")
    assert {len(row["provenance"]["real_texts"].split(" ")) for row in rows} <= {4, 5}
    assert all("Say the same in other words" in prompt for prompt in prompts_of(server))


def test_a_run_goes_on_although_its_source_has_vanished(tmp_path: Path) -> None:
    source, out = write_reference(tmp_path / "real.jsonl"), tmp_path / "out"
    with FakeOpenAI() as server:
        recipe = recipe_for(server.url, {"grounding.examples.source": str(source)})
        expected = bytes_of(make(recipe, tmp_path / "whole").folder)
    with FakeOpenAI() as server:
        keys = {"grounding.examples.source": str(source), "budget.max_tokens": 1_600, "backend.concurrency": 1}
        with pytest.raises(BudgetError):
            make(recipe_for(server.url, keys), out)
        assert server.requests
    source.unlink()
    with FakeOpenAI() as server:
        recipe = recipe_for(server.url, {"grounding.examples.source": str(source)})
        made = make(recipe, out)
        assert made.created and bytes_of(made.folder) == expected and 0 < len(server.requests) < 14
        assert not make(recipe, out).created
        with pytest.raises(RecipeError, match=r"no reference file"):
            make(recipe, out, fresh=True)


def test_a_source_that_changes_changes_no_run(tmp_path: Path) -> None:
    source, out, progress = write_reference(tmp_path / "real.jsonl"), tmp_path / "out", Recorder()
    with FakeOpenAI() as server:
        recipe = recipe_for(server.url, {"grounding.examples.source": str(source)})
        made = make(recipe, out)
        source.write_text(source.read_text(encoding="utf-8").replace("the", "a"), encoding="utf-8")
        again = generate(recipe, out, progress=progress)
    assert not again.created and again.manifest == made.manifest
    assert any(warning.startswith("real.jsonl has changed since this run began") for warning in progress.warnings)


def test_texts_are_drawn_by_verbalized_sampling(tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        result = make(recipe_for(server.url, {"grounding.verbalized": True}), tmp_path / "out")
        texts = {row["text"] for row in texts_of(tmp_path / "out")}
    assert all("Answer with JSON: under `responses`" in prompt for prompt in prompts_of(server)) and len(texts) == 14
    assert result.manifest["grounding"] == {"verbalized": True} and result.manifest["version"] == "1.3.0"
    assert "verbalized sampling" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")


def test_a_preview_shows_the_examples_of_the_release(tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        recipe = recipe_for(server.url, LAYERED, EXAMPLES)
        row = preview(recipe, 2)[0]
        assert row.provenance.real_texts and len(row.provenance.real_texts.split(" ")) == 4


def test_the_embedded_model_continues_a_list_of_real_texts() -> None:
    """Without personas; with them it has the examples in its prompt."""
    requests: list[Request] = []

    async def ask(request: Request) -> Reply:
        requests.append(request)
        return Reply((Candidate(" it took the whole morning and the old bus never came", "stop"),), 0, 0)

    def ask_of(priority: int, stage: str, model: int) -> Ask:
        return ask

    for depth in ("none", "situational"):
        plan = make_plan(
            parse_recipe("", "r", EXAMPLES | {"depth": depth, "expression": "shown", "text.language": None})
        )
        row = next(iter(plan.rows(plan.shards()[0])))
        written = asyncio.run(RowWriter(plan, ask_of, models=["m"]).write(row, priority=0)).row
        assert written and written.provenance.real_texts and len(written.provenance.real_texts.split(" ")) == 4
    assert requests[0].prefill.startswith("Posts that express anger:") and requests[-1].messages


def test_the_manifest_has_no_local_path(tmp_path: Path) -> None:
    source = write_reference(tmp_path / "real.jsonl")
    with FakeOpenAI() as server:
        result = make(recipe_for(server.url, {"grounding.examples.source": str(source)}), tmp_path / "out")
    assert str(tmp_path) not in json.dumps(result.manifest)
    assert result.manifest["recipe"]["grounding"]["examples"]["source"].startswith("real.jsonl sha256:")
    assert result.manifest["grounding"]["examples"]["license"] is None
