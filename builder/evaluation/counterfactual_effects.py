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
from personagen.builder.evaluation.samples.draws import MAX_TEXTS, random_personas, read_persona_ids
from personagen.builder.release.folder import MEND
from personagen.builder.release.measuring import predictions
from personagen.builder.release.texts import Texts, draw_texts, stream_columns

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


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredPairs:
    """Effects of the attributes of a release that has counterfactuals.

    Attributes:
        contrasts: one record per attribute and two of its values that have pairs.
        effects: the effects on each outcome, whose p is corrected for all of them (Holm).
        drawn: numbers of measured and of all counterfactuals of each attribute that has more than are measured.

    """

    contrasts: list[CounterfactualContrast]
    effects: list[CounterfactualEffect]
    drawn: Mapping[str, tuple[int, int]]


def counterfactual_effects(
    folder: Path, manifest: Mapping[str, Any], reference: str, embeddings: str | None, seed: int
) -> MeasuredPairs:
    """Measure the changes between rows and their counterfactuals.

    Of an attribute with more than `MAX_TEXTS` counterfactuals, those of random personas are measured.

    Args:
        folder: the release.
        manifest: its manifest.
        reference: real texts that train a classifier if the release has no predictions.
        embeddings: name of a sentence-transformers model; None: the default model.
        seed: seed of the draw.

    Raises:
        ReleaseError: a file cannot be read, or a counterfactual has no row.
        BackendError: the embedding model cannot be loaded.

    """
    pairs: list[CounterfactualContrast] = []
    effects: list[CounterfactualEffect] = []
    drawn: dict[str, tuple[int, int]] = {}
    for attribute in changed_attributes(manifest):
        matched = matched_texts(folder, manifest, attribute, seed)
        if len(matched.partners) < matched.total:
            drawn[attribute] = len(matched.partners), matched.total
        measures = _measure(matched.texts, manifest, reference, embeddings)
        for values in combinations(manifest["recipe"]["counterfactual"]["attributes"][attribute], 2):
            selected = _pairs(matched.texts, attribute, values, matched.partners)
            if selected is not None:
                pairs.append(_compare_pairs(attribute, matched.texts, selected, measures))
                effects.extend(_effects(attribute, selected, measures))
    return MeasuredPairs(pairs, corrected_effects(effects), drawn)


def changed_attributes(manifest: Mapping[str, Any]) -> list[str]:
    """Return the attributes that a release has counterfactuals of."""
    configs = (name for name in manifest["configs"] if name.startswith(COUNTERFACTUAL_PREFIX))
    return [name.removeprefix(COUNTERFACTUAL_PREFIX) for name in configs]


def corrected_effects(effects: Sequence[CounterfactualEffect]) -> list[CounterfactualEffect]:
    """Return the effects with p corrected for the number of those that have one (Holm)."""
    from personagen.metrics.statistics.paired import holm

    corrected = iter(holm([effect.p for effect in effects if effect.p is not None]))
    return [effect if effect.p is None else replace(effect, p_corrected=next(corrected)) for effect in effects]


@dataclass(frozen=True, slots=True, eq=False)
class MatchedTexts:
    """Rows of a release that have a counterfactual, followed by the counterfactuals.

    Attributes:
        texts: all these texts.
        partners: for each counterfactual the position of its row and its own.
        total: number of counterfactuals that they were drawn from.

    """

    texts: Texts
    partners: list[tuple[int, int]]
    total: int


def matched_texts(folder: Path, manifest: Mapping[str, Any], attribute: str, seed: int) -> MatchedTexts:
    """Read the counterfactuals of an attribute and their rows; memory holds no other texts.

    Raises:
        ReleaseError: a file cannot be read, or a counterfactual has no row.

    """
    config = [COUNTERFACTUAL_PREFIX + attribute]
    total = sum(manifest["configs"][config[0]]["rows"].values())
    numbers: Sequence[int] = range(total)
    if total > MAX_TEXTS:
        numbers = random_personas(read_persona_ids(folder, manifest, config), MAX_TEXTS, seed)
    counterfactuals = draw_texts(folder, manifest, numbers, config)
    originals = [row["counterfactual_of"] for row in counterfactuals.rows]
    rows = _rows_of(folder, manifest, frozenset(originals))
    if not rows.keys() >= {*originals}:
        raise ReleaseError(f"{folder}: a text of {config[0]} has no row that it is the counterfactual of; {MEND}")
    kept = sorted(rows.values())
    positions = {number: position for position, number in enumerate(kept)}
    partners = [(positions[rows[id_]], len(kept) + position) for position, id_ in enumerate(originals)]
    return MatchedTexts(draw_texts(folder, manifest, kept).joined(counterfactuals), partners, total)


def _rows_of(folder: Path, manifest: Mapping[str, Any], ids: frozenset[str]) -> dict[str, int]:
    """Return the positions of the texts with these ids."""
    rows: dict[str, int] = {}
    start = 0
    for part in stream_columns(folder, manifest, ("id",)):
        rows |= {id_: start + number for number, id_ in enumerate(part["id"]) if id_ in ids}
        start += len(part["id"])
    return rows


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
