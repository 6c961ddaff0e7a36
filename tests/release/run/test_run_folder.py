"""Run folders: foreign files, other recipes and other processes are refused; --fresh renames."""

import json
import os
import shutil
from pathlib import Path

import pytest

from personagen.builder.core.errors import AllRejectedError, FolderError
from personagen.builder.core.file_names import JOURNAL
from personagen.builder.llm.journal import Journal
from personagen.builder.planning.personas.tables import tables_id
from personagen.builder.planning.recipe.parsing import read_recipe
from personagen.builder.release.run.locking import locked
from tests.helpers.flow import bytes_of, command, make, recipe_for, texts_of, wait_until, write_recipe
from tests.helpers.processes.forked import ForkedProcess
from tests.helpers.servers.fake_openai import FakeOpenAI, Fault


def test_release_of_another_recipe_is_left_alone(tmp_path: Path) -> None:
    """The message names the difference, and no request is made."""
    with FakeOpenAI() as server:
        one, other = recipe_for(server.url), recipe_for(server.url, {"seed": 1})
        make(one, tmp_path / "out")
        before = bytes_of(tmp_path)
        shutil.rmtree(tmp_path / "out.run")
        message = (
            r"^\S+/out has the release of another recipe: seed is 0 there and 1 here; choose "
            r"another folder with --out, set the old one aside with --fresh, or take over its replies by --reuse$"
        )
        with pytest.raises(FolderError, match=message):
            make(other, tmp_path / "out")
        assert len(server.requests) == 14
    now = bytes_of(tmp_path)
    assert {name: now.get(name) for name in before if name.startswith("out/")} == {
        name: content for name, content in before.items() if name.startswith("out/")
    }


def test_run_of_another_recipe_is_left_alone(tmp_path: Path) -> None:
    """Also before it has completed a release."""
    with FakeOpenAI(faults=[Fault("refusal")]) as server:
        one, other = recipe_for(server.url, {"checks.attempts": 1}), recipe_for(server.url, {"seed": 1})
        with pytest.raises(AllRejectedError):
            make(one, tmp_path / "out")
        before = bytes_of(tmp_path)
        message = (
            r"^\S+/out\.run has a run of another recipe: seed is 0 there and 1 here; choose "
            r"another folder with --out, set the old run aside with --fresh, or take over its replies by --reuse$"
        )
        with pytest.raises(FolderError, match=message):
            make(other, tmp_path / "out")
    assert bytes_of(tmp_path) == before


@pytest.mark.parametrize("earlier", [{"personas": "0123456789abcdef"}, {}])
def test_a_run_with_other_tables_of_personas_is_refused(earlier: dict[str, str], tmp_path: Path) -> None:
    """Its replies would be paid for and used by no text; a version without the key had other tables."""
    with FakeOpenAI(faults=[Fault("refusal")]) as server:
        recipe = recipe_for(server.url, {"checks.attempts": 1, "depth": "demographic"})
        with pytest.raises(AllRejectedError):
            make(recipe, tmp_path / "out")
        state = tmp_path / "out.run" / "run.json"
        written = json.loads(state.read_text(encoding="utf-8"))
        assert written.pop("personas") == tables_id()
        state.write_text(json.dumps(written | earlier), encoding="utf-8")
        sent = len(server.requests)
        message = (
            r"^\S+/out\.run has a run with other tables of personas, of another version of personagen: its replies fit "
            r"no persona of this version; finish it with that version, set it aside with --fresh, or request new "
            r"replies with --reuse$"
        )
        with pytest.raises(FolderError, match=message):
            make(recipe, tmp_path / "out")
        assert len(server.requests) == sent
    with FakeOpenAI() as server:
        continued = recipe_for(server.url, {"depth": "demographic"})
        assert continued.fingerprint() == recipe.fingerprint()
        make(continued, tmp_path / "out", reuse=True)
        assert json.loads(state.read_text(encoding="utf-8"))["personas"] == tables_id()


