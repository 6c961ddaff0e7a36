"""Parsing of recipes: every refusal and its message, overrides, files, arbitrary text."""

import json
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from personagen.builder.core.errors import RecipeError
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.recipe.parsing import parse_recipe, read_recipe
from personagen.builder.planning.styles import OWN_FORM, find_style
from personagen.builder.planning.suggestions import MAX_INPUT_CHARS, did_you_mean
from personagen.metrics.style import measure_profile, parse_profile, write_profile


def test_an_empty_recipe_has_every_default() -> None:
    assert parse_recipe("", "recipe.yaml") == read_recipe(None) == Recipe()


ENDPOINT = "backend: {{kind: openai, model: m, {}}}"
"""Recipe with one more setting of the endpoint."""

REFUSALS = [
    ("foo: 1", "unknown key 'foo'; known: ablations, backend"),
    ("checks: {leek: flag}", "unknown key 'checks.leek', did you mean 'leak'?"),
    ("rows: 0", "rows: got 0, wanted greater than or equal to 1"),
    ("rows: -3", "rows: got -3, wanted greater than or equal to 1"),
    ("rows: ten", 'rows: got "ten", wanted a valid integer'),
    ("rows: 70.5", "rows: got 70.5, wanted a valid integer"),
    ("rows: 3", "rows is 3 for 7 emotions, wanted at least one each; raise rows or name fewer emotions"),
    ("taxonomy: ekmann", "taxonomy: got 'ekmann', wanted ekman or plutchik or goemotions or a mapping, did you mean"),
    ("emotions: [joi]", "unknown emotion 'joi', did you mean 'joy'?; known: anger, disgust"),
    ("emotions: joy", 'emotions: got "joy", wanted a list, such as [joy, anger]'),
    ("emotions: []", "emotions is empty; name at least one or leave it out"),
    ("emotions: [joy, joy]", "emotions names 'joy' twice; name it once"),
    ("quotas: {joy: 70}", "quotas and emotions differ in anger, disgust, fear, neutral, sadness, surprise"),
    ("emotions: [joy, fear]\nquotas: {joy: 70, fear: 0}", "quota of 'fear' is 0, wanted 1 or more"),
    ("emotions: [joy, fear]\nquotas: {joy: 7, fear: 3}", "quotas sum to 10, wanted rows = 70; change one of them"),
    ("emotions: [joy]\nquotas: {joi: 70}", "unknown emotion 'joi', did you mean 'joy'?"),
    ("backend: {kind: openai}", "backend openai needs a model; name one with --model or backend.model"),
    ("backend: {kind: foo}", "backend.kind: got \"foo\", wanted 'embedded', 'openai', 'batch' or 'transformers'"),
    ("backend: {model: x}", "backend embedded has its own model, got 'x'"),
    ("backend: {base_url: 'http://x'}", "backend embedded has no base_url; leave it out or use kind openai"),
    ("backend: {kind: openai, model: m, base_url: 'http://me:key@h'}", "backend.base_url: holds a user or password;"),
    (ENDPOINT.format("base_url: 'h:8000/v1'"), "backend.base_url: got 'h:8000/v1', wanted a URL; write http://h:8000"),
    (
        ENDPOINT.format("base_url: 'http://h/v1?token=SECRET'"),
        "backend.base_url: holds a secret in its query ('token');",
    ),
    (
        ENDPOINT.format("base_url: 'http://h/openai/deployments/d'"),
        "backend: got 'http://h/openai/deployments/d' without a version of Azure's API; write http://h/openai/deploy",
    ),
    (ENDPOINT.format("headers: {Authorization: SECRET}"), "backend.headers: Authorization: the value would be kept as"),
    (ENDPOINT.format("headers: {X-Title: 5}"), "backend.headers.X-Title: got a value of type int, wanted a valid str"),
    (ENDPOINT.format("headers: Bearer SECRET"), "backend.headers: got a value of type str, wanted a mapping, such as"),
    (ENDPOINT.format("query: {code: SECRET}"), "backend.query: code: the value would be kept as plain text; put it"),
    (ENDPOINT.format("query: [SECRET]"), "backend.query: got a value of type list, wanted a mapping, such as {name: v"),
    (ENDPOINT.format("body: {model: n}"), "backend.body: model is set by PersonaGen; leave it out"),
    (ENDPOINT.format("body: {max_tokens: 9}"), "backend.body: max_tokens is set by draw.max_tokens and backend.think"),
    (ENDPOINT.format("body: {a: .nan}"), "backend.body: wanted JSON data; got something else (Out of range float"),
    (ENDPOINT.format("body: 3"), "backend.body: got 3, wanted a mapping, such as {name: value}"),
    (ENDPOINT.format("timeout: 0"), "backend.timeout: got 0, wanted greater than 0"),
    (ENDPOINT.format("timeout: .inf"), "backend.timeout: got Infinity, wanted a finite number"),
    (ENDPOINT.format("thinking_tokens: -1"), "backend.thinking_tokens: got -1, wanted greater than or equal to 0"),
    (
        ENDPOINT.format("reasoning_effort: Very low"),
        'backend.reasoning_effort: got "Very low", wanted text that matches',
    ),
    (ENDPOINT.format("reasoning_effort: off"), "backend.reasoning_effort: got false, wanted a valid string"),
    *(
        (
            f"backend: {{kind: {kind}{', model: m' * (kind != 'embedded')}, {setting}}}",
            f"backend {kind} has no {key}; leave",
        )
        for setting, kinds in {
            "headers: {X-A: b}": ("embedded", "transformers"),
            "query: {a: b}": ("embedded", "transformers"),
            "body: {a: 1}": ("embedded", "transformers"),
            "timeout: 5": ("embedded", "transformers"),
            "thinking_tokens: 5": ("embedded",),
            "reasoning_effort: low": ("embedded",),
        }.items()
        for kind in kinds
        for key in (setting.partition(":")[0],)
    ),
    (ENDPOINT.format("extra_body: {a: 1}"), "unknown key 'backend.extra_body', did you mean 'body'?; known: base_url"),
    (ENDPOINT.format("extra_headers: {a: b}"), "unknown key 'backend.extra_headers', did you mean 'headers'?"),
    (ENDPOINT.format("default_query: {a: b}"), "unknown key 'backend.default_query', did you mean 'query'?"),
    (ENDPOINT.format("request_timeout: 9"), "unknown key 'backend.request_timeout', did you mean 'timeout'?"),
    (ENDPOINT.format("shares: 1"), "unknown key 'backend.shares', did you mean 'share'?"),  # personas have shares
    ("channels: {}", "channels: got {}, wanted one entry or more"),
    ("batches: []", "batches: got [], wanted one entry or more"),
    (ENDPOINT.format("temperature: 1"), "unknown key 'backend.temperature', did you mean draw.temperature?"),
    (ENDPOINT.format("max_tokens: 9"), "unknown key 'backend.max_tokens', did you mean draw.max_tokens or budget.max_"),
    (ENDPOINT.format("max_new_tokens: 9"), "unknown key 'backend.max_new_tokens', did you mean draw.max_tokens?"),
    (ENDPOINT.format("api_key: SECRET"), "'backend.api_key', did you mean the environment variable OPENAI_API_KEY?"),
    ("draw: {max_tokens: 0}", "draw.max_tokens: got 0, wanted greater than or equal to 1"),
    (
        "draw: {max_tokens: 7}\nbackend: {kind: openai, model: m}\nexpression: shown",
        "draw.max_tokens is 7 and text.min_words 8, so every text would be cut; raise max_tokens",
    ),
    ("backend: {concurrency: 0}", "backend.concurrency: got 0, wanted greater than or equal to 1"),
    ("splits: {train: 0.9}", "splits: fractions sum to 1.1, wanted 1"),
    ("splits: {train: -1}", "splits.train: got -1, wanted greater than or equal to 0"),
    ("expression: {named: -1, shown: 2}", "expression.named: got -1, wanted greater than or equal to 0"),
    ("expression: {named: .nan, shown: 1}", "expression.named: got NaN, wanted a finite number"),
    ("expression: {nmaed: 1}", "expression.nmaed: got \"nmaed\", wanted 'named', 'voiced' or 'shown'"),
    ('text: {style: "\\0.tsv"}', "text.style: cannot read the profile '\\x00.tsv' (embedded null byte); run"),
    ('text: {examples: "\\0"}', "text.examples: cannot read '\\x00' (embedded null byte); run personagen match"),
    ("text: {style: 3}", "text.style: got 3, wanted a valid string"),
    ("text: {style: {comments: .inf}}", "text.style.comments: got Infinity, wanted a finite number"),
    ("depth: all", "depth: got \"all\", wanted 'none', 'demographic', 'sociocultural' or 'situational'"),
    ("ablations: [situational]", "ablations repeat the depth 'situational'"),
    ("text: {min_words: 9, max_words: 8}", "text: min_words 9 is above max_words 8"),
    ("text: {language: xx}", "text: language 'xx' cannot be checked; use null or one of af, "),
    (
        "text: {language: de}\nchecks: {leak: reject}",
        "checks.leak: got reject with text.language de, wanted a language with a lexicon of emotion words (en); leave",
    ),
    ("license: cc-by-4", "license: the Hub knows no 'cc-by-4', did you mean 'cc-by-4.0'?; name one of https://hugging"),
    ("license: [mit]", 'license: got ["mit"], wanted a valid string'),
    ("license: other", "license: other needs a license_name, such as my-license-1.0"),
    ("license: mit\nlicense_name: x", "license_name and license_link go with license: other; leave them out or set it"),
    ("license_link: LICENSE", "license_name and license_link go with license: other; leave them out or set it"),
    ("license: other\nlicense_name: 'a b'", "license_name: got 'a b', wanted letters, digits, '.', '-', '_' and '+'"),
    (
        "license: other\nlicense_name: x\nlicense_link: 'javascript:1'",
        "license_link: got 'javascript:1', wanted LICENSE, LICENSE.md, a URL or a #section",
    ),
    ("name: '../x'", "name: got \"../x\", wanted text that matches '^[a-z][a-z0-9_]{0,63}$'"),
    ("seed: [", "line 1: not YAML"),
    ("\x1f", "not YAML (unacceptable character"),
    ("a: &a [*a]", "recipe.yaml, line 1: not YAML (an alias contains itself); see docs/recipe.md"),
    ("seed: 2026-99-99", 'seed: got "2026-99-99", wanted a valid integer'),
    ("- 1", "got a list, wanted a mapping of keys"),
    ("taxonomy: {name: x, emotions: [{name: calm, definition: b}]}", "emotion 'calm' has no situations; add `like:`"),
    ("taxonomy: {name: x, emotions: [{name: calm, definition: b, lik: joy}]}", "unknown key 'taxonomy.emotions.0.lik'"),
    ("taxonomy: {name: x, emotions: [{name: calm, definition: b, like: joi}]}", "did you mean 'joy'?"),
    ("taxonomy: {name: x, emotions: [{name: all, definition: b, like: joy}]}", "'all' is the name of another config"),
    ("taxonomy: {name: x, emotions: [{name: com1, definition: b, like: joy}]}", "emotion 'com1' can be no folder on"),
    ("taxonomy: {name: x, emotions: [{name: yes, definition: b, like: joy}]}", "got true, wanted a valid string; YAML"),
    ("text: {language: no}", "text.language: got false, wanted a valid string; YAML reads yes, no, on and off as true"),
    ("taxonomy: {name: x, emotions: [{name: ../up, definition: b, like: joy}]}", "taxonomy.emotions.0.name: got"),
    ("rows: 70.0", "rows: got 70.0, wanted a valid integer"),
    ("rows: '70'", 'rows: got "70", wanted a valid integer'),
    ("intensities: [low, low]", "intensities names 'low' twice; name it once"),
    ("ablations: [none, none]", "ablations names 'none' twice; name it once"),
    ("budget: {max_cost: 1}", "budget.max_cost: the embedded model costs nothing; leave it out"),
    (
        "backend: {kind: openai, model: m}\nbudget: {max_cost: 1}",
        "budget.max_cost needs the price of m; give it as prices: {m: {input: 0.15, output: 0.6}} per million tokens",
    ),
    ("prices: {m: {input: .inf, output: 1}}", "prices.m.input: got Infinity, wanted a finite number"),
    ("prices: {m: {inpt: 1, output: 1}}", "unknown key 'prices.m.inpt', did you mean 'input'?; known: input, output"),
    ("prices: {input: {input: 1, output: 1, x: 1}}", "unknown key 'prices.input.x'; known: input, output"),
    ("prices: {m: {input: 1}}", "prices.m.output: missing; add it, see docs/recipe.md"),
    ("counterfactual: {attributes: {gender: [woman, man]}, pear: 1}", "'counterfactual.pear', did you mean 'pairs'?"),
    ("text: {language: english}", "text.language: got \"english\", wanted text that matches '^[a-z]{2}$'"),
    ("2020-01-01: 3", "unknown key '2020-01-01'"),
    ("rows: 2020-01-01", 'rows: got "2020-01-01", wanted a valid integer'),
    ("rows: 7\nseed: 1\nrows: 8", "line 3: not YAML (the key 'rows' stands twice, in lines 1 and 3; name it once)"),
    ("{rows: 7, rows: 7}", "line 1: not YAML (the key 'rows' stands twice, in lines 1 and 1; name it once)"),
    ('text:\n  min_words: 3\n  "min_words": 4', "the key 'min_words' stands twice, in lines 2 and 3; name it once"),
    ("emotions: [{a: 1, b: 2, a: 3}]", "the key 'a' stands twice, in lines 1 and 1"),
    ("rows: !!binary aGk=", "line 1: not YAML (a value of type 'binary'; wanted text, a number, a list or a mapping)"),
    ("rows: !!set {a, b}", "a value of type 'set'"),
    ("rows: !!omap [a: 1]", "a value of type 'omap'"),
    ("rows: !!python/object/apply:os.system [ls]", "a value of type 'python/object/apply:os.system'"),
    ("rows: !own 7", "a value of type 'own'"),
    ("rows: 1:30", "got '1:30', a number of base 60 or 8; put it in quotes"),
    ("rows: 010", "got '010', a number of base 60 or 8"),
    ('license_name: "\\ud800"', "half of a surrogate pair, which is no character"),
    ("{? [a]: 1}", "not YAML (found unhashable key)"),
    ("a: " + "[" * 5000, "not YAML ("),
    ("a: &a [" + "x," * 101 + "]\nb: [" + "*a," * 101 + "]", "aliases repeat more than 10,000 values; write them out"),
    ("taxonomy: {name: x, emotions: []}", "taxonomy.emotions: got [], wanted "),
    ("taxonomy: {name: x, emotions: [joy]}", 'taxonomy.emotions.0: got "joy", wanted an object'),
]


