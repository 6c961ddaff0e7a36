"""Find the waiting texts that repeat an accepted one: texts that passed their checks and are not finalized yet."""

from personagen.builder.writing.finalization.fingerprints import Fingerprint, similarity


class WaitingTexts:
    """Index of waiting texts by position of their rows, in memory; it finds the same pairs as `DuplicateIndex`."""

    def __init__(self, threshold: float) -> None:
        """Create an empty index; `threshold`: similarity from which on two texts count as the same."""
        self._threshold = threshold
        self._fingerprints: dict[int, Fingerprint] = {}
        self._positions: dict[int, int | list[int]] = {}  # a list only if several texts share a band: half the memory

    def __len__(self) -> int:
        """Return the number of waiting texts."""
        return len(self._fingerprints)

    def add(self, position: int, fingerprint: Fingerprint) -> None:
        """Add the text of the row at a position of the plan."""
        self._fingerprints[position] = fingerprint
        for band_hash in fingerprint.hashes:
            earlier = self._positions.setdefault(band_hash, position)
            if isinstance(earlier, list):
                earlier.append(position)
            elif earlier != position:
                self._positions[band_hash] = [earlier, position]

    def remove(self, position: int) -> Fingerprint:
        """Remove the text of a row and return its fingerprint."""
        fingerprint = self._fingerprints.pop(position)
        for band_hash in fingerprint.hashes:
            if self._positions[band_hash] == position:
                del self._positions[band_hash]
            else:
                self._remove_from_band(band_hash, {position})
        return fingerprint

    def remove_near(self, fingerprint: Fingerprint) -> list[int]:
        """Remove the texts that are the same as this one or nearly so, and return their positions, in order."""
        shared = [self._positions[band_hash] for band_hash in fingerprint.hashes if band_hash in self._positions]
        if not shared:
            return []
        near = {
            position
            for position in {position for positions in shared for position in _as_list(positions)}
            if similarity(self._fingerprints[position].folded, fingerprint.folded) >= self._threshold
        }
        # Each band once, however many of the removed texts share it.
        removed = [self._fingerprints.pop(position) for position in near]
        for band_hash in {band_hash for text in removed for band_hash in text.hashes}:
            self._remove_from_band(band_hash, near)
        return sorted(near)

    def _remove_from_band(self, band_hash: int, removed: set[int]) -> None:
        remaining = [position for position in _as_list(self._positions[band_hash]) if position not in removed]
        if not remaining:
            del self._positions[band_hash]
        else:
            self._positions[band_hash] = remaining if len(remaining) > 1 else remaining[0]


def _as_list(positions: int | list[int]) -> list[int]:
    return [positions] if isinstance(positions, int) else positions
