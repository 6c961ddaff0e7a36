"""2,000 mutations of a manifest: refused in one line or read in full; nothing outside the folder is opened."""

import json
import random
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from personagen.builder.api.release_forms import texts_frame
from personagen.builder.cli.display import summary, summary_lines
from personagen.builder.core.errors import PersonaGenError, ReleaseError
from personagen.builder.hub.verify import verify_folder
from personagen.builder.release.cards.card import render_card
from personagen.builder.release.folder import check_manifest, configurations, read_manifest, sealed
from personagen.builder.release.tables.shards import ShardFile, file_digest
from personagen.builder.release.texts import read_texts
from personagen_dataset import open_release
from tests.helpers.hostile.mutations import as_json, damaged, mutated, places, strange_files, watched_files
from tests.helpers.releasing import make_release, manifest_of

SECRET = "words of another file"


@pytest.fixture
def folder(tmp_path: Path, small_release: Path) -> Path:
    """A release, beside a folder with a table that is none of its."""
    (tmp_path / "outside").mkdir()
    pq.write_table(pa.table({"id": ["x"], "text": [SECRET]}), tmp_path / "outside" / "secret.parquet")
    return Path(shutil.copytree(small_release, tmp_path / "release"))


@pytest.fixture(scope="module")
def small_release(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    recipe = "rows: 4\nemotions: [joy, fear]\ndepth: demographic\nexpression: shown"
    return make_release(tmp_path_factory.mktemp("hostile") / "small", model.url, recipe)


def read_all(folder: Path) -> bool:
    """Read a release in every way; return whether `verify` finds no problem."""
    manifest = read_manifest(folder)
    check_manifest(manifest, "m")
    lines = list(summary_lines(summary(folder, manifest, 2)))
    assert all(line.isprintable() for line in lines) and not any(SECRET in line for line in lines)
    assert SECRET not in read_texts(folder, manifest).texts
    render_card(manifest)
    return not verify_folder(folder).problems


def require_refusal_or_whole(folder: Path, text: str, original: dict[str, Any]) -> bool:
    (folder / "manifest.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        is_whole = read_all(folder)
    except PersonaGenError as error:
        assert len(str(error)) < 1000 and "\n" not in str(error)
        is_whole = False
    if is_whole:
        manifest = manifest_of(folder)
        for key in ("shards", "configs", "format"):
            assert manifest[key] == original[key], key
        assert [e["name"] for e in manifest["taxonomy"]["emotions"]] == [
            e["name"] for e in original["taxonomy"]["emotions"]
        ]
    try:
        open_release(folder)
    except ValueError as error:
        assert len(str(error)) < 1000 and not is_whole
    return is_whole


@pytest.mark.parametrize("part", range(2))
def test_mutated_manifests_are_refused_or_read_in_full(part: int, folder: Path) -> None:
    """Every manifest is sealed again after its change."""
    rng = random.Random(part)
    original = manifest_of(folder)
    known = list(places(original))
    assert read_all(folder), "the release is whole before it is changed"
    whole = 0
    with watched_files() as opened:
        for _ in range(500):
            manifest = mutated(original, rng, known)
            with suppress(ValueError, RecursionError, TypeError):
                manifest = sealed(manifest) if isinstance(manifest, dict) else manifest
            whole += require_refusal_or_whole(folder, as_json(manifest), original)
            assert not strange_files(opened, folder), strange_files(opened, folder)
            opened.clear()
    assert 0 < whole < 450, "some changes, as of a definition, leave a release that is whole"


def test_damaged_manifests_are_refused(folder: Path) -> None:
    rng = random.Random(20)
    text = (folder / "manifest.json").read_text(encoding="utf-8")
    original = json.loads(text)
    for _ in range(500):
        changed = damaged(text, rng)
        if require_refusal_or_whole(folder, changed, original):
            assert json.loads(changed) == original


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m["shards"][0].update(rows=8.0), r"'shards\.0\.rows': got 8.0, wanted a valid integer"),
        (lambda m: m["shards"][0].update(rows=True), r"'shards\.0\.rows': got True"),
        (lambda m: m["shards"][0].pop("sha256"), r"'shards\.0\.sha256'"),
        (lambda m: m["shards"][0].update(bytes=-1), r"'shards\.0\.bytes': got -1, wanted greater than or equal to 0"),
        (lambda m: m.update(scores={}), "'scores': got dict, wanted a valid list"),
        (lambda m: m.update(scores=[1, 2]), r"'scores\.0': got 1"),
        (lambda m: m.update(license=True), "'license': got True"),
        (lambda m: m.update(prompts={}), r"'prompts\.version'"),
        (lambda m: m.update(evaluation={"path": "scores.json"}), r"'evaluation\.bytes'"),
        (lambda m: m.update(audit={"path": "x", "bytes": 1, "sha256": "0" * 64}), "lists 'x', which no release does"),
        (lambda m: m.update(version="1.1." + "9" * 5000), "'version': got str"),
        (lambda m: m["taxonomy"]["emotions"][0].update(name="../outside"), r"'taxonomy\.emotions\.0\.name'"),
        (lambda m: m["shards"][0].update(path="joy/../../outside/secret.parquet"), "which no release does"),
        (lambda m: m.update(name="\ud800"), "half of a surrogate pair"),
        (lambda m: m["rejects"].update(expression={"length": "7"}), r"'rejects\.expression\.length': got str"),
        (lambda m: m["configs"].pop("all"), "no configuration 'all'"),
    ],
)  # fmt: skip
def test_a_manifest_of_wrong_types_is_one_line(change: Any, message: str, folder: Path) -> None:
    manifest = manifest_of(folder)
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(sealed(manifest)), encoding="utf-8")
    with pytest.raises(ReleaseError, match=message) as caught:
        verify_folder(folder)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


