"""What each request for invented events asks for: whom they happen to, where, and what they are about.

Half of the events or more fit everybody. The others fit a group of personas, by work and age, and are at most half as
many as its rows in a round of dealing, so that each of them can be used before one is repeated.
"""

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from personagen.builder.llm.requests import Request, Sampling
from personagen.builder.planning.personas.tables import Condition
from personagen.builder.planning.plan import Plan
from personagen.builder.planning.situations.bank import bank_events, setting_options
from personagen.builder.planning.taxonomy import Emotion
from personagen.builder.writing.prompts import EVENTS_NAME, PACKAGE

EVENTS_PER_REQUEST = 10
"""Events per request: a reply that is cut or no JSON costs few of them."""

EXAMPLES = 3
"""Events of the bank or of the recipe per prompt, for the form."""

MAX_COUNTED_ROUNDS = 8
"""Rounds of dealing whose personas are counted: each takes 0.1 ms per persona."""

EVENT_TOKENS = 700
"""Upper bound on the tokens of a reply: 70 per event, of which a clause takes 25."""

TEMPERATURE = 1.0
"""Softmax temperature: events are to differ."""

EVENTS_SCHEMA = {
    "type": "object",
    "properties": {
        "events": {
            "type": "array",
            "items": {"type": "string", "minLength": 10, "maxLength": 200},
            "minItems": 1,
            "maxItems": EVENTS_PER_REQUEST,
        }
    },
    "required": ["events"],
    "additionalProperties": False,
}
"""JSON schema of a reply."""

AGES = ((0, 24), (25, 44), (45, 64), (65, 200))
"""Bounds of the ages of a group, in years, both included."""

PEOPLE: Mapping[str, str] = {
    "employed": "a person with a job",
    "student": "a student",
    "retired": "a retired person",
    "homemaker": "a person who keeps house",
    "jobseeker": "a person who looks for work",
}
"""Wording of a group by the attribute `work`."""

TOPICS = (
    "family", "friends", "neighbours", "strangers", "children", "old people", "animals", "food and cooking", "clothes",
    "housing", "repairs", "money", "bills and offices", "shopping", "gifts", "health", "sleep", "sport", "games",
    "music", "books and films", "photos", "language", "school and learning", "tasks and deadlines", "tools",
    "phones and computers", "messages and calls", "letters and parcels", "travel", "traffic", "weather", "plants",
    "water", "noise and smells", "waiting", "promises", "mistakes", "rules", "celebrations", "loss", "meetings",
    "changes of plan", "things found or lost", "news",
)  # fmt: skip
"""What the events of a request are about: with place, group and examples it makes requests differ."""


@dataclass(frozen=True, slots=True)
class Group:
    """Personas that an event can happen to.

    Attributes:
        work: value of the attribute `work`.
        ages: bounds of the age in years, both included.

    """

    work: str
    ages: tuple[int, int]

    @property
    def condition(self) -> Condition:
        """Condition on the attributes of a persona."""
        return Condition((("work", frozenset({self.work})),), self.ages)

    @property
    def phrase(self) -> str:
        """Wording in a prompt."""
        low, high = self.ages
        ages = (
            f"of up to {high} years"
            if low == 0
            else f"of {low} years or more"
            if high >= 200
            else f"of {low} to {high} years"
        )
        return f"{PEOPLE[self.work]} {ages}"


@dataclass(frozen=True, slots=True)
class Batch:
    """One request for events; it and its number determine the request.

    Attributes:
        emotion: emotion that the events evoke.
        group: personas that they can happen to; None: everybody.
        number: number of the batch within its emotion and group.

    """

    emotion: Emotion
    group: Group | None
    number: int

    @property
    def id(self) -> str:
        """Id of the batch, for seeds and rejects."""
        group = "all" if self.group is None else f"{self.group.work}-{self.group.ages[0]}"
        return f"{self.emotion.name}-events-{group}-{self.number:05d}"

    def place(self, seed: int) -> str | None:
        """Return the place of the events, by its id; None: any."""
        rng = random.Random(f"place:{seed}:{self.id}")
        return None if rng.random() < 0.5 else rng.choice(_places(self.group))


