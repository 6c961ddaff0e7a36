"""The Space of the metric: a form for texts and real texts, served by gradio."""

from pathlib import Path

from personagen.metrics.space import FormField, serve, text_lines

INPUTS = (
    FormField("Texts, one per line", lambda text: {"predictions": text_lines(text) or []}),
    FormField("Real texts, one per line, ideally twice as many", lambda text: {"references": text_lines(text) or []}),
)

EXAMPLES = (("So happy today\nThe bus was late", "What a day\nMissed my train again\nSoup for lunch\nGood news!"),)

if __name__ == "__main__":
    serve(Path(__file__).with_name("realism.py"), INPUTS, EXAMPLES)
