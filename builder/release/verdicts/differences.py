"""In which figure of style the texts differ most from real ones, and which figures they have by design."""

from collections.abc import Mapping
from typing import Any

from personagen.builder.core.package_data import read_template_yaml, read_yaml
from personagen.builder.release.verdicts.content import number_in, results_of
from personagen.metrics.texts.reference import SLICES

DIFFERENCE = "_difference"
"""Ending of the key of a figure's difference from real texts."""


def difference_sentence(scores: Mapping[str, Any] | None) -> str | None:
    """Return the figure of style that is farthest from real texts; None: not measured.

    Figures have different units. Each distance is divided by the half-width of the interval that holds 95 % of the
    values of as many real texts.
    """
    realism = results_of(scores, "realism")
    distances = {name: distance for name in _figures(realism) if (distance := _distance(realism, name)) is not None}
    if not distances:
        return None
    farthest = max(distances, key=lambda name: (distances[name], name))
    outside = [name for name in distances if realism.get(f"{name}_in_null") is False]
    meaning = f" ({measures('realism')[farthest][1]})" if farthest in measures("realism") else ""
    return (
        f"{len(outside) or 'None'} of {len(distances)} figures of style {'is' if len(outside) == 1 else 'are'} outside "
        f"the range of as many real texts. The texts differ most in {farthest}{meaning}: {realism[farthest]:.3g}, "
        f"real texts {realism[f'{farthest}_null']:.3g}."
    )


def _figures(realism: Mapping[str, Any]) -> list[str]:
    return [key.removesuffix(DIFFERENCE) for key in realism if key.endswith(DIFFERENCE)]


def _distance(realism: Mapping[str, Any], name: str) -> float | None:
    """Return the distance of a figure from real texts, in half-widths of their interval; None: it is unknown."""
    difference, ends = number_in(realism, f"{name}{DIFFERENCE}"), realism.get(f"{name}_null_ci")
    if difference is None or not isinstance(ends, list | tuple) or len(ends) != 2:
        return None
    low, high = number_in({"end": ends[0]}, "end"), number_in({"end": ends[1]}, "end")
    known = all(number_in(realism, key) is not None for key in (name, f"{name}_null"))
    return 2 * abs(difference) / (high - low) if known and low is not None and high is not None and high > low else None


def styled_concern(manifest: Mapping[str, Any], scores: Mapping[str, Any] | None) -> str | None:
    """Return that figures of style are met by design; None: no style profile is of a corpus of the scores."""
    if scores is None:
        return None
    compared = {scores.get("reference", {}).get("name"), *(SLICES.get(name, name) for name in scores.get("slices", {}))}
    styles = [name for name in manifest["recipe"]["text"].get("style") or () if SLICES.get(name) in compared]
    if not styles:
        return None
    corpora = ", ".join(f"{name}: {read_yaml('styles.yaml')[name]['source'].split(' (')[0]}" for name in styles)
    return (
        f"Length, expression and surface of the texts were dealt from style profiles of corpora that they are compared "
        f"with ({corpora}). Figures of style near those of real texts are therefore no evidence on the model."
    )


def measures(metric: str) -> Mapping[str, tuple[str, str]]:
    """Return direction and meaning of the measures of a metric."""
    table: Mapping[str, Mapping[str, tuple[str, str]]] = read_template_yaml("measures.yaml")
    return table.get(metric, {})
