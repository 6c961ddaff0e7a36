"""Output of `plan`, `preview`, `inspect` and `push` as lines of text. Control characters in texts are escaped."""

import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from personagen.builder.core.errors import ReleaseError
from personagen.builder.core.foreign_text import printable
from personagen.builder.core.progress import duration
from personagen.builder.core.records import LAYERS, SPLITS, Row
from personagen.builder.estimate import (
    BYTES_PER_TOKEN,
    REJECTED_FRACTION,
    TOKENS_PER_SECOND,
    TOKENS_PER_WORD,
    Estimate,
)
from personagen.builder.hub.push import PushResult
from personagen.builder.planning.recipe import Recipe
from personagen.builder.release.folder import MEND, file_in
from personagen.builder.release.manifest import leak_line, total_rejects
from personagen.builder.release.persona_words import shown_of
from personagen.builder.replay import Replay


def row_lines(row: Row) -> Iterator[str]:
    """Yield the lines of a row: its layers, then its text."""
    head = f"{row.id}  {row.label}" + (f", {row.intensity}" if row.intensity else "") + f"  (depth {row.depth})"
    yield printable(head)
    for layer in LAYERS:
        content = getattr(row, layer)
        if content is not None:
            yield _entry(layer, _facts(asdict(content)))
    if row.attributes:
        yield _entry("attributes", _facts(row.attributes))
    yield _entry("text", printable(row.text))
    if (shown := shown_of(row)) is not None:
        yield _entry("shows", ", ".join(shown) or "nothing of the persona by words")


def shown_line(rows: Sequence[Row]) -> str | None:
    """Return how many texts show their persona by words; None: none has one, or none is in English."""
    shown = [names for row in rows if (names := shown_of(row)) is not None]
    if not shown:
        return None
    return f"{sum(map(bool, shown))} of {len(shown)} texts show their persona by words, as far as English lists find."


def push_facts(done: PushResult) -> dict[str, Any]:
    """Return the JSON object of a push."""
    return {**asdict(done), "deleted": list(done.deleted)}


def push_lines(done: PushResult) -> Iterator[str]:
    """Yield the lines of a push; after a dry run also every file with its size, and the card."""
    if done.url is None:
        for path, size in done.sent.items():
            yield f"send    {size:>14,}  {path}"
        for path, size in done.kept.items():
            yield f"keep    {size:>14,}  {path}"
        for path in done.deleted:
            yield f"delete  {'':>14}  {path}"
        yield "\n" + "\n".join(printable(line) for line in done.card.split("\n"))
    total, state = sum(done.sent.values()), "to send" if done.url is None else "sent"
    yield (
        f"{done.repo}: {len(done.sent)} files {state} ({total:,} bytes), {len(done.kept)} already there, "
        f"{len(done.deleted)} deleted"
    )


def replay_line(replay: Replay) -> str:
    """Return the line of a replay without differences."""
    apart = f"; not compared: {', '.join(replay.not_compared)}" if replay.not_compared else ""
    return (
        f"replayed from {replay.replies:,} replies without a call: every data file and the manifest are the same{apart}"
    )


def _entry(name: str, text: str) -> str:
    """Return a name and a text in two columns, wrapped to the width of the terminal."""
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
    """Return the JSON object of `inspect`.

    Args:
        folder: the release.
        manifest: its manifest.
        samples: number of sample texts per emotion.

    Raises:
        ReleaseError: a shard is missing or cannot be read.

    """
    return {
        "folder": str(folder),
        "name": manifest["name"],
        "fingerprint": manifest["fingerprint"],
        "model": manifest["model"],
        **({"models": manifest["models"]} if "models" in manifest else {}),
        "rows": {name: config["rows"] for name, config in manifest["configs"].items()},
        "personas": manifest["personas"],
        "rejects": manifest["rejects"],
        **{key: manifest[key] for key in ("leaked", "leak_unchecked") if key in manifest},
        "usage": manifest["usage"],
        "samples": list(_samples(folder, manifest, samples)),
    }


def _samples(folder: Path, manifest: Mapping[str, Any], number: int) -> Iterator[dict[str, str]]:
    """Yield the first texts of every emotion."""
    import pyarrow as pa

    from personagen.builder.release.formats.tables import read_table

    for emotion in (entry["name"] for entry in manifest["taxonomy"]["emotions"]):
        path = next(shard["path"] for shard in manifest["shards"] if shard["path"].startswith(f"{emotion}/"))
        try:
            table = read_table(file_in(folder, path), ["id", "text"])
        except (OSError, ValueError, KeyError, pa.ArrowException) as error:
            raise ReleaseError(f"cannot read {folder / path}: {error}; {MEND}") from error
        for record in table.slice(0, number).to_pylist():
            yield {"label": emotion, **record}


