"""croissant.json of a release: files, columns and Responsible-AI fields; verify, results and mending."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from personagen.builder.core.errors import ReleaseError
from personagen.builder.generate import generate
from personagen.builder.hub.verify import verify_folder
from personagen.builder.planning.recipe.parsing import parse_recipe
from personagen.builder.release.cards.croissant import DATA_TYPES, with_croissant
from personagen.builder.release.cards.responsible_ai import REQUIRED
from personagen.builder.release.folder import check_release
from personagen.builder.release.results import add_results
from personagen.builder.release.tables.shards import file_digest
from tests.helpers.releasing import GOLDEN, in_earlier_form, make_release, manifest_of, records, strings
from tests.helpers.servers.fake_openai import FakeOpenAI

RECIPE = """
name: small
rows: 21
license: cc-by-4.0
ablations: [none, demographic]
counterfactual: {attributes: {gender: [woman, man]}, pairs: 2}
text: {max_words: 45}
"""


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory, model: FakeOpenAI) -> Path:
    return make_release(tmp_path_factory.mktemp("croissant") / "small", model.url, RECIPE)


def croissant(release: Path) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads((release / "croissant.json").read_text(encoding="utf-8"))
    return parsed


def leaves(value: Any) -> Iterator[Any]:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    if parts is None:
        yield value
    else:
        for part in parts:
            yield from leaves(part)


def test_every_data_file_has_its_size_and_digest(release: Path) -> None:
    files = {entry["@id"]: entry for entry in croissant(release)["distribution"] if entry["@type"] == "cr:FileObject"}
    paths = {path.relative_to(release).as_posix(): path for path in release.rglob("*.parquet")}
    assert files.keys() == paths.keys()
    for name, path in paths.items():
        assert files[name]["contentUrl"] == name
        assert files[name]["sha256"] == file_digest(path)
        assert files[name]["contentSize"] == f"{path.stat().st_size} B"


def test_every_column_of_a_row_is_a_field_with_a_description(release: Path) -> None:
    def columns(row: dict[str, Any]) -> dict[str, Any]:
        return {name: columns(part) if isinstance(part, dict) else None for name, part in row.items()}

    def fields(parts: list[dict[str, Any]]) -> dict[str, Any]:
        return {part["name"]: fields(part["subField"]) if "subField" in part else None for part in parts}

    tables = {entry["@id"]: entry["field"] for entry in croissant(release)["recordSet"]}
    assert tables.keys() == {"splits", "labels", *manifest_of(release)["configs"]}
    for name in manifest_of(release)["configs"]:
        found = fields(tables[name])
        assert found.pop("split", "missing") is None
        assert found == columns(records(release, name)[0]), name
        assert all(field["description"] for field in tables[name])


def test_every_type_of_column_has_a_data_type() -> None:
    assert set(DATA_TYPES) >= {"string", "int32", "int64", "bool", "float32", "class"}


def test_nothing_is_null_or_empty(release: Path) -> None:
    content = croissant(release)
    assert [value for value in leaves(content) if value is None or value == ""] == []
    assert content["name"] == "small" and content["license"] == "cc-by-4.0" and content["url"] == "README.md"
    assert content["citeAs"] == manifest_of(release)["citation"]


def test_all_eight_fields_of_responsible_ai_are_filled(release: Path) -> None:
    content = croissant(release)
    assert len(REQUIRED) == 8
    for name in REQUIRED:
        assert content[name], name
    assert content["rai:hasSyntheticData"] is True
    assert any("not been measured" in line for line in content["rai:dataLimitations"])
    assert any("No audit was run" in line for line in content["rai:dataBiases"])
    origins = [entry["prov:label"] for entry in content["prov:wasDerivedFrom"]]
    assert origins[0] == "model fake-1, revision unknown" and len(origins) > 17
    assert [entry["prov:label"] for entry in content["prov:wasGeneratedBy"]] == [
        *("Drawing of personas", "Writing of texts", "Checking of texts")
    ]


def test_a_release_without_personas_claims_none(tmp_path: Path, model: FakeOpenAI) -> None:
    content = croissant(make_release(tmp_path / "plain", model.url, "rows: 7\ndepth: none"))
    words = json.dumps({name: value for name, value in content.items() if ":" in name})
    assert "ersonas are" not in words and "expect stereotypes" not in words
    assert "The model was given no persona" in words


def test_the_embedded_model_is_not_said_to_have_written_texts() -> None:
    manifest = json.loads((GOLDEN / "manifest.json").read_text(encoding="utf-8"))
    assert "A language model wrote each text" in with_croissant(manifest)[1]
    manifest["model"]["backend"] = "embedded"
    text = with_croissant(manifest)[1]
    assert "A language model wrote" not in text and "whose beginnings were written for PersonaGen" in text


def test_hostile_words_are_escaped(tmp_path: Path) -> None:
    manifest = json.loads((GOLDEN / "manifest.json").read_text(encoding="utf-8"))
    manifest["taxonomy"]["emotions"][0]["definition"] = manifest["model"]["name"] = 'a"}]\n\x1b[2J\u202e' * 400
    manifest["findings"] = ['x"\n\x00']
    content = json.loads(with_croissant(manifest)[1])
    assert [text for text in strings({"all": content["prov:wasDerivedFrom"][0]}) if not text.isprintable()] == []
    assert [
        text for text in leaves(content) if isinstance(text, str) and not text.replace("\n", "").isprintable()
    ] == []


def test_verify_compares_it_with_the_manifest(tmp_path: Path, release: Path) -> None:
    assert verify_folder(release).problems == ()
    copy = tmp_path / "copy"
    shutil.copytree(release, copy)
    (copy / "croissant.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ReleaseError, match=r"croissant\.json was altered: its SHA-256 is not that of the manifest"):
        verify_folder(copy)
    (copy / "croissant.json").unlink()
    with pytest.raises(ReleaseError, match=r"croissant\.json is missing"):
        verify_folder(copy)


def test_generate_writes_it_again_without_a_request(tmp_path: Path, model: FakeOpenAI) -> None:
    out = make_release(tmp_path / "out", model.url, "rows: 7")
    whole, sent = (out / "croissant.json").read_bytes(), len(model.requests)
    own = {"backend.kind": "openai", "backend.model": "fake-1", "backend.base_url": model.url}
    for damage in (lambda path: path.unlink(), lambda path: path.write_text("{}"), _replace_by_a_link):
        damage(out / "croissant.json")
        assert generate(parse_recipe("rows: 7", "test", own), out).created
        assert (out / "croissant.json").read_bytes() == whole and not (out / "croissant.json").is_symlink()
    assert len(model.requests) == sent


def _replace_by_a_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("README.md")


def test_results_are_added_to_it(tmp_path: Path, release: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(release, copy)
    scores = {"scores": [{"metric": "utility", "value": "0.31", "command": "personagen evaluate small"}]}
    add_results(copy, manifest_of(copy), "evaluation", {"figures": 1}, scores)
    check_release(copy)
    limits = croissant(copy)["rai:dataLimitations"]
    assert "utility: 0.31" in limits and not any("not been measured" in line for line in limits)
    assert croissant(copy)["prov:wasGeneratedBy"][-1]["sc:description"] == "Results are in scores.json."


def test_a_release_of_an_earlier_form_has_none_and_gets_none(tmp_path: Path, release: Path) -> None:
    old = in_earlier_form(release, tmp_path / "old", "1.2.0")
    assert verify_folder(old).problems == () and not (old / "croissant.json").exists()
    add_results(old, manifest_of(old), "evaluation", {"figures": 1}, {})
    assert verify_folder(old).problems == () and not (old / "croissant.json").exists()
