"""Base of the sections of a recipe, and the types of values that they share."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from personagen.builder.planning.visible_text import require_line

Depth = Literal["none", "demographic", "sociocultural", "situational"]
Intensity = Literal["low", "medium", "high"]
Share = Annotated[float, Field(ge=0, le=1)]
ProseSource = Literal["sampled", "llm"]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
"""Name of a dataset, taxonomy or emotion. Emotion names become folder names, hence the safe alphabet."""


VisibleLine = Annotated[str, AfterValidator(require_line)]


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
