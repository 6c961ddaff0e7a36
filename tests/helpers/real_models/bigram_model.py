"""A real language model in seconds: word pairs of the packaged reference corpus, written into a Llama of one layer.

The logits of the next token depend on the last token alone: embedding and output are the factors of the matrix of
log-probabilities, and all other weights are zero. Any server of Llama models can serve it, at thousands of tokens per
second on one core. The texts are silly, but they are sentences of various lengths, in English, and end by themselves.
"""

import json
import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from personagen.metrics.texts.reference import load_reference

WIDTH = 640
"""Width of the model: with fewer factors, unlikely tokens get too much of the probability."""

HEADS, INNER = 10, 32
"""Shape of the layer, whose weights are zero."""

VOCABULARY = 1536
"""Tokens, most of them whole words."""

QUOTED = 0.25
"""Weight of a closing quotation mark after a sentence."""

COMMON_WORDS = 4000
"""Words of the texts that are counted."""

CONTEXT = 4096
"""Longest chat, in tokens."""

END, START, PAD = "<|im_end|>", "<|im_start|>", "<|endoftext|>"
PRIOR = 1e-4
"""Added to the count of every pair, so that each has a probability: without it, no logarithm is finite."""

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def save_bigram_model(folder: Path) -> Path:
    """Write the model with its tokenizer and template as safetensors, and return the path of the same as GGUF."""
    texts = _common_texts([text.strip() for text in load_reference("goemotions").texts])
    tokenizer = _tokenizer(texts)
    embedding, output = _factors(_log_probabilities(tokenizer, texts))
    weights = _weights(embedding, output)
    _save_safetensors(folder, tokenizer, weights)
    path = folder / "model.gguf"
    _save_gguf(path, tokenizer, weights)
    return path


def _common_texts(texts: Sequence[str]) -> list[str]:
    """Return the longer texts whose words are frequent ones, so that most words are one token."""
    words = Counter(word for text in texts for word in text.split())
    frequent = {word for word, _ in words.most_common(COMMON_WORDS)}
    return [
        text
        for text in texts
        if len(text.split()) >= 8 and text.isascii() and "[" not in text and frequent.issuperset(text.split())
    ]


def _tokenizer(texts: Sequence[str]) -> Any:
    import tokenizers

    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=[PAD, START, END], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _log_probabilities(tokenizer: Any, texts: Sequence[str]) -> np.ndarray:
    """Return log-probabilities of the next token (columns) by the last one (rows); a text follows a line end.

    A quotation mark may follow a sentence and ends the text: in JSON it is the only way to end a string.
    """
    size = tokenizer.get_vocab_size()
    counts = np.full((size, size), PRIOR)
    line_end, end, quote = tokenizer.encode("\n").ids[-1], tokenizer.token_to_id(END), tokenizer.token_to_id('"')
    for text in texts:
        ids = [line_end, *tokenizer.encode(text).ids, end]
        np.add.at(counts, (ids[:-1], ids[1:]), 1)
    ends = [id_ for token, id_ in tokenizer.get_vocab().items() if token.endswith((".", "!", "?"))]
    counts[ends, quote] += QUOTED * counts[ends].sum(axis=1)
    counts[quote] = PRIOR + 0.1 * counts[line_end]
    counts[quote, end] = 9 * counts[quote].sum()
    return np.log(counts / counts.sum(axis=1, keepdims=True))


