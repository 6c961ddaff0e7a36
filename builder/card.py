"""Render the card of a release from its manifest: every number in it comes from there."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from personagen.builder.manifest import total_rejects
from personagen.builder.schema import SPLITS
from personagen.builder.terminal import printable

if TYPE_CHECKING:
    from huggingface_hub import DatasetCardData

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10**7, "1M<n<10M"),
    (10**8, "10M<n<100M"), (10**9, "100M<n<1B"))  # fmt: skip


def render_card(manifest: Mapping[str, Any]) -> str:
    """Fill `dataset_card.md`; the YAML on top is what `load_dataset` reads the configurations from."""
    environment = Environment(
        loader=PackageLoader("personagen.builder", "templates"), undefined=StrictUndefined, keep_trailing_newline=True
    )
    environment.filters["cell"] = _cell
    return environment.get_template("dataset_card.md").render(
        card_data=_metadata(manifest).to_yaml(),
        manifest=manifest,
        rows=sum(manifest["configs"]["all"]["rows"].values()),
        emotions=manifest["taxonomy"]["emotions"],
        taxonomy=manifest["taxonomy"]["name"],
        splits=[split for split in SPLITS if split in manifest["configs"]["all"]["rows"]],
        rejects=total_rejects(manifest),
    )


def _metadata(manifest: Mapping[str, Any]) -> "DatasetCardData":
    from huggingface_hub import DatasetCardData  # at the end of a run, when other memory is free

    rows = sum(manifest["configs"]["all"]["rows"].values())
    language = manifest["recipe"]["text"]["language"]
    return DatasetCardData(
        pretty_name=manifest["name"],
        language=[language] if language else None,
        task_categories=["text-classification"],
        size_categories=[next((name for limit, name in SIZES if rows < limit), "n>1T")],
        tags=["synthetic", "emotion", "persona", "personagen"],
        configs=configs_of(manifest),
    )


def configs_of(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Write the configurations of a manifest as they stand in the YAML of the card."""
    return [_config(name, entry, manifest["version"]) for name, entry in manifest["configs"].items()]


def _config(name: str, entry: Mapping[str, Any], version: str) -> dict[str, Any]:
    config = {
        "config_name": name,
        "version": version,
        "description": f"content {entry['digest']}",
        "data_files": [
            {"split": split, "path": paths if len(paths) > 1 else paths[0]}
            for split, paths in entry["data_files"].items()
        ],
    }
    return config | {"default": True} if name == "all" else config


def _cell(text: str) -> str:
    """Make text safe in a cell of a Markdown table: no line breaks, no markup of its own."""
    flat = printable(re.sub(r"\s+", " ", text))
    return re.sub(r"([\\`*_{}\[\]<>|#~!])", r"\\\1", flat)
