"""Advice in messages costs no money that another command would save."""

import ast
from collections.abc import Iterator

import pytest

from tests.helpers.releasing import ROOT

CHEAPER = ("--reuse", "put back", "wait for it")
"""Advice that keeps what was paid for; a message that names --fresh names one of them too."""

BEFORE_ANY_REPLY = {
    "builder/generate.py": 1,  # rows for a release whose replies are gone
    "builder/core/files.py": 4,  # paths that can never be written, or that are taken for others
    "builder/evaluation/matching/preparation.py": 1,  # a folder with the match of other texts
    "builder/export/export.py": 2,  # a release, and an earlier export: files that are made from a release
    "builder/export/table.py": 1,  # an earlier table
    "builder/launch/commands.py": 1,  # no message: the option of the command that joins the parts
    "builder/release/run/growth.py": 3,  # rows for a release of another version, other replies, invented events
    "builder/release/run/locking.py": 2,  # a folder in use, and one with other files
    "builder/release/run/run_folder.py": 5,  # other files, another recipe, names and links that cannot be a release
    "builder/release/run/run_state.py": 2,  # other files, another recipe
}
"""Messages by module that advise another folder: no reply to these requests is in the folder at hand."""


def messages() -> Iterator[tuple[str, str]]:
    """Yield the module and the text of each string of the builder that is no docstring and not part of another one."""
    for path in sorted((ROOT / "builder").rglob("*.py")):
        if "cli" in path.parts:
            continue  # names and help texts of the options
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        parts = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
        parts |= {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
        for node in nodes:
            if isinstance(node, ast.JoinedStr):
                text = "".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value
            else:
                continue
            if id(node) not in parts:
                yield path.relative_to(ROOT).as_posix(), text


def test_to_start_over_is_never_the_only_advice() -> None:
    """A damaged file of a run is put back or salvaged, and a run of another recipe is continued."""
    starting_over = [text for _, text in messages() if "--fresh" in text]
    assert starting_over
    assert [text for text in starting_over if not any(advice in text for advice in CHEAPER)] == []


def test_another_folder_is_advised_only_where_the_one_at_hand_has_no_replies() -> None:
    counts: dict[str, int] = {}
    for module, text in messages():
        if "--out" in text:
            counts[module] = counts.get(module, 0) + 1
    assert counts == BEFORE_ANY_REPLY


@pytest.mark.parametrize("phrase", ["make the release again", "make it again", "make or download"])
def test_a_damaged_release_is_mended_and_not_made_again(phrase: str) -> None:
    """`generate` mends it from its journal, which is what the messages name."""
    assert [text for _, text in messages() if phrase in text] == []
