"""Releases whose journal several workers have filled: the bytes of that of one process, whatever the workers did."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from personagen.builder.fill import FillSettings, fill
from personagen.builder.generate import generate
from personagen.builder.planning.parts import Part
from tests.helpers.flow import (
    LAYERED,
    bytes_of,
    make,
    recipe_for,
    refusals,
    rejects_of,
    without_port,
)
from tests.helpers.servers.fake_openai import FakeOpenAI

ROWS: dict[str, Any] = LAYERED | {"rows": 40, "shard_rows": 8, "situations_per_persona": 2, "ablations": ["none"]}


def fill_all(url: str, tmp_path: Path, parts: int, *changes: Mapping[str, Any]) -> None:
    for number in range(parts):
        settings = FillSettings(str(tmp_path / "journals"), tmp_path / f"work-{number}")
        fill(recipe_for(url, ROWS, *changes), Part(number, parts), settings)


@pytest.mark.parametrize("parts", [1, 4, pytest.param(16, marks=pytest.mark.slow)])
def test_the_joined_parts_make_the_release_of_one_process(tmp_path: Path, parts: int) -> None:
    with FakeOpenAI(faults=refusals()) as server:
        make(recipe_for(server.url, ROWS), tmp_path / "calm")
        once = len(server.requests)
    with FakeOpenAI(faults=refusals()) as server:
        fill_all(server.url, tmp_path, parts)
        generate(recipe_for(server.url, ROWS), tmp_path / "out", journals=str(tmp_path / "journals"))
        assert len(server.requests) - once <= 2 * parts, "only texts that repeat one of another part"
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "calm")
    assert without_port(rejects_of(tmp_path / "out")) == without_port(rejects_of(tmp_path / "calm"))