@pytest.mark.parametrize(("text", "message"), REFUSALS, ids=[text[:60] for text, _ in REFUSALS])
def test_a_bad_recipe_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text, "recipe.yaml")
    assert str(caught.value).startswith("recipe.yaml")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value) and "SECRET" not in str(caught.value)


def test_aliases_of_aliases_are_refused_without_writing_them_out() -> None:
    """A hundred levels of nine: 9 ** 100 values."""
    levels = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 100)]
    with pytest.raises(RecipeError, match="aliases repeat more than 10,000 values"):
        parse_recipe("\n".join(levels), "recipe.yaml")


def test_aliases_and_dates_as_text_are_accepted() -> None:
    endpoint = "backend: {kind: openai, model: m, base_url: 'http://h/v1', query: {api-version: 2024-10-21}}"
    recipe = parse_recipe(f"ablations: &none [none]\nrows: 0x10\n{endpoint}\nexpression: shown", "r")
    assert recipe.rows == 16 and dict(recipe.backend.query) == {"api-version": "2024-10-21"}
    shared = "a: &a {definition: d, like: joy}"
    with pytest.raises(RecipeError, match="unknown key 'a'"):
        parse_recipe(f"{shared}\ntaxonomy: {{name: t, emotions: [{{name: good, <<: *a}}]}}", "r")


