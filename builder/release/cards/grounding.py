"""Describe the real texts in the prompts of a release, with the terms of their sources, by its manifest."""

from collections.abc import Iterator, Mapping
from typing import Any

USES: Mapping[str, str] = {"examples": "as examples", "paraphrase": "to be said in other words"}
"""Keys of sources in the manifest, and how the prompts use their texts."""


def grounding_sources(manifest: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the sources of the real texts in the prompts by their use; one that is used twice counts once."""
    sources: dict[str, Mapping[str, Any]] = {}
    for key, use in USES.items():
        if source := manifest.get("grounding", {}).get(key):
            same = next((name for name, other in sources.items() if other == source), None)
            if same is not None:
                del sources[same]
            sources[use if same is None else f"{same} and {use}"] = source
    return sources


def grounding_lines(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the prompts show of real texts, one line per source, and how texts were drawn."""
    grounding = manifest.get("grounding") or {}
    for use, source in grounding_sources(manifest).items():
        yield f"texts of {source['source']} ({source['digest']}) {use}; {_terms(source)}"
    if "texts" in grounding:
        yield (
            f"{grounding['texts']:,} distinct real texts were shown in the prompts of {grounding['rows']:,} texts; "
            "`provenance.real_texts` names them. Do not compare the texts against these"
        )
    if grounding.get("verbalized"):
        yield "each text was drawn from five by the probabilities that the model stated (verbalized sampling)"


def shown_count(manifest: Mapping[str, Any]) -> str | None:
    """Return how many distinct real texts the prompts show, for a list of facts; None: they show none."""
    grounding = manifest.get("grounding") or {}
    names = ", ".join(dict.fromkeys(str(source["source"]) for source in grounding_sources(manifest).values()))
    return f"{grounding['texts']:,} of {names}" if "texts" in grounding else None


def _terms(source: Mapping[str, Any]) -> str:
    licence = source["license"] or "unknown"
    return f"licence: {licence}" + (f"; credit: {source['attribution']}" if source["attribution"] else "")
