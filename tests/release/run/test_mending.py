"""A damaged release is mended from its journal, without a request, and `verify` finds no damage that this does not."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from personagen.builder.core.errors import FolderError
from personagen.builder.generate import generate
from personagen.builder.hub.verify import verify_folder
from personagen.builder.release import add_results, read_manifest
from personagen.builder.release.folder import sealed
from personagen.builder.release.run.run_folder import run_folder_of
from tests.helpers.command import Run
from tests.helpers.flow import Recorder, bytes_of, make, recipe_for, seed_of, texts_of
from tests.helpers.servers.fake_openai import FakeOpenAI, Fault

TABLE = "joy/train-00000-of-00001.parquet"


def flip(path: Path, at: int) -> None:
    """Flip one bit of a file; `at` is a percentage of its bytes."""
    data = bytearray(path.read_bytes())
    data[(len(data) - 1) * at // 100] ^= 1
    path.write_bytes(data)


def put(path: Path, text: str) -> None:
    """Write a file."""
    path.write_text(text, encoding="utf-8")


def change(path: Path, **keys: object) -> None:
    """Change keys of a manifest and leave its digest as it was."""
    put(path, json.dumps(json.loads(path.read_text(encoding="utf-8")) | keys))


@pytest.fixture(scope="module")
def whole(model: FakeOpenAI, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Release of `recipe_for(model.url)`, which each test damages and mends."""
    out = tmp_path_factory.mktemp("mended") / "out"
    make(recipe_for(model.url), out)
    return out


