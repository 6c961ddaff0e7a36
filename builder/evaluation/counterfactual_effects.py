"""The measured effect of a persona's attribute: texts of rows against those of their counterfactuals, which differ in it alone.

rows and counterfactuals of a release -> pairs by two values of an attribute -> paired differences -> lines of the card
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personagen.builder.core.errors import BackendError, ReleaseError
from personagen.builder.core.records import COUNTERFACTUAL_PREFIX
from personagen.builder.evaluation.claims import LEVEL
from personagen.builder.release.measuring import predictions
from personagen.builder.release.texts import Texts, read_texts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EFFECTS: Mapping[str, str] = {
    "sentiment": "sentiment, from -1 to 1",
    "length": "words of a text",
    "agreement": "share of the texts in which the classifier reads their label",
}
"""What is compared in each pair."""


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """Pairs of texts of two values of an attribute: numbers of the texts with the first one and with the second."""

    first: "NDArray[np.intp]"
    second: "NDArray[np.intp]"
    personas: "NDArray[np.intp]"


def counterfactuals(
    folder: Path, manifest: Mapping[str, Any], written: Texts, reference: str, embeddings: str | None
) -> dict[str, list[dict[str, Any]]]:
    """Measure what changes with an attribute where nothing else does.

    Args:
        folder: the release.
        manifest: its manifest.
        written: all its texts.
        reference: real texts that a classifier is trained on, where the release has no predictions.
        embeddings: name of a sentence-transformers model; None for the default one.

    Returns:
        By attribute, for every two of its values that have pairs: "values"; "pairs"; "identical", the share of pairs
        that are the same word for word; "reread", the share in which the classifier reads another emotion; "distance",
        1 less the cosine of their vectors, on average; and "effects", the mean difference of the second value's texts
        to the first one's, with its 95 % interval, p, and p corrected for all of them (Holm).

    Raises:
        ReleaseError: a file cannot be read, or a counterfactual has no row.
        BackendError: the model of the embeddings cannot be loaded.

    """
    from personagen.metrics.statistics.paired import holm

    attributes = [name.removeprefix(COUNTERFACTUAL_PREFIX) for name in manifest["configs"] if name.startswith(COUNTERFACTUAL_PREFIX)]
    found = {name: list(_of_attribute(name, folder, manifest, written, (reference, embeddings))) for name in attributes}
    tests = [effect for rows in found.values() for row in rows for effect in row["effects"].values()]
    for effect, corrected in zip(tests, holm([effect["p"] for effect in tests]), strict=True):
        effect["p_corrected"] = corrected
    return found


def _of_attribute(
    attribute: str, folder: Path, manifest: Mapping[str, Any], written: Texts, options: tuple[str, str | None]
) -> Iterator[dict[str, Any]]:
    counterfactuals = read_texts(folder, manifest, [COUNTERFACTUAL_PREFIX + attribute])
    place = {row["id"]: number for number, row in enumerate(written.rows)}
    of = [place.get("-".join(row["id"].split("-")[:2])) for row in counterfactuals.rows]
    if None in of:
        raise ReleaseError(
            f"{folder}: a text of {COUNTERFACTUAL_PREFIX}{attribute} has no row that it is the counterfactual of; make it again"
        )
    kept = sorted({number for number in of if number is not None})
    both = written.take(kept).joined(counterfactuals)
    new = {number: position for position, number in enumerate(kept)}
    partners = [
        (new[number], len(kept) + counterfactual) for counterfactual, number in enumerate(of) if number is not None
    ]
    measures, vectors, read = _measured(both, manifest, *options)
    for values in combinations(manifest["recipe"]["counterfactual"]["attributes"][attribute], 2):
        pairs = _pairs(both, attribute, values, partners)
        if pairs is not None:
            yield {"values": list(values), **_compared(both, pairs, measures, vectors, read)}


def _pairs(both: Texts, attribute: str, values: tuple[str, ...], partners: Sequence[tuple[int, int]]) -> _Pairs | None:
    """Take the pairs of two values, the text of the first value first, whichever of them was written first."""
    import numpy as np

    sides = []
    for own, counterfactual in partners:
        told = both.personas[own][attribute], both.personas[counterfactual][attribute]
        if told in (values, values[::-1]):
            sides.append((own, counterfactual) if told == values else (counterfactual, own))
    if not sides:
        return None
    # A counterfactual's persona has the id of the other one and more.
    ids = [min(both.rows[first]["persona_id"], both.rows[second]["persona_id"], key=len) for first, second in sides]
    numbers = np.unique(ids, return_inverse=True)[1]
    first, second = (np.array([side[end] for side in sides], dtype=np.intp) for end in (0, 1))
    return _Pairs(first, second, numbers)


def _measured(
    both: Texts, manifest: Mapping[str, Any], reference: str, embeddings: str | None
) -> tuple[dict[str, "NDArray[np.float64]"], "NDArray[np.float32]", list[str] | None]:
    """Measure every text: numbers by name, vectors, and what a classifier reads (None where none can)."""
    import numpy as np

    from personagen.metrics.statistics.association import lengths, sentiment
    from personagen.metrics.texts.embeddings import embed

    measures = {"length": lengths(both.texts)[:, 0].astype(np.float64)}
    if manifest["recipe"]["text"]["language"] == "en":
        measures["sentiment"] = sentiment(both.texts)[:, 0].astype(np.float64)
    read = None
    try:
        read = [reading.label for reading in predictions(both, reference, embeddings)]
        right = [own == label for own, label in zip(read, both.labels, strict=True)]
        measures["agreement"] = np.array(right, dtype=np.float64)
    except ReleaseError:
        pass  # the audit has told why
    try:
        return measures, embed(both.texts, embeddings).vectors, read
    except (ValueError, ImportError) as error:
        raise BackendError(str(error)) from None


def _compared(
    both: Texts,
    pairs: _Pairs,
    measures: Mapping[str, "NDArray[np.float64]"],
    vectors: "NDArray[np.float32]",
    read: list[str] | None,
) -> dict[str, Any]:
    import numpy as np

    from personagen.metrics.statistics.paired import clustered

    sides = list(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))
    cosine = np.sum(vectors[pairs.first] * vectors[pairs.second], axis=1)
    return {
        "pairs": len(sides),
        "identical": float(np.mean([both.texts[first] == both.texts[second] for first, second in sides])),
        "reread": None if read is None else float(np.mean([read[first] != read[second] for first, second in sides])),
        "distance": float(np.clip(1 - cosine, 0, 2).mean()),
        "effects": {
            name: asdict(clustered(measures[name][pairs.second] - measures[name][pairs.first], pairs.personas))
            for name in EFFECTS
            if name in measures
        },
    }


def counterfactual_lines(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    """Tell in a line each what changes with an attribute where nothing else does."""
    for attribute, rows in found.items():
        for row in rows:
            effects = ", ".join(
                f"{name} {effect['value']:+.2g} [{effect['low']:+.2g}, {effect['high']:+.2g}]"
                f"{'*' if effect['p_corrected'] < LEVEL else ''}"
                for name, effect in row["effects"].items()
            )
            first, second = row["values"]
            reread = "" if row["reread"] is None else f", {row['reread']:.0%} are read as another emotion"
            yield (
                f"{attribute} {second} in the place of {first}, all else alike: of {row['pairs']} pairs "
                f"{row['identical']:.0%} are the same word for word{reread}; {effects}"
            )
