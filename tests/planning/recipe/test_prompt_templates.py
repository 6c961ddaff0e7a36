"""Templates that a recipe uses, and those that would have no effect."""

from pathlib import Path
from typing import Any

import pytest

from personagen.builder.core.errors import RecipeError
from personagen.builder.planning.recipe.parsing import parse_recipe, read_recipe
from personagen.builder.planning.recipe.prompt_templates import used_templates
from personagen.builder.planning.recipe.recipe_files import with_copies
from personagen.builder.prompts import planned_requests
from tests.helpers.releasing import ROOT

OPENAI = "backend: {kind: openai, model: m}\n"
EXAMPLES = Path(__file__).with_name("examples.tsv")


@pytest.mark.parametrize(
    ("text", "used"),
    [
        ("", ("_layers", "styled_continuation")),
        ("expression: shown", ("_layers", "continuation")),
        (OPENAI, ("_layers", "sociocultural", "situational", "styled")),
        (OPENAI + "expression: shown\nelaborate: {demographic: llm, sociocultural: sampled}",
         ("_layers", "demographic", "situational", "expression")),
        (OPENAI + "depth: none", ("_layers", "styled")),
        (OPENAI + "depth: none\nablations: [demographic]\nelaborate: {demographic: llm}",
         ("_layers", "demographic", "styled")),
        (f"depth: none\nemotions: [joy]\ntext: {{examples: {EXAMPLES}}}", ("_layers", "styled_continuation", "list")),
        ("depth: none\ngrounding: {paraphrase: {source: goemotions}}", ("_layers", "styled_continuation", "list")),
        ("depth: none\ngrounding: {examples: {source: goemotions}}", ("_layers", "styled_continuation", "list")),
        ("grounding: {examples: {source: goemotions}}", ("_layers", "styled_continuation")),
    ],
)  # fmt: skip
def test_templates_that_a_recipe_uses(text: str, used: tuple[str, ...]) -> None:
    assert used_templates(parse_recipe(text, "r")) == used


@pytest.mark.parametrize(
    ("text", "template", "problem"),
    [
        (OPENAI, "expression", r"is for texts with neither style nor expression, of models .*, and "
         r"this recipe uses _layers, sociocultural, situational, styled; name it styled$"),
        (OPENAI + "expression: shown", "styled", r"is for texts with a style or an .*; name it expression$"),
        (OPENAI, "demographic", r"is for prose that the model does not write here; see elaborate and depth, "),
        (OPENAI + "depth: none", "situational", r"is for prose that the model does not write here"),
        (OPENAI, "continuation", r"is for texts with neither style nor .*, of the embedded model, .*; name it styled$"),
        ("", "styled", r"is for texts with a style or an .* uses _layers, styled_continuation; name it style"),
        ("", "situational", r"is for prose that the model does not write here"),
        ("", "list", r"is for the embedded model at depth none with text\.examples or grounding, .*; leave it out$"),
        ("", "_further", r"is for personas with further attributes, where a template calls `layer`"),
    ],
)  # fmt: skip
def test_a_template_without_effect_is_refused(text: str, template: str, problem: str, tmp_path: Path) -> None:
    source = (ROOT / "builder" / "templates" / f"{template}.md").read_text(encoding="utf-8")
    (tmp_path / f"{template}.md").write_text(source + "{#- changed -#}", encoding="utf-8")
    for prompts in (str(tmp_path), {template: str(tmp_path / f"{template}.md")}):
        with pytest.raises(RecipeError, match=rf"^r: prompts\.{template}: {template}\.md would have no effect: the .*"):
            parse_recipe(text, "r", {"prompts": prompts})
        with pytest.raises(RecipeError, match=problem):
            parse_recipe(text, "r", {"prompts": prompts})
    (tmp_path / f"{template}.md").write_text(source, encoding="utf-8")
    parse_recipe(text, "r", {"prompts": str(tmp_path)})


def test_macros_that_no_template_calls_are_refused(tmp_path: Path) -> None:
    for name in ("_layers", "styled_continuation"):
        source = (ROOT / "builder" / "templates" / f"{name}.md").read_text(encoding="utf-8")
        (tmp_path / f"{name}.md").write_text(source + "{#- changed -#}", encoding="utf-8")
    parse_recipe("", "r", {"prompts": str(tmp_path)})
    (tmp_path / "styled_continuation.md").write_text("{% block user %}Write {{ form }}.{% endblock %}")
    with pytest.raises(RecipeError, match=r"the template is called by none of the recipe's templates, and this recipe"):
        parse_recipe("", "r", {"prompts": str(tmp_path)})


@pytest.mark.parametrize("value", [3, ["a.md"], {"styled": 3}, {"styled": [3]}, {"styled": {"a": "b"}}])
def test_a_value_of_another_type(value: Any) -> None:
    with pytest.raises(RecipeError, match=r"^r: prompts[^\n]*: got .*, wanted "):
        parse_recipe(OPENAI, "r", {"prompts": value})


def test_paths_are_relative_to_the_recipe_and_the_fingerprint_has_names_and_contents(tmp_path: Path) -> None:
    source = (ROOT / "builder" / "templates" / "styled.md").read_text(encoding="utf-8")
    fingerprints = set()
    for folder in ("one", "two"):
        (tmp_path / folder / "own").mkdir(parents=True)
        (tmp_path / folder / "own" / "styled.md").write_text(source)
        (tmp_path / folder / "recipe.yaml").write_text(f"{OPENAI}prompts: own")
        (tmp_path / folder / "files.yaml").write_text(f"{OPENAI}prompts: {{styled: own/styled.md}}")
        fingerprints |= {read_recipe(tmp_path / folder / name).fingerprint() for name in ("recipe.yaml", "files.yaml")}
    assert len(fingerprints) == 1
    (tmp_path / "two" / "own" / "styled.md").write_text(source + "\n")
    assert read_recipe(tmp_path / "two" / "recipe.yaml").fingerprint() not in fingerprints


def test_a_run_has_copies_of_the_templates(tmp_path: Path) -> None:
    recipe = read_recipe(ROOT / "recipes" / "wordings.yaml")
    held = with_copies(recipe, tmp_path)
    assert held.fingerprint() == recipe.fingerprint() and held.wordings() == recipe.wordings()
    assert held.prompts != recipe.prompts and str(tmp_path) in str(held.prompts)
    assert [file.content for file in held.prompt_files()] == [file.content for file in recipe.prompt_files()]


def test_the_prompt_that_asks_for_work_and_country_is_rendered_for_every_depth() -> None:
    recipe = read_recipe(ROOT / "recipes" / "felt.yaml")
    [planned, *_] = [one for one in planned_requests(recipe, 3) if one.stage == "expression"]
    system, user = planned.request.messages
    assert system.content.startswith("You are ") and "You write in " in system.content
    assert "Mention something from your " in user.content and "something that is only in " in user.content
    bare = recipe.model_copy(update={"depth": "none"})
    [planned, *_] = planned_requests(bare, 1)
    assert planned.request.messages[0].content.startswith("You write texts as real people write them.")
    assert "None" not in planned.request.messages[1].content and "Mention" not in planned.request.messages[1].content


def test_a_template_that_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "styled.md"
    path.write_text("{% block user %}a{% endblock %}")
    recipe = parse_recipe(OPENAI, "r", {"prompts": {"styled": str(path)}})
    path.unlink()
    with pytest.raises(RecipeError, match=r"^prompts: cannot read '.*styled\.md' \(No such file or directory\); check"):
        recipe.fingerprint()