@pytest.mark.parametrize(
    "name", ["depth_x", "depth_none", "depth_",
             "counterfactual_x", "counterfactual_age", "all", "plain", "default", "demographic",
             "sociocultural", "situational", "con", "prn", "aux", "nul", "com1", "lpt9"]
)  # fmt: skip
def test_an_emotion_with_the_name_of_a_configuration_is_refused(name: str) -> None:
    emotions = f"[{{name: {name}, definition: d, like: joy}}, {{name: fine, definition: d, like: joy}}]"
    with pytest.raises(RecipeError, match=rf"emotion '{name}' (is the name of another configuration|can be no folder)"):
        parse_recipe(f"taxonomy: {{name: t, emotions: {emotions}}}\nrows: 4", "r")


@pytest.mark.parametrize(
    "name", ["'../x'", "x/y", "Joy", "'joy '", "''", ".", "a" * 65, '"\\e[31m"', "'joy\u202e'", "é"]
)
def test_an_emotion_that_is_no_folder_name_is_refused(name: str) -> None:
    emotions = f"[{{name: {name}, definition: d, like: joy}}]"
    with pytest.raises(RecipeError, match=r"taxonomy\.emotions\.0\.name: got .*, wanted text that matches"):
        parse_recipe(f"taxonomy: {{name: t, emotions: {emotions}}}\nrows: 4", "r")


