"""The published journal of a release: a stranger with an empty disk replays it from the Hub."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from personagen.builder.segments.publication import is_published_segment
from tests.helpers.command import Outcome, python
from tests.helpers.pushing import Pusher, held, served
from tests.helpers.releasing import RECIPE, make_release, manifest_of, records, rewrite, write_manifest
from tests.helpers.servers.fake_openai import FakeOpenAI
from tests.helpers.servers.hub.server import Hub


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with Hub() as running:
        yield running


@pytest.fixture(scope="module")
def pusher(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pusher]:
    with Pusher(hub, tmp_path_factory.mktemp("hf")) as running:
        yield running


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release whose server is gone."""
    with FakeOpenAI() as server:
        return make_release(tmp_path_factory.mktemp("made") / "personagen", server.url, RECIPE, license="cc-by-4.0")


@pytest.fixture
def repo(request: pytest.FixtureRequest) -> str:
    return "user/" + re.sub(r"\W", "_", request.node.name.removeprefix("test_"))[-60:].strip("_")


def journal_of(hub: Hub, repo: str) -> dict[str, bytes]:
    return {path: data for path, data in served(hub, repo).items() if is_published_segment(path)}


def stranger(hub: Hub, tmp_path: Path, *words: str) -> Outcome:
    """Run the command in a process with an empty disk and no token."""
    for name in ("home", "work"):
        (tmp_path / name).mkdir(exist_ok=True)
    code = f"import sys; sys.argv = ['personagen', *{words!r}]\n"
    code += "from personagen.builder.cli.main import main; main()"
    environment = hub.env() | {"HF_HOME": str(tmp_path / "home"), "HF_TOKEN": "", "OPENAI_API_KEY": ""}
    return python(code, tmp_path / "work", **environment)


def copied(made: Path, tmp_path: Path) -> Path:
    for name in ("personagen", "personagen.run"):
        shutil.copytree(made.with_name(name), tmp_path / name)
    return tmp_path / "personagen"


def test_a_stranger_replays_a_published_release(
    repo: str, hub: Hub, pusher: Pusher, made: Path, tmp_path: Path
) -> None:
    done = pusher.push(made, repo, tag="v1", journal=True)
    published = journal_of(hub, repo)
    count = manifest_of(made)["usage"]["requests"]
    size = sum(map(len, published.values()))
    assert done["journal"] == {"replies": count, "files": 1, "bytes": size, "license": "cc-by-4.0"}
    assert served(hub, repo) == held(made) | published and len(published) == 1
    assert "127.0.0.1" not in str(published)
    assert pusher.verify(repo)["problems"] == []
    verified = stranger(hub, tmp_path, "verify", f"{repo}@v1", "--replay")
    assert verified.code == 0, verified.err
    assert verified.out.splitlines()[-1].startswith(f"replayed from {count} replies without a call: every data file")
    address = f"hf://datasets/{repo}@{done['commit']}/journal"
    assert f"joining the segments of {address}" in verified.err.splitlines()
    named = stranger(hub, tmp_path, "verify", repo, "--replay", "--journals", f"hf://datasets/{repo}/journal", "--json")
    assert json.loads(named.out)["replay"]["differences"] == []
    wanted = [row["text"] for row in records(made, "joy", "train")]
    assert pusher.ask("load", repo=repo, config="joy") == wanted
    again = pusher.push(made, repo, tag="v1", journal=True)
    assert again["sent"] == {} and again["deleted"] == []


def test_size_and_licence_are_said_before_anything_is_sent(repo: str, hub: Hub, made: Path, tmp_path: Path) -> None:
    hub.requests.clear()
    done = stranger(hub, tmp_path, "push", str(made), repo, "--journal", "--dry-run", "--token", "hf_write")
    assert done.code == 0, done.err
    count = manifest_of(made)["usage"]["requests"]
    (line,) = [line for line in done.err.splitlines() if line.startswith("publishing the journal: ")]
    assert re.fullmatch(
        rf"publishing the journal: {count} replies, [\d,]+ bytes in 1 file, rejected texts included; cc-by-4.0", line
    )
    assert re.search(
        r"^send +[\d,]+  journal/part-00000-of-00001\.0{12}\.00000\.[0-9a-f]{16}\.parquet$", done.out, re.M
    )
    assert not [line for line in hub.requests if not line.startswith(("GET ", "HEAD "))]


def test_a_journal_stays_with_its_release_and_goes_with_another(
    repo: str, hub: Hub, pusher: Pusher, made: Path, tmp_path: Path
) -> None:
    pusher.push(made, repo, journal=True)
    published = journal_of(hub, repo)
    assert published
    results = tmp_path / "results"
    shutil.copytree(made, results)
    manifest = manifest_of(results)
    write_manifest(results, manifest)  # another layout of the same manifest
    assert pusher.push(results, repo)["deleted"] == [] and journal_of(hub, repo) == published
    newer = rewrite(made, tmp_path / "newer", "joy/train-", lambda table: table.slice(1))
    done = pusher.push(newer, repo)
    assert done["deleted"] == list(published) and journal_of(hub, repo) == {}
    answer = stranger(hub, tmp_path, "verify", repo, "--replay")
    assert answer.code == 1
    assert re.search(
        rf"^personagen: {repo} has no published journal at [0-9a-f]{{12}}; its owner publishes it with personagen push "
        r"--journal, or name the replies with --journals$",
        answer.err,
        re.MULTILINE,
    )


