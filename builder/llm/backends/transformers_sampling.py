"""One batch of the `transformers` backend: pad the prompts, draw the tokens, watch the texts end, read them out.

transformers draws with `do_sample=True` from one random generator for the whole batch, so a text would depend on its
neighbours. Here every row has a generator of its own, and draws by a race: each token gets an exponential waiting time
at the rate of its probability, and the first one wins, which is a draw from the distribution (the Gumbel-max trick in
other words; Maddison, Tarlow and Minka, A* Sampling, 2014). Greedy decoding then takes it. Rounding changes the winner
only where two tokens arrive at nearly the same time, one draw in tens of thousands in float32; the inverse of the
cumulative distribution, which was tried before, changes with every sum (docs/log.md). Imports of torch and transformers
stand in functions, as in transformers_local.py.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from personagen.builder.llm.requests import Candidate, Sampling

# How a full memory shows where no class of its own tells: the CPU allocator, and cuBLAS when it makes its workspace.
_FULL = ("DefaultCPUAllocator: can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a batch: the tokens of its prompt (one at least) and the seed of its draw (0 or more)."""

    prompt: Sequence[int]
    seed: int


@dataclass(frozen=True, slots=True)
class Written:
    """What the model wrote for one row, and of how many tokens, an end token included."""

    candidate: Candidate
    tokens: int


def write_batch(
    network: Any,
    tokenizer: Any,
    lines: Sequence[Line],
    *,
    sampling: Sampling,
    watch: "Watch",
) -> list[Written] | None:
    """Write one text for every line, all with the same sampling; None where they do not fit into the memory.

    A text depends on its line, the sampling, the weights and the kind of device. Its neighbours change the rounding of
    the sums and nothing else: in float32 that hardly ever changes a token, in bfloat16 and float16 nothing is promised.

    Args:
        network: causal model of transformers.
        tokenizer: its tokenizer.
        lines: rows of the batch, one at least.
        sampling: None in it takes the value of the model's generation config, else what is neutral.
        watch: a new one, made for these lines.

    """
    import torch

    device = network.device
    prompts, mask = (torch.tensor(rows, device=device) for rows in _padded([line.prompt for line in lines]))
    try:
        with torch.inference_mode():
            network.generate(
                input_ids=prompts,
                attention_mask=mask,
                generation_config=_config(tokenizer, sampling, watch.ends),
                logits_processor=_processors(network, sampling, lines, watch),
                stopping_criteria=[watch.ended],
            )
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    else:
        return watch.written()
    # Only here, outside of the handler, are the frames gone that held the caches of the batch.
    torch.cuda.empty_cache()
    return None


def is_out_of_memory(error: Exception) -> bool:
    """Tell whether a device, or this machine, had too little memory."""
    import torch

    known = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return known or any(words in str(error) for words in _FULL)


def draw(scores: Any, generators: Sequence[Any]) -> Any:
    """Draw one token for each row.

    Args:
        scores: logits, float tensor of shape (rows, vocabulary); -inf for a token that must not be drawn, and at least
            one other in each row.
        generators: one torch.Generator a row, on the device of the scores; each moves on by a vocabulary of numbers.

    Returns:
        int64 tensor of shape (rows, 1). A token of probability 0 is never drawn. Rows with nan give any token.

    """
    import torch

    times = torch.empty_like(scores, dtype=torch.float32)
    for row, generator in zip(times, generators, strict=True):
        row.exponential_(generator=generator)
    shares = scores.softmax(-1, dtype=torch.float32)
    # A time of 0, which some devices draw, must not make a masked token (0 / 0) win.
    return (shares / times.clamp_min(torch.finfo(torch.float32).tiny)).argmax(-1, keepdim=True)


