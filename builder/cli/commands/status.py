"""The command `status`."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from personagen.builder.cli.options import options
from personagen.builder.cli.output import show, show_json
from personagen.builder.core.foreign_text import printable
from personagen.builder.core.progress import duration, short_number

if TYPE_CHECKING:  # imported on use: `--help` does not need it
    from personagen.builder.segments.summary import PartSummary, RunSummary, StoreSummary

HEADS = ("part", "state", "texts", "replies", "per min", "tokens", "cost", "last segment")
"""Columns of the table of parts."""


@click.command()
@options("--journals=", "--json")
def status(journals: str, *, as_json: bool) -> None:
    """Show how far the workers of `fill` are.

    Parts, texts, replies, rates and costs are read from the segments that the workers have shipped, whichever scheduler
    runs them. A part that has shipped nothing for an hour, or is slow, or has two workers, is named.
    """
    from personagen.builder.core.errors import FolderError
    from personagen.builder.segments.store import open_store
    from personagen.builder.segments.summary import summarize

    summary = summarize(open_store(journals))
    if as_json:
        show_json(_facts(summary))
        return
    if not summary.runs and not summary.problems:
        raise FolderError(f"there is no segment in {summary.url}; fill a part with personagen fill, or name the folder")
    show("\n".join(map(printable, _lines(summary))))


def _facts(summary: "StoreSummary") -> dict[str, Any]:
    runs = [
        {
            "fingerprint": run.origin.fingerprint,
            "models": [asdict(model) for model in run.origin.models],
            "complete": run.is_complete,
            "cost": run.cost,
            "parts": [asdict(part) for part in run.parts],
        }
        for run in summary.runs
    ]
    return {"journals": summary.url, "runs": runs, "problems": list(summary.problems)}


def _lines(summary: "StoreSummary") -> Iterator[str]:
    """Yield the lines of each run: its parts, their sums, and what needs attention."""
    for run in summary.runs:
        models = ", ".join(map(str, run.origin.models))
        yield f"recipe {run.origin.fingerprint}, {len(run.parts)} parts, {models}"
        rows = [HEADS, *map(_cells, run.parts), _total(run)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(HEADS))]
        for row in rows:
            yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        yield from (line for part in run.parts for line in _warnings(part))
    yield from (f"warning: {problem}" for problem in summary.problems)


def _cells(part: "PartSummary") -> tuple[str, ...]:
    return (
        str(part.part),
        part.state,
        "" if part.wanted is None else f"{part.accepted:,} of {part.wanted:,}",
        f"{part.replies:,}",
        "" if part.rate is None else f"{part.rate:,.0f}",
        short_number(part.tokens),
        _cost(part.cost) if part.workers else "",
        "" if part.age_s is None else f"{duration(part.age_s)} ago on {part.host}",
    )


def _total(run: "RunSummary") -> tuple[str, ...]:
    parts = run.parts
    rates = [part.rate for part in parts if part.state == "working" and part.rate is not None]
    known = [part.wanted for part in parts if part.wanted is not None]
    wanted = f"{sum(known):,}" + (" or more" if len(known) < len(parts) else "")
    texts = f"{sum(part.accepted for part in parts):,} of {wanted}" if known else ""
    return (
        "all",
        "complete" if run.is_complete else f"{sum(part.state == 'complete' for part in parts)} complete",
        texts,
        f"{sum(part.replies for part in parts):,}",
        f"{sum(rates):,.0f}" if rates else "",
        short_number(sum(part.tokens for part in parts)),
        _cost(run.cost),
        "",
    )


def _cost(cost: float | None) -> str:
    return "unknown" if cost is None else f"{cost:.4f}"


def _warnings(part: "PartSummary") -> Iterator[str]:
    """Yield what needs attention in a part."""
    if part.state == "silent" and part.age_s is not None:
        yield (
            f"warning: part {part.part} has shipped nothing for {duration(part.age_s)}, last on {part.host}; look "
            "whether its worker runs, or run the part again"
        )
    if part.is_slow:
        yield f"warning: part {part.part} is slow, less than half of the median rate; see its server on {part.host}"
    if len(part.workers) > 1 and part.state != "complete":
        yield (
            f"warning: part {part.part} has had {len(part.workers)} workers; replies that two at work request are paid "
            "for twice"
        )
