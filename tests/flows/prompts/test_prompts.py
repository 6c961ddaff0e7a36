"""Own templates from the recipe to the release: the same requests, wordings in the rows, templates in the release."""

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from datasets import load_dataset

import personagen as pg
from personagen.builder.core.errors import FolderError, ReleaseError
from personagen.builder.hub.verify import verify_folder
from personagen.builder.llm.requests import Request
from personagen.builder.planning.recipe.parsing import parse_recipe
from personagen.builder.prompts import export_prompts, planned_requests
from personagen.builder.release.folder import check_release, files_of
from tests.helpers.command import OPENAI, Run, run_here
from tests.helpers.flow import bytes_of
from tests.helpers.releasing import ROOT, features_of, make_release, manifest_of, records, write_manifest
from tests.helpers.servers.fake_openai import FakeOpenAI

EXAMPLES = ROOT / "tests" / "planning" / "recipe" / "examples.tsv"
OWN = ("facts_first", "voice_first", "after_the_event")
RECIPE = "rows: 42\nablations: [none]\ntext: {max_words: 45}\n"
MODEL = "backend: {kind: openai, model: m}\n"


def own_prompts() -> dict[str, list[str]]:
    """Return the three wordings beside the recipes."""
    return {"styled": [str(ROOT / "recipes" / "prompts" / f"{name}.md") for name in OWN]}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release with three wordings; beside it `copy`, of the folder of prompts that it has."""
    root = tmp_path_factory.mktemp("prompts")
    with FakeOpenAI() as server:
        release = make_release(root / "release", server.url, RECIPE, prompts=own_prompts())
        make_release(root / "copy", server.url, RECIPE, prompts=str(release / "prompts"))
        make_release(root / "plain", server.url, RECIPE)
    return release


def keys_of(release: Path) -> set[str]:
    """Return the keys of the journal of a release."""
    with closing(sqlite3.connect(release.with_name(release.name + ".run") / "journal.sqlite")) as journal:
        return {key for (key,) in journal.execute("select key from replies")}


@pytest.mark.parametrize(
    "text",
    [
        MODEL,
        MODEL + "expression: shown\nelaborate: {demographic: llm}\nablations: [none, demographic]",
        "",
        "expression: shown",
        f"depth: none\nemotions: [joy]\ntext: {{examples: {EXAMPLES}}}",
        MODEL + "personas: {attributes: {dialect: {values: {northern: 0.5, southern: 0.5}}}}",
        "personas: {attributes: {dialect: {values: {northern: 0.5, southern: 0.5}}}}",
    ],
)
def test_an_exported_folder_gives_the_same_requests(text: str, tmp_path: Path) -> None:
    recipe = parse_recipe(text, "r")
    export_prompts(recipe, tmp_path / "own")
    named = parse_recipe(text, "r", {"prompts": str(tmp_path / "own")})
    assert planned_requests(named, 7) == planned_requests(recipe, 7)
    assert named.fingerprint() != recipe.fingerprint()
    assert {path.name for path in (tmp_path / "own").iterdir()} > {"README.md"}


def test_an_exported_folder_has_the_journal_keys_of_the_package(made: Path, tmp_path: Path) -> None:
    export_prompts(parse_recipe(MODEL + RECIPE, "r"), tmp_path / "own")
    with FakeOpenAI() as server:
        named = make_release(tmp_path / "named", server.url, RECIPE, prompts=str(tmp_path / "own"))
    plain = made.with_name("plain")
    assert keys_of(named) == keys_of(plain)
    assert manifest_of(named)["prompts"]["version"] == manifest_of(plain)["prompts"]["version"]


def test_the_shown_requests_are_those_of_generate(made: Path) -> None:
    """All but those whose prompts have prose of the model have their key in the journal."""
    from personagen.builder.llm.requests import request_key

    class Model:
        name, model, revision, variant = "openai", "fake-1", None, {}

    text = f"{RECIPE}backend: {{kind: openai, model: fake-1}}"
    planned = planned_requests(parse_recipe(text, "r", {"prompts": own_prompts()}), 14)
    certain = [one.request for one in planned if not one.stand_ins]
    assert len(certain) > 5
    assert {request_key(Model(), request) for request in certain} <= keys_of(made)  # type: ignore[arg-type]
    assert {one.stage: one.stand_ins for one in planned} == {
        "sociocultural": (), "situational": ("sociocultural",), "expression": ("sociocultural", "situational"),
    }  # fmt: skip


def test_a_request_that_rows_share_is_shown_once() -> None:
    planned = planned_requests(parse_recipe(MODEL + "rows: 14\nsituations_per_persona: 7", "r"), 7)
    requests: list[Request] = [one.request for one in planned]
    assert [one.stage for one in planned].count("sociocultural") == 1
    assert all(replace(one) not in requests[:number] for number, one in enumerate(requests))


def test_the_beginning_that_the_embedded_model_continues_is_shown() -> None:
    (shown,) = planned_requests(parse_recipe("rows: 7", "r"), 1)
    assert shown.request.prefill and shown.request.candidates == 8 and not shown.stand_ins


def test_every_row_has_its_wording_and_wordings_are_even(made: Path) -> None:
    manifest = manifest_of(made)
    assert manifest["version"] == "1.4.0" and "attributes" in manifest["left_out"]
    for emotion in ("joy", "neutral"):
        wordings = [row["provenance"]["wording"] for row in records(made, emotion)]
        assert {name: wordings.count(name) for name in OWN} == dict.fromkeys(OWN, 2)
    texts = {row["id"]: row["provenance"]["wording"] for row in records(made, "all")}
    assert {row["id"]: row["provenance"]["wording"] for row in records(made, "depth_none")} == {
        f"{name}-none": wording for name, wording in texts.items()
    }
    plain = made.with_name("plain")
    assert manifest_of(plain)["version"] == "1.3.0" and "files" not in manifest_of(plain)["prompts"]
    assert "wording" not in records(plain, "joy")[0]["provenance"] and not (plain / "prompts").exists()


def test_the_templates_of_a_release_are_in_it(made: Path) -> None:
    folder, listed = made / "prompts", manifest_of(made)["prompts"]["files"]
    assert {path.name for path in folder.iterdir()} == {
        "_layers.md", "sociocultural.md", "situational.md", *(f"styled.{name}.md" for name in OWN),
    }  # fmt: skip
    assert {file["path"] for file in listed} == {f"prompts/{path.name}" for path in folder.iterdir()}
    for name in OWN:
        assert (folder / f"styled.{name}.md").read_bytes() == (ROOT / "recipes" / "prompts" / f"{name}.md").read_bytes()
    assert verify_folder(made).problems == ()
    assert "the templates of the recipe are in `prompts/`" in (made / "README.md").read_text(encoding="utf-8")
    assert str(ROOT) not in (made / "manifest.json").read_text(encoding="utf-8")


def test_the_folder_of_a_release_gives_the_same_release(made: Path) -> None:
    copy = made.with_name("copy")
    one, other = manifest_of(made), manifest_of(copy)
    assert keys_of(made) == keys_of(copy)
    assert one["prompts"] == other["prompts"] and one["shards"] == other["shards"]


def test_a_template_in_a_release_that_was_changed_is_found_and_mended(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "release")
    shutil.copytree(made.with_name("release.run"), tmp_path / "release.run")
    with (tmp_path / "release" / "prompts" / "styled.voice_first.md").open("a") as file:
        file.write("changed")
    with pytest.raises(ReleaseError, match=r"styled\.voice_first\.md was altered: its SHA-256 is not that of the mani"):
        check_release(tmp_path / "release")
    with FakeOpenAI() as server:
        mended = make_release(tmp_path / "release", server.url, RECIPE, prompts=own_prompts())
    assert bytes_of(mended) == bytes_of(made)


@pytest.mark.parametrize("path", ["prompts/../x.md", "prompts/a/b.md", "x.md", "prompts/x.py"])
def test_a_manifest_lists_no_other_file_as_a_template(path: str, made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "release")
    manifest = manifest_of(made)
    manifest["prompts"]["files"][0]["path"] = path
    write_manifest(tmp_path / "release", manifest)
    with pytest.raises(ReleaseError, match=r"lists '.*', which no release does"):
        check_release(tmp_path / "release")


def test_croissant_lists_the_templates(made: Path) -> None:
    files = json.loads((made / "croissant.json").read_text(encoding="utf-8"))["distribution"]
    listed = {file["@id"]: file["encodingFormat"] for file in files if file["@id"].startswith("prompts/")}
    assert listed == {file["path"]: "text/markdown" for file in manifest_of(made)["prompts"]["files"]}
    assert {file["path"] for file in files_of(manifest_of(made))} >= set(listed)


def test_datasets_reads_a_release_with_templates(made: Path, tmp_path: Path) -> None:
    loaded = load_dataset(str(made), cache_dir=str(tmp_path))
    assert sum(part.num_rows for part in loaded.values()) == 42
    assert loaded["train"].features == features_of(made, "all")
    assert {row["provenance"]["wording"] for row in loaded["train"]} == set(OWN)
    assert pg.load(str(made))["train"].num_rows == loaded["train"].num_rows


def test_a_run_has_copies_of_its_templates(made: Path) -> None:
    inputs = made.with_name("release.run") / "inputs"
    assert sorted(path.name for path in inputs.rglob("*.md")) == sorted(f"{name}.md" for name in OWN)


# The command and the function


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory
) -> Run:
    return run_here(monkeypatch, capsys, tmp_path_factory)


def test_preview_prints_the_requests_and_sends_none(run: Run) -> None:
    with FakeOpenAI() as server:
        done = run("preview", ROOT / "recipes" / "wordings.yaml", *OPENAI, server.url, "--prompts", "-n", "1")
        assert done.code == 0 and server.requests == []
    assert "anger-000000, stage sociocultural\n  system:\n    You describe invented people" in done.out
    assert "anger-000000, stage expression, wording after_the_event\n" in done.out
    assert "  [depends on the reply of the stage situational, for which a stand-in is shown]" in done.out
    assert "  sampling: max_tokens 400; temperature 0.8; seed " in done.out and "JSON schema {" in done.out


def test_preview_prints_one_json_object_per_request(run: Run) -> None:
    done = run("preview", "--prompts", "--json", "-n", "2")
    shown = [json.loads(line) for line in done.out.splitlines()]
    assert [one["id"] for one in shown] == ["anger-000000", "disgust-000000"]
    assert {"messages", "prefill", "sampling", "seed", "stop", "candidates", "schema", "stand_ins"} <= set(shown[0])
    assert [turn["role"] for turn in shown[0]["messages"]] == ["system", "user"]
    assert "beginning that the model continues:" in run("preview", "--prompts", "-n", "1").out


def test_prompts_export_writes_a_folder(run: Run) -> None:
    done = run("prompts", "export", "own", *OPENAI, "http://127.0.0.1:9/v1")
    assert (done.code, done.out) == (0, "own\n") and "name the folder in the recipe: prompts: own" in done.err
    assert sorted(path.name for path in Path("own").iterdir()) == [
        "README.md", "_layers.md", "situational.md", "sociocultural.md", "styled.md",
    ]  # fmt: skip
    readme = Path("own/README.md").read_text(encoding="utf-8")
    assert "| `emotion` | styled | name of the emotion |" in readme and "- `scene` has id, situational, " in readme
    again = run("prompts", "export", "own")
    assert again.code == 1 and "own is there already and is no empty folder; name a new one" in again.err
    as_json = json.loads(run("prompts", "export", "other", "--json").out)
    names = ("README", "_layers", "styled_continuation")
    assert as_json == {"folder": "other", "files": [f"other/{name}.md" for name in names]}


def test_an_error_in_a_template_is_one_line(run: Run) -> None:
    Path("own.md").write_text("{% block user %}\n{{ emotoin }}{% endblock %}")
    Path("recipe.yaml").write_text(f"{MODEL}prompts: {{styled: own.md}}")
    for command in ("plan", "preview", "generate"):
        done = run(command, "recipe.yaml")
        assert done.code == 1 and done.err.count("\n") == 1
        assert "own.md, line 2: unknown variable 'emotoin', did you mean 'emotion'?" in done.err


def test_the_function_returns_requests_for_a_notebook(tmp_path: Path) -> None:
    shown = pg.prompts(rows=14, number=2, model="openai:m", out=tmp_path / "own")
    assert repr(shown) == "<Prompts: 5 requests (sociocultural, situational, expression)>"
    assert shown[0] is shown.requests[0] and len(shown[1:]) == 4 and [*shown] == [*shown.requests]
    assert set(shown.templates) == {"_layers.md", "sociocultural.md", "situational.md", "styled.md"}
    frame = shown.to_pandas()
    assert list(frame.columns) == ["id", "stage", "wording", "system", "user", "prefill"]
    assert shown.to_dicts()[0]["stage"] == "sociocultural"
    page = shown._repr_html_()
    assert page.count("<table>") == 5 and "stands in" in page and "&quot;prose&quot;" in page
    again = pg.prompts(rows=14, number=2, model="openai:m", prompts=str(tmp_path / "own"))
    assert again.requests == shown.requests and again.templates == shown.templates
    with pytest.raises(FolderError, match="is there already and is no empty folder"):
        pg.prompts(rows=14, out=tmp_path / "own")
