"""Releases of recipes with channels and events of their own, from the requests to the card."""

import random
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from personagen.builder.core.errors import AllRejectedError, BudgetError, RecipeError
from personagen.builder.estimate import estimate
from personagen.builder.export.export import export
from personagen.builder.generate import generate
from personagen.builder.planning.plan import make_plan
from personagen.builder.planning.recipe.parsing import parse_recipe, read_recipe
from personagen.builder.planning.recipe.recipe_files import with_copies
from personagen.builder.preview import preview
from personagen.builder.prompts import planned_requests
from tests.helpers.batch_runs import make_by_batches
from tests.helpers.flow import (
    LAYERED,
    bytes_of,
    command,
    journalled_texts,
    make,
    recipe_for,
    refusals,
    rejects_of,
    rows_of,
    run_command,
    texts_of,
    without_port,
    write_recipe,
)
from tests.helpers.processes.forked import ForkedProcess
from tests.helpers.releasing import manifest_of
from tests.helpers.servers.fake_batches import FakeBatches
from tests.helpers.servers.fake_openai import FakeOpenAI, Fault, contents

SAMPLED = LAYERED | {"elaborate.situational": "sampled", "elaborate.sociocultural": "sampled"}
CHANNELS: dict[str, Any] = {
    "support mail": {"text": "an email to a company's support", "to": "a stranger", "share": 3, "max_words": 60},
    "note": {"text": "a note", "share": 1},
}
INVENTED = SAMPLED | {"rows": 40, "events.invent.per_emotion": 12, "splits": {"train": 1, "validation": 0, "test": 0}}


def event_requests(server: FakeOpenAI) -> list[str]:
    prompts = [body["messages"][-1]["content"] for body in server.requests]
    return [prompt for prompt in prompts if prompt.startswith("List 10 different events")]


def test_channels_are_in_the_prompts_at_all_depths_and_counted_in_the_card(tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        out = tmp_path / "out"
        make(recipe_for(server.url, SAMPLED, {"channels": CHANNELS, "rows": 40, "ablations": ["none"]}), out)
        prompts = [body["messages"][-1]["content"] for body in server.requests]
    forms = Counter(re.findall(r"Write (.*?)\. It comes|Write (.*?)\.\nIt expresses", "\n".join(prompts)))
    mails = "an email to a company's support, addressed to a stranger"
    assert forms == {(mails, ""): 30, ("a note", ""): 10, ("", mails): 30, ("", "a note"): 10}
    assert sum("Length: 8 to 60 words" in prompt for prompt in prompts) == 60
    assert Counter(row["situational"]["channel"] for row in texts_of(out)) == {"support mail": 30, "note": 10}
    assert manifest_of(out)["composition"]["attributes"]["channel"] == {"note": 10, "support mail": 30}
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "| channel | support mail 75.0%; note 25.0% |" in card


def test_the_length_of_a_channel_is_that_of_its_texts(tmp_path: Path) -> None:
    """The server writes 15 to 40 words, so that no text of the short channel is accepted."""
    channels = {"mail": "an email", "note": {"text": "a note", "max_words": 14}}
    with FakeOpenAI() as server, pytest.raises(Exception, match=r"rows were given up .*length \d+"):
        make(recipe_for(server.url, SAMPLED, {"channels": channels, "checks.attempts": 2}), tmp_path / "out")
    assert {reject["reason"] for reject in rejects_of(tmp_path / "out")} == {"length"}


def test_an_exported_chat_asks_for_the_form_of_the_channel(tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        make(recipe_for(server.url, SAMPLED, {"channels": CHANNELS}), tmp_path / "out")
    export(tmp_path / "out", to="messages", out=tmp_path / "chat")
    lines = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "chat").rglob("*.jsonl"))
    assert "Write an email to a company's support, addressed to a stranger." in lines


