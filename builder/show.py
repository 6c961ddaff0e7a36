"""What `preview` and `inspect` print. Text of a model is data: control characters never reach the terminal."""

import shutil
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from personagen.builder.errors import ReleaseError
from personagen.builder.manifest import total_rejects
from personagen.builder.schema import LAYERS, SPLITS, Row
from personagen.builder.terminal import printable


def row_lines(row: Row) -> Iterator[str]:
    """Show a row layer by layer, then its text."""
    head = f"{row.id}  {row.label}" + (f", {row.intensity}" if row.intensity else "") + f"  (depth {row.depth})"
    yield printable(head)
    for layer in LAYERS:
        content = getattr(row, layer)
        if content is not None:
            yield _entry(layer, _facts(asdict(content)))
    yield _entry("text", printable(row.text))


def _entry(name: str, text: str) -> str:
    """Lay out a name and a text in two columns, within the width of the terminal."""
    width = max(shutil.get_terminal_size().columns, 60)
    return textwrap.fill(text, width, initial_indent=f"  {name:14}", subsequent_indent=" " * 16, break_on_hyphens=False)


def _facts(layer: Mapping[str, Any]) -> str:
    flat: dict[str, Any] = {}
    for name, value in layer.items():
        flat |= value if isinstance(value, dict) else {name: value}
    return printable(
        "; ".join(f"{name.replace('_', ' ')} {value}" for name, value in flat.items() if value is not None)
    )


def summary(folder: Path, manifest: Mapping[str, Any], samples: int) -> dict[str, Any]:
    """Sum up a release for a program to read.

    Raises:
        ReleaseError: a shard is missing or cannot be read.

    """
    return {
        "folder": str(folder),
        "name": manifest["name"],
        "fingerprint": manifest["fingerprint"],
        "model": manifest["model"],
        "rows": {name: config["rows"] for name, config in manifest["configs"].items()},
        "personas": manifest["personas"],
        "rejects": manifest["rejects"],
        "leaked": manifest["leaked"],
        "usage": manifest["usage"],
        "samples": list(_samples(folder, manifest, samples)),
    }


def _samples(folder: Path, manifest: Mapping[str, Any], number: int) -> Iterator[dict[str, str]]:
    """Take the first texts of every emotion."""
    for emotion in (entry["name"] for entry in manifest["taxonomy"]["emotions"]):
        path = next(shard["path"] for shard in manifest["shards"] if shard["path"].startswith(f"{emotion}/"))
        try:
            table = pq.read_table(folder / path, columns=["id", "text"])
        except (OSError, ValueError) as error:
            raise ReleaseError(f"cannot read {folder / path}: {error}; make the release again") from error
        for record in table.slice(0, number).to_pylist():
            yield {"label": emotion, **record}


def summary_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """Show a summary to a person."""
    yield from map(printable, _summary_lines(facts))


def _summary_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    model = facts["model"]
    yield f"{facts['name']}  recipe {facts['fingerprint']}  {model['backend']}: {model['name']}"
    yield ""
    yield f"{'configuration':20}" + "".join(f"{split:>12}" for split in SPLITS)
    for name, rows in facts["rows"].items():
        yield f"{name:20}" + "".join(f"{rows.get(split, 0):>12}" for split in SPLITS)
    yield ""
    personas = facts["personas"]
    yield f"personas {sum(personas[split] for split in SPLITS)}, pairs of attributes met: " + (
        f"{personas['pairs_met']} of {personas['pairs_possible']}"
    )
    reasons = ", ".join(f"{reason} {count}" for reason, count in total_rejects(facts).most_common())
    yield f"replies refused: {reasons or 'none'}"
    yield f"texts that name their emotion: {facts['leaked']}"
    usage = facts["usage"]
    cost = "" if usage.get("cost") is None else f", cost {usage['cost']}"
    yield f"requests {usage['requests']}, tokens {usage['prompt_tokens']} in, {usage['completion_tokens']} out{cost}"
    for sample in facts["samples"]:
        yield ""
        yield f"{sample['label']}  ({sample['id']})"
        yield f"  {sample['text']}"
