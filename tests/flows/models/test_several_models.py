"""Releases of several models: each row with its own, one journal and one budget, equal bytes of every run."""

import asyncio
import json
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from personagen.builder.cli.display import summary, summary_lines
from personagen.builder.core.errors import BackendError, BudgetError, GenerationError, RecipeError, ReleaseError
from personagen.builder.generate import generate, write_release
from personagen.builder.hub.verify import verify_folder
from personagen.builder.llm import EngineModel, connect_models
from personagen.builder.llm.backends.openai_batch import connect_batch
from personagen.builder.planning.plan import make_plan
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.recipe.parsing import parse_recipe
from personagen.builder.preview import preview
from personagen.builder.release.run.run_folder import open_run
from personagen.builder.release.run.run_state import run_recipe
from tests.helpers.batches import FAST, KEY
from tests.helpers.flow import LAYERED, PLAIN, Recorder, bytes_of, make, refusals, rows_of, run_command, without_port
from tests.helpers.flow import rejects_of as rejects
from tests.helpers.processes.forked import ForkedProcess
from tests.helpers.releasing import manifest_of, write_manifest
from tests.helpers.servers.fake_batches import FakeBatches
from tests.helpers.servers.fake_openai import FakeOpenAI, Fault, contents

PRICES = {"a": {"input": 1.0, "output": 2.0}, "b": {"input": 10.0, "output": 20.0}}


def entries(a: str, b: str, **keys: Any) -> list[dict[str, Any]]:
    """Return a list of two models with shares of 3 and 1, each at a server of its own."""
    return [
        {"kind": "openai", "model": "a", "base_url": a, "share": 3, **keys},
        {"kind": "openai", "model": "b", "base_url": b, "share": 1, **keys},
    ]


def recipe_of(models: list[dict[str, Any]], *changes: Mapping[str, Any]) -> Recipe:
    merged: dict[str, Any] = dict(LAYERED) | {"rows": 24, "backend": models}
    for change in changes:
        merged |= change
    return parse_recipe("", "test", merged)


def test_each_row_has_its_model_and_the_manifest_counts_by_model(tmp_path: Path) -> None:
    with FakeOpenAI() as a, FakeOpenAI() as b:
        recipe = recipe_of(entries(a.url, b.url), {"prices": PRICES, "ablations": ["none"]})
        make(recipe, tmp_path / "out")
        assert {body["model"] for body in a.requests} == {"a"}
        assert {body["model"] for body in b.requests} == {"b"}
        sent = [len(server.requests) for server in (a, b)]
    plan, manifest = make_plan(recipe), manifest_of(tmp_path / "out")
    models = [choice.model for choice in recipe.backends]
    planned = {row.id: models[row.model] for shard in plan.shards() for row in plan.rows(shard)}
    rows = rows_of(tmp_path / "out", "all") + rows_of(tmp_path / "out", "depth_none")
    assert {row["id"]: row["provenance"]["model"] for row in rows} == planned
    assert Counter(planned.values()) == {"a": 36, "b": 12}
    assert (manifest["model"]["name"], manifest["model"]["backend"]) == ("a, b", "openai")
    assert [(model["name"], model["rows"], model["share"]) for model in manifest["models"]] == [
        ("a", 18, 0.75),
        ("b", 6, 0.25),
    ]
    assert [model["requests"] for model in manifest["models"]] == sent
    usage = manifest["usage"]
    for key in ("requests", "prompt_tokens", "completion_tokens"):
        assert usage[key] == sum(model[key] for model in manifest["models"])
    for model in manifest["models"]:
        price = PRICES[model["name"]]
        cost = (price["input"] * model["prompt_tokens"] + price["output"] * model["completion_tokens"]) / 1e6
        assert model["cost"] == pytest.approx(cost, abs=1e-6)
    assert usage["cost"] == pytest.approx(sum(model["cost"] for model in manifest["models"]), abs=2e-6)


