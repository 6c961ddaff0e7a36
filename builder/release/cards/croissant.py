"""Render croissant.json: files, columns, licence, citation, provenance and Responsible-AI fields of a release.

The format is Croissant 1.1 (https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html) with the vocabulary RAI
1.0. The file is rendered from the manifest, which lists its SHA-256. Paths are relative to the folder of the release.
It has no `datePublished`: equal runs have equal files, so a release records no time.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from personagen.builder.core.file_names import CROISSANT
from personagen.builder.core.foreign_text import printable
from personagen.builder.core.records import SPLITS
from personagen.builder.release.cards.card import described_columns
from personagen.builder.release.cards.metadata import NO_LICENCE
from personagen.builder.release.cards.responsible_ai import responsible_ai_of
from personagen.builder.release.folder import sealed, written_files

VERSION = "http://mlcommons.org/croissant/1.1"
"""Version of the format."""

RAI_VERSION = "http://mlcommons.org/croissant/RAI/1.0"
"""Version of the vocabulary of Responsible AI."""

CR_TERMS = (
    *("arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field", "fileProperty"),
    *("fileObject", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5"),
    *("parentField", "path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate", "separator"),
    *("source", "subField", "transform"),
)
"""Terms of the format that the context names without a prefix."""

CONTEXT: Mapping[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "prov": "http://www.w3.org/ns/prov#",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    **{term: f"cr:{term}" for term in CR_TERMS},
}
"""The context that the format prescribes, and the prefix of PROV-O."""

PARQUET = "application/x-parquet"
"""Media type of the data files."""

MARKDOWN = "text/markdown"
"""Media type of the prompt templates."""

DATA_TYPES = {
    "string": "sc:Text",
    "int32": "sc:Integer",
    "int64": "sc:Integer",
    "class": "sc:Integer",
    "bool": "sc:Boolean",
    "float32": "sc:Float",
    "float64": "sc:Float",
}
"""Data type of a field by the type of its column."""


def with_croissant(manifest: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Return a manifest that lists its croissant.json, and the content of this file."""
    text = render_croissant(manifest)
    content = text.encode()
    entry = {"path": CROISSANT, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    return sealed({**manifest, "croissant": entry}), text


def described_anew(manifest: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    """Seal a manifest that was changed; return it and its croissant.json (None: an earlier release without one)."""
    return with_croissant(manifest) if manifest.get("croissant") else (sealed(manifest), None)


def render_croissant(manifest: Mapping[str, Any]) -> str:
    """Render croissant.json; it depends on no digest of the manifest, which lists its own."""
    return json.dumps(croissant_of(manifest), indent=1, ensure_ascii=True) + "\n"


def croissant_of(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of croissant.json. The card is its `url`, since a release in a folder has no address."""
    rows = sum(manifest["configs"]["all"]["rows"].values())
    licence = manifest.get("license") or {}
    chosen = licence.get("license_link") or licence.get("license_name") or licence.get("license")
    language = manifest["recipe"]["text"]["language"]
    return {
        "@context": dict(CONTEXT),
        "@type": "sc:Dataset",
        "conformsTo": [VERSION, RAI_VERSION],
        "name": manifest["name"],
        "description": (
            f"{rows} synthetic texts, each labelled with one of {len(manifest['taxonomy']['emotions'])} emotions. "
            f"Made by PersonaGen {manifest['personagen']} with {_clean(manifest['model']['name'])}. The version is "
            f"that of the columns; the digest of the texts is {manifest['configs']['all']['digest']}."
        ),
        "version": manifest["version"],
        "url": "README.md",
        "license": _clean(
            chosen or f"{NO_LICENCE['license_name']}: no licence was chosen, so no permission is granted"
        ),
        "citeAs": manifest.get("citation", ""),
        "keywords": ["synthetic", "emotion", "persona", "text classification"],
        **({"inLanguage": language} if language else {}),
        "isLiveDataset": False,
        **responsible_ai_of(manifest),
        "distribution": [*_files(manifest), *_file_sets(manifest)],
        "recordSet": [_splits(), _labels(manifest), *_tables(manifest)],
    }


def _clean(text: object) -> str:
    return printable(str(text))[:500]


def _files(manifest: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for file in written_files(manifest):
        yield {
            "@type": "cr:FileObject",
            "@id": file["path"],
            "name": file["path"],
            "contentUrl": file["path"],
            "contentSize": f"{file['bytes']} B",
            "encodingFormat": PARQUET if file["path"].endswith(".parquet") else MARKDOWN,
            "sha256": file["sha256"],
        }


def _file_sets(manifest: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name, config in manifest["configs"].items():
        yield {
            "@type": "cr:FileSet",
            "@id": f"{name}-files",
            "name": f"{name}-files",
            "encodingFormat": PARQUET,
            "includes": [pattern for patterns in config["data_files"].values() for pattern in patterns],
        }


def _splits() -> dict[str, Any]:
    """Return the record set of the splits."""
    return {
        "@type": "cr:RecordSet",
        "@id": "splits",
        "name": "splits",
        "dataType": "cr:Split",
        "key": {"@id": "splits/name"},
        "field": [{"@type": "cr:Field", "@id": "splits/name", "name": "name", "dataType": "sc:Text"}],
        "data": [{"splits/name": split} for split in SPLITS],
    }


def _labels(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record set of the labels, with their numbers and definitions."""
    types = {"label": "sc:Integer", "emotion": "sc:Text", "definition": "sc:Text"}
    return {
        "@type": "cr:RecordSet",
        "@id": "labels",
        "name": "labels",
        "dataType": "sc:Enumeration",
        "key": {"@id": "labels/label"},
        "field": [
            {"@type": "cr:Field", "@id": f"labels/{name}", "name": name, "dataType": type_}
            for name, type_ in types.items()
        ],
        "data": [
            {
                "labels/label": number,
                "labels/emotion": emotion["name"],
                "labels/definition": _clean(emotion["definition"]),
            }
            for number, emotion in enumerate(manifest["taxonomy"]["emotions"])
        ],
    }


def _tables(manifest: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name, config in manifest["configs"].items():
        yield {
            "@type": "cr:RecordSet",
            "@id": name,
            "name": name,
            "description": f"{sum(config['rows'].values())} rows",
            "field": [_split_field(name), *_fields(name, manifest)],
        }


def _split_field(config: str) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"{config}/split",
        "name": "split",
        "description": "split of the row, from the name of its file",
        "dataType": "sc:Text",
        "source": {
            "fileSet": {"@id": f"{config}-files"},
            "extract": {"fileProperty": "filename"},
            "transform": {"regex": f"^({'|'.join(SPLITS)})(?:-|$)"},
        },
        "references": {"field": {"@id": "splits/name"}},
    }


def _fields(config: str, manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the fields of a configuration; a struct has one per part, read by JSON path."""
    fields: list[dict[str, Any]] = []
    by_name: dict[str, dict[str, Any]] = {}
    for column in described_columns(config, manifest):
        parent, _, name = column["name"].rpartition(".")
        field = _field(config, column, name)
        by_name[column["name"]] = field
        siblings = by_name[parent].setdefault("subField", []) if parent else fields
        siblings.append(field)
    return fields


def _field(config: str, column: Mapping[str, str], name: str) -> dict[str, Any]:
    path = column["name"]
    base, _, inner = path.partition(".")
    source: dict[str, Any] = {"fileSet": {"@id": f"{config}-files"}, "extract": {"column": base}}
    if inner:
        source["transform"] = {"jsonPath": inner}
    field = {"@type": "cr:Field", "@id": f"{config}/{path}", "name": name, "description": column["meaning"]}
    return field if column["type"] == "struct" else {**field, "dataType": DATA_TYPES[column["type"]], "source": source}
