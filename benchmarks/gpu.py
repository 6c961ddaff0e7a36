"""The `transformers` backend on a GPU, with Llamas of random weights: `python -m benchmarks.gpu`, under five minutes.

    python -m benchmarks.gpu                                    1 and 8 billion parameters in bfloat16, on CUDA
    python -m benchmarks.gpu --parameters 1b                    the smaller one only
    python -m benchmarks.gpu --vllm ~/.cache/personagen-vllm    vLLM too; installed there on first use (8 GB)
    python -m benchmarks.gpu --parameters tiny --device cpu     the same code on the processor, in seconds

Nothing is downloaded: the models have the shapes of Llama 3.2 1B and Llama 3.1 8B, and the tokenizer is built here. It
measures: tokens per second beside a bare `generate` on the same batches, and beside vLLM; loading by `device_map`;
halved batches when the memory is full; texts that are equal at every batch size.
"""

import argparse
import asyncio
import contextlib
import gc
import itertools
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from benchmarks.transformers_batches import (
    GOAL,
    Batch,
    alternate,
    backend_round,
    prompts_of,
    requests,
    texts_by_size,
)
from personagen.builder.llm.backends.transformers_loading import load_transformers
from personagen.builder.llm.backends.transformers_model import TransformersBackend
from personagen.builder.llm.requests import Reply, Sampling

transformers: Any = import_module("transformers")
tokenizers: Any = import_module("tokenizers")

VOCABULARY = 128_256
"""Tokens of Llama 3."""