def test_the_prose_of_a_persona_is_written_once_by_the_model_of_its_first_row(tmp_path: Path) -> None:
    with FakeOpenAI() as a, FakeOpenAI() as b:
        recipe = recipe_of(entries(a.url, b.url))
        make(recipe, tmp_path / "out")
        prose = [
            {json.loads(contents(body)[0])["prose"] for body in server.requests if body.get("response_format")}
            for server in (a, b)
        ]
    plan, backgrounds = make_plan(recipe), rows_of(tmp_path / "out", "sociocultural")
    models = {f"p{number:06d}": plan.model_of_persona(number) for number in range(sum(plan.personas.values()))}
    assert sorted(row["persona_id"] for row in backgrounds) == sorted(models) and set(models.values()) == {0, 1}
    assert prose[0].isdisjoint(prose[1]) and sum(map(len, prose)) == len(models) + 24
    assert all(row["prose"] in prose[models[row["persona_id"]]] for row in backgrounds)
    persona_models = {"ab"[models[row["persona_id"]]] for row in backgrounds}
    for row in rows_of(tmp_path / "out", "all"):
        assert row["provenance"]["persona_model"] == "ab"[models[row["persona_id"]]]
    assert persona_models == {"a", "b"} and manifest_of(tmp_path / "out")["version"] == "1.4.0"
    written_by = {row["situation_id"]: row["provenance"]["model"] for row in rows_of(tmp_path / "out", "all")}
    for row in rows_of(tmp_path / "out", "situational"):
        assert row["prose"] in prose["ab".index(written_by[row["situation_id"]])]


