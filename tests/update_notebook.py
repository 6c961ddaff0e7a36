"""Run docs/quickstart.ipynb and store its outputs: python -m tests.update_notebook, then read the diff."""

from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat

from tests.helpers.jupyter.notebook import QUICKSTART, executed, without_traces


def main() -> None:
    """Write the notebook."""
    with TemporaryDirectory() as folder:
        nbformat.write(without_traces(executed(QUICKSTART, Path(folder))), QUICKSTART)


if __name__ == "__main__":
    main()
