"""Records of a release: persona layers, rows and rejects.

Imports the standard library only. `personagen_dataset.py` declares the same columns as `datasets` features; a test
compares the two.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

SCHEMA_VERSION = "1.4.0"
"""Latest version of the columns of a release: 1.1.0 added `counterfactual_of` to the tables of counterfactuals, 1.2.0
`expression` and `style` to the texts and `expression_found` to their provenance, 1.3.0 `emotion` to labelled tables and
files of its own for `all`, and leaves out the columns that no row has a value for, 1.4.0 `OPTIONAL_COLUMNS`."""

PLAIN_VERSION = "1.3.0"
"""Version of the columns of a release without any of `OPTIONAL_COLUMNS`."""

OPTIONAL_COLUMNS = ("attributes", "provenance.wording", "provenance.real_texts", "provenance.persona_model")
"""Columns since version 1.4.0, as `struct.column`: only a release whose recipe asks for one of them has them."""

UNSTYLED_VERSION = "1.1.0"
"""Latest version of the columns before `expression` and `style`."""

UNMIXED_VERSION = "1.2.0"
"""Latest version of the columns before `emotion`."""

LAYERS = ("demographic", "sociocultural", "situational")
"""Persona layers, in the order in which they are built."""

DEPTHS = ("none", *LAYERS)
"""Depths of conditioning: each stands for its layer and all layers before it."""

DEPTH_PREFIX = "depth_"
"""Prefix of the names of configurations that repeat all rows at another depth."""

COUNTERFACTUAL_PREFIX = "counterfactual_"
"""Prefix of the names of configurations that repeat rows with one attribute of the persona changed."""

REPEATING_PREFIXES = (DEPTH_PREFIX, COUNTERFACTUAL_PREFIX)
"""Prefixes of the configurations that repeat rows of others, and are therefore not part of `all`."""

PLAIN = "plain"
"""Name of the configuration that reads texts and labels alone from the files of `all`."""

SPLITS = ("train", "validation", "test")
"""Splits of a release, in order."""

INTENSITIES = ("low", "medium", "high")
"""Intensities that a recipe can request, in ascending order."""

TextRejectReason = Literal[
    "empty", "refusal", "meta", "garbled", "truncated", "length", "language", "echo", "leak", "personal", "slur"
]
"""Why a check of the text rejects it, in the order of the checks: a text has the first reason that applies."""

ATTRIBUTE_PATTERN = r"^[a-z][a-z0-9_]{0,63}$"
"""Names of further attributes of a persona: columns of the struct `attributes`."""

AttributeValue = str | int | float | None
"""Value of a further attribute of a persona; None: unknown."""

RejectReason = (
    Literal["request", "thought", "secret"]
    | TextRejectReason
    | Literal["schema", "clause", "astray", "expression", "label", "duplicate"]
)
"""Why a reply is rejected; "thought": it is a thought of the model without an end, or nothing follows the thought;
"secret": it repeats a key or password; "clause": an invented event is no clause without a subject."""


def layers_of(depth: str) -> tuple[str, ...]:
    """Return the layers that a text of this depth was conditioned on, in order; ValueError for an unknown depth."""
    return LAYERS[: DEPTHS.index(depth)]


def as_mapping(record: Any) -> Mapping[str, Any]:
    """Return the fields of a record with slots by name, for `json.dumps(default=...)`.

    Unlike `dataclasses.asdict` it does not copy the values, which took a tenth of a run's time.
    """
    return {name: getattr(record, name) for name in record.__slots__}


def shard_path(config: str, split: str, index: int, of: int) -> str:
    """Return the path of a shard within a release, in the layout of `Dataset.push_to_hub`."""
    return f"{config}/{split}-{index:05d}-of-{of:05d}.parquet"


@dataclass(frozen=True, slots=True)
class Demographic:
    """The first layer: who the persona is.

    A field is None if the source of the personas does not state it.

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
        prose: portrait written by the model; None if the layer is sampled only.

    """

    age: int | None = None
    gender: str | None = None
    work: str | None = None
    occupation: str | None = None
    occupation_group: str | None = None
    isco08: str | None = None
    mbti: str | None = None
    openness: int | None = None
    conscientiousness: int | None = None
    extraversion: int | None = None
    agreeableness: int | None = None
    neuroticism: int | None = None
    prose: str | None = None


@dataclass(frozen=True, slots=True)
class Sociocultural:
    """The second layer: where the persona comes from and how they live; None as in `Demographic`.

    Attributes:
        country: English short name.
        settlement: "big city", "town", "suburb" or "village".
        education: highest level reached, by ISCED 2011.
        religion: affiliation, "none" included.
        household: people that the persona lives with.
        means: "struggling", "getting by", "comfortable" or "well off".
        value_primary: the most important of Schwartz's ten basic values.
        value_secondary: the next one, never opposed to the first.
        register: "formal", "plain", "casual" or "slangy" language.
        prose: background written by the model; None if the layer is sampled only.

    """

    country: str | None = None
    settlement: str | None = None
    education: str | None = None
    religion: str | None = None
    household: str | None = None
    means: str | None = None
    value_primary: str | None = None
    value_secondary: str | None = None
    register: str | None = None
    prose: str | None = None


@dataclass(frozen=True, slots=True)
class Appraisal:
    """Cognitive appraisal of the event by the persona (after Smith and Ellsworth, 1985).

    Attributes:
        pleasantness: "pleasant", "unpleasant" or "neutral".
        agency: cause of the event: "self", "other" or "circumstance".
        certainty: "certain" or "uncertain" about what happens.
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
    """The third layer: the situation of the persona.

    Attributes:
        event: the event, as a clause without a subject.
        event_kind: id of the event in the situational bank or in the recipe's file of events, "invented_" with emotion
            and number, or "custom" for events of a taxonomy.
        appraisal: appraisal of the event; None for events defined by the recipe.
        place: id of the place in builder/data/setting.yaml; None: the event of the recipe names none.
        time: id of the time of day; None likewise.
        companions: id of the people with the persona; None likewise.
        channel: id of the kind of text that the persona writes.
        stakes: what the persona can win or lose; None for events defined by the recipe.
        prose: account of the situation written by the model; None if the layer is sampled only.

    """

    event: str
    event_kind: str
    appraisal: Appraisal | None
    place: str | None
    time: str | None
    companions: str | None
    channel: str
    stakes: str | None
    prose: str | None = None


