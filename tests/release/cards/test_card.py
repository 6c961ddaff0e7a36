"""The card of a release: the golden card, its YAML, its numbers, and hostile text."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from huggingface_hub import DatasetCard

from personagen.builder.core.errors import ReleaseError
from personagen.builder.planning.plan import request_seed
from personagen.builder.release.cards import card as card_module
from personagen.builder.release.cards.card import read_template, render_card
from personagen.builder.release.cards.metadata import HINT
from personagen.builder.release.cards.regions import regions
from personagen.builder.release.cards.samples import sample_rows
from tests.helpers.releasing import GOLDEN, make_release, manifest_of, records, strings
from tests.helpers.servers.fake_openai import FakeOpenAI, Fault

CARD, MANIFEST = GOLDEN / "card.md", GOLDEN / "manifest.json"
GOLDEN_RECIPE = """
name: small
seed: 7
rows: 30
emotions: [joy, fear, neutral]
intensities: [low, high]
ablations: [none]
text: {max_words: 45}  # the fake server writes texts of up to 40 words
"""


def make_golden_release(out: Path) -> Path:
    """Make the release of the golden manifest and card; two of its replies are rejected."""
    faults = [
        Fault("refusal", seed=request_seed(7, "joy-000001", "expression", 0)),
        Fault("not_json", seed=request_seed(7, "p000001", "sociocultural", 0)),
    ]
    with FakeOpenAI(faults=faults) as server:
        return make_release(out, server.url, GOLDEN_RECIPE)


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_golden_release(tmp_path_factory.mktemp("card") / "small")


@pytest.fixture
def manifest() -> dict[str, Any]:
    """The golden manifest: the stored manifest of a real run, so that a card changes with its template alone."""
    parsed: dict[str, Any] = json.loads(MANIFEST.read_text(encoding="utf-8"))
    return parsed


def front_matter(card: str) -> dict[str, Any]:
    """Parse the YAML on top."""
    head = card.split("---\n")[1]
    parsed: dict[str, Any] = yaml.safe_load(head)
    return parsed


def patterns(part: dict[str, Any]) -> list[str]:
    """Return the patterns of a split, which are a list or a single string."""
    return [part["path"]] if isinstance(part["path"], str) else part["path"]


def body(card: str) -> list[str]:
    """Return the lines below the YAML."""
    return card.split("\n---\n", 1)[1].splitlines()


def outside_code(card: str) -> Iterator[str]:
    """Yield the lines below the YAML outside fenced code."""
    fence = ""
    for line in body(card):
        ticks = re.match(r" {0,3}(`{3,})([^`]*)$", line)
        if not fence and ticks:
            fence = ticks.group(1)
        elif not fence:
            yield line
        elif ticks and len(ticks.group(1)) >= len(fence) and not ticks.group(2).strip():
            fence = ""
    assert not fence, "a fence is not closed"


def table(card: str, head: str) -> dict[str, list[str]]:
    """Return the rows of the table with this head: the other cells by the first cell."""
    lines = body(card)
    start = next(number for number, line in enumerate(lines) if line.startswith(head))
    rows: dict[str, list[str]] = {}
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        first, *others = (cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1])
        rows[first] = others
    return rows


def shape(value: Any) -> Any:
    """Return the keys of a manifest with the types of their values."""
    if isinstance(value, dict):
        return {key: shape(part) for key, part in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value else type(value).__name__


def test_the_card_is_the_golden_one(manifest: dict[str, Any]) -> None:
    """After an intended change: python -m tests.update_golden."""
    assert render_card(manifest) == CARD.read_text(encoding="utf-8")


def test_a_checkout_without_links_is_refused_in_one_line(tmp_path: Path) -> None:
    """Git then writes the target path of the link into the file."""
    (tmp_path / "dataset_card.md").write_text("../../dataset_card.md", encoding="utf-8")
    with pytest.raises(ReleaseError) as caught:
        read_template(tmp_path / "dataset_card.md")
    assert str(caught.value) == (
        f"{tmp_path}/dataset_card.md is not a template of a dataset card (21 characters, probably a link that was "
        "checked out as a file); install the wheel, or clone again with git config core.symlinks true"
    )


def test_a_broken_template_stops_a_run_before_any_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: FakeOpenAI
) -> None:
    (tmp_path / "dataset_card.md").write_text("../../dataset_card.md", encoding="utf-8")
    monkeypatch.setattr(card_module, "TEMPLATE", tmp_path / "dataset_card.md")
    sent = len(model.requests)
    with pytest.raises(ReleaseError, match="is not a template of a dataset card"):
        make_release(tmp_path / "out", model.url, "rows: 7")
    assert len(model.requests) == sent


def test_the_golden_manifest_is_as_a_run_writes_it(release: Path, manifest: dict[str, Any]) -> None:
    fresh = manifest_of(release)
    for files in (fresh["tables"], fresh["prompts"]["templates"], manifest["tables"], manifest["prompts"]["templates"]):
        files.clear()  # other tests compare their names
    assert shape(fresh) == shape(manifest)


def test_the_card_on_disk_is_that_of_the_manifest_beside_it(release: Path) -> None:
    assert (release / "README.md").read_text(encoding="utf-8") == render_card(manifest_of(release))


def test_the_card_holds_three_texts_of_the_model_and_no_more(release: Path) -> None:
    card = " ".join((release / "README.md").read_text(encoding="utf-8").split())
    folders = [path.name for path in release.iterdir() if path.is_dir()]
    written = {
        text
        for folder in folders
        for record in records(release, folder)
        for text in strings(record)
        if len(text.split()) > 3
    }
    assert len(written) > 60
    samples = manifest_of(release)["samples"]
    event = manifest_of(release)["composition"]["most_frequent_event"]["event"]
    assert {text for text in written if text in card} == {event, *(sample["text"] for sample in samples)}
    first = records(release, "all", "train")
    assert [sample["id"] for sample in samples] == [
        next(row["id"] for row in first if row["emotion"] == emotion)
        for emotion in dict.fromkeys(row["emotion"] for row in first)
    ]


def test_yaml_and_the_hub_client_parse_the_same_metadata(release: Path) -> None:
    text = (release / "README.md").read_text(encoding="utf-8")
    metadata = DatasetCard.load(release / "README.md").data.to_dict()
    assert metadata == front_matter(text)
    assert metadata["pretty_name"] == "small"
    assert metadata["language"] == ["en"]
    assert metadata["task_categories"] == ["text-classification"]
    assert metadata["size_categories"] == ["n<1K"]
    assert metadata["multilinguality"] == ["monolingual"]
    assert metadata["annotations_creators"] == metadata["language_creators"] == ["machine-generated"]
    assert metadata["source_datasets"] == ["original"]
    assert "synthetic" in metadata["tags"]
    assert not any({"splits", "dataset_size"} & {*entry} for entry in metadata["dataset_info"]), "no load with filters"


def test_every_configuration_is_listed_with_version_and_digest(manifest: dict[str, Any]) -> None:
    configs = {entry["config_name"]: entry for entry in front_matter(render_card(manifest))["configs"]}
    assert list(configs) == [
        *("fear", "joy", "neutral"),
        "all",
        *("depth_none", "demographic", "sociocultural", "situational"),
        "plain",
    ]
    assert list(configs) == [*manifest["configs"], "plain"]
    assert configs["plain"]["columns"] == ["text", "label"]
    for name, entry in configs.items():
        known = manifest["configs"]["all" if name == "plain" else name]
        assert entry["version"] == manifest["version"]
        assert re.fullmatch(r"[0-9a-f]{16}", known["digest"])
        assert entry["description"] == f"content {known['digest']}; {HINT}"
        assert {part["split"]: patterns(part) for part in entry["data_files"]} == known["data_files"]
        assert entry.get("default", False) is (name == "all")


def test_every_pattern_of_the_card_finds_the_shards_of_the_manifest(release: Path) -> None:
    manifest = manifest_of(release)
    card = front_matter((release / "README.md").read_text(encoding="utf-8"))
    found = {
        str(path.relative_to(release))
        for entry in card["configs"]
        for part in entry["data_files"]
        for pattern in patterns(part)
        for path in release.glob(pattern)
    }
    assert found == {shard["path"] for shard in manifest["shards"]}
    assert found == {str(path.relative_to(release)) for path in release.rglob("*.parquet")}


def test_the_numbers_are_those_of_the_manifest(manifest: dict[str, Any]) -> None:
    card = render_card(manifest)
    counts = table(card, "| configuration |")
    assert counts == {
        f"`{name}`": [str(config["rows"].get(split, 0)) for split in ("train", "validation", "test")]
        for name, config in [*manifest["configs"].items(), ("plain", manifest["configs"]["all"])]
    }
    facts = table(card, "| | |")
    usage = manifest["usage"]
    assert facts["seed"] == ["7"]
    assert facts["recipe"] == [f"{manifest['fingerprint']} (in `manifest.json`)"]
    assert facts["prompts"][0].split()[0] == manifest["prompts"]["version"]
    templates = manifest["prompts"]["templates"]
    assert {"styled_continuation", "styled", "situational"} <= set(templates)
    cell = facts["prompts"][0].replace("\\", "")
    assert all(f"{name} {template['version']}" in cell for name, template in templates.items())
    assert facts["requests, prompt tokens, completion tokens"] == [
        f"{usage['requests']}, {usage['prompt_tokens']}, {usage['completion_tokens']}"
    ]
    assert manifest["rejects"] == {"expression": {"refusal": 1}, "sociocultural": {"schema": 1}}
    assert facts["rejected replies"] == ["2 (refusal 1, schema 1)"]
    assert facts["reasons to reject a reply"][0].startswith("refusal: the model declined to write; schema: ")
    assert facts["model"] == ["fake-1 (openai backend)"]
    assert facts["code"] == [f"personagen {manifest['personagen']}"]
    assert "\n30 emotional texts by virtual personas, each labelled with one of 3 emotions (ekman taxonomy).\n" in card
    assert table(card, "| label |") == {
        emotion["name"]: [emotion["definition"]] for emotion in manifest["taxonomy"]["emotions"]
    }


def test_the_card_shows_how_to_load_the_release(manifest: dict[str, Any]) -> None:
    assert 'load_dataset(release, "fear")["train"][0]' in render_card(manifest)


def test_a_card_of_the_embedded_model_has_a_warning(manifest: dict[str, Any]) -> None:
    warning = "They are no evidence for or against the method"
    assert warning not in " ".join(render_card(manifest).split())
    manifest["model"]["backend"] = "embedded"
    assert warning in " ".join(render_card(manifest).split())


@pytest.mark.parametrize(
    ("rows", "size"),
    [(999, "n<1K"), (1_000, "1K<n<10K"), (99_999, "10K<n<100K"), (10**7, "10M<n<100M"), (100_000_000, "100M<n<1B")],
)
def test_the_size_is_that_of_the_hub(rows: int, size: str, manifest: dict[str, Any]) -> None:
    manifest["configs"]["all"]["rows"] = {"train": rows}
    assert front_matter(render_card(manifest))["size_categories"] == [size]


def test_a_card_without_a_language_names_none(manifest: dict[str, Any]) -> None:
    manifest["recipe"]["text"]["language"] = None
    assert {"language", "multilinguality"} & set(front_matter(render_card(manifest))) == set()
    assert "Every persona writes the same language" not in render_card(manifest)


@pytest.mark.parametrize("name", ["yes", "no", "on", "null", "true", "default", "train", "builder", "e1"])
def test_an_emotion_keeps_a_name_with_a_meaning_in_yaml(name: str, manifest: dict[str, Any]) -> None:
    manifest["configs"] = {"all": manifest["configs"]["all"], name: manifest["configs"]["joy"]}
    assert front_matter(render_card(manifest))["configs"][1]["config_name"] == name


HOSTILE = {
    "pipe": "one | two || three \\| four",
    "lines": "one\ntwo\r\nthree\n\n# A heading\n\u2028four\x85five\x0bsix",
    "rule": "---\nconfigs:\n- config_name: evil\n---",
    "ticks": "`code` ```\nfence\n``` ~~~ $x$",
    "html": "<script>alert(1)</script><!-- <img src=x onerror=y> --></td>",
    "links": "[me](javascript:alert(1)) ![x](http://h/x.png) <http://h>",
    "marks": "*bold* _thin_ **loud** ~~gone~~ {{ manifest.seed }} {% raw %} #tag",
    "control": "bell \x07 escape \x1b[2J zero \x00 right \u202eleft",
}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A release with hostile names of emotions and model."""
    emotions = [{"name": name, "definition": text, "like": "joy"} for name, text in HOSTILE.items()]
    recipe = {"rows": len(emotions), "taxonomy": {"name": "mine", "emotions": emotions}, "name": "hostile"}
    with FakeOpenAI() as server:
        model: dict[str, Any] = {"backend.model": "m | `x` --- # <b>big</b>"}
        yield make_release(tmp_path_factory.mktemp("hostile") / "hostile", server.url, json.dumps(recipe), **model)


