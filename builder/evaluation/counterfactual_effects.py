"""Measure the effect of an attribute: texts of rows against their counterfactuals, whose personas differ in it alone.

rows and counterfactuals -> pairs by two values of an attribute -> paired differences -> records of an audit
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personagen.builder.core.errors import BackendError, ReleaseError, raise_as
from personagen.builder.core.records import COUNTERFACTUAL_PREFIX
from personagen.builder.evaluation.audit_results import PAIRED, CounterfactualContrast, CounterfactualEffect
from personagen.builder.release.folder import MEND
from personagen.builder.release.measuring import predictions
from personagen.builder.release.texts import Texts, read_texts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """Pairs of texts of two values of an attribute.

    Attributes:
        values: the two values.
        first: rows of the texts with the first value, shape (pairs,).
        second: rows of the texts with the second value, shape (pairs,).
        personas: number of each pair's persona, shape (pairs,).

    """

    values: tuple[str, str]
    first: "NDArray[np.intp]"
    second: "NDArray[np.intp]"
    personas: "NDArray[np.intp]"


@dataclass(frozen=True, slots=True, eq=False)
class _Measures:
    """Measures of all texts of an attribute's pairs.

    Attributes:
        outcomes: values by outcome, shape (texts,) each.
        vectors: embeddings, shape (texts, width).
        predicted: emotion that the classifier predicts for each text; None: no classifier.

    """

    outcomes: Mapping[str, "NDArray[np.float64]"]
    vectors: "NDArray[np.float32]"
    predicted: list[str] | None


def counterfactual_effects(
    folder: Path, manifest: Mapping[str, Any], texts: Texts, reference: str, embeddings: str | None
) -> tuple[list[CounterfactualContrast], list[CounterfactualEffect]]:
    """Measure the changes between rows and their counterfactuals.

    Args:
        folder: the release.
        manifest: its manifest.
        texts: all its texts at the depth of the recipe.
        reference: real texts that train a classifier if the release has no predictions.
        embeddings: name of a sentence-transformers model; None: the default model.

    Returns:
        One record per attribute and two of its values that have pairs, and the effects on each outcome, whose p is
        corrected for all of them (Holm).

    Raises:
        ReleaseError: a file cannot be read, or a counterfactual has no row.
        BackendError: the embedding model cannot be loaded.

    """
    pairs: list[CounterfactualContrast] = []
    effects: list[CounterfactualEffect] = []
    for attribute in (
        name.removeprefix(COUNTERFACTUAL_PREFIX)
        for name in manifest["configs"]
        if name.startswith(COUNTERFACTUAL_PREFIX)
    ):
        both, partners = _matched(folder, manifest, texts, attribute)
        measures = _measure(both, manifest, reference, embeddings)
        for values in combinations(manifest["recipe"]["counterfactual"]["attributes"][attribute], 2):
            matched = _pairs(both, attribute, values, partners)
            if matched is not None:
                pairs.append(_compare_pairs(attribute, both, matched, measures))
                effects.extend(_effects(attribute, matched, measures))
    return pairs, corrected_effects(effects)


def corrected_effects(effects: Sequence[CounterfactualEffect]) -> list[CounterfactualEffect]:
    """Return the effects with p corrected for the number of those that have one (Holm)."""
    from personagen.metrics.statistics.paired import holm

    corrected = iter(holm([effect.p for effect in effects if effect.p is not None]))
    return [effect if effect.p is None else replace(effect, p_corrected=next(corrected)) for effect in effects]


def _matched(
    folder: Path, manifest: Mapping[str, Any], texts: Texts, attribute: str
) -> tuple[Texts, list[tuple[int, int]]]:
    """Read the counterfactuals of an attribute and find their rows.

    Returns:
        The rows that have a counterfactual, followed by the counterfactuals; and for each counterfactual the position
        of its row and its own.

    """
    counterfactuals = read_texts(folder, manifest, [COUNTERFACTUAL_PREFIX + attribute])
    numbers = {row["id"]: number for number, row in enumerate(texts.rows)}
    matches = [numbers.get(row["counterfactual_of"]) for row in counterfactuals.rows]
    if None in matches:
        raise ReleaseError(
            f"{folder}: a text of {COUNTERFACTUAL_PREFIX}{attribute} has no row that it is the counterfactual of; "
            f"{MEND}"
        )
    kept = sorted({number for number in matches if number is not None})
    positions = {number: position for position, number in enumerate(kept)}
    partners = [
        (positions[number], len(kept) + position) for position, number in enumerate(matches) if number is not None
    ]
    return texts.take(kept).joined(counterfactuals), partners


def _pairs(both: Texts, attribute: str, values: tuple[str, str], partners: Sequence[tuple[int, int]]) -> _Pairs | None:
    """Select the pairs of two values, the text of the first value first; None: there are none."""
    import numpy as np

    sides, personas = [], []
    for row, counterfactual in partners:
        pair = both.personas[row][attribute], both.personas[counterfactual][attribute]
        if pair in (values, values[::-1]):
            sides.append((row, counterfactual) if pair == values else (counterfactual, row))
            personas.append(both.rows[row]["persona_id"])
    if not sides:
        return None
    numbers = np.unique(personas, return_inverse=True)[1]
    first, second = (np.array([side[end] for side in sides], dtype=np.intp) for end in (0, 1))
    return _Pairs(values, first, second, numbers)


def _measure(both: Texts, manifest: Mapping[str, Any], reference: str, embeddings: str | None) -> _Measures:
    import numpy as np

    from personagen.metrics.statistics.association import lengths, sentiment
    from personagen.metrics.texts.embeddings import embed

    outcomes = {"length": lengths(both.texts)[:, 0].astype(np.float64)}
    if manifest["recipe"]["text"]["language"] == "en":
        outcomes["sentiment"] = sentiment(both.texts)[:, 0].astype(np.float64)
    predicted = None
    try:
        results = predictions(both, manifest, reference, embeddings)
        predicted = [prediction.label for prediction in results.predictions]
        agreed = [emotion == label for emotion, label in zip(predicted, both.labels, strict=True)]
        outcomes["agreement"] = np.array(agreed, dtype=np.float64)
    except ReleaseError:
        pass  # the audit lists the reason among its problems
    with raise_as(BackendError):
        return _Measures(outcomes, embed(both.texts, embeddings).vectors, predicted)


def _compare_pairs(attribute: str, both: Texts, pairs: _Pairs, measures: _Measures) -> CounterfactualContrast:
    import numpy as np

    sides = list(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))
    cosine = np.sum(measures.vectors[pairs.first] * measures.vectors[pairs.second], axis=1)
    predicted = measures.predicted
    return CounterfactualContrast(
        attribute,
        *pairs.values,
        pairs=len(sides),
        identical=float(np.mean([both.texts[first] == both.texts[second] for first, second in sides])),
        reclassified=None
        if predicted is None
        else float(np.mean([predicted[first] != predicted[second] for first, second in sides])),
        distance=float(np.clip(1 - cosine, 0, 2).mean()),
    )


def _effects(attribute: str, pairs: _Pairs, measures: _Measures) -> Iterator[CounterfactualEffect]:
    """Yield the effect on each outcome; p is not corrected yet."""
    from personagen.metrics.statistics.paired import clustered

    for outcome in PAIRED:
        values = measures.outcomes.get(outcome)
        if values is None:
            continue
        change = clustered(values[pairs.second] - values[pairs.first], pairs.personas)
        yield CounterfactualEffect(
            attribute, *pairs.values, outcome, change.value, change.low, change.high, change.p, None, len(pairs.first),
            change.reason,
        )  # fmt: skip