@dataclass(frozen=True, slots=True)
class Provenance:
    """Origin of a text.

    Attributes:
        model: model that wrote the text.
        prompt_version: first 12 hex digits of the hash over all prompt templates.
        seed: seed of the accepted request.
        attempts: requests made for this text, 1 or more.
        leaked: whether a word of the text names its emotion; None: not checked, as the lexicon lacks its language.
        checker_label: emotion that the emotion classifier predicts; None if none ran.
        checker_confidence: probability of the prediction, in [0, 1]; None if none ran.
        expression_found: how the text expresses its emotion: "named", "voiced" or "shown". None: not checked, as the
            word lists lack its language, or the recipe asks for no expression.
        wording: name of the wording of the prompt; None: the prompt has one.
        real_texts: ids "source:row" of the real texts in the prompt, separated by spaces, the row counted from 0 in the
            train part of the source; None: there is none.
        persona_model: model that wrote the prose of the persona; None: the release has a single model, or no model
            wrote prose of the persona for this text.

    """

    model: str
    prompt_version: str
    seed: int
    attempts: int
    leaked: bool | None
    checker_label: str | None = None
    checker_confidence: float | None = None
    expression_found: str | None = None
    wording: str | None = None
    real_texts: str | None = None
    persona_model: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One labelled text of a release.

    Attributes:
        id: stable id of the row in its plan.
        text: the text.
        label: name of the emotion.
        depth: depth of conditioning, one of DEPTHS.
        intensity: "low", "medium" or "high"; None if the recipe names no intensities.
        demographic: first layer; None if the text was not conditioned on it.
        sociocultural: second layer; None if the text was not conditioned on it.
        situational: third layer; None if the text was not conditioned on it.
        persona_id: id shared by all rows of a persona; None at depth "none".
        situation_id: id of the persona's situation; None except at depth "situational".
        provenance: origin of the text.
        expression: how the text was asked to express its emotion: "named", "voiced" or "shown". None: the recipe asks
            for no expression.
        style: genre whose style the text was asked to have; None: none.
        attributes: further attributes of the persona, by name; None: it has none, or the text has no persona.

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
    expression: str | None = None
    style: str | None = None
    attributes: Mapping[str, AttributeValue] | None = None


@dataclass(frozen=True, slots=True)
class Reject:
    """A rejected reply.

    Attributes:
        id: id of the row, persona or situation that the reply was requested for.
        stage: "events", "demographic", "sociocultural", "situational" or "expression".
        reason: name of the reason for the rejection.
        attempt: number of the request, from 0.
        text: the reply; None if the request failed.
        detail: error of a failed request, id of the row that a duplicate repeats, or predicted emotion; None for other
            reasons.

    """

    id: str
    stage: str
    reason: RejectReason
    attempt: int
    text: str | None
    detail: str | None = None