TEMPLATE = (
    "{% for message in messages %}<{{ message['role'] }}>{{ message['content'] | trim }}<end>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
SPECIAL = ("<end>", "<system>", "<user>", "<assistant>")
EQUAL_GOAL = 0.95
"""Fraction of texts that are the same in batches of 1 and of more, in float32. In bfloat16 nothing is promised."""

MEMORY_BATCHES = 6
"""Batches of four rows for which the bounded memory has room."""


@dataclass(frozen=True, slots=True)
class ModelShape:
    """Shape of a Llama and the work that it is given.

    Attributes:
        config: arguments of its configuration.
        vocabulary: tokens.
        requests: requests of a round; the backend fills its batches with them.
        tokens: tokens of a text.
        rounds: rounds of each side.
        texts: texts that are compared over batch sizes.
        compared_tokens: tokens of such a text: in batches of one row, each takes a step of its own.

    """

    config: dict[str, int]
    vocabulary: int = VOCABULARY
    requests: int = 128
    tokens: int = 64
    rounds: int = 3
    texts: int = 16
    compared_tokens: int = 24


def _llama(hidden: int, layers: int, inner: int, heads: int = 32) -> dict[str, int]:
    names = ("hidden_size", "num_hidden_layers", "intermediate_size", "num_attention_heads", "num_key_value_heads")
    return dict(zip(names, (hidden, layers, inner, heads, max(1, heads // 4)), strict=True))


SHAPES = {
    "tiny": ModelShape(_llama(32, 2, 64, heads=4), 600, requests=12, tokens=8, rounds=1, texts=6, compared_tokens=12),
    "1b": ModelShape(_llama(2048, 16, 8192)),
    "8b": ModelShape(_llama(4096, 32, 14_336)),
}


def make_tokenizer(vocabulary: int) -> Any:
    """Build a byte-level tokenizer: special tokens, the bytes, and words that only a model writes."""
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    words = [*SPECIAL, *alphabet]
    words += [f"Ġword{number}" for number in range(vocabulary - len(words))]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE({word: i for i, word in enumerate(words)}, []))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIAL))
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", chat_template=TEMPLATE)


def make_network(shape: ModelShape, device: str, dtype: Any) -> Any:
    """Build a Llama of random weights on the device."""
    config = transformers.LlamaConfig(
        vocab_size=shape.vocabulary, max_position_embeddings=4096, eos_token_id=0, bos_token_id=None, **shape.config
    )
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            return transformers.LlamaForCausalLM(config).eval()
    finally:
        torch.set_default_dtype(before)


def wrap(network: Any, tokenizer: Any) -> TransformersBackend:
    """Put the backend in front of a network."""
    return TransformersBackend(network, tokenizer, model="random", revision=None, licence=None)


def measure_speed(backend: TransformersBackend, shape: ModelShape) -> Iterator[str]:
    """Yield the speeds of backend and bare model."""
    sizes, pairs = alternate(backend, requests(shape.requests, shape.tokens), shape.rounds)
    ours, bare = (statistics.median(pair[side][0] for pair in pairs) for side in (0, 1))
    ratio = statistics.median(one[0] / other[0] for one, other in pairs)
    work = f"{shape.requests} requests of {shape.tokens} tokens in batches of {max(sizes)}"
    yield f"speed: backend {ours:.0f} tokens/s, bare generate {bare:.0f}, ratio {ratio:.2f}; {work}"
    if shape.requests >= 128:  # the ratio of a tiny model is that of the work around it
        yield f"Goal: ratio at least {GOAL}. Here {ratio:.3g}: {'met' if ratio >= GOAL else 'missed'}."


def measure_vllm(python: Path, tokenizer: Any, network: Any, shape: ModelShape) -> str:
    """Return the speed of vLLM with random weights of the same shape, or why it did not run."""
    prompts = prompts_of(wrap(network, tokenizer), requests(shape.requests, shape.tokens))
    with tempfile.TemporaryDirectory(prefix="personagen-gpu-") as folder:
        network.config.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        (Path(folder) / "prompts.json").write_text(json.dumps(prompts), encoding="utf-8")
        driver = Path(__file__).with_name("vllm_driver.py")
        words = [str(python), str(driver), folder, str(shape.tokens)]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=240)
    if done.returncode:
        return f"vLLM: failed: {(done.stderr.strip() or 'no message').splitlines()[-1][:140]}"
    result = json.loads(done.stdout.splitlines()[-1])
    return f"vLLM {result['version']}: {result['tokens'] / result['seconds']:.0f} tokens/s"


def install_vllm(folder: Path) -> Path | str:
    """Return the interpreter of vLLM's environment, made on first use; a string says why there is none."""
    python = folder / "bin" / "python"
    if (folder / "installed.txt").exists():
        return python
    print(f"installing vllm into {folder}", file=sys.stderr)
    for words in ([sys.executable, "-m", "venv", str(folder)], [str(python), "-m", "pip", "install", "-q", "vllm"]):
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            return f"vLLM: not installed: {(done.stderr.strip() or 'no message').splitlines()[-1][:140]}"
    (folder / "installed.txt").write_text("vllm", encoding="utf-8")
    return python


def measure_loading(network: Any, tokenizer: Any, shape: ModelShape) -> Iterator[str]:
    """Yield where `load_transformers` puts a saved model, and whether it writes the same greedy text."""
    with tempfile.TemporaryDirectory(prefix="personagen-gpu-") as folder:
        network.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        began = time.perf_counter()
        loaded = load_transformers(model=folder)
        seconds = time.perf_counter() - began
    places = getattr(loaded._network, "hf_device_map", None) or {"all": str(loaded._network.device)}
    used = sorted({str(place) for place in places.values()})
    yield f"loading: {seconds:.1f} s, device map {', '.join(used)}, {loaded._network.dtype}, {loaded.revision}"[:120]
    prompts = prompts_of(loaded, requests(1))
    texts = [
        texts_by_size(model, tokenizer, prompts, Sampling(shape.compared_tokens, 0.0), [1])[1]
        for model in (network.to(loaded._network.dtype), loaded._network)
    ]
    yield f"loading: the greedy text of the saved model is {'the same' if texts[0] == texts[1] else 'another one'}"
    asyncio.run(loaded.close())


def measure_equality(network: Any, tokenizer: Any, shape: ModelShape, dtype: Any) -> Iterator[str]:
    """Yield how many texts are the same in batches of 1, 4 and 16, greedy and sampled."""
    prompts = prompts_of(wrap(network, tokenizer), requests(shape.texts))
    for name, temperature in (("greedy", 0.0), ("sampled", 1.0)):
        texts = texts_by_size(network, tokenizer, prompts, Sampling(shape.compared_tokens, temperature), (1, 4, 16))
        same = {size: sum(map(str.__eq__, texts[1], texts[size])) for size in (4, 16)}
        counts = " and ".join(f"{number} in batches of {size}" for size, number in same.items())
        yield f"equality, {name}, {dtype}: of {shape.texts} texts as in batches of 1: {counts}"
        if dtype == torch.float32:
            fraction = min(same.values()) / shape.texts
            met = "met" if fraction >= EQUAL_GOAL else "missed"
            yield f"Goal: at least {EQUAL_GOAL} the same in float32. Here {fraction:.3g}: {met}."


def measure_halving(
    backend: TransformersBackend, shape: ModelShape, bounded: Callable[[], AbstractContextManager[None]]
) -> Iterator[str]:
    """Yield what the backend does when a batch exceeds the memory; `bounded` bounds it so that larger batches do."""
    asked = requests(shape.requests, shape.tokens)
    replies: list[Reply] = []
    complete = backend.complete

    async def counted(request: Any) -> Reply:
        replies.append(await complete(request))
        return replies[-1]

    batches: list[Batch] = []
    backend.complete = counted  # type: ignore[method-assign]
    with bounded():
        backend_round(backend, batches, asked)
    sizes = [len(batch["input_ids"]) for batch in batches]
    halved = any(later < earlier for earlier, later in itertools.pairwise(sizes))
    yield f"memory: batches of {', '.join(map(str, sizes))}; {len(replies)} of {len(asked)} requests answered"
    met = "met" if halved and len(replies) == len(asked) and sum(sizes) > len(asked) else "missed"
    yield f"Goal: a batch exceeds the memory and is halved, and all are answered: {met}."


@contextlib.contextmanager
def bounded_memory(network: Any, tokenizer: Any, shape: ModelShape) -> Iterator[None]:
    """Bound the memory of this process on the GPU to its present use plus MEMORY_BATCHES batches of four rows."""
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    prompts = prompts_of(wrap(network, tokenizer), requests(4))
    texts_by_size(network, tokenizer, prompts, Sampling(shape.tokens, 0.9), [4])
    batch = torch.cuda.max_memory_allocated() - before
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, (before + MEMORY_BATCHES * batch) / total))
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def measure(name: str, device: str, vllm: Path | None) -> Iterator[str]:
    """Yield the lines of one model."""
    shape, has_gpu = SHAPES[name], device != "cpu"
    dtype = torch.bfloat16 if has_gpu else torch.float32
    tokenizer, network = make_tokenizer(shape.vocabulary), make_network(shape, device, dtype)
    count = sum(weights.numel() for weights in network.parameters())
    yield f"### Llama of random weights, {name}: {count / 1e9:.2f}e9 parameters, {dtype}, {device}"
    backend = wrap(network, tokenizer)
    yield from measure_speed(backend, shape)
    if has_gpu:
        yield f"memory: peak {torch.cuda.max_memory_allocated() / 1e9:.1f} GB"
        small = wrap(network, tokenizer)
        yield from measure_halving(small, shape, lambda: bounded_memory(network, tokenizer, shape))
        asyncio.run(small.close())
    else:
        yield "memory: skipped: the memory of a processor cannot be bounded for a batch"
    yield from measure_equality(network, tokenizer, shape, dtype)
    if name != "8b":  # 16 GB would be written, hashed and read
        yield from measure_loading(network, tokenizer, shape)
        if has_gpu:
            yield from measure_equality(network.float(), tokenizer, shape, torch.float32)
            network.bfloat16()
    asyncio.run(backend.close())
    if vllm is None:
        yield "vLLM: skipped: no --vllm FOLDER"
    elif not has_gpu:
        yield "vLLM: skipped: no GPU"
    else:
        python = install_vllm(vllm)
        config_only = network.to("cpu") if isinstance(python, Path) else network
        gc.collect()
        torch.cuda.empty_cache()
        yield python if isinstance(python, str) else measure_vllm(python, tokenizer, config_only, shape)


