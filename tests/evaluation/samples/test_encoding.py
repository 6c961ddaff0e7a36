"""Parts of the encoding of a release: each text in one part, written once, read instead of encoding again."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from personagen.builder.core.errors import ReleaseError
from personagen.builder.evaluation.samples import encoding, vector_files
from personagen.builder.evaluation.samples.encoding import EncodingSettings, encode, load_vectors, page_rows
from personagen.builder.evaluation.samples.vector_files import open_folder
from personagen.builder.planning.parts import Part
from personagen.builder.release.texts import read_texts
from personagen.metrics.texts.embeddings import content_version, embed
from tests.helpers.command import Run
from tests.helpers.flow import Recorder
from tests.helpers.real_texts import known_vectors, vectors_of
from tests.helpers.releasing import make_release, manifest_of
from tests.helpers.servers.fake_openai import FakeOpenAI

RECIPE = "rows: 28\ncounterfactual: {attributes: {gender: [woman, man]}}"


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with FakeOpenAI() as server:
        return make_release(tmp_path_factory.mktemp("encoding") / "changed", server.url, RECIPE)


@pytest.fixture(scope="module")
def texts(changed: Path) -> list[str]:
    """Return the different texts of the release, its counterfactuals included."""
    manifest = manifest_of(changed)
    found = (read_texts(changed, manifest, configs).texts for configs in (None, ["counterfactual_gender"]))
    return sorted({text for part in found for text in part})


@pytest.fixture(scope="module")
def cache(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Cache vectors of the texts, so that no encoder is needed."""
    with known_vectors(tmp_path_factory.mktemp("cache"), texts) as folder:
        yield folder


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (encoding, vector_files):
        monkeypatch.setattr(module, "FILE_TEXTS", 6)


def empty_cache(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("PERSONAGEN_CACHE", str(folder))


@pytest.mark.usefixtures("cache", "small_files")
def test_parts_hold_each_text_once_and_are_read_instead_of_encoding(
    changed: Path, texts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = str(tmp_path / "vectors")
    parts = [encode(changed, EncodingSettings(shared, Part(part, 3))) for part in (2, 0, 1)]
    assert sum(part.texts for part in parts) == len(texts) == parts[0].of
    assert max(part.texts for part in parts) - min(part.texts for part in parts) <= 1
    assert all(part.files == part.written == -(-part.texts // 6) > 1 for part in parts)
    empty_cache(monkeypatch, tmp_path / "empty")
    recorder = Recorder()
    load_vectors(shared, manifest_of(changed), None, recorder)
    assert recorder.warnings == []
    assert np.allclose(embed(texts).vectors, vectors_of(texts)), "the encoder has other vectors, and another width"


@pytest.mark.usefixtures("cache", "small_files")
def test_a_repeated_part_writes_what_is_missing(changed: Path, tmp_path: Path) -> None:
    settings = EncodingSettings(str(tmp_path / "vectors"), Part(0, 2))
    first = encode(changed, settings)
    names = [*open_folder(settings.vectors).sizes()]
    assert encode(changed, settings).written == 0
    (tmp_path / "vectors" / names[1]).unlink()
    assert encode(changed, settings).written == 1 and [*open_folder(settings.vectors).sizes()] == names
    assert first.files == len(names)


@pytest.mark.usefixtures("cache", "small_files")
def test_a_cut_file_of_another_part_stops_no_part(changed: Path, tmp_path: Path) -> None:
    """Only `evaluate`, `audit` and `report` read all files."""
    shared = tmp_path / "vectors"
    encode(changed, EncodingSettings(str(shared), Part(0, 2)))
    for path in shared.iterdir():
        path.write_bytes(b"PAR1")
    assert encode(changed, EncodingSettings(str(shared), Part(1, 2))).written > 0
    with pytest.raises(ReleaseError, match="was cut or altered: its SHA-256 is not that of its name; delete it"):
        encode(changed, EncodingSettings(str(shared), Part(0, 2)))


@pytest.mark.usefixtures("cache", "small_files")
def test_a_warning_names_missing_parts(changed: Path, tmp_path: Path) -> None:
    shared, manifest = str(tmp_path / "vectors"), manifest_of(changed)

    def warnings() -> list[str]:
        recorder = Recorder()
        load_vectors(shared, manifest, None, recorder)
        return recorder.warnings

    rest = "; the texts of what is missing are encoded here"
    assert warnings() == [f"{shared} lacks all files{rest}"]
    encode(changed, EncodingSettings(shared, Part(1, 3)))
    assert warnings() == [f"{shared} lacks part 0 of 3, part 2 of 3{rest}"]
    encode(changed, EncodingSettings(shared, Part(0, 1)))
    assert warnings() == [], "one division is complete"
    load_vectors(None, manifest, None, Recorder())


@pytest.mark.usefixtures("cache")
def test_the_command_prints_what_it_has_written(run: Run, changed: Path, texts: list[str], tmp_path: Path) -> None:
    done = run("encode", changed, "--encoded", tmp_path / "vectors", "--part", "1/2")
    assert done.code == 0, done.err
    assert done.out.strip() == f"part 1/2: {len(texts) // 2} of {len(texts)} texts in 1 files, 1 new"
    for wrong in ("2/2", "1", "a/b", "-1/2"):
        done = run("encode", changed, "--encoded", tmp_path, f"--part={wrong}")
        assert done.code == 1 and " is no part" in done.err.replace("there is no part", " is no part"), wrong


def test_the_version_of_a_folder_is_that_of_its_files(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "deep" / "weights").write_bytes(b"1")
    assert content_version(str(tmp_path / "one")) == content_version(str(tmp_path / "other"))
    (tmp_path / "other" / "deep" / "weights").write_bytes(b"2")
    assert content_version(str(tmp_path / "one")) != content_version(str(tmp_path / "other"))
    assert content_version() == content_version("sentence-transformers/all-MiniLM-L6-v2")


def test_the_texts_of_a_page_are_drawn_by_the_seed() -> None:
    assert page_rows(5, 0) == [0, 1, 2, 3, 4]
    assert len(page_rows(100_000, 0)) == 1500 and page_rows(100_000, 0) != page_rows(100_000, 1)