def summary_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of `inspect`."""
    yield from map(printable, _summary_lines(facts))


def estimate_lines(recipe: Recipe, expected: Estimate) -> Iterator[str]:
    """Yield the lines of `plan`."""
    models = ", ".join(f"{choice.kind}: {choice.model or 'its own model'}" for choice in recipe.backends)
    yield f"{recipe.name}  recipe {recipe.fingerprint()}  {models}"
    yield f"{expected.texts} texts of {len(recipe.quota())} emotions, {expected.personas} personas"
    yield ""
    yield f"{'stage':28}{'requests':>12}{'tokens in':>14}{'tokens out':>14}"
    for stage in (*expected.stages, expected.total):
        yield f"{stage.stage:28}{stage.requests:>12,}{stage.prompt_tokens:>14,}{stage.completion_tokens:>14,}"
    if expected.models:
        yield ""
        yield f"{'model':28}{'requests':>12}{'tokens in':>14}{'tokens out':>14}{'texts':>10}{'cost':>10}"
        for model in expected.models:
            counts = f"{model.requests:>12,}{model.prompt_tokens:>14,}{model.completion_tokens:>14,}{model.texts:>10,}"
            yield f"{printable(model.model):28}{counts}{'unknown' if model.cost is None else f'{model.cost:.2f}':>10}"
    yield ""
    yield f"cost: {_cost(recipe, expected)}"
    yield f"time: {_time(recipe, expected)}"
    for limit, need in ((recipe.budget.max_cost, expected.cost), (recipe.budget.max_tokens, _tokens(expected))):
        if limit is not None and need is not None and need > limit:
            yield f"the budget of {limit:g} will stop the run before it ends"
    yield ""
    words_per_token, rejected = f"{1 / TOKENS_PER_WORD:.2f}", f"{REJECTED_FRACTION:.0%}"
    yield f"Assumptions, for English: {BYTES_PER_TOKEN:g} bytes or {words_per_token} words per token, texts of"
    yield f"medium length, {rejected} of the replies rejected, {TOKENS_PER_SECOND:g} tokens per second and request."
    for choice in (choice for choice in recipe.backends if choice.thinking_tokens is not None):
        subject = "Every reply" if len(recipe.backends) == 1 else f"Every reply of {choice.model}"
        yield f"{subject} begins with {choice.thinking_tokens:,} tokens of thoughts (backend.thinking_tokens)."
    if not recipe.is_embedded and any(choice.thinking_tokens is None for choice in recipe.backends):
        yield "Thoughts of a reasoning model are counted only if backend.thinking_tokens is set."
    yield "Nothing was sent."


def _tokens(expected: Estimate) -> int:
    return expected.total.prompt_tokens + expected.total.completion_tokens


def _cost(recipe: Recipe, expected: Estimate) -> str:
    if expected.models:
        unpriced = ", ".join(model.model for model in expected.models if model.cost is None)
        return f"unknown; add the price of {unpriced} to `prices` in the recipe" if unpriced else f"{expected.cost:.2f}"
    price = recipe.price()
    if price is not None and expected.cost is not None:
        return f"{expected.cost:.2f} at {price.prompt:g} per million tokens in and {price.completion:g} out"
    if recipe.backends[0].kind in ("openai", "batch"):
        return "unknown; add the price of the model to `prices` in the recipe"
    return "none; the model runs on this machine"


def _time(recipe: Recipe, expected: Estimate) -> str:
    if expected.seconds is not None:
        return f"about {duration(expected.seconds)}"
    if any(choice.kind == "batch" for choice in recipe.backends):
        stages = sum(not stage.stage.startswith("expression,") for stage in expected.stages)
        return f"{stages} batches in sequence, each within 24 hours"
    return "unknown; it depends on the device"


def _model_lines(models: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield texts, requests, tokens and cost of each of several models."""
    for model in models:
        cost = "" if model["cost"] is None else f", cost {model['cost']}"
        yield (
            f"model {model['name']}: {model['rows']} texts, requests {model['requests']}, "
            f"tokens {model['prompt_tokens']} in, {model['completion_tokens']} out{cost}"
        )


def _summary_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    model = facts["model"]
    yield f"{facts['name']}  recipe {facts['fingerprint']}  {model['backend']}: {model['name']}"
    yield ""
    yield f"{'configuration':20}" + "".join(f"{split:>12}" for split in SPLITS)
    for name, rows in facts["rows"].items():
        yield f"{name:20}" + "".join(f"{rows.get(split, 0):>12}" for split in SPLITS)
    yield ""
    personas = facts["personas"]
    yield f"personas {sum(personas[split] for split in SPLITS)}, attribute pairs covered: " + (
        f"{personas['pairs_met']} of {personas['pairs_possible']}"
    )
    reasons = ", ".join(f"{reason} {count}" for reason, count in total_rejects(facts).most_common())
    yield f"replies rejected: {reasons or 'none'}"
    yield f"texts that name their emotion: {leak_line(facts)}"
    usage = facts["usage"]
    yield from _model_lines(facts.get("models", ()))
    cost = "" if usage.get("cost") is None else f", cost {usage['cost']}"
    cost = f" ({usage['estimated']} replies estimated){cost}" if usage.get("estimated") else cost
    yield f"requests {usage['requests']}, tokens {usage['prompt_tokens']} in, {usage['completion_tokens']} out{cost}"
    for sample in facts["samples"]:
        yield ""
        yield f"{sample['label']}  ({sample['id']})"
        yield f"  {sample['text']}"
