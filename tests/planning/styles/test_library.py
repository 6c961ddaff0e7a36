"""Style profiles by name and by file: refusals, files that change, and what a recipe records of them."""

import os
from pathlib import Path
from typing import Any

import pytest

from personagen.builder.core.errors import RecipeError
from personagen.builder.core.package_data import read_yaml
from personagen.builder.planning.plan import make_plan
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.recipe.parsing import parse_recipe
from personagen.builder.planning.styles import (
    MAX_WORDS,
    MIN_WORDS,
    channel_of,
    find_style,
    load_examples,
    write_examples,
)
from personagen.builder.planning.styles.library import STYLES
from personagen.builder.writing.expression import expression_settings
from personagen.builder.writing.grounding import load_grounding
from personagen.metrics.style import measure_profile, write_profile
from personagen.metrics.style.profiles import MAX_COUNT

TEXTS = ["I am so happy today, thank you all!", "Wow!!", "It rained on the way home and we sat in the kitchen."]


def recipe(**keys: Any) -> Recipe:
    return parse_recipe("", "r", {key.replace("__", "."): value for key, value in keys.items()})


def profile_at(path: Path, texts: list[str] = TEXTS) -> str:
    """Measure a profile of texts and write it; return its path."""
    table = write_profile(measure_profile("own", "a note", texts, ["joy"] * len(texts), per_label=9))
    path.write_text(table, encoding="utf-8")
    return str(path)


REFUSALS = [
    ({"expression": "openly"}, r"expression: got \"openly\", wanted 'named', 'voiced' or 'shown'"),
    ({"expression": {"named": 0.5, "open": 0.5}}, r"expression.*got \"open\", wanted 'named', 'voiced' or 'shown'"),
    ({"expression": {"named": 0.5, "shown": 0.4}}, r"^r: expression: fractions sum to 0\.9, wanted 1; change one of"),
    ({"expression": {}}, r"^r: expression: fractions sum to 0, wanted 1"),
    ({"expression": {"named": 1.5}}, r"expression.*got 1\.5, wanted less than or equal to 1"),
    ({"expression": {"named": -1, "shown": 1}}, r"expression.*got -1, wanted greater than or equal to 0"),
    ({"text__style": {"comments": 0.5, "mail": 0.6}}, r"^r: text\.style: fractions sum to 1\.1, wanted 1"),
    (
        {"text__style": "coments"},
        r"^r: text\.style: unknown style 'coments', did you mean 'comments'\?; known: comm",
    ),
    ({"text__style": {"tweets": 0.5, "dialog": 0.5}}, r"text\.style: unknown style 'dialog', did you mean 'dialogue'"),
    ({"text__style": ""}, r"text\.style: unknown style ''; known: comments, "),
    ({"text__style": "../comments"}, r"text\.style: unknown style '\.\./comments'"),
    (
        {"text__style": "comments", "text__min_words": 60},
        r"^r: text\.style: comments has texts of \d+ to \d+ words \(9 of 10\), which contradicts text\.min_words 60; "
        r"change the bounds, or choose another style$",
    ),
    (
        {"text__style": {"diary": 0.5, "tweets": 0.5}, "text__min_words": 2, "text__max_words": 3},
        r"text\.style: \w+ has texts of .* which contradicts text\.min_words 2 and text\.max_words 3",
    ),
    (
        {"text__max_words": 2},
        r"text\.max_words: got 2, which contradicts the default of text\.min_words without a style, 8; set "
        r"text\.min_words too$",
    ),
    (
        {"expression": "shown", "text__min_words": 121},
        r"text\.min_words: got 121, which contradicts the default of text\.max_words without a style, 120; set",
    ),
    (
        {"expression": "named", "checks__leak": "reject"},
        r"^r: checks\.leak: got reject with texts that are to name their emotion \(expression: named\), wanted flag",
    ),
    (
        {"expression": {"named": 0.1, "shown": 0.9}, "checks__leak": "reject"},
        r"^r: checks\.leak: got reject with",
    ),
    ({"checks__expression": "no"}, r"checks\.expression: got \"no\", wanted 'flag' or 'reject'"),
]


