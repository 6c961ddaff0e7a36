"""Rows as CSV, as JSON lines, and as texts with labels."""

import csv
import io
from collections.abc import Iterator

from personagen.builder.export.rows import ExportedSplit, flattened, json_text


def csv_lines(part: ExportedSplit) -> Iterator[str]:
    """Yield a line of column names, then a record per row; structs are columns with dotted names.

    All strings are quoted and unchanged, so that texts with commas and line breaks come back as they are. A text that
    starts with "=" is a formula for a spreadsheet: import the columns there as text.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    names: list[str] | None = None
    for table in part.tables():
        flat = flattened(table)
        if names is None:
            names = flat.column_names
            writer.writerow(names)
        writer.writerows(zip(*(flat[name].to_pylist() for name in names), strict=True))
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def json_lines(part: ExportedSplit) -> Iterator[str]:
    """Yield one JSON line per row, with its layers as objects."""
    for row in part.rows():
        yield json_text(row) + "\n"


def setfit_lines(part: ExportedSplit) -> Iterator[str]:
    """Yield one JSON line per row: `text`, `label` as a number, and `label_text`, its name."""
    for row in part.rows():
        yield json_text({"text": row["text"], "label": row["label"], "label_text": row["emotion"]}) + "\n"
