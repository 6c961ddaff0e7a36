"""Recipes of every kind, filled in parts: the release of one process, from the journal of all."""

import json
import random
import re
from collections.abc import Mapping
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from personagen.builder.core.errors import BudgetError, FolderError, MissingReplyError
from personagen.builder.generate import generate
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.recipe.parsing import parse_recipe
from personagen.builder.segments.part_watch import WaitingTimes
from tests.helpers.flow import (
    LAYERED,
    PLAIN,
    Recorder,
    bytes_of,
    make,
    recipe_for,
    refusals,
    rejects_of,
    seed_of,
    wait_until,
    without_port,
)
from tests.helpers.parts.workers import fill_part, fill_parts, headers_of, repeats
from tests.helpers.servers.fake_openai import FakeOpenAI, Fault, sentences

SAMPLED = LAYERED | {"elaborate.situational": "sampled", "elaborate.sociocultural": "sampled"}
PAIRS = {"counterfactual.attributes.gender": ["woman", "man"], "counterfactual.pairs": 6}

RECIPES: dict[str, dict[str, Any]] = {
    "depth none": PLAIN | {"rows": 30},
    "ablations": LAYERED | {"rows": 20, "ablations": ["none", "demographic"]},
    "counterfactuals": LAYERED | {"rows": 20, **PAIRS},
    "batches": LAYERED | {"rows": 20, "batches": [{"joy": 6, "anger": 6}, {"joy": 5, "anger": 3}]},
    "own situations": SAMPLED | {"rows": 20, "situations_per_persona": 3, "shard_rows": 4},
    "styles": LAYERED | {"rows": 14, "expression": {"named": 0.5, "shown": 0.5}},
}


def check_parts(folder: Path, recipe: Mapping[str, Any], parts: int, faults: list[Fault]) -> None:
    """Fill a recipe in parts, and compare the release with that of one process; it is written without a call."""
    with FakeOpenAI(faults=faults) as server:
        make(recipe_for(server.url, recipe), folder / "calm")
        once = len(server.requests)
    with FakeOpenAI(faults=faults) as server:
        fill_parts(recipe_for(server.url, recipe), parts, folder)
        assert repeats(server.requests) == 0
        filled = len(server.requests)
        generate(recipe_for(server.url, recipe), folder / "out", journals=str(folder / "journals"))
        assert len(server.requests) - filled <= 3, "only texts that repeat one of another part"
        assert once - 3 <= len(server.requests) <= once + 2 * parts
    assert bytes_of(folder / "out") == bytes_of(folder / "calm")
    assert without_port(rejects_of(folder / "out")) == without_port(rejects_of(folder / "calm"))


SLOW = ("ablations", "batches", "own situations", "styles")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in RECIPES]
)
def test_a_recipe_is_filled_in_parts(tmp_path: Path, name: str) -> None:
    check_parts(tmp_path, RECIPES[name], 3, refusals())


def test_an_interrupted_thought_is_in_two_segments_and_joined_in_one_way(tmp_path: Path) -> None:
    """A reply that was cut before its content, and the one with more room, have the same key."""
    thought = {"message": {"content": None, "reasoning_content": "Hm."}, "finish_reason": "length"}
    body = {"choices": [thought], "usage": {"prompt_tokens": 9, "completion_tokens": 400}}
    seeds = [seed_of(id_, 0) for id_ in ("joy-000001", "joy-000005", "anger-000002")]

    def faults() -> list[Fault]:
        return [Fault("status", seed=seed, status=200, body=body, times=1) for seed in seeds]

    with FakeOpenAI(faults=faults()) as server:
        recipe = recipe_for(server.url, PLAIN, {"rows": 12, "backend.concurrency": 2})
        make(recipe, tmp_path / "calm")
        once = len(server.requests)
    with FakeOpenAI(faults=faults()) as server:
        recipe = recipe_for(server.url, PLAIN, {"rows": 12, "backend.concurrency": 2})
        fill_parts(recipe, 2, tmp_path)
        generate(recipe, tmp_path / "out", journals=str(tmp_path / "journals"), calls=False)
        assert len(server.requests) == once == 15
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "calm")


@pytest.mark.slow
def test_labels_are_checked_by_workers_as_by_one_process(tmp_path: Path) -> None:
    """Texts that the classifier takes for another emotion are requested again by the worker, not at the join."""
    pytest.importorskip("sentence_transformers")
    reference = tmp_path / "real.csv"
    texts = [sentences(random.Random(number)) for number in range(120)]  # labelled at random, so that many are rejected
    lines = [f'"{text}",{"joy" if number % 2 else "anger"}' for number, text in enumerate(texts)]
    reference.write_text("text,label\n" + "\n".join(lines), encoding="utf-8")
    checks = {"checks.label": "reject", "checks.label_reference": str(reference), "checks.attempts": 60}
    with FakeOpenAI() as server:
        recipe = recipe_for(server.url, PLAIN, {"rows": 16}, checks)
        make(recipe, tmp_path / "calm")
        once = len(server.requests)
        assert any(reject["reason"] == "label" for reject in rejects_of(tmp_path / "calm"))
        fill_parts(recipe, 2, tmp_path)
        assert len(server.requests) == 2 * once
        generate(recipe, tmp_path / "out", journals=str(tmp_path / "journals"), calls=False)
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "calm")


