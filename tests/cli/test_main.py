"""Commands end to end: help, results on stdout, messages on stderr, files."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from personagen.builder.cli.main import cli
from personagen.builder.version import __version__
from tests.helpers.command import NOWHERE, OPENAI, Run, command_line, names, python
from tests.helpers.releasing import GOLDEN, make_release, manifest_of, write_manifest
from tests.helpers.servers.fake_openai import FakeOpenAI, Fault, completion

HEAVY = ("datasets", "torch", "pandas", "pyarrow", "openai", "pydantic", "transformers", "xllamacpp", "evaluate")
HOSTILE = "one \x1b[2Jtwo\x07 \u202ethree\u2066 \x9bfour \r five"


@pytest.fixture(scope="module")
def server() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as running:
        yield running


@pytest.fixture(scope="module")
def release(server: FakeOpenAI, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven texts; read only."""
    return make_release(tmp_path_factory.mktemp("made") / "personagen", server.url, rows=7)


def all_commands(group: click.Group) -> Iterator[list[str]]:
    """Yield the words of each command, sorted; those of a group follow it."""
    for name, command in sorted(group.commands.items()):
        yield [name]
        if isinstance(command, click.Group):
            yield from ([name, *words] for words in all_commands(command))


def help_text() -> str:
    """Return the help of all commands, at a width of 100."""
    pages = []
    for command in ([], *all_commands(cli)):
        result = CliRunner().invoke(cli, [*command, "--help"], prog_name="personagen", terminal_width=100)
        assert result.exit_code == 0
        pages.append(f"$ {' '.join(['personagen', *command, '--help'])}\n{result.stdout}")
    return "\n".join(pages)


