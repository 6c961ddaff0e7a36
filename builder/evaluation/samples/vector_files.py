"""Sealed files with vectors of the texts of a release, in a folder or at an fsspec address.

A file is written once and never changed. Its name states the release, its part and the SHA-256 of its content; in it
are the hashes of the texts, their vectors, and the encoder. Where several files have a vector of one text, the first
file by name counts.
"""

import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from personagen.builder.core.errors import ReleaseError
from personagen.builder.core.foreign_text import quote
from personagen.builder.segments.shared_folder import SharedFolder, open_shared_folder

if TYPE_CHECKING:
    from personagen.metrics.texts.inputs import Vectors

FORMAT = "personagen-vectors/1"
"""Version of the layout of a file."""

SUFFIX = ".vectors.parquet"

NAME = re.compile(
    r"(?P<release>[0-9a-f]{16})\.part-(?P<part>\d+)-of-(?P<parts>\d+)\.file-(?P<file>\d+)-of-(?P<files>\d+)"
    r"\.(?P<checksum>[0-9a-f]{32})\.vectors\.parquet"
)

FILE_TEXTS = 5_000
"""Upper bound on the texts of a file; a worker that is stopped loses at most as many vectors."""

MAX_WIDTH = 65_536
"""Upper bound on the columns of a vector."""

KEY_BYTES = 32

UNIT_TOLERANCE = 1e-3
"""Largest distance of a vector's length from 1."""

METADATA = b"personagen"


@dataclass(frozen=True, slots=True)
class VectorSource:
    """What vectors belong to.

    Attributes:
        release: digest of the texts of the release.
        model: name of the encoder.
        revision: its version.

    """

    release: str
    model: str
    revision: str


@dataclass(frozen=True, slots=True)
class FilePlace:
    """Place of a file among those of a release.

    Attributes:
        part: number of the part, from 0.
        parts: number of parts.
        file: number of the file in its part, from 0.
        files: number of files of the part.

    """

    part: int
    parts: int
    file: int
    files: int

    def words(self) -> str:
        """Return the place as names of files have it."""
        return f"part-{self.part}-of-{self.parts}.file-{self.file}-of-{self.files}"


def open_folder(url: str) -> SharedFolder:
    """Return the folder of vectors at a path or address; see `open_shared_folder`."""
    return open_shared_folder(url, "vectors")


def sealed_file(vectors: "Mapping[bytes, Vectors]", source: VectorSource, place: FilePlace) -> tuple[str, bytes]:
    """Return name and content of a file of vectors by the hash of their text."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = np.stack([*vectors.values()]).astype("<f4")
    facts = {"format": FORMAT, **asdict(source), **asdict(place)}
    key = pa.array([*vectors], pa.binary(KEY_BYTES))
    vector = pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), rows.shape[1])
    table = pa.table({"key": key, "vector": vector}).replace_schema_metadata({METADATA: json.dumps(facts)})
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    content = buffer.getvalue()
    return f"{source.release}.{place.words()}.{_checksum(content)}{SUFFIX}", content


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def place_of(name: str, source: VectorSource, url: str) -> FilePlace:
    """Return the place that a name states.

    Raises:
        ReleaseError: it is no name of a file of vectors, or that of another release.

    """
    stated = NAME.fullmatch(name)
    if stated is None:
        raise ReleaseError(f"{url}/{name} has no name of a file of vectors; delete or rename it")
    if stated["release"] != source.release:
        raise ReleaseError(
            f"{url}/{name} has vectors of the release {stated['release']}, wanted {source.release}; give each release "
            "a folder of its own"
        )
    return FilePlace(*(int(stated[key]) for key in ("part", "parts", "file", "files")))


def read_vectors(
    folder: SharedFolder, source: VectorSource, only: Set[FilePlace] | None = None
) -> "Iterator[tuple[FilePlace, dict[bytes, Vectors]]]":
    """Yield place and vectors of each file, which has been checked.

    Args:
        folder: the files.
        source: what they must belong to.
        only: places of the files that are read, by their names. None: all.

    Raises:
        ReleaseError: a file is of another release or encoder, or was cut or altered.
        FolderError: a file cannot be read.

    """
    for name in (file for file in folder.sizes() if file.endswith(SUFFIX)):
        place = place_of(name, source, folder.url)
        if only is None or place in only:
            yield place, _opened(f"{folder.url}/{name}", folder.read(name), source, place)


def _opened(where: str, content: bytes, source: VectorSource, place: FilePlace) -> "dict[bytes, Vectors]":
    """Return the vectors of a file; errors are those of `read_vectors`."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not where.endswith(f".{_checksum(content)}{SUFFIX}"):
        raise ReleaseError(
            f"{where} was cut or altered: its SHA-256 is not that of its name; delete it, and encode its part again"
        )
    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        facts = json.loads((file.schema_arrow.metadata or {})[METADATA])
        _require_facts(where, facts, source, place)
        if file.metadata.num_rows > FILE_TEXTS:
            raise ValueError(f"{file.metadata.num_rows:,} texts, wanted {FILE_TEXTS:,} or fewer")
        kind = file.schema_arrow.field("vector").type
        if not pa.types.is_fixed_size_list(kind) or not 0 < kind.list_size <= MAX_WIDTH:
            raise ValueError(f"vectors are {kind}")
        table = file.read().combine_chunks()
        values = table["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        rows = values.astype(np.float32, copy=False).reshape(table.num_rows, kind.list_size)
        if not np.allclose(np.linalg.norm(rows, axis=1), 1, atol=UNIT_TOLERANCE):
            raise ValueError("vectors are not of length 1")
        return dict(zip(table["key"].to_pylist(), rows, strict=True))
    except (pa.ArrowException, ValueError, LookupError, TypeError, OSError) as error:
        raise ReleaseError(f"{where} is no file of vectors ({error!r:.120}); delete it") from None


def _require_facts(where: str, facts: Mapping[str, Any], source: VectorSource, place: FilePlace) -> None:
    """Raise ReleaseError unless the facts in a file are those of its name, of the release and of the encoder."""
    wanted = {"format": FORMAT, **asdict(source), **asdict(place)}
    for name, value in wanted.items():
        if facts.get(name) != value:
            raise ReleaseError(
                f"{where} has vectors of {name} {quote(str(facts.get(name)))}, wanted {quote(str(value))}; use the "
                "encoder and the version that wrote it, or another folder"
            )
