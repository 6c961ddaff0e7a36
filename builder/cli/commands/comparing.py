"""The command `diff`."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from personagen.builder.cli.options import options
from personagen.builder.cli.output import show, show_json

if TYPE_CHECKING:  # imported on use: `--help` does not need it
    from personagen.builder.diff import ReleaseComparison


@click.command("diff")
@click.argument("one", metavar="RELEASE", type=click.Path(path_type=Path))
@click.argument("other", metavar="OTHER", type=click.Path(path_type=Path))
@options("--json")
def diff_command(one: Path, other: Path, as_json: bool) -> None:
    """Show how OTHER differs from RELEASE: recipe, model, texts, scores.

    Texts are matched by id, so that a seed, a prompt or a model can be changed and its effect counted.
    """
    from personagen.builder.diff import diff

    comparison = diff(one, other)
    if as_json:
        tables = ("recipe", "facts", "texts", "measures")
        show_json({name: getattr(comparison, name).to_dicts() for name in tables} | {"equal": comparison.is_equal})
    else:
        show("\n".join(_lines(comparison)))


def _lines(comparison: "ReleaseComparison") -> Iterator[str]:
    """Yield the lines of the command."""
    from personagen.builder.planning.recipe.differences import short_value

    if comparison.is_equal:
        yield "equal: recipe, model, prompts and all texts"
    tables = (("recipe", comparison.recipe), ("made with", comparison.facts), ("scores", comparison.measures))
    for heading, differences in tables:
        if differences:
            yield heading
        for difference in differences:
            name = getattr(difference, "key", None) or getattr(difference, "measure", "")
            yield f"  {name}: {short_value(difference.one)} -> {short_value(difference.other)}"
    if comparison.texts and not comparison.is_equal:
        yield f"{'texts':28}{'equal':>10}{'changed':>10}{'removed':>10}{'added':>10}"
    for count in comparison.texts if not comparison.is_equal else ():
        yield f"  {count.config:26}{count.equal:>10,}{count.changed:>10,}{count.removed:>10,}{count.added:>10,}"