def test_a_release_that_its_journal_does_not_make_is_not_published(
    repo: str, hub: Hub, pusher: Pusher, made: Path, tmp_path: Path
) -> None:
    def change(table: pa.Table) -> pa.Table:
        return table.set_column(1, table.schema.field(1), pa.array(["Mine."] * table.num_rows))

    forged = rewrite(made, tmp_path / "personagen", "joy/train-", change)
    shutil.copytree(made.with_name("personagen.run"), tmp_path / "personagen.run")
    answer = pusher.push(forged, repo, journal=True)
    assert answer["error"] == "ReleaseError"
    assert answer["message"].startswith(f"{forged} is not what its journal makes: joy/train-00000-of-00002.parquet is ")
    assert answer["message"].endswith("; push it without --journal, or run its generate command again")
    shutil.rmtree(tmp_path / "personagen.run")
    answer = pusher.push(forged, repo, journal=True)
    assert answer["message"].startswith(f"{tmp_path / 'personagen.run'} has no journal to replay {forged} from")
    with pytest.raises(KeyError):
        hub.repo(repo)


@pytest.mark.parametrize("harm", ["altered", "renamed", "emptied"])
def test_a_tampered_published_segment_is_named(
    harm: str, repo: str, hub: Hub, pusher: Pusher, made: Path, tmp_path: Path
) -> None:
    pusher.push(made, repo, journal=True)
    ((path, data),) = journal_of(hub, repo).items()
    folder = tmp_path / "tampered"
    for name, content in served(hub, repo).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    changed = bytearray(data)
    changed[400] ^= 1
    (folder / path).write_bytes({"altered": bytes(changed), "renamed": data, "emptied": b""}[harm])
    if harm == "renamed":
        (folder / path).rename(folder / path.replace(".00000.", ".00001."))
    hub.publish(repo, folder)
    done = stranger(hub, tmp_path, "verify", repo, "--replay")
    assert done.code == 1 and Path(path).name in done.err.splitlines()[-1], done.err  # or the name that it had
    assert "Traceback" not in done.err


def test_a_text_changed_with_its_manifest_is_found_out_on_the_hub(
    repo: str, hub: Hub, pusher: Pusher, made: Path, tmp_path: Path
) -> None:
    pusher.push(made, repo, journal=True)

    def change(table: pa.Table) -> pa.Table:
        texts: list[Any] = ["Mine.", *table.column("text").to_pylist()[1:]]
        return table.set_column(1, table.schema.field(1), pa.array(texts))

    forged = rewrite(made, tmp_path / "forged", "anger/test-", change)
    for path, data in journal_of(hub, repo).items():
        (forged / "journal").mkdir(exist_ok=True)
        (forged / path).write_bytes(data)
    hub.publish(repo, forged)
    assert pusher.verify(repo)["problems"] == []
    done = stranger(hub, tmp_path, "verify", repo, "--replay")
    assert done.code == 1
    assert f"personagen: {repo} is not what its replies make: its replay differs: anger/test-" in done.err


def test_the_recipe_of_a_push_is_for_its_journal(hub: Hub, made: Path, tmp_path: Path) -> None:
    done = stranger(hub, tmp_path, "push", str(made), "user/any", "--recipe", "r.yaml")
    assert done.code == 2 and "--recipe is for the journal; add --journal" in done.err


def test_the_python_call_publishes_the_journal(repo: str, hub: Hub, made: Path, tmp_path: Path) -> None:
    code = f"""
import personagen as pg
done = pg.Release({str(made)!r}).push_to_hub({repo!r}, token="hf_write", journal=True, progress=False)
print(done.journal.replies)
"""
    environment = hub.env() | {"HF_HOME": str(tmp_path), "OPENAI_API_KEY": ""}
    done = python(code, tmp_path, **environment)
    assert done.out == f"{manifest_of(made)['usage']['requests']}\n", done.err
    assert len(journal_of(hub, repo)) == 1


def test_the_journal_of_a_private_repository_is_read_with_the_token(repo: str, made: Path, tmp_path: Path) -> None:
    with Hub(tokens={"hf_write": "write"}) as hub:
        words = ("push", str(made), repo, "--journal", "--private", "--token", "hf_write")
        assert stranger(hub, tmp_path, *words).code == 0
        assert stranger(hub, tmp_path, "verify", repo, "--replay").code == 1
        done = stranger(hub, tmp_path, "verify", repo, "--replay", "--token", "hf_write")
        assert done.code == 0, done.err
