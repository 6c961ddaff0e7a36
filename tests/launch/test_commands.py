"""Command lines of the parts: hostile names stay one word, and no word is a secret."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from personagen.builder.core.errors import FolderError, LaunchError
from personagen.builder.launch.commands import make_commands, process_words, require_complete

HOSTILE = "-rf $(touch x) `touch x`; 'a' \"b\"\n#SBATCH --wrap=x*\\.yaml"


def test_the_parts_of_a_run_differ_by_their_number_only(tmp_path: Path) -> None:
    commands = make_commands(tmp_path / "r.yaml", 2, "s3://bucket/run", ["--rows=70"], ["--per-worker"])
    first, second = commands.fill_all()
    assert first == (
        "fill",
        f"{tmp_path}/r.yaml",
        "--rows=70",
        "--journals=s3://bucket/run",
        "--per-worker",
        "--part=0/2",
    )
    assert second == (*first[:-1], "--part=1/2")
    assert commands.join("/out") == (
        *("generate", f"{tmp_path}/r.yaml", "--rows=70", "--journals=s3://bucket/run"),
        "--out=/out",
    )


def test_each_part_has_a_folder_of_its_own_for_its_journal(away: Path) -> None:
    words = make_commands(None, 2, "j", work=Path("disk")).fill(1)
    assert words == ("fill", f"--journals={away}/j", "--part=1/2", f"--work={away}/disk/part-1-of-2")


def test_local_paths_become_absolute(away: Path) -> None:
    words = make_commands(Path(HOSTILE), 1, HOSTILE).fill(0)
    assert words == ("fill", f"{away}/{HOSTILE}", f"--journals={away}/{HOSTILE}", "--part=0/1")
    assert make_commands(None, 1, "hf://buckets/me/b").fill(0) == ("fill", "--journals=hf://buckets/me/b", "--part=0/1")


def test_hostile_words_reach_a_process_unchanged(tmp_path: Path) -> None:
    words = make_commands(tmp_path / HOSTILE, 1, HOSTILE, [f"--model={HOSTILE}"]).fill(0)
    code = "import sys; sys.stdout.write('\\0'.join(sys.argv[1:]))"
    line = shlex.join([sys.executable, "-c", code, *words])
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, encoding="utf-8", check=True)
    assert tuple(done.stdout.split("\0")) == words
    assert list(tmp_path.iterdir()) == []


def test_the_process_imports_nothing_of_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise SystemExit('imported')")
    done = subprocess.run(
        process_words(["--version"]), cwd=tmp_path, capture_output=True, encoding="utf-8", check=False
    )
    assert (done.returncode, done.stdout[:10]) == (0, "personagen")


def test_a_secret_in_a_command_line_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-0123456789")
    for journals, options in (
        ("j", [f"--model={os.environ['OPENAI_API_KEY']}"]),
        ("s3://b/sk-very-secret-0123456789", []),
    ):
        with pytest.raises(LaunchError, match="an option holds the value of a secret") as refused:
            make_commands(None, 1, journals, options)
        assert "very-secret" not in str(refused.value)


@pytest.mark.parametrize("journals", ["s3://key:pass@bucket/x", "simplecache::sftp://me:a/b@host/x"])
def test_journals_with_a_password_are_refused(journals: str) -> None:
    with pytest.raises(FolderError, match="has a password, which would end in logs"):
        make_commands(None, 1, journals)


def test_incomplete_parts_are_named_with_their_codes() -> None:
    require_complete([0, 0], "go on")
    with pytest.raises(LaunchError) as failed:
        require_complete([0, 1, -9, None], "go on")
    assert str(failed.value) == (
        "3 of 4 parts are incomplete: parts 1/4 (exit code 1), 2/4 (killed by signal 9), 3/4 (not completed); go on"
    )
