"""The Space of the measurement: a form for texts, real texts and judges; the endpoint is that of the Space."""

from pathlib import Path

from personagen.metrics.space import FormField, serve, text_lines

INPUTS = (
    FormField("Texts, one per line", lambda text: {"data": text_lines(text) or []}),
    FormField("Real texts, one per line", lambda text: {"reference_data": text_lines(text) or []}),
    FormField(
        "Judges, such as openai:MODEL, separated by spaces",
        lambda text: {"judge": text.split()},
        lines=1,
        value="openai:MODEL",
    ),
)

EXAMPLES = (("So happy today\nThe bus was late", "What a day\nMissed my train again", "embedded"),)

if __name__ == "__main__":
    serve(Path(__file__).with_name("human_likeness.py"), INPUTS, EXAMPLES)
