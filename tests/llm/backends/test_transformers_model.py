"""The transformers backend with a tiny random model."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from personagen.builder.core.errors import BackendError, RequestError
from personagen.builder.llm.backends.transformers_loading import _placement, load_transformers
from personagen.builder.llm.backends.transformers_model import TransformersBackend
from personagen.builder.llm.requests import Message, Request, Sampling
from tests.helpers.models import chat_templates as kinds
from tests.helpers.models.tiny_model import answer, answers, ask, save_model, save_tokenizer, texts, torch


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save the model with its tokenizer and a card."""
    path = tmp_path_factory.mktemp("tiny") / "model"
    save_model(path)
    return path


@pytest.fixture(scope="session")
def backend(folder: Path) -> TransformersBackend:
    """Load that model once, with one thread: more of them make so small a model slower."""
    torch.set_num_threads(1)
    return load_transformers(model=str(folder))


def test_text_depends_on_the_request_only(backend: TransformersBackend) -> None:
    """Not on the order of requests or on earlier ones, but on the seed."""
    requests = [ask(f"Nr {number}.", seed=number % 3) for number in range(6)]
    first = answers(backend, requests)
    assert texts(answers(backend, requests[::-1])[::-1]) == texts(first)
    assert len({reply.candidates[0].text for reply in first}) == 6
    assert answer(backend, ask(seed=1)) != answer(backend, ask(seed=2))


def test_reply_counts_and_scores_its_tokens(backend: TransformersBackend) -> None:
    """A text without an end is cut at max_tokens, and its finish is "length"."""
    reply = answer(backend, ask(max_tokens=5))
    (candidate,) = reply.candidates
    assert (candidate.finish, reply.completion_tokens) == ("length", 5)
    assert reply.prompt_tokens > 5
    assert candidate.mean_logprob is not None
    assert -20 < candidate.mean_logprob < 0


def test_greedy_ignores_the_seed(backend: TransformersBackend) -> None:
    """Temperature 0 has one text, which all candidates share."""
    one = answer(backend, ask(temperature=0.0, seed=1, candidates=2))
    two = answer(backend, ask(temperature=0.0, seed=2, candidates=2))
    assert one == two
    assert one.candidates[0] == one.candidates[1]
    assert one.completion_tokens == 2 * answer(backend, ask(temperature=0.0)).completion_tokens


def test_greedy_is_more_likely_than_hot(backend: TransformersBackend) -> None:
    """The mean log probability is that of the model before temperature."""
    cold, hot = answers(backend, [ask(temperature=0.0), ask(temperature=5.0)])
    assert cold.candidates[0].mean_logprob > hot.candidates[0].mean_logprob  # type: ignore[operator]


def test_candidates_differ(backend: TransformersBackend) -> None:
    """Candidates are drawn independently, and tokens are counted over all of them."""
    reply = answer(backend, ask(candidates=3, max_tokens=8))
    assert len({candidate.text for candidate in reply.candidates}) == 3
    assert reply.completion_tokens <= 24


def test_missing_temperature_samples(backend: TransformersBackend) -> None:
    """None: the value of the generation config, here 1, and not greedy."""
    assert answer(backend, ask(temperature=None)) == answer(backend, ask(temperature=1.0))


@pytest.mark.parametrize("change", [{"top_p": 0.05}, {"min_p": 0.9}, {"repetition_penalty": 5.0}])
def test_sampling_parameters_are_used(backend: TransformersBackend, change: dict[str, float]) -> None:
    """Each parameter changes the draw."""
    plain = Sampling(max_tokens=24, temperature=1.0)
    changed = Sampling(max_tokens=24, temperature=1.0, **change)
    assert answer(backend, ask(sampling=changed)) != answer(backend, ask(sampling=plain))


