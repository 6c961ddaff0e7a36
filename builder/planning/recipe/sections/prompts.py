"""The prompts of a recipe: a folder of templates, or files by template."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

PromptPaths = str | Mapping[str, str | Annotated[tuple[str, ...], Field(strict=False)]]
"""A folder, or one or several files by template; relative to the recipe."""
