"""Encode the texts of a release that are measured, in parts that several machines can fill.

release -> texts that `evaluate`, `audit` and `report` use -> part I of N -> vectors -> sealed files
sealed files -> cache of this machine -> `evaluate`, `audit`, `report`
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from personagen.builder.core.errors import BackendError, raise_as
from personagen.builder.core.progress import SILENT, Progress
from personagen.builder.evaluation.counterfactual_effects import changed_attributes, matched_texts
from personagen.builder.evaluation.samples.draws import measured_sample
from personagen.builder.evaluation.samples.vector_files import (
    FILE_TEXTS,
    FilePlace,
    VectorSource,
    open_folder,
    read_vectors,
    sealed_file,
)
from personagen.builder.planning.parts import Part
from personagen.builder.release.folder import check_release
from personagen.builder.release.measuring import require_metrics_extra
from personagen.builder.release.texts import draw_texts
from personagen.builder.release.verdicts import count_texts

PAGE_TEXTS = 1500
"""Upper bound on the texts of a release that its page shows."""


@dataclass(frozen=True, slots=True)
class EncodingSettings:
    """Settings of the encoding of one part.

    Attributes:
        vectors: folder or fsspec address of the files.
        part: the part.
        embeddings: name of a sentence-transformers model; None: the default model.
        seed: seed of the draws of the texts; that of the evaluation, the audit and the page.

    """

    vectors: str
    part: Part
    embeddings: str | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class EncodedPart:
    """Result of the encoding of one part.

    Attributes:
        texts: number of different texts of the part.
        of: number of different texts of all parts.
        files: number of files of the part.
        written: number of those that this call has written; the others were there.

    """

    texts: int
    of: int
    files: int
    written: int


def encode(folder: str | Path, settings: EncodingSettings, *, progress: Progress = SILENT) -> EncodedPart:
    """Encode one part of the texts of a release that are measured, and write the vectors that are not there yet.

    Args:
        folder: the release; its files are checked against the manifest first.
        settings: which part, and where.
        progress: receiver of steps and counts.

    Raises:
        ReleaseError: the folder is no release or was altered, or a file of the part was cut or altered.
        BackendError: a package is missing, or the model cannot be loaded.
        FolderError: the files cannot be read or written.

    """
    from personagen.metrics.texts.embeddings import embed

    require_metrics_extra()
    folder = Path(folder)
    manifest = check_release(folder, scores=False)
    shared, source = open_folder(settings.vectors), _source(manifest, settings.embeddings)
    progress.step("drawing the texts")
    texts = dict(sorted(_measured_texts(folder, manifest, settings.seed)))
    keys = [*texts][settings.part.number :: settings.part.of]
    chunks = [keys[start : start + FILE_TEXTS] for start in range(0, len(keys), FILE_TEXTS)]
    places = [FilePlace(settings.part.number, settings.part.of, number, len(chunks)) for number in range(len(chunks))]
    there = {place for place, _ in read_vectors(shared, source, set(places))}
    progress.step(f"encoding {len(keys)} of {len(texts)} texts")
    for number, (place, chunk) in enumerate(zip(places, chunks, strict=True)):
        progress.advance(number, len(chunks))
        if place in there:
            continue
        with raise_as(BackendError):
            rows = embed([texts[key] for key in chunk], settings.embeddings).vectors
        shared.write(*sealed_file(dict(zip(chunk, rows, strict=True)), source, place))
    return EncodedPart(len(keys), len(texts), len(chunks), sum(place not in there for place in places))


def load_vectors(vectors: str | None, manifest: Mapping[str, Any], embeddings: str | None, progress: Progress) -> None:
    """Read the vectors of all parts into the cache of this machine, so that nothing encodes their texts again.

    A warning names a part or a file that is missing: its texts are encoded here.

    Args:
        vectors: folder or fsspec address of the files. None: there is none, and nothing is read.
        manifest: manifest of the release.
        embeddings: name of a sentence-transformers model. None: the default model.
        progress: receiver of the step, and of a warning on what is missing.

    Raises:
        ReleaseError: a file is of another release or encoder, or was cut or altered.
        BackendError: the model cannot be loaded.
        FolderError: the files cannot be read.

    """
    if vectors is None:
        return
    from personagen.metrics.texts.embeddings import add_to_cache

    shared, source = open_folder(vectors), _source(manifest, embeddings)
    progress.step(f"reading vectors from {shared.url}")
    places: list[FilePlace] = []
    for place, found in read_vectors(shared, source):
        with raise_as(BackendError):
            add_to_cache(found, embeddings)
        places.append(place)
    if missing := _missing(places):
        progress.warn(f"{shared.url} lacks {missing}; the texts of what is missing are encoded here")


def _source(manifest: Mapping[str, Any], embeddings: str | None) -> VectorSource:
    from personagen.metrics.texts.embeddings import DEFAULT_MODEL, content_version

    with raise_as(BackendError):
        revision = content_version(embeddings)
    model = DEFAULT_MODEL if embeddings is None else embeddings
    name = Path(model).name if Path(model).is_dir() else model
    return VectorSource(manifest["configs"]["all"]["digest"], name, revision)


def _measured_texts(folder: Path, manifest: Mapping[str, Any], seed: int) -> Iterator[tuple[bytes, str]]:
    """Yield the texts that `evaluate`, `audit` and `report` use, each with its hash."""
    from personagen.metrics.texts.embeddings import key_of

    texts = measured_sample(folder, manifest, seed).texts.texts
    yield from ((key_of(text), text) for text in texts)
    for attribute in changed_attributes(manifest):
        texts = matched_texts(folder, manifest, attribute, seed).texts.texts
        yield from ((key_of(text), text) for text in texts)
    texts = draw_texts(folder, manifest, page_rows(count_texts(manifest), seed)).texts
    yield from ((key_of(text), text) for text in texts)


def page_rows(count: int, seed: int) -> list[int]:
    """Draw the positions of the texts of the page of a release, in ascending order."""
    return sorted(random.Random(seed).sample(range(count), min(count, PAGE_TEXTS)))


def _missing(places: list[FilePlace]) -> str | None:
    """Return what is missing, in words; None: nothing is, by the numbers that the names state."""
    if not places:
        return "all files"
    found: dict[tuple[int, int], set[int]] = {}
    wanted: dict[tuple[int, int], int] = {}
    for place in places:
        key = place.parts, place.part
        found.setdefault(key, set()).add(place.file)
        wanted[key] = place.files
    whole = {key for key, files in found.items() if len(files) == wanted[key]}
    absent = {
        parts: [part for part in range(parts) if (parts, part) not in whole] for parts in {key[0] for key in found}
    }
    parts, lacking = min(absent.items(), key=lambda item: (len(item[1]), item[0]))
    if not lacking:
        return None
    named = ", ".join(f"part {part} of {parts}" for part in lacking[:10])
    return named + (f" and {len(lacking) - 10} more" if len(lacking) > 10 else "")
