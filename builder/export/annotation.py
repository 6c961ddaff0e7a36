"""Texts as tasks of Label Studio, and the labelling interface for them."""

from collections.abc import Iterator
from xml.sax.saxutils import quoteattr

from personagen.builder.export.rows import ExportedSplit, json_text, persona_columns


def labelstudio_tasks(part: ExportedSplit) -> Iterator[str]:
    """Yield a JSON list of tasks. Annotators see the text alone: its emotion would influence them."""
    separator = "[\n"
    for row in part.flat_rows():
        data = {"text": row["text"], "id": row["id"], "emotion": row["emotion"], "split": part.split}
        yield separator + json_text({"data": data | persona_columns(row)})
        separator = ",\n"
    yield "\n]\n"


def labelstudio_interface(part: ExportedSplit) -> str:
    """Return the labelling interface: one emotion per text, in class id order."""
    choices = "\n".join(
        f"    <Choice value={quoteattr(name)} hint={quoteattr(definition)}/>"
        for name, definition in part.emotions.items()
    )
    return (
        '<View>\n  <Header value="Which emotion does the writer express?"/>\n  <Text name="text" value="$text"/>\n'
        f'  <Choices name="emotion" toName="text" choice="single" required="true">\n{choices}\n  </Choices>\n</View>\n'
    )
