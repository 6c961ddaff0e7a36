"""Texts that the formats of other tools could change, and releases that have them."""

import json
from itertools import cycle
from pathlib import Path
from typing import Any

import pyarrow as pa

from tests.helpers.releasing import rewrite

HOSTILE = (
    '=HYPERLINK("http://127.0.0.1","x")',
    "+1 -2 @SUM(A1)",
    "two\nlines and\r\nmore\rof them",
    'a "quoted", text; with\ttabs',
    " spaces around ",
    "NA",
    "null",
    "007",
    "{{ env.HOME }} {% raw %} ${x} {{text}} {# c #}",
    "file://etc/passwd",
    "<Choice value='joy'/> & <b>",
    "line\u2028paragraph\u2029next\x85line",
    "😀 \u0301 e\u0301 \ufeff مرحبا",
    "# not a comment",
    "- yaml: [1, 2",
)
"""Texts that formulas, line ends, missing values, templates, markup or encodings could take for something else."""


def with_hostile_texts(release: Path, out: Path) -> Path:
    """Copy a release with hostile texts in its default configuration."""
    hostile = cycle(HOSTILE)

    def change(table: pa.Table) -> pa.Table:
        texts = [next(hostile) for _ in range(len(table))]
        return table.set_column(table.schema.get_field_index("text"), "text", pa.array(texts))

    return rewrite(release, out, "all/", change)


def json_lines(path: Path) -> list[dict[str, Any]]:
    """Read a file of JSON lines, whose lines end with a line feed alone."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
