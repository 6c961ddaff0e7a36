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
from collections.abc import Callable
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


def load() -> tuple[Any, Any]:
    """Load network and tokenizer."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    path = find_weights()
    network = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    return network.eval(), AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)


def requests(count: int) -> list[Request]:
    """Build prompts of several lengths with the sampling of a recipe."""
    jobs = ("nurse", "teacher", "welder", "farmer", "clerk", "driver")
    texts = [
        f"Write a short post by a {' and '.join(jobs[(i + k) % len(jobs)] for k in range(1 + i % 9))} about day {i}."
        for i in range(count)
    ]
    return [Request((Message("user", text),), Sampling(TOKENS, 0.9), 1000 * i) for i, text in enumerate(texts)]


def backend_round(backend: TransformersBackend, batches: list[Batch]) -> int:
    """Answer all requests through the backend and record its batches; return the number of tokens."""
    generate = backend._network.generate
    tokens = 0

    def recorded(*, input_ids: Any, attention_mask: Any, **options: Any) -> Any:
        nonlocal tokens
        rows = generate(input_ids=input_ids, attention_mask=attention_mask, **options)
        batches.append({"input_ids": input_ids, "attention_mask": attention_mask})
        tokens += rows.numel() - input_ids.numel()
        return rows

    async def ask() -> None:
        await asyncio.gather(*[backend.complete(request) for request in requests(REQUESTS)])

    backend._network.generate = recorded
    asyncio.run(ask())
    backend._network.generate = generate
    return tokens


def bare_round(network: Any, batches: list[Batch]) -> int:
    """Generate the same batches with the bare model; return the number of tokens."""
    tokens = 0
    for batch in batches:
        with torch.inference_mode():
            rows = network.generate(**batch, do_sample=True, temperature=0.9, top_k=0, max_new_tokens=TOKENS)
        tokens += rows.numel() - batch["input_ids"].numel()
    return tokens


def speed(work: Callable[[], int]) -> Speed:
    """Run one round."""
    wall, cpu = time.perf_counter(), time.process_time()
    tokens = work()
    return tokens / (time.perf_counter() - wall), tokens / (time.process_time() - cpu)


def measure_speed(network: Any, tokenizer: Any) -> None:
    """Print tokens per second of both, and the ratio."""
    backend = TransformersBackend(network, tokenizer, model=MODEL, revision=None, licence=None)
    while True:
        # Until the backend has found its batch size.
        batches: list[Batch] = []
        backend_round(backend, batches)
        sizes = [len(batch["input_ids"]) for batch in batches]
        if len(set(sizes)) == 1:
            break
    bare_round(network, batches)
    pairs = []
    for _ in range(ROUNDS):
        batches.clear()
        mine = speed(lambda: backend_round(backend, batches))
        pairs.append((mine, speed(lambda: bare_round(network, batches))))
    print(f"{REQUESTS} requests of {TOKENS} tokens in batches of {sizes}, median of {ROUNDS} rounds")
    print(f"{'':14} {'tok/s':>8} {'tok/cpu-s':>10}")
    for name, side in (("backend", 0), ("bare generate", 1)):
        wall, cpu = (statistics.median(pair[side][unit] for pair in pairs) for unit in (0, 1))
        print(f"{name:14} {wall:8.1f} {cpu:10.1f}")
    for unit, name in enumerate(("wall time", "processor time")):
        ratio = statistics.median(mine[unit] / bare[unit] for mine, bare in pairs)
        print(f"ratio by {name}: {ratio:.2f} (goal {GOAL} or more)")
    asyncio.run(backend.close())


def measure_equality(network: Any, tokenizer: Any) -> None:
    """Print how many texts are equal at every batch size, at temperature 1 without truncation."""
    sampling = Sampling(TOKENS, 1.0)
    backend = TransformersBackend(network, tokenizer, model=MODEL, revision=None, licence=None)
    prompts = [tokenizer(backend._prompt(request).text)["input_ids"] for request in requests(TEXTS)]
    lines = [PromptRow(prompt, seed) for seed, prompt in enumerate(prompts)]

    def write(size: int) -> list[str]:
        found = []
        for start in range(0, TEXTS, size):
            part = lines[start : start + size]
            sampler = BatchSampler(tokenizer, part, end_tokens={tokenizer.eos_token_id})
            found += sample_batch(network, tokenizer, part, sampling=sampling, sampler=sampler) or []
        return [text.candidate.text for text in found]

    alone = write(1)
    for size in (4, 16):
        same = sum(one == other for one, other in zip(alone, write(size), strict=True))
        print(f"batches of {size}: {same} of {TEXTS} texts of up to {TOKENS} tokens as in batches of 1")


def main() -> None:
    """Load and measure."""
    measures: dict[str, Callable[[Any, Any], None]] = {"speed": measure_speed, "equal": measure_equality}
    measures[sys.argv[1] if len(sys.argv) > 1 else "speed"](*load())


if __name__ == "__main__":
    main()
