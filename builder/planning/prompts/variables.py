"""Variables of the prompt templates with their meaning, and the attributes of those that are records."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from types import NoneType
from typing import Any, get_args, get_type_hints

from personagen.builder.core.records import Demographic, Sociocultural
from personagen.builder.planning.prompts.files import PROSE_NAMES, TEXT_NAMES
from personagen.builder.planning.situations.bank import Scene


@dataclass(frozen=True, slots=True)
class PromptVariable:
    """A variable of prompt templates.

    Attributes:
        meaning: what it holds, and when it is null or empty.
        templates: templates that have it.
        record: class of its value if templates use its attributes; None: a text, a number or a list of texts.

    """

    meaning: str
    templates: tuple[str, ...]
    record: type | None = None


_STYLED = ("styled", "styled_continuation")
_UNSTYLED = ("expression", "continuation")

VARIABLES: Mapping[str, PromptVariable] = {
    "layer": PromptVariable(
        "the macros of `_layers`: `layer.demographic(demographic)`, `layer.sociocultural(sociocultural)` and "
        "`layer.situational(scene)` describe a layer in lines, `layer.introduction(demographic, sociocultural)` a "
        "persona in a sentence",
        (*PROSE_NAMES, *TEXT_NAMES, "list"),
    ),
    "demographic": PromptVariable(
        "first layer of the persona; null at depth `none`", (*PROSE_NAMES, *TEXT_NAMES), Demographic
    ),
    "sociocultural": PromptVariable(
        "second layer of the persona; null below depth `sociocultural`", (*PROSE_NAMES, *TEXT_NAMES), Sociocultural
    ),
    "attributes": PromptVariable(
        "further attributes of the persona, by name; empty at depth `none` and without any", (*PROSE_NAMES, *TEXT_NAMES)
    ),
    "scene": PromptVariable(
        "the situation: wording of place, time, companions (each null if an event of the recipe names none) and kind "
        "of text, and the layer `scene.situational`; null below depth `situational`",
        ("situational", *TEXT_NAMES),
        Scene,
    ),
    "emotion": PromptVariable("name of the emotion", (*TEXT_NAMES, "list")),
    "definition": PromptVariable("definition of the emotion", TEXT_NAMES),
    "intensity": PromptVariable("`low`, `medium` or `high`; null without `intensities`", TEXT_NAMES),
    "language": PromptVariable("`text.language`; null: any", TEXT_NAMES),
    "min_words": PromptVariable("least number of words", TEXT_NAMES),
    "max_words": PromptVariable("greatest number of words", TEXT_NAMES),
    "words": PromptVariable("number of words that the text should have; null: within the bounds", TEXT_NAMES),
    "examples": PromptVariable(
        "real texts of the emotion; empty without `text.examples` and `grounding.examples`", (*TEXT_NAMES, "list")
    ),
    "source": PromptVariable(
        "real text to paraphrase (`grounding.paraphrase`); null: write a new text", (*TEXT_NAMES, "list")
    ),
    "form": PromptVariable("wording of the kind of text", _STYLED),
    "expression": PromptVariable("`named`, `voiced` or `shown`", _STYLED),
    "sentences": PromptVariable("number of sentences that the text should have; null: not set", _STYLED),
    "surface": PromptVariable("lines that ask for marks, capitals, spelling and the like; may be empty", _STYLED),
    "label_words": PromptVariable("words that such texts use; empty without `text.label_words`", _STYLED),
}
"""Variables by name. The page docs/recipe.md has them as a table."""

MACROS = ("demographic", "sociocultural", "situational", "introduction")
"""Macros of `layer`, which every file of macros has."""

FURTHER_VARIABLES = ("base", "attributes")
"""Variables of `_further`: the macros of `_layers`, and the further attributes of a persona by name."""

FUNCTIONS = ("loop", "namespace", "range")
"""Names of the language that templates may use."""


def variables_of(template: str) -> tuple[str, ...]:
    """Return the names of the variables of a template."""
    return tuple(name for name, variable in VARIABLES.items() if template in variable.templates)


def record_type(record: type, path: tuple[str, ...]) -> tuple[type | None, str | None]:
    """Follow attributes from a record.

    Args:
        record: a dataclass.
        path: names of attributes, from the record on.

    Returns:
        The class of the last value (None: no record), and the first name that is no attribute (None: all are).

    """
    current: type | None = record
    for name in path:
        if current is None:
            return None, None
        hints = attributes_of(current)
        if name not in hints:
            return current, name
        current = hints[name]
    return current, None


def attributes_of(record: type) -> dict[str, type | None]:
    """Return the attributes of a dataclass, each with its own class if it is a dataclass too."""
    hints = get_type_hints(record)
    return {item.name: _record_in(hints[item.name]) for item in fields(record)}


def _record_in(hint: Any) -> type | None:
    candidates = [part for part in (hint, *get_args(hint)) if isinstance(part, type) and part is not NoneType]
    return next((part for part in candidates if is_dataclass(part)), None)