def _factors(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Factor the matrix into embedding and output, where each embedding has a root mean square of 1.

    So the last normalisation of the model changes nothing. One dimension holds what a row lacks in length.
    """
    left, values, right = np.linalg.svd(logits - logits.mean(axis=1, keepdims=True), full_matrices=False)
    kept = WIDTH - 1
    rows, columns = left[:, :kept] * np.sqrt(values[:kept]), right[:kept].T * np.sqrt(values[:kept])
    squares = (rows**2).sum(axis=1)
    length = np.sqrt(squares.max()) * 1.001
    slack = np.sqrt(length**2 - squares)
    scale = length / np.sqrt(WIDTH)
    embedding = np.column_stack([rows, slack]) / scale
    output = np.column_stack([columns, np.zeros(len(columns))]) * scale
    return embedding.astype(np.float32), output.astype(np.float32)


def _weights(embedding: np.ndarray, output: np.ndarray) -> dict[str, np.ndarray]:
    """Return the weights by the names of `transformers`; those of the layer are zero, so it adds nothing."""
    layer = "model.layers.0"
    ones, head = np.ones(WIDTH, np.float32), WIDTH // HEADS
    shapes = {"q": (WIDTH, WIDTH), "k": (head, WIDTH), "v": (head, WIDTH), "o": (WIDTH, WIDTH)}
    parts = {f"self_attn.{name}_proj": shape for name, shape in shapes.items()}
    parts |= {"mlp.gate_proj": (INNER, WIDTH), "mlp.up_proj": (INNER, WIDTH), "mlp.down_proj": (WIDTH, INNER)}
    return {
        "model.embed_tokens.weight": embedding,
        "lm_head.weight": output,
        "model.norm.weight": ones,
        f"{layer}.input_layernorm.weight": ones,
        f"{layer}.post_attention_layernorm.weight": ones,
        **{f"{layer}.{part}.weight": np.zeros(shape, np.float32) for part, shape in parts.items()},
    }


def _save_safetensors(folder: Path, tokenizer: Any, weights: Mapping[str, np.ndarray]) -> None:
    import transformers
    from safetensors.numpy import save_file

    config = transformers.LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=WIDTH,
        intermediate_size=INNER,
        num_hidden_layers=1,
        num_attention_heads=HEADS,
        num_key_value_heads=1,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=False,
        bos_token_id=tokenizer.token_to_id(START),
        eos_token_id=tokenizer.token_to_id(END),
        pad_token_id=tokenizer.token_to_id(PAD),
        architectures=["LlamaForCausalLM"],
        dtype="float32",
    )
    config.save_pretrained(folder)
    # `transformers serve` samples only if the model says so, whatever the temperature of a request.
    generation = transformers.GenerationConfig(
        do_sample=True,
        top_k=0,
        bos_token_id=config.bos_token_id,
        eos_token_id=config.eos_token_id,
        pad_token_id=config.pad_token_id,
    )
    generation.save_pretrained(folder)
    wrapped = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, pad_token=PAD, bos_token=START, chat_template=TEMPLATE
    )
    wrapped.model_max_length = CONTEXT
    wrapped.save_pretrained(folder)
    save_file({name: np.ascontiguousarray(array) for name, array in weights.items()}, folder / "model.safetensors")


GGUF_NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "blk.0.attn_norm",
    "post_attention_layernorm": "blk.0.ffn_norm",
    "q_proj": "blk.0.attn_q",
    "k_proj": "blk.0.attn_k",
    "v_proj": "blk.0.attn_v",
    "o_proj": "blk.0.attn_output",
    "gate_proj": "blk.0.ffn_gate",
    "up_proj": "blk.0.ffn_up",
    "down_proj": "blk.0.ffn_down",
}
"""Names of llama.cpp, by the ends of those of `transformers`."""

ALIGNMENT = 32
CONTROL, NORMAL = 3, 1
"""Types of tokens in GGUF: special ones and others."""


def _save_gguf(path: Path, tokenizer: Any, weights: Mapping[str, np.ndarray]) -> None:
    """Write version 3 of GGUF: header, metadata, names of the tensors, data (ggml-org/ggml, docs/gguf.md)."""
    metadata = _metadata(tokenizer)
    named = [(_gguf_name(name), array) for name, array in weights.items()]
    infos, offset = b"", 0
    for name, array in named:
        shape = b"".join(struct.pack("<Q", size) for size in reversed(array.shape))
        infos += _string(name) + struct.pack("<I", array.ndim) + shape + struct.pack("<IQ", 0, offset)
        offset += -(-array.nbytes // ALIGNMENT) * ALIGNMENT
    head = b"GGUF" + struct.pack("<IQQ", 3, len(named), len(metadata))
    head += b"".join(_string(key) + _value(value) for key, value in metadata.items()) + infos
    with path.open("wb") as file:
        file.write(head + b"\0" * (-len(head) % ALIGNMENT))
        for _, array in named:
            file.write(array.tobytes() + b"\0" * (-array.nbytes % ALIGNMENT))


def _gguf_name(name: str) -> str:
    base = name.removesuffix(".weight")
    return f"{GGUF_NAMES.get(base) or GGUF_NAMES[base.split('.')[-1]]}.weight"


def _metadata(tokenizer: Any) -> dict[str, Any]:
    state = json.loads(tokenizer.to_str())["model"]
    tokens = [token for token, _ in sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1])]
    merges = [" ".join(merge) if isinstance(merge, list) else merge for merge in state["merges"]]
    return {
        "general.architecture": "llama",
        "general.name": "bigram",
        "llama.vocab_size": len(tokens),
        "llama.context_length": CONTEXT,
        "llama.embedding_length": WIDTH,
        "llama.block_count": 1,
        "llama.feed_forward_length": INNER,
        "llama.attention.head_count": HEADS,
        "llama.attention.head_count_kv": 1,
        "llama.attention.layer_norm_rms_epsilon": 1e-6,
        "llama.rope.dimension_count": WIDTH // HEADS,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [CONTROL if token in (PAD, START, END) else NORMAL for token in tokens],
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.bos_token_id": tokenizer.token_to_id(START),
        "tokenizer.ggml.eos_token_id": tokenizer.token_to_id(END),
        "tokenizer.ggml.padding_token_id": tokenizer.token_to_id(PAD),
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.chat_template": TEMPLATE,
    }


def _string(text: str) -> bytes:
    data = text.encode("utf-8")
    return struct.pack("<Q", len(data)) + data


def _value(value: Any) -> bytes:
    """Encode a value of the metadata with its type."""
    if isinstance(value, list):
        kind, items = (
            (8, map(_string, value)) if isinstance(value[0], str) else (5, (struct.pack("<i", item) for item in value))
        )
        return struct.pack("<IIQ", 9, kind, len(value)) + b"".join(items)
    if isinstance(value, str):
        return struct.pack("<I", 8) + _string(value)
    if isinstance(value, bool):
        return struct.pack("<I?", 7, value)
    return struct.pack("<If", 6, value) if isinstance(value, float) else struct.pack("<II", 4, value)
