"""2,000 mutations of a recipe: parsed, or refused in one line; no file but those that it names is opened."""

import json
import random
import re
from pathlib import Path

import pytest
import yaml

from personagen.builder.core.errors import RecipeError
from personagen.builder.planning.recipe.parsing import parse_recipe, read_recipe
from tests.helpers.hostile.mutations import damaged, mutated, places, strange_files, watched_files

TEXT = """
name: small
rows: 8
emotions: [joy, fear]
quotas: {joy: 4, fear: 4}
intensities: [low, high]
expression: {named: 0.5, shown: 0.5}
ablations: [none]
splits: {train: 0.8, validation: 0.1, test: 0.1}
text: {max_words: 40, style: {comments: 1.0}, language: en}
checks: {leak: flag, near_duplicate: 0.7}
backend: {kind: openai, model: m, base_url: "http://h/v1", headers: {X-Title: a}, query: {api-version: 2024-10-21}}
draw: {temperature: 1.0, candidates: 2}
prices: {m: {input: 0.1, output: 0.2}}
budget: {max_cost: 1.0}
"""


def require_parsed_or_refused(text: str) -> bool:
    try:
        recipe = parse_recipe(text, "recipe.yaml")
    except RecipeError as error:
        assert "\n" not in str(error) and len(str(error)) < 1500, str(error)[:300]
        return False
    assert recipe.fingerprint() and json.dumps(recipe.identity())
    return True


def test_mutated_recipes_are_parsed_or_refused(tmp_path: Path) -> None:
    rng = random.Random(20)
    data = yaml.safe_load(TEXT) | {"backend": {"kind": "openai", "model": "m", "base_url": "http://h/v1"}}
    known = list(places(data))
    assert require_parsed_or_refused(TEXT) and require_parsed_or_refused(json.dumps(data))
    parsed = 0
    with watched_files() as opened:
        for number in range(1000):
            if number % 2:
                text = damaged(TEXT, rng)
            else:
                try:
                    text = json.dumps(mutated(data, rng, known))
                except (ValueError, RecursionError):
                    continue
            parsed += require_parsed_or_refused(text)
        strange = [path for path in strange_files(opened, tmp_path) if "secret.parquet" not in path]
    assert not strange, strange
    assert 50 < parsed < 950


ODD_LINES = ["a\nb", "a\r", "a\x1b[31m", "a\x00", "a\u202eb", "a\u2066b", "a\u200bb", "a\u2028b", "a\ufeff", "a\ufffe",
             "a\uffffb", "a\U0001ffff", "a\ufdd0", "a\U000e0041", "a\u00ad", "a\u2060b", "a\x85b"]  # fmt: skip


@pytest.mark.parametrize("line", ODD_LINES)
@pytest.mark.parametrize("key", ["event", "model"])
def test_lines_that_reach_the_data_have_no_invisible_characters(key: str, line: str) -> None:
    texts = {"event": "came home", "model": "m"} | {key: line}
    emotion = {"name": "calm", "definition": "at rest", "events": [texts["event"]]}
    data = {"rows": 2, "taxonomy": {"name": "own", "emotions": [emotion]},
            "backend": {"kind": "openai", "model": texts["model"], "base_url": "http://h/v1"}}  # fmt: skip
    with pytest.raises(
        RecipeError, match=r"has (a line break|the invisible character U\+[0-9A-F]{4,6}); write one line"
    ):
        parse_recipe(json.dumps(data), "recipe.yaml")
    texts[key] = "she cried 👩\u200d🚒, می\u200cروم, a\u00a0b"
    data["taxonomy"]["emotions"][0]["events"] = [texts["event"]]  # type: ignore[index]
    data["backend"]["model"] = texts["model"]  # type: ignore[index]
    assert parse_recipe(json.dumps(data), "recipe.yaml")


