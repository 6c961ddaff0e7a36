"""Models of the transformers backend with chat templates of many kinds, and models that think."""

import asyncio
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from personagen.builder.core.errors import BackendError, RequestError
from personagen.builder.llm.backends.transformers_model import TransformersBackend, TransformersSettings
from personagen.builder.llm.engine import start_engine
from personagen.builder.llm.requests import Message, Reply, Request, Sampling
from tests.helpers.models import chat_templates as kinds
from tests.helpers.models.tiny_model import (
    TEMPLATE,
    answer,
    answers,
    ask,
    save_model,
    save_tokenizer,
    scripted_backend,
    texts,
    torch,
    transformers,
)

SETTINGS = SimpleNamespace(kind="test", model=None, base_url=None, concurrency=None, rpm=None, tpm=None)
LIMITS = SimpleNamespace(max_tokens=None, max_cost=None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny") / "model"
    save_model(path)
    torch.set_num_threads(1)
    return path


def backend_of(folder: Path, template: Any, **settings: Any) -> TransformersBackend:
    """Build a backend of the random model with another template."""
    network = transformers.AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = template
    options = TransformersSettings(**settings)
    return TransformersBackend(network, tokenizer, model="odd", revision=None, licence=None, settings=options)


KINDS = {name: kind for name, kind in vars(kinds).items() if re.fullmatch("[A-Z][A-Z0-9_]+", name) and name != "BROKEN"}


@pytest.mark.parametrize("template", KINDS.values(), ids=KINDS)
def test_every_kind_of_template_has_a_text(folder: Path, template: Any) -> None:
    """For two requests of different lengths in one batch, whose prompts hold the instruction and the task."""
    backend = backend_of(folder, template, thinking_tokens=8)
    requests = [ask("Go on.", max_tokens=8), ask("Go on, but longer than that.", max_tokens=8)]
    for request, reply in zip(requests, answers(backend, requests), strict=True):
        prompt = backend._prompt(request)
        assert all(message.content in prompt.text for message in request.messages)
        assert reply.left_out == prompt.left_out
        assert reply.candidates[0].text and reply.completion_tokens > 0


def test_what_a_template_lacks_is_reported_once(folder: Path) -> None:
    """However many requests, whether known when the model is loaded or only with a request."""
    warnings: list[str] = []
    backend = backend_of(folder, kinds.HERMES | {"rag": kinds.GEMMA_2}, warn=warnings.append)
    assert warnings == ["backend transformers: 'odd' has several chat templates; 'rag' is used"]
    replies = answers(backend, [ask(max_tokens=2, seed=seed) for seed in range(9)])
    assert {reply.left_out for reply in replies} == {("system role",)}
    assert warnings[1:] == ["backend transformers: 'odd' has no system role; the instruction opens the first user turn"]


def test_usual_template_reports_nothing(folder: Path) -> None:
    warnings: list[str] = []
    backend = backend_of(folder, TEMPLATE, warn=warnings.append)
    assert answer(backend, ask(max_tokens=2)).left_out == () and warnings == []
    assert backend.thinking_tokens == 0


def test_template_that_renders_nothing_is_refused(folder: Path) -> None:
    message = (
        r"^backend transformers: the chat template of 'odd' renders no chat: unexpected end of template.*; "
        "repair it in a copy of the model, or take another model$"
    )
    with pytest.raises(BackendError, match=message):
        backend_of(folder, kinds.BROKEN)


def test_model_without_chat_template_continues_plain_text(folder: Path) -> None:
    """The user is warned once, and the token at the beginning of a text is there."""
    warnings: list[str] = []
    backend = backend_of(folder, None, warn=warnings.append)
    backend._tokenizer.add_bos_token = True
    assert warnings == [
        "backend transformers: 'odd' has no chat template (a base model); prompts are plain text: "
        "prefer its instruct variant"
    ]
    request = ask(max_tokens=4, prefill="My hands")
    assert backend._prompt(request).text == "You write.\n\nUser:\nGo on.\n\nAssistant:\nMy hands"
    reply = answer(backend, request)
    assert reply.candidates[0].text and reply.left_out == ("chat template",)


def test_plain_text_ends_before_the_next_turn(folder: Path) -> None:
    backend = scripted_backend(folder, None, ["Fine.", "\n\nUser:", "Thanks."])
    reply = answer(backend, ask())
    assert (reply.candidates[0].text, reply.candidates[0].finish) == ("Fine.", "stop")


@pytest.mark.parametrize("end", ["<end>", None])
def test_plain_prompt_begins_and_does_not_end_with_a_mark(folder: Path, end: str | None) -> None:
    """Some tokenizers add a token at the end of every text, too."""
    from tokenizers.processors import TemplateProcessing

    backend = backend_of(folder, None)
    backend._tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<system> $A <end>" if end else "<system> $A", special_tokens=[("<system>", 1), ("<end>", 0)]
    )
    tokens = backend._tokenize("Go on.")
    assert tokens[0] == 1 and 0 not in tokens


