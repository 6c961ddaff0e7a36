"""An arm of `compare` is a recipe: `generate` of it writes the texts of the arm, and sends the same requests."""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from personagen.builder.core.errors import RecipeError
from personagen.builder.core.progress import SILENT
from personagen.builder.evaluation.arms import (
    ARMS,
    ArmSetting,
    WrittenArm,
    arm_recipe,
    best_arm,
    ordered_arms,
    part_recipes,
    plan_arms,
    recipe_text,
    require_real_texts,
    write_arms,
)
from personagen.builder.evaluation.arms.recipes import ARM_RECIPES
from personagen.builder.llm import connect, start_engine
from personagen.builder.planning.real_texts import divide
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.recipe.parsing import parse_recipe
from personagen.metrics.texts.reference import load_reference
from tests.helpers.flow import make, texts_of
from tests.helpers.real_texts import corpus_of, write_reference
from tests.helpers.servers.fake_openai import FakeOpenAI

OPENAI = {"emotions": ["joy", "anger"], "backend.kind": "openai", "backend.model": "fake-1"}

AT_61CA250 = {
    "none": (16, "cba79c91f61a6797"),
    "none:verbalized": (16, "12b9940eca836e32"),
    "few-shot": (16, "3882118f2912ffde"),
    "few-shot:verbalized": (16, "229c3dff836c1bc3"),
    "paraphrase": (16, "438176c324f4a931"),
    "paraphrase:verbalized": (16, "67dd8b8b65d12155"),
}
"""Number and hash of the requests of arms without personas when no recipe could ask for examples (commit 61ca250).

The tables of personas have changed since then; the examples of `full+real` are those of `few-shot`."""


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_reference(tmp_path_factory.mktemp("reference") / "real.jsonl")


def settings_of(recipe: Recipe, reference: Path, seeds: int = 2) -> list[ArmSetting]:
    whole = load_reference(str(reference))
    rows = divide(whole, list(recipe.quota()))[0]
    pool = corpus_of([whole.texts[row] for row in rows], [(whole.labels or [])[row] for row in rows])
    return [plan_arms(part, pool, str(reference)) for part in part_recipes(recipe, 8 * seeds, seeds)]


async def written(recipe: Recipe, settings: Sequence[ArmSetting], arms: Sequence[str]) -> list[dict[str, WrittenArm]]:
    starting = start_engine(
        connect(recipe.backend, None, "key"), None, settings=recipe.backend, limits=recipe.budget, price=None
    )
    async with starting as engine:
        return await write_arms(engine, settings, arms, SILENT)


def requests_of(server: FakeOpenAI) -> list[str]:
    return sorted(json.dumps(body, sort_keys=True) for body in server.requests)


@pytest.mark.parametrize("arm", AT_61CA250)
def test_requests_of_arms_are_those_before_arms_were_recipes(arm: str, reference: Path) -> None:
    with FakeOpenAI() as server:
        recipe = parse_recipe("", "r", OPENAI | {"backend.base_url": server.url})
        asyncio.run(written(recipe, settings_of(recipe, reference), [arm]))
        bodies = requests_of(server)
    assert (len(bodies), hashlib.sha256("\n".join(bodies).encode()).hexdigest()[:16]) == AT_61CA250[arm]


@pytest.mark.parametrize("suffix", ["", ":verbalized"])
@pytest.mark.parametrize("name", ARM_RECIPES)
def test_generate_of_the_recipe_of_an_arm_writes_its_texts(
    name: str, suffix: str, reference: Path, tmp_path: Path
) -> None:
    """From the file of the recipe, by requests that are equal one by one."""
    arm = name + suffix
    with FakeOpenAI() as server:
        recipe = parse_recipe("", "r", OPENAI | {"backend.base_url": server.url, "text.language": None})
        settings = settings_of(recipe, reference, seeds=1)
        expected = asyncio.run(written(recipe, settings, [arm]))[0][arm]
        theirs = requests_of(server)
        asked = len(server.requests)
        own = arm_recipe(arm, settings[0].recipe, str(reference))
        assert own is not None
        read = parse_recipe(recipe_text(own, ["a\nb"]), "r", folder=tmp_path)
        assert read == own
        make(read, tmp_path / "out")
        ours = sorted(json.dumps(body, sort_keys=True) for body in server.requests[asked:])
    assert ours == theirs
    rows = {row["id"]: row for row in texts_of(tmp_path / "out")}
    assert {text.id: text.text for text in expected.texts} == {id_: row["text"] for id_, row in rows.items()}
    seen = {id_: row["provenance"].get("real_texts") for id_, row in rows.items()}
    assert {text.id: text.real_texts for text in expected.texts} == seen


