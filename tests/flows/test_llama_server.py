"""Whole runs against llama.cpp's own HTTP server with a real model of word pairs."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.real_models.bigram_model import save_bigram_model
from tests.helpers.real_models.runs import RATED, rate_texts, write, write_through_a_restart
from tests.helpers.real_models.servers import RealServer, llama_server

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    folder = tmp_path_factory.mktemp("llama")
    with llama_server(save_bigram_model(folder), folder / "server.log") as running:
        yield running


def test_a_release_is_written_with_prose_in_json(server: RealServer, tmp_path: Path) -> None:
    """The grammar of the schema is enforced, and the usage is the server's."""
    release = write(server, tmp_path / "out")
    assert len(release) == 28
    frame = release.to_pandas()
    assert frame["text"].str.len().min() > 10 and frame["text"].nunique() == 28
    assert frame["situational.prose"].notna().all()
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["usage"]["completion_tokens"] > 28


def test_of_two_candidates_one_is_kept(server: RealServer, tmp_path: Path) -> None:
    assert len(write(server, tmp_path / "out", draw={"candidates": 2})) == 28


def test_it_rates_texts(server: RealServer, tmp_path: Path) -> None:
    answers = rate_texts(server, tmp_path, RATED)
    assert [answer.problem for answer in answers] == [None] * len(RATED)
    assert all(answer.logprobs for answer in answers), "llama.cpp returns probabilities"


def test_a_restart_in_the_middle_costs_no_row(server: RealServer, tmp_path: Path) -> None:
    starts = server.starts
    release = write_through_a_restart(server, tmp_path / "out")
    assert (len(release), server.starts) == (84, starts + 1)