class Watch:
    """Follows one batch: draws its tokens, sees where each text ends, and how likely its tokens were.

    transformers has stop strings and scores too, but its stop strings also match text that begins in the prompt and
    fail on strings outside the vocabulary, and its scores keep the whole vocabulary for every token.
    """

    def __init__(
        self,
        tokenizer: Any,
        lines: Sequence[Line],
        *,
        ends: set[int],
        stop: tuple[str, ...] = (),
        is_dropped: Callable[[int], bool] = lambda row: False,
    ) -> None:
        """Watch the rows of a batch.

        Args:
            tokenizer: of the model.
            lines: rows of the batch.
            ends: tokens that end a turn.
            stop: strings that end a text and are not part of it.
            is_dropped: asked for every row at every token; True ends the row, because nobody waits for it any more.

        """
        self.ends = ends
        self._tokenizer = tokenizer
        self._prompts = [line.prompt for line in lines]
        self._stop = stop
        self._is_dropped = is_dropped
        # A token that shows text holds at least one byte; a few more tokens cover special ones and split characters.
        self._tail = max((len(text.encode()) for text in stop), default=0) + 8
        self._closing: dict[int, bool] = {}
        self._ids: list[list[int]] = [[] for _ in lines]
        self._done = [False for _ in lines]
        self._logprobs: list[Any] = []
        self._scores: Any = None
        self._generators: list[Any] = []

    def sow(self, seeds: Sequence[int], device: Any) -> None:
        """Give every row a generator, from a seed each."""
        import torch

        self._generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]

    def score(self, input_ids: Any, scores: Any) -> Any:
        """Keep the scores of the next token; they themselves stay as they are."""
        self._scores = scores
        return scores

    def choose(self, input_ids: Any, scores: Any) -> Any:
        """Draw the next tokens and make each of them the best of its row."""
        tokens = draw(scores, self._generators)
        if scores is self._scores:
            scores = scores.clone()
        return scores.scatter_(1, tokens, float("inf"))

    def ended(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        """Say for each row whether its last token ended it."""
        import torch

        last = input_ids[:, -1:]
        logprobs = self._scores.gather(1, last).squeeze(1) - self._scores.logsumexp(-1)
        self._logprobs.append(logprobs)
        for row, token in enumerate(last.squeeze(1).tolist()):
            if not self._done[row]:
                self._ids[row].append(token)
                self._done[row] = token in self.ends or self._stops(row) or self._is_dropped(row)
        return torch.tensor(self._done, device=input_ids.device)

    def written(self) -> list[Written]:
        """Give what was written for each row."""
        import torch

        logprobs = torch.stack(self._logprobs, dim=1).tolist()
        found = []
        for prompt, ids, done, scores in zip(self._prompts, self._ids, self._done, logprobs, strict=True):
            text = self._text(list(prompt[-8:]), ids[:-1] if ids[-1] in self.ends else ids)
            places = [text.index(stop) for stop in self._stop if stop in text]
            mean = sum(scores[: len(ids)]) / len(ids)
            candidate = Candidate(text[: min(places, default=len(text))], "stop" if done else "length", mean)
            found.append(Written(candidate, len(ids)))
        return found

    def _stops(self, row: int) -> bool:
        """Tell whether a stop string has just been completed; decoding is slow, so only where the token can do it."""
        ids = self._ids[row]
        if not self._closes(ids[-1]):
            return False
        tail = self._decode(ids[-self._tail :])
        return any(stop in tail for stop in self._stop)

    def _closes(self, token: int) -> bool:
        """Tell whether a token may hold the end of a stop string: its last character, or a byte of that."""
        if token not in self._closing:
            text = self._decode([token])
            # A token alone may lose its spaces.
            self._closing[token] = any(stop[-1].isspace() or stop[-1] in text for stop in self._stop) or (
                bool(self._stop) and "\ufffd" in text
            )
        return self._closing[token]

    def _text(self, lead: list[int], written: list[int]) -> str:
        """Decode after the end of the prompt: some tokenizers drop the space before the first word of a text."""
        known, whole = self._decode(lead), self._decode(lead + written)
        return whole[len(known) :] if whole.startswith(known) else self._decode(written)

    def _decode(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))


def first_known(*values: Any) -> Any:
    """Take the first value that is not None; None if all are."""
    return next((value for value in values if value is not None), None)


def _padded(prompts: Sequence[Sequence[int]]) -> tuple[list[list[int]], list[list[int]]]:
    """Fill prompts up on the left; the second result is 0 where it did.

    With a token that the prompt holds already: the repetition penalty looks at all tokens, masked or not.
    """
    width = max(map(len, prompts))
    rows = [[prompt[0]] * (width - len(prompt)) + list(prompt) for prompt in prompts]
    return rows, [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]


def _config(tokenizer: Any, sampling: Sampling, ends: set[int]) -> Any:
    """Say how long the texts may get and what ends them; the rest is left to processors of ours, row by row."""
    return import_module("transformers").GenerationConfig(
        max_new_tokens=sampling.max_tokens,
        do_sample=False,
        num_beams=1,
        num_return_sequences=1,
        repetition_penalty=1.0,
        eos_token_id=sorted(ends),
        pad_token_id=first_known(tokenizer.pad_token_id, *sorted(ends), 0),
    )


def _processors(network: Any, sampling: Sampling, lines: Sequence[Line], watch: Watch) -> list[Any]:
    """List what happens to the scores of a step, in transformers' order."""
    own, device = network.generation_config, network.device
    make = import_module("transformers")
    steps: list[Any] = []
    penalty = first_known(sampling.repetition_penalty, own.repetition_penalty, 1.0)
    if penalty != 1:
        steps.append(make.RepetitionPenaltyLogitsProcessor(float(penalty)))
    steps.append(watch.score)
    if sampling.temperature == 0:
        return steps
    temperature = first_known(sampling.temperature, own.temperature, 1.0)
    top_k = first_known(own.top_k, 0)
    top_p = first_known(sampling.top_p, own.top_p, 1.0)
    min_p = first_known(sampling.min_p, own.min_p, 0.0)
    if temperature != 1:
        steps.append(make.TemperatureLogitsWarper(float(temperature)))
    if top_k:
        steps.append(make.TopKLogitsWarper(top_k))
    if top_p < 1:
        steps.append(make.TopPLogitsWarper(top_p))
    if min_p:
        steps.append(make.MinPLogitsWarper(min_p))
    watch.sow([line.seed for line in lines], device)
    return [*steps, watch.choose]