@pytest.mark.parametrize(
    "text",
    [
        ENDPOINT.format("headers: {HTTP-Referer: x, Authorization: 'Bearer ${KEY}'}"),
        ENDPOINT.format("query: {api-version: 2024-10-21-preview}"),
        ENDPOINT.format("body: {chat_template_kwargs: {enable_thinking: false}, seed: null}"),
        ENDPOINT.format("timeout: 60"),
        ENDPOINT.format("reasoning_effort: low, thinking_tokens: 4000"),
        ENDPOINT.format("reasoning_effort: none, thinking_tokens: 0"),
        ENDPOINT.format("base_url: 'http://h/openai/deployments/d', query: {api-version: '2024-10-21'}"),
        "backend: {kind: transformers, model: m, reasoning_effort: low, thinking_tokens: 4000}",
        "backend: {kind: openai, model: m}\ndraw: {max_tokens: 4000}",
    ],
)
def test_settings_of_an_endpoint_are_accepted(text: str) -> None:
    assert parse_recipe(text, "recipe.yaml").backend.model == "m"


def test_the_error_of_a_recipe_shows_no_value_in_its_cause() -> None:
    """A traceback prints the whole chain."""
    with pytest.raises(RecipeError) as caught:
        parse_recipe(ENDPOINT.format("headers: {X-Title: [SECRET]}"), "recipe.yaml")
    error: BaseException | None = caught.value
    while error is not None:
        assert "SECRET" not in str(error)
        error = error.__cause__