def test_model_without_any_end_token_writes_to_the_limit(folder: Path, tmp_path: Path) -> None:
    """Nor has its tokenizer a pad token."""
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    save_tokenizer(copy, end=None)
    network = transformers.AutoModelForCausalLM.from_pretrained(copy)
    network.generation_config.eos_token_id = None
    tokenizer = transformers.AutoTokenizer.from_pretrained(copy)
    backend = TransformersBackend(network, tokenizer, model="endless", revision=None, licence=None)
    replies = answers(backend, [ask(max_tokens=9), ask("Longer than that.", max_tokens=9)])
    assert [reply.completion_tokens for reply in replies] == [9, 9]


# Thoughts.

THOUGHT = ["Hm.", " Well.\n", "</think>", "\n\n", "Fine.", "<end>"]


@pytest.mark.parametrize("special", [(), ("</think>",)])
def test_thought_has_its_marks(folder: Path, special: tuple[str, ...]) -> None:
    """The one at the end of the prompt is put in front; the other may be a special token."""
    warnings: list[str] = []
    backend = scripted_backend(folder, kinds.DEEPSEEK_R1, THOUGHT, special=special, warn=warnings.append)
    reply = answer(backend, ask(max_tokens=5))
    (candidate,) = reply.candidates
    assert reply.cut_at is None
    assert (candidate.text, candidate.finish) == ("<think>\nHm. Well.\n</think>\n\nFine.", "stop")
    assert warnings == [
        "backend transformers: 'scripted' may think before it writes, and cannot be kept from it: "
        "1024 tokens more per text"
    ]


def test_text_after_a_prefill_has_no_thought(folder: Path) -> None:
    """Both kinds of requests at once are written in batches of their own."""
    backend = scripted_backend(folder, kinds.DEEPSEEK_R1, THOUGHT, thinking_tokens=50)
    requests = [ask(max_tokens=2, prefill="My hands"), ask(max_tokens=2)]
    begun, thought = answers(backend, requests)
    assert (begun.candidates[0].text, begun.candidates[0].finish) == ("Hm. Well.\n", "length")
    assert thought.candidates[0].text == "<think>\nHm. Well.\n</think>\n\nFine."


@pytest.mark.parametrize(("asked", "room"), [(None, 1024), (0, 0), (7, 7)])
def test_room_for_a_thought_is_added_to_the_limit(folder: Path, asked: int | None, room: int) -> None:
    """A thought without an end is cut."""
    backend = scripted_backend(folder, kinds.DEEPSEEK_R1, ["Hm."], thinking_tokens=asked)
    assert backend.thinking_tokens == room
    reply = answer(backend, ask(max_tokens=5))
    assert reply.completion_tokens == reply.cut_at == 5 + room
    assert (reply.candidates[0].text, reply.candidates[0].finish) == ("<think>\n" + "Hm." * (5 + room), "length")


def test_room_is_added_to_no_text_of_a_model_that_is_kept_from_thinking(folder: Path) -> None:
    backend = scripted_backend(folder, kinds.QWEN_3, ["Fine."], thinking_tokens=50)
    assert answer(backend, ask(max_tokens=5)).candidates[0].text == "Fine." * 5
    thinking = scripted_backend(folder, kinds.QWEN_3, ["Fine."], thinking_tokens=50, reasoning_effort="high")
    assert answer(thinking, ask(max_tokens=5)).completion_tokens == 55


