"""Texts as test cases for tools that evaluate models: promptfoo and inspect_ai."""

from collections.abc import Iterator

from personagen.builder.export.rows import ExportedSplit, json_text, persona_columns

QUESTION = "Which emotion does the writer of this text express? Reply with one word: {names}."
"""Question that the test cases answer."""


def inspect_samples(part: ExportedSplit) -> Iterator[str]:
    """Yield one JSON line per row for `inspect_ai.dataset.json_dataset`: `input`, `target`, `id`, `metadata`."""
    for row in part.flat_rows():
        metadata = {"split": part.split, **persona_columns(row)}
        yield json_text({"input": row["text"], "target": row["emotion"], "id": row["id"], "metadata": metadata}) + "\n"


def promptfoo_tests(part: ExportedSplit) -> Iterator[str]:
    """Yield a JSON list of test cases: the text in the variable `row`, its emotion as the expected output.

    A text that is a variable itself would be rendered as a template, or read from a file if it starts with "file://".
    """
    separator = "[\n"
    for row in part.flat_rows():
        test = {
            "description": row["id"],
            "vars": {"row": {"text": row["text"]}},
            "assert": [{"type": "equals", "value": row["emotion"]}],
            "metadata": persona_columns(row),
        }
        yield separator + json_text(test)
        separator = ",\n"
    yield "\n]\n"


def promptfoo_config(part: ExportedSplit) -> str:
    """Return the configuration that runs the tests of a split; its provider is to be replaced."""
    import yaml

    config = {
        "description": f"Emotions of {part.manifest['name']}, {part.split}",
        "prompts": [QUESTION.format(names=", ".join(part.emotions)) + "\n\n{{row.text}}"],
        "providers": ["echo"],
        "defaultTest": {"options": {"transform": "output.trim().toLowerCase().replace(/[.]$/, '')"}},
        "tests": f"file://{part.split}.json",
    }
    head = "# Replace the provider `echo`, which returns its prompt, by the model to test.\n"
    return head + yaml.safe_dump(config, allow_unicode=True, sort_keys=False, width=1000)
