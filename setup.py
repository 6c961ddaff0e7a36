"""Stop a build in a checkout whose symbolic links became text files; everything else stands in pyproject.toml."""

from pathlib import Path

from setuptools import setup

SRC = Path(__file__).parent / "src"

for link in (
    "personagen/builder",
    "personagen/metrics",
    "personagen_dataset.py",
    "personagen/builder/templates/dataset_card.md",
):
    path = SRC / link
    if not path.exists() or (path.is_file() and path.stat().st_size < 100):
        raise SystemExit(
            f"personagen: src/{link} is not the link that git holds, so the package would lack files; "
            "run `git config core.symlinks true && git checkout .` (Windows: with developer mode on) and install again"
        )

setup()
