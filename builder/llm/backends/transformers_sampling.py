"""One batch of the `transformers` backend: pad the prompts, draw tokens until every text has ended, decode the texts.

With `do_sample=True`, transformers draws from one random generator per batch, so that a text depends on its neighbours.
Here each row has its own generator and draws by exponential races: each token gets an exponential waiting time at the
rate of its probability, and the first one wins. That is a draw from the distribution, equivalent to the Gumbel-max
trick (Maddison, Tarlow and Minka, A* Sampling, 2014); greedy decoding then takes the winner. Rounding changes it only
if two tokens arrive at nearly the same time, in float32 one draw in tens of thousands. Inverting the cumulative
distribution is more sensitive: every sum changes it (docs/log.md).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from personagen.builder.llm.requests import Candidate, Sampling
from personagen.builder.llm.thoughts import without_thoughts

# Messages of memory errors without a class of their own: the CPU allocator's, and cuBLAS's for its workspace.
_OUT_OF_MEMORY = ("DefaultCPUAllocator: can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")

# Special tokens that are no part of a text, unlike the marks of thoughts and channels.
_HIDDEN_TOKENS = ("bos", "eos", "pad", "unk")


@dataclass(frozen=True, slots=True)
class PromptRow:
    """One row of a batch.

    Attributes:
        prompt: tokens of its prompt, at least one.
        seed: seed of its draw, 0 or more.
        opening: the mark of a thought at the end of the prompt, which the text repeats; empty: none.

    """

    prompt: Sequence[int]
    seed: int
    opening: str = ""


@dataclass(frozen=True, slots=True)
class SampledText:
    """The text of one row, and its number of tokens, an end token included."""

    candidate: Candidate
    tokens: int


def sample_batch(
    network: Any,
    tokenizer: Any,
    rows: Sequence[PromptRow],
    *,
    sampling: Sampling,
    sampler: "BatchSampler",
) -> list[SampledText] | None:
    """Write one text per row, all with the same sampling; None: the batch exceeds the memory.

    A text depends on its row, the sampling, the weights and the kind of device. Its neighbours change only the rounding
    of sums: in float32 that hardly ever changes a token; in bfloat16 and float16 nothing is promised.

    Args:
        network: causal model of transformers.
        tokenizer: its tokenizer.
        rows: rows of the batch, at least one.
        sampling: decoding parameters; None: the value of the model's generation config, else the neutral one.
        sampler: a new sampler of these rows.

    """
    import torch

    device = network.device
    prompts, mask = (torch.tensor(values, device=device) for values in _padded([row.prompt for row in rows]))
    try:
        with torch.inference_mode():
            network.generate(
                input_ids=prompts,
                attention_mask=mask,
                generation_config=_config(tokenizer, sampling, sampler.end_tokens),
                logits_processor=_processors(network, sampling, rows, sampler),
                stopping_criteria=[sampler.has_ended],
            )
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    else:
        return sampler.texts()
    # Outside of the handler: before, its traceback references the caches of the batch.
    torch.cuda.empty_cache()
    return None


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an error is that of a device or machine without enough memory."""
    import torch

    has_class = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return has_class or any(words in str(error) for words in _OUT_OF_MEMORY)


def draw_tokens(scores: Any, generators: Sequence[Any]) -> Any:
    """Draw one token per row.

    Args:
        scores: logits, float tensor of shape (rows, vocabulary); -inf masks a token, and at least one token per row is
            not masked.
        generators: one torch.Generator per row, on the device of the scores; each yields a vocabulary of numbers.

    Returns:
        int64 tensor of shape (rows, 1). A token of probability 0 is never drawn. A row with nan yields any token.

    """
    import torch

    times = torch.empty_like(scores, dtype=torch.float32)
    for row, generator in zip(times, generators, strict=True):
        row.exponential_(generator=generator)
    probabilities = scores.softmax(-1, dtype=torch.float32)
    # A time of 0, which some devices draw, must not make a masked token (0 / 0) win.
    return (probabilities / times.clamp_min(torch.finfo(torch.float32).tiny)).argmax(-1, keepdim=True)


