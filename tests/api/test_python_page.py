"""docs/python.md: its blocks run in a kernel, in order, with a server on loopback for the model."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import personagen as pg
from tests.helpers.jupyter.kernel import Cell, Kernel, started_kernel
from tests.helpers.releasing import ROOT
from tests.helpers.servers.fake_openai import FakeOpenAI
from tests.helpers.servers.hub.server import Hub

PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
MEASURED = "## Evaluate, audit, report"
"""Heading of the first section that needs an encoder, and minutes."""


def blocks(text: str, url: str) -> Iterator[str]:
    """Yield the Python blocks of a page, with a server's address and model in place of the reader's."""
    for block in re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield block.replace("http://localhost:8000/v1", url).replace("openai:MODEL", "openai:fake-1")


def run(kernel: Kernel, text: str, url: str) -> dict[str, Cell]:
    """Run the blocks of a page; return what each left by its last line."""
    left = {}
    for block in blocks(text, url):
        cell = kernel.run(block)
        assert cell.error is None, f"{block}\n{cell.error}: {cell.message}"
        left[block.rstrip().split("\n")[-1]] = cell
    return left


def test_generate_look_and_load(tmp_path: Path, model: FakeOpenAI) -> None:
    with started_kernel(tmp_path) as kernel:
        left = run(kernel, PAGE.split(MEASURED)[0], model.url)
    assert left["release"].shown["text/plain"].startswith("<Release 'personagen': 70 texts of 7 emotions by fake-1")
    assert "<td>joy</td><td>8</td>" in left["release"].shown["text/html"]
    emotions = "['anger', 'disgust', 'fear', 'joy', 'sadness', 'surprise', 'neutral']"
    assert left['texts["train"].features["label"].names'].shown["text/plain"] == emotions


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("encoded_corpora")
def test_the_whole_page(tmp_path: Path, model: FakeOpenAI) -> None:
    pytest.importorskip("sentence_transformers")
    with Hub() as hub:
        settings = hub.env() | {"HF_TOKEN": "hf_write", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        with started_kernel(tmp_path, **settings, HF_HOME=str(tmp_path / "home")) as kernel:
            left = run(kernel, PAGE.replace("USER/", "user/"), model.url)
            waited = kernel.run("await main()")
            loaded = kernel.run("pg.load('user/personagen@v1.0.0', emotions=['joy'], split='train').num_rows")
    assert "value" in left["scores.realism.c2st_auc  # a Score: value, low, high, floor"].shown["text/plain"]
    assert "unknown keyword 'row', did you mean 'rows'?" in left["    print(error)"].streams["stdout"]
    shown = r"<Preview: 1 text \(anger\); [01] of 1 show their persona by words> <Scores against goemotions"
    assert re.match(shown, waited.streams["stdout"])
    assert loaded.shown["text/plain"] == "8"


def test_every_exported_name_is_on_the_page() -> None:
    missing = [name for name in pg.__all__ if not re.search(rf"\bpg\.{name}\b", PAGE) and name != "__version__"]
    assert missing == []


def test_every_class_of_errors_is_on_the_page() -> None:
    classes = [value for value in vars(pg.errors).values() if isinstance(value, type)]
    raised = {value.__name__ for value in classes if issubclass(value, pg.PersonaGenError)}
    for_retries = {"RequestError", "TransientError"}
    assert [name for name in raised - for_retries if name not in PAGE] == []
