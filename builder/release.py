"""Write a release: parquet shards as rows settle, then the manifest and the card.

Everything is written to a folder beside the release and moved into place by one rename at the end, so a release is
whole or not there. Shards have the layout of `push_to_hub`: `<config>/<split>-NNNNN-of-NNNNN.parquet`.
"""

import errno
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Features

from personagen.builder.errors import FolderError, ReleaseError
from personagen.builder.schema import SPLITS, Row
from personagen_dataset import layer_features, text_features

FORMAT = "personagen-release/1"
MANIFEST = "manifest.json"
MANIFEST_KEYS: Mapping[str, type] = {
    "name": str, "version": str, "fingerprint": str, "recipe": dict, "taxonomy": dict, "model": dict, "prompts": dict,
    "tables": dict, "personas": dict, "configs": dict, "rejects": dict, "leaked": int, "usage": dict, "shards": list,
}  # fmt: skip
"""What every manifest holds, and as what."""

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Written:
    """A finished shard: path within the release, rows, bytes on disk, and SHA-256 of the file."""

    path: str
    rows: int
    bytes: int
    sha256: str


def write_shard(folder: Path, path: str, records: Iterable[Record], features: Features) -> Written:
    """Write one parquet file: to a temporary name first, then renamed.

    The bytes depend on the records, the features and the version of pyarrow alone.

    Raises:
        FolderError: the disk is full or the folder cannot be written.

    """
    target = folder / path
    part = target.with_name(target.name + ".part")
    rows = [features.encode_example(dict(record)) for record in records]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        table = pa.Table.from_pylist(rows, schema=features.arrow_schema)
        # As `datasets` writes them: an unchanged stretch of rows is the same bytes, and readers can skip pages.
        pq.write_table(table, part, use_content_defined_chunking=True, write_page_index=True)
        part.replace(target)
    except OSError as error:
        raise FolderError(f"cannot write {target}: {explain(error)}") from error
    return Written(path, len(rows), target.stat().st_size, file_digest(target))


def write_text(target: Path, text: str) -> None:
    """Write a text file: to a temporary name first, then renamed. Raises FolderError where that fails."""
    part = target.with_name(target.name + ".part")
    try:
        part.write_text(text, encoding="utf-8", newline="\n")
        part.replace(target)
    except OSError as error:
        raise FolderError(f"cannot write {target}: {explain(error)}") from error


def explain(error: OSError) -> str:
    """Tell an operating system's error with what to do."""
    advice = {
        errno.ENOSPC: "free some space and run the command again; nothing that was paid for is lost",
        errno.EACCES: "choose another folder with --out, or change its permissions",
        errno.EPERM: "choose another folder with --out, or change its permissions",
        errno.EROFS: "choose another folder with --out",
    }
    hint = advice.get(error.errno or 0, "choose another folder with --out")
    return f"{(error.strerror or str(error)).lower()}; {hint}"


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def text_record(row: Row) -> Record:
    """Turn a row into the columns of a text shard."""
    return asdict(row)


def layer_shards(layer: str, counts: Mapping[str, int], size: int) -> Iterator[tuple[str, int]]:
    """Divide a layer's table into shards of at most `size` rows, split by split: path and rows of each."""
    for split in SPLITS:
        of = -(-counts[split] // size)
        for index in range(of):
            yield f"{layer}/{split}-{index:05d}-of-{of:05d}.parquet", min(size, counts[split] - index * size)


def features_of(config: str, layers: Iterable[str], emotions: Iterable[str]) -> Features:
    """Columns of a configuration."""
    names = list(emotions)
    return layer_features(config, names) if config in layers else text_features(names)


def configurations(shards: Iterable[Written]) -> dict[str, dict[str, Any]]:
    """Describe the configurations that shards make up: rows, file patterns and digest of each; "all" comes first.

    The digest goes into the card: `datasets` caches a local folder by its YAML, and would serve the old rows of a
    release that was made again with the same file names.
    """
    found: dict[str, list[Written]] = {}
    for shard in shards:
        found.setdefault(shard.path.split("/")[0], []).append(shard)
    layers = {"demographic", "sociocultural", "situational"}
    emotions = [name for name in found if name not in layers and not name.startswith("depth_")]
    found = {"all": [shard for name in emotions for shard in found[name]], **found}
    return {name: _configuration(parts) for name, parts in found.items()}


def _configuration(parts: list[Written]) -> dict[str, Any]:
    files: dict[str, list[str]] = {}
    rows: dict[str, int] = {}
    for split in SPLITS:
        for part in parts:
            folder, file = part.path.split("/")
            if file.startswith(f"{split}-"):
                rows[split] = rows.get(split, 0) + part.rows
                if (pattern := f"{folder}/{split}-*") not in files.setdefault(split, []):
                    files[split].append(pattern)
    digest = hashlib.sha256("".join(part.sha256 for part in parts).encode()).hexdigest()[:16]
    return {"data_files": files, "rows": rows, "bytes": sum(part.bytes for part in parts), "digest": digest}


def is_release(folder: Path) -> bool:
    """Tell whether a folder is a release of any version, whole or not; other programs have a manifest.json too."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and str(manifest.get("format")).startswith("personagen-release/")


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of a release.

    Raises:
        ReleaseError: the folder is no release, or its manifest cannot be read.

    """
    path = folder / MANIFEST
    if not path.is_file():
        raise ReleaseError(f"no release in {folder}: {MANIFEST} is missing; name the folder that `generate` wrote")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReleaseError(f"cannot read {path}: {error}; make the release again") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        got = manifest.get("format") if isinstance(manifest, dict) else type(manifest).__name__
        raise ReleaseError(f"{path} has format {got!r}, wanted {FORMAT!r}; use the version of personagen that wrote it")
    wrong = [key for key, kind in MANIFEST_KEYS.items() if not isinstance(manifest.get(key), kind)]
    if wrong:
        raise ReleaseError(f"{path} lacks {', '.join(wrong)}; make the release again")
    return manifest