TRICKS = {
    "python": ("rows: !!python/object/apply:os.system ['echo']", "a value of type 'python/object/apply:os.system'"),
    "binary": ("name: !!binary aGVsbG8=", "a value of type 'binary'"),
    "set": ("emotions: !!set {joy, fear}", "a value of type 'set'"),
    "ordered map": ("quotas: !!omap [joy: 4]", "a value of type 'omap'"),
    "own tag": ("rows: !mine 4", "a value of type 'mine'"),
    "no truth value": ("rows: !!bool maybe", "no such value: \"'maybe'\""),
    "no integer": ("rows: !!int abc", "invalid literal"),
    "text for a number": ("rows: !!str 4", 'rows: got "4"'),
    "an alias in itself": ("quotas: &a {joy: *a}", "an alias contains itself"),
    "a merge with itself": ("&a\n<<: *a\n", "an alias contains itself"),
    "a merge of a number": ("<<: 7", "expected a mapping or list of mappings for merging"),
    "no alias": ("rows: *x", "found undefined alias"),
    "infinity": ("draw: {temperature: .inf}", "draw.temperature: got Infinity, wanted a finite number"),
    "not a number": ("draw: {temperature: .NaN}", "draw.temperature: got NaN"),
    "base 8": ("rows: 010", "got '010', a number of base 60 or 8"),
    "base 60": ("rows: 1:30", "got '1:30', a number of base 60 or 8"),
    "base 60 with a point": ("budget: {max_cost: 1:30.5}", "got '1:30.5', a number of base 60 or 8"),
    "5,000 digits": ("seed: " + "9" * 5000, "Exceeds the limit"),
    "NUL": ("rows: 8\x00", "unacceptable character"),
    "escaped NUL": ('name: "a\\0b"', "name: got"),
    "C1": ("name: a\x9bb", "unacceptable character"),
    "direction": ('name: "a\u202eb"', r'name: got "a\u202eb"'),
    "confusable": ("taxonomy: {name: t, emotions: [{name: j\u043ey, definition: d, like: joy}]}", "wanted text that"),
    "composed": ("taxonomy: {name: t, emotions: [{name: cafe\u0301, definition: d, like: joy}]}", "wanted text that"),
    "two documents": ("rows: 8\n---\nrows: 9", "found another document"),
    "another version": ("%YAML 2.0\n---\nrows: 8", "found incompatible YAML document"),
    "a list as key": ("? [a]\n: 1", "found unhashable key"),
    "a quoted double": ("rows: 4\n\"rows\": 8", "the key 'rows' stands twice, in lines 1 and 2"),
    "a double in a line": ("text: {max_words: 3, max_words: 4}", "the key 'max_words' stands twice"),
    "a number and its text": ("quotas: {1: 4, '1': 4}", "the key '1' stands twice, as text and as a number"),
    "two spellings of a number": ("quotas: {16: 4, 0x10: 4, '16': 5}", "the key '16' stands twice"),
    "a truth value and its text": ("quotas: {yes: 4, 'true': 4}", "the key 'true' stands twice, as text and as"),
    "null and its text": ("quotas: {~: 4, 'null': 4}", "the key 'null' stands twice"),
    "3,000 lists": ("a: " + "[" * 3000, "recursion depth exceeded"),
    "3 MB": ("emotions: [" + "joy, " * 600_000 + "]", "more than 2,000,000 characters"),
}  # fmt: skip


@pytest.mark.parametrize("trick", TRICKS)
def test_a_trick_of_yaml_is_one_line(trick: str) -> None:
    text, message = TRICKS[trick]
    with pytest.raises(RecipeError, match=re.escape(message)) as caught:
        parse_recipe(text, "recipe.yaml")
    assert str(caught.value).isprintable() and len(str(caught.value)) < 1500


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-16-le", "latin-1"])
def test_other_encodings_are_one_line_and_a_byte_order_mark_is_none(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_bytes("rows: 8\nname: d\u00e9\n".encode(encoding))
    with pytest.raises(RecipeError, match="codec can't decode") as caught:
        read_recipe(path)
    assert "\n" not in str(caught.value)
    path.write_bytes("rows: 8\n".encode("utf-8-sig"))
    assert read_recipe(path).rows == 8


@pytest.mark.parametrize("text", ["rows: 0x10", "rows: 1_6", "rows: +16", "<<: {rows: 16}", "rows: 16\n<<: {rows: 8}",
                                  "rows: 16\r\n", "rows: 16\r", "rows: !!int '16'"])  # fmt: skip
def test_harmless_spellings_are_read(text: str) -> None:
    assert parse_recipe(text, "recipe.yaml").rows == 16
