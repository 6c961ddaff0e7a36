"""The YAML on top of a dataset card: `load_dataset` reads configurations, columns, licence and citation from it."""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import yaml

from personagen.builder.planning.plain_yaml import load_plain_yaml
from personagen.builder.release.tables.columns import Columns, columns_of, form_of

if TYPE_CHECKING:
    from huggingface_hub import DatasetCardData

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10**7, "1M<n<10M"),
    (10**8, "10M<n<100M"), (10**9, "100M<n<1B"))  # fmt: skip
"""Upper bound of the rows, and the size category of the Hub."""

NO_LICENCE = {"license": "other", "license_name": "terms-of-the-model", "license_link": "#licence"}
"""Metadata of a release without a chosen licence; the link leads to the section of the card."""

HINT = "emotions=, depth= and min_confidence= need `import personagen_dataset`"
"""End of the description of each configuration: `datasets` prints it when it refuses one of these arguments."""


def metadata_of(manifest: Mapping[str, Any]) -> "DatasetCardData":
    """Return the metadata of a card."""
    from huggingface_hub import DatasetCardData  # at the end of a run, when other memory is free

    rows = sum(manifest["configs"]["all"]["rows"].values())
    language = manifest["recipe"]["text"]["language"]
    licence = manifest.get("license") or {}
    more: dict[str, Any] = dataset_info_of(manifest)
    return DatasetCardData(
        pretty_name=manifest["name"],
        language=[language] if language else None,
        multilinguality=["monolingual"] if language else None,
        annotations_creators=["machine-generated"],
        language_creators=["machine-generated"],
        source_datasets=["original"],
        task_categories=["text-classification"],
        size_categories=[next((name for limit, name in SIZES if rows < limit), "n>1T")],
        tags=["synthetic", "emotion", "persona", "personagen"],
        configs=configs_of(manifest),
        **more,
        **(licence if licence.get("license") else NO_LICENCE),
    )


def configs_of(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the configurations of a manifest in the form of the card's YAML."""
    version, entries = manifest["version"], manifest["configs"]
    return [_config(name, entry, version) for name, entry in entries.items()] + [
        {**_config(name, entries[view["of"]], version), "columns": view["columns"]}
        for name, view in manifest.get("views", {}).items()
    ]


def dataset_info_of(manifest: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return columns, licence and citation of each configuration in the form of the card's YAML.

    It has no number of rows: `datasets` compares it with what it reads, and would refuse every load with `filters=`.
    Releases with columns before version 1.3.0 have none of it.
    """
    form = form_of(manifest)
    if not form.is_mixed:
        return {}
    licence = manifest.get("license") or {}
    licence = licence if licence.get("license") else NO_LICENCE
    facts = {"license": licence["license_name"] or licence["license"], "citation": manifest.get("citation", "")}
    columns = {name: columns_of(name, form) for name in manifest["configs"]}
    for name, view in manifest.get("views", {}).items():
        columns[name] = {column: columns[view["of"]][column] for column in view["columns"]}
    return {
        "dataset_info": [
            {"config_name": name, "features": _as_yaml(features), **facts} for name, features in columns.items()
        ]
    }


def _as_yaml(columns: Columns) -> list[dict[str, Any]]:
    """Return columns in the form of `Features` in YAML."""
    features: list[dict[str, Any]] = []
    for name, column in columns.items():
        if column.get("_type") == "ClassLabel":
            names = {str(number): label for number, label in enumerate(column["names"])}
            features.append({"name": name, "dtype": {"class_label": {"names": names}}})
        elif column.get("_type") == "Value":
            features.append({"name": name, "dtype": column["dtype"]})
        else:
            features.append({"name": name, "struct": _as_yaml(column)})
    return features


def split_card(card: str) -> tuple[str, str]:
    """Split a card into the YAML on top ("": none) and the rest."""
    head = re.match(r"---\n(.*?)\n---\n", card, flags=re.DOTALL)
    return (head[1], card[head.end() :]) if head else ("", card)


def card_problems(card: str, manifest: Mapping[str, Any]) -> Iterator[str]:
    """Yield the reasons why `datasets` would read something else by this card than its manifest lists."""
    try:
        metadata = load_plain_yaml(split_card(card)[0])
    except (yaml.YAMLError, ValueError, TypeError, RecursionError):
        metadata = None
    if not isinstance(metadata, dict):
        yield "README.md has no YAML on top, so that nothing can be loaded"
    elif _without_hints(metadata.get("configs")) != _without_hints(configs_of(manifest)):
        yield "README.md has other configurations than the manifest"
    elif _columns_in(metadata.get("dataset_info")) != _columns_in(dataset_info_of(manifest).get("dataset_info")):
        yield "README.md has other columns than the manifest"


def _config(name: str, entry: Mapping[str, Any], version: str) -> dict[str, Any]:
    config = {
        "config_name": name,
        "version": version,
        "description": f"content {entry['digest']}; {HINT}",
        "data_files": [
            {"split": split, "path": paths if len(paths) > 1 else paths[0]}
            for split, paths in entry["data_files"].items()
        ],
    }
    return config | {"default": True} if name == "all" else config


def _columns_in(info: Any) -> Any:
    """Return the part of the YAML that decides how rows are read: its `dataset_info` without licence and citation."""
    if not isinstance(info, list) or not all(isinstance(entry, dict) for entry in info):
        return info
    return [{key: value for key, value in entry.items() if key not in ("license", "citation")} for entry in info]


def _without_hints(configs: Any) -> Any:
    """Cut the hint off the descriptions: cards of releases with columns of version 1.0.0 have none."""
    if not isinstance(configs, list) or not all(isinstance(config, dict) for config in configs):
        return configs
    return [{**config, "description": str(config.get("description")).partition(";")[0]} for config in configs]
