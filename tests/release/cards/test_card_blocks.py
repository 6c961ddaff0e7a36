"""Every code block of a card runs, in the folder that the card lies in, under any name of this folder."""

import re
from pathlib import Path

import pytest

from tests.helpers.releasing import in_earlier_form, make_release, run_python
from tests.helpers.servers.fake_openai import FakeOpenAI

NETWORK = "HfFileSystem"
"""Name in the one block that needs the Hub; `tests/loading/test_load_hub.py` runs it against a local Hub."""

RECIPE = "name: personagen\nrows: 42\nintensities: [low, high]\ntext: {max_words: 45}"


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory, model: FakeOpenAI) -> Path:
    """A release in a folder of another name than that of its recipe, as `generate --out rel_x` writes it."""
    return make_release(tmp_path_factory.mktemp("blocks") / "rel_x", model.url, RECIPE)


def blocks(release: Path) -> list[str]:
    """Return the Python code of a card, one text per block."""
    return re.findall(r"```python\n(.*?)```", (release / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)


def run_blocks(release: Path) -> int:
    """Run each block that needs no network in a process of its own; return their number."""
    local = [block for block in blocks(release) if NETWORK not in block]
    for block in local:
        run_python(block, release, HF_HUB_OFFLINE="1")
    return len(local)


def test_no_example_names_a_folder_that_may_not_be_there(release: Path) -> None:
    for block in blocks(release):
        names = set(re.findall(r'load_dataset\(("[^"]+"|\w+)', block))
        assert names <= ({'"USER/NAME"', '"personagen"'} if NETWORK in block else {"release"})
    assert sum(NETWORK in block for block in blocks(release)) == 1


def test_the_example_that_trains_prints_a_score(release: Path) -> None:
    pytest.importorskip("sklearn")
    (train,) = [block for block in blocks(release) if "sklearn" in block]
    assert 0 <= float(run_python(train, release, HF_HUB_OFFLINE="1")) <= 1


@pytest.mark.slow
def test_every_block_runs_in_the_folder_of_its_card(release: Path) -> None:
    assert run_blocks(release) == 4


@pytest.mark.slow
@pytest.mark.parametrize(
    "recipe",
    ["rows: 42\ndepth: none", "rows: 42\nablations: [demographic]", "rows: 20\nemotions: [joy]", "rows: 7"],
    ids=["depth none", "ablated", "one emotion", "one split"],
)
def test_the_blocks_of_other_releases_run(recipe: str, tmp_path: Path, model: FakeOpenAI) -> None:
    count = run_blocks(make_release(tmp_path / "rel_x", model.url, recipe))
    assert count == (4 if "42" in recipe else 3)


@pytest.mark.slow
def test_the_blocks_of_an_earlier_form_run(release: Path, tmp_path: Path) -> None:
    old = in_earlier_form(release, tmp_path / "old", "1.2.0")
    assert "`all` is ordered by emotion" in (old / "README.md").read_text(encoding="utf-8")
    assert run_blocks(old) == 4
