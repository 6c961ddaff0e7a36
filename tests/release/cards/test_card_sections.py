"""The sections of a card: composition, recipe, quality, licence, citation; and hostile recipes."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import DatasetCard
from hypothesis import given, settings
from hypothesis import strategies as st

from personagen.builder.core.package_data import sources
from personagen.builder.generate import generate
from personagen.builder.planning.recipe.parsing import parse_recipe
from personagen.builder.release.cards.card import MAX_CELL_CHARS, MAX_RECIPE_CHARS, render_card
from personagen.builder.release.cards.metadata import NO_LICENCE
from personagen.builder.release.cards.regions import regions
from tests.helpers.releasing import make_release, manifest_of, records
from tests.helpers.servers.fake_openai import FakeOpenAI
from tests.release.cards.test_card import HOSTILE, MANIFEST, front_matter, outside_code, table

SECTIONS = [
    *("Sample rows", "Train on it", "Quality", "People, personal information and offence", "Uses"),
    *("Biases and limits", "Load it", "Labels", "Columns", "Composition", "How it was made", "Expression and style"),
    *("Licence", "Citation"),
]
RECIPE = "name: made\nrows: 42\nseed: 3\nintensities: [low, high]\nablations: [none]\n"
ATTRIBUTES = {
    "gender": ("demographic", "gender"),
    "work": ("demographic", "work"),
    "country": ("sociocultural", "country"),
    "settlement": ("sociocultural", "settlement"),
    "education": ("sociocultural", "education"),
    "religion": ("sociocultural", "religion"),
    "household": ("sociocultural", "household"),
    "means": ("sociocultural", "means"),
    "register": ("sociocultural", "register"),
    "channel": ("situational", "channel"),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with FakeOpenAI() as server:
        return make_release(tmp_path_factory.mktemp("sections") / "made", server.url, RECIPE)


@pytest.fixture
def manifest() -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(MANIFEST.read_text(encoding="utf-8"))
    return parsed


def section(card: str, name: str) -> str:
    """Return the text below a heading up to the next one."""
    return re.split(r"^## ", card.split(f"\n## {name}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def recipe_block(card: str) -> str:
    """Return the recipe in the card, without its fences."""
    found = re.search(r"^(`{3,})yaml\n(.*?)^\1$", section(card, "How it was made"), re.DOTALL | re.MULTILINE)
    assert found
    return found.group(2)


@pytest.mark.parametrize("depth", ["none", "demographic", "sociocultural", "situational"])
@pytest.mark.parametrize("backend", ["openai", "embedded"])
def test_the_first_lines_claim_no_layer_that_the_texts_lack(manifest: dict[str, Any], depth: str, backend: str) -> None:
    manifest["recipe"]["depth"] = depth
    manifest["model"]["backend"] = backend
    first = render_card(manifest).split("\n# small\n")[1].split("\n## ")[0]
    assert ("by virtual personas" in first) == (depth != "none")
    assert ("demographic attributes" in first) == (depth != "none")
    assert ("socio-cultural background" in first) == (depth in ("sociocultural", "situational"))
    assert ("a concrete situation" in first) == (depth == "situational")
    assert ("in this situation" in first) == (depth == "situational" and backend == "openai")
    assert ("A language model wrote every text." in first) == (backend == "openai")
    assert ("beginning was written for PersonaGen" in first) == (backend == "embedded")


def bad_marks(cells: list[str]) -> list[str]:
    return [cell for cell in cells if re.search(r"(?<!\\)(?:\\\\)*[`*_{}\[\]<>#~!|]", cell)]


def test_the_sections_are_in_order(manifest: dict[str, Any]) -> None:
    headings = [line for line in outside_code(render_card(manifest)) if line.startswith("#")]
    assert headings == ["# small", *(f"## {name}" for name in SECTIONS)]


def test_the_composition_is_that_of_the_files(made: Path) -> None:
    """Recounted from the parquet files at the depth of the recipe."""
    emotions = [emotion["name"] for emotion in manifest_of(made)["taxonomy"]["emotions"]]
    rows = [row for emotion in emotions for row in records(made, emotion)]
    found = manifest_of(made)["composition"]
    assert set(found["attributes"]) == {*ATTRIBUTES, "age", "intensity"}
    for name, (layer, column) in ATTRIBUTES.items():
        assert found["attributes"][name] == Counter(row[layer][column] for row in rows), name
    assert found["attributes"]["intensity"] == Counter(row["intensity"] for row in rows)
    assert found["events"] == len({row["situational"]["event_kind"] for row in rows})
    bands = {tuple(map(int, band.split("-"))): count for band, count in found["attributes"]["age"].items()}
    ages = [row["demographic"]["age"] for row in rows]
    assert bands == {(low, high): sum(low <= age <= high for age in ages) for low, high in bands}
    for name, values in found["attributes"].items():
        assert sum(values.values()) == 42 and list(values) == sorted(values), name


def test_events_of_a_recipe_are_counted_by_their_text(tmp_path: Path) -> None:
    """All of them have the kind "custom"."""
    events = {"awe": ["saw a comet", "heard an organ", "stood below a glacier"], "calm": ["sat by a lake", "read"]}
    emotions = [{"name": name, "definition": "any", "like": "joy", "events": own} for name, own in events.items()]
    recipe = {"rows": 20, "taxonomy": {"name": "mine", "emotions": emotions}}
    with FakeOpenAI() as server:
        out = make_release(tmp_path / "out", server.url, json.dumps(recipe))
    rows = [row["situational"] for name in events for row in records(out, name)]
    assert {row["event_kind"] for row in rows} == {"custom"}
    assert manifest_of(out)["composition"]["events"] == len({row["event"] for row in rows}) == 5
    assert "The texts are about 5 different events, 4 texts per event on average; the most frequent one (" in (
        out / "README.md"
    ).read_text(encoding="utf-8")


def test_the_card_reports_the_composition(made: Path) -> None:
    card = (made / "README.md").read_text(encoding="utf-8")
    by_emotion = table(card, "| emotion |")
    assert by_emotion["all"][-2:] == ["42", "100.0%"]
    assert by_emotion["joy"][-2:] == ["6", "14.3%"] and sum(map(int, by_emotion["joy"][:3])) == 6
    shares = {name: cells[0] for name, cells in table(card, "| attribute |").items()}
    assert list(shares) == ["age", *ATTRIBUTES, "intensity"]
    assert shares["intensity"] == "low 50.0%; high 50.0%"
    countries = manifest_of(made)["composition"]["attributes"]["country"]
    first = min(countries, key=lambda name: (-countries[name], name))
    assert shares["country"].startswith(f"{first} {countries[first] / 42:.1%}; ")
    assert f"; {len(countries) - 10} others " in shares["country"] and shares["country"].count(";") == 10
    for name, text in shares.items():
        assert sum(float(share) for share in re.findall(r"([\d.]+)%", text)) == pytest.approx(100, abs=0.8), name


@pytest.mark.parametrize(("depth", "expected"), [("none", []), ("demographic", ["age", "gender", "work"])])
def test_a_depth_has_the_composition_of_its_layers(depth: str, expected: list[str], tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        out = make_release(tmp_path / "out", server.url, "rows: 7", depth=depth)
    card = (out / "README.md").read_text(encoding="utf-8")
    assert list(manifest_of(out)["composition"]["attributes"]) == expected
    assert (list(table(card, "| attribute |")) if expected else []) == expected
    assert ("| attribute |" in card) == bool(expected) and "different events" not in card
    for words in (
        "Sources of the attribute tables",
        "expect stereotypes",
        "Every persona writes the same language (en)",
    ):
        assert (words in card) == (depth != "none")


def test_the_recipe_in_the_card_makes_the_same_release(made: Path) -> None:
    manifest = manifest_of(made)
    block = recipe_block((made / "README.md").read_text(encoding="utf-8"))
    assert yaml.safe_load(block) == manifest["recipe"]
    assert parse_recipe(block, "card").fingerprint() == manifest["fingerprint"]


def test_scores_have_their_command(manifest: dict[str, Any]) -> None:
    quality = section(render_card(manifest), "Quality")
    assert "Not evaluated: how far the texts are from real ones" in quality and "No emotion classifier" in quality
    manifest["evaluation"] = {"path": "scores.json"}
    manifest["scores"] = [{"metric": "a|b", "value": 0.5, "command": "run `x`\n## y"}]
    manifest["classifier"] = {"model": "<b>c</b>", "agreement": 0.75}
    card = render_card(manifest)
    assert table(card, "| measure |") == {r"a\|b": ["0.5", "", "", "", ""]}
    assert r"Figures of the command run \`x\` \#\# y. Better:" in card
    quality = section(card, "Quality")
    assert "Not evaluated" not in quality and "No emotion classifier" not in quality
    assert r"predicted the emotion of each text: model \<b\>c\</b\>, agreement 0.75." in quality


def test_a_manifest_of_an_earlier_version_has_a_card(manifest: dict[str, Any]) -> None:
    del manifest["composition"], manifest["license"]
    card = render_card(manifest)
    assert front_matter(card)["license"] == "other" and "| attribute |" not in card


def test_no_licence_is_claimed_unless_the_recipe_has_one(made: Path) -> None:
    metadata = DatasetCard.load(made / "README.md").data.to_dict()
    assert {key: metadata[key] for key in NO_LICENCE} == NO_LICENCE
    licence = section((made / "README.md").read_text(encoding="utf-8"), "Licence")
    assert "No licence was chosen for this release" in licence and "are unknown to this release" in licence


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"license": "cc-by-4.0"}, "Licence of this release: cc-by-4.0. "),
        ({"license": "other", "license_name": "mine-1"}, "Licence of this release: mine-1. "),
        (
            {"license": "other", "license_name": "mine-1", "license_link": "https://e.org/a_b"},
            r"Licence of this release: mine-1 (https://e.org/a\_b). ",
        ),
    ],
)
def test_the_card_has_the_licence_of_the_recipe(keys: dict[str, str], expected: str, manifest: dict[str, Any]) -> None:
    manifest["license"] = parse_recipe(json.dumps(keys), "r").licence()
    manifest["model"]["license"] = "llama *3*"
    card = render_card(manifest)
    assert {key: value for key, value in front_matter(card).items() if key.startswith("license")} == keys
    licence = section(card, "Licence")
    assert (
        expected in licence
        and r"Its weights are under llama \*3\*." in licence
        and "No licence was chosen" not in licence
    )


def test_another_licence_makes_the_release_again_from_its_journal(tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        out = make_release(tmp_path / "out", server.url, "rows: 7")
        paid, fingerprint = len(server.requests), manifest_of(out)["fingerprint"]
        make_release(out, server.url, "rows: 7", license="odc-by")
        own = {"backend.kind": "openai", "backend.model": "fake-1", "backend.base_url": server.url}
        again = parse_recipe("rows: 7\nlicense: odc-by", "test", own)
        assert not generate(again, out).created
        assert len(server.requests) == paid
    assert manifest_of(out)["fingerprint"] == fingerprint
    assert front_matter((out / "README.md").read_text(encoding="utf-8"))["license"] == "odc-by"


def test_every_source_is_cited_and_its_licence_named(manifest: dict[str, Any]) -> None:
    card = render_card(manifest)
    licence, citation = section(card, "Licence"), section(card, "Citation")
    assert len(sources()) == 17
    for source in sources():
        assert f"- {source['table']}: {source['source']}\n" in citation
        assert re.search(rf"  - {re.escape(source['licence'])}: .*{re.escape(source['table'])}", licence)
    assert "eprint        = {2507.13380}" in citation and "Labels: P. Ekman (1992)" in citation
    manifest["recipe"]["taxonomy"] = {"name": "ekman", "emotions": []}
    assert "Labels:" not in section(render_card(manifest), "Citation")


WORDS = st.text() | st.sampled_from(list(HOSTILE.values())) | st.from_regex(r"(`{1,9}|~{3}|\n| |<!--|---){1,9}")


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(WORDS, WORDS)
def test_no_recipe_breaks_out_of_its_block(definition: str, model: str) -> None:
    """Nor adds headings, rows or marks, nor changes the YAML."""
    manifest = json.loads(MANIFEST.read_text(encoding="utf-8"))
    plain = front_matter(render_card(manifest))
    manifest["taxonomy"]["emotions"][0]["definition"] = manifest["model"]["name"] = definition
    manifest["recipe"]["taxonomy"] = {"name": "x", "emotions": [{"name": "fear", "definition": definition}]}
    manifest["recipe"]["backend"]["model"] = manifest["model"]["license"] = manifest["model"]["revision"] = model
    card = render_card(manifest)
    assert front_matter(card) == plain
    assert [line for line in outside_code(card) if line.startswith("#")] == [
        "# small",
        *(f"## {name}" for name in SECTIONS),
    ]
    assert [line for line in outside_code(card) if line.startswith("<")] == [
        "<!-- personagen: yours (introduction), kept by later releases -->",
        "<!-- personagen: end of yours (introduction) -->",
        "<details>",
        "<summary>The recipe, without settings that do not change the texts</summary>",
        "</details>",
        "<!-- personagen: yours (notes), kept by later releases -->",
        "<!-- personagen: end of yours (notes) -->",
    ]
    assert regions(card) == {"introduction": "", "notes": ""}
    assert [char for char in card if not char.isprintable() and char != "\n"] == []
    assert yaml.safe_load(recipe_block(card)) == manifest["recipe"]
    assert bad_marks(table(card, "| | |")["revision"]) == []


def test_the_marks_in_a_recipe_are_no_marks(manifest: dict[str, Any]) -> None:
    mark = "<!-- personagen: yours (notes), kept by later releases -->"
    for words in (mark, f"a\n{mark}\nb", f"{'long ' * 19}{mark} {mark}"):
        manifest["recipe"]["taxonomy"] = {"name": "x", "emotions": [{"name": "fear", "definition": words}]}
        manifest["taxonomy"]["emotions"][0]["definition"] = words
        assert regions(render_card(manifest)) == {"introduction": "", "notes": ""}


@pytest.mark.slow
@pytest.mark.parametrize("word", ["x", "`", "\na", "\u202e", "a b "])
def test_long_text_is_cut_visibly(word: str, manifest: dict[str, Any]) -> None:
    usual = len(render_card(manifest))
    words = word * (1_000_000 // len(word))
    manifest["taxonomy"]["emotions"][0]["definition"] = manifest["model"]["name"] = words
    manifest["recipe"]["taxonomy"] = {"name": "x", "emotions": [{"name": "fear", "definition": words}]}
    card = render_card(manifest)
    assert len(card) < usual + 3 * MAX_RECIPE_CHARS + 40 * MAX_CELL_CHARS
    assert "# cut here; the whole recipe is in manifest.json" in recipe_block(card).splitlines()
    assert table(card, "| label |")["fear"][0].endswith(" ... (cut)")


def test_the_card_states_the_limits_of_its_word_list(manifest: dict[str, Any]) -> None:
    """It is English, and has no words for some emotions of a recipe."""
    limits = section(render_card(manifest), "Biases and limits")
    assert "`provenance.leaked`, is English and not complete.\n" in limits
    manifest["recipe"]["text"]["language"] = "de"
    manifest["taxonomy"]["emotions"][0]["name"] = "schadenfreude"
    limits = section(render_card(manifest), "Biases and limits")
    assert "not complete. For schadenfreude it has the label alone. In de it finds hardly any.\n" in limits