def test_several_models_are_filled_in_parts(tmp_path: Path) -> None:
    def recipe(a: str, b: str) -> Recipe:
        models = [{"kind": "openai", "model": name, "base_url": url} for name, url in (("a", a), ("b", b))]
        return parse_recipe("", "test", LAYERED | {"rows": 24, "backend": models})

    with FakeOpenAI() as a, FakeOpenAI() as b:
        make(recipe(a.url, b.url), tmp_path / "calm")
        sent = len(a.requests), len(b.requests)
    with FakeOpenAI() as a, FakeOpenAI() as b:
        fill_parts(recipe(a.url, b.url), 3, tmp_path)
        assert (len(a.requests), len(b.requests)) == sent
        generate(recipe(a.url, b.url), tmp_path / "out", journals=str(tmp_path / "journals"), calls=False)
        assert (len(a.requests), len(b.requests)) == sent
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "calm")


def test_personas_of_a_table_are_filled_in_parts_and_another_table_is_refused(tmp_path: Path) -> None:
    people = tmp_path / "people.csv"
    people.write_text(
        "persona\n" + "\n".join(f"Person {number} mends clocks." for number in range(40)), encoding="utf-8"
    )
    source = {"personas.source": str(people), "situations_per_persona": 1, "rows": 12}
    with FakeOpenAI() as server:
        recipe = recipe_for(server.url, LAYERED, source)
        make(recipe, tmp_path / "calm")
        fill_parts(recipe, 2, tmp_path)
        generate(recipe, tmp_path / "out", journals=str(tmp_path / "journals"), calls=False)
        assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "calm")
        people.write_text(
            "persona\n" + "\n".join(f"Person {number} keeps bees." for number in range(40)), encoding="utf-8"
        )
        other = recipe_for(server.url, LAYERED, source)
        with pytest.raises(FolderError, match=r"is of other(?: prompts, tables or personas|.* recipe)"):
            generate(other, tmp_path / "other", journals=str(tmp_path / "journals"), calls=False)


def test_an_appended_batch_is_filled_in_parts(tmp_path: Path) -> None:
    """The recipe states the batches of the release that `--append` makes."""
    counts = {"joy": 7, "anger": 7}
    with FakeOpenAI() as server:
        make(recipe_for(server.url, LAYERED, {"quotas": counts}), tmp_path / "calm")
        make(recipe_for(server.url, LAYERED, {"quotas": counts}), tmp_path / "out")
        larger = recipe_for(server.url, LAYERED, {"rows": 24, "quotas": {"joy": 12, "anger": 12}})
        generate(larger, tmp_path / "calm", append=True)
        batches = recipe_for(server.url, LAYERED, {"rows": 24, "batches": [counts, {"joy": 5, "anger": 5}]})
        fill_parts(batches, 2, tmp_path)
        sent = len(server.requests)
        generate(larger, tmp_path / "out", append=True, journals=str(tmp_path / "journals"), calls=False)
        assert len(server.requests) == sent
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "calm")


INVENTED = SAMPLED | {"rows": 20, "events.invent.per_emotion": 4, "splits": {"train": 1, "validation": 0, "test": 0}}


def test_part_0_invents_the_events_and_the_others_wait_for_them(tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        make(recipe_for(server.url, INVENTED), tmp_path / "calm")
        once = len(server.requests)
    with FakeOpenAI() as server:
        recipe = recipe_for(server.url, INVENTED)
        progress, done = Waiting(), []
        waiting = Thread(
            target=lambda: done.append(fill_part(recipe, "1/2", tmp_path, progress, waiting=WaitingTimes(0.01)))
        )
        waiting.start()
        assert progress.waits.wait(60) and not done
        assert server.requests == [], "a part that waits asks for nothing"
        assert [header.work.state for header in headers_of(tmp_path / "journals")] == ["begun"]
        fill_part(recipe, "0/2", tmp_path)
        waiting.join()
        assert progress.steps.count("waiting for the events that part 0/2 invents") == 1
        assert len(done) == 1 and repeats(server.requests) == 0 and len(server.requests) <= once
        generate(recipe, tmp_path / "out", journals=str(tmp_path / "journals"))
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "calm")
    replies = [header.work.replies for header in headers_of(tmp_path / "journals")]
    assert sum(replies) == len({json.dumps(body, sort_keys=True) for body in server.requests}), "none is shipped twice"