@pytest.mark.parametrize("name", ["joy", "manifest.json", "README.md", "joy/train"])
def test_links_that_leave_the_release_are_refused(name: str, folder: Path, tmp_path: Path) -> None:
    path = next(folder.glob(f"{name}*" if "/" in name else name))
    shutil.move(path, tmp_path / "outside" / path.name)
    path.symlink_to(tmp_path / "outside" / path.name)
    with pytest.raises(ReleaseError, match=r"leads out of the folder"):
        read_all(folder)


def test_a_double_key_is_refused(folder: Path) -> None:
    text = (folder / "manifest.json").read_text(encoding="utf-8")
    (folder / "manifest.json").write_text(text.replace("{", '{"name": "other",', 1), encoding="utf-8")
    with pytest.raises(ReleaseError, match="an object has a key twice"):
        read_all(folder)


def with_tables(folder: Path, change: Any) -> None:
    """Replace the tables of a release by number, and seal a manifest that lists what is there."""
    manifest = manifest_of(folder)
    for number, shard in enumerate(manifest["shards"]):
        change(number, folder / shard["path"], shard)
        shard |= {"bytes": (folder / shard["path"]).stat().st_size, "sha256": file_digest(folder / shard["path"])}
    manifest["configs"] = configurations(ShardFile(**shard) for shard in manifest["shards"])
    (folder / "manifest.json").write_text(json.dumps(sealed(manifest)), encoding="utf-8")
    (folder / "README.md").write_text(render_card(manifest), encoding="utf-8")


def test_tables_that_are_no_parquet_or_unpack_without_bound_are_named(folder: Path) -> None:
    """Their sizes and digests are those of the manifest."""

    def change(number: int, path: Path, shard: dict[str, Any]) -> None:
        if number == 0:
            path.write_bytes(b"PAR1" + bytes(range(256)) * 9 + b"PAR1")
        elif number == 1:
            table = pa.table({"id": ["x"] * shard["rows"], "text": ["y" * 30_000_000] * shard["rows"]})
            pq.write_table(table, path, use_dictionary=False, compression="zstd")

    with_tables(folder, change)
    problems = verify_folder(folder).problems
    assert "is no parquet" in problems[0] and "unpacks to" in problems[1] and "500,000 per row" in problems[1]


def repeated_text(path: Path, shard: dict[str, Any]) -> None:
    """A dictionary holds a text once that all rows repeat: the footer states 9 MB, and unpacked it is 1.8 GB."""
    shard["rows"] = 200
    codes = pa.array([0] * 200, pa.int32())
    text = pa.DictionaryArray.from_arrays(codes, pa.array(["y" * 9_000_000]))
    pq.write_table(pa.table({"id": ["x"] * 200, "text": text}), path, compression="zstd")


def repeated_prose(path: Path, shard: dict[str, Any]) -> None:
    """The same within a layer, between short texts."""
    shard["rows"] = 40
    prose = ["p" * 3_000_000 if row % 2 else "q" for row in range(40)]
    rows = [{"id": "x", "text": "y", "demographic": {"prose": text}} for text in prose]
    pq.write_table(pa.Table.from_pylist(rows), path, compression="zstd", dictionary_pagesize_limit=2**30)


def many_rows(path: Path, shard: dict[str, Any]) -> None:
    """Equal rows cost no bytes."""
    shard["rows"] = 3_000_000
    codes = pa.array([0]).take(pa.array([0] * shard["rows"]))
    table = pa.table({name: pa.DictionaryArray.from_arrays(codes, pa.array(["x"])) for name in ("id", "text")})
    pq.write_table(table, path, row_group_size=2**30)


@pytest.mark.parametrize(
    ("bomb", "message"),
    [
        (repeated_text, "has a text of 9,000,000 bytes, more than 500,000"),
        (repeated_prose, "has a text of 3,000,000 bytes, more than 500,000"),
        (many_rows, "has 3,000,000 rows in"),
    ],
)
def test_a_small_file_that_unpacks_to_much_is_named_and_not_read(bomb: Any, message: str, folder: Path) -> None:
    """Every reader refuses it before it is unpacked."""
    with_tables(folder, lambda _, path, shard: bomb(path, shard))
    manifest = read_manifest(folder)
    assert all(message in problem for problem in verify_folder(folder).problems[: len(manifest["shards"])])
    with pytest.raises(ReleaseError, match="cannot read "):
        read_texts(folder, manifest)
    if bomb is not repeated_prose:
        with pytest.raises(ReleaseError, match=f"cannot read .*{message}"):
            summary(folder, manifest, 1)
    with pytest.raises(ReleaseError, match="cannot read "):
        texts_frame(folder, manifest)
