"""Redundancy of a corpus: how far its bytes can be packed."""

import hashlib
import lzma
from collections.abc import Sequence

MOST_DISTANCE = 1 << 27
"""Bytes across which a copy is found: 128 MiB. gzip finds none beyond 32 KiB: it is blind to a corpus that repeats."""

LEAST_DISTANCE = 4096
"""The least that xz takes."""


def compression_ratio(texts: Sequence[str]) -> float | None:
    """Return bytes over bytes packed by xz; higher is more redundant, and two copies of a corpus get twice the ratio.

    Texts are packed in the order of their hashes, so that it does not matter in which order they come. Shaib et al.
    (arXiv 2403.00553) pack with gzip. None where there are no bytes.
    """
    coded = (text.encode("utf-8", "surrogatepass") for text in texts)
    data = b"\n".join(sorted(coded, key=lambda each: hashlib.sha256(each).digest()))
    if not data:
        return None
    reach = min(max(len(data), LEAST_DISTANCE), MOST_DISTANCE)
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": reach}]
    return len(data) / len(lzma.compress(data, format=lzma.FORMAT_RAW, filters=filters))