LACKS = "and {} lacks the events that it invents for all parts; run it, then this command again"


def test_parts_that_wait_for_the_events_of_a_part_that_has_stopped_end(tmp_path: Path) -> None:
    journals = tmp_path / "journals"
    with FakeOpenAI() as server:
        recipe = recipe_for(server.url, INVENTED)
        with pytest.raises(BudgetError):
            fill_part(recipe_for(server.url, INVENTED, {"budget.max_tokens": 1_000}), "0/2", tmp_path)
        sent = len(server.requests)
        wanted = f"part 0/2 has stopped, {LACKS.format(journals)}"
        with pytest.raises(MissingReplyError, match=f"^{re.escape(wanted)}$"):
            fill_part(recipe, "1/2", tmp_path, waiting=WaitingTimes(0.01, stopped_s=0.1))
        assert len(server.requests) == sent
        assert [header.work.state for header in headers_of(journals)][-2:] == ["begun", "stopped"]
        fill_parts(recipe, 2, tmp_path)
        generate(recipe, tmp_path / "out", journals=str(journals), calls=False)


def test_parts_that_wait_for_the_events_of_a_part_that_never_begins_end(tmp_path: Path) -> None:
    wanted = f"part 0/2 has shipped nothing for 0:00:00, {LACKS.format(tmp_path / 'journals')}"
    recipe = recipe_for("http://127.0.0.1:9/v1", INVENTED)
    with pytest.raises(MissingReplyError, match=f"^{re.escape(wanted)}$"):
        fill_part(recipe, "1/2", tmp_path, waiting=WaitingTimes(0.01, silent_s=0.0))


def test_a_store_that_cannot_be_read_for_a_while_does_not_end_a_part_that_waits(tmp_path: Path) -> None:
    journals = tmp_path / "journals"
    with FakeOpenAI() as server:
        recipe = recipe_for(server.url, INVENTED)
        progress, done = Waiting(), []
        waiting = Thread(target=lambda: done.append(fill_part(recipe, "1/2", tmp_path, progress, waiting=SOON)))
        waiting.start()
        assert progress.waits.wait(60)
        journals.rename(tmp_path / "away")
        journals.write_text("in the way")
        wait_until(lambda: bool(progress.warnings))
        journals.unlink()
        (tmp_path / "away").rename(journals)
        fill_part(recipe, "0/2", tmp_path)
        waiting.join()
    (line,) = progress.warnings
    assert len(done) == 1 and re.fullmatch(
        rf"cannot read the segments in {journals}: .*; it is tried again meanwhile", line
    )


SOON = WaitingTimes(0.01)


class Waiting(Recorder):
    """A receiver of progress that notices when a part waits."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[str] = []
        self.waits = Event()

    def step(self, name: str) -> None:
        self.steps.append(name)
        if name.startswith("waiting for"):
            self.waits.set()


def test_more_parts_in_the_middle_pay_for_nothing_again(tmp_path: Path) -> None:
    """Parts of 4, of which some are filled, and then parts of 6."""
    with FakeOpenAI() as server:
        make(recipe_for(server.url, ROWS), tmp_path / "calm")
    with FakeOpenAI() as server:
        recipe = recipe_for(server.url, ROWS)
        for part in ("1/4", "2/4"):
            fill_part(recipe, part, tmp_path)
        fill_parts(recipe, 6, tmp_path)
        assert repeats(server.requests) == 0
        generate(recipe, tmp_path / "out", journals=str(tmp_path / "journals"))
        assert repeats(server.requests) == 0
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "calm")


ROWS = LAYERED | {"rows": 32, "situations_per_persona": 2}


def test_what_is_missing_is_named_by_emotion_and_part(tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        recipe = recipe_for(server.url, ROWS)
        for part in ("0/4", "3/4"):
            fill_part(recipe, part, tmp_path)
        wanted = (
            r"the journal lacks replies for \d+ or more of 32 texts \(anger \d+, joy \d+; by part: 1/4 \d+, 2/4 \d+\); "
            "fill the parts with personagen fill, or leave --no-calls out, which requests them"
        )
        sent = len(server.requests)
        with pytest.raises(MissingReplyError, match=wanted):
            generate(recipe, tmp_path / "out", journals=str(tmp_path / "journals"), calls=False)
        assert len(server.requests) == sent and not (tmp_path / "out").exists()
        with pytest.raises(
            FolderError, match=r"there is no segment in .*none; fill parts of the recipe with personagen fill"
        ):
            generate(recipe, tmp_path / "out", journals=str(tmp_path / "none"), calls=False)