def test_card_page_croissant_and_inspect_name_the_models_and_verify_adds_them_up(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with FakeOpenAI() as a, FakeOpenAI() as b:
        make(recipe_of(entries(a.url, b.url), {"prices": PRICES, "ablations": ["none"]}), out)
    manifest = manifest_of(out)
    card = (out / "README.md").read_text(encoding="utf-8")
    for model, fraction in zip(manifest["models"], ("75.0%", "25.0%"), strict=True):
        counts = (model[key] for key in ("rows", "requests", "prompt_tokens", "completion_tokens", "cost"))
        line = " | ".join(map(str, ("openai", "unknown", "unknown", fraction, *counts)))
        assert f"| {model['name']} | {line} |" in card
        printed = "\n".join(summary_lines(summary(out, manifest, 1)))
        assert f"model {model['name']}: {model['rows']} texts, requests {model['requests']}, tokens" in printed
    assert "One of 2 language models wrote each text." in card and "| model | a 75.0%; b 25.0% |" in card
    croissant = (out / "croissant.json").read_text(encoding="utf-8")
    assert all(f"model {name}, revision unknown" in croissant for name in "ab") and "habits of 2 models" in croissant
    assert verify_folder(out).problems == ()
    manifest["models"][1]["rows"] += 1
    write_manifest(out, manifest)
    assert verify_folder(out).problems == ("the models of the manifest have 25 rows together, the release has 24",)


def test_a_manifest_with_malformed_models_is_refused(tmp_path: Path) -> None:
    with FakeOpenAI() as a, FakeOpenAI() as b:
        make(recipe_of(entries(a.url, b.url), {"depth": "none"}), tmp_path / "out")
    manifest = manifest_of(tmp_path / "out")
    del manifest["models"][1]["rows"]
    write_manifest(tmp_path / "out", manifest)
    with pytest.raises(ReleaseError, match=r"malformed at 'models\.1\.rows': it is missing"):
        verify_folder(tmp_path / "out")


def test_batches_and_calls_share_a_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with FakeBatches() as batches, FakeOpenAI() as server:
        models = entries(server.url, batches.url)
        models[1]["kind"] = "batch"
        recipe = recipe_of(models, {"depth": "none", "rows": 16, "prices": PRICES})
        with open_run(tmp_path / "out", run_recipe(recipe), fresh=False, reuse=False) as run:
            (chat,) = connect_models(recipe.backends[:1], [recipe.model_prices()[0]], None)
            batch = connect_batch(model="b", base_url=batches.url, api_key=KEY, folder=run.batches, timing=FAST)
            both = [chat, EngineModel(batch, recipe.backends[1], recipe.model_prices()[1], "backend.1 (batch b)")]
            asyncio.run(write_release(both, make_plan(recipe), run))
    manifest = manifest_of(tmp_path / "out")
    assert manifest["model"]["backend"] == "openai, batch"
    assert [(model["backend"], model["rows"]) for model in manifest["models"]] == [("openai", 12), ("batch", 4)]
    half = PRICES["b"]["input"] * manifest["models"][1]["prompt_tokens"] * 0.5
    half += PRICES["b"]["output"] * manifest["models"][1]["completion_tokens"] * 0.5
    assert manifest["models"][1]["cost"] == pytest.approx(half / 1e6, abs=1e-6)


def test_a_mapping_has_the_release_that_it_had(tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        single = {"kind": "openai", "model": "fake-1", "base_url": server.url}
        make(parse_recipe("", "test", dict(PLAIN) | {"backend": single}), tmp_path / "out")
    manifest = manifest_of(tmp_path / "out")
    assert "models" not in manifest and "share" not in manifest["recipe"]["backend"]


@pytest.mark.slow
def test_a_killed_run_of_two_models_resumes_to_the_same_bytes(tmp_path: Path) -> None:
    """Wherever `kill -9` strikes, and at another concurrency: equal bytes, and no reply is paid for twice."""
    rng, path, out = random.Random(7), tmp_path / "recipe.yaml", tmp_path / "out"
    changes = {"rows": 24, "shard_rows": 4}

    def write(a: str, b: str, concurrency: int) -> None:
        recipe = recipe_of(entries(a, b, concurrency=concurrency), changes)
        path.write_text(yaml.safe_dump(recipe.model_dump(mode="json", exclude_unset=True)), encoding="utf-8")

    def words() -> list[str]:
        start = "from personagen.builder.cli.main import main; main()"
        return [sys.executable, "-c", start, "generate", str(path), "--out", str(out)]

    with FakeOpenAI(faults=refusals()) as a, FakeOpenAI(faults=refusals()) as b:
        make(recipe_of(entries(a.url, b.url, concurrency=16), changes), tmp_path / "calm")
        undisturbed = len(a.requests) + len(b.requests)
    with FakeOpenAI(faults=refusals(), latency=0.01) as a, FakeOpenAI(faults=refusals(), latency=0.03) as b:
        write(a.url, b.url, 2)
        for _ in range(4):
            target = len(a.requests) + len(b.requests) + rng.randrange(1, undisturbed // 3)
            with ForkedProcess(words()) as process:
                while len(a.requests) + len(b.requests) < target and process.poll() is None:
                    time.sleep(0.002)
                process.kill()
        write(a.url, b.url, 3)
        done = run_command(words())
        assert (done.returncode, done.stdout) == (0, f"{out}\n"), done.stderr
        assert len(a.requests) + len(b.requests) <= undisturbed + 4 * 12
    assert bytes_of(out) == bytes_of(tmp_path / "calm")
    assert without_port(rejects(out)) == without_port(rejects(tmp_path / "calm"))


def test_a_model_that_fails_for_good_ends_the_run_in_a_line_that_names_it(tmp_path: Path) -> None:
    with FakeOpenAI() as a, FakeOpenAI(faults=[Fault("status", times=None, status=401, body={"error": {}})]) as b:
        with pytest.raises(BackendError, match=r"^backend\.1 \(openai b\): .*401") as info:
            make(recipe_of(entries(a.url, b.url)), tmp_path / "out")
        assert "\n" not in str(info.value)
        paid = len(a.requests)
    with FakeOpenAI() as a, FakeOpenAI() as b:
        make(recipe_of(entries(a.url, b.url)), tmp_path / "out")
        again = len(a.requests)
    with FakeOpenAI() as a, FakeOpenAI() as b:
        make(recipe_of(entries(a.url, b.url)), tmp_path / "calm")
        assert again <= len(a.requests) - paid + 1, "replies of the other model are kept"
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "calm")


def test_a_slow_model_does_not_keep_rows_of_the_other_from_being_written(tmp_path: Path) -> None:
    """All rows of the fast model are written while the slow one answers none."""
    with FakeOpenAI() as a, FakeOpenAI(faults=[Fault("hang", times=None)]) as b:
        recipe = recipe_of(entries(a.url, b.url, concurrency=2), {"depth": "none", "rows": 80})

        def release(status: Any) -> None:
            if len(a.requests) >= 60:
                b.released.set()

        progress = Recorder(release)
        generate(recipe, tmp_path / "out", progress=progress)
        assert len(a.requests) == 60 and len(b.requests) == 20
    assert {load.model for status in progress.statuses for load in status.models} == {"a", "b"}


def test_one_budget_counts_each_model_at_its_own_price(tmp_path: Path) -> None:
    with FakeOpenAI() as a, FakeOpenAI() as b:
        changes = {"prices": PRICES, "rows": 40, "depth": "none"}
        models = entries(a.url, b.url, concurrency=1)
        make(recipe_of(models, changes), tmp_path / "whole")
        cost = manifest_of(tmp_path / "whole")["usage"]["cost"]
        sent = len(a.requests) + len(b.requests)
        for bound in (0.6 * cost, 0.8 * cost):
            progress = Recorder()
            with pytest.raises(BudgetError, match=r"the budget is spent: .* in cost"):
                generate(recipe_of(models, changes, {"budget.max_cost": bound}), tmp_path / "out", progress=progress)
            spent = progress.statuses[-1].cost
            assert spent is not None and 0 < spent <= bound
        make(recipe_of(models, changes, {"budget.max_cost": 10 * cost}), tmp_path / "out")
        assert len(a.requests) + len(b.requests) == 2 * sent, "no reply is paid for twice"
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "whole")


def test_each_model_has_headers_and_limits_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "key-of-all-endpoints")
    monkeypatch.setenv("TOKEN_OF_B", "token-of-b-0123456789")
    with FakeOpenAI() as a, FakeOpenAI(secrets={"x-token": "token-of-b-0123456789"}) as b:
        models = entries(a.url, b.url)
        models[0]["concurrency"], models[1]["concurrency"] = 1, 3
        models[1]["headers"] = {"X-Token": "${TOKEN_OF_B}"}
        make(recipe_of(models), tmp_path / "out")
        assert {headers.get("x-token") for headers in a.headers} == {None}
        assert {headers["authorization"] for headers in a.headers + b.headers} == {"Bearer key-of-all-endpoints"}
        assert a.most_in_flight <= 1 and b.most_in_flight <= 3
    for file in (tmp_path / "out").rglob("*"):
        assert file.is_dir() or b"token-of-b-0123456789" not in file.read_bytes()
        assert file.is_dir() or a.url.encode() not in file.read_bytes()


