"""Cost of batches in the `transformers` backend, and their effect on its texts; takes minutes.

    python benchmarks/transformers_batches.py          speed beside a bare `model.generate(do_sample=True)`
    python benchmarks/transformers_batches.py equal    how many texts are the same in batches of 1, 4 and 16

The model is SmolLM2-135M-Instruct in float32, read from the package of the embedded backend; needs `pip install gguf`.
For the speed, the batches that the backend makes are recorded and given to the bare model as they are: the same tokens,
padded the same, with the same sampling. Both count every token that was computed, those after the end of a text too.
Rounds alternate, so that other load hits both alike.
"""

import asyncio
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from personagen.builder.llm.backends.embedded import MODEL, find_weights
from personagen.builder.llm.backends.transformers_model import TransformersBackend
from personagen.builder.llm.backends.transformers_sampling import BatchSampler, PromptRow, sample_batch
from personagen.builder.llm.requests import Message, Request, Sampling

ROUNDS = 5
REQUESTS = 32
TOKENS = 40
TEXTS = 60
GOAL = 0.9

Batch = dict[str, Any]
Speed = tuple[float, float]
"""Tokens per second of wall time, tokens per second of CPU time."""

Pair = tuple[Speed, Speed]
"""Speed of the backend, speed of the bare model."""

MAX_WARM_UPS = 8
"""Rounds in which the backend may find its batch size."""


def load() -> tuple[Any, Any]:
    """Load network and tokenizer."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    path = find_weights()
    network = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    return network.eval(), AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)


def requests(count: int, tokens: int = TOKENS) -> list[Request]:
    """Build prompts of several lengths with the sampling of a recipe."""
    jobs = ("nurse", "teacher", "welder", "farmer", "clerk", "driver")
    texts = [
        f"Write a short post by a {' and '.join(jobs[(i + k) % len(jobs)] for k in range(1 + i % 9))} about day {i}."
        for i in range(count)
    ]
    return [Request((Message("user", text),), Sampling(tokens, 0.9), 1000 * i) for i, text in enumerate(texts)]


def backend_round(backend: TransformersBackend, batches: list[Batch], asked: Sequence[Request]) -> int:
    """Answer all requests through the backend and record its batches; return the number of tokens."""
    generate = backend._network.generate
    tokens = 0

    def recorded(*, input_ids: Any, attention_mask: Any, **options: Any) -> Any:
        nonlocal tokens
        batches.append({"input_ids": input_ids, "attention_mask": attention_mask})
        rows = generate(input_ids=input_ids, attention_mask=attention_mask, **options)
        tokens += rows.numel() - input_ids.numel()
        return rows

    async def answer() -> None:
        await asyncio.gather(*[backend.complete(request) for request in asked])

    backend._network.generate = recorded
    try:
        asyncio.run(answer())
    finally:
        backend._network.generate = generate
    return tokens


def bare_round(network: Any, batches: list[Batch], limit: int) -> int:
    """Generate the same batches with the bare model; return the number of tokens."""
    tokens = 0
    for batch in batches:
        with torch.inference_mode():
            rows = network.generate(**batch, do_sample=True, temperature=0.9, top_k=0, max_new_tokens=limit)
        tokens += rows.cpu().numel() - batch["input_ids"].numel()
    return tokens


def speed(work: Callable[[], int]) -> Speed:
    """Run one round."""
    wall, cpu = time.perf_counter(), time.process_time()
    tokens = work()
    return tokens / (time.perf_counter() - wall), tokens / (time.process_time() - cpu)


def alternate(backend: TransformersBackend, asked: Sequence[Request], rounds: int) -> tuple[list[int], list[Pair]]:
    """Measure backend and bare model in turn, once the backend has found its batch size.

    Returns:
        Rows of each batch of a round, and the speeds of backend and bare model per round.

    """
    batches: list[Batch] = []
    for _ in range(MAX_WARM_UPS):
        batches.clear()
        backend_round(backend, batches, asked)
        sizes = [len(batch["input_ids"]) for batch in batches]
        if len(set(sizes)) == 1:
            break
    limit = asked[0].sampling.max_tokens
    bare_round(backend._network, batches, limit)
    pairs = []
    for _ in range(rounds):
        batches.clear()
        ours = speed(lambda: backend_round(backend, batches, asked))
        pairs.append((ours, speed(lambda: bare_round(backend._network, batches, limit))))
    return [len(batch["input_ids"]) for batch in batches], pairs


def measure_speed(network: Any, tokenizer: Any) -> None:
    """Print tokens per second of both, and the ratio."""
    backend = TransformersBackend(network, tokenizer, model=MODEL, revision=None, licence=None)
    sizes, pairs = alternate(backend, requests(REQUESTS), ROUNDS)
    print(f"{REQUESTS} requests of {TOKENS} tokens in batches of {sizes}, median of {ROUNDS} rounds")
    print(f"{'':14} {'tok/s':>8} {'tok/cpu-s':>10}")
    for name, side in (("backend", 0), ("bare generate", 1)):
        wall, cpu = (statistics.median(pair[side][unit] for pair in pairs) for unit in (0, 1))
        print(f"{name:14} {wall:8.1f} {cpu:10.1f}")
    for unit, name in enumerate(("wall time", "processor time")):
        ratio = statistics.median(ours[unit] / bare[unit] for ours, bare in pairs)
        print(f"ratio by {name}: {ratio:.2f} (goal {GOAL} or more)")
    asyncio.run(backend.close())


def texts_by_size(
    network: Any, tokenizer: Any, prompts: Sequence[Sequence[int]], sampling: Sampling, sizes: Sequence[int]
) -> dict[int, list[str]]:
    """Write one text per prompt in batches of each size."""
    lines = [PromptRow(prompt, seed) for seed, prompt in enumerate(prompts)]
    texts: dict[int, list[str]] = {}
    for size in sizes:
        parts = [lines[start : start + size] for start in range(0, len(lines), size)]
        written = []
        for part in parts:
            sampler = BatchSampler(tokenizer, part, end_tokens={tokenizer.eos_token_id})
            written += sample_batch(network, tokenizer, part, sampling=sampling, sampler=sampler) or []
        texts[size] = [text.candidate.text for text in written]
    return texts


def prompts_of(backend: TransformersBackend, asked: Sequence[Request]) -> list[list[int]]:
    """Return the tokens of the prompts."""
    return [backend._tokenize(backend._prompt(request).text) for request in asked]


def measure_equality(network: Any, tokenizer: Any) -> None:
    """Print how many texts are equal at every batch size, at temperature 1 without truncation."""
    backend = TransformersBackend(network, tokenizer, model=MODEL, revision=None, licence=None)
    prompts = prompts_of(backend, requests(TEXTS))
    alone, *others = texts_by_size(network, tokenizer, prompts, Sampling(TOKENS, 1.0), (1, 4, 16)).items()
    for size, texts in others:
        same = sum(one == other for one, other in zip(alone[1], texts, strict=True))
        print(f"batches of {size}: {same} of {TEXTS} texts of up to {TOKENS} tokens as in batches of 1")
    asyncio.run(backend.close())


def main() -> None:
    """Load and measure."""
    measures: dict[str, Callable[[Any, Any], None]] = {"speed": measure_speed, "equal": measure_equality}
    measures[sys.argv[1] if len(sys.argv) > 1 else "speed"](*load())


if __name__ == "__main__":
    main()
