"""The page of promises: every test that it names exists, and every promise names one."""

import ast
import re
from functools import cache

import pytest

from tests.helpers.releasing import ROOT

PAGE = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)


@cache
def names_in(path: str) -> set[str]:
    """Return the names of the test functions of a module."""
    body = ast.parse((ROOT / path).read_text(encoding="utf-8")).body
    return {node.name for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_a_named_test_exists(path: str, name: str) -> None:
    assert name.startswith("test_") and name in names_in(path)


def test_every_promise_has_a_page_and_a_test() -> None:
    promises = re.split(r"^- ", PAGE, flags=re.MULTILINE)[1:]
    assert len(promises) >= 30
    for promise in promises:
        assert re.search(r"\(\[[^]]+\]\((?:\.\./)?\w+\.md\)", promise), promise
        assert re.search(r"`tests/[\w/]+\.py::test_\w+`", promise), promise
    assert len(NAMED) == PAGE.count("::")
