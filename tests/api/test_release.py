"""Releases as objects: facts, loading, frames, and what a notebook shows of them."""

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import personagen as pg
from tests.helpers.releasing import EMOTIONS, manifest_of, records, rewrite

HOSTILE = "<img src=x onerror=alert(1)> & <script>alert('\u202ehi')</script>"


def rename(folder: Path) -> None:
    manifest = manifest_of(folder) | {"name": "other"}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


@pytest.mark.parametrize("make_source", [str, Path])
def test_facts_are_those_of_the_manifest(make_source: Any, release: Path) -> None:
    opened, manifest = pg.Release(make_source(release)), manifest_of(release)
    assert opened.folder == release
    assert (opened.name, opened.model) == ("personagen", "fake-1")
    assert opened.fingerprint == manifest["fingerprint"]
    assert (opened.emotions, opened.configs) == (EMOTIONS, (*manifest["configs"], "plain"))
    assert opened.cost is None
    assert len(opened) == 70


def test_counts_are_those_of_the_files(release: Path) -> None:
    counts = pg.Release(release).counts
    assert [count.emotion for count in counts] == list(EMOTIONS)
    for count in counts:
        per_split = [len(records(release, count.emotion, split)) for split in ("train", "validation", "test")]
        assert per_split == [count.train, count.validation, count.test]
        assert count.texts == sum(per_split)


def test_rejected_replies_and_cost_are_those_of_the_manifest(release: Path, tmp_path: Path) -> None:
    usage = {"requests": 9, "prompt_tokens": 1, "completion_tokens": 1, "cost": 0.25}
    rejects = {"expression": {"length": 2, "duplicate": 1}, "situational": {"not_json": 3}}
    changed = pg.Release(rewrite(release, tmp_path / "r", "-", lambda table: table, rejects=rejects, usage=usage))
    assert [(row.stage, row.reason, row.replies) for row in changed.rejects] == [
        ("expression", "length", 2),
        ("expression", "duplicate", 1),
        ("situational", "not_json", 3),
    ]
    assert changed.cost == 0.25
    assert "6 replies rejected" in repr(changed)
    assert "not_json" in changed._repr_html_()


def test_repr_is_one_short_line(beside: Path) -> None:
    line = (
        "<Release 'personagen': 70 texts of 7 emotions by fake-1 (56 train, 7 validation, 7 test), 0 replies rejected>"
    )
    assert repr(pg.Release()) == line


def test_html_shows_counts_and_samples_and_no_folder_above_the_working_one(beside: Path) -> None:
    html = pg.Release()._repr_html_()
    assert str(beside.parent) not in html
    assert "<td>joy</td><td>8</td><td>1</td><td>1</td><td>10</td>" in html
    assert html.count("<p><strong>") == 4, "the release and three samples"


def test_html_escapes_texts_and_names(release: Path, tmp_path: Path) -> None:
    def hostile(table: pa.Table) -> pa.Table:
        column = pa.array([HOSTILE] * len(table), table.schema.field("text").type)
        return table.set_column(table.schema.get_field_index("text"), table.schema.field("text"), column)

    model = {"backend": "openai", "name": HOSTILE, "revision": None, "licence": None}
    changed = rewrite(release, tmp_path / "<u>", "anger/", hostile, model=model, name="<s>name")
    html = pg.Release(changed)._repr_html_()
    for raw in ("<img", "<script", "<u>", "<s>"):
        assert raw not in html
    assert "&lt;img src=x onerror=alert(1)&gt; &amp;" in html


def test_a_long_sample_is_cut(release: Path, tmp_path: Path) -> None:
    def long(table: pa.Table) -> pa.Table:
        column = pa.array(["word " * 400] * len(table), table.schema.field("text").type)
        return table.set_column(table.schema.get_field_index("text"), table.schema.field("text"), column)

    html = pg.Release(rewrite(release, tmp_path / "r", "anger/", long))._repr_html_()
    assert html.count("word") == 60
    assert "…" in html


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / "manifest.json").unlink(), "manifest.json is missing"),
        (lambda folder: next((folder / "joy").iterdir()).unlink(), "is missing; run its `generate` command again"),
        (lambda folder: next((folder / "joy").iterdir()).write_bytes(b"PAR1"), "has 4 bytes, wanted "),
        (rename, "was changed by hand"),
    ],
)
def test_opening_refuses_a_folder_that_is_no_whole_release(
    damage: Any, words: str, release: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(release, tmp_path / "copy"))
    damage(copy)
    with pytest.raises(pg.errors.ReleaseError) as caught:
        pg.Release(copy)
    assert words in str(caught.value)


def test_verify_reads_every_byte(release: Path, tmp_path: Path) -> None:
    assert pg.Release(release).verify().problems == ()
    copy = Path(shutil.copytree(release, tmp_path / "copy"))
    opened, file = pg.Release(copy), next((copy / "joy").iterdir())
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    pg.Release(copy)
    with pytest.raises(pg.errors.ReleaseError, match="was altered"):
        opened.verify()


def test_the_frame_has_every_text_with_names_and_layers(release: Path) -> None:
    frame = pg.Release(release).to_pandas()
    rows = {row["id"]: row for emotion in EMOTIONS for row in records(release, emotion)}
    assert sorted(frame["id"]) == sorted(rows)
    for row in frame.to_dict("records"):
        written = rows[row["id"]]
        assert row["label"] == EMOTIONS[written["label"]]
        assert row["text"] == written["text"]
        assert row["demographic.age"] == written["demographic"]["age"]
        assert row["situational.appraisal.agency"] == written["situational"]["appraisal"]["agency"]
    assert frame.groupby(["label", "split"]).size()["joy"].to_dict() == {"test": 1, "train": 8, "validation": 1}


def test_load_gives_all_splits_or_one(release: Path) -> None:
    opened = pg.Release(release)
    assert {name: len(part) for name, part in opened.load().items()} == {"train": 56, "validation": 7, "test": 7}
    assert len(opened.load(split="test")) == 7
    assert len(pg.load(release, split="train[:3]")) == 3
    assert set(pg.load(release, emotions="joy", split="train").unique("label")) == {EMOTIONS.index("joy")}
    assert set(opened.load(depth="none", split="test").unique("depth")) == {"none"}
    assert opened.load("demographic", split="test").column_names[0] == "persona_id"
    assert opened.load(columns=["id", "text"], split="test").column_names == ["id", "text"]


def test_load_uses_the_folder_of_that_name_by_default(beside: Path) -> None:
    assert len(pg.load(split="test")) == 7


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"emotions": ["jog"]}, "did you mean 'joy'?"),
        ({"config": "jog"}, "did you mean 'joy'?"),
        ({"depth": "nome"}, "did you mean 'none'?"),
        ({"columns": ["texd"]}, "did you mean 'text'?"),
        ({"split": "trian"}, "['train', 'validation', 'test']"),
        ({"min_confidence": 0.5}, "leave it out"),
    ],
)
def test_a_wrong_option_of_load_is_a_release_error_that_helps(
    options: dict[str, Any], words: str, release: Path
) -> None:
    with pytest.raises(pg.errors.ReleaseError) as caught:
        pg.load(release, **options)
    assert words in str(caught.value)


def test_a_release_that_is_nowhere_is_one_line() -> None:
    with pytest.raises(pg.errors.ReleaseError, match="no release in nowhere"):
        pg.load("nowhere")
    with pytest.raises(pg.errors.HubError, match="no answer from the Hub"):
        pg.load("USER/nowhere@v1")