class BatchSampler:
    """Draws the tokens of one batch, detects the ends of its texts, and records the log probabilities.

    The stop strings of transformers also match text that begins in the prompt, and fail on strings outside the
    vocabulary; its scores store the whole vocabulary per token.
    """

    def __init__(
        self,
        tokenizer: Any,
        rows: Sequence[PromptRow],
        *,
        end_tokens: set[int],
        stop: tuple[str, ...] = (),
        is_dropped: Callable[[int], bool] = lambda row: False,
        thinks: bool = False,
    ) -> None:
        """Prepare the sampling of one batch.

        Args:
            tokenizer: tokenizer of the model.
            rows: rows of the batch.
            end_tokens: tokens that end a turn.
            stop: strings that end a text and are not part of it.
            is_dropped: called per row and token with the number of the row; True ends the row, e.g. because its request
                was cancelled.
            thinks: whether texts may begin with a thought. Its marks are part of the text, although they may be special
                tokens, and no stop string ends it.

        """
        self.end_tokens = end_tokens
        self._tokenizer = tokenizer
        self._prompts = [row.prompt for row in rows]
        self._openings = [row.opening for row in rows]
        self._thinks = thinks
        self._hidden = {getattr(tokenizer, f"{name}_token_id") for name in _HIDDEN_TOKENS} if thinks else set()
        self._stop = stop
        self._is_dropped = is_dropped
        # A token of text has at least one byte; a few more tokens cover special ones and split characters.
        self._tail = max((len(text.encode()) for text in stop), default=0) + 8
        self._closing: dict[int, bool] = {}
        self._ids: list[list[int]] = [[] for _ in rows]
        self._done = [False for _ in rows]
        self._logprobs: list[Any] = []
        self._scores: Any = None
        self._generators: list[Any] = []

    def seed(self, seeds: Sequence[int], device: Any) -> None:
        """Create the generator of each row from its seed."""
        import torch

        self._generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]

    def record_scores(self, input_ids: Any, scores: Any) -> Any:
        """Record the scores of the next token and return them unchanged."""
        self._scores = scores
        return scores

    def choose_tokens(self, input_ids: Any, scores: Any) -> Any:
        """Draw the next tokens, and return scores by which each is the best of its row."""
        tokens = draw_tokens(scores, self._generators)
        if scores is self._scores:
            scores = scores.clone()
        return scores.scatter_(1, tokens, float("inf"))

    def has_ended(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        """Return per row whether its last token ended it, as a bool tensor of shape (rows,)."""
        import torch

        last = input_ids[:, -1:]
        logprobs = self._scores.gather(1, last).squeeze(1) - self._scores.logsumexp(-1)
        self._logprobs.append(logprobs)
        for row, token in enumerate(last.squeeze(1).tolist()):
            if not self._done[row]:
                self._ids[row].append(token)
                self._done[row] = token in self.end_tokens or self._has_stop(row) or self._is_dropped(row)
        return torch.tensor(self._done, device=input_ids.device)

    def texts(self) -> list[SampledText]:
        """Return the text of each row, once all have ended."""
        import torch

        logprobs = torch.stack(self._logprobs, dim=1).tolist()
        texts = []
        for row, (ids, done, scores) in enumerate(zip(self._ids, self._done, logprobs, strict=True)):
            text = self._row_text(row)
            start = self._answer_start(text)
            stops = [text.index(stop, start) for stop in self._stop if stop in text[start:]]
            mean = sum(scores[: len(ids)]) / len(ids)
            candidate = Candidate(text[: min(stops, default=len(text))], "stop" if done else "length", mean)
            texts.append(SampledText(candidate, len(ids)))
        return texts

    def _has_stop(self, row: int) -> bool:
        """Return whether the last token completed a stop string; decodes only if the token can end one."""
        ids = self._ids[row]
        if not self._may_complete_stop(ids[-1]):
            return False
        tail = self._decode(ids[-self._tail :])
        if not any(stop in tail for stop in self._stop):
            return False
        text = self._row_text(row) if self._thinks else tail
        return any(stop in text[self._answer_start(text) :] for stop in self._stop)

    def _answer_start(self, text: str) -> int:
        """Return where the answer begins after a thought, which no stop string ends."""
        if not self._thinks:
            return 0
        answer = without_thoughts(text)
        return len(text) if answer is None else text.rfind(answer)

    def _row_text(self, row: int) -> str:
        """Return the whole text of a row, without the token that ended it."""
        ids = self._ids[row]
        written = ids[:-1] if ids[-1] in self.end_tokens else ids
        return self._openings[row] + self._text(list(self._prompts[row][-8:]), written)

    def _may_complete_stop(self, token: int) -> bool:
        """Return whether a token may have the end of a stop string: its last character, or a byte of that."""
        if token not in self._closing:
            text = self._decode([token])
            # Decoded alone, a token may lose its spaces.
            self._closing[token] = any(stop[-1].isspace() or stop[-1] in text for stop in self._stop) or (
                bool(self._stop) and "\ufffd" in text
            )
        return self._closing[token]

    def _text(self, lead: list[int], written: list[int]) -> str:
        """Decode behind the end of the prompt: some tokenizers drop the space before the first word of a text."""
        prefix, whole = self._decode(lead), self._decode(lead + written)
        return whole[len(prefix) :] if whole.startswith(prefix) else self._decode(written)

    def _decode(self, ids: list[int]) -> str:
        if self._thinks:
            ids = [token for token in ids if token not in self._hidden]
        return str(
            self._tokenizer.decode(ids, skip_special_tokens=not self._thinks, clean_up_tokenization_spaces=False)
        )


def first_known(*values: Any) -> Any:
    """Return the first value that is not None; None: all are."""
    return next((value for value in values if value is not None), None)


def _padded(prompts: Sequence[Sequence[int]]) -> tuple[list[list[int]], list[list[int]]]:
    """Pad prompts on the left; return them and the attention mask.

    The padding is a token of the prompt: the repetition penalty counts masked tokens too.
    """
    width = max(map(len, prompts))
    rows = [[prompt[0]] * (width - len(prompt)) + list(prompt) for prompt in prompts]
    return rows, [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]


def _config(tokenizer: Any, sampling: Sampling, end_tokens: set[int]) -> Any:
    """Build the generation config: lengths and end tokens only; the logits processors do the rest per row."""
    return import_module("transformers").GenerationConfig(
        max_new_tokens=sampling.max_tokens,
        do_sample=False,
        num_beams=1,
        num_return_sequences=1,
        repetition_penalty=1.0,
        eos_token_id=sorted(end_tokens),
        pad_token_id=first_known(tokenizer.pad_token_id, *sorted(end_tokens), 0),
    )


def _processors(network: Any, sampling: Sampling, rows: Sequence[PromptRow], sampler: BatchSampler) -> list[Any]:
    """List the logits processors of a step, in transformers' order."""
    defaults, device = network.generation_config, network.device
    make = import_module("transformers")
    steps: list[Any] = []
    penalty = first_known(sampling.repetition_penalty, defaults.repetition_penalty, 1.0)
    if penalty != 1:
        steps.append(make.RepetitionPenaltyLogitsProcessor(float(penalty)))
    steps.append(sampler.record_scores)
    if sampling.temperature == 0:
        return steps
    temperature = first_known(sampling.temperature, defaults.temperature, 1.0)
    top_k = first_known(defaults.top_k, 0)
    top_p = first_known(sampling.top_p, defaults.top_p, 1.0)
    min_p = first_known(sampling.min_p, defaults.min_p, 0.0)
    if temperature != 1:
        steps.append(make.TemperatureLogitsWarper(float(temperature)))
    if top_k:
        steps.append(make.TopKLogitsWarper(top_k))
    if top_p < 1:
        steps.append(make.TopPLogitsWarper(top_p))
    if min_p:
        steps.append(make.MinPLogitsWarper(min_p))
    sampler.seed([row.seed for row in rows], device)
    return [*steps, sampler.choose_tokens]
