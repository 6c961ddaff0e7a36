"""Results of an audit: tables of records, the content of `audit.json`, and lines for the terminal and the card."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from personagen.builder.core.errors import ReleaseError
from personagen.builder.core.result_table import ResultTable
from personagen.builder.evaluation.claims import LEVEL
from personagen.builder.evaluation.samples.draws import AuditSample
from personagen.builder.release.formats.plain_json import as_records, validated
from personagen.builder.release.measuring import ClassifierAccuracy, accuracy_line
from personagen.builder.version import __version__

if TYPE_CHECKING:
    import pandas as pd

FORMAT = "personagen-audit/3"
"""Version of the layout of `audit.json`."""

OUTCOMES: Mapping[str, str] = {
    "label": "the requested emotion",
    "intensity": "the requested intensity",
    "prediction": "the emotion that the classifier predicts",
    "sentiment": "sentiment, from -1 to 1",
    "length": "words per text",
    "vocabulary": "the words of the text",
    "content": "the sentence embedding",
}
"""Outcomes that are measured of each text, with a description."""

PAIRED = ("sentiment", "length", "agreement")
"""Outcomes that are compared in pairs; "agreement" is 1 if the classifier predicts the label, else 0."""

NUMERIC = ("sentiment", "length")
"""Outcomes that are numbers."""

MAX_VALUES_NAMED = 4
"""Values of an attribute whose distinctive words one finding lists."""

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class AttributeAssociation:
    """Association of an attribute of the personas with an outcome of their texts.

    Attributes:
        attribute: attribute of the personas: "gender".
        outcome: one of `OUTCOMES`.
        fraction: fraction of the outcome's variance between the values of the attribute, beyond plan and chance;
            0: chance, 1: all of it.
        low: lower end of the 95 % interval; None: see `reason`.
        high: upper end.
        p: probability of a fraction as large under shuffled attributes; None: see `reason`.
        p_corrected: `p` corrected for the number of all associations of the audit (Holm).
        n: number of texts.
        detectable: fraction that 80 % of such audits find; None: see `reason`.
        reason: why there is no interval and no p; None: both are there.

    """

    attribute: str
    outcome: str
    fraction: float
    low: float | None
    high: float | None
    p: float | None
    p_corrected: float | None
    n: int
    detectable: float | None = None
    reason: str | None = None

    @property
    def is_significant(self) -> bool:
        """Whether the corrected p is below 0.05."""
        return self.p_corrected is not None and self.p_corrected < LEVEL


@dataclass(frozen=True, slots=True)
class ValueDifference:
    """Mean of a numeric outcome over the texts of one value of an attribute, less the means of their emotions.

    Attributes:
        attribute: attribute of the personas.
        value: one of its values.
        outcome: one of `NUMERIC`.
        difference: the mean difference, in the unit of the outcome.
        low: lower end of an interval that holds with 95 % for all values of the attribute together; None: see `reason`.
        high: upper end.
        n: number of texts of the value.
        reason: why there is no interval; None: there is one.

    """

    attribute: str
    value: str
    outcome: str
    difference: float
    low: float | None
    high: float | None
    n: int
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class DistinctiveWords:
    """Words that the texts of one value of an attribute use significantly more often than the other texts.

    Attributes:
        attribute: attribute of the personas.
        value: one of its values.
        words: the words, the most distinctive first; may be empty.
        n: number of texts of the value.

    """

    attribute: str
    value: str
    words: tuple[str, ...]
    n: int


@dataclass(frozen=True, slots=True)
class CounterfactualContrast:
    """Pairs of a text and its counterfactual, whose personas differ in one attribute only.

    Attributes:
        attribute: the attribute.
        first: its value in the first text of each pair.
        second: its value in the second text.
        pairs: number of pairs.
        identical: fraction of pairs whose texts are equal.
        reclassified: fraction of pairs for which the classifier predicts two emotions; None: no classifier.
        distance: mean of 1 - cosine similarity of the embeddings.

    """

    attribute: str
    first: str
    second: str
    pairs: int
    identical: float
    reclassified: float | None
    distance: float


@dataclass(frozen=True, slots=True)
class CounterfactualEffect:
    """Effect of a change of one attribute on an outcome: mean of the second texts of pairs less that of the first.

    Attributes:
        attribute: the attribute.
        first: value that is changed.
        second: value that it is changed to.
        outcome: "sentiment" (-1 to 1), "length" (words) or "agreement" (fraction of texts predicted as labelled).
        difference: the mean difference over pairs.
        low: lower end of the 95 % interval; personas are the independent units. None: see `reason`.
        high: upper end.
        p: two-sided p that the difference is 0: exact for fewer than 20 personas, else of the t test.
            None: see `reason`.
        p_corrected: `p` corrected for the number of all effects of the audit (Holm).
        pairs: number of pairs.
        reason: why there is no interval or no p; None: both are there.

    """

    attribute: str
    first: str
    second: str
    outcome: str
    difference: float
    low: float | None
    high: float | None
    p: float | None
    p_corrected: float | None
    pairs: int
    reason: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Audit:
    """Results of the audit of a release.

    Attributes:
        command: how to repeat the audit; None: unknown.
        release: digest of the texts of the release.
        texts: number of audited texts.
        digest: digest of the audited texts.
        outcomes: outcomes that were measured, with a description.
        associations: one record per attribute and outcome.
        differences: one record per attribute, value and numeric outcome.
        words: one record per attribute and value.
        pairs: one record per attribute and pair of values that counterfactuals compare.
        effects: one record per attribute, pair of values and outcome.
        problems: outcomes that could not be measured, with the reason.
        accuracy: how often the predictions of the emotion classifier are right; None: unknown.
        sample: what was drawn from a larger release; None: all texts and pairs were audited.

    """

    command: str | None
    release: str
    texts: int
    digest: str
    outcomes: Mapping[str, str]
    associations: ResultTable[AttributeAssociation]
    differences: ResultTable[ValueDifference]
    words: ResultTable[DistinctiveWords]
    pairs: ResultTable[CounterfactualContrast]
    effects: ResultTable[CounterfactualEffect]
    problems: Mapping[str, str]
    accuracy: ClassifierAccuracy | None = None
    sample: AuditSample | None = None

    @property
    def attributes(self) -> list[str]:
        """Audited attributes, in order."""
        return list(dict.fromkeys(record.attribute for record in self.words))

    def to_pandas(self) -> "pd.DataFrame":
        """Return the associations as a data frame."""
        return self.associations.to_pandas()

    def __repr__(self) -> str:
        significant = sum(record.is_significant for record in self.associations)
        return f"<Audit of {self.texts} texts: {significant} of {len(self.associations)} associations significant>"

    def _repr_html_(self) -> str:
        """Render the associations as an HTML table."""
        return self.associations._repr_html_()

    def to_json(self) -> dict[str, Any]:
        """Return the content of `audit.json`."""
        return {
            "format": FORMAT,
            "personagen": __version__,
            "command": self.command,
            "release": self.release,
            "texts": self.texts,
            **({} if self.sample is None else {"sample": asdict(self.sample)}),
            "digest": self.digest,
            "outcomes": dict(self.outcomes),
            **{name: getattr(self, name).to_dicts() for name in TABLES},
            "problems": dict(self.problems),
            "classifier": None if self.accuracy is None else asdict(self.accuracy),
        }


TABLES = ("associations", "differences", "words", "pairs", "effects")
"""Names of the tables of an audit: attributes and JSON keys."""


def read_audit(content: Mapping[str, Any]) -> Audit:
    """Build an audit from the content of `audit.json`.

    Raises:
        ReleaseError: another version of PersonaGen wrote it, or a value has another type.

    """
    if content.get("format") != FORMAT:
        raise ReleaseError(
            f"audit.json has the format {content.get('format')!r:.60}, wanted {FORMAT}; audit the release again"
        )
    try:
        return Audit(
            command=content["command"],
            release=content["release"],
            texts=validated(int, content["texts"]),
            digest=content["digest"],
            outcomes=validated(dict[str, str], content["outcomes"]),
            associations=_table(AttributeAssociation, content["associations"]),
            differences=_table(ValueDifference, content["differences"]),
            words=_table(DistinctiveWords, content["words"]),
            pairs=_table(CounterfactualContrast, content["pairs"]),
            effects=_table(CounterfactualEffect, content["effects"]),
            problems=validated(dict[str, str], content["problems"]),
            accuracy=validated(ClassifierAccuracy | None, content.get("classifier")),
            sample=validated(AuditSample | None, content.get("sample")),
        )
    except (LookupError, TypeError, ValueError) as error:
        raise ReleaseError(f"audit.json is malformed ({error!r:.160}); audit the release again") from None


def _table(kind: type[Record], rows: Any) -> ResultTable[Record]:
    records = as_records(kind, rows)
    known = {*OUTCOMES, *PAIRED}
    unknown = next((name for record in records if (name := getattr(record, "outcome", "label")) not in known), None)
    if unknown is not None:
        raise ValueError(f"unknown outcome {unknown!r:.40}")
    return ResultTable(kind, records)


def findings(audit: Audit) -> Iterator[str]:
    """Yield one line per significant association, the largest fraction first."""
    significant = [record for record in audit.associations if record.is_significant]
    for record in sorted(significant, key=lambda record: (-record.fraction, record.attribute, record.outcome)):
        yield (
            f"{record.attribute} goes with {record.outcome} ({OUTCOMES[record.outcome]}): {record.fraction:.2%} of its "
            f"variance [{record.low or 0:.2%}, {record.high or 0:.2%}], p {record.p_corrected:.2g}"
            f"{_extremes(audit, record)}"
        )


def prediction_lines(audit: Audit) -> Iterator[str]:
    """Yield how often predicted emotions are right; nothing if none were predicted."""
    if "prediction" in audit.outcomes:
        yield f"The predicted emotion is that of a classifier. {accuracy_line(audit.accuracy)}"


def power_line(audit: Audit) -> str | None:
    """Return which associations such an audit finds; None: no association was tested."""
    sizes = [record.detectable for record in audit.associations if record.detectable is not None]
    if not sizes:
        return None
    least, most = (f"{100 * size:.2g} %" for size in (min(sizes), max(sizes)))
    return (
        f"Of associations that explain {least} to {most} of the variance, depending on attribute and outcome, an audit "
        f"of {audit.texts} texts finds 80 %; smaller ones are mostly missed"
    )


def _extremes(audit: Audit, association: AttributeAssociation) -> str:
    """Name the values with the highest and the lowest mean of a number, or the distinctive words of each value.

    A value that too few personas have for an interval is not named.
    """
    attribute, outcome = association.attribute, association.outcome
    if outcome in NUMERIC:
        values = [record for record in audit.differences
                  if (record.attribute, record.outcome) == (attribute, outcome) and record.low is not None]  # fmt: skip
        if not values:
            return ""
        values.sort(key=lambda record: (record.difference, record.value))
        low, high = values[0], values[-1]
        return f"; {high.value} {high.difference:+.2g}, {low.value} {low.difference:+.2g}"
    if outcome == "vocabulary":
        words = [f"{record.value}: {', '.join(record.words)}" for record in audit.words
                 if record.attribute == attribute and record.words]  # fmt: skip
        return f"; {'; '.join(words[:MAX_VALUES_NAMED])}" if words else ""
    return ""


def counterfactual_lines(audit: Audit) -> Iterator[str]:
    """Yield one line per attribute and pair of values that counterfactuals compare."""
    for pairs in audit.pairs:
        effects = ", ".join(
            f"{effect.outcome} {effect.difference:+.2g} {_interval(effect)}"
            f"{'*' if effect.p_corrected is not None and effect.p_corrected < LEVEL else ''}"
            for effect in effects_of(audit.effects, pairs)
        )
        changed = "" if pairs.reclassified is None else f", {pairs.reclassified:.0%} are predicted as another emotion"
        yield (
            f"{pairs.attribute} {pairs.second} instead of {pairs.first}, all else equal: of {pairs.pairs} pairs "
            f"{pairs.identical:.0%} are the same word for word{changed}; {effects}"
        )


def _interval(effect: CounterfactualEffect) -> str:
    if effect.low is None or effect.high is None:
        return f"(no interval: {effect.reason})"
    return f"[{effect.low:+.2g}, {effect.high:+.2g}]"


def effects_of(effects: Sequence[CounterfactualEffect], pairs: CounterfactualContrast) -> list[CounterfactualEffect]:
    """Return the effects that were measured on a set of pairs."""
    key = (pairs.attribute, pairs.first, pairs.second)
    return [effect for effect in effects if (effect.attribute, effect.first, effect.second) == key]


def audit_lines(audit: Audit) -> Iterator[str]:
    """Yield a table of fractions for the terminal, the outcomes that were not measured, and the findings."""
    cells = {(record.attribute, record.outcome): record for record in audit.associations}
    if audit.sample is not None:
        yield audit.sample.sentence(audit.texts)
    yield "fraction of variance beyond plan and chance, in per cent; * p < 0.05, corrected"
    yield "attribute     " + "".join(f"{outcome:>12}" for outcome in audit.outcomes)
    for attribute in audit.attributes:
        row = (_cell(cells.get((attribute, outcome))) for outcome in audit.outcomes)
        yield f"{attribute:<14}" + "".join(f"{cell:>12}" for cell in row)
    yield from (f"not measured: {outcome}: {reason}" for outcome, reason in audit.problems.items())
    yield from prediction_lines(audit)
    yield from counterfactual_lines(audit)
    lines = list(findings(audit))
    yield from lines or [f"no association was found in {audit.texts} texts"]
    power = power_line(audit)
    if power is not None:
        yield power


def _cell(record: AttributeAssociation | None) -> str:
    return "" if record is None else f"{100 * record.fraction:.2f}{'*' if record.is_significant else ' '}"