def test_small_nucleus_is_greedy(backend: TransformersBackend) -> None:
    """A nucleus of one token leaves no choice, whatever the seed."""
    narrow = ask(sampling=Sampling(24, temperature=1.0, top_p=1e-6))
    greedy = ask(temperature=0.0)
    assert answer(backend, narrow).candidates[0].text == answer(backend, greedy).candidates[0].text


def test_stop_string_ends_the_text_before_it(backend: TransformersBackend) -> None:
    """The text is the same up to the stop string, which is not part of it, even inside a token."""
    whole = answer(backend, ask()).candidates[0].text
    stop = whole[9:12]
    start = whole.index(stop)
    reply = answer(backend, ask(stop=("never written \u6f22", stop)))
    assert reply.candidates[0].text == whole[:start]
    assert reply.candidates[0].finish == "stop"
    assert reply.completion_tokens < 24


def test_stop_string_ends_each_candidate_alone(backend: TransformersBackend) -> None:
    """The other candidates continue."""
    free = answer(backend, ask(candidates=3))
    stop = free.candidates[1].text[6:10]
    reply = answer(backend, ask(candidates=3, stop=(stop,)))
    assert reply.candidates[1].finish == "stop"
    for candidate, whole in zip(reply.candidates, free.candidates, strict=True):
        assert candidate.text == whole.text.partition(stop)[0]


def test_end_token_finishes(backend: TransformersBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that ends the turn is counted, and is no part of the text."""
    rows: list[Any] = []
    generate = backend._network.generate

    def recorded(**options: Any) -> Any:
        rows.append(generate(**options))
        return rows[-1]

    monkeypatch.setattr(backend._network, "generate", recorded)
    free = answer(backend, ask())
    ids = rows[0][0, free.prompt_tokens :].tolist()
    monkeypatch.setattr(backend, "_end_tokens", {ids[6]})
    reply = answer(backend, ask())
    assert reply.completion_tokens == ids.index(ids[6]) + 1
    assert reply.candidates[0].finish == "stop"
    assert free.candidates[0].text.startswith(reply.candidates[0].text[:-1])


def test_prefill_is_continued_and_not_repeated(backend: TransformersBackend) -> None:
    """The prompt ends with the exact prefill, although the template strips turns."""
    request = ask(prefill="We counted eleven ")
    assert backend._prompt(request).text.endswith("<user>Go on.<end><assistant>We counted eleven ")
    reply = answer(backend, request)
    assert not reply.candidates[0].text.startswith("We counted")
    assert reply != answer(backend, ask())


def test_schema_goes_into_the_system_turn(backend: TransformersBackend) -> None:
    """The schema is an instruction and not enforced: the caller validates."""
    prompt = backend._prompt(ask(schema={"type": "object"})).text
    assert prompt.startswith("<system>You write.\n\nAnswer with JSON that satisfies this JSON schema, and with nothing")
    assert json.dumps({"type": "object"}) in prompt
    alone = Request((Message("user", "Go."),), Sampling(9), seed=1, schema={"type": "object"})
    assert backend._prompt(alone).text.startswith("<system>Answer with JSON")


def test_long_request_is_refused(backend: TransformersBackend) -> None:
    """The message states all three numbers."""
    message = r"needs \d+ prompt tokens \+ 250 max_tokens, but '.*' takes 256; lower max_tokens or shorten the prompt$"
    with pytest.raises(RequestError, match=message):
        answer(backend, ask(max_tokens=250))


def test_template_that_refuses_costs_one_request(backend: TransformersBackend) -> None:
    """For example templates without a system turn."""
    with pytest.raises(RequestError, match=r"the chat template of '.*' refuses the messages: no such turn$"):
        answer(backend, ask("forbidden"))


def test_exceeded_memory_costs_one_request(backend: TransformersBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shorter request may succeed."""

    def full(**_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")

    monkeypatch.setattr(backend._network, "generate", full)
    with pytest.raises(RequestError, match=r"out of memory for 1 candidates of \d+ \+ 24 tokens; request fewer or"):
        answer(backend, ask())


# Loading.


def test_identity_names_weights_and_licence(folder: Path) -> None:
    """The revision of a folder is a digest of its files, its licence that of its card."""
    backend = load_transformers(model=str(folder))
    assert (backend.name, backend.model, backend.licence) == ("transformers", str(folder), "apache-2.0")
    assert backend.revision is not None
    assert len(backend.revision) == len("sha256:") + 64


def test_revision_follows_the_weights(folder: Path, tmp_path: Path) -> None:
    """Other weights have another revision; another card or path has not."""
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / "README.md").unlink()
    same = load_transformers(model=str(copy))
    assert (same.revision, same.licence) == (load_transformers(model=str(folder)).revision, None)
    weights = copy / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    assert load_transformers(model=str(copy)).revision != same.revision


def test_model_without_chat_template_is_loaded_with_a_warning(folder: Path, tmp_path: Path) -> None:
    """A base model continues plain text."""
    bare = tmp_path / "bare"
    shutil.copytree(folder, bare)
    (bare / "chat_template.jinja").unlink()
    save_tokenizer(bare, template=None)
    warnings: list[str] = []
    backend = load_transformers(model=str(bare), warn=warnings.append)
    assert answer(backend, ask(max_tokens=3)).left_out == ("chat template",)
    assert len(warnings) == 1 and "has no chat template (a base model)" in warnings[0]


def in_tokenizer_config(folder: Path) -> None:
    """Save several templates as older versions of transformers did."""
    path = folder / "tokenizer_config.json"
    entries = [{"name": name, "template": template} for name, template in kinds.HERMES.items()]
    path.write_text(json.dumps(json.loads(path.read_text()) | {"chat_template": entries}))


def in_additional_files(folder: Path) -> None:
    (folder / "additional_chat_templates").mkdir()
    for name, template in kinds.HERMES.items():
        (folder / "additional_chat_templates" / f"{name}.jinja").write_text(template)


def in_a_file_of_the_processor(folder: Path) -> None:
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": kinds.HERMES["rag"]}))


def in_the_configuration_of_the_processor(folder: Path) -> None:
    (folder / "processor_config.json").write_text(json.dumps({"chat_template": kinds.HERMES["rag"]}))


@pytest.mark.parametrize(
    "save",
    [in_tokenizer_config, in_additional_files, in_a_file_of_the_processor, in_the_configuration_of_the_processor],
)
def test_templates_are_found_in_any_file(folder: Path, tmp_path: Path, save: Callable[[Path], None]) -> None:
    """Tokenizers read their own files only."""
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / "chat_template.jinja").unlink()
    save_tokenizer(copy, template=None)
    save(copy)
    backend = load_transformers(model=str(copy))
    assert backend._prompt(ask()).text.startswith("<|rag_start|>system\nYou write.")


