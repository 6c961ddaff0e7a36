"""Texts of a report in groups (synthetic and real ones, or the arms of a comparison), and their map."""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from personagen.builder.core.errors import BackendError, raise_as

MAX_TEXTS = 3000
"""Upper bound on the texts of a page, divided evenly among its groups."""

COLOURS = (
    "#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#ff8ab7", "#a463f2", "#97bbf5", "#9c6b4e", "#c2255c",
)  # fmt: skip
"""Colours of groups and emotions, in their order; repeated after the tenth."""

REAL_COLOUR = "#8b93a3"
"""Colour of real texts and of expected values: grey, the ground of each chart."""

Point = tuple[float, float]
"""Position of a text on the map."""


@dataclass(frozen=True, slots=True)
class ReportText:
    """One text of the page.

    Attributes:
        source: name of its group.
        id: id of its row; empty for a real text.
        text: the text.
        label: the intended emotion; None for a real text without a label.
        prediction: the emotion that the classifier predicts; None: not classified.
        confidence: the classifier's confidence, in [0, 1]; None: not classified.
        persona: layers by name; None: no persona.
        facts: further facts by name, such as provenance; None for a real text.

    """

    source: str
    id: str
    text: str
    label: str | None
    prediction: str | None = None
    confidence: float | None = None
    persona: Mapping[str, Mapping[str, Any]] | None = None
    facts: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class TextGroup:
    """Texts of one source, which charts draw in one colour.

    Attributes:
        name: name of the source.
        texts: the sample that the page shows.
        total: number of texts that the sample was drawn from.
        colour: colour as #rrggbb.
        real: whether people wrote the texts.
        visible: whether charts of several groups show it when the page opens; the legend shows the others.

    """

    name: str
    texts: Sequence[ReportText]
    total: int
    colour: str
    real: bool = False
    visible: bool = True


def sample(count: int, limit: int, seed: int) -> list[int]:
    """Draw at most `limit` of `count` indices, in ascending order."""
    return sorted(random.Random(seed).sample(range(count), min(count, limit)))


def project_texts(groups: Iterable[TextGroup], embeddings: str | None, seed: int) -> list[Point]:
    """Return the position of every text of every group on a t-SNE map of their embeddings.

    Args:
        groups: the groups, in the order of the result.
        embeddings: name of a sentence-transformers model; None: the default model.
        seed: seed of the map.

    Raises:
        BackendError: the embedding model cannot be loaded.

    """
    from personagen.metrics.statistics.projection import project
    from personagen.metrics.texts.embeddings import embed

    with raise_as(BackendError):
        vectors = embed([text.text for group in groups for text in group.texts], embeddings).vectors
    return [(round(float(x), 3), round(float(y), 3)) for x, y in project(vectors, seed)]