def test_hostile_words_leave_the_yaml_alone(hostile: Path) -> None:
    text = (hostile / "README.md").read_text(encoding="utf-8")
    metadata = DatasetCard.load(hostile / "README.md").data.to_dict()
    assert metadata == front_matter(text)
    assert [entry["config_name"] for entry in metadata["configs"]] == [
        *HOSTILE,
        "all",
        *("demographic", "sociocultural", "situational"),
        "plain",
    ]


def test_hostile_words_stay_in_their_cells(hostile: Path) -> None:
    card = (hostile / "README.md").read_text(encoding="utf-8")
    labels = table(card, "| label |")
    assert list(labels) == list(HOSTILE)
    assert all(len(cells) == 1 and cells[0] for cells in labels.values())
    assert len(table(card, "| | |")["model"]) == 1
    headings = [line for line in outside_code(card) if line.startswith("#")]
    assert headings == [
        "# hostile",
        "## Sample rows",
        "## Quality",
        "## People, personal information and offence",
        "## Uses",
        "## Biases and limits",
        "## Load it",
        "## Labels",
        "## Columns",
        "## Composition",
        "## How it was made",
        "## Expression and style",
        "## Licence",
        "## Citation",
    ]


def test_hostile_words_are_no_markup(hostile: Path) -> None:
    card = (hostile / "README.md").read_text(encoding="utf-8")
    cells = [cell for cells in table(card, "| label |").values() for cell in cells] + table(card, "| | |")["model"]
    for cell in cells:
        assert not re.search(r"(?<!\\)(?:\\\\)*[`*_{}\[\]<>#~!|]", cell), cell
    plain = re.sub(r"\\([\\`*_{}\[\]<>|#~!])", r"\1", table(card, "| label |")["html"][0])
    assert plain == HOSTILE["html"]


