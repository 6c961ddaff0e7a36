"""Personas of a dataset on the Hub: at one commit, with the licence of its card, and refused in one line."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.releasing import ROOT, run_python
from tests.helpers.servers.hub.server import Hub

CODE = """
import json, sys
from personagen.builder.core.errors import PersonaGenError
from personagen.builder.planning.personas.sources.choice import SourceRequest, choose_personas
from personagen.builder.planning.personas.tables import persona_tables
def show(source, **keys):
    try:
        people = choose_personas(SourceRequest(source, source, 0, 3, **keys), persona_tables())
    except PersonaGenError as error:
        print(json.dumps(str(error)))
        return
    print(json.dumps([dict(people.source), [people.persona(number).demographic.prose for number in range(3)]]))
"""


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Hub, str]]:
    """Serve a dataset whose first commit has the tag v1, and return that commit."""
    folder = tmp_path_factory.mktemp("people")
    (folder / "data").mkdir()
    (folder / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n")
    (folder / "data" / "a.jsonl").write_text("".join(json.dumps({"persona": f"old {n}"}) + "\n" for n in range(9)))
    with Hub() as hub:
        commit = hub.publish("user/people", folder, tag="v1")
        (folder / "data" / "a.jsonl").write_text("".join(json.dumps({"persona": f"new {n}"}) + "\n" for n in range(9)))
        hub.publish("user/people", folder)
        yield hub, commit


def ask(published: tuple[Hub, str], cwd: Path, code: str) -> list[object]:
    """Run code against the Hub with a cache of its own."""
    own = {"HF_HOME": str(cwd / "hf"), "PYTHONPATH": str(ROOT), "HF_TOKEN": "hf_secret_secret_secret"}
    return [json.loads(line) for line in run_python(CODE + code, cwd, **published[0].env(), **own).splitlines()]


def test_a_revision_is_a_commit_whatever_names_it(published: tuple[Hub, str], tmp_path: Path) -> None:
    commit = published[1]
    names = (
        "user/people@v1",
        f"user/people@{commit}",
        "user/people/data/a.jsonl@v1",
        "user/people@v1/data",
        "user/people",
    )
    code = "".join(f"show('hf://datasets/{name}')\n" for name in names)
    *old, new = ask(published, tmp_path, code)
    assert [(facts["revision"], prose[0][:3]) for facts, prose in old] == [(commit, "old")] * 4  # type: ignore[misc, index]
    assert new[0]["revision"] != commit and new[1][0].startswith("new")  # type: ignore[index]
    assert {facts["license"] for facts, _ in old} == {"cc-by-nc-4.0"}  # type: ignore[misc, index]


def test_what_the_hub_does_not_have_is_one_line(published: tuple[Hub, str], tmp_path: Path) -> None:
    code = "show('hf://datasets/user/people@v9')\nshow('hf://datasets/user/nobody@v1')\nshow('hf://datasets/user/people/x@v1')\n"
    code += "show('hf://datasets/user/people@v1', license='cc-by-4.0')\n"
    code += "import huggingface_hub.constants as constants\nconstants.HF_HUB_OFFLINE = True\nshow('hf://datasets/user/people@v1')\n"
    revision, dataset, path, licence, offline = map(str, ask(published, tmp_path, code))
    assert revision.startswith("personas.source: user/people has no revision 'v9', wanted a branch, a tag or a commit")
    assert dataset.startswith("personas.source: the Hub has no dataset user/nobody, or the token cannot see it; check")
    assert path.startswith("personas.source: user/people has no 'x' at ") and path.endswith(
        "name a file or folder of it"
    )
    assert licence.startswith("license: got cc-by-4.0 for personas under cc-by-nc-4.0: it forbids commercial use")
    assert offline.startswith("personas.source: HF_HUB_OFFLINE is set, so the Hub cannot be asked; unset it")


def test_a_hub_that_fails_is_one_line_without_the_token(published: tuple[Hub, str], tmp_path: Path) -> None:
    code = "import os, huggingface_hub.constants as c\nc.ENDPOINT = 'http://127.0.0.1:9'\nshow('hf://datasets/user/people@v1')\n"
    (message,) = map(str, ask(published, tmp_path, code))
    assert message.startswith("personas.source: cannot read user/people (") and "hf_secret" not in message
