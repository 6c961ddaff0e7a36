"""The Space of the metric. Not by `launch_gradio_widget`: that of evaluate 0.4.6 needs a gradio before 4."""

from pathlib import Path
from typing import Any

import evaluate
import gradio as gr
from evaluate.utils.gradio import parse_readme

HERE = Path(__file__).parent


def main() -> None:
    """Serve a form: labelled texts and labelled real texts, one per line, and what is measured of them."""
    utility = evaluate.load(str(HERE / "utility.py"))

    def labelled(lines: str) -> tuple[list[str], list[str]]:
        pairs = [line.partition(":") for line in lines.splitlines() if ":" in line]
        return [text.strip() for _, _, text in pairs], [label.strip() for label, _, _ in pairs]

    def measure(lines: str, real: str) -> Any:
        (texts, labels), (others, real_labels) = labelled(lines), labelled(real)
        try:
            return utility.compute(predictions=texts, labels=labels, references=others, reference_labels=real_labels)
        except (TypeError, ValueError) as error:
            raise gr.Error(str(error)) from error

    gr.Interface(
        fn=measure,
        inputs=[
            gr.Textbox(label="Texts, one per line, as label: text", lines=8),
            gr.Textbox(label="Real texts, one per line, as label: text", lines=8),
        ],
        outputs=gr.JSON(label="Utility"),
        title="Utility",
        description=utility.description,
        article=parse_readme(HERE / "README.md"),
        flagging_mode="never",
    ).launch()


if __name__ == "__main__":
    main()
