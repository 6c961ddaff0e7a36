"""The command `fill`."""

import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from personagen.builder.cli.options import BUDGET, RECIPE, WRITING, options, read_key, read_options
from personagen.builder.cli.output import show, show_json


@click.command()
@options(*RECIPE, *WRITING)
@options("--part", "--journals=", "--per-worker")
@click.option(
    "--work", type=click.Path(path_type=Path), metavar="FOLDER", help="Folder of the worker's journal, on a local disk."
)
@options("--ship-every", "--api-key-file", "--rows", *BUDGET, "--accept-lost-replies", "--json")
def fill(recipe: Path | None, part: str, api_key_file: Path | None, as_json: bool, **values: Any) -> None:
    """Write the texts of one part of a recipe, and ship the replies of the model.

    The rows of every N-th persona are a part. Workers on any machines fill the parts, in any order; `generate
    --journals` joins what they shipped and writes the release. The same command continues an interrupted part. Without
    --per-worker, concurrency, rates and budget are those of the whole run, and each worker has 1/N of them. SIGUSR1
    ships the replies so far.
    """
    request = _requested_by_signal()
    journals, work, every_s = (values.pop(name) for name in ("journals", "work", "ship_every"))
    own = {name: values.pop(name) for name in ("per_worker", "accept_lost_replies")}
    parsed = read_options(recipe, values)
    from personagen.builder.cli.progress import TerminalProgress
    from personagen.builder.fill import FillSettings
    from personagen.builder.fill import fill as run
    from personagen.builder.planning.parts import parse_part
    from personagen.builder.segments.sealing import SHIP_EVERY_S, ShippingTimes

    chosen = parse_part(part)
    settings = FillSettings(
        journals=journals,
        work=work,
        times=ShippingTimes(every_s or SHIP_EVERY_S),
        on_sealer=lambda sealer: request(sealer.request),
        **own,
    )
    with TerminalProgress() as progress:
        result = run(parsed, chosen, settings, api_key=read_key(api_key_file), progress=progress)
    if as_json:
        facts = {"part": result.part.number, "of": result.part.of, "texts": result.texts, "replies": result.replies}
        show_json({**facts, "journals": result.journals})
        return
    show(f"part {result.part}: {result.texts} texts, {result.replies} replies", err=True)
    show(result.journals)


def _requested_by_signal() -> Callable[[Callable[[], None]], None]:
    """Handle SIGUSR1, which would end the process; return what sets the reaction to it."""
    reaction: list[Callable[[], None]] = []

    def react(_number: int, _frame: object) -> None:
        for call in reaction:
            call()

    with suppress(AttributeError, ValueError):  # Windows has no such signal, and other threads get none
        signal.signal(signal.SIGUSR1, react)
    return reaction.append
