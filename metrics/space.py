"""Shared by the four `evaluate` modules and their Spaces: arguments, texts of two sides, and the form of a Space.

`evaluate.combine` passes every argument to every module, and texts only as `predictions` and `references`. Each module
therefore accepts the arguments of all, uses its own, and refuses unknown ones, which `evaluate` would drop silently.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from personagen.metrics.texts.inputs import validate_integer, validate_texts

ARGUMENTS = frozenset(
    {
        "data", "reference_data", "predictions", "references", "labels", "reference_labels", "embeddings",
        "reference_embeddings", "seed", "sample_size", "personas", "vocabulary", "judge", "test_data", "test_labels",
        "test_embeddings", "model", "mask_words",
    }
)  # fmt: skip
"""Arguments of all modules; a name means the same in each."""

ALIASES: Mapping[str, str] = {"predictions": "data", "references": "reference_data"}
"""Names that `evaluate.combine` gives the texts and the real texts."""

SIDES: Mapping[str, Sequence[str]] = {
    "predictions": ("predictions", "prediction", "data"),
    "references": ("references", "reference", "reference_data"),
}
"""Column of the texts and of the real texts: names that `add` and `add_batch` accept."""

PADDING = "\0no text\0"
"""Value of a row of one side where the other has more texts; None is refused by `evaluate` in a first row."""

MEASUREMENT_NAMES = ("data", "reference_data")
"""Names of the sides in messages of measurements."""

REFUSALS = (ImportError, RuntimeError, TypeError, ValueError)
"""Errors of a metric that are shown to the user of a Space."""


def select_arguments(arguments: Mapping[str, Any], accepted: Iterable[str]) -> dict[str, Any]:
    """Return the arguments of one module, with texts as `data` and `reference_data`; None counts as not given.

    Args:
        arguments: arguments of `compute`.
        accepted: names of the arguments of the module.

    Raises:
        TypeError: no module has such an argument, or texts are given under two names.

    """
    given = {name: value for name, value in arguments.items() if value is not None}
    unknown = sorted(given.keys() - ARGUMENTS)
    if unknown:
        raise TypeError(f"compute got {', '.join(unknown)}, wanted no more than {', '.join(sorted(accepted))}")
    for alias, name in ALIASES.items():
        if alias in given:
            value = given.pop(alias)
            if given.get(name, value) is not value:
                raise TypeError(f"compute got {alias} and {name}, which mean the same; give one of them")
            given[name] = value
    return {name: given[name] for name in accepted if name in given}


def select_sides(arguments: Mapping[str, Any], accepted: Iterable[str]) -> dict[str, Any]:
    """Return the arguments of a module of two sides, with texts as `predictions` and `references`.

    Raises:
        TypeError: see `select_arguments`.

    """
    selected = select_arguments(arguments, accepted)
    texts = {alias: selected.pop(name, None) for alias, name in ALIASES.items()}
    return selected if all(side is None for side in texts.values()) else {**selected, **texts}


def added_sides(method: str, texts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of `add` or `add_batch` as `predictions` and `references`; None counts as not given.

    Args:
        method: name of the method.
        texts: its arguments; each side under any of the names of `SIDES`.

    Raises:
        TypeError: an argument is not a side, a side is given under two names, or none is given.

    """
    given = {name: value for name, value in texts.items() if value is not None}
    unknown = sorted(given.keys() - {name for names in SIDES.values() for name in names})
    if unknown:
        raise TypeError(f"{method} got {', '.join(unknown)}, wanted texts alone; give all else to compute")
    sides: dict[str, Any] = {}
    for side, names in SIDES.items():
        twice = [name for name in names if name in given]
        if len(twice) > 1:
            raise TypeError(f"{method} got {' and '.join(twice)}, which mean the same; give one of them")
        sides[side] = given[twice[0]] if twice else None
    if not given:
        raise TypeError(f"{method} got no texts, wanted predictions (or data), references (or reference_data)")
    return sides


