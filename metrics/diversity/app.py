"""The Space of the measurement. Not by `launch_gradio_widget`: that of evaluate 0.4.6 needs a gradio before 4."""

from pathlib import Path
from typing import Any

import evaluate
import gradio as gr
from evaluate.utils.gradio import parse_readme

HERE = Path(__file__).parent


def main() -> None:
    """Serve a form: texts and real texts, one per line, and what is measured of them."""
    diversity = evaluate.load(str(HERE / "diversity.py"))

    def measure(lines: str, real: str, vocabulary: int | None) -> Any:
        texts, others = ([line for line in part.splitlines() if line.strip()] for part in (lines, real))
        try:
            return diversity.compute(data=texts, reference_data=others or None, vocabulary=vocabulary)
        except (TypeError, ValueError) as error:
            raise gr.Error(str(error)) from error

    gr.Interface(
        fn=measure,
        inputs=[
            gr.Textbox(label="Texts, one per line", lines=8),
            gr.Textbox(label="Real texts to set beside, one per line (may stay empty)", lines=4),
            gr.Number(label="Vocabulary, for ead_1 (may stay empty)", value=None, precision=0),
        ],
        outputs=gr.JSON(label="Diversity"),
        title="Diversity",
        description=diversity.description,
        article=parse_readme(HERE / "README.md"),
        flagging_mode="never",
    ).launch()


if __name__ == "__main__":
    main()
