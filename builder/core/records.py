"""The records that flow through PersonaGen: layers of a persona, and the row of a release.

A leaf: it imports the standard library only. `personagen_dataset.py` declares the same columns as `datasets` features,
and a test holds the two together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SCHEMA_VERSION = "1.1.0"
"""Version of the columns of a release: 1.1.0 added `counterfactual_of` to the tables of counterfactuals."""

LAYERS = ("demographic", "sociocultural", "situational")
"""The persona layers, in the order in which they are built."""

DEPTHS = ("none", *LAYERS)
"""How many layers a text was conditioned on: a depth stands for its layer and all before it."""

DEPTH_PREFIX = "depth_"
"""Prefix of the names of configurations that repeat all rows at another depth."""

COUNTERFACTUAL_PREFIX = "counterfactual_"
"""Prefix of the names of configurations that repeat rows with one attribute of the persona changed."""

REPEATING_PREFIXES = (DEPTH_PREFIX, COUNTERFACTUAL_PREFIX)
"""Prefixes of the configurations that repeat rows of others, and are therefore not part of `all`."""

SPLITS = ("train", "validation", "test")

INTENSITIES = ("low", "medium", "high")


def layers_of(depth: str) -> tuple[str, ...]:
    """Name the layers that a text of this depth was conditioned on, in order."""
    return LAYERS[: DEPTHS.index(depth)]


def as_mapping(record: Any) -> Mapping[str, Any]:
    """Give the fields of a record with slots by name, for `json.dumps(default=...)`.

    `dataclasses.asdict` does so too, and copies every value on the way: that took a tenth of a run's time.
    """
    return {name: getattr(record, name) for name in record.__slots__}


def shard_path(config: str, split: str, index: int, of: int) -> str:
    """Path of a shard within a release, in the layout that `push_to_hub` writes."""
    return f"{config}/{split}-{index:05d}-of-{of:05d}.parquet"


@dataclass(frozen=True, slots=True)
class Demographic:
    """Who the persona is: the first layer.

    Attributes:
        age: years.
        gender: "woman", "man" or "nonbinary".
        work: "employed", "student", "retired", "homemaker" or "jobseeker".
        occupation: job title; for those without a job the same word as `work`.
        occupation_group: ISCO-08 major group, or "not in work".
        isco08: ISCO-08 unit group code; None without a job.
        mbti: Myers-Briggs type, four letters.
        openness: Big Five trait, as a population percentile from 1 to 99; so are the four below.
        conscientiousness: see openness.
        extraversion: see openness.
        agreeableness: see openness.
        neuroticism: see openness.
        prose: portrait written by the model; None where the layer is sampled only.

    """

    age: int
    gender: str
    work: str
    occupation: str
    occupation_group: str
    isco08: str | None
    mbti: str
    openness: int
    conscientiousness: int
    extraversion: int
    agreeableness: int
    neuroticism: int
    prose: str | None = None


@dataclass(frozen=True, slots=True)
class Sociocultural:
    """Where the persona comes from and how it lives: the second layer.

    Attributes:
        country: English short name.
        settlement: "big city", "town", "suburb" or "village".
        education: highest level reached, by ISCED 2011.
        religion: affiliation, "none" included.
        household: whom the persona lives with.
        means: "struggling", "getting by", "comfortable" or "well off".
        value_primary: the most important of Schwartz's ten basic values.
        value_secondary: the next one, never opposed to the first.
        register: "formal", "plain", "casual" or "slangy" language.
        prose: background written by the model; None where the layer is sampled only.

    """

    country: str
    settlement: str
    education: str
    religion: str
    household: str
    means: str
    value_primary: str
    value_secondary: str
    register: str
    prose: str | None = None


@dataclass(frozen=True, slots=True)
class Appraisal:
    """How the event is judged by the person who meets it (after Smith and Ellsworth, 1985).

    Attributes:
        pleasantness: "pleasant", "unpleasant" or "neutral".
        agency: who brought it about: "self", "other" or "circumstance".
        certainty: "certain" or "uncertain" what happens.
        control: "high" or "low" power over the outcome.
        expectedness: "expected" or "unexpected".

    """

    pleasantness: str
    agency: str
    certainty: str
    control: str
    expectedness: str


@dataclass(frozen=True, slots=True)
class Situational:
    """What happens to the persona: the third layer.

    Attributes:
        event: what happens, as a clause without a subject.
        event_kind: id of the event in the situational bank, or "custom".
        appraisal: how the event is judged; None for events of the recipe's own.
        place: where it happens: an id of builder/data/setting.yaml, as are time and companions.
        time: time of day.
        companions: who is with the persona.
        channel: what kind of text the persona writes about it: an id too.
        stakes: what is at stake for the persona; None for events of the recipe's own.
        prose: account of the situation written by the model; None where the layer is sampled only.

    """

    event: str
    event_kind: str
    appraisal: Appraisal | None
    place: str
    time: str
    companions: str
    channel: str
    stakes: str | None
    prose: str | None = None


@dataclass(frozen=True, slots=True)
class Provenance:
    """How a text came about.

    Attributes:
        model: the model that wrote it.
        prompt_version: first 12 hex digits of the hash over all prompt templates.
        seed: seed of the request that was accepted.
        attempts: requests made for this text, 1 or more.
        leaked: whether a word of the text names its emotion.
        checker_label: what a emotion classifier made of the text; None where none ran.
        checker_confidence: its confidence in [0, 1]; None where none ran.

    """

    model: str
    prompt_version: str
    seed: int
    attempts: int
    leaked: bool
    checker_label: str | None = None
    checker_confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One labelled text of a release.

    Attributes:
        id: stable name of the row in its plan.
        text: what the persona wrote.
        label: name of the emotion.
        depth: how many layers the text was conditioned on.
        intensity: "low", "medium" or "high"; None where the recipe does not ask for intensities.
        demographic: first layer; None where the text was not conditioned on it. So are the two below.
        sociocultural: second layer.
        situational: third layer.
        persona_id: id shared by all rows of a persona; None at depth "none".
        situation_id: id of the persona's situation; None below depth "situational".
        provenance: how the text came about.

    """

    id: str
    text: str
    label: str
    depth: str
    intensity: str | None
    demographic: Demographic | None
    sociocultural: Sociocultural | None
    situational: Situational | None
    persona_id: str | None
    situation_id: str | None
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class Reject:
    """A reply that did not become part of a release.

    Attributes:
        id: what it was for: a row, a persona or a situation.
        stage: "demographic", "sociocultural", "situational" or "expression".
        reason: why it was refused, by name.
        attempt: number of the request, from 0.
        text: what came back; None where nothing did.
        detail: more on the reason: the id of the row that a duplicate repeats, the emotion that a classifier read; None
            where there is none.

    """

    id: str
    stage: str
    reason: str
    attempt: int
    text: str | None
    detail: str | None = None