def first_batches(plan: Plan, emotion: Emotion, wanted: int) -> list[Batch]:
    """Return the batches of the first round: those for everybody, then those of the groups.

    Args:
        plan: plan of the rows.
        emotion: emotion of the events.
        wanted: number of events, at most that of the rows of the emotion.

    """
    counts = _least_counts(plan, emotion, wanted)
    grouped = [
        Batch(emotion, group, number)
        for group in sorted(counts, key=lambda group: (group.work, group.ages))
        for number in range(counts[group] // (2 * EVENTS_PER_REQUEST))
    ]
    common = -(-wanted // EVENTS_PER_REQUEST) - len(grouped)
    return [*(Batch(emotion, None, number) for number in range(common)), *grouped]


def _least_counts(plan: Plan, emotion: Emotion, wanted: int) -> Counter[Group]:
    """Count the rows of each group in the round of dealing that has fewest of them, among the first full rounds."""
    rounds = min(MAX_COUNTED_ROUNDS, sum(plan.quotas[emotion.name].values()) // wanted)
    counts: Counter[Group] | None = None
    for round_ in range(rounds):
        rows = (plan.turn(emotion.name, turn) for turn in range(round_ * wanted, (round_ + 1) * wanted))
        groups = (group_of(plan.people.persona(row.persona).values) for row in rows)
        of_round = Counter(group for group in groups if group is not None)
        counts = of_round if counts is None else counts & of_round
    return counts or Counter()


def group_of(values: Mapping[str, Any]) -> Group | None:
    """Return the group of a persona; None: its work or its age is unknown."""
    work, age = values.get("work"), values.get("age")
    if not isinstance(work, str) or work not in PEOPLE or not isinstance(age, int):
        return None
    return Group(work, next(bounds for bounds in AGES if bounds[0] <= age <= bounds[1]))


def batch_request(plan: Plan, batch: Batch) -> Request:
    """Build the request of a batch; the attempt sets its seed."""
    recipe = plan.recipe
    rng = random.Random(f"invent:{recipe.seed}:{batch.id}")
    place = batch.place(recipe.seed)
    messages = PACKAGE.render(
        EVENTS_NAME,
        count=EVENTS_PER_REQUEST,
        emotion=batch.emotion.name,
        definition=batch.emotion.definition,
        person=batch.group.phrase if batch.group else None,
        place=None if place is None else setting_options("places")[place].phrase or "at work",
        topic=rng.choice(TOPICS),
        examples=_examples(plan, batch.emotion, rng),
    )
    max_tokens = max(EVENT_TOKENS, recipe.draw.max_tokens or 0)
    return Request(messages, Sampling(max_tokens=max_tokens, temperature=TEMPERATURE), seed=0, schema=EVENTS_SCHEMA)


def known_clauses(plan: Plan, emotion: Emotion) -> list[str]:
    """Return the clauses that an invented event must not repeat: those of the recipe and of the bank."""
    return list(dict.fromkeys(_clauses(plan, emotion)))


def _clauses(plan: Plan, emotion: Emotion) -> Iterator[str]:
    yield from (event.clause for event in plan.events_of(emotion))
    yield from (event.clause for event in (bank_events(emotion.bank) if emotion.bank else ()))


def _examples(plan: Plan, emotion: Emotion, rng: random.Random) -> Sequence[str]:
    """Draw examples of the form: own events of the recipe where it has some, else those of the bank."""
    clauses = [event.clause for event in plan.events_of(emotion)] or known_clauses(plan, emotion)
    return rng.sample(clauses, min(EXAMPLES, len(clauses)))


def _places(group: Group | None) -> list[str]:
    """Return the places where every persona of a group can be."""
    at_work = group is not None and group.work == "employed"
    return [
        id_
        for id_, option in setting_options("places").items()
        if option.fit == Condition() or (at_work and option.phrase is None)
    ]
