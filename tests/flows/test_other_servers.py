"""Whole runs against `transformers serve`, and against a LiteLLM proxy in front of llama.cpp, with a real model."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from personagen.builder.core.errors import PersonaGenError
from tests.helpers.real_models.bigram_model import save_bigram_model
from tests.helpers.real_models.runs import RATED, rate_texts, write, write_through_a_restart
from tests.helpers.real_models.servers import (
    PROXY_KEY,
    RealServer,
    litellm_proxy,
    llama_server,
    transformers_serve,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder named "bigram" with the weights in both forms."""
    path = tmp_path_factory.mktemp("weights") / "bigram"
    path.mkdir()
    save_bigram_model(path)
    return path


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[RealServer]:
    """`transformers serve`; it ignores response_format, n and logprobs."""
    with transformers_serve(folder, folder / "serve.log") as running:
        yield running


@pytest.fixture(scope="module")
def upstream(folder: Path) -> Iterator[RealServer]:
    with llama_server(folder / "model.gguf", folder / "llama.log") as running:
        yield running


@pytest.fixture(scope="module")
def proxy(upstream: RealServer, folder: Path) -> Iterator[RealServer]:
    with litellm_proxy(upstream.url, folder) as running:
        yield running


def test_transformers_serve_writes_a_release(served: RealServer, tmp_path: Path) -> None:
    """Its replies to requests for JSON are plain prose, which is used."""
    release = write(served, tmp_path / "out", model="bigram", rows=14)
    assert len(release) == 14
    assert release.to_pandas()["situational.prose"].notna().all()


def test_transformers_serve_draws_candidates_one_by_one(served: RealServer, tmp_path: Path) -> None:
    assert len(write(served, tmp_path / "out", model="bigram", rows=7, draw={"candidates": 2})) == 7


def test_transformers_serve_rates_texts(served: RealServer, tmp_path: Path) -> None:
    answers = rate_texts(served, tmp_path, RATED[:3], model="bigram")
    assert [answer.problem for answer in answers] == [None] * 3
    assert all(answer.texts for answer in answers), "it returns no probabilities, so answers are drawn"


def test_a_restart_of_transformers_serve_costs_no_row(served: RealServer, tmp_path: Path) -> None:
    starts = served.starts
    release = write_through_a_restart(served, tmp_path / "out", rows=21, model="bigram")
    assert (len(release), served.starts) == (21, starts + 1)


def test_a_wrong_name_of_a_pinned_model_stops_with_the_words_of_the_server(served: RealServer, tmp_path: Path) -> None:
    with pytest.raises(PersonaGenError, match=r"pinned to 'bigram'"):
        write(served, tmp_path / "out", model="other")


def test_a_proxy_passes_a_release_on(proxy: RealServer, tmp_path: Path) -> None:
    assert len(write(proxy, tmp_path / "out", api_key=PROXY_KEY)) == 28


def test_a_proxy_passes_candidates_and_ratings_on(proxy: RealServer, tmp_path: Path) -> None:
    assert len(write(proxy, tmp_path / "out", api_key=PROXY_KEY, draw={"candidates": 2})) == 28
    answers = rate_texts(proxy, tmp_path / "judge", RATED[:3], key=PROXY_KEY)
    assert [answer.problem for answer in answers] == [None] * 3


def test_a_restart_behind_a_proxy_costs_no_row(proxy: RealServer, upstream: RealServer, tmp_path: Path) -> None:
    """The proxy answers while the server behind it is gone."""
    starts = upstream.starts
    release = write_through_a_restart(proxy, tmp_path / "out", restarted=upstream, api_key=PROXY_KEY)
    assert (len(release), upstream.starts) == (84, starts + 1)


def test_the_words_of_a_proxy_reach_the_user(proxy: RealServer, tmp_path: Path) -> None:
    """A wrong key and an unknown model end the run at once, with the proxy's own sentence."""
    with pytest.raises(
        PersonaGenError, match="No connected db"
    ):  # its words for a key that it does not know, where it has no database
        write(proxy, tmp_path / "key", api_key="sk-wrong-0123456789")
    with pytest.raises(PersonaGenError, match="Invalid model name passed in model=other"):
        write(proxy, tmp_path / "model", model="other", api_key=PROXY_KEY)