def test_revision_follows_additional_templates(folder: Path, tmp_path: Path) -> None:
    """Where the model has no other: elsewhere, they are not used."""
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    before = load_transformers(model=str(copy)).revision
    in_additional_files(copy)
    assert load_transformers(model=str(copy)).revision == before
    (copy / "chat_template.jinja").unlink()
    one = load_transformers(model=str(copy)).revision
    (copy / "additional_chat_templates" / "rag.jinja").write_text(kinds.CHATML)
    assert load_transformers(model=str(copy)).revision not in (one, before)


def test_thoughts_are_set_when_a_model_is_loaded(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / "chat_template.jinja").write_text(kinds.GPT_OSS)
    warnings: list[str] = []
    backend = load_transformers(model=str(copy), warn=warnings.append, reasoning_effort="low", thinking_tokens=9)
    assert "Reasoning: low<" in backend._prompt(ask()).text
    assert backend.thinking_tokens == 9
    assert warnings == [], "thoughts were asked for"


@pytest.mark.parametrize("model", ["./nowhere", "/nowhere/model", "~/nowhere", "a/b/c"])
def test_missing_folder_is_refused(model: str) -> None:
    """A path is not looked up on the Hub."""
    message = f"^backend transformers: no folder '{model}'; name a model's folder or its id on the Hub$"
    with pytest.raises(BackendError, match=message):
        load_transformers(model=model)


