"""Servers that repeat the keys that they receive: no key reaches a terminal, a file or a release."""

import base64
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow.parquet as pq
import pytest

from personagen.builder.core.errors import PersonaGenError
from personagen.builder.llm.requests import HOLDS_SECRET
from personagen.builder.planning.recipe.parsing import read_recipe
from tests.helpers.batch_runs import make_by_batches
from tests.helpers.command import OPENAI, Run
from tests.helpers.flow import rejects_of
from tests.helpers.servers.behaviours.records import Behaviour, OddAnswer, OddCall, always
from tests.helpers.servers.behaviours.replies import completion
from tests.helpers.servers.fake_batches import FakeBatches
from tests.helpers.servers.odd_server import OddServer, ServerTally

KEY = "qx-Fe7hR/tok+SECRET0123456789"
HEADER = "hdr-Zk4mPLAINVALUE98765"
SPELLINGS = (
    KEY, HEADER, "hdr-Zk4m", "SECRET0123", "qx-Fe7h", "PLAINVALUE", "456789", quote(KEY, safe=""),
    base64.b64encode(KEY.encode()).decode()[4:-4], base64.b64encode(HEADER.encode()).decode()[4:-4],
)  # fmt: skip
"""Forms of the secrets, and parts of them, that no output may hold; "456789" is the end of a key that is cut."""


def said(call: OddCall) -> str:
    """Return the credentials of a call, as it arrived at the server."""
    return f"{call.headers['authorization'].removeprefix('Bearer ')} and {call.headers['x-title']}"


def in_text(write: Callable[[str, str], str]) -> Callable[[OddCall], Any]:
    """Return a mode whose texts hold the credentials; `write` gets an ordinary text and them."""

    def serve(call: OddCall) -> Any:
        texts = []
        for text in call.texts:
            try:
                data = json.loads(text)
            except ValueError:
                texts.append(write(text, said(call)))
                continue
            for name, value in data.items():
                data[name] = write(value, said(call)) if isinstance(value, str) else value
            texts.append(json.dumps(data))
        return completion(call, texts)

    return serve


def in_choice(**fields: Callable[[str], Any]) -> Callable[[OddCall], Any]:
    def serve(call: OddCall) -> Any:
        body = completion(call)
        for choice in body["choices"]:
            choice |= {name: make(said(call)) for name, make in fields.items()}
        return body

    return serve


def in_message(**fields: Callable[[str], Any]) -> Callable[[OddCall], Any]:
    def serve(call: OddCall) -> Any:
        body = completion(call)
        for choice in body["choices"]:
            choice["message"] |= {name: make(said(call)) for name, make in fields.items()}
        return body

    return serve


def in_body(**fields: Callable[[str], Any]) -> Callable[[OddCall], Any]:
    return lambda call: completion(call) | {name: make(said(call)) for name, make in fields.items()}


def escaped(text: str) -> str:
    return "".join(f"\\u{ord(char):04x}" for char in text)


