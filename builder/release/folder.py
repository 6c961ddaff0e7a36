"""Read and validate a release folder: its manifest, its configurations and the files that the manifest lists."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from personagen.builder.core.errors import ReleaseError
from personagen.builder.core.file_names import AUDIT, CARD, CROISSANT, MANIFEST, SCORES
from personagen.builder.core.records import LAYERS, PLAIN, REPEATING_PREFIXES, SPLITS
from personagen.builder.release.formats.manifest_model import require_manifest
from personagen.builder.release.formats.plain_json import parse_plain_json, require_inside
from personagen.builder.release.prompt_files import PROMPT_PATH, listed_prompts
from personagen.builder.release.tables.shards import ShardFile, file_digest

FORMAT = "personagen-release/1"
ADDED = {"evaluation": SCORES, "audit": AUDIT}
"""Files that are added to a finished release, by the key of the manifest that lists them."""

LISTED: Mapping[str, str] = {"croissant": CROISSANT, **ADDED}
"""Files beside the data files, by the key of the manifest that lists them; earlier releases have no croissant.json."""

MEND = "run its `generate` command again, which mends it from the journal, or download it again"
"""Advice on a damaged release."""

OVERRIDE = ".huggingface.yaml"
"""File that `datasets` reads in preference to the card."""

VIEWS: Mapping[str, Mapping[str, Any]] = {PLAIN: {"of": "all", "columns": ["text", "label"]}}
"""Configurations that read some columns from the files of another one; earlier releases have none of them."""

SHARD = re.compile(r"[a-z][a-z0-9_]*/(train|validation|test)-\d{5}-of-\d{5}\.parquet")
"""Paths of data files."""


def configurations(shards: Iterable[ShardFile]) -> dict[str, dict[str, Any]]:
    """Return rows, file patterns, bytes and digest of each configuration that the data files make up.

    Without files of its own, as before version 1.3.0 of the columns, "all" has those of the emotions. It comes after
    the emotions: to load any configuration, `datasets` looks up the files of the first one.

    The card has the digests: `datasets` caches a local folder by its YAML, and would otherwise serve the old rows of a
    release that was made again with the same file names.
    """
    by_config: dict[str, list[ShardFile]] = {}
    for shard in shards:
        by_config.setdefault(shard.path.split("/")[0], []).append(shard)
    own = by_config.pop("all", None)
    emotions = [name for name in by_config if name not in LAYERS and not name.startswith(REPEATING_PREFIXES)]
    texts = {name: by_config.pop(name) for name in emotions}
    every = [shard for parts in texts.values() for shard in parts] if own is None else own
    by_config = {**texts, "all": every, **by_config}
    return {name: _configuration(parts) for name, parts in by_config.items()}


def paths_of(config: str, manifest: Mapping[str, Any]) -> list[str]:
    """Return the data files of a configuration, in order."""
    patterns = [pattern for patterns in manifest["configs"][config]["data_files"].values() for pattern in patterns]
    return [
        shard["path"] for pattern in patterns for shard in manifest["shards"] if fnmatchcase(shard["path"], pattern)
    ]


def _configuration(parts: list[ShardFile]) -> dict[str, Any]:
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


def sealed(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the manifest with the digest of all its other keys, which reveals changes by hand."""
    body = {key: value for key, value in manifest.items() if key != "digest"}
    return {**body, "digest": hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()}


def check_release(folder: Path, *, scores: bool = True) -> dict[str, Any]:
    """Validate every byte of a release and return its manifest.

    Args:
        folder: the release.
        scores: whether to validate the other listed files too. False: for a caller that is about to replace them.

    Raises:
        ReleaseError: the folder is no release; its manifest was changed; a file is missing or was changed.

    """
    manifest = read_manifest(folder)
    check_manifest(manifest, str(folder / MANIFEST))
    for file in files_of(manifest) if scores else written_files(manifest):
        advice = {SCORES: "measure it again", AUDIT: "audit it again"}.get(file["path"], MEND)
        path = file_in(folder, file["path"])
        if path.is_symlink() or not path.is_file():
            raise ReleaseError(f"{path} is missing; {advice}")
        if path.stat().st_size != file["bytes"] or file_digest(path) != file["sha256"]:
            raise ReleaseError(f"{path} was altered: its SHA-256 is not that of the manifest; {advice}")
    read_card(folder)
    return manifest


def file_in(folder: Path, name: str) -> Path:
    """Return the path of a file of a release. Raises ReleaseError if links lead out of the folder, or it is no file."""
    try:
        return require_inside(folder, name)
    except (OSError, ValueError) as error:
        raise ReleaseError(f"{folder}: {error}; {MEND}") from None


def missing_files(folder: Path, manifest: Mapping[str, Any]) -> list[str]:
    """Return the files of a release that are not in its folder or have another size; contents are not read."""
    sizes: dict[str, int | None] = {file["path"]: file["bytes"] for file in written_files(manifest)}
    return [path for path, size in (sizes | {CARD: None, MANIFEST: None}).items() if not _has(folder / path, size)]


