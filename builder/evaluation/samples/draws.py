"""Draw the texts of a large release that are measured: those of whole personas, which are the independent units.

ids of the personas of all texts -> positions of the texts of some personas -> these texts
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personagen.builder.release.texts import Texts, draw_texts, read_texts, stream_columns
from personagen.builder.release.verdicts import count_texts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_TEXTS = 20_000
"""Upper bound on the texts that `evaluate` and `audit` measure, and on the counterfactuals of an attribute.

A release with no more texts is measured whole. Of a larger one, both measure the same texts where their seed is one.
"""

DRAWN = "random personas"
"""What is drawn, in the words of the results."""


SAMPLE = "sample"
"""Key of `scores.json` for what was drawn from a larger release; absent: all texts were measured."""


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredSample:
    """Texts of a release that are measured.

    Attributes:
        texts: the texts.
        total: number of texts that they were drawn from.
        seed: seed of the draw.

    """

    texts: Texts
    total: int
    seed: int

    @property
    def is_part(self) -> bool:
        """Whether the release has more texts."""
        return len(self.texts.texts) < self.total

    def counted(self) -> str:
        """Return the number of texts, and of how many."""
        count = f"{len(self.texts.texts)} texts"
        return f"{count} drawn from {self.total}" if self.is_part else count

    def facts(self) -> dict[str, Any]:
        """Return the sample as `scores.json` records it, without the figures of all texts."""
        return {"texts": len(self.texts.texts), "of": self.total, "draw": DRAWN, "seed": self.seed}


@dataclass(frozen=True, slots=True)
class MeasuredFacts:
    """A sample as `scores.json` records it.

    Attributes:
        texts: number of measured texts.
        of: number of texts that they were drawn from.
        draw: what was drawn at random.
        seed: seed of the draw.
        of_all_texts: figures that are of all texts, by metric.

    """

    texts: int
    of: int
    draw: str
    seed: int
    of_all_texts: Mapping[str, list[str]]


def sample_sentence(content: Mapping[str, Any]) -> str | None:
    """Return which texts of a release were measured, from the content of `scores.json`; None: all."""
    sample = content.get(SAMPLE)
    if not sample:
        return None
    whole = ", ".join(name for names in sample["of_all_texts"].values() for name in names)
    return (
        f"Measured: {sample['texts']:,} of {sample['of']:,} texts, those of {sample['draw']} (seed {sample['seed']}); "
        f"of all texts: {whole}."
    )


@dataclass(frozen=True, slots=True)
class AuditSample:
    """What was drawn from a release with more texts or counterfactuals than are audited.

    Attributes:
        of: number of texts that the audited ones were drawn from.
        draw: what was drawn at random.
        seed: seed of the draw.
        counterfactuals: numbers of audited and of all counterfactuals, of each attribute that has more than are
            audited.

    """

    of: int
    draw: str
    seed: int
    counterfactuals: Mapping[str, tuple[int, int]]

    def sentence(self, texts: int) -> str:
        """Return which texts and pairs were audited."""
        parts = [f"{texts:,} of {self.of:,} texts"]
        parts += [
            f"{part:,} of {whole:,} counterfactuals of {name}" for name, (part, whole) in self.counterfactuals.items()
        ]
        return f"Audited: {', '.join(parts)}, those of {self.draw} (seed {self.seed})."


def measured_sample(folder: Path, manifest: Mapping[str, Any], seed: int) -> MeasuredSample:
    """Read the texts to be measured: all, or those of as many random personas as have `MAX_TEXTS` texts.

    Raises:
        ReleaseError: a file cannot be read.

    """
    total = count_texts(manifest)
    if total <= MAX_TEXTS:
        return MeasuredSample(read_texts(folder, manifest), total, seed)
    numbers = random_personas(read_persona_ids(folder, manifest), MAX_TEXTS, seed)
    return MeasuredSample(draw_texts(folder, manifest, numbers), total, seed)


@dataclass(frozen=True, slots=True, eq=False)
class PersonaIds:
    """Personas of texts.

    Attributes:
        names: ids of the personas, each once; "": no persona.
        codes: position of each text's persona among the names, shape (texts,).

    """

    names: list[str]
    codes: "NDArray[np.intp]"


def read_persona_ids(folder: Path, manifest: Mapping[str, Any], configs: Sequence[str] | None = None) -> PersonaIds:
    """Read the id of each text's persona; memory holds each id once, and a number per text.

    Args:
        folder: the release.
        manifest: its manifest.
        configs: configurations to read. None: the emotions.

    Raises:
        ReleaseError: a file cannot be read.

    """
    import numpy as np

    numbers: dict[str, int] = {}
    parts = [np.zeros(0, dtype=np.intp)]
    for part in stream_columns(folder, manifest, ("persona_id",), configs):
        codes = [numbers.setdefault(id_ or "", len(numbers)) for id_ in part["persona_id"]]
        parts.append(np.array(codes, dtype=np.intp))
    return PersonaIds(list(numbers), np.concatenate(parts))


def random_personas(ids: PersonaIds, most: int, seed: int) -> list[int]:
    """Return the positions of all texts of random personas, as many as have `most` texts, in ascending order.

    A text without a persona counts as one of its own. If no persona has so few texts, single texts are drawn.
    """
    import numpy as np

    codes = _one_each(ids)
    sizes = np.bincount(codes)
    generator = np.random.default_rng([seed, 52])
    order = generator.permutation(len(sizes))
    is_chosen = np.zeros(len(sizes), dtype=bool)
    is_chosen[order[np.cumsum(sizes[order]) <= most]] = True
    rows = np.flatnonzero(is_chosen[codes])
    if not len(rows):
        rows = np.sort(generator.choice(len(codes), size=min(most, len(codes)), replace=False))
    return [int(row) for row in rows]


def _one_each(ids: PersonaIds) -> "NDArray[np.intp]":
    """Return the personas of texts, with a number of its own for each text without one."""
    import numpy as np

    if "" not in ids.names:
        return ids.codes
    without = ids.codes == ids.names.index("")
    codes = ids.codes.copy()
    codes[without] = len(ids.names) + np.arange(int(without.sum()))
    return np.unique(codes, return_inverse=True)[1].reshape(-1)
