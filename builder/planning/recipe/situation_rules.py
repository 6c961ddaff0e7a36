"""Validate what the sections `channels` and `events` of a recipe say, and what contradicts them."""

from typing import TYPE_CHECKING

from personagen.builder.planning.situations.channels import bounds_of, deal_channels
from personagen.builder.planning.situations.sources import require_events
from personagen.builder.planning.styles import PROFILE_SUFFIX, channel_of
from personagen.builder.planning.taxonomy import Taxonomy

if TYPE_CHECKING:
    from personagen.builder.planning.recipe.model import Recipe


def validate_channels(recipe: "Recipe") -> None:
    """Raise ValueError if the channels of a recipe contradict each other, `text`, or the attributes of personas."""
    if recipe.channels is None:
        return
    _validate_shares(recipe)
    _validate_lengths(recipe)
    _validate_styles(recipe)
    deal_channels(recipe)


def validate_events(recipe: "Recipe", taxonomy: Taxonomy) -> None:
    """Raise ValueError if the sources of events are unfit for the recipe, or leave an emotion without events.

    Args:
        recipe: the recipe.
        taxonomy: its whole taxonomy.

    """
    if recipe.events is None:
        return
    if "situational" not in (recipe.depth, *recipe.ablations):
        raise ValueError(
            f"events: texts of depth {recipe.depth!r} have no event, wanted depth situational; leave events out "
            "or raise depth"
        )
    if recipe.events.invent is not None and recipe.is_embedded:
        raise ValueError(
            "events.invent: the embedded model is too small to invent events, wanted another one; choose it by "
            "backend.kind and backend.model, or give events.file"
        )
    require_events(recipe, [emotion for emotion in taxonomy.emotions if emotion.name in recipe.quota()])


def _validate_shares(recipe: "Recipe") -> None:
    channels = recipe.channels or {}
    missing = [name for name, channel in channels.items() if channel.share is None]
    if missing and len(missing) < len(channels):
        raise ValueError(
            f"channels: {', '.join(missing)} without a share beside others that have one, wanted a share for all or "
            f"none; add channels.{missing[0]}.share"
        )


def _validate_lengths(recipe: "Recipe") -> None:
    text = recipe.text
    for name, channel in (recipe.channels or {}).items():
        key = f"channels.{name}"
        low, high = channel.min_words, channel.max_words
        if low is not None and low < (text.min_words or 0):
            raise ValueError(f"{key}.min_words: got {low}, below text.min_words {text.min_words}; change one of them")
        if high is not None and text.max_words is not None and high > text.max_words:
            raise ValueError(f"{key}.max_words: got {high}, above text.max_words {text.max_words}; change one of them")
        least, greatest = bounds_of(recipe, channel)
        if least > greatest:
            other = "max_words" if channel.max_words is None else "min_words"
            bound = getattr(text, other)
            advice = f"change it or text.{other}" if bound is not None else f"set {key}.{other} too"
            if low is not None and high is not None:
                advice = "change one of them"
            raise ValueError(f"{key}: min_words {least} is above max_words {greatest}, defaults included; {advice}")


def _validate_styles(recipe: "Recipe") -> None:
    """Raise ValueError if a style is a kind of text itself, or two keys set the length of a text."""
    style = recipe.text.style
    for name in (style,) if isinstance(style, str) else style or ():
        if not name.endswith(PROFILE_SUFFIX):
            raise ValueError(
                f"channels: text.style {name} is a kind of text of its own ({channel_of(name)[1]}), wanted "
                f"channels or a packaged style; leave one of them out, or name a measured profile (*{PROFILE_SUFFIX})"
            )
    for name, channel in (recipe.channels or {}).items() if style is not None else ():
        if channel.min_words is not None or channel.max_words is not None:
            raise ValueError(
                f"channels.{name}: has a length beside the profile of text.style, whose texts have theirs; leave out "
                "one of them, or bound all texts by text.min_words and text.max_words"
            )
