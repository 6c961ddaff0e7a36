"""Redundancy of a corpus: the compression ratio of its bytes."""

import hashlib
import lzma
from collections import Counter
from collections.abc import Sequence

MAX_WINDOW_BYTES = 1 << 27
"""Distance across which xz finds a copy: 128 MiB. gzip finds none beyond 32 KiB and misses a corpus that repeats."""

MIN_WINDOW_BYTES = 4096
"""Smallest window that xz accepts."""


def compression_ratio(texts: Sequence[str]) -> float | None:
    """Return bytes over bytes compressed by xz; a higher ratio is more redundant. None: no bytes.

    Two copies of a corpus get twice the ratio. Texts are compressed in the order of their hashes, so that their order
    does not matter: first one copy of each, then the second copies, and so on. Shaib et al. (arXiv 2403.00553)
    compress with gzip.
    """
    times: Counter[bytes] = Counter()
    entries: list[tuple[int, bytes, bytes]] = []
    for text in texts:
        coded = text.encode("utf-8", "surrogatepass")
        entries.append((times[coded], hashlib.sha256(coded).digest(), coded))
        times[coded] += 1
    data = b"\n".join(coded for _, _, coded in sorted(entries))
    if not data:
        return None
    window = min(max(len(data), MIN_WINDOW_BYTES), MAX_WINDOW_BYTES)
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": window}]
    return len(data) / len(lzma.compress(data, format=lzma.FORMAT_RAW, filters=filters))
