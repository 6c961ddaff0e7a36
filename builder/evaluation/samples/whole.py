"""Figures that are taken of all texts of a release, however many: they are counted as row groups are read.

Of a release that is measured by a sample, they replace those of the sample.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personagen.builder.evaluation.samples.draws import PersonaIds, read_persona_ids
from personagen.builder.release.composition import COUNTED, attributes_of
from personagen.builder.release.tables.missing import NOT_GIVEN
from personagen.builder.release.texts import stream_columns, stream_personas

if TYPE_CHECKING:
    from personagen.metrics.diversity.personas import Attributes

DIGEST_BYTES = 12
"""Bytes of the hash by which equal texts are found: of a million texts, two different ones share it once in 10^17."""


@dataclass(frozen=True, slots=True)
class WholeFigures:
    """Figures of all texts of a release.

    Attributes:
        mean_words: mean number of words per text.
        duplicate_share: fraction of texts that repeat an earlier one, apart from case and white space.
        copied_share: fraction of texts that are among the real ones, in the same sense.
        persona_pair_coverage: see `pair_coverage` of the metric; None: fewer than two attributes.
        persona_evenness: see `evenness` of the metric; empty: no text has a persona.

    """

    mean_words: float
    duplicate_share: float
    copied_share: float
    persona_pair_coverage: float | None
    persona_evenness: Mapping[str, float]

    def by_metric(self) -> dict[str, dict[str, Any]]:
        """Return the figures by metric and key of its results; those of personas only if there are some."""
        diversity = {"mean_words": self.mean_words, "duplicate_share": self.duplicate_share}
        personas = {
            "persona_pair_coverage": self.persona_pair_coverage,
            "persona_evenness": dict(self.persona_evenness),
        }
        return {
            "diversity": {**diversity, **(personas if self.persona_evenness else {})},
            "realism": {"copied_share": self.copied_share},
        }


def measure_whole(folder: Path, manifest: Mapping[str, Any], real: Iterable[str]) -> WholeFigures:
    """Measure all texts of a release; memory holds a short hash of each text, and the ids of the personas.

    Args:
        folder: the release.
        manifest: its manifest.
        real: real texts.

    Raises:
        ReleaseError: a file cannot be read.

    """
    from personagen.metrics.texts.words import count_words, normalise

    known = frozenset(map(normalise, real))
    seen: set[bytes] = set()
    texts = words = copied = 0
    for part in stream_columns(folder, manifest, ("text",)):
        for text in part["text"]:
            plain = normalise(text)
            seen.add(hashlib.blake2b(plain.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES).digest())
            words += count_words(text)
            copied += plain in known
        texts += len(part["text"])
    count = max(texts, 1)
    shares = words / count, (texts - len(seen)) / count, copied / count
    return WholeFigures(*shares, *_of_personas(folder, manifest))


def _of_personas(folder: Path, manifest: Mapping[str, Any]) -> tuple[float | None, dict[str, float]]:
    """Return coverage and evenness of the attributes of personas, each persona weighted by its texts."""
    from personagen.metrics.diversity.personas import coverage_of, evenness_of

    texts_of = _texts_of(read_persona_ids(folder, manifest))
    values: dict[str, Counter[str]] = {}
    pairs: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for id_, attributes in _complete(stream_personas(folder, manifest)):
        for name, value in attributes.items():
            values.setdefault(name, Counter())[value] += texts_of[id_]
        for one, other in combinations(sorted(attributes), 2):
            pairs.setdefault((one, other), set()).add((attributes[one], attributes[other]))
    stated = {name for name, counts in values.items() if set(counts) != {NOT_GIVEN}}
    pairs = {names: found for names, found in pairs.items() if stated.issuperset(names)}
    return coverage_of(pairs), evenness_of({name: values[name] for name in stated})


def _texts_of(ids: PersonaIds) -> dict[str, int]:
    import numpy as np

    return dict(zip(ids.names, np.bincount(ids.codes, minlength=len(ids.names)).tolist(), strict=True))


def _complete(
    personas: Iterable[tuple[str, Mapping[str, Mapping[str, Any]]]],
) -> Iterator[tuple[str, "Attributes"]]:
    """Yield personas with the attributes of their layers; one that a source lacks is "not given"."""
    for id_, layers in personas:
        attributes = attributes_of(layers)
        names: Sequence[str] = [name for layer, names in COUNTED.items() if layers.get(layer) for name in names]
        yield id_, {name: attributes.get(name, NOT_GIVEN) for name in names}
