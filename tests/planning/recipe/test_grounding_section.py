"""The section `grounding` of a recipe: what it refuses, its fingerprint, and its paths."""

import json
from pathlib import Path

import pytest

from personagen.builder.core.errors import RecipeError
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.recipe.parsing import parse_recipe, read_recipe

OPENAI = {"backend.kind": "openai", "backend.model": "m"}
EXAMPLES = {"grounding.examples.source": "goemotions"}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"grounding": {}}, r"grounding: names nothing to do, wanted examples, paraphrase or verbalized; leave"),
        ({"grounding.seed": 3}, "grounding: names nothing to do"),
        ({"grounding.paraphrase": True, "depth": "none"}, "grounding: paraphrase: true takes the source of examples"),
        ({"grounding.paraphrase": False}, "grounding.paraphrase: got false, wanted "),
        (EXAMPLES | {"grounding.examples.count": 0}, r"grounding.examples.count: got 0, wanted greater than or equal"),
        (EXAMPLES | {"grounding.examples.count": 33}, r"grounding.examples.count: got 33, wanted less than or equal"),
        (EXAMPLES | {"grounding.examples.max_uses": 0}, r"grounding.examples.max_uses: got 0, wanted greater than"),
        ({"grounding.verbalized": True}, "grounding.verbalized: got true for the embedded model, which cannot list"),
        (
            {"grounding.paraphrase.source": "xed"},
            "grounding.paraphrase: got texts of depth 'situational', wanted",
        ),
        (
            {"grounding.paraphrase.source": "xed", "depth": "none", "ablations": ["demographic"]},
            "grounding.paraphrase: got texts of depth 'demographic', wanted depth: none",
        ),
        (EXAMPLES | {"license": "other", "license_name": "x", "grounding.examples.license": "cc"}, ""),
        (
            EXAMPLES | {"license": "cc-by-4.0", "grounding.examples.license": "cc-by-sa-4.0"},
            "grounding.examples: got real texts under cc-by-sa-4.0 for a release under cc-by-4.0, but cc-by-sa-4.0",
        ),
        (
            EXAMPLES | {"license": "cc-by-4.0", "grounding.examples.license": "cc-by-nc-4.0"},
            "cc-by-nc-4.0 forbids commercial use and cc-by-4.0 allows it; change `license`, or name another source",
        ),
        (
            EXAMPLES | {"license": "cc-by-4.0", "grounding.examples.license": "cc-by-nd-4.0"},
            "cc-by-nd-4.0 forbids adaptations",
        ),
        (EXAMPLES | {"license": "cc0-1.0"}, "but cc-by-4.0 asks for attribution and cc0-1.0 does not; change"),
        (EXAMPLES | {"license": "mit", "grounding.examples.license": "llama3"}, ""),
        (
            EXAMPLES | {"grounding.examples.license": "cc-by-4"},
            "grounding.examples.license: the Hub knows no 'cc-by-4', did you mean 'cc-by-4.0'",
        ),
    ],
)
def test_a_section_that_cannot_be_followed_is_refused_in_one_line(keys: dict[str, object], message: str) -> None:
    if not message:
        assert parse_recipe("", "r", keys).grounding
        return
    with pytest.raises(RecipeError, match=message) as caught:
        parse_recipe("", "r", keys)
    assert "\n" not in str(caught.value)


def test_examples_of_a_file_and_of_a_source_exclude_each_other(tmp_path: Path) -> None:
    (tmp_path / "e.tsv").write_text("label\ttext\njoy\tOh what a day\n", encoding="utf-8")
    with pytest.raises(RecipeError, match=r"text.examples and grounding.examples both show real texts; leave one"):
        parse_recipe("", "r", EXAMPLES | {"text.examples": str(tmp_path / "e.tsv")})


def test_a_release_keeps_a_licence_that_that_of_its_source_allows() -> None:
    same = {"license": "cc-by-sa-4.0", "grounding.examples.license": "cc-by-sa-3.0"}
    assert parse_recipe("", "r", EXAMPLES | same).license == "cc-by-sa-4.0"
    earlier = {"license": "cc-by-sa-3.0", "grounding.examples.license": "cc-by-sa-4.0"}
    with pytest.raises(RecipeError, match=r"cc-by-sa-4.0 must be kept by what builds on it"):
        parse_recipe("", "r", EXAMPLES | earlier)
    assert parse_recipe("", "r", EXAMPLES | {"license": "mit"}).grounding  # the bundled slices are CC BY 4.0


def test_the_fingerprint_has_the_content_of_the_source_and_not_its_path_or_terms(tmp_path: Path) -> None:
    rows = [json.dumps({"text": f"text {number}", "label": "joy"}) for number in range(9)]
    prints = []
    for folder in ("a", "b"):
        path = tmp_path / folder / "real.jsonl"
        path.parent.mkdir()
        path.write_text("\n".join(rows), encoding="utf-8")
        prints.append(parse_recipe("", "r", {"grounding.examples.source": str(path)}).fingerprint())
    credited = {"grounding.examples.source": str(path), "grounding.examples.attribution": "me"}
    assert prints[0] == prints[1] == parse_recipe("", "r", credited).fingerprint() != Recipe().fingerprint()
    identity = json.dumps(parse_recipe("", "r", credited).identity())
    assert str(tmp_path) not in identity and "real.jsonl sha256:" in identity
    path.write_text("\n".join(rows[1:]), encoding="utf-8")
    assert parse_recipe("", "r", credited).fingerprint() != prints[0]


def test_a_source_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"^grounding: no reference file .*; wanted goemotions"):
        parse_recipe("", "r", {"grounding.examples.source": str(tmp_path / "gone.csv")}).fingerprint()


def test_a_file_is_relative_to_the_recipe_and_a_name_is_not(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("grounding: {examples: {source: real.csv}}", encoding="utf-8")
    grounding = read_recipe(path).grounding
    assert grounding and grounding.examples and grounding.examples.source == str(tmp_path / "real.csv")
    path.write_text("grounding: {examples: {source: user/name}}", encoding="utf-8")
    grounding = read_recipe(path).grounding
    assert grounding and grounding.examples and grounding.examples.source == "user/name"
    (tmp_path / "user" / "name").mkdir(parents=True)
    grounding = read_recipe(path).grounding
    assert grounding and grounding.examples and grounding.examples.source == str(tmp_path / "user" / "name")