def _has(path: Path, size: int | None) -> bool:
    """Return whether a file exists with this size; None: with any, but not empty."""
    try:
        actual = path.stat().st_size if path.is_file() else 0
    except OSError:
        return False
    return actual > 0 if size is None else actual == size


def written_files(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the files of a release that only its run can write: data files, then prompt templates."""
    return [*manifest["shards"], *listed_prompts(manifest)]


def files_of(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the files that a manifest lists, with path, bytes and sha256: data files, prompts, then the others."""
    return [*written_files(manifest), *(manifest[key] for key in LISTED if manifest.get(key))]


def read_card(folder: Path) -> str:
    """Read the card of a release. Raises ReleaseError if it is missing or not UTF-8."""
    path = file_in(folder, CARD)
    if path.is_symlink() or not path.is_file():
        raise ReleaseError(f"{path} is missing; {MEND}")
    try:
        return path.read_text(encoding="utf-8")
    except ValueError as error:
        raise ReleaseError(f"{path} is not UTF-8 ({error}); {MEND}") from None


def check_manifest(manifest: Mapping[str, Any], where: str) -> None:
    """Validate the digest of a manifest, and its configurations against its files.

    Args:
        manifest: the manifest.
        where: its location, for the message.

    Raises:
        ReleaseError: the manifest is not as it was written.

    """
    if manifest.get("digest") != sealed(manifest)["digest"]:
        raise ReleaseError(f"{where} was changed by hand: its digest is not that of its content; {MEND}")
    try:
        paths = [shard["path"] for shard in manifest["shards"]]
        odd = [path for path, count in Counter(paths).items() if count > 1 or not SHARD.fullmatch(path)]
        prompts = [file["path"] for file in listed_prompts(manifest)]
        odd += [path for path, count in Counter(prompts).items() if count > 1 or not PROMPT_PATH.fullmatch(path)]
        odd += [file["path"] for key, path in LISTED.items() if (file := manifest.get(key)) and file["path"] != path]
        configs = {} if odd else configurations(ShardFile(**shard) for shard in manifest["shards"])
        names = {emotion["name"].strip() for emotion in manifest["taxonomy"]["emotions"]}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ReleaseError(f"{where} has a malformed file or emotion ({error!r:.80}); {MEND}") from None
    if odd:
        raise ReleaseError(f"{where} lists {odd[0]!r:.80}, which no release does; {MEND}")
    if names != {
        name for name in configs if name not in LAYERS and name != "all" and not name.startswith(REPEATING_PREFIXES)
    }:
        raise ReleaseError(f"{where} has other emotions than files; {MEND}")
    if configs != manifest["configs"]:
        raise ReleaseError(f"{where} has other configurations than files; {MEND}")
    if manifest.get("views", VIEWS) != VIEWS:
        raise ReleaseError(f"{where} has views that no release has; {MEND}")


def foreign_files(paths: Iterable[str], manifest: Mapping[str, Any]) -> list[str]:
    """Return the paths outside the manifest that `load_dataset` would pick up."""
    listed = {shard["path"] for shard in manifest["shards"]}
    splits = [patterns for config in manifest["configs"].values() for patterns in config["data_files"].values()]
    patterns = {pattern for split in splits for pattern in split}
    return [
        path
        for path in sorted(paths)
        if path == OVERRIDE or (path not in listed and any(fnmatchcase(path, pattern) for pattern in patterns))
    ]


def is_release(folder: Path) -> bool:
    """Return whether a folder has the manifest of a release of any version; other programs have manifests too."""
    try:
        manifest = json.loads(require_inside(folder, MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(manifest, dict) and str(manifest.get("format")).startswith("personagen-release/")


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of a release.

    Raises:
        ReleaseError: the folder is no release, or its manifest cannot be read.

    """
    path = folder / MANIFEST
    try:
        if not require_inside(folder, MANIFEST).is_file():
            raise ReleaseError(f"no release in {folder}: {MANIFEST} is missing; name the folder that `generate` wrote")
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ReleaseError(f"cannot read {path}: {error}; {MEND}") from error
    return parse_manifest(text, str(path))


def parse_manifest(text: str, path: str) -> dict[str, Any]:
    """Parse the manifest at `path`; see `manifest_model.Manifest`.

    Raises:
        ReleaseError: it is malformed or of another format version.

    """
    try:
        manifest = parse_plain_json(text)
    except ValueError as error:
        raise ReleaseError(f"cannot read {path}: {error}; {MEND}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        format_ = manifest.get("format") if isinstance(manifest, dict) else type(manifest).__name__
        raise ReleaseError(
            f"{path} has format {format_!r:.80}, wanted {FORMAT!r}; use the version of personagen that wrote it"
        )
    require_manifest(manifest, path, MEND)
    return manifest