def heading(device: str) -> str:
    """Return machine and versions."""
    where = "processor"
    if device != "cpu":
        properties = torch.cuda.get_device_properties(0)
        where = f"{torch.cuda.device_count()} x {properties.name}, {properties.total_memory / 1e9:.0f} GB"
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}"
    command = " ".join(["python -m benchmarks.gpu", *sys.argv[1:]])
    return f"`{command}`: {where}, {versions}, Python {platform.python_version()}"


def main(words: Sequence[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.split(":")[0])
    parser.add_argument("--parameters", default="1b,8b", help=f"models, with commas: {', '.join(SHAPES)}")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--vllm", type=Path, metavar="FOLDER", help="environment of vLLM; made on first use, 8 GB")
    options = parser.parse_args(words)
    names = options.parameters.split(",")
    if unknown := sorted(set(names) - set(SHAPES)):
        parser.error(f"unknown models {unknown}, expected some of {', '.join(SHAPES)}")
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit("no GPU: wanted CUDA; --parameters tiny --device cpu runs the same code on the processor")
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    print(heading(options.device), flush=True)
    for name in names:
        for line in measure(name, options.device, options.vllm):
            print(line if line.startswith("#") else f"- {line}", flush=True)
        gc.collect()


if __name__ == "__main__":
    main(sys.argv[1:])