@pytest.mark.parametrize(("keys", "message"), REFUSALS, ids=[str(keys) for keys, _ in REFUSALS])
def test_a_recipe_that_contradicts_itself_is_refused_in_one_line(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message) as error:
        recipe(**keys)
    assert "\n" not in str(error.value)


HEADER = write_profile(measure_profile("own", "a note", ["Fine."], ["joy"], per_label=1)).splitlines()[0]
ROW = write_profile(measure_profile("own", "a note", ["Fine."], ["joy"], per_label=1)).splitlines()[1]
HOSTILE: list[tuple[bytes, str]] = [
    (b"", "has no column 'label'"),
    (b"\x00\xff\xfe\x89PNG\r\n", r"cannot read the profile .*\(no text in UTF-8\); run personagen match"),
    (HEADER.encode(), "the table has no row, wanted one per text"),
    (f"{HEADER}\n{ROW}\n".replace("words", "wörds").encode(), "has no column 'words'"),
    (f"{HEADER}\n{ROW}\n".replace("shown", "=1+1").encode(), "line 2 has the expression '=1[+]1', wanted named"),
    (f"{HEADER}\njoy\t-5\n".encode(), "line 2 has words '-5', wanted a count"),
    (f"{HEADER}\njoy\t0\t{ROW.split(chr(9), 2)[2]}\n".encode(), "line 2 has words '0', wanted 1 or more"),
    (f"{HEADER}\njoy\t{'9' * 5000}\n".encode(), "line 2 has words 9{40}, wanted 10000 or fewer; leave long texts out"),
    (f"{HEADER}\njoy\t1000000000\n".encode(), "line 2 has words 1000000000, wanted 10000 or fewer; leave long texts"),
    (f"{HEADER}\njoy\t10001\n".encode(), "line 2 has words 10001, wanted 10000 or fewer; leave long texts out of"),
    (f"{HEADER}\njoy\t5\t10001\n".encode(), "line 2 has sentences 10001, wanted 10000 or fewer"),
    (f"{HEADER}\njoy\t\x00\n".encode(), "line 2 has words|cannot be read"),
    (f"{HEADER}\n{'x' * 200_000}\n".encode(), r"the table cannot be read \(field larger than field limit"),
]


