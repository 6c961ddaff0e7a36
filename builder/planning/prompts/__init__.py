"""Prompt templates of a recipe: files, the sandbox that renders them, their variables, and the wording of each row.

    prompts: of a recipe -> files (read and bounded) -> sandbox (compiled) -> variables (validated) -> dealing

Imports nothing of recipes and plans.
"""

from personagen.builder.planning.prompts.dealing import wording_of
from personagen.builder.planning.prompts.files import (
    PromptFile,
    prompts_id,
    read_prompts,
    template_paths,
    wordings_in,
)
from personagen.builder.planning.prompts.validation import validate_templates

__all__ = [
    "PromptFile",
    "prompts_id",
    "read_prompts",
    "template_paths",
    "validate_templates",
    "wording_of",
    "wordings_in",
]
