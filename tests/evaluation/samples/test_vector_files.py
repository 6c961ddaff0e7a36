"""Sealed files of vectors: what is written is read again, and what is foreign, cut or altered is refused by name."""

import hashlib
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest

from personagen.builder.core.errors import FolderError, ReleaseError
from personagen.builder.evaluation.samples.vector_files import (
    FilePlace,
    VectorSource,
    open_folder,
    read_vectors,
    sealed_file,
)
from personagen.metrics.texts.inputs import Vectors

SOURCE = VectorSource("0123456789abcdef", "an/encoder", "1.0")
PLACE = FilePlace(1, 4, 0, 2)


def vectors(count: int = 3, seed: int = 0) -> dict[bytes, Vectors]:
    rows = np.random.default_rng(seed).normal(size=(count, 8)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return {hashlib.sha256(bytes([seed, row])).digest(): rows[row] for row in range(count)}


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    folder = open_folder(str(tmp_path / "new" / "vectors"))
    assert list(folder.sizes()) == []
    name, content = sealed_file(vectors(), SOURCE, PLACE)
    folder.write(name, content)
    assert name.startswith("0123456789abcdef.part-1-of-4.file-0-of-2.") and list(folder.sizes()) == [name]
    ((place, found),) = read_vectors(folder, SOURCE)
    assert place == PLACE and found.keys() == vectors().keys()
    assert all(np.array_equal(found[key], row) for key, row in vectors().items())
    assert [path.name for path in (tmp_path / "new" / "vectors").iterdir()] == [name], "no unfinished file is left"


def test_equal_vectors_make_an_equal_file() -> None:
    assert sealed_file(vectors(), SOURCE, PLACE) == sealed_file(vectors(), SOURCE, PLACE)


def test_an_address_of_fsspec_is_as_good_as_a_folder() -> None:
    folder = open_folder(f"memory://{uuid4().hex}")
    folder.write(*sealed_file(vectors(), SOURCE, PLACE))
    ((place, found),) = read_vectors(folder, SOURCE)
    assert place == PLACE and len(found) == 3


@pytest.mark.parametrize("change", ["cut", "flipped", "longer"])
def test_a_file_that_was_cut_or_altered_is_refused_by_name(tmp_path: Path, change: str) -> None:
    name, content = sealed_file(vectors(), SOURCE, PLACE)
    middle = len(content) // 2
    altered = {
        "cut": content[:middle],
        "flipped": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "longer": content + b"\0",
    }[change]
    (tmp_path / name).write_bytes(altered)
    with pytest.raises(ReleaseError, match=rf"{name} was cut or altered: its SHA-256 is not that of its name; delete"):
        list(read_vectors(open_folder(str(tmp_path)), SOURCE))


def test_a_file_of_another_release_or_encoder_is_refused_by_name(tmp_path: Path) -> None:
    for key, value in (("release", "fedcba9876543210"), ("model", "another/encoder"), ("revision", "2.0")):
        folder = open_folder(str(tmp_path / key))
        name, content = sealed_file(vectors(), replace(SOURCE, **{key: value}), PLACE)
        folder.write(name, content)
        with pytest.raises(ReleaseError, match=rf"{name} has vectors of (the )?{key} '?{value}'?, wanted ") as caught:
            list(read_vectors(folder, SOURCE))
        assert str(getattr(SOURCE, key)) in str(caught.value)


def test_a_file_that_was_renamed_is_refused(tmp_path: Path) -> None:
    name, content = sealed_file(vectors(), SOURCE, PLACE)
    (tmp_path / name.replace("part-1", "part-2")).write_bytes(content)
    with pytest.raises(ReleaseError, match="has vectors of part '1', wanted '2'; use the encoder"):
        list(read_vectors(open_folder(str(tmp_path)), SOURCE))
    (tmp_path / name.replace("part-1", "part-2")).rename(tmp_path / "mine.vectors.parquet")
    with pytest.raises(
        ReleaseError, match=r"mine\.vectors\.parquet has no name of a file of vectors; delete or rename"
    ):
        list(read_vectors(open_folder(str(tmp_path)), SOURCE))


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert list(read_vectors(open_folder(str(tmp_path)), SOURCE)) == []


def test_content_under_a_right_name_that_holds_no_vectors_is_refused(tmp_path: Path) -> None:
    long, content = vectors(), b"no parquet"
    name = f"{SOURCE.release}.{PLACE.words()}.{hashlib.sha256(content).hexdigest()[:32]}.vectors.parquet"
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ReleaseError, match=r"is no file of vectors .*; delete it"):
        list(read_vectors(open_folder(str(tmp_path)), SOURCE))
    (tmp_path / name).unlink()
    name, content = sealed_file({key: 2 * row for key, row in long.items()}, SOURCE, PLACE)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ReleaseError, match=r"is no file of vectors .*not of length 1"):
        list(read_vectors(open_folder(str(tmp_path)), SOURCE))


def test_an_address_that_nothing_opens_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match=r"cannot use 'nothing://x' for vectors: .*; check the address, install the"):
        open_folder("nothing://x")
    with pytest.raises(
        FolderError, match=r"the address of the vectors, s3://\.\.\., has a password, which would"
    ) as no:
        open_folder("s3://me:hidden@bucket/x")
    assert "hidden" not in str(no.value)
    (tmp_path / "file").write_text("x")
    with pytest.raises(FolderError, match=r"cannot write the vectors in .*/file: .*; check the address and its access"):
        open_folder(str(tmp_path / "file")).write("a", b"")
