"""What a release folder holds: its configurations, and the manifest that describes them."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from personagen.builder.core.errors import ReleaseError
from personagen.builder.core.file_names import AUDIT, CARD, MANIFEST, SCORES
from personagen.builder.core.records import LAYERS, REPEATING_PREFIXES, SPLITS
from personagen.builder.release.shards import ShardFile, file_digest

FORMAT = "personagen-release/1"
ADDED = {"evaluation": SCORES, "audit": AUDIT}
"""Files that are added to a finished release, by the key of the manifest that vouches for them."""

OVERRIDE = ".huggingface.yaml"
"""What `datasets` reads before the card."""

SHARD = re.compile(r"[a-z][a-z0-9_]*/(train|validation|test)-\d{5}-of-\d{5}\.parquet")
"""Paths that files of a release can have."""

MANIFEST_KEYS: Mapping[str, type] = {
    "name": str, "version": str, "fingerprint": str, "recipe": dict, "taxonomy": dict, "model": dict, "prompts": dict,
    "tables": dict, "personas": dict, "configs": dict, "rejects": dict, "leaked": int, "usage": dict, "shards": list,
}  # fmt: skip
"""What every manifest holds, and as what."""


def configurations(shards: Iterable[ShardFile]) -> dict[str, dict[str, Any]]:
    """Describe the configurations that shards make up: rows, file patterns and digest of each.

    "all" comes after the emotions: to load any configuration, `datasets` looks up the files of the first one.

    The digest goes into the card: `datasets` caches a local folder by its YAML, and would serve the old rows of a
    release that was made again with the same file names.
    """
    found: dict[str, list[ShardFile]] = {}
    for shard in shards:
        found.setdefault(shard.path.split("/")[0], []).append(shard)
    emotions = [name for name in found if name not in LAYERS and not name.startswith(REPEATING_PREFIXES)]
    texts = {name: found.pop(name) for name in emotions}
    found = {**texts, "all": [shard for shards in texts.values() for shard in shards], **found}
    return {name: _configuration(parts) for name, parts in found.items()}


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
    """Add the digest of everything else in a manifest, so that a change by hand shows."""
    body = {key: value for key, value in manifest.items() if key != "digest"}
    return {**body, "digest": hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()}


def check_release(folder: Path, *, scores: bool = True) -> dict[str, Any]:
    """Read a release whole: every byte of its files against its manifest, and the manifest against itself.

    Args:
        folder: the release.
        scores: whether what was added has to be that of the manifest too; False for whoever is about to write it.

    Raises:
        ReleaseError: the folder is no release; its manifest was changed; a file is missing or was altered.

    """
    manifest = read_manifest(folder)
    check_manifest(manifest, str(folder / MANIFEST))
    for file in files_of(manifest) if scores else manifest["shards"]:
        path = folder / file["path"]
        again = {SCORES: "measure it", AUDIT: "audit it"}.get(file["path"], "make the release")
        if path.is_symlink() or not path.is_file():
            raise ReleaseError(f"{path} is missing; {again} again")
        if path.stat().st_size != file["bytes"] or file_digest(path) != file["sha256"]:
            raise ReleaseError(f"{path} was altered: its SHA-256 is not that of the manifest; {again} again")
    read_card(folder)
    return manifest


def files_of(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """List the files that a manifest vouches for, each with path, bytes and sha256: the shards, and what was added."""
    return [*manifest["shards"], *(manifest[key] for key in ADDED if manifest.get(key))]


def read_card(folder: Path) -> str:
    """Read the card of a release. Raises ReleaseError where it is missing or no text."""
    path = folder / CARD
    if path.is_symlink() or not path.is_file():
        raise ReleaseError(f"{path} is missing; make the release again")
    try:
        return path.read_text(encoding="utf-8")
    except ValueError as error:
        raise ReleaseError(f"{path} is no text in UTF-8 ({error}); make the release again") from None


def check_manifest(manifest: Mapping[str, Any], where: str) -> None:
    """See that a manifest is as it was written, and that its configurations are what its files make up.

    Raises:
        ReleaseError: it is not.

    """
    if manifest.get("digest") != sealed(manifest)["digest"]:
        raise ReleaseError(
            f"{where} was changed by hand: its digest is not that of its content; make the release again"
        )
    try:
        paths = [shard["path"] for shard in manifest["shards"]]
        odd = [path for path, count in Counter(paths).items() if count > 1 or not SHARD.fullmatch(path)]
        odd += [file["path"] for key, path in ADDED.items() if (file := manifest.get(key)) and file["path"] != path]
        made = {} if odd else configurations(ShardFile(**shard) for shard in manifest["shards"])
        names = {emotion["name"].strip() for emotion in manifest["taxonomy"]["emotions"]}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ReleaseError(f"{where} lists a file or an emotion that is none ({error!r:.80}); make it again") from None
    if odd:
        raise ReleaseError(f"{where} lists {odd[0]!r:.80}, as no release does; make the release again")
    if names != {name for name in made if name not in LAYERS and name != "all" and not name.startswith(REPEATING_PREFIXES)}:
        raise ReleaseError(f"{where} has other emotions than files; make the release again")
    if made != manifest["configs"]:
        raise ReleaseError(f"{where} has configurations that its files do not make up; make the release again")


def foreign_files(paths: Iterable[str], manifest: Mapping[str, Any]) -> list[str]:
    """List the files that are not of a release, and that whoever loads it would read as a part or instead of it."""
    own = {shard["path"] for shard in manifest["shards"]}
    files = [each for config in manifest["configs"].values() for each in config["data_files"].values()]
    patterns = {pattern for each in files for pattern in each}
    return [
        path
        for path in sorted(paths)
        if path == OVERRIDE or (path not in own and any(fnmatchcase(path, pattern) for pattern in patterns))
    ]


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
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ReleaseError(f"cannot read {path}: {error}; make the release again") from error
    return parse_manifest(text, str(path))


def parse_manifest(text: str, path: str) -> dict[str, Any]:
    """Parse a manifest that lies at `path`. Raises ReleaseError where it is none, or one of another version."""
    try:
        manifest = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ReleaseError(f"cannot read {path}: {error}; make the release again") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        got = manifest.get("format") if isinstance(manifest, dict) else type(manifest).__name__
        raise ReleaseError(
            f"{path} has format {got!r:.80}, wanted {FORMAT!r}; use the version of personagen that wrote it"
        )
    wrong = [key for key, kind in MANIFEST_KEYS.items() if not isinstance(manifest.get(key), kind)]
    if wrong:
        raise ReleaseError(f"{path} lacks {', '.join(wrong)}; make the release again")
    return manifest