def padded_sides(
    predictions: object, references: object, names: tuple[str, str] = ("predictions", "references")
) -> dict[str, list[str]]:
    """Return texts and real texts, the shorter side padded: `evaluate` requires columns of equal length.

    Args:
        predictions: texts. None: none are added.
        references: real texts. None: none are added.
        names: names of the sides in messages.

    Raises:
        TypeError: a side is not a list of strings.
        ValueError: a side is empty.

    """
    sides = {
        side: [] if texts is None else validate_texts(texts, name)
        for side, texts, name in zip(SIDES, (predictions, references), names, strict=True)
    }
    longest = max(map(len, sides.values()))
    return {side: texts + [PADDING] * (longest - len(texts)) for side, texts in sides.items()}


def unpadded(column: Iterable[str]) -> list[str]:
    """Return the texts of a column without the padding."""
    return [text for text in column if text != PADDING]


def required_texts(column: Iterable[str], name: str) -> list[str]:
    """Return the texts of a column without the padding; raise TypeError if there are none."""
    texts = unpadded(column)
    if not texts:
        raise TypeError(f"{name} is missing, wanted a list of strings")
    return texts


def seed_of(arguments: Mapping[str, Any]) -> int:
    """Return the argument `seed`, 0 by default.

    Raises:
        TypeError, ValueError: it is not a whole number of 0 or more.

    """
    return validate_integer(arguments.get("seed", 0), "seed", 0)


def sample_size_of(arguments: Mapping[str, Any], least: int) -> int | None:
    """Return the argument `sample_size`; None: not given.

    Raises:
        TypeError, ValueError: it is not a whole number of `least` or more.

    """
    size = arguments.get("sample_size")
    return None if size is None else validate_integer(size, "sample_size", least)


@dataclass(frozen=True, slots=True)
class FormField:
    """One input of a Space.

    Attributes:
        label: label of the input.
        read: converts the value of the input to arguments of `compute`.
        kind: "text" or "number".
        lines: height of a text input.
        value: initial value.

    """

    label: str
    read: Callable[[Any], Mapping[str, Any]]
    kind: Literal["text", "number"] = "text"
    lines: int = 8
    value: str | None = None


def text_lines(text: str) -> list[str] | None:
    """Return the lines of an input that are not blank; None: none."""
    return [line for line in text.splitlines() if line.strip()] or None


def labelled_lines(text: str) -> tuple[list[str], list[str]]:
    """Return texts and labels of lines of the form `label: text`; other lines are dropped."""
    pairs = [line.partition(":") for line in text.splitlines() if ":" in line]
    return [text.strip() for _, _, text in pairs], [label.strip() for label, _, _ in pairs]


def form_arguments(inputs: Sequence[FormField], values: Sequence[Any]) -> dict[str, Any]:
    """Return the arguments of `compute` for the values of a form."""
    pairs = zip(inputs, values, strict=True)
    return {name: value for field, given in pairs for name, value in field.read(given).items()}


def serve(module: Path, inputs: Sequence[FormField], examples: Sequence[Sequence[Any]] = ()) -> None:
    """Serve the form of a metric until the process ends.

    `evaluate.utils.launch_gradio_widget` of evaluate 0.4.6 does not run with the gradio of a Space.

    Args:
        module: file of the metric, beside its card.
        inputs: inputs of the form.
        examples: values of all inputs, one row per example.

    """
    import evaluate
    import gradio as gr
    from evaluate.utils.gradio import parse_readme

    metric = evaluate.load(str(module))

    def compute(*values: Any) -> Any:
        try:
            return metric.compute(**form_arguments(inputs, values))
        except REFUSALS as error:
            raise gr.Error(str(error)) from error

    def component(field: FormField) -> Any:
        if field.kind == "number":
            return gr.Number(label=field.label, value=field.value, precision=0)
        return gr.Textbox(label=field.label, value=field.value, lines=field.lines)

    title = module.stem.replace("_", "-").capitalize()
    gr.Interface(
        fn=compute,
        inputs=[component(field) for field in inputs],
        outputs=gr.JSON(label=title),
        examples=[list(example) for example in examples] or None,
        cache_examples=False,
        title=title,
        description=metric.description,
        article=parse_readme(module.with_name("README.md")),
        flagging_mode="never",
    ).launch()
