"""Run a notebook in a kernel of this interpreter, and store small outputs that look the same on every machine."""

import re
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from tests.helpers.jupyter.kernel import TIMEOUT_S, kernel_environment, kernel_manager
from tests.helpers.releasing import ROOT

QUICKSTART = ROOT / "docs" / "quickstart.ipynb"


def executed(path: Path, folder: Path, **environment: str) -> nbformat.NotebookNode:
    """Run every cell in an empty working directory below `folder`; an error of a cell is an error here."""
    notebook = nbformat.read(path, as_version=4)
    work = folder / "work"
    work.mkdir()
    client = NotebookClient(
        notebook,
        km=kernel_manager(folder),
        timeout=10 * TIMEOUT_S,
        resources={"metadata": {"path": str(work)}},
    )
    client.execute(env=kernel_environment(folder, environment), cleanup_kc=True)
    return notebook


def without_traces(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Remove progress bars, execution times and addresses of objects."""
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type != "code":
            continue
        cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
        for output in cell.outputs:
            for kind, text in output.get("data", {}).items():
                output["data"][kind] = re.sub(r" at 0x[0-9a-f]+", "", text)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook
