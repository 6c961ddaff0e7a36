"""Audit a release for bias: associations of its texts with attributes of their personas that the recipe did not plan.

    texts of the release -> outcomes x attributes -> fractions of variance beyond the plan -> audit.json, card, manifest

The plan draws emotions independently of the persona. Means of the emotions are therefore subtracted, and the rest is
compared against personas with shuffled attributes (see `metrics/statistics/association.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personagen.builder.core.errors import BackendError, ReleaseError, raise_as
from personagen.builder.core.file_names import AUDIT
from personagen.builder.core.progress import SILENT, Progress
from personagen.builder.core.result_table import ResultTable
from personagen.builder.evaluation.audit_results import (
    NUMERIC,
    OUTCOMES,
    AttributeAssociation,
    Audit,
    CounterfactualContrast,
    CounterfactualEffect,
    DistinctiveWords,
    ValueDifference,
    counterfactual_lines,
    findings,
    power_line,
    prediction_lines,
)
from personagen.builder.evaluation.counterfactual_effects import counterfactual_effects
from personagen.builder.evaluation.evaluate import digest_of
from personagen.builder.evaluation.samples.draws import DRAWN, AuditSample, MeasuredSample, measured_sample
from personagen.builder.evaluation.samples.encoding import load_vectors
from personagen.builder.release.composition import COUNTED
from personagen.builder.release.folder import check_release
from personagen.builder.release.measuring import ClassifierAccuracy, predictions, require_metrics_extra
from personagen.builder.release.results import add_results
from personagen.builder.release.texts import Texts

if TYPE_CHECKING:
    from personagen.metrics.statistics.association import Association, Table
    from personagen.metrics.statistics.groups import Codes

AUDITED_TEXTS = "audited_texts"
"""Key of the manifest for the sentence on which texts of the release were audited; absent: all."""

PLANNED = ("label", "intensity")
"""Outcomes that the plan decides: the means of the emotions are not subtracted."""


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """Settings of an audit.

    Attributes:
        reference: see `EvaluationSettings`; trains a classifier if the release has no predictions.
        embeddings: name of a sentence-transformers model; None: the default model.
        seed: seed of shuffles and halves.
        command: how to repeat the audit, recorded in the release; None: recorded as unknown.
        vectors: folder or fsspec address with the vectors that `encode` wrote; None: texts are encoded here.

    """

    reference: str = "goemotions"
    embeddings: str | None = None
    seed: int = 0
    command: str | None = None
    vectors: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredTexts:
    """Outcomes of the texts.

    Attributes:
        tables: by outcome, shape (texts, columns).
        words: the words of the columns of "vocabulary".
        personas: number of each text's persona, shape (texts,).
        labels: number of each text's emotion, shape (texts,).
        problems: by outcome, why it could not be measured.
        accuracy: how often predicted emotions are right; None: unknown, or none were predicted.

    """

    tables: Mapping[str, "Table"]
    words: list[str]
    personas: "Codes"
    labels: "Codes"
    problems: Mapping[str, str]
    accuracy: ClassifierAccuracy | None


def audit(folder: str | Path, settings: AuditSettings = AuditSettings(), *, progress: Progress = SILENT) -> Audit:
    """Audit a release, and add the results to it: `audit.json`, the card, and the manifest that lists the file.

    Args:
        folder: the release; its files are checked against the manifest first.
        settings: how to audit.
        progress: receiver of steps.

    Raises:
        ReleaseError: the folder is no release or was altered, its texts have no personas, or the marks of its card's
            regions are not in order.
        BackendError: a package is missing, or the reference cannot be loaded.
        FolderError: the release cannot be written.

    """
    require_metrics_extra("vaderSentiment")
    folder = Path(folder)
    manifest = check_release(folder, scores=False)
    load_vectors(settings.vectors, manifest, settings.embeddings, progress)
    sample = measured_sample(folder, manifest, settings.seed)
    texts = sample.texts
    _require_attributes(folder, manifest, texts)
    measured = _measure(texts, manifest, settings, progress)
    progress.step(f"auditing {sample.counted()} by {len(texts.personas[0])} attributes")
    associations, differences, words = _by_attribute(texts, measured, settings.seed)
    progress.step("comparing counterfactual pairs")
    measured_pairs = counterfactual_effects(folder, manifest, settings.reference, settings.embeddings, settings.seed)
    result = Audit(
        command=settings.command,
        release=manifest["configs"]["all"]["digest"],
        texts=len(texts.texts),
        digest=digest_of(texts.texts),
        outcomes={outcome: OUTCOMES[outcome] for outcome in measured.tables},
        associations=ResultTable(AttributeAssociation, tuple(associations)),
        differences=ResultTable(ValueDifference, tuple(differences)),
        words=ResultTable(DistinctiveWords, tuple(words)),
        pairs=ResultTable(CounterfactualContrast, tuple(measured_pairs.contrasts)),
        effects=ResultTable(CounterfactualEffect, tuple(measured_pairs.effects)),
        problems=measured.problems,
        accuracy=measured.accuracy,
        sample=_sample(sample, measured_pairs.drawn),
    )
    progress.step(f"writing {AUDIT} and the card")
    add_results(folder, _without_sample(manifest), "audit", result.to_json(), _facts(result))
    return result


def _sample(sample: MeasuredSample, drawn: Mapping[str, tuple[int, int]]) -> AuditSample | None:
    """Return what was drawn; None: everything was audited."""
    return AuditSample(sample.total, DRAWN, sample.seed, drawn) if sample.is_part or drawn else None


def _without_sample(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the manifest without the sentence of an earlier audit on its sample."""
    return {key: value for key, value in manifest.items() if key != AUDITED_TEXTS}


def _require_attributes(folder: Path, manifest: Mapping[str, Any], texts: Texts) -> None:
    """Raise ReleaseError if no text has a persona, or the source of the personas states no attribute of the audit."""
    if any(texts.personas):
        return
    if manifest["recipe"]["depth"] == "none":
        raise ReleaseError(
            f"{folder} has no personas: its texts are of depth 'none'; audit a release of depth demographic or deeper"
        )
    names = ", ".join(name for layer in COUNTED.values() for name in layer)
    raise ReleaseError(
        f"{folder}: its personas have no attribute to audit, only prose or attributes of their source; audit a release "
        f"whose personas have one of {names} (personas.columns names columns of a source)"
    )


def _facts(result: Audit) -> dict[str, Any]:
    """Return the keys of the manifest from which the card is rendered."""
    return {
        "findings": list(findings(result)),
        "counterfactuals": list(counterfactual_lines(result)),
        "audit_power": power_line(result),
        "audit_predictions": next(prediction_lines(result), None),
        "audited_by": result.command or "personagen audit",
        **({} if result.sample is None else {AUDITED_TEXTS: result.sample.sentence(result.texts)}),
    }


def _measure(texts: Texts, manifest: Mapping[str, Any], settings: AuditSettings, progress: Progress) -> MeasuredTexts:
    """Measure all outcomes; one that cannot be measured has its reason among the problems."""
    import numpy as np

    from personagen.metrics.statistics.association import categories, lengths, sentiment
    from personagen.metrics.statistics.distinctive_words import vocabulary
    from personagen.metrics.texts.embeddings import embed

    tables: dict[str, Table] = {"label": categories(texts.labels)}
    problems: dict[str, str] = {}
    accuracy: ClassifierAccuracy | None = None
    intensities = [row["intensity"] for row in texts.rows]
    if all(intensities):
        tables["intensity"] = categories(intensities)
    progress.step("predicting emotions")
    try:
        predicted = predictions(texts, manifest, settings.reference, settings.embeddings)
        tables["prediction"] = categories([prediction.label for prediction in predicted.predictions])
        accuracy = predicted.accuracy
    except ReleaseError as error:
        problems["prediction"] = str(error)
    if manifest["recipe"]["text"]["language"] == "en":
        tables["sentiment"] = sentiment(texts.texts)
    else:
        problems["sentiment"] = "the rules of sentiment are for English, and the recipe names another language or none"
    tables["length"] = lengths(texts.texts)
    words, tables["vocabulary"] = vocabulary(texts.texts)
    progress.step("embedding texts")
    with raise_as(BackendError):
        tables["content"] = embed(texts.texts, settings.embeddings).vectors
    personas = np.unique([row["persona_id"] for row in texts.rows], return_inverse=True)[1]
    labels = np.unique(texts.labels, return_inverse=True)[1]
    return MeasuredTexts(tables, words, personas, labels, problems, accuracy)


def _by_attribute(
    texts: Texts, measured: MeasuredTexts, seed: int
) -> tuple[list[AttributeAssociation], list[ValueDifference], list[DistinctiveWords]]:
    """Compare every outcome between the values of every attribute that varies."""
    import numpy as np

    from personagen.metrics.statistics.paired import holm

    associations: list[tuple[AttributeAssociation, Association]] = []
    differences: list[ValueDifference] = []
    words: list[DistinctiveWords] = []
    varying = {}
    for attribute in texts.personas[0]:
        values, codes = np.unique([persona[attribute] for persona in texts.personas], return_inverse=True)
        if len(values) > 1:
            varying[attribute] = [str(value) for value in values], codes
    for attribute, (names, codes) in varying.items():
        associations += _associations(attribute, codes, measured, seed)
        differences += _differences(attribute, names, codes, measured)
        words += _words(attribute, names, codes, measured, len(varying))
    p_values = [result.p for _, result in associations if result.p is not None]
    corrected = iter(holm(p_values))
    records = [
        replace(
            record,
            p_corrected=None if result.p is None else next(corrected),
            detectable=result.detectable(len(p_values)),
        )
        for record, result in associations
    ]
    return records, differences, words


def _associations(
    attribute: str, codes: "Codes", measured: MeasuredTexts, seed: int
) -> "list[tuple[AttributeAssociation, Association]]":
    """Measure the association of an attribute with every outcome that varies; p is not corrected yet."""
    import numpy as np

    from personagen.metrics.statistics.association import association, outcome

    of_persona = np.zeros(int(measured.personas.max()) + 1, dtype=np.intp)
    of_persona[measured.personas] = codes
    records = []
    for name, table in measured.tables.items():
        labels = None if name in PLANNED else measured.labels
        prepared = outcome(table, measured.personas, labels, scaled=name != "content")
        if prepared is not None:
            result = association(prepared, of_persona, seed)
            record = AttributeAssociation(
                attribute,
                name,
                result.fraction,
                result.low,
                result.high,
                result.p,
                None,
                len(codes),
                None,
                result.reason,
            )
            records.append((record, result))
    return records


def _differences(
    attribute: str, values: Sequence[str], codes: "Codes", measured: MeasuredTexts
) -> list[ValueDifference]:
    from personagen.metrics.statistics.association import differences

    return [
        ValueDifference(
            attribute, value, name, mean.value, mean.low, mean.high, int((codes == code).sum()), mean.reason
        )
        for name in NUMERIC
        if name in measured.tables
        for code, (value, mean) in enumerate(
            zip(values, differences(measured.tables[name], codes, measured.personas, measured.labels), strict=True)
        )
    ]


def _words(
    attribute: str, values: Sequence[str], codes: "Codes", measured: MeasuredTexts, attributes: int
) -> list[DistinctiveWords]:
    from personagen.metrics.statistics.distinctive_words import distinctive

    lists = distinctive(measured.words, measured.tables["vocabulary"], codes, measured.personas, attributes=attributes)
    return [
        DistinctiveWords(attribute, value, tuple(words), int((codes == code).sum()))
        for code, (value, words) in enumerate(zip(values, lists, strict=True))
    ]
