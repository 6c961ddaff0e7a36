"""The benchmark of the transformers backend on a GPU, with its tiny model on the processor. No GPU is needed here."""

import asyncio
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from benchmarks.gpu import (  # noqa: E402
    SHAPES,
    VOCABULARY,
    install_vllm,
    main,
    make_network,
    make_tokenizer,
    measure,
    measure_halving,
    measure_vllm,
    wrap,
)

TINY = SHAPES["tiny"]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return make_tokenizer(TINY.vocabulary)


@pytest.fixture(scope="module")
def network() -> Any:
    return make_network(TINY, "cpu", torch.float32)


@contextmanager
def at_most(network: Any, rows: int) -> Iterator[None]:
    """Let batches of more rows exceed the memory."""
    generate = network.generate

    def bounded(*, input_ids: Any, **options: Any) -> Any:
        if len(input_ids) > rows:
            raise torch.OutOfMemoryError("out of memory")
        return generate(input_ids=input_ids, **options)

    network.generate = bounded
    try:
        yield
    finally:
        network.generate = generate


def test_all_sections_run_with_a_tiny_model_on_the_processor() -> None:
    lines = list(measure("tiny", "cpu", None))
    assert re.fullmatch(r"### Llama of random weights, tiny: 0\.00e9 parameters, torch\.float32, cpu", lines[0])
    text = "\n".join(lines)
    assert re.search(r"speed: backend [1-9]\d* tokens/s, bare generate [1-9]\d*, ratio \d", text)
    for decoding in ("greedy", "sampled"):
        same = "of 6 texts as in batches of 1: 6 in batches of 4 and 6 in batches of 16"
        assert f"equality, {decoding}, torch.float32: {same}" in text
    assert text.count("Goal: at least 0.95 the same in float32. Here 1: met.") == 2
    assert "loading: the greedy text of the saved model is the same" in text
    assert "memory: skipped: " in text and lines[-1] == "vLLM: skipped: no --vllm FOLDER"


def test_a_batch_that_exceeds_the_memory_is_halved_and_all_requests_are_answered(network: Any, tokenizer: Any) -> None:
    backend = wrap(network, tokenizer)
    sizes, goal = measure_halving(backend, TINY, lambda: at_most(network, 4))
    assert sizes == "memory: batches of 4, 8, 4, 4; 12 of 12 requests answered"
    assert goal.endswith(": met.")
    asyncio.run(backend.close())


def test_a_run_that_never_exceeds_the_memory_misses_the_goal(network: Any, tokenizer: Any) -> None:
    backend = wrap(network, tokenizer)
    sizes, goal = measure_halving(backend, TINY, lambda: at_most(network, 99))
    assert sizes.endswith("12 of 12 requests answered") and goal.endswith(": missed.")
    asyncio.run(backend.close())


def test_the_tokenizer_has_the_vocabulary_of_the_model_and_decodes_every_token(tokenizer: Any) -> None:
    assert len(tokenizer) == TINY.vocabulary
    text = "Zwölf Boxkämpfer, 12."
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert all(tokenizer.decode([token]) for token in range(TINY.vocabulary))
    chat = tokenizer.apply_chat_template([{"role": "user", "content": "Go on."}], tokenize=False)
    assert chat == "<user>Go on.<end>"


def test_the_large_models_have_one_and_eight_billion_parameters() -> None:
    for name, billions in (("1b", 1.5), ("8b", 8.03)):
        shape = SHAPES[name]
        assert shape.vocabulary == VOCABULARY
        network = make_network(shape, "meta", torch.bfloat16)
        count = sum(weights.numel() for weights in network.parameters())
        assert count / 1e9 == pytest.approx(billions, rel=0.02)


def test_vllm_that_is_absent_is_a_line_with_the_reason(network: Any, tokenizer: Any, tmp_path: Path) -> None:
    line = measure_vllm(Path(sys.executable), tokenizer, network, TINY)
    assert line == "vLLM: failed: ModuleNotFoundError: No module named 'vllm'"
    (tmp_path / "vllm").write_text("a file where the environment should be", encoding="utf-8")
    assert str(install_vllm(tmp_path / "vllm")).startswith("vLLM: not installed: ")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_the_command_ends_with_one_line() -> None:
    with pytest.raises(SystemExit, match=r"^no GPU: wanted CUDA; --parameters tiny --device cpu runs the same code"):
        main([])


def test_an_unknown_model_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--parameters", "3b"])
    assert "unknown models ['3b'], expected some of tiny, 1b, 8b" in capsys.readouterr().err
