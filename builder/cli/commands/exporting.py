"""The command `export`."""

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from personagen.builder.cli.options import options
from personagen.builder.cli.output import show, show_json

FORMS = ("csv", "jsonl", "messages", "preference", "setfit", "labelstudio", "promptfoo", "inspect", "table")
"""Forms, which a test compares with those of `export`: the help imports nothing of it."""

ROWS_ONLY = ("config", "split")
"""Parameters of all other forms."""

TABLE_ONLY = ("reference", "embeddings", "seed", "max_texts", "vectors")
"""Parameters of `--to table` alone."""


@click.command("export")
@options("RELEASE")
@click.option("--to", required=True, type=click.Choice(FORMS), help="Form of the files.")
@click.option("--config", metavar="NAME", default="all", show_default=True, help="Configuration to write.")
@click.option("--split", metavar="NAME", help="Split to write. Default: every split.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the files; of table, the file.")
@click.option("--force", is_flag=True, help="Replace the files of an earlier export.")
@options("--reference", "--embeddings", "--seed=0")
@click.option(
    "--max-texts",
    type=click.IntRange(1),
    metavar="N",
    help="Texts of the table that are synthetic, and that are real.",
)
@click.option("--vectors", is_flag=True, help="Add the embeddings to the table.")
@options("--json")
def export_command(release: Path, to: str, as_json: bool, **values: Any) -> None:
    """Write the texts of a release in the form of another tool.

    RELEASE defaults to the folder personagen. The files, such as train.csv, are in the folder RELEASE-FORM beside the
    release. csv has flat columns, jsonl whole rows. messages are chats with the persona as the system turn; preference
    has accepted and rejected texts of the same row, from the run folder. setfit has texts and labels, labelstudio tasks
    and the labelling interface, promptfoo and inspect test cases. table is one file, RELEASE.texts.parquet:
    synthetic and real texts with personas, predictions and map coordinates; --reference, --embeddings, --seed,
    --max-texts and --vectors are for it.
    """
    _require_options_of(to)
    table = {name: values.pop(name) for name in TABLE_ONLY}
    rows = {name: values.pop(name) for name in ROWS_ONLY}
    if to == "table":
        from personagen.builder.cli.progress import TerminalProgress
        from personagen.builder.export.table import TableSettings, export_table

        settings = TableSettings(**{name: value for name, value in table.items() if value is not None})
        with TerminalProgress() as progress:
            result = export_table(release, settings, progress=progress, **values)
    else:
        from personagen.builder.export.export import export

        result = export(release, to, **rows, **values)
    if as_json:
        show_json(
            {
                "to": to,
                "path": str(result.path),
                "files": [str(path) for path in result.files],
                "rows": dict(result.rows),
                "note": result.note,
            }
        )
        return
    counts = ", ".join(f"{count} {name}" for name, count in result.rows.items())
    show(f"{counts}{f'; {result.note}' if result.note else ''}", err=True)
    show(result.path)


def _require_options_of(to: str) -> None:
    """Raise UsageError for an option that the form does not use."""
    context = click.get_current_context()
    foreign, wanted = (ROWS_ONLY, "another form than table") if to == "table" else (TABLE_ONLY, "--to table")
    for name in foreign:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--{name.replace('_', '-')} is for {wanted}")