MODES: dict[str, Callable[[OddCall], Any]] = {
    "text": in_text(lambda text, key: f"{text} {key} was on the note."),
    "text alone": in_text(lambda text, key: key),
    "base64": in_text(lambda text, key: f"{text} {base64.b64encode(key.encode()).decode()} was there."),
    "url": in_text(lambda text, key: f"{text} {quote(key, safe='')} was there."),
    "escaped": in_text(lambda text, key: f"{text} {escaped(key)} was there."),
    "zero width": in_text(lambda text, key: f"{text} " + "\u200b".join(key) + " was there."),
    "fullwidth": in_text(lambda text, key: text + "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in key)),
    "bold": in_text(lambda text, key: f"{text} {key[:9]}**{key[9:]}** was there."),
    "thought": in_text(lambda text, key: f"<think>The key is {key}.</think>{text}"),
    "finish": in_choice(finish_reason=lambda key: f"{'x' * 25}{key}" * 9),
    "finish error": in_choice(finish_reason=lambda key: f"error {key}"),
    "finish filter": in_choice(finish_reason=lambda key: f"filter {key}"),
    "finish malformed": in_choice(finish_reason=lambda key: {"malformed": key}),
    "choice error": in_choice(error=lambda key: {"message": f"bad key {key}", "code": key}),
    "logprobs": in_choice(logprobs=lambda key: {"content": [{"top_logprobs": [{"token": key, "logprob": -1}]}]}),
    "refusal": in_message(refusal=lambda key: f"I refuse {key}"),
    "reasoning": in_message(reasoning_content=lambda key: f"the key is {key}"),
    "no content": in_message(content=lambda key: None, tool_calls=lambda key: [{"id": key}]),
    "parts": in_message(content=lambda key: [{"type": "text", "text": f"The note said {key[:12]}"},
                                             {"type": "text", "text": f"{key[12:]} and no more."}]),
    "model": in_body(model=lambda key: f"\x1b[31m{key}"),
    "fingerprint": in_body(system_fingerprint=lambda key: key),
    "usage": in_body(usage=lambda key: {key: key, "prompt_tokens": key}),
    "more": in_body(id=lambda key: key, note=lambda key: {key: [key]}),
    "error 200": lambda call: {"error": {"message": f"bad {said(call)}", "type": said(call), "code": said(call)}},
    "wrong shape": lambda call: {said(call): [said(call)]},
    "choices": lambda call: {"choices": [said(call)]},
    "blocked": lambda call: {"choices": [], "prompt_feedback": {"reason": said(call)}},
}  # fmt: skip
"""Bodies with status 200."""


def error_answer(status: int, number: int) -> Callable[[OddCall], OddAnswer]:
    """Return an answer of a status whose body, in one of several forms, repeats the credentials."""

    def serve(call: OddCall) -> OddAnswer:
        key = said(call)
        masked = f"{KEY[:8]}{'*' * 9}{KEY[-4:]} and {HEADER[:8]}...{HEADER[-3:]}"
        bodies: tuple[Any, ...] = (
            {"error": {"message": f"no {key}", "type": key, "param": key, "code": key}},
            {"detail": [{"loc": [key], "msg": key}]},
            {"error": {"message": "no", "metadata": {"raw": f"upstream: {key} {base64.b64encode(key.encode())!r}"}}},
            f"<html><h1>\x1b[31m{key}</h1></html>",
            {"error": {"message": f"no {masked}"}},
            key,
        )
        return OddAnswer(status, bodies[number % len(bodies)], {"Retry-After": "0", "X-Error-Message": key})

    return serve


def leaks(text: str) -> list[str]:
    return [form for form in SPELLINGS if form in text]


def written(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield the content of every file, of tables their values too."""
    for path in folder.rglob("*"):
        if path.is_file():
            yield path, path.read_bytes().decode("latin-1")
            if path.suffix == ".parquet":
                yield path, json.dumps(pq.read_table(path).to_pylist(), ensure_ascii=False)


def require_no_secret(folder: Path, output: str) -> None:
    assert not leaks(output), output
    for path, content in written(folder):
        assert not leaks(content), path


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("TITLE_VALUE", HEADER)


def write_recipe(rows: int) -> Path:
    path = Path("recipe.yaml")
    text = f"rows: {rows}\ndraw: {{candidates: 2}}\nelaborate: {{demographic: llm}}\nexpression: shown\n"
    path.write_text(f"{text}backend: {{headers: {{X-Title: '${{TITLE_VALUE}}'}}}}\n")
    return path


def modes_in_turn(call: OddCall) -> OddAnswer | None:
    """Answer every second call by the next mode, the others as an ordinary server does."""
    if call.number % 2:
        return None
    serve = list(MODES.values())[call.number // 2 % len(MODES)]
    return OddAnswer(body=serve(call))


@pytest.mark.parametrize("mode", ["text", "escaped", "thought", "wrong shape"])
def test_a_run_whose_replies_all_hold_the_key_ends_early(mode: str, run: Run) -> None:
    with OddServer(Behaviour("keys", "keys", always(lambda call: OddAnswer(body=MODES[mode](call))), "")) as server:
        done = run("generate", write_recipe(700), *OPENAI, server.base_url)
    assert done.code == 1 and len(server.tally.calls) < 100, done.err
    assert mode == "wrong shape" or "secret, the reply repeats a key" in done.err
    require_no_secret(Path(), "".join(done[1:]))


def test_no_key_of_a_reply_is_kept_or_shown(run: Run) -> None:
    """Every second reply is of the next mode."""
    with OddServer(Behaviour("keys", "keys", always(modes_in_turn), "")) as server:
        done = run("generate", write_recipe(42), *OPENAI, server.base_url)
    assert done.code == 0, done.err
    assert len(server.tally.calls) > 2 * len(MODES)
    inspected = run("inspect", "personagen", "--samples", "9", "--json")
    rejects = [reject for reject in rejects_of(Path("personagen")) if reject["reason"] == "secret"]
    assert len(rejects) > 5 and all(reject["detail"] == HOLDS_SECRET for reject in rejects)
    require_no_secret(Path(), "".join((*done[1:], *inspected[1:])))


@pytest.mark.parametrize("status", [301, 400, 401, 402, 403, 404, 405, 413, 418, 422, 429, 500, 503, 529])
def test_no_key_of_an_error_is_kept_or_shown(status: int, run: Run) -> None:
    """Every fifth call fails, in six forms; of lasting errors also every call."""
    for nth in (5,) if status in (429, 500, 503, 529) else (5, 1):

        def serve(call: OddCall, n: int = nth) -> OddAnswer | None:
            return None if call.number % n else error_answer(status, call.number // n)(call)

        with OddServer(Behaviour("errors", "errors", always(serve), "")) as server:
            done = run("generate", write_recipe(7), *OPENAI, server.base_url, "--fresh")
        assert "Traceback" not in done.err
        require_no_secret(Path(), "".join(done[1:]))


def test_no_key_of_a_batch_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results are kept as they came but for the secrets; one that is split over two strings is not found there."""
    monkeypatch.chdir(tmp_path)
    modes = {name: mode for name, mode in MODES.items() if name not in ("wrong shape", "parts")}

    def serve(call: OddCall) -> OddAnswer:
        with_headers = OddCall(**{name: getattr(call, name) for name in call.__slots__} | {
            "headers": {"authorization": f"Bearer {KEY}", "x-title": HEADER}})  # fmt: skip
        if call.number % 2:
            return OddAnswer(body=completion(call))
        return OddAnswer(body=list(modes.values())[call.number // 2 % len(modes)](with_headers))

    tally = ServerTally(Behaviour("keys", "keys", always(serve), ""))

    def answer(body: Any) -> tuple[int, Any]:
        given = tally.answer(body)
        return given.status, given.body

    with FakeBatches(answer=answer, polls=0) as server:
        changes = {"backend.kind": "batch", "backend.model": "m", "backend.base_url": server.url}
        message = ""
        try:
            make_by_batches(read_recipe(write_recipe(21), changes), tmp_path / "out")
        except PersonaGenError as error:
            message = str(error)
    assert len(tally.calls) > 21
    require_no_secret(tmp_path, message)


def test_finish_reasons_are_bounded(run: Run) -> None:
    behaviour = Behaviour("long", "long", always(lambda call: OddAnswer(
        body=completion(call, [""] * len(call.texts), finish="filter " + "y" * 100_000))), "")  # fmt: skip
    with OddServer(behaviour) as server:
        done = run("generate", write_recipe(7), *OPENAI, server.base_url)
    assert done.code == 1 and "content filter" in done.err and len(done.err) < 2000
    assert all(not re.search("y{60}", content) for _, content in written(Path()))
