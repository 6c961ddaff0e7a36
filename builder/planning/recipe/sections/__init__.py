"""The sections of a recipe: pydantic models with a default for every key."""

from personagen.builder.planning.recipe.sections.backends import (
    BackendChoice,
    BackendSection,
    Budgets,
    ModelPrice,
)
from personagen.builder.planning.recipe.sections.base import (
    Depth,
    Intensity,
    Name,
    ProseSource,
    RecipeSection,
    Share,
    VisibleLine,
)
from personagen.builder.planning.recipe.sections.grounding import GroundingSettings, RealExamples, TextSource
from personagen.builder.planning.recipe.sections.personas import AttributeRow, OwnAttribute, PersonaSettings
from personagen.builder.planning.recipe.sections.prompts import PromptPaths
from personagen.builder.planning.recipe.sections.rows import (
    CounterfactualPairs,
    CustomEmotion,
    CustomTaxonomy,
    Splits,
)
from personagen.builder.planning.recipe.sections.situations import (
    Channel,
    ChannelName,
    ChannelSettings,
    EventBank,
    EventInvention,
    EventSources,
)
from personagen.builder.planning.recipe.sections.texts import Checks, Elaboration, SamplingSettings, TextRequirements

__all__ = [
    "AttributeRow",
    "BackendChoice",
    "BackendSection",
    "Budgets",
    "Channel",
    "ChannelName",
    "ChannelSettings",
    "Checks",
    "CounterfactualPairs",
    "CustomEmotion",
    "CustomTaxonomy",
    "Depth",
    "Elaboration",
    "EventBank",
    "EventInvention",
    "EventSources",
    "GroundingSettings",
    "Intensity",
    "ModelPrice",
    "Name",
    "OwnAttribute",
    "PersonaSettings",
    "PromptPaths",
    "ProseSource",
    "RealExamples",
    "RecipeSection",
    "SamplingSettings",
    "Share",
    "Splits",
    "TextRequirements",
    "TextSource",
    "VisibleLine",
]
