"""Batches of the transformers backend: their rows and sizes, and that no text depends on the rest of its batch."""

import asyncio
import json
import math
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from personagen.builder.core.errors import BackendError, RequestError
from personagen.builder.llm.backends.transformers_loading import load_transformers
from personagen.builder.llm.backends.transformers_model import TransformersBackend
from personagen.builder.llm.backends.transformers_queue import START_ROWS
from personagen.builder.llm.backends.transformers_sampling import (
    BatchSampler,
    PromptRow,
    SampledText,
    draw_tokens,
    is_out_of_memory,
    sample_batch,
)
from personagen.builder.llm.requests import Sampling
from tests.helpers.models.tiny_model import answer, answers, ask, save_model, texts, torch

LONG = "We counted eleven boxes in the cellar, then we went home. " * 2

SAMPLINGS = (
    Sampling(24, 1.0),
    Sampling(24, 0.0),
    Sampling(24, 0.0, repetition_penalty=3.0),
    Sampling(24, 0.7, top_p=0.9, min_p=0.02, repetition_penalty=3.0),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny") / "model"
    save_model(path)
    return path


@pytest.fixture
def backend(folder: Path) -> TransformersBackend:
    """Load a new backend per test: some tests close it, and it adapts the sizes of its batches."""
    torch.set_num_threads(1)
    return load_transformers(model=str(folder))


def prompt_of(number: int) -> str:
    """Build prompts of many lengths."""
    return f"Nr {number}. {LONG[: 7 * number]}"


def rows_of(backend: TransformersBackend, count: int) -> list[PromptRow]:
    prompts = [backend._tokenizer(backend._prompt(ask(prompt_of(number))).text)["input_ids"] for number in range(count)]
    return [PromptRow(prompt, 50 + number) for number, prompt in enumerate(prompts)]


def write(
    backend: TransformersBackend, rows: Sequence[PromptRow], sampling: Sampling, **options: Any
) -> dict[int, SampledText]:
    """Write a batch and return its texts by their seeds."""
    sampler = BatchSampler(backend._tokenizer, rows, end_tokens={0}, **options)
    texts = sample_batch(backend._network, backend._tokenizer, rows, sampling=sampling, sampler=sampler)
    assert texts is not None
    return {row.seed: text for row, text in zip(rows, texts, strict=True)}


@pytest.mark.slow
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_text_does_not_depend_on_its_batch(backend: TransformersBackend, sampling: Sampling) -> None:
    """Alone, among shorter and longer ones, first and last: padding affects neither the model nor the penalty."""
    lines = rows_of(backend, 12)
    alone = {seed: text for line in lines for seed, text in write(backend, [line], sampling).items()}
    assert len({text.candidate.text for text in alone.values()}) > 6
    shuffled = random.Random(1).sample(lines, len(lines))
    for size in (2, 5, 12):
        for start in range(0, len(lines), size):
            for seed, text in write(backend, shuffled[start : start + size], sampling).items():
                assert text.candidate.text == alone[seed].candidate.text
                assert text.candidate.finish == alone[seed].candidate.finish
                assert text.tokens == alone[seed].tokens
                assert text.candidate.mean_logprob == pytest.approx(alone[seed].candidate.mean_logprob, abs=1e-4)


def test_texts_do_not_depend_on_other_requests(backend: TransformersBackend) -> None:
    """Mixed samplings and stop strings, in any order, more of them than fit in a batch, or one by one."""
    requests = [
        ask(prompt_of(number % 7), seed=number, sampling=SAMPLINGS[number % 4], stop=(("e",), ())[number % 3 == 0])
        for number in range(36)
    ]
    first = texts(answers(backend, requests))
    order = random.Random(2).sample(range(36), 36)
    again = texts(answers(backend, [requests[number] for number in order]))
    assert [again[order.index(number)] for number in range(36)] == first
    assert [texts([answer(backend, request)])[0] for request in requests[:8]] == first[:8]


def test_candidates_are_drawn_with_the_following_seeds(backend: TransformersBackend) -> None:
    """More candidates than rows of a batch are written in several batches."""
    reply = answer(backend, ask(candidates=2 * START_ROWS + 1, seed=40))
    singles = texts(answers(backend, [ask(seed=40 + number) for number in range(2 * START_ROWS + 1)]))
    assert [[candidate.text] for candidate in reply.candidates] == singles
    alone = answers(backend, [ask(seed=40 + number) for number in range(2 * START_ROWS + 1)])
    assert reply.completion_tokens == sum(single.completion_tokens for single in alone)


def test_dropped_row_ends_alone(backend: TransformersBackend) -> None:
    lines = rows_of(backend, 3)
    calls = [0, 0, 0]

    def is_dropped(row: int) -> bool:
        calls[row] += 1
        return row == 1 and calls[row] == 5

    whole, cut = (
        write(backend, lines, Sampling(24, 1.0)),
        write(backend, lines, Sampling(24, 1.0), is_dropped=is_dropped),
    )
    assert cut[51].tokens == 5
    assert [cut[50], cut[52]] == [whole[50], whole[52]]


def test_generation_config_sets_sampling_and_not_beams(folder: Path, backend: TransformersBackend) -> None:
    """Without a warning, although generation configs on the Hub have many more fields."""
    greedy = answer(backend, ask(temperature=0.0)).candidates[0].text
    plain = answer(backend, ask()).candidates[0].text
    config = backend._network.generation_config
    config.do_sample, config.num_beams, config.temperature = True, 3, 1e-4
    assert answer(backend, ask(temperature=None)).candidates[0].text == greedy != plain
    assert answer(backend, ask()).candidates[0].text == plain
    config.top_k = 1
    assert answer(backend, ask()).candidates[0].text == greedy


# Draws.


def draws(scores: Any, seeds: range) -> Any:
    """Draw one token per seed from the same scores, with the generators of the rows of a batch."""
    sampler = BatchSampler(None, [], end_tokens=set())
    sampler.seed(seeds, "cpu")
    return draw_tokens(scores.expand(len(seeds), -1), sampler._generators).squeeze(1)


def test_draws_follow_the_probabilities() -> None:
    """Chi-square test over frequent and rare tokens, with the random numbers of adjacent seeds."""
    size, count = 3000, 8000
    scores = torch.randn(size, generator=torch.Generator().manual_seed(1))
    scores[::5] = -math.inf
    drawn = torch.bincount(draws(scores, range(count)), minlength=size)
    assert drawn[::5].sum() == 0
    expected = count * scores.double().softmax(-1)
    # Rare tokens are grouped by hundreds, since each is expected only a few times.
    order = expected.argsort(descending=True)[: size - (size + 4) // 5]
    wanted, got = (values[order].double().split(100) for values in (expected, drawn))
    wanted, got = ([part.sum().item() for part in parts] for parts in (wanted, got))
    square = sum((one - other) ** 2 / other for one, other in zip(got, wanted, strict=True))
    freedom = len(wanted) - 1
    assert square < freedom + 4 * math.sqrt(2 * freedom)


def test_steps_and_seeds_are_independent() -> None:
    """Neither adjacent seeds nor consecutive steps draw alike; equal seeds draw the same."""
    sampler = BatchSampler(None, [], end_tokens=set())
    sampler.seed(range(500), "cpu")
    scores = torch.zeros(500, 1000)
    first, second = (draw_tokens(scores, sampler._generators).squeeze(1) for _ in range(2))
    for one, other in ((first, second), (first[:-1], first[1:])):
        assert (one == other).sum() < 8, "one in a thousand agrees by chance"
        assert torch.corrcoef(torch.stack([one, other]).double())[0, 1].abs() < 0.15
    assert torch.equal(draws(scores[0], range(500)), first)


@pytest.mark.parametrize(
    "allowed",
    [[0], [59_999], [17, 40_000], list(range(5, 3000)), list(range(30_000, 60_000, 3))],
    ids=["first", "last", "two", "thousands", "many"],
)
def test_masked_token_is_never_drawn(allowed: list[int]) -> None:
    scores = torch.full((60_000,), -math.inf)
    scores[allowed] = torch.randn(len(allowed), generator=torch.Generator().manual_seed(3)) * 5
    assert set(draws(scores, range(50)).tolist()) <= set(allowed)


def test_rounding_hardly_ever_changes_a_draw() -> None:
    """For noise as large as that between shapes of a batch."""
    scores = torch.randn(2000, generator=torch.Generator().manual_seed(1)) * 3
    noise = torch.randn(2000, generator=torch.Generator().manual_seed(2)) * 1e-5
    assert (draws(scores, range(5000)) != draws(scores + noise, range(5000))).sum() <= 2


# The backend.


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (lambda: torch.OutOfMemoryError("CUDA out of memory."), True),
        (MemoryError, True),
        (lambda: RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (lambda: RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (lambda: RuntimeError("shape mismatch"), False),
    ],
)
def test_errors_of_exceeded_memory(error: Callable[[], Exception], full: bool) -> None:
    assert is_out_of_memory(error()) is full


def test_exceeded_memory_halves_the_batch_and_loses_no_row(
    backend: TransformersBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than three rows do not fit, and one prompt does not fit at all."""
    requests = [ask(prompt_of(number % 5), seed=number) for number in range(12)]
    wanted = texts(answers(backend, requests))
    backend._sizers.clear()
    generate, sizes = backend._network.generate, []

    def small(*, input_ids: Any, **options: Any) -> Any:
        sizes.append(len(input_ids))
        if len(input_ids) > 3 or input_ids.shape[1] > 150:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return generate(input_ids=input_ids, **options)

    async def run() -> list[Any]:
        calls = [backend.complete(request) for request in [*requests, ask("home " * 140)]]
        return await asyncio.gather(*calls, return_exceptions=True)

    monkeypatch.setattr(backend._network, "generate", small)
    *replies, refused = asyncio.run(run())
    assert texts(replies) == wanted
    assert isinstance(refused, RequestError) and "out of memory for 1 candidates of " in str(refused)
    assert sizes[:2] == [START_ROWS, START_ROWS // 2]


def test_refused_request_does_not_affect_others(backend: TransformersBackend) -> None:
    good = [ask(prompt_of(number)) for number in range(6)]
    wanted = texts(answers(backend, good))

    async def run() -> list[Any]:
        requests = [good[0], ask("forbidden"), *good[1:3], ask("home " * 300), *good[3:]]
        return await asyncio.gather(*[backend.complete(request) for request in requests], return_exceptions=True)

    replies = asyncio.run(run())
    assert isinstance(replies.pop(4), RequestError) and isinstance(replies.pop(1), RequestError)
    assert texts(replies) == wanted


def test_unforeseen_error_reaches_all_requests_of_the_batch(
    backend: TransformersBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next batch is written."""
    error = RuntimeError("the device is on fire")

    def broken(**_: Any) -> None:
        monkeypatch.undo()
        raise error

    async def run() -> list[Any]:
        calls = [backend.complete(ask(seed=seed)) for seed in range(START_ROWS + 1)]
        return await asyncio.gather(*calls, return_exceptions=True)

    monkeypatch.setattr(backend._network, "generate", broken)
    *first, last = asyncio.run(run())
    assert first == [error] * START_ROWS
    assert texts([last]) == texts([answer(backend, ask(seed=START_ROWS))])


def test_scores_of_nan_are_one_clear_error(backend: TransformersBackend) -> None:
    with torch.no_grad():
        backend._network.lm_head.weight[5] = math.nan
    with pytest.raises(RequestError, match=r"'.*' scored a token nan, wanted a number; its weights are damaged or too"):
        answer(backend, ask())


def test_closing_fails_waiting_requests_and_ends_the_batch(backend: TransformersBackend) -> None:
    """No caller waits for ever, and a second call does nothing."""

    async def run() -> list[Any]:
        calls = [asyncio.create_task(backend.complete(ask(max_tokens=200, seed=seed))) for seed in range(40)]
        await asyncio.wait(calls, timeout=0.1)
        await backend.close()
        results = await asyncio.gather(*calls, return_exceptions=True)
        await backend.close()
        with pytest.raises(BackendError, match=r"^backend transformers: it is closed and answers no more requests$"):
            await backend.complete(ask())
        return results

    results = asyncio.run(run())
    failed = [result for result in results if isinstance(result, BackendError)]
    assert len(failed) > 20 and {str(error) for error in failed} == {
        "backend transformers: it is closed and answers no more requests"
    }
    assert backend._network is None


def test_cancelled_request_does_not_affect_others(backend: TransformersBackend) -> None:
    """One that is being written, one that waits, and one that is not in the queue yet."""
    requests = [ask(prompt_of(number % 5), seed=number, max_tokens=60) for number in range(12)]
    wanted = texts(answers(backend, requests))
    backend._sizers.clear()

    async def run() -> list[Any]:
        calls = [asyncio.create_task(backend.complete(request)) for request in requests]
        await asyncio.sleep(0)
        calls[3].cancel()
        await asyncio.wait(calls, timeout=0.05)
        for number in (0, 11):
            calls[number].cancel()
        return await asyncio.gather(*calls, return_exceptions=True)

    replies = asyncio.run(run())
    assert isinstance(replies[3], asyncio.CancelledError)
    for reply, text in zip(replies, wanted, strict=True):
        assert isinstance(reply, asyncio.CancelledError) or texts([reply]) == [text]
    assert sum(isinstance(reply, asyncio.CancelledError) for reply in replies) <= 3
    assert backend._waiting == []


def test_backend_survives_an_event_loop_that_ends(backend: TransformersBackend) -> None:
    """It answers requests of the next event loop, although requests of the first were under way."""

    async def leave() -> None:
        calls = [asyncio.create_task(backend.complete(ask(max_tokens=200, seed=seed))) for seed in range(9)]
        await asyncio.wait(calls, timeout=0.05)

    asyncio.run(leave())
    assert answer(backend, ask(max_tokens=5)).completion_tokens == 5


MEMORY = """
import asyncio, resource, sys
import torch, transformers
from personagen.builder.llm.requests import Message, Request, Sampling
from personagen.builder.llm.backends.transformers_model import TransformersBackend

torch.set_num_threads(1)
tokenizer = transformers.AutoTokenizer.from_pretrained(sys.argv[1])
config = transformers.LlamaConfig(vocab_size=len(tokenizer), hidden_size=64, intermediate_size=16384,
    num_hidden_layers=1, num_attention_heads=2, eos_token_id=0, bos_token_id=None)
network = transformers.LlamaForCausalLM(config).eval()
backend = TransformersBackend(network, tokenizer, model="wide", revision=None, licence=None)
sizes = []
generate = network.generate

def watched(*, input_ids, **options):
    sizes.append(len(input_ids))
    try:
        return generate(input_ids=input_ids, **options)
    except RuntimeError as error:
        print("full:", "can't allocate memory" in str(error))
        raise

network.generate = watched

async def ask(count):
    messages = (Message("user", "We counted eleven boxes. " * 30),)
    calls = [backend.complete(Request(messages, Sampling(4), seed)) for seed in range(count)]
    return await asyncio.gather(*calls)

alone = asyncio.run(ask(1))
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 120_000_000, resource.RLIM_INFINITY))
replies = asyncio.run(ask(10))
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(len(replies), replies[0].candidates[0].text == alone[0].candidates[0].text, sizes)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads the size of the process from /proc")
def test_really_exceeded_memory_halves_the_batch(folder: Path) -> None:
    """On the CPU, in a process with a limited address space: about 20 MB per row, of 120 MB."""
    done = subprocess.run([sys.executable, "-c", MEMORY, str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *full, last = done.stdout.splitlines()
    assert full and set(full) == {"full: True"}
    assert last.startswith("10 True ")
    sizes = json.loads(last.removeprefix("10 True "))
    assert sum(sizes) > 11, "rows of failed batches were written again"
    assert max(sizes) not in sizes[sizes.index(max(sizes)) + 1 :], "in smaller batches"
