"""The Space of the measurement. Not by `launch_gradio_widget`: that of evaluate 0.4.6 needs a gradio before 4."""

from pathlib import Path
from typing import Any

import evaluate
import gradio as gr
from evaluate.utils.gradio import parse_readme

HERE = Path(__file__).parent


def main() -> None:
    """Serve a form: texts and real texts, one per line, and how a judge rates them; the endpoint is that of the Space."""
    human_likeness = evaluate.load(str(HERE / "human_likeness.py"))

    def measure(lines: str, real: str, judge: str) -> Any:
        texts, others = ([line for line in part.splitlines() if line.strip()] for part in (lines, real))
        try:
            return human_likeness.compute(data=texts, reference_data=others, judge=judge.split())
        except (ImportError, RuntimeError, TypeError, ValueError) as error:
            raise gr.Error(str(error)) from error

    gr.Interface(
        fn=measure,
        inputs=[
            gr.Textbox(label="Texts, one per line", lines=8),
            gr.Textbox(label="Real texts, one per line", lines=8),
            gr.Textbox(label="Judges, such as openai:MODEL, with spaces between", value="openai:MODEL"),
        ],
        outputs=gr.JSON(label="Human-likeness"),
        title="Human-likeness",
        description=human_likeness.description,
        article=parse_readme(HERE / "README.md"),
        flagging_mode="never",
    ).launch()


if __name__ == "__main__":
    main()