def test_room_grows_after_a_thought_that_was_cut(folder: Path) -> None:
    """For requests of that kind, up to the context of the model; then the reply asks for no more."""
    backend = scripted_backend(folder, kinds.DEEPSEEK_R1, ["Hm."], thinking_tokens=7)
    request = ask(max_tokens=5)
    assert backend.token_limit(request) == 12
    assert answer(backend, request).cut_at == 12
    assert backend.token_limit(request, 12) == backend.token_limit(request) == 5 + 1024
    assert answer(backend, request).cut_at == 5 + 1024
    assert backend.token_limit(request) == 5 + 4096
    last = answer(backend, request)
    assert last.cut_at is None
    assert 1536 <= last.completion_tokens < 2048, "the context has 2,048 tokens"
    assert backend.token_limit(ask(max_tokens=5, prefill="It")) == 5
    assert backend.token_limit(ask(max_tokens=9)) == 9 + 4096


def test_run_gets_the_answer_of_a_thought_that_was_cut_at_first(folder: Path, tmp_path: Path) -> None:
    """The request is sent a second time with more room, and the journal has the answer for good."""
    words = [f"{number} " for number in range(20)]
    backend = scripted_backend(folder, kinds.DEEPSEEK_R1, [*words, "</think>", "Fine.", "<end>"], thinking_tokens=4)

    async def run() -> list[Reply]:
        async with start_engine(backend, tmp_path / "journal", settings=SETTINGS, limits=LIMITS) as one:
            return [await one.ask(0)(ask(max_tokens=5)) for _ in range(2)]

    first, second = asyncio.run(run())
    assert first.candidates == second.candidates
    assert (first.candidates[0].text, first.candidates[0].finish) == ("Fine.", "stop")
    assert first.completion_tokens == 9 + 23, "both replies count"


def test_limit_of_a_model_without_thoughts_is_that_of_the_request(folder: Path) -> None:
    backend = scripted_backend(folder, kinds.QWEN_3, ["Fine."], thinking_tokens=50)
    assert backend.token_limit(ask(max_tokens=5), 5) == 5
    assert answer(backend, ask(max_tokens=5)).cut_at is None


def test_room_counts_against_the_context(folder: Path) -> None:
    backend = backend_of(folder, kinds.DEEPSEEK_R1, thinking_tokens=200)
    message = r"needs \d+ prompt tokens \+ 100 max_tokens \+ 200 thinking_tokens, but 'odd' takes 256; lower max_tokens"
    with pytest.raises(RequestError, match=message):
        answer(backend, ask(max_tokens=100))


def test_stop_string_does_not_end_a_thought(folder: Path) -> None:
    """The first line and the first sentence are those of the answer."""
    words = ["Hm.", " Well.\n", "</think>", "\n\n", "Fine.", " So", " it is.", "<end>"]
    backend = scripted_backend(folder, kinds.DEEPSEEK_R1, words)
    (candidate,) = answer(backend, ask(stop=(".", "\n"))).candidates
    assert (candidate.text, candidate.finish) == ("<think>\nHm. Well.\n</think>\n\nFine", "stop")


def test_channels_keep_their_marks(folder: Path) -> None:
    """Although they are special tokens; those that begin and end a text are left out."""
    words = ["<|channel|>", "analysis", "<|message|>", "Hm.", "<|close|>", "Fine.", "<end>"]
    backend = scripted_backend(folder, kinds.GPT_OSS, words, special=words)
    assert answer(backend, ask()).candidates[0].text == "<|channel|>analysis<|message|>Hm.<|close|>Fine."


def test_special_tokens_are_no_part_of_a_text_without_thoughts(folder: Path) -> None:
    backend = scripted_backend(folder, kinds.CHATML, ["Fine.", "<|odd|>", " So.", "<end>"], special=["<|odd|>"])
    assert answer(backend, ask()).candidates[0].text == "Fine. So."


def test_texts_do_not_depend_on_the_batch_with_thoughts(folder: Path) -> None:
    backend = backend_of(folder, kinds.DEEPSEEK_R1, thinking_tokens=16)
    requests = [ask(f"Nr {number}.", seed=number, max_tokens=8, stop=("e",)) for number in range(6)]
    assert texts(answers(backend, requests)) == texts([answer(backend, request) for request in requests])


def test_schema_opens_the_first_user_turn_without_a_system_role(folder: Path) -> None:
    backend = backend_of(folder, kinds.GEMMA_2)
    request = Request((Message("user", "Go."),), Sampling(4), seed=1, schema={"type": "object"})
    prompt = backend._prompt(request)
    assert prompt.text.startswith("<start_of_turn>user\nAnswer with JSON") and "\n\nGo.<end_of_turn>" in prompt.text