def test_the_embedded_model_continues_the_same_lists_and_beginnings(reference: Path) -> None:
    """Requests of both ways, without a model: those of all rows are equal."""
    from personagen.builder.llm.requests import Ask, Reply, Request
    from personagen.builder.planning.plan import make_plan
    from personagen.builder.writing.rows import RowWriter

    recipe = parse_recipe("", "r", {"emotions": ["joy", "anger"], "checks.attempts": 1})
    (setting,) = settings_of(recipe, reference, seeds=1)

    def requests(own: Recipe) -> list[Request]:
        sent: list[Request] = []

        async def ask(request: Request) -> Reply:
            sent.append(request)
            return Reply((), 0, 0)

        def ask_of(priority: int, stage: str, model: int) -> Ask:
            return ask

        async def write() -> None:
            plan = make_plan(own)
            writer = RowWriter(plan, ask_of, models=["m"])
            for shard in plan.shards():
                for row in plan.rows(shard):
                    await writer.write(row, priority=0)

        asyncio.run(write())
        return sent

    for name in ARM_RECIPES:
        task, own = ARMS[name](setting), arm_recipe(name, setting.recipe, setting.source)
        assert not isinstance(task, list) and own is not None and task.grounding is None
        assert requests(task.recipe) == requests(parse_recipe(recipe_text(own, []), "r"))


def test_arms_without_a_recipe_are_real_texts_and_the_one_that_repeats_lengths_of_others() -> None:
    recipe = parse_recipe("", "r", OPENAI)
    assert {name for name in ARMS if arm_recipe(name, recipe, "goemotions") is None} == {
        "none-lengthmatched",
        "retrieval",
        "real",
    }


def test_files_of_the_base_recipe_are_in_no_arm(tmp_path: Path) -> None:
    (tmp_path / "e.tsv").write_text("label\ttext\njoy\tOh what a day\n", encoding="utf-8")
    recipe = parse_recipe("", "r", OPENAI | {"text.examples": str(tmp_path / "e.tsv")})
    for name in ARM_RECIPES:
        own = arm_recipe(name, recipe, "goemotions")
        assert own is not None and own.text.examples is None
    grounded = part_recipes(parse_recipe("", "r", OPENAI | {"grounding.verbalized": True}), 8, 1)[0]
    assert grounded.grounding is None


def test_the_best_arm_has_a_recipe_and_shows_its_treatment() -> None:
    utility = {"real": 0.9, "none": 0.4, "situational": 0.5, "few-shot": 0.5, "none-lengthmatched": 0.8}
    tokens = {"real": 0.0, "none": 90.0, "situational": 300.0, "few-shot": 200.0, "none-lengthmatched": 90.0}
    assert best_arm(utility, tokens, set()) == "few-shot"
    assert best_arm(utility, tokens, {"few-shot"}) == "situational"
    assert best_arm(utility, tokens, {"few-shot", "situational"}) == "none"
    assert best_arm({"real": 0.9}, tokens, set()) is None


def test_too_few_texts_and_sampling_that_the_model_cannot_follow_are_refused_first(
    reference: Path,
) -> None:
    recipe = parse_recipe("", "r", {"emotions": ["joy", "anger"]})
    parts = part_recipes(recipe, 400, 1)
    with pytest.raises(RecipeError, match=r"^grounding.paraphrase: real.jsonl has 30 texts of .*, wanted one for each"):
        require_real_texts(ordered_arms(["paraphrase"], styled=True), parts, str(reference))
    with pytest.raises(RecipeError, match=r"^arm 'none:verbalized': the embedded model cannot list texts with their"):
        require_real_texts(["none:verbalized"], parts, str(reference))
