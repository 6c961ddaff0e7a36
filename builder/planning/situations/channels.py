"""Channels of a recipe: what kinds of text there are, and which row is of which kind.

The channels of an emotion are dealt in exact quotas. A row whose persona a channel does not fit gets one that does,
drawn by the shares, so that quotas are exact where no channel has a condition.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from personagen.builder.core.errors import RecipeError
from personagen.builder.planning.personas.conditions import Vocabulary, parse_conditions, vocabulary_of
from personagen.builder.planning.personas.constraints import tables_for
from personagen.builder.planning.personas.tables import Condition, persona_tables
from personagen.builder.planning.styles.dealing import deal_kinds
from personagen.builder.planning.styles.mixture import MAX_WORDS, MIN_WORDS

if TYPE_CHECKING:
    from personagen.builder.planning.recipe import Recipe
    from personagen.builder.planning.recipe.sections import ChannelSettings


@dataclass(frozen=True, slots=True)
class OwnChannel:
    """A channel of a recipe.

    Attributes:
        name: id of the channel in a release.
        form: wording in prompts, the addressee included.
        fraction: fraction of the rows, in (0, 1].
        min_words: least words of a text.
        max_words: greatest words of a text.
        fit: condition on the personas that write such texts.

    """

    name: str
    form: str
    fraction: float
    min_words: int
    max_words: int
    fit: Condition


@dataclass(frozen=True, slots=True)
class ChannelDeal:
    """The channels of a recipe, dealt to its rows; pure and seeded.

    Attributes:
        channels: the channels, by name.
        seed: seed of the recipe.

    """

    channels: tuple[OwnChannel, ...]
    seed: int

    @property
    def has_conditions(self) -> bool:
        """Whether the channel of a row depends on its persona."""
        return any(channel.fit != Condition() for channel in self.channels)

    def of_row(
        self, emotion: str, turn: int, *, rows: int, strata: int, values: Mapping[str, Any] | None
    ) -> OwnChannel:
        """Return the channel of a row.

        Args:
            emotion: label of the row.
            turn: number of the row within its emotion.
            rows: rows of the emotion.
            strata: intensities, which alternate by turn; 1 without any.
            values: attributes of the persona. None: the plan has no personas, and every channel fits.

        Raises:
            RecipeError: no channel fits the persona.

        """
        fractions = tuple(channel.fraction for channel in self.channels)
        dealt = self.channels[deal_kinds(fractions, f"channel:{self.seed}:{emotion}", rows, strata)[turn]]
        if values is None or dealt.fit.holds(values):
            return dealt
        fitting = [channel for channel in self.channels if channel.fit.holds(values)]
        fitting = fitting or [channel for channel in self.channels if channel.fit.may_hold(values)]
        if not fitting:
            raise RecipeError(
                f"channels: none fits a persona (age {values.get('age')}, {values.get('occupation')}), wanted one for "
                "every persona; add a channel without fit"
            )
        edges = list(accumulate(channel.fraction for channel in fitting))
        uniform = random.Random(f"channel:{self.seed}:{emotion}:{turn}").random() * edges[-1]
        return next(channel for channel, edge in zip(fitting, edges, strict=True) if uniform < edge)


def deal_channels(recipe: "Recipe") -> ChannelDeal | None:
    """Return the channels of a recipe; None: those of the package.

    Raises:
        ValueError: a condition names an unknown attribute or value.

    """
    if recipe.channels is None:
        return None
    settings = dict(sorted(recipe.channels.items()))  # sorted: the order of keys is not part of the fingerprint
    vocabulary = fit_vocabulary(recipe)
    total = sum(channel.share or 1.0 for channel in settings.values())
    return ChannelDeal(
        tuple(
            OwnChannel(
                name,
                form_of_channel(channel.text, channel.to),
                (channel.share or 1.0) / total,
                *bounds_of(recipe, channel),
                parse_conditions(f"channels.{name}.fit", channel.fit, vocabulary),
            )
            for name, channel in settings.items()
        ),
        recipe.seed,
    )


def form_of_channel(text: str, addressee: str | None) -> str:
    """Return the wording of a channel in prompts; `addressee` None: it names none."""
    return text if addressee is None else f"{text}, addressed to {addressee}"


def fit_vocabulary(recipe: "Recipe") -> Vocabulary:
    """Return the possible values of the attributes that a condition on the personas of a recipe can name.

    Those of a source can have further values and columns, which are not known before it is read.
    """
    drawn = recipe.personas if recipe.personas is None or recipe.personas.source is None else None
    return vocabulary_of(tables_for(persona_tables(), drawn))


def bounds_of(recipe: "Recipe", channel: "ChannelSettings") -> tuple[int, int]:
    """Return the least and the greatest words of the texts of a channel."""
    text = recipe.text
    least = next(bound for bound in (channel.min_words, text.min_words, MIN_WORDS) if bound is not None)
    greatest = next(bound for bound in (channel.max_words, text.max_words, MAX_WORDS) if bound is not None)
    return least, greatest


def channel_bounds(recipe: "Recipe") -> tuple[int, int]:
    """Return the least and the greatest words over all channels of a recipe that has some."""
    bounds = [bounds_of(recipe, channel) for channel in (recipe.channels or {}).values()]
    return min(least for least, _ in bounds), max(greatest for _, greatest in bounds)