@pytest.mark.parametrize(
    "licence", ["eupl-1.2", "llama3.3", "openmdw-1.1", "apple-amlr", "fair-noncommercial-research-license"]
)
def test_a_licence_that_the_hub_added_lately_is_accepted(licence: str) -> None:
    """Identifiers that its page lists since 2024."""
    assert parse_recipe(f"license: {licence}", "r").license == licence


@pytest.mark.parametrize("text", ["", "text: {language: null}", "text: {language: en}"])
def test_leaks_can_be_rejected_where_texts_may_be_english(text: str) -> None:
    assert parse_recipe(f"{text}\nchecks: {{leak: reject}}", "r").checks.leak == "reject"


def test_a_message_quotes_the_beginning_of_a_long_value() -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(f"rows: {'x' * 1000}", "r")
    assert str(caught.value) == f'r: rows: got "{"x" * (MAX_INPUT_CHARS - 1)}, wanted a valid integer'


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"cannot read recipe .*none\.yaml: .*No such file"):
        read_recipe(tmp_path / "none.yaml")


def test_a_file_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"name: caf\xe9")
    with pytest.raises(RecipeError, match=r"cannot read recipe .*latin\.yaml: .*; give the path of a YAML file"):
        read_recipe(path)


def test_overrides_replace_single_keys_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("rows: 14\nbackend: {kind: openai, model: small}\n")
    recipe = read_recipe(path, {"rows": 21, "backend.model": "large"})
    assert (recipe.rows, recipe.backend.kind, recipe.backend.model) == (21, "openai", "large")