def test_the_card_holds_no_control_characters(hostile: Path) -> None:
    card = (hostile / "README.md").read_text(encoding="utf-8")
    assert [char for char in card if not char.isprintable() and char != "\n"] == []


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_stays_in_its_sample_row(name: str, tmp_path: Path) -> None:
    """Texts of the model are hostile data: the card shows them as one plain line."""
    words = HOSTILE[name].replace("http://h", "//h")  # a text with an address is no sample
    text = f"It was a long day and {words} and then we went home. <!-- personagen: yours (notes) -->"
    path = tmp_path / "train.parquet"
    pq.write_table(pa.Table.from_pylist([{"id": "joy-1", "emotion": "joy", "text": text}]), path)
    manifest = json.loads(MANIFEST.read_text(encoding="utf-8"))
    plain = render_card(manifest)
    manifest["samples"] = sample_rows(path)
    card = render_card(manifest)
    assert list(table(card, "| sample of |")) == ["joy"]
    cells = table(card, "| sample of |")["joy"]
    assert len(cells) == 2 and cells[0].startswith("It was a long day and")
    assert not re.search(r"(?<!\\)(?:\\\\)*[`*_{}\[\]<>#~!|]", cells[0])
    assert front_matter(card) == front_matter(plain)
    assert [line for line in outside_code(card) if line.startswith("#")] == [
        line for line in outside_code(plain) if line.startswith("#")
    ]
    assert [char for char in card if not char.isprintable() and char != "\n"] == []
    assert regions(card) == {"introduction": "", "notes": ""}


def test_a_long_text_is_cut_in_its_sample(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    rows = [{"id": f"joy-{number}", "emotion": "joy", "text": "word " * 10_000} for number in range(3)]
    pq.write_table(pa.Table.from_pylist(rows), path)
    (sample,) = sample_rows(path)
    assert sample["id"] == "joy-0" and sample["text"] == f"{'word ' * 55}word ..." and sample["persona"] == "none"


def test_a_text_that_offends_is_no_sample(tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    texts = ["Damn it all.", "Call me at 693-9222.", "He called me a gyppo.", "The bus was late."]
    pq.write_table(pa.Table.from_pylist([{"id": text, "emotion": "joy", "text": text} for text in texts]), path)
    assert [sample["text"] for sample in sample_rows(path)] == ["The bus was late."]
