"""Write and read release folders, whose files are those of a dataset repository on the Hub.

`shards` writes the parquet files with the `columns` of each configuration, `manifest` describes them, and `cards`
renders the dataset card from the manifest. `folder` validates all of it, `texts` reads the texts, and `results` adds
scores or an audit. `run_folder` keeps everything that an interrupted run must not lose.

May import writing, planning, llm, core and metrics; imported by the flows, hub, evaluation, report, api and cli.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from personagen.builder.release.folder import check_release, read_manifest
    from personagen.builder.release.results import add_results
    from personagen.builder.release.texts import Texts, read_texts

__all__ = ["Texts", "add_results", "check_release", "read_manifest", "read_texts"]

MODULES = {
    "Texts": "texts",
    "add_results": "results",
    "check_release": "folder",
    "read_manifest": "folder",
    "read_texts": "texts",
}
"""Module of each exported name; it is imported at the first access, since readers need no card and no prompts."""


def __getattr__(name: str) -> Any:
    """Import an exported name from its module."""
    from importlib import import_module

    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{MODULES[name]}"), name)