def test_the_help_is_the_golden_one() -> None:
    """After an intended change: python -m tests.update_golden."""
    assert help_text() == (GOLDEN / "help.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["generate", "--help"], ["inspect", "--help"]], ids=str
)
def test_help_and_version_import_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    code = (
        f"import sys; from personagen.builder.cli.main import cli; cli.main({arguments!r}, standalone_mode=False);"
        f"print('loaded', sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    done = python(code, tmp_path)
    assert done.code == 0
    assert done.out.endswith("loaded []\n")


def test_a_refused_recipe_imports_neither_datasets_nor_torch(tmp_path: Path) -> None:
    """The error appears at once, because these packages take seconds to import."""
    code = (
        "import sys; sys.argv = ['personagen', 'generate', '--rows', '0']\n"
        "from personagen.builder.cli.main import main\n"
        "try: main()\n"
        "finally: print('loaded', sorted({'datasets', 'pyarrow', 'torch', 'openai'} & set(sys.modules)))"
    )
    assert python(code, tmp_path).out == "loaded []\n"


def test_the_version_is_that_of_the_code(run: Run) -> None:
    assert run("--version") == (0, f"personagen, version {__version__}\n", "")


def test_no_command_shows_the_help_and_fails(run: Run) -> None:
    done = run()
    assert (done.code, done.out) == (2, "")
    assert "generate" in done.err and "inspect" in done.err and "preview" in done.err


def test_a_run_without_paid_replies_does_not_block_its_folder(server: FakeOpenAI, run: Run) -> None:
    """After a misspelt model or a missing extra, the corrected command works in the same folder."""
    assert run("generate", "--backend", "openai", "--model", "fake-2", "--base-url", NOWHERE, "--rows", "7").code == 1
    assert run("generate", *OPENAI, server.url, "--rows", "7").code == 0


def test_generate_prints_the_folder_on_stdout_and_messages_on_stderr(server: FakeOpenAI, run: Run) -> None:
    words = ("generate", *OPENAI, server.url, "--rows", "7", "--expression", "shown")
    done = run(*words, "--out", "made/personagen")
    assert (done.code, done.out) == (0, "made/personagen\n")
    assert done.err == f"7 texts, generated: {Path('made/personagen').absolute()}\n"
    assert sum(manifest_of(Path("made/personagen"))["configs"]["all"]["rows"].values()) == 7


def test_json_of_generate_names_the_release_and_whether_it_is_new(server: FakeOpenAI, run: Run) -> None:
    command = ("generate", *OPENAI, server.url, "--rows", "20", "--emotions", "joy, fear", "--json")
    first, requests = run(*command), len(server.requests)
    second = run(*command)
    wanted = {"folder": str(Path("personagen").absolute()), "rows": {"train": 16, "validation": 2, "test": 2}}
    assert json.loads(first.out) == wanted | {"made": True}
    assert json.loads(second.out) == wanted | {"made": False}
    assert (first.code, second.code) == (0, 0)
    assert len(server.requests) == requests
    assert second.err == ""


def test_generate_reports_a_complete_release(release: Path, server: FakeOpenAI, run: Run) -> None:
    done = run("generate", *OPENAI, server.url, "--rows", "7", "--out", release)
    assert done == (0, f"{release}\n", f"7 texts, already complete: {release}\n")


def test_another_recipe_in_the_same_folder_is_refused_with_the_difference(
    release: Path, server: FakeOpenAI, run: Run
) -> None:
    done = run("generate", *OPENAI, server.url, "--rows", "8", "--out", release)
    assert (done.code, done.out) == (1, "")
    assert "has the release of another recipe: rows is 7 there and 8 here; " in done.err
    assert "set the old one aside with --fresh" in done.err and done.err.count("\n") == 1


def test_options_override_the_recipe(server: FakeOpenAI, run: Run) -> None:
    Path("recipe.yaml").write_text("rows: 70\nseed: 5\nbackend: {kind: openai, model: other}\n")
    options = ("--rows", "4", "--emotions", "joy,fear", "--depth", "none", "--seed", "6", "--concurrency", "2")
    assert run("generate", "recipe.yaml", *OPENAI, server.url, *options).code == 0
    recipe = manifest_of(Path("personagen"))["recipe"]
    assert (recipe["rows"], recipe["emotions"], recipe["depth"], recipe["seed"]) == (4, ["joy", "fear"], "none", 6)
    assert recipe["backend"] == {"kind": "openai", "model": "fake-1"}


def test_the_key_of_the_environment_reaches_no_file_and_no_stream(
    server: FakeOpenAI, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-0123456789")
    done = run("generate", *OPENAI, server.url, "--rows", "7")
    assert done.code == 0
    assert "very-secret" not in done.out + done.err
    files = [path for path in Path().rglob("*") if path.is_file()]
    assert len(files) > 5
    assert [path for path in files if b"very-secret" in path.read_bytes()] == []


def test_preview_shows_every_layer_and_writes_nothing(server: FakeOpenAI, run: Run) -> None:
    done = run("preview", *OPENAI, server.url, "-n", "2")
    assert (done.code, done.err) == (0, "")
    for start in ("anger-000000  anger", "disgust-000000  disgust", "  demographic   age ", "  sociocultural country "):
        assert f"\n{start}" in f"\n{done.out}"
    assert done.out.count("  situational   event ") == done.out.count("  text          ") == 2
    assert names(Path()) == []


def test_preview_prints_one_json_object_per_text(server: FakeOpenAI, run: Run) -> None:
    done = run("preview", *OPENAI, server.url, "--json", "--depth", "demographic")
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert [row["label"] for row in rows] == ["anger", "disgust", "fear"]
    for row in rows:
        assert set(row) >= {"id", "text", "label", "depth", "demographic", "persona_id", "provenance"}
        assert isinstance(row["demographic"]["age"], int)
        assert row["sociocultural"] is None and row["situational"] is None
    assert names(Path()) == []


def test_preview_shows_more_texts_than_emotions_in_a_larger_recipe(server: FakeOpenAI, run: Run) -> None:
    Path("recipe.yaml").write_text("rows: 30\nemotions: [joy, fear]\nquotas: {joy: 20, fear: 10}\nablations: [none]\n")
    done = run("preview", "recipe.yaml", *OPENAI, server.url, "--json", "-n", "5")
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert [row["label"] for row in rows] == ["fear", "fear", "fear", "joy", "joy"]
    assert {row["depth"] for row in rows} == {"situational"}


def unprintable(text: str) -> list[str]:
    """List the characters that a terminal may interpret, except line ends."""
    return [char for char in text if not char.isprintable() and char != "\n"]


def test_preview_escapes_control_characters(run: Run) -> None:
    Path("recipe.yaml").write_text(
        json.dumps(
            {
                "rows": 1,
                "elaborate": {"sociocultural": "sampled", "situational": "sampled"},
                "text": {"language": None, "min_words": 1},
                "taxonomy": {
                    "name": "mine",
                    "emotions": [{"name": "calm", "definition": HOSTILE, "events": ["seeing a friend"]}],
                },
            }
        )
    )
    body = completion({"messages": [], "model": "m"})
    body["choices"][0]["message"]["content"] = f"So I went home and said {HOSTILE} words to the cat."
    with FakeOpenAI(faults=[Fault("status", status=200, body=body)]) as hostile:
        done = run("preview", "recipe.yaml", *OPENAI, hostile.url, "-n", "1")
    assert (done.code, done.err) == (0, "")
    assert "event seeing a friend" in done.out and "So I went home" in done.out
    assert unprintable(done.out) == []


@pytest.fixture
def tampered(server: FakeOpenAI, tmp_path: Path) -> Path:
    """A release with control characters in texts, ids and names, which `generate` does not write."""
    folder = make_release(tmp_path / "personagen", server.url, rows=2, emotions=["joy", "fear"], depth="none")
    path = folder / "joy" / "train-00000-of-00001.parquet"
    table = pq.read_table(path)
    for column in ("id", "text"):
        position = table.column_names.index(column)
        table = table.set_column(position, column, pa.array([HOSTILE], pa.string()))
    pq.write_table(table, path)
    manifest = manifest_of(folder)
    manifest["name"] = manifest["model"]["name"] = HOSTILE
    write_manifest(folder, manifest)
    return folder


def test_inspect_escapes_control_characters(tampered: Path, run: Run) -> None:
    done = run("inspect", tampered)
    assert (done.code, done.err) == (0, "")
    assert "one \\x1b[2Jtwo" in done.out
    assert unprintable(done.out) == []


def test_json_of_inspect_escapes_control_characters(tampered: Path, run: Run) -> None:
    done = run("inspect", tampered, "--json")
    assert json.loads(done.out)["samples"][-1]["text"] == HOSTILE
    assert done.out.isascii() and unprintable(done.out) == []


def test_inspect_shows_counts_and_a_sample_of_every_emotion(release: Path, run: Run) -> None:
    done = run("inspect", release)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"personagen  recipe {manifest_of(release)['fingerprint']}  openai: fake-1\n")
    lines = {" ".join(line.split()) for line in done.out.splitlines()}
    assert "all 7 0 0" in lines and "joy 1 0 0" in lines and "situational 7 0 0" in lines
    assert "replies rejected: none" in lines
    assert all(f"{name}  ({name}-000000)" in done.out for name in ("anger", "joy", "neutral"))


def test_json_of_inspect_equals_the_manifest(release: Path, run: Run) -> None:
    facts, manifest = json.loads(run("inspect", release, "--json", "--samples", "0").out), manifest_of(release)
    assert facts["samples"] == []
    assert facts["rows"] == {name: config["rows"] for name, config in manifest["configs"].items()}
    for key in ("name", "fingerprint", "model", "personas", "rejects", "leaked", "usage"):
        assert facts[key] == manifest[key]


@pytest.mark.parametrize("damage", ["missing", "empty", "garbled"])
def test_inspect_refuses_a_damaged_shard(damage: str, server: FakeOpenAI, run: Run) -> None:
    folder = make_release(Path("personagen"), server.url, rows=1, emotions=["joy"], depth="none")
    shard = folder / "joy" / "train-00000-of-00001.parquet"
    if damage == "missing":
        shard.unlink()
    else:
        shard.write_bytes(b"" if damage == "empty" else b"PAR1" + bytes(100) + b"PAR1")
    done = run("inspect")
    assert (done.code, done.out) == (1, "")
    assert f"cannot read {shard}" in done.err and "run its `generate` command again" in done.err
    assert done.err.count("\n") == 1


def test_a_closed_pipe_is_no_error(release: Path, tmp_path: Path) -> None:
    """`personagen inspect | head -1`."""
    process = subprocess.Popen(
        [sys.executable, "-c", command_line("inspect", str(release))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    process.wait(60)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
@pytest.mark.parametrize("closed", ["2>&-", ">&-", "<&- >&- 2>&-"])
def test_a_run_with_closed_standard_streams_ends_with_a_release(
    server: FakeOpenAI, tmp_path: Path, closed: str
) -> None:
    out = tmp_path / "made"
    run = command_line("generate", *OPENAI, server.url, "--rows", "7", "--depth", "none", "--out", str(out))
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-c", run],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0 and "Traceback" not in done.stderr
    assert sum(manifest_of(out)["configs"]["all"]["rows"].values()) == 7


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_output_that_cannot_be_written_is_one_line(release: Path, tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", command_line("inspect", str(release))],
            stdout=full,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            encoding="utf-8",
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("personagen: ") and "no space left on device" in done.stderr.lower()
    assert done.stderr.count("\n") == 1


def test_characters_that_stdout_cannot_encode_are_escaped(tampered: Path, tmp_path: Path) -> None:
    path = tampered / "joy" / "train-00000-of-00001.parquet"
    table = pq.read_table(path)
    position = table.column_names.index("text")
    pq.write_table(table.set_column(position, "text", pa.array(["Good 🙂"], pa.string())), path)
    done = python(command_line("inspect", str(tampered)), tmp_path, PYTHONIOENCODING="cp1252")
    assert (done.code, done.err) == (0, "")
    assert "Good \\U0001f642" in done.out


@pytest.mark.parametrize("module", ["personagen", "personagen.builder"])
def test_the_package_is_the_command(module: str, server: FakeOpenAI, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, "generate", *OPENAI, server.url, "--rows=7", "--expression=shown", "--json"],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert set(json.loads(done.stdout)) == {"folder", "made", "rows"}
    assert done.stderr == ""
    assert names(tmp_path) == ["personagen", "personagen.run"]


def test_a_key_file_overrides_the_environment_and_its_key_reaches_no_file(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
    Path("key.txt").write_text("sk-of-the-file\n", encoding="utf-8")
    with FakeOpenAI() as server:
        done = run("generate", *OPENAI, server.url, "--rows", "7", "--api-key-file", "key.txt")
        assert done.code == 0
        assert {headers["authorization"] for headers in server.headers} == {"Bearer sk-of-the-file"}
        assert {headers["user-agent"] for headers in server.headers} == {f"personagen/{__version__}"}
    for path in Path().rglob("*"):
        if path.is_file() and path.name != "key.txt":
            assert b"sk-of-the" not in path.read_bytes(), path