def test_events_of_a_file_are_written_about_without_what_they_do_not_name(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text(
        "clause,places,times\nlosing keys on the stairs,,\nmissing a call,home,night\n", encoding="utf-8"
    )
    path, out = write_recipe(tmp_path, SAMPLED, {"events.file": str(tmp_path / "events.csv")}), tmp_path / "out"
    with FakeOpenAI() as server:
        recipe = read_recipe(path, {"backend.base_url": server.url})
        make(recipe, out)
        prompts = [body["messages"][-1]["content"] for body in server.requests]
        (tmp_path / "events.csv").unlink()
        assert "events.csv sha256:" in str(manifest_of(out)["recipe"]["events"])
    bare = [prompt for prompt in prompts if "losing keys" in prompt]
    assert bare and not any("Where" in prompt or "With the person" in prompt for prompt in bare)
    named = [prompt for prompt in prompts if "missing a call" in prompt]
    assert named and all("- Where and when: at home, late at night\n" in prompt for prompt in named)
    rows = texts_of(out)
    assert {row["situational"]["event_kind"] for row in rows} == {"own_00001", "own_00002"}
    assert {row["situational"]["place"] for row in rows} == {"home", "not given"}
    assert {"situational.companions", "situational.stakes"} <= set(manifest_of(out)["left_out"])
    assert manifest_of(out)["composition"]["events"] == 2
    assert rows_of(out, "situational")


def test_a_run_continues_from_a_copy_of_its_file_of_events(tmp_path: Path) -> None:
    events = tmp_path / "events.yaml"
    events.write_text("- losing keys on the stairs\n- missing the last bus home", encoding="utf-8")
    recipe = recipe_for("http://127.0.0.1:1/v1", SAMPLED, {"events.file": str(events)})
    before, held = recipe.fingerprint(), with_copies(recipe, tmp_path / "inputs")
    events.write_text("- finding keys on the stairs", encoding="utf-8")
    assert held.fingerprint() == before != recipe.fingerprint()
    lists = make_plan(held).events
    assert lists is not None and lists["joy"][0].clause == "losing keys on the stairs"


def test_the_model_invents_the_events_of_a_release(tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        recipe = recipe_for(server.url, INVENTED)
        manifest = make(recipe, tmp_path / "out").manifest
        assert len(event_requests(server)) == 4
        assert manifest["usage"]["requests"] == len(server.requests) == 44
    counts = Counter(row["situational"]["event_kind"] for row in texts_of(tmp_path / "out"))
    assert len(counts) == manifest["composition"]["events"] == 24 and max(counts.values()) == 2
    assert manifest["composition"]["most_frequent_event"]["texts"] == 2
    assert "events" in manifest["prompts"]["templates"]
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "The texts are about 24 different events, 1.67 texts per event on average; the most frequent one (" in card


def test_inventions_are_the_same_whatever_the_order_of_the_replies(tmp_path: Path) -> None:
    with FakeOpenAI(faults=refusals()) as server:
        for concurrency in (1, 16):
            make(recipe_for(server.url, INVENTED, {"backend.concurrency": concurrency}), tmp_path / f"out{concurrency}")
    assert bytes_of(tmp_path / "out1") == bytes_of(tmp_path / "out16")
    assert without_port(rejects_of(tmp_path / "out1")) == without_port(rejects_of(tmp_path / "out16"))


@pytest.mark.slow
def test_a_run_killed_while_events_are_invented_resumes_to_the_same_bytes(tmp_path: Path) -> None:
    path = write_recipe(tmp_path, INVENTED, {"backend.concurrency": 2, "events.invent.per_emotion": 20})
    calm, out, rng = tmp_path / "calm", tmp_path / "out", random.Random(3)
    with FakeOpenAI() as server:
        make(read_recipe(path, {"backend.base_url": server.url}), calm)
        undisturbed = len(server.requests)
    with FakeOpenAI(latency=0.02) as server:
        for kill in range(6):
            kept, start = journalled_texts(out, tmp_path), len(server.requests)
            with ForkedProcess(command(server.url, out, path)) as process:
                while len(server.requests) < start + 1 + kill and process.poll() is None:
                    time.sleep(0.002)
                time.sleep(rng.uniform(0, 0.05))
                process.kill()
            assert kept.isdisjoint({contents(body)[0] for body in server.requests[start:]})
        assert run_command(command(server.url, out, path)).returncode == 0
        assert len(server.requests) <= undisturbed + 6 * 4
    assert bytes_of(out) == bytes_of(calm)


def test_a_model_that_writes_prose_is_given_up_and_another_run_uses_what_it_has(tmp_path: Path) -> None:
    with FakeOpenAI(faults=[Fault("refusal", contains="List 10 different events")]) as server:
        with pytest.raises(AllRejectedError, match=r"invented 0 of 12 events of '\w+' in \d+ requests? \(refusal"):
            make(recipe_for(server.url, INVENTED), tmp_path / "out")
        assert 12 <= len(server.requests) <= 32
    assert not (tmp_path / "out").exists()


def test_no_rows_are_added_to_a_release_whose_events_are_invented(tmp_path: Path) -> None:
    """Their events depend on the number of rows, so that the texts that are there would change."""
    with FakeOpenAI() as server:
        make(recipe_for(server.url, INVENTED), tmp_path / "out")
        paid = len(server.requests)
        with pytest.raises(RecipeError, match=r"events.invent: got a recipe .*wanted other sources for --append"):
            generate(recipe_for(server.url, INVENTED, {"rows": 60}), tmp_path / "out", append=True)
        assert len(server.requests) == paid


def test_a_budget_holds_for_inventions(tmp_path: Path) -> None:
    with FakeOpenAI() as server, pytest.raises(BudgetError, match="the budget is spent"):
        make(recipe_for(server.url, INVENTED, {"budget.max_tokens": 1500}), tmp_path / "out")


def test_inventions_by_batches_are_those_of_single_requests(tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        make(recipe_for(server.url, INVENTED), tmp_path / "single")
    with FakeBatches() as server:
        make_by_batches(recipe_for(server.url, INVENTED, {"backend.kind": "batch"}), tmp_path / "batch")
        assert sum(len(batch.lines) for batch in server.batches) == 44
    single, batch = (
        [(row["id"], row["situational"], row["text"]) for row in texts_of(tmp_path / name)]
        for name in ("single", "batch")
    )
    assert single == batch


def test_the_estimate_of_inventions_is_that_of_a_run(tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        recipe = recipe_for(server.url, INVENTED)
        make(recipe, tmp_path / "out")
        expected = estimate(recipe)
    (stage,) = [stage for stage in expected.stages if stage.stage == "events"]
    assert (stage.requests, expected.total.requests) == (round(4 * 1.05), round(4 * 1.05) + round(40 * 1.05))
    assert 100 < stage.prompt_tokens / stage.requests < 400 and 100 < stage.completion_tokens / stage.requests < 300


def test_a_preview_invents_no_more_events_than_it_has_rows() -> None:
    with FakeOpenAI() as server:
        rows = preview(recipe_for(server.url, INVENTED), 4)
        assert len(event_requests(server)) == 2
    assert all(row.situational is not None and row.situational.event_kind.startswith("invented_") for row in rows)


def test_a_recipe_with_added_rows_is_previewed() -> None:
    batches = [{"joy": 1, "anger": 1}, {"joy": 2, "anger": 2}]
    with FakeOpenAI() as server:
        rows = preview(recipe_for(server.url, SAMPLED, {"rows": 6, "batches": batches}), 4)
    assert Counter(row.label for row in rows) == {"joy": 2, "anger": 2}


def test_planned_requests_show_that_of_the_events_and_a_stand_in_for_one() -> None:
    planned = planned_requests(recipe_for("http://127.0.0.1:1/v1", INVENTED), 2)
    events = [request for request in planned if request.stage == "events"]
    assert len(events) == 2 and all("List 10 different events" in str(request.request) for request in events)
    texts = [request for request in planned if request.stage == "expression"]
    assert len(texts) == 2 and all(request.stand_ins == ("events",) for request in texts)


def test_counterfactuals_keep_channel_and_invented_event(tmp_path: Path) -> None:
    changes = {"counterfactual": {"attributes": {"gender": ["woman", "man"]}, "pairs": 4}, "channels": CHANNELS}
    with FakeOpenAI() as server:
        make(recipe_for(server.url, INVENTED, changes), tmp_path / "out")
    originals = {row["id"]: row["situational"] for row in texts_of(tmp_path / "out")}
    changed = rows_of(tmp_path / "out", "counterfactual_gender")
    assert len(changed) == 4
    assert all(row["situational"] == originals[row["counterfactual_of"]] for row in changed)


@pytest.mark.slow
def test_ten_thousand_rows_of_an_emotion_have_five_thousand_events(tmp_path: Path) -> None:
    changes = {"rows": 10_000, "emotions": ["joy"], "events.invent.per_emotion": 5_000, "shard_rows": 10_000}
    with FakeOpenAI() as server:
        manifest = make(recipe_for(server.url, INVENTED, changes), tmp_path / "out").manifest
        assert len(event_requests(server)) < 600
    counts = Counter(row["situational"]["event"] for row in rows_of(tmp_path / "out", "joy"))
    assert len(counts) == manifest["composition"]["events"] == 5_000
    assert max(counts.values()) == 2


def test_recipes_of_the_embedded_model_take_channels_and_files_of_events(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp", reason="the embedded model needs its extra")
    (tmp_path / "e.yaml").write_text("- losing keys on the stairs\n- missing the last bus home", encoding="utf-8")
    text = "rows: 4\nemotions: [joy, anger]\nchannels: {note: a note}\nevents: {file: e.yaml}"
    rows = preview(parse_recipe(text, "r", folder=tmp_path), 4)
    assert {row.situational.channel for row in rows if row.situational} == {"note"}
