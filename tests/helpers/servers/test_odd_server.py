"""The table of behaviours and its server: unique rows, and an oracle that knows what the server wrote."""

import json
import urllib.request
from collections import Counter
from typing import Any

import pytest

from tests.helpers.servers.behaviours.contents.languages import SPEECHES
from tests.helpers.servers.behaviours.contents.thoughts import SHAPES
from tests.helpers.servers.behaviours.records import Behaviour
from tests.helpers.servers.behaviours.replies import MARKS, THOUGHT, halves
from tests.helpers.servers.behaviours.table import BEHAVIOURS, ORDINARY, behaviour_named
from tests.helpers.servers.odd_runs import KEY, OddRun, defects
from tests.helpers.servers.odd_server import OddServer, ServerTally

BODY: dict[str, Any] = {"model": "m", "seed": 1, "messages": [{"role": "user", "content": "Write."}]}


def content(tally: ServerTally, **changes: Any) -> Any:
    """Return the content of the first choice of an answer."""
    return tally.answer(BODY | changes).body["choices"][0]["message"]["content"]


def test_names_are_unique_and_every_row_names_its_source() -> None:
    assert [name for name, count in Counter(row.name for row in BEHAVIOURS).items() if count > 1] == []
    assert [row.name for row in BEHAVIOURS if not row.source] == []


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda row: row.name)
def test_every_row_answers_a_call_or_does_not(behaviour: Behaviour) -> None:
    """Where all rows can be written, some call has a text; where a run must stop, none has, or a budget ends it."""
    tally = ServerTally(behaviour)
    path = behaviour.address.split("?")[0].strip().rstrip("/") + "/chat/completions"
    query = {"api-version": "2024-10-21"}
    headers = {"api-key": "x", "x-title": "emotions"}
    extra = {"provider": "x", "reasoning_effort": "none", "chat_template_kwargs": {"enable_thinking": False}}
    extra = extra | {"stream": True, "enable_thinking": False} if behaviour.recipe else {}
    bare = {key: BODY[key] for key in ("model", "messages")}
    for body in (BODY, BODY | extra, bare, bare | {"max_tokens": 4000}):
        for _ in range(4):
            answer = tally.answer(body, path=path, query=query, headers=headers)
            assert isinstance(answer.body, bytes | str) or json.dumps(answer.body)
    if behaviour.stop and not ("budget" in behaviour.recipe or "emotion" in behaviour.name):
        assert "text" not in tally.effects()
    elif behaviour.group not in ("addresses", "errors in a 200"):
        assert "text" in tally.effects()


def test_a_text_is_usable_whole_or_in_complete_sentences() -> None:
    tally = ServerTally(ORDINARY)
    text = content(tally)
    first = text[: text.index(".") + 1]
    assert tally.unusable([text, f"  {text}\n", first]) == []
    assert tally.unusable([halves(text), f"{THOUGHT} {text}", "", ".", "Another text."]) != []
    assert len(tally.unusable([halves(text), f"{THOUGHT} {text}", "", ".", "Another text."])) == 5


def test_a_request_in_parts_is_understood() -> None:
    parts = [{"type": "text", "text": "Wri"}, {"type": "text", "text": "te."}]
    assert content(ServerTally(ORDINARY), messages=[{"role": "user", "content": parts}]) == content(
        ServerTally(ORDINARY)
    )


def test_prose_in_json_is_usable() -> None:
    tally = ServerTally(ORDINARY)
    asked = [{"role": "user", "content": 'Answer as {"prose": "..."}.'}]
    prose = json.loads(content(tally, messages=asked))["prose"]
    assert tally.is_usable(prose) and not tally.is_usable(json.dumps({"prose": prose}))


@pytest.mark.parametrize("name", SHAPES)
def test_a_text_behind_a_thought_is_usable_and_the_thought_is_not(name: str) -> None:
    tally = ServerTally(behaviour_named(f"thought: {name}"))
    written = content(tally)
    (text,) = tally.written
    assert text in written and tally.is_usable(text) and not tally.is_usable(written)
    assert not any(mark in text for mark in MARKS)
    assert name == "empty" or any(mark in written for mark in MARKS)


def test_wasted_and_paid_calls_are_counted() -> None:
    tally = ServerTally(behaviour_named("openai's reasoning models"))
    tally.answer(BODY | {"max_tokens": 9})
    tally.answer(BODY | {"temperature": 0.9})
    tally.answer(BODY)
    assert (tally.wasted, tally.paid) == (2, 1)
    tally = ServerTally(behaviour_named("never usable: no content"))
    tally.answer(BODY)
    assert (tally.wasted, tally.paid) == (1, 1)


def test_each_use_of_a_behaviour_starts_fresh() -> None:
    behaviour = behaviour_named("window: nothing said")
    for _ in range(2):
        tally = ServerTally(behaviour)
        assert [tally.answer(BODY).status for _ in range(8)] == [200] * 6 + [429] * 2


def test_texts_differ_between_calls_without_a_seed() -> None:
    tally = ServerTally(ORDINARY)
    unseeded = {key: BODY[key] for key in ("model", "messages")}
    assert content(tally) == content(tally)
    assert tally.answer(unseeded).body != tally.answer(unseeded).body


def test_each_language_has_its_own_sentences() -> None:
    for code in SPEECHES:
        tally = ServerTally(behaviour_named(f"refusals now and then: {code}"))
        texts = [content(tally, seed=seed) for seed in range(12)]
        assert len(tally.unusable(texts)) == 4, "every third text is a refusal"
        assert len(set(texts)) == 8 + len(SPEECHES[code].refusals)


def test_the_server_answers_over_http_at_any_path() -> None:
    with OddServer(behaviour_named("a prefix")) as server:
        assert server.base_url == f"{server.host}/openai/api/v1"
        request = urllib.request.Request(f"{server.base_url}/chat/completions", json.dumps(BODY).encode())
        request.add_header("Authorization", f"Bearer {KEY}")
        with urllib.request.urlopen(request) as response:
            reply = json.load(response)
    assert server.tally.is_usable(reply["choices"][0]["message"]["content"])
    assert server.tally.calls[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_run_that_is_worse_than_a_careful_one_has_defects() -> None:
    good = OddRun(rows=7, unusable=(), calls=18, wasted=0, paid=18, message="")
    assert defects(ORDINARY, good) == []
    bad = OddRun(rows=6, unusable=("a thought",), calls=18, wasted=1, paid=18, message="two\nlines", has_key=True)
    assert len(defects(ORDINARY, bad)) == 5
    hopeless = behaviour_named("never usable: no content")
    assert len(defects(hopeless, good)) == 1
    stopped = OddRun(rows=0, unusable=(), calls=12, wasted=12, paid=12, message="the reply has no content")
    assert defects(hopeless, stopped) == []
    assert len(defects(hopeless, OddRun(0, (), 21, 21, 21, "the reply has no content"))) == 2