DAMAGE: dict[str, Callable[[Path], object]] = {
    "table is missing": lambda out: (out / TABLE).unlink(),
    "table is empty": lambda out: (out / TABLE).write_bytes(b""),
    "table is cut": lambda out: (out / TABLE).write_bytes((out / TABLE).read_bytes()[:-1]),
    "table has zeros": lambda out: (out / TABLE).write_bytes(bytes((out / TABLE).stat().st_size)),
    "table has a flipped bit at its start": lambda out: flip(out / TABLE, 0),
    "table has a flipped bit within": lambda out: flip(out / TABLE, 40),
    "table has a flipped bit at its end": lambda out: flip(out / TABLE, 100),
    "table is a link": lambda out: (out / TABLE).rename(out / "x") and (out / TABLE).symlink_to(out / "x"),
    "card is missing": lambda out: (out / "README.md").unlink(),
    "card is empty": lambda out: put(out / "README.md", ""),
    "card has zeros": lambda out: put(out / "README.md", "\0" * 4000),
    "manifest is missing": lambda out: (out / "manifest.json").unlink(),
    "manifest is empty": lambda out: put(out / "manifest.json", ""),
    "manifest has zeros": lambda out: put(out / "manifest.json", "\0" * 4000),
    "manifest is cut": lambda out: put(out / "manifest.json", (out / "manifest.json").read_text()[:-9]),
    "manifest has another fingerprint": lambda out: change(out / "manifest.json", fingerprint="0"),
    "manifest has another seed": lambda out: change(out / "manifest.json", seed=7),
    "manifest has no tables": lambda out: change(out / "manifest.json", shards=None),
    "everything is empty": lambda out: [path.write_bytes(b"") for path in out.rglob("*") if path.is_file()],
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_release_is_named_and_mended_without_a_request(
    kind: str, whole: Path, model: FakeOpenAI, run: Run
) -> None:
    before, sent = bytes_of(whole), len(model.requests)
    DAMAGE[kind](whole)
    verified = run("verify", str(whole))
    assert verified.code == 1 and verified.err.count("\n") == 1
    assert "generate" in verified.err and "--fresh" not in verified.err and "--out" not in verified.err
    recorder = Recorder()
    assert generate(recipe_for(model.url), whole, progress=recorder).created
    assert bytes_of(whole) == before and len(model.requests) == sent
    assert not make(recipe_for(model.url), whole).created
    assert run("verify", str(whole)).code == 0


def test_a_release_with_a_refused_request_is_mended_and_grows_as_it_was(tmp_path: Path) -> None:
    """Whatever the server says now: a text that was written without the reply would be another one with it."""
    out = tmp_path / "out"
    refused = Fault("status", seed=seed_of("joy-000002", 0), status=400, body={"error": {"message": "no"}})
    with FakeOpenAI(faults=[refused]) as server:
        make(recipe_for(server.url), out)
    assert read_manifest(out)["rejects"] == {"expression": {"request": 1}}
    before = bytes_of(out)
    with FakeOpenAI() as server:
        (out / TABLE).unlink()
        assert make(recipe_for(server.url), out).created and bytes_of(out) == before
        assert not server.requests
        texts = {row["id"]: row["text"] for row in texts_of(out)}
        generate(recipe_for(server.url, {"rows": 20}), out, append=True)
        assert len(server.requests) == 6
    assert texts.items() <= {row["id"]: row["text"] for row in texts_of(out)}.items()


def test_results_of_a_damaged_release_are_kept(whole: Path, model: FakeOpenAI) -> None:
    """They may have cost calls of judges."""
    add_results(whole, read_manifest(whole), "audit", {"format": "x"}, {"findings": ["a finding"], "audited_by": "x"})
    before = bytes_of(whole)
    for damaged in (TABLE, "README.md"):
        (whole / damaged).unlink()
        assert make(recipe_for(model.url), whole).created
        assert bytes_of(whole) == before
    (whole / "audit.json").unlink()
    (whole / TABLE).unlink()
    assert make(recipe_for(model.url), whole).created
    assert "audit" not in read_manifest(whole) and not verify_folder(whole).problems


def test_without_a_journal_a_damaged_release_is_not_paid_for_again(
    whole: Path, model: FakeOpenAI, tmp_path: Path
) -> None:
    """A copy of a release has no run folder; none is left behind."""
    copy, sent = shutil.copytree(whole, tmp_path / "copy"), len(model.requests)
    (copy / TABLE).unlink()
    message = r"is missing, and \S+/copy\.run has no journal to mend it from; put back the journal or the file, or set"
    with pytest.raises(FolderError, match=message):
        make(recipe_for(model.url), copy)
    assert len(model.requests) == sent and not (tmp_path / "copy.run").exists()
    (copy / TABLE).write_bytes((whole / TABLE).read_bytes())
    (copy / "README.md").unlink()
    assert make(recipe_for(model.url), copy).created and bytes_of(copy) == bytes_of(whole)
    assert len(model.requests) == sent


def test_notes_in_the_card_are_kept(whole: Path, model: FakeOpenAI) -> None:
    card = whole / "README.md"
    text = card.read_text(encoding="utf-8").replace("\nconfigs:", "\nconfig:", 1)
    head, mark, rest = text.partition(" begin -->\n") if " begin -->\n" in text else text.partition("-->\n")
    card.write_text(f"{head}{mark}A note of mine.\n{rest}", encoding="utf-8")
    assert make(recipe_for(model.url), whole).created
    mended = card.read_text(encoding="utf-8")
    assert "A note of mine." in mended and "\nconfigs:" in mended


def test_a_release_of_another_recipe_without_a_manifest_is_left_alone(whole: Path, model: FakeOpenAI) -> None:
    """Its run folder is of another recipe, so it may be anything."""
    (whole / "manifest.json").unlink()
    with pytest.raises(FolderError, match=r"/out is not a release; choose another folder with --out$"):
        make(recipe_for(model.url, {"seed": 5}), whole)
    assert make(recipe_for(model.url), whole).created


def test_a_manifest_of_another_recipe_that_is_whole_is_respected(whole: Path, model: FakeOpenAI) -> None:
    """Only a broken seal is damage."""
    text = (whole / "manifest.json").read_text(encoding="utf-8")
    put(whole / "manifest.json", json.dumps(sealed(json.loads(text) | {"fingerprint": "0"})))
    with pytest.raises(FolderError, match=r"/out has the release of (recipe 0|another recipe)"):
        make(recipe_for(model.url), whole)
    put(whole / "manifest.json", text)
    assert run_folder_of(whole).is_dir() and not make(recipe_for(model.url), whole).created
