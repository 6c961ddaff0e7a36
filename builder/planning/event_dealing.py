"""Which event each row of a plan meets: the events of an emotion are dealt to its personas in rounds."""

from personagen.builder.planning.attribute_tables import persona_tables
from personagen.builder.planning.personas import persona
from personagen.builder.planning.plan import Plan, RowPlan
from personagen.builder.planning.situations import Event, deal_events, events_of
from personagen.builder.planning.taxonomy import Emotion

ROUNDS_KEPT = 256
"""Rounds of dealt events that are kept: more than the rows that may be under way belong to. Others are dealt again."""

Dealt = dict[tuple[str, int], tuple[Event, ...]]
"""Events that were dealt so far, by emotion and round."""


def event_of(plan: Plan, emotion: Emotion, row: RowPlan, dealt: Dealt) -> Event:
    """Find the event of a row; the rounds that are dealt for it are added to `dealt`.

    Raises:
        RecipeError: no event of the emotion fits one of the personas of the round.

    """
    size = len(events_of(emotion))
    round_, position = divmod(row.turn, size)
    if (row.emotion, round_) not in dealt:
        turns = range(round_ * size, min((round_ + 1) * size, sum(plan.quotas[row.emotion].values())))
        numbers = [plan.turn(row.emotion, turn).persona for turn in turns]
        people = [persona(persona_tables(), plan.design, number).values for number in numbers]
        dealt[row.emotion, round_] = deal_events(emotion, people, plan.recipe.seed, round_)
        if len(dealt) > ROUNDS_KEPT:
            del dealt[next(iter(dealt))]
    return dealt[row.emotion, round_][position]
