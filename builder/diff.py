"""Compare two releases: their recipes, models and prompts, and text by text what was added, removed or changed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from personagen.builder.core.result_table import ResultTable
from personagen.builder.planning.recipe.differences import RecipeDifference, recipe_differences
from personagen.builder.release.folder import check_manifest, read_manifest
from personagen.builder.release.texts import text_digests

FACTS = ("name", "version", "personagen", "model", "models", "prompts", "license")
"""Keys of the manifest that are compared beside the recipe; a release has some of them only where it needs them."""


@dataclass(frozen=True, slots=True)
class TextCounts:
    """Texts of one configuration in two releases, matched by id.

    Attributes:
        config: name of the configuration.
        equal: rows with equal id and equal text.
        changed: rows with equal id and another text.
        removed: rows of the first release whose id the second lacks.
        added: rows of the second release whose id the first lacks.

    """

    config: str
    equal: int
    changed: int
    removed: int
    added: int


@dataclass(frozen=True, slots=True)
class MeasureDifference:
    """A score in the cards of both releases.

    Attributes:
        measure: name of the score, as in the card.
        one: value in the first release, with its interval.
        other: value in the second release, with its interval.

    """

    measure: str
    one: str
    other: str


@dataclass(frozen=True, slots=True)
class ReleaseComparison:
    """Differences between two releases.

    Attributes:
        recipe: settings that differ.
        facts: other keys of the manifest that differ, such as "model.name".
        texts: counts of texts per configuration.
        measures: scores that differ; empty if one of the releases has not been evaluated.

    """

    recipe: ResultTable[RecipeDifference]
    facts: ResultTable[RecipeDifference]
    texts: ResultTable[TextCounts]
    measures: ResultTable[MeasureDifference]

    @property
    def is_equal(self) -> bool:
        """Whether recipe, facts and all texts are equal."""
        return (
            not self.recipe
            and not self.facts
            and all(count.changed == count.removed == count.added == 0 for count in self.texts)
        )


def diff(one: str | PathLike[str], other: str | PathLike[str]) -> ReleaseComparison:
    """Compare two releases.

    Args:
        one: folder of a release.
        other: folder of another release, which is compared with it.

    Raises:
        ReleaseError: a folder is no release, or a file cannot be read.

    """
    folders = (Path(one), Path(other))
    left, right = (_manifest(folder) for folder in folders)
    return ReleaseComparison(
        ResultTable(RecipeDifference, tuple(recipe_differences(left["recipe"], right["recipe"]))),
        ResultTable(RecipeDifference, tuple(recipe_differences(_facts(left), _facts(right)))),
        ResultTable(TextCounts, tuple(_text_counts(folders, (left, right)))),
        ResultTable(MeasureDifference, tuple(_measures(left, right))),
    )


def _manifest(folder: Path) -> dict[str, Any]:
    manifest = read_manifest(folder)
    check_manifest(manifest, str(folder))
    return manifest


def _facts(manifest: Mapping[str, Any]) -> dict[str, Any]:
    facts = {key: manifest[key] for key in FACTS if key in manifest}
    source = manifest["personas"].get("source")  # the recipe has its name alone
    return facts if source is None else facts | {"personas": {"source": source}}


def _text_counts(
    folders: tuple[Path, Path], manifests: tuple[Mapping[str, Any], Mapping[str, Any]]
) -> Iterator[TextCounts]:
    """Yield the counts of each configuration of texts: emotions, then those that repeat rows."""
    one, other = (text_digests(folder, manifest) for folder, manifest in zip(folders, manifests, strict=True))
    for config in [*one, *(name for name in other if name not in one)]:
        left, right = one.get(config, {}), other.get(config, {})
        shared = left.keys() & right.keys()
        equal = sum(left[id_] == right[id_] for id_ in shared)
        yield TextCounts(config, equal, len(shared) - equal, len(left) - len(shared), len(right) - len(shared))


def _measures(left: Mapping[str, Any], right: Mapping[str, Any]) -> Iterator[MeasureDifference]:
    """Yield the scores in the cards of both releases that differ."""
    one, other = ({row["metric"]: row["value"] for row in manifest.get("scores") or ()} for manifest in (left, right))
    for measure in one:
        if measure in other and one[measure] != other[measure]:
            yield MeasureDifference(measure, one[measure], other[measure])
