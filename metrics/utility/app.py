"""The Space of the metric: a form for labelled texts and labelled real texts, served by gradio."""

from pathlib import Path

from personagen.metrics.space import FormField, labelled_lines, serve

INPUTS = (
    FormField(
        "Texts, one per line, as label: text",
        lambda text: dict(zip(("predictions", "labels"), labelled_lines(text), strict=True)),
    ),
    FormField(
        "Real texts, one per line, as label: text",
        lambda text: dict(zip(("references", "reference_labels"), labelled_lines(text), strict=True)),
    ),
)

if __name__ == "__main__":
    serve(Path(__file__).with_name("utility.py"), INPUTS)
