"""The command `prompts`, and the requests that `preview --prompts` shows."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from personagen.builder.cli.options import RECIPE, WRITING, options, read_options
from personagen.builder.cli.output import show, show_json

if TYPE_CHECKING:  # imported on use: `--help` does not need it
    from personagen.builder.planning.recipe import Recipe
    from personagen.builder.prompts import PlannedRequest


@click.group("prompts")
def prompts_command() -> None:
    """Write the prompt templates of a recipe, to edit them."""


@prompts_command.command("export")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@options(*RECIPE, *WRITING, "--json")
def export(folder: Path, recipe: Path | None, as_json: bool, **values: Any) -> None:
    """Write the templates that a recipe's requests are rendered from to the new folder DIR.

    Named as `prompts: DIR` in the recipe, the folder gives the same prompts. Edit its files; leave out those that are
    to stay as they are. Its README.md lists the variables.
    """
    parsed = read_options(recipe, values)
    from personagen.builder.prompts import export_prompts

    files = export_prompts(parsed, folder)
    if as_json:
        show_json({"folder": str(folder), "files": [str(path) for path in files]})
        return
    show(f"{len(files)} files; name the folder in the recipe: prompts: {folder}", err=True)
    show(folder)


def show_requests(recipe: "Recipe", number: int, *, as_json: bool) -> None:
    """Print the requests of the first rows of a recipe."""
    from personagen.builder.prompts import planned_requests

    for planned in planned_requests(recipe, number):
        show_json(planned.to_json()) if as_json else show("\n".join(request_lines(planned)) + "\n")


def request_lines(planned: "PlannedRequest") -> Iterator[str]:
    """Yield the lines that show a request."""
    request = planned.request
    model = "" if planned.model is None else f", model {planned.model}"
    wording = "" if planned.wording is None else f", wording {planned.wording}"
    yield f"{planned.id}, stage {planned.stage}{wording}{model}"
    for stage in planned.stand_ins:
        yield f"  [depends on the reply of the stage {stage}, for which a stand-in is shown]"
    for message in request.messages:
        yield f"  {message.role}:"
        yield from (f"    {line}" for line in message.content.split("\n"))
    if request.prefill:
        yield "  beginning that the model continues:"
        yield from (f"    {line}" for line in request.prefill.split("\n"))
    yield f"  sampling: {'; '.join(planned.sampling_facts())}"
