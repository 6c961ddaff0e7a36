"""Redundancy of a corpus: how far its bytes can be packed."""

import hashlib
import lzma
from collections import Counter
from collections.abc import Sequence

MOST_DISTANCE = 1 << 27
"""Bytes across which a copy is found: 128 MiB. gzip finds none beyond 32 KiB: it is blind to a corpus that repeats."""

LEAST_DISTANCE = 4096
"""The least that xz takes."""


def compression_ratio(texts: Sequence[str]) -> float | None:
    """Return bytes over bytes packed by xz; higher is more redundant, and two copies of a corpus get twice the ratio.

    Texts are packed in the order of their hashes, so that it does not matter in which order they come; all of them
    first, then those that came a second time, and so on. Shaib et al. (arXiv 2403.00553) pack with gzip. None where
    there are no bytes.
    """
    times: Counter[bytes] = Counter()
    found: list[tuple[int, bytes, bytes]] = []
    for text in texts:
        coded = text.encode("utf-8", "surrogatepass")
        found.append((times[coded], hashlib.sha256(coded).digest(), coded))
        times[coded] += 1
    data = b"\n".join(coded for _, _, coded in sorted(found))
    if not data:
        return None
    reach = min(max(len(data), LEAST_DISTANCE), MOST_DISTANCE)
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": reach}]
    return len(data) / len(lzma.compress(data, format=lzma.FORMAT_RAW, filters=filters))
