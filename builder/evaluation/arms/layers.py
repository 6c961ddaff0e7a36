"""Layers of the personas of a comparison, each in memory once: all texts of a persona, in every arm, have the same."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class SharedLayers:
    """Layers that were seen before, as the texts of a comparison have them."""

    _layers: dict[Any, dict[str, Any]] = field(default_factory=dict)
    _personas: dict[tuple[tuple[str, int], ...], dict[str, Mapping[str, Any]]] = field(default_factory=dict)

    def of(self, parts: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
        """Return layers by name as nested mappings; equal layers are one object, which must not be changed.

        Args:
            parts: layers by name, as frozen dataclasses.

        """
        layers: dict[str, Mapping[str, Any]] = {name: self._layer(part) for name, part in parts.items()}
        return self._personas.setdefault(tuple((name, id(layer)) for name, layer in layers.items()), layers)

    def _layer(self, part: Any) -> dict[str, Any]:
        known = self._layers.get(part)
        return self._layers.setdefault(part, asdict(part)) if known is None else known