def test_unknown_hub_id_is_one_clear_line() -> None:
    """Offline, only models in the cache can be loaded."""
    message = r"^backend transformers: cannot load 'unknown/model': .*; check the id and the network, or give a local"
    with pytest.raises(BackendError, match=message) as caught:
        load_transformers(model="unknown/model")
    assert "\n" not in str(caught.value)


def test_folder_without_model_is_one_clear_line(tmp_path: Path) -> None:
    """The message names the folder and the missing file."""
    with pytest.raises(BackendError, match=f"^backend transformers: cannot load '{tmp_path}': ") as caught:
        load_transformers(model=str(tmp_path))
    assert "\n" not in str(caught.value)


def test_damaged_weights_are_one_clear_line(folder: Path, tmp_path: Path) -> None:
    """For example after an interrupted download."""
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    (broken / "model.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(BackendError, match=r"^backend transformers: cannot load '.*broken': ") as caught:
        load_transformers(model=str(broken))
    assert "\n" not in str(caught.value)


def test_missing_extra_names_the_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without torch, the message has the command that installs it."""
    monkeypatch.setitem(sys.modules, "torch", None)
    message = r"^backend transformers: .*torch.*; install it with pip install 'personagen\[transformers\]'$"
    with pytest.raises(BackendError, match=message):
        load_transformers(model="any")


SCRIPT = """
import asyncio
from personagen.builder.llm.requests import Message, Request, Sampling
from personagen.builder.llm.backends.transformers_loading import load_transformers

async def run():
    backend = load_transformers(model="user/tiny")
    for sampling in (Sampling(4), Sampling(4, temperature=0.0), Sampling(4, 0.7, 0.9, 0.05, 1.1)):
        await backend.complete(Request((Message("user", "Go."),), sampling, seed=1, candidates=2, stop=("x",)))
    await backend.close()
    assert backend._network is None
    print(backend.model, backend.revision, backend.licence)

asyncio.run(run())
"""


@pytest.mark.slow
def test_hub_model_is_pinned_and_silent(folder: Path, tmp_path: Path) -> None:
    """A model in the Hub's cache has its commit as revision; neither progress bars nor advice reach the terminal.

    In a separate process, because the cache is located at import and advice is printed once.
    """
    commit = "0123456789abcdef0123456789abcdef01234567"
    shutil.copytree(folder, tmp_path / "models--user--tiny" / "snapshots" / commit)
    refs = tmp_path / "models--user--tiny" / "refs"
    refs.mkdir()
    (refs / "main").write_text(commit, encoding="utf-8")
    environment = os.environ | {"HF_HUB_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-W", "error", "-c", SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.stderr == ""
    assert done.stdout == f"user/tiny {commit} apache-2.0\n"


def test_unreadable_card_does_not_stop_the_load(folder: Path, tmp_path: Path) -> None:
    """The licence is unknown then."""
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / "README.md").write_text("---\nlicense: [\n---\n", encoding="utf-8")
    assert load_transformers(model=str(copy)).licence is None


@pytest.mark.parametrize(
    ("gpu", "modern", "wanted"),
    [
        (False, False, {"dtype": torch.float32}),
        (True, True, {"device_map": "auto", "dtype": torch.bfloat16}),
        (True, False, {"device_map": "auto", "dtype": torch.float16}),
    ],
)
def test_device_and_float_type_of_the_weights(
    monkeypatch: pytest.MonkeyPatch, gpu: bool, modern: bool, wanted: dict[str, Any]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: modern and not including_emulation)
    assert _placement(torch) == wanted


def test_concurrency_is_fixed_and_fills_batches(backend: TransformersBackend) -> None:
    assert (backend.concurrency, backend.adaptive) == (128, False)
