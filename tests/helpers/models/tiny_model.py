"""A random chat model of a few kilobytes, and helpers that send it requests."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from personagen.builder.llm.backends.transformers_model import TransformersBackend, TransformersSettings
from personagen.builder.llm.requests import Message, Reply, Request, Sampling

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['content'] == 'forbidden' %}{{ raise_exception('no such turn') }}{% endif %}"
    "<{{ message['role'] }}>{{ message['content'] | trim }}<end>"
    "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)
SENTENCES = [
    "The postman carried a green ladder to the harbour on Monday.",
    "My neighbour painted the old fence before breakfast.",
    "We counted eleven boxes in the cellar, then we went home.",
]


def save_tokenizer(folder: Path, *, template: Any = TEMPLATE, end: str | None = "<end>") -> int:
    """Train a byte-level tokenizer on three sentences, save it and return its size; it has no pad token."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    special = ["<end>", "<system>", "<user>", "<assistant>"]
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    wrapped = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=end, chat_template=template)
    wrapped.save_pretrained(folder)
    return len(wrapped)


def save_model(folder: Path) -> None:
    """Save a random Llama of two layers with its tokenizer and a card."""
    size = save_tokenizer(folder)
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=size,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=256,
        eos_token_id=0,
        bos_token_id=None,
        initializer_range=0.3,
    )
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\nTiny.\n", encoding="utf-8")


def scripted_backend(
    folder: Path, template: Any, words: Sequence[str], *, special: Sequence[str] = (), **settings: Any
) -> TransformersBackend:
    """Build a backend of a model that writes these words after every prompt and repeats the last, unless it is <end>.

    Args:
        folder: folder of a saved tokenizer.
        template: chat template.
        words: each of them at most once; they become tokens.
        special: words that are special tokens.
        settings: of the backend.

    """
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = template
    tokenizer.add_tokens([tokenizers.AddedToken(word, special=word in special) for word in words if word != "<end>"])
    size = len(tokenizer)
    config = transformers.LlamaConfig(
        vocab_size=size, hidden_size=size + size % 2, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1
    )
    network = transformers.LlamaForCausalLM(config).eval()
    ids = [tokenizer.convert_tokens_to_ids(word) for word in words]
    follows = dict(zip(ids, [*ids[1:], ids[-1]], strict=True))
    with torch.no_grad():
        for weights in network.parameters():
            weights.zero_()
        network.model.norm.weight.fill_(1.0)
        for token in range(size):
            # One dimension per token: the next token depends on the last one only.
            network.model.embed_tokens.weight[token, token] = 1.0
            network.lm_head.weight[follows.get(token, ids[0]), token] = 9.0
    return TransformersBackend(
        network, tokenizer, model="scripted", revision=None, licence=None, settings=TransformersSettings(**settings)
    )


def ask(text: str = "Go on.", *, max_tokens: int = 24, temperature: float | None = 1.0, **changes: Any) -> Request:
    """Build a request with one system and one user turn."""
    sampling = Sampling(max_tokens=max_tokens, temperature=temperature)
    options: dict[str, Any] = {"seed": 7, "sampling": sampling} | changes
    return Request(messages=(Message("system", "You write."), Message("user", text)), **options)


def answers(backend: TransformersBackend, requests: Sequence[Request]) -> list[Reply]:
    """Send all requests together."""

    async def run() -> list[Reply]:
        return await asyncio.gather(*[backend.complete(request) for request in requests])

    return asyncio.run(run())


def texts(replies: Sequence[Reply]) -> list[list[str]]:
    """Return the texts only: log probabilities are rounded differently between shapes of a batch."""
    return [[candidate.text for candidate in reply.candidates] for reply in replies]


def answer(backend: TransformersBackend, request: Request) -> Reply:
    """Send one request."""
    return answers(backend, [request])[0]