def test_a_run_without_personas_has_no_tables_of_personas(tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        make(recipe_for(server.url, {"depth": "none"}), tmp_path / "out")
    assert "personas" not in json.loads((tmp_path / "out.run" / "run.json").read_text(encoding="utf-8"))


def test_a_run_of_an_earlier_version_is_named_by_its_fingerprint(tmp_path: Path) -> None:
    """Its state has no settings."""
    with FakeOpenAI(faults=[Fault("refusal")]) as server:
        one, other = recipe_for(server.url, {"checks.attempts": 1}), recipe_for(server.url, {"seed": 1})
        with pytest.raises(AllRejectedError):
            make(one, tmp_path / "out")
        state = tmp_path / "out.run" / "run.json"
        state.write_text(json.dumps({"format": "personagen-run/1", "fingerprint": one.fingerprint()}), "utf-8")
        message = rf"/out\.run has a run of recipe {one.fingerprint()}, this recipe is {other.fingerprint()}; choose "
        with pytest.raises(FolderError, match=message):
            make(other, tmp_path / "out")


def test_a_recipe_without_an_expression_is_advised_how_to_continue_what_an_earlier_version_made_of_it(
    tmp_path: Path,
) -> None:
    """All texts of those versions are `shown`."""
    advice = r"add `expression: shown` to the recipe, or --expression shown, to continue it, choose another folder"
    with FakeOpenAI() as server:
        shown, default = recipe_for(server.url), recipe_for(server.url, {"expression": None})
        make(shown, tmp_path / "out")
        with pytest.raises(FolderError, match=rf"^\S+/out has the release of another recipe: .*; {advice}"):
            make(default, tmp_path / "out")
        shutil.rmtree(tmp_path / "out")
        for changes in ({}, {"expression": {"named": 0.5, "shown": 0.5}}, {"text.style": "dialogue"}):
            recipe = recipe_for(server.url, {"expression": None}, changes)
            with pytest.raises(FolderError, match=rf"^\S+/out\.run has a run of another recipe: .*; {advice}"):
                make(recipe, tmp_path / "out")
        with pytest.raises(FolderError, match=r"another recipe: .*; choose another folder"):
            make(recipe_for(server.url, {"expression": None, "seed": 1}), tmp_path / "out")
        sent = len(server.requests)
        make(shown, tmp_path / "out")
        assert len(server.requests) == sent == 14


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("out/thesis.txt", "years of work", r"/out is not a release; choose another folder"),
        ("out", "years of work", r"/out is not a release; choose another folder"),
        ("out/manifest.json", '{"version": 3}', r"/out is not a release; choose another folder"),
        ("out/manifest.json", "[]", r"/out is not a release; choose another folder"),
        ("out/manifest.json", "{", r"/out is not a release; choose another folder"),
        ("out.run/thesis.txt", "years", r"/out\.run is not a run folder \(thesis\.txt\); choose another"),
        ("out.run", "years", r"^cannot write /\S+/out\.run: file exists; choose another folder with --out$"),
    ],
    ids=["folder", "file", "other manifest", "list", "no JSON", "run folder", "run file"],
)
def test_foreign_files_are_refused_and_kept(tmp_path: Path, file: str, content: str, message: str, fresh: bool) -> None:
    """Foreign files are never touched, with or without --fresh."""
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(content, encoding="utf-8")
    with pytest.raises(FolderError, match=message):
        make(recipe_for("http://127.0.0.1:1/v1"), tmp_path / "out", fresh=fresh)
    assert path.read_text(encoding="utf-8") == content