@pytest.mark.parametrize(("content", "message"), HOSTILE)
def test_a_file_that_is_no_profile_is_refused_in_one_line(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "own.tsv"
    path.write_bytes(content)
    with pytest.raises(RecipeError, match=message) as error:
        recipe(text__style=str(path))
    assert "\n" not in str(error.value) and len(str(error.value)) < 600


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.tsv").mkdir()
    for name, reason in (("none.tsv", "No such file or directory"), ("folder.tsv", "Is a directory")):
        with pytest.raises(RecipeError, match=rf"text\.style: cannot read the profile '.*{name}' \({reason}\)"):
            recipe(text__style=str(tmp_path / name))


def test_a_recipe_whose_profile_has_gone_raises_a_recipe_error(tmp_path: Path) -> None:
    """The file is read again at every use, so that it can vanish behind a recipe."""
    mine = recipe(text__style=profile_at(tmp_path / "own.tsv"))
    (tmp_path / "own.tsv").unlink()
    with pytest.raises(RecipeError, match=r"^text\.style: cannot read the profile .*own\.tsv"):
        mine.fingerprint()


def test_a_changed_file_is_read_again_also_if_time_and_size_stay(tmp_path: Path) -> None:
    path = tmp_path / "own.tsv"
    first = find_style(profile_at(path, ["Yes yes yes."]))
    stamp = path.stat()
    before = recipe(text__style=str(path))
    one, plan = before.fingerprint(), make_plan(before)
    assert find_style(str(path)) is first
    second = find_style(profile_at(path, ["No no."]))
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert path.stat().st_size == stamp.st_size and second != first
    assert before.fingerprint() != one
    rows = [next(iter(made.rows(made.shards()[0]))) for made in (plan, make_plan(before))]
    assert [row.style.features.words for row in rows if row.style and row.style.features] == [3, 2]


def test_changed_examples_are_read_again_also_if_time_and_size_stay(tmp_path: Path) -> None:
    path = tmp_path / "examples.tsv"
    path.write_text(write_examples([("joy", "Yes yes yes.")]), encoding="utf-8")
    stamp, before = path.stat(), recipe(text__examples=str(path))
    assert load_examples(str(path)) == {"joy": ("Yes yes yes.",)}
    one = before.fingerprint()
    path.write_text(write_examples([("joy", "Not at last!")]), encoding="utf-8")
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert path.stat().st_size == stamp.st_size
    assert load_examples(str(path)) == {"joy": ("Not at last!",)} and before.fingerprint() != one


@pytest.mark.parametrize("key", ["examples", "label_words"])
def test_a_recipe_whose_examples_have_gone_raises_a_recipe_error(tmp_path: Path, key: str) -> None:
    path = tmp_path / "examples.tsv"
    path.write_text(write_examples([("joy", "Yes.")]), encoding="utf-8")
    mine = recipe(text__style="comments", **{f"text__{key}": str(path)})
    path.unlink()
    message = rf"^text\.{key}: cannot read '.*examples\.tsv' \(No such file or directory\); run personagen match$"
    with pytest.raises(RecipeError, match=message):
        mine.fingerprint()
    with pytest.raises(RecipeError, match=message):
        load_grounding(mine)


def test_no_profile_and_no_recipe_makes_the_token_limit_of_a_request_unbounded(tmp_path: Path) -> None:
    endpoint = {"backend__kind": "openai", "backend__model": "fake-1"}
    longest = recipe(text__style=profile_at(tmp_path / "own.tsv", ["word " * MAX_COUNT, "word"]), **endpoint)
    assert expression_settings(longest).sampling.max_tokens == 2 * MAX_COUNT + 64
    for key in ("min_words", "max_words"):
        with pytest.raises(
            RecipeError, match=rf"text\.{key}: got 1000000000, wanted less than or equal to {MAX_COUNT}"
        ):
            recipe(**{f"text__{key}": 10**9}, **endpoint)


def test_a_plan_keeps_the_profile_that_it_was_made_with(tmp_path: Path) -> None:
    path = tmp_path / "own.tsv"
    plan = make_plan(recipe(rows=70, text__style=profile_at(path)))
    rows = [row for shard in plan.shards() for row in plan.rows(shard)]
    path.unlink()
    assert [row for shard in plan.shards() for row in plan.rows(shard)] == rows


def test_a_file_is_recorded_by_name_and_digest_without_its_folder(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    one, two = (recipe(text__style=profile_at(tmp_path / folder / "own.tsv")) for folder in ("a", "b"))
    assert one.fingerprint() == two.fingerprint()
    (name,) = one.identity()["text"]["style"]
    assert name.startswith("own.tsv sha256:") and str(tmp_path) not in str(one.identity())


@pytest.mark.parametrize("style", STYLES)
def test_every_style_of_the_package_can_be_planned(style: str) -> None:
    channel, form = channel_of(style)
    assert channel in {entry["id"] for entry in read_yaml("setting.yaml")["channels"]}
    assert form.startswith(("a ", "an "))
    low, high = recipe(text__style=style).text_bounds()
    assert (low, high) == find_style(style).words()
    profile = find_style(style)
    assert all(profile.shares(emotion)["shown"] > 0 for emotion in ("anger", "joy", "sadness"))


def test_bounds_are_those_of_the_styles_together_and_the_recipe_overrides_each() -> None:
    both = recipe(text__style={"comments": 0.5, "diary": 0.5})
    lengths = [find_style(style).words() for style in ("comments", "diary")]
    assert both.text_bounds() == (min(low for low, _ in lengths), max(high for _, high in lengths))
    assert recipe(text__style="comments", text__max_words=20).text_bounds()[1] == 20
    assert recipe(expression="shown").text_bounds() == (MIN_WORDS, MAX_WORDS)
    assert recipe(text__language="de").text_bounds() == (MIN_WORDS, MAX_WORDS)
    assert recipe(expression="shown", text__style="comments").text_bounds() == find_style("comments").words()


def test_a_recipe_for_long_texts_gets_no_style_and_the_expressions_of_comments() -> None:
    mixture = recipe(text__min_words=60).mixture()
    assert mixture is not None and mixture.styles == () and mixture.expressions is None
