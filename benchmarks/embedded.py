"""Overhead of the embedded backend over the bare engine: `python benchmarks/embedded.py`, about two minutes.

Both answer the same requests with two engines of one thread: the backend as PersonaGen calls it, and xllamacpp called
directly, without streaming, log-probabilities or cancellation. Rounds alternate, so that other load hits both alike.
"""

import asyncio
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import xllamacpp

from personagen.builder.llm.backends.embedded import CONTEXT, SLOTS, find_weights, load_embedded
from personagen.builder.llm.requests import Message, Request, Sampling

ROUNDS = 5
REQUESTS = 4
CANDIDATES = 8
TOKENS = 40
GOAL = 0.9

# About 250 tokens once it is in the chat template.
FACTS = "- lives in a small town, works in shifts, cycles to work, keeps a notebook, repairs old radios, likes quiet\n"


def prompt(number: int) -> str:
    """Return one prompt; the number makes it unique."""
    return f"Write as person {number}:\n{FACTS * 8}\nWrite what happened to them today, in the first person."


def backend_round(requests: list[Request]) -> Callable[[], int]:
    """Load the backend and return a function that answers all requests and returns the number of generated tokens."""
    backend = load_embedded(engines=2)

    async def answer() -> int:
        replies = await asyncio.gather(*(backend.complete(each) for each in requests))
        return sum(reply.completion_tokens for reply in replies)

    return lambda: asyncio.run(answer())


def bare_round(requests: list[Request]) -> Callable[[], int]:
    """Return the same function for the bare engine; every candidate has the full length."""

    def start() -> xllamacpp.Server:
        params = xllamacpp.CommonParams()
        params.model.path = str(find_weights())
        params.n_parallel = SLOTS
        params.n_ctx = SLOTS * CONTEXT
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
        params.cache_prompt = False
        params.cache_ram_mib = 0
        params.verbosity = -1
        return xllamacpp.Server(params)

    servers = [start(), start()]

    def answer(number: int) -> int:
        tokens = 0
        for each in requests[number::2]:
            text = f"<|im_start|>user\n{each.messages[0].content}<|im_end|>\n<|im_start|>assistant\n"
            body = {"prompt": text, "n": CANDIDATES, "max_tokens": TOKENS, "temperature": 0.6, "min_p": 0.08}
            servers[number].handle_completions({**body, "seed": each.seed, "ignore_eos": True, "top_k": 0})
            tokens += CANDIDATES * TOKENS
        return tokens

    def round_() -> int:
        with ThreadPoolExecutor(2) as pool:
            return sum(pool.map(answer, range(2)))

    return round_


def speed(work: Callable[[], int]) -> tuple[float, float]:
    """Run one round and return tokens per second of wall time and of CPU time."""
    wall, cpu = time.perf_counter(), time.process_time()
    tokens = work()
    return tokens / (time.perf_counter() - wall), tokens / (time.process_time() - cpu)


def main() -> None:
    """Measure and print."""
    requests = [
        Request((Message("user", prompt(i)),), Sampling(TOKENS, 0.6, min_p=0.08), 1000 * i, candidates=CANDIDATES)
        for i in range(REQUESTS)
    ]
    sides = {"backend": backend_round(requests), "bare engine": bare_round(requests)}
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for work in sides.values():
        work()
    for _ in range(ROUNDS):
        for name, work in sides.items():
            figures[name].append(speed(work))
    print(f"{REQUESTS} requests x {CANDIDATES} candidates x up to {TOKENS} tokens, median of {ROUNDS} rounds")
    print(f"{'':12} {'tok/s':>8} {'tok/cpu-s':>10}")
    for name, rows in figures.items():
        wall, cpu = (statistics.median(column) for column in zip(*rows, strict=True))
        print(f"{name:12} {wall:8.1f} {cpu:10.1f}")
    pairs = list(zip(figures["backend"], figures["bare engine"], strict=True))
    for index, unit in enumerate(("wall time", "processor time")):
        ratio = statistics.median(mine[index] / bare[index] for mine, bare in pairs)
        print(f"ratio by {unit}: {ratio:.2f} (goal {GOAL} or more)")


if __name__ == "__main__":
    main()
