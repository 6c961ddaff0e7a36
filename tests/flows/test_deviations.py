"""What a release says about replies that did not come about as requested."""

import json
from pathlib import Path
from typing import Any

import pytest

from personagen.builder.core.errors import AllRejectedError, GenerationError
from personagen.builder.generate import generate
from personagen.builder.llm.trial import HOPELESS_REPLIES
from personagen.builder.preview import preview
from personagen.builder.writing.finalization.window import MAX_TRIAL_ROWS
from tests.helpers.asking import reply_of
from tests.helpers.flow import SAME, Recorder, bytes_of, make, recipe_for
from tests.helpers.servers.fake_openai import FakeOpenAI, Fault

UNSUPPORTED = {"error": {"message": "Only the default (1) value is supported.", "param": "temperature"}}
NO_TEMPERATURE = Fault("status", nth=1, status=400, body=UNSUPPORTED)
"""Refusal of the temperature, in the words of a reasoning model."""


def answers_without_usage(number: int) -> Fault:
    """Have one text answered by another model, without usage."""
    text = f"The postman carried {number} green ladders to the harbour on Monday, and the clerk counted them."
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    body: dict[str, Any] = {"model": "fake-1-turbo", "choices": [choice]}
    return Fault("status", nth=number, status=200, body=body)


def test_refused_parts_other_models_and_estimates_are_in_manifest_and_card(tmp_path: Path) -> None:
    """A second release from the same journal says the same, byte for byte, without a call."""
    recorder = Recorder()
    with FakeOpenAI(faults=[NO_TEMPERATURE, answers_without_usage(5)]) as server:
        recipe = recipe_for(server.url)
        generate(recipe, tmp_path / "out", progress=recorder)
        calls = len(server.requests)
        before = bytes_of(tmp_path / "out")
        (tmp_path / "out").rename(tmp_path / "first")
        make(recipe, tmp_path / "out")
        assert len(server.requests) == calls
    assert bytes_of(tmp_path / "out") == before
    manifest = manifest_of(tmp_path / "out")
    assert manifest["model"]["left_out"] == {"temperature": 14}
    assert manifest["model"]["answered_by"] == {"fake-1-turbo": 1}
    assert manifest["usage"]["estimated"] == 1
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "| models that the server named in its replies | fake-1-turbo (1) |" in card
    assert "| parts of requests that the server refuses, with the replies without them | temperature (14) |" in card
    assert "(the tokens of 1 replies are estimated from above, since the server counted none) |" in card
    (warning,) = recorder.warnings
    assert warning.startswith(f"{server.url} refuses temperature: left out from now on; ")


def test_an_ordinary_server_leaves_no_such_mark(tmp_path: Path) -> None:
    with FakeOpenAI() as server:
        make(recipe_for(server.url), tmp_path / "out")
    manifest = manifest_of(tmp_path / "out")
    assert not {"left_out", "answered_by"} & manifest["model"].keys()
    assert "estimated" not in manifest["usage"]


def test_an_emotion_that_the_model_refuses_is_named(tmp_path: Path) -> None:
    """The others are written and kept; the refused one is given up after two dozen replies."""
    with FakeOpenAI(faults=[Fault("refusal", contains="anger")]) as server:
        recipe = recipe_for(server.url, {"rows": 200})
        message = (
            r"^100 texts were accepted, 100 rows were given up \(anger 100\), .* \(expression refusal \d\d\), the "
        )
        with pytest.raises(GenerationError, match=message):
            make(recipe, tmp_path / "out")
        refused = [body for body in server.requests if "anger" in str(body["messages"])]
    assert len(refused) < 24 + 64, "those in flight when the verdict fell are the most that is paid for beyond it"


def test_a_model_that_repeats_one_text_ends_the_run(tmp_path: Path) -> None:
    """A server that answers from a cache would be paid for each attempt of each row."""
    with FakeOpenAI(faults=[Fault("status", status=200, body=reply_of(SAME))]) as server:
        message = r"^1 texts were accepted, .* given up .* \(expression duplicate \d\d\), the last one: duplicate, "
        with pytest.raises(GenerationError, match=message):
            make(recipe_for(server.url, {"rows": 700}), tmp_path / "out")
    assert len(server.requests) <= HOPELESS_REPLIES + MAX_TRIAL_ROWS


def test_a_hopeless_preview_quotes_the_last_reply() -> None:
    with FakeOpenAI(faults=[Fault("refusal")]) as server:
        message = (
            r"^no text was accepted: \d+ replies were rejected, the last one: refusal, \"I'm sorry, but .*; try another"
        )
        with pytest.raises(AllRejectedError, match=message):
            preview(recipe_for(server.url), 2)


def manifest_of(out: Path) -> dict[str, Any]:
    """Read the manifest of a release."""
    manifest: dict[str, Any] = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    return manifest
