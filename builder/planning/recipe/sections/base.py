"""Base of the sections of a recipe, and the types of values that they share."""

import unicodedata
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Depth = Literal["none", "demographic", "sociocultural", "situational"]
Intensity = Literal["low", "medium", "high"]
Share = Annotated[float, Field(ge=0, le=1)]
ProseSource = Literal["sampled", "llm"]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
"""Name of a dataset, taxonomy or emotion. Emotion names become folder names, hence the safe alphabet."""


def _is_odd(char: str) -> bool:
    category = unicodedata.category(char)
    is_noncharacter = category == "Cn" and (ord(char) & 0xFFFE == 0xFFFE or 0xFDD0 <= ord(char) <= 0xFDEF)
    return category in ("Cc", "Cs", "Zl", "Zp") or is_noncharacter or (category == "Cf" and char not in SHAPING)


def _require_line(value: str) -> str:
    """Return a text of one line; raise ValueError for control and direction characters, which data would keep."""
    if odd := next(filter(_is_odd, value), None):
        name = "a line break" if odd in "\r\n" else f"the invisible character U+{ord(odd):04X}"
        raise ValueError(f"has {name}; write one line of visible characters")
    return value


VisibleLine = Annotated[str, AfterValidator(_require_line)]


SHAPING = "\u200c\u200d\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2"
"""Format characters that words and emoji need: joiners, and signs of Arabic numbers."""


def _keep_summary(schema: dict[str, Any]) -> None:
    """Shorten the description in a JSON schema to the summary line of the docstring."""
    schema["description"] = schema["description"].partition("\n")[0]


class RecipeSection(BaseModel):
    """Base of every section: unknown keys, NaN and infinity are refused; values are not coerced and cannot change."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        json_schema_extra=_keep_summary,
    )
