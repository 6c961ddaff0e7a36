"""The Space of the measurement: a form for texts, served by gradio."""

from pathlib import Path

from personagen.metrics.space import FormField, serve, text_lines

INPUTS = (
    FormField("Texts, one per line", lambda text: {"data": text_lines(text) or []}),
    FormField(
        "Real texts for comparison, one per line (optional)",
        lambda text: {"reference_data": text_lines(text)},
        lines=4,
    ),
    FormField("Vocabulary, for ead_1 (optional)", lambda number: {"vocabulary": number}, kind="number"),
)

EXAMPLES = (("So happy today\nso  happy today\nThe bus was late", "", None),)

if __name__ == "__main__":
    serve(Path(__file__).with_name("diversity.py"), INPUTS, EXAMPLES)