def test_overrides_fill_a_section_that_is_left_empty() -> None:
    recipe = parse_recipe("backend:\n", "r", {"backend.kind": "openai", "backend.model": "m"})
    assert (recipe.backend.kind, recipe.backend.model) == ("openai", "m")


def test_a_section_that_is_not_a_mapping_is_refused_with_overrides_too() -> None:
    with pytest.raises(RecipeError, match=r'^r: backend: got "openai", wanted an object$'):
        parse_recipe("backend: openai", "r", {"backend.model": "m"})


@given(st.text(max_size=200))
def test_any_text_is_a_recipe_or_a_recipe_error(text: str) -> None:
    try:
        recipe = parse_recipe(text, "r")
    except RecipeError as error:
        assert "\n" not in str(error)
    else:
        assert recipe == Recipe.model_validate_json(recipe.model_dump_json())


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.dates(), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(sorted(Recipe.model_fields)), VALUES, max_size=4))
def test_any_values_of_the_keys_are_a_recipe_or_a_recipe_error(values: dict[str, object]) -> None:
    try:
        parse_recipe(yaml.safe_dump(values), "r")
    except RecipeError as error:
        assert "\n" not in str(error)


def test_a_profile_is_found_beside_its_recipe_and_recorded_without_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder of a recipe and its profile may move; neither paths nor the working directory change the rows."""
    texts = ["I hate this so much!", "no idea why they came late again", "My cat is asleep."] * 4
    table = write_profile(measure_profile("mine", "a text", texts, None, per_label=20))
    fingerprints = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "profile.tsv").write_text(table, encoding="utf-8")
        (folder / "recipe.yaml").write_text("text: {style: profile.tsv}\nrows: 7\n", encoding="utf-8")
        shared = "text: {style: {profile.tsv: 0.5, comments: 0.5}}\nrows: 7\n"
        (folder / "shared.yaml").write_text(shared, encoding="utf-8")
        monkeypatch.chdir(tmp_path)
        recipe = read_recipe(Path(name) / "recipe.yaml")
        assert str(tmp_path) not in json.dumps(recipe.identity())
        monkeypatch.chdir("/")
        assert recipe.mixture() is not None
        fingerprints.append((recipe.fingerprint(), read_recipe(folder / "shared.yaml").fingerprint()))
    assert fingerprints[0] == fingerprints[1]
    changed = write_profile(measure_profile("mine", "a text", texts[:3], None, per_label=20))
    (tmp_path / "two" / "profile.tsv").write_text(changed, encoding="utf-8")
    again = read_recipe(tmp_path / "two" / "recipe.yaml")
    assert again.fingerprint() != fingerprints[0][0] and again.rows == 7
    assert find_style(str(tmp_path / "two" / "profile.tsv")) == parse_profile("profile.tsv", OWN_FORM, changed)
    (tmp_path / "lost.yaml").write_text("text: {style: profile.tsv}\n", encoding="utf-8")
    with pytest.raises(RecipeError, match=r"text\.style: cannot read the profile .*profile\.tsv.*run personagen match"):
        read_recipe(tmp_path / "lost.yaml")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("temperatur: 1", ", did you mean draw.temperature?"),
        ("text: {rows: 5}", ", did you mean rows?"),
        ("like: joy", ", did you mean taxonomy.emotions.like?"),
        ("backend: {words: 1}", ""),
        ("topics: 3", ""),
        ("draw: {rows_per_person: 1}", ""),
    ],
)
def test_suggestions_look_through_all_sections_and_are_strict(text: str, hint: str) -> None:
    with pytest.raises(RecipeError, match=rf"^r: unknown key '\w+(\.\w+)?'{re.escape(hint)}; known: "):
        parse_recipe(text, "r")


def test_a_suggestion_does_not_depend_on_the_order_of_the_names() -> None:
    assert did_you_mean("personas", ["rows"]) == did_you_mean("rows", ["personas"]) == ""
    assert did_you_mean("modle", ["model"]) == ", did you mean 'model'?"
    assert did_you_mean("extra_body", ["base_url", "body"]) == ", did you mean 'body'?"
