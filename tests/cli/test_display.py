"""Lines of texts in a terminal, and the same in a notebook."""

from personagen.builder.api.preview_texts import Preview
from personagen.builder.cli.display import row_lines
from personagen.builder.core.records import Demographic, Provenance, Row


def row_with(attributes: dict[str, str | int | float | None] | None) -> Row:
    return Row(
        id="joy-000000", text="At last.", label="joy", depth="demographic", intensity=None,
        demographic=Demographic(age=30), sociocultural=None, situational=None, persona_id="p000000",
        situation_id=None, provenance=Provenance("m", "v", 1, 1, None), attributes=attributes,
    )  # fmt: skip


def test_further_attributes_are_shown_and_escaped() -> None:
    row = row_with({"mood_color": "<b>\x1b[31mred\u202e", "visits": 3, "hobby": None})
    line = next(line for line in row_lines(row) if line.startswith("  attributes"))
    assert line.split(maxsplit=1)[1].startswith("mood color <b>") and line.endswith("; visits 3")
    assert "\x1b" not in line and "\u202e" not in line
    assert "<th>attributes</th><td>mood color &lt;b&gt;" in Preview([row])._repr_html_()
    assert not any("attributes" in line for line in row_lines(row_with(None)))
