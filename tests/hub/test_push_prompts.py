"""Templates of a release on the Hub: sent with it, verified, and deleted with it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.pushing import Pusher, held, served
from tests.helpers.releasing import ROOT, make_release
from tests.helpers.servers.fake_openai import FakeOpenAI
from tests.helpers.servers.hub.server import Hub

RECIPE = "rows: 14\ntext: {max_words: 45}\nelaborate: {sociocultural: sampled, situational: sampled}"


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Hub, Pusher]]:
    with Hub() as hub, Pusher(hub, tmp_path_factory.mktemp("hf")) as pusher:
        yield hub, pusher


def test_templates_are_pushed_verified_and_deleted(process: tuple[Hub, Pusher], tmp_path: Path) -> None:
    hub, pusher = process
    own = {"styled": str(ROOT / "recipes" / "prompts" / "facts_first.md")}
    with FakeOpenAI() as server:
        release = make_release(tmp_path / "own", server.url, RECIPE, prompts=own)
        plain = make_release(tmp_path / "plain", server.url, RECIPE)
    done = pusher.push(release, "user/prompts")
    assert served(hub, "user/prompts") == held(release)
    assert {path for path in done["sent"] if path.startswith("prompts/")} == {"prompts/_layers.md", "prompts/styled.md"}
    assert pusher.verify("user/prompts")["problems"] == []
    hub.publish("user/prompts", _changed(release, tmp_path / "changed"))
    assert pusher.verify("user/prompts")["problems"] == [
        "prompts/styled.md is not the file of the manifest: its size or SHA-256 differs"
    ]
    done = pusher.push(plain, "user/prompts")
    assert set(done["deleted"]) >= {"prompts/_layers.md", "prompts/styled.md"}
    assert served(hub, "user/prompts") == held(plain)


def _changed(release: Path, target: Path) -> Path:
    """Copy a release with one template changed."""
    for path, content in held(release).items():
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        (target / path).write_bytes(content + b"\n" * (path == "prompts/styled.md"))
    return target
