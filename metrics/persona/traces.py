"""What texts show of their personas, attribute by attribute: by words, and to a reader model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from personagen.metrics.persona.recovery import RecoveredByReader, recovered_by_reader
from personagen.metrics.persona.shown import ANY, ShownByWords, shown_by_words
from personagen.metrics.persona.words import ENGLISH_ONLY
from personagen.metrics.statistics.groups import Codes, codes_of
from personagen.metrics.statistics.paired import holm
from personagen.metrics.texts.inputs import Vectors

MAX_TEXTS = 1000
"""Texts that are measured; of more, a sample of whole personas is drawn, since time grows with their square."""

NO_WORDS = "no list has words for its values"
"""Why an attribute has no figures by words."""

NO_READER = "texts have no single attribute here"
"""Why the record of all attributes has no figures of a reader."""


@dataclass(frozen=True, slots=True)
class AttributeTrace:
    """What texts show of one attribute of their personas.

    Attributes:
        attribute: name of the attribute; "any": one or more of those that words can show.
        n: number of texts.
        personas: number of personas.
        shown: fraction of texts with words that go with the persona's value. None: see `words_reason`.
        shown_chance: the same with the personas of other texts of the label.
        precision: `shown` over the fraction of texts with words that go with any value.
        shown_low: lower end of the 95 % interval of `shown` less `shown_chance`.
        shown_high: upper end.
        shown_p: p that `shown` is chance, corrected over the attributes (Holm).
        words_reason: why a figure by words is missing. None: none is.
        auc: area under the ROC curve of a reader model that predicts the attribute; 0.5: chance. None: see
            `reader_reason`.
        auc_chance: the same with shuffled personas.
        auc_low: lower end of the 95 % interval of `auc`.
        auc_high: upper end.
        auc_p: p that `auc` is chance, corrected over the attributes (Holm).
        reader_reason: why the reader has no figures. None: it has.

    """

    attribute: str
    n: int
    personas: int
    shown: float | None = None
    shown_chance: float | None = None
    precision: float | None = None
    shown_low: float | None = None
    shown_high: float | None = None
    shown_p: float | None = None
    words_reason: str | None = None
    auc: float | None = None
    auc_chance: float | None = None
    auc_low: float | None = None
    auc_high: float | None = None
    auc_p: float | None = None
    reader_reason: str | None = None


def persona_traces(  # noqa: PLR0913 - the parts of one measurement
    texts: Sequence[str],
    vectors: Vectors,
    labels: Sequence[str],
    personas: Sequence[Mapping[str, str]],
    persona_ids: Sequence[str],
    *,
    is_english: bool = True,
    seed: int = 0,
) -> list[AttributeTrace]:
    """Measure what texts show of their personas.

    Args:
        texts: the texts.
        vectors: their vectors, shape (n, d).
        labels: label of each text.
        personas: attributes of the persona of each text, by name; an age is a number of years.
        persona_ids: id of the persona of each text.
        is_english: whether the texts are English; False: the figures by words are None.
        seed: seed of folds, shuffles and the sample.

    Returns:
        One record per attribute, and one of all attributes that words can show; empty: there are no attributes.

    """
    groups = codes_of(persona_ids)
    rows = _sample(groups, seed)
    groups = np.unique(groups[rows], return_inverse=True)[1].reshape(-1)
    drawn_texts, drawn_labels = [texts[row] for row in rows], [labels[row] for row in rows]
    owners = [personas[row] for row in rows]
    by_words = shown_by_words(drawn_texts, drawn_labels, owners, groups, seed) if is_english else []
    by_reader = recovered_by_reader(vectors[rows], drawn_labels, owners, groups, seed)
    shown = {record.attribute: record for record in by_words}
    recovered = {record.attribute: record for record in by_reader}
    shown_p = _corrected({name: record.p for name, record in shown.items() if name != ANY})
    shown_p |= {ANY: shown[ANY].p} if ANY in shown else {}
    auc_p = _corrected({name: record.p for name, record in recovered.items()})
    count = int(groups.max(initial=-1)) + 1
    missing = NO_WORDS if is_english else ENGLISH_ONLY
    return [
        AttributeTrace(
            name,
            len(rows),
            count,
            **_words_part(shown.get(name), shown_p.get(name), missing),
            **_reader_part(recovered.get(name), auc_p.get(name)),
        )
        for name in dict.fromkeys((*recovered, *shown))
    ]


def _sample(groups: Codes, seed: int) -> NDArray[np.intp]:
    """Return the positions of all texts, or those of as many whole personas as have `MAX_TEXTS` texts."""
    if len(groups) <= MAX_TEXTS:
        return np.arange(len(groups))
    sizes = np.bincount(groups)
    order = np.random.default_rng([seed, 50]).permutation(len(sizes))
    chosen = order[np.cumsum(sizes[order]) <= MAX_TEXTS]
    return np.flatnonzero(np.isin(groups, chosen))


def _corrected(p_values: Mapping[str, float | None]) -> dict[str, float | None]:
    known = {name: p for name, p in p_values.items() if p is not None}
    return {**p_values, **dict(zip(known, holm(list(known.values())), strict=True))}


def _words_part(record: ShownByWords | None, p: float | None, missing: str) -> dict[str, Any]:
    if record is None:
        return {"words_reason": missing}
    return {
        "shown": record.shown,
        "shown_chance": record.chance,
        "precision": record.precision,
        "shown_low": record.low,
        "shown_high": record.high,
        "shown_p": p,
        "words_reason": record.reason,
    }


def _reader_part(record: RecoveredByReader | None, p: float | None) -> dict[str, Any]:
    if record is None:
        return {"reader_reason": NO_READER}
    return {
        "auc": record.auc,
        "auc_chance": record.chance,
        "auc_low": record.low,
        "auc_high": record.high,
        "auc_p": p,
        "reader_reason": record.reason,
    }