def test_a_missing_variable_names_the_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_TOKEN", raising=False)
    models = entries("http://127.0.0.1:1/v1", "http://127.0.0.1:1/v1")
    models[1]["headers"] = {"X-Token": "${NO_SUCH_TOKEN}"}
    with pytest.raises(BackendError, match=r"^backend\.1 \(openai b\): .*NO_SUCH_TOKEN"):
        make(recipe_of(models), tmp_path / "out")


def test_fewer_rows_than_models_are_refused_but_previewed(tmp_path: Path) -> None:
    with FakeOpenAI() as a, FakeOpenAI() as b:
        recipe = recipe_of(entries(a.url, b.url), {"rows": 1, "emotions": ["joy"]})
        with pytest.raises(RecipeError, match=re.escape("backend.1: b gets none of 1 rows of 1 emotions")):
            make(recipe, tmp_path / "out")
        assert len(preview(recipe, 1)) == 1


def test_a_model_of_useless_replies_ends_the_run_and_is_named(tmp_path: Path) -> None:
    with FakeOpenAI() as a, FakeOpenAI(faults=[Fault("refusal", times=None)]) as b:
        with pytest.raises(GenerationError, match=r"by model: b \d+\)"):
            make(recipe_of(entries(a.url, b.url), {"depth": "none", "rows": 80}), tmp_path / "out")
        assert len(b.requests) < 60, "the run does not pay for more attempts than show that it is hopeless"


def test_an_interrupt_keeps_the_replies_of_both_models(tmp_path: Path) -> None:
    with FakeOpenAI(latency=0.01) as a, FakeOpenAI(latency=0.01) as b:
        recipe = recipe_of(entries(a.url, b.url, concurrency=2))

        def stop(status: Any) -> None:
            if status.accepted >= 4:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            generate(recipe, tmp_path / "out", progress=Recorder(stop))
        paid = len(a.requests) + len(b.requests)
        make(recipe, tmp_path / "out")
        total = len(a.requests) + len(b.requests)
    with FakeOpenAI() as a, FakeOpenAI() as b:
        make(recipe_of(entries(a.url, b.url)), tmp_path / "calm")
        assert paid >= 4 and total == len(a.requests) + len(b.requests)
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "calm")
