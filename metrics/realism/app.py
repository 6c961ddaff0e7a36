"""The Space of the metric. Not by `launch_gradio_widget`: that of evaluate 0.4.6 needs a gradio before 4."""

from pathlib import Path
from typing import Any

import evaluate
import gradio as gr
from evaluate.utils.gradio import parse_readme

HERE = Path(__file__).parent


def main() -> None:
    """Serve a form: texts and real texts, one per line, and what is measured of them."""
    realism = evaluate.load(str(HERE / "realism.py"))

    def measure(lines: str, real: str) -> Any:
        texts, others = ([line for line in part.splitlines() if line.strip()] for part in (lines, real))
        try:
            return realism.compute(predictions=texts, references=others)
        except (TypeError, ValueError) as error:
            raise gr.Error(str(error)) from error

    gr.Interface(
        fn=measure,
        inputs=[
            gr.Textbox(label="Texts, one per line", lines=8),
            gr.Textbox(label="Real texts, one per line, best twice as many", lines=8),
        ],
        outputs=gr.JSON(label="Realism"),
        title="Realism",
        description=realism.description,
        article=parse_readme(HERE / "README.md"),
        flagging_mode="never",
    ).launch()


if __name__ == "__main__":
    main()