def test_damaged_manifest_is_refused(tmp_path: Path) -> None:
    """A release with an unreadable manifest is not overwritten; --fresh renames it."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "manifest.json").write_text('{"format": "personagen-release/1"}', encoding="utf-8")
    with FakeOpenAI() as server:
        with pytest.raises(FolderError, match=r"/out is not a release; choose another folder"):
            make(recipe_for(server.url), tmp_path / "out")
        assert make(recipe_for(server.url), tmp_path / "out", fresh=True).created
    assert (tmp_path / "out.1" / "manifest.json").read_text(encoding="utf-8") == '{"format": "personagen-release/1"}'


@pytest.mark.parametrize("state", ["{", "[]", "{}", '{"fingerprint": "0"}'])
def test_damaged_run_state_is_refused(tmp_path: Path, state: str) -> None:
    """It may belong to another recipe, so it is not used; --reuse continues it, and no reply is paid for again."""
    out = tmp_path / "out"
    with FakeOpenAI() as server:
        make(recipe_for(server.url), out)
        shutil.rmtree(out)
        (tmp_path / "out.run" / "run.json").write_text(state, encoding="utf-8")
        sent = len(server.requests)
        message = r"^cannot read \S+/run\.json: .*; if the run is of this recipe, continue it with --reuse, which "
        with pytest.raises(FolderError, match=message):
            make(recipe_for(server.url), out)
        assert make(recipe_for(server.url), out, reuse=True).created
        assert len(server.requests) == sent


@pytest.mark.parametrize("state", ["", "\x00\x00", None])
def test_a_run_whose_state_lost_its_bytes_is_continued(tmp_path: Path, state: str | None) -> None:
    """Earlier versions left such a file after a power cut; a file that is gone needs --reuse."""
    out = tmp_path / "out"
    with FakeOpenAI() as server:
        make(recipe_for(server.url), out)
        shutil.rmtree(out)
        sent = len(server.requests)
        if state is None:
            (tmp_path / "out.run" / "run.json").unlink()
            message = r"/out\.run has a journal and no run\.json; if the run is of this recipe, continue it with --re"
            with pytest.raises(FolderError, match=message):
                make(recipe_for(server.url), out)
        else:
            (tmp_path / "out.run" / "run.json").write_text(state, encoding="utf-8")
        assert make(recipe_for(server.url), out, reuse=state is None).created
        assert not make(recipe_for(server.url), out).created
        assert len(server.requests) == sent


def test_second_process_is_refused(tmp_path: Path) -> None:
    """While the first one runs; after its end, even by a kill, the folder is free."""
    path, out = write_recipe(tmp_path), tmp_path / "out"
    with FakeOpenAI(faults=[Fault("delay", times=2, seconds=2)]) as server:
        recipe = read_recipe(path, {"backend.base_url": server.url})
        words = [*command(server.url, out, path), "--concurrency", "1"]
        with ForkedProcess(words) as process:
            wait_until(lambda: len(server.requests) > 0)
            with pytest.raises(
                FolderError, match=r"^another process is writing to \S+/out\.run; wait for it or choose another "
            ):
                make(recipe, out, fresh=True)
            process.kill()
        first_requests = len(server.requests)
    with FakeOpenAI() as server:
        assert make(read_recipe(path, {"backend.base_url": server.url}), out).created
    assert first_requests == 1


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("/dev/null/out", r"^cannot write /dev/null/out\.run: not a directory; choose another folder with --out$"),
        ("/proc/out", r"^cannot write /proc/out\.run: no such file or directory; choose another folder with --out$"),
        ("/", r"--out"),
        ("x" * 300, r"^cannot read \S+: file name too long; choose another folder with --out$"),
    ],
    ids=["below a file", "kernel", "root", "long name"],
)
def test_folder_that_cannot_be_written_is_refused(tmp_path: Path, out: str, message: str) -> None:
    """In one line, before any request."""
    with pytest.raises(FolderError, match=message):
        make(recipe_for("http://127.0.0.1:1/v1"), tmp_path / out)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_folder_without_permission_is_refused(tmp_path: Path) -> None:
    """The advice mentions permissions."""
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(FolderError, match=r"cannot be written: no permission, or a disk that is"):
            make(recipe_for("http://127.0.0.1:1/v1"), tmp_path / "out")
    finally:
        tmp_path.chmod(0o700)


def fail(root: Path, draft: Path, path: Path) -> None:
    """Lock a run, open its journal, write a file, and fail."""
    with locked(root, [draft]):
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine", encoding="utf-8")
        if path.name != JOURNAL:
            Journal(root / JOURNAL).close()
        raise KeyError


def test_a_block_that_fails_without_a_reply_leaves_nothing_behind(tmp_path: Path) -> None:
    draft = tmp_path / "a" / "draft.txt"
    with pytest.raises(KeyError):
        fail(tmp_path / "a" / "b" / "run", draft, draft)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    "kept", ["a/draft.txt", "a/note.txt", "a/run/note.txt", "a/run/batches/1.json", "a/run/journal.sqlite"]
)
def test_a_block_that_fails_keeps_replies_batches_and_files_that_are_not_its_own(tmp_path: Path, kept: str) -> None:
    """A draft that was there before, any other file, an open batch, and a journal that cannot be read."""
    path, draft = tmp_path / kept, tmp_path / "a" / "draft.txt"
    if path == draft:
        path.parent.mkdir()
        path.write_text("old", encoding="utf-8")
    with pytest.raises(KeyError):
        fail(tmp_path / "a" / "run", draft, path)
    assert path.read_text(encoding="utf-8") == "mine"


def test_empty_folder_is_taken(tmp_path: Path) -> None:
    """It has nothing to lose."""
    (tmp_path / "out").mkdir()
    with FakeOpenAI() as server:
        assert make(recipe_for(server.url), tmp_path / "out").created
    assert len(texts_of(tmp_path / "out")) == 14


def test_fresh_renames_the_old_run_and_release(tmp_path: Path) -> None:
    """They are renamed with a number, never deleted; every request is paid for again."""
    with FakeOpenAI() as server:
        recipes = [recipe_for(server.url, {"seed": seed}) for seed in (0, 0, 1)]
        made = []
        for recipe in recipes:
            assert make(recipe, tmp_path / "out", fresh=True).created
            made.append(bytes_of(tmp_path / "out"))
        assert len(server.requests) == 3 * 14
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "out", "out.1", "out.2", "out.run", "out.run.1", "out.run.2"
    ]  # fmt: skip
    assert [bytes_of(tmp_path / name) for name in ("out.1", "out.2", "out")] == made
    assert made[0] == made[1] != made[2]
    for name in ("out.run.1", "out.run.2"):
        assert {path.name for path in (tmp_path / name).iterdir()} >= {"journal.sqlite", "rejects.jsonl", "run.json"}


def test_reuse_pays_only_for_what_changed(tmp_path: Path) -> None:
    """Another definition of one emotion repeats the requests of its rows alone; the old release is renamed."""
    taxonomy = {"name": "two", "emotions": [{"name": "calm", "definition": "at rest", "like": "neutral"}]}
    joy = {"name": "joy", "definition": "glad", "like": "joy"}
    both = [
        {"taxonomy": taxonomy | {"emotions": [*taxonomy["emotions"], joy | {"definition": text}]}, "emotions": None}
        for text in ("glad", "very glad")
    ]
    with FakeOpenAI() as server:
        make(recipe_for(server.url, both[0]), tmp_path / "out")
        with pytest.raises(FolderError, match="has the release of another recipe"):
            make(recipe_for(server.url, both[1]), tmp_path / "out")
        assert make(recipe_for(server.url, both[1]), tmp_path / "out", reuse=True).created
        assert len(server.requests) == 14 + 7
        make(recipe_for(server.url, both[1]), tmp_path / "calm")
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "calm")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["calm", "calm.run", "out", "out.1", "out.run"]


def test_reuse_of_a_run_without_a_release_uses_its_replies(tmp_path: Path) -> None:
    """Additional rows cost their own requests only."""
    with FakeOpenAI() as server:
        make(recipe_for(server.url), tmp_path / "out")
        shutil.rmtree(tmp_path / "out")
        make(recipe_for(server.url, {"rows": 20}), tmp_path / "out", reuse=True)
        assert len(server.requests) == 20
    assert len(texts_of(tmp_path / "out")) == 20


def test_reuse_leaves_foreign_files_alone(tmp_path: Path) -> None:
    """A folder that is no release stays unchanged."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years", encoding="utf-8")
    with pytest.raises(FolderError, match="is not a release"):
        make(recipe_for("http://127.0.0.1:1/v1"), tmp_path / "out", reuse=True)
    assert (tmp_path / "out" / "thesis.txt").read_text(encoding="utf-8") == "years"
