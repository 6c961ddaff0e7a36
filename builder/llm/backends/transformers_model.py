"""The `transformers` backend: a causal language model of the Hub or of a local folder, run in this process.

transformers_loading.py loads it. Waiting requests are answered in batches: transformers_queue.py chooses them,
transformers_sampling.py writes them. torch and transformers are imported when a model is loaded: they take seconds, and
most runs need neither. transformers is imported by import_module, as Any: its own types are partial, and it is absent
without the extra.
"""

import asyncio
import math
import queue
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from personagen.builder.core.errors import BackendError, RequestError
from personagen.builder.llm.backends.transformers_queue import BatchRow, BatchSizer, QueuedRequest, choose_rows
from personagen.builder.llm.backends.transformers_sampling import (
    BatchSampler,
    PromptRow,
    SampledText,
    first_known,
    sample_batch,
)
from personagen.builder.llm.chat_protocol.token_room import TokenRoom
from personagen.builder.llm.chat_templates.learning import learn_dialect, templates_by_name
from personagen.builder.llm.chat_templates.notes import NOTES, dialect_notes
from personagen.builder.llm.chat_templates.rendering import ChatPrompt, ChatRenderer
from personagen.builder.llm.requests import Reply, Request, with_schema
from personagen.builder.llm.thoughts import without_thoughts

CONCURRENCY = 128
"""Requests in flight: two batches of 64, so that one is ready when the other ends."""

THINKING_TOKENS = 1024
"""Tokens that are added to the limit of a text if a thought may come before it."""

ROOM_GRAIN = 256
"""Room that the context bounds is a multiple of this, so that prompts of different lengths share a batch."""


def ignore_warning(message: str) -> None:
    """Drop a warning."""


@dataclass(frozen=True, slots=True)
class TransformersSettings:
    """What a user may set.

    Attributes:
        reasoning_effort: passed to the chat template, and thoughts are switched on unless it is "none" or "minimal";
            None: not passed, and thoughts are switched off where the template can.
        thinking_tokens: tokens that are added at first to the limit of a text if a thought may come before it; None:
            THINKING_TOKENS.
        warn: receives one line per thing that the model's chat template does not render.
        quiet_s: seconds without a new request after which an incomplete batch is written; callers send their next
            requests one by one.

    """

    reasoning_effort: str | None = None
    thinking_tokens: int | None = None
    warn: Callable[[str], None] = ignore_warning
    quiet_s: float = 0.02


class TransformersBackend:
    """Answers requests in batches with a loaded model; built by `load_transformers`.

    Attributes:
        name: "transformers".
        model: Hub id or folder, as it was given.
        revision: commit of the Hub repository, or "sha256:" and a digest of the files of a local folder.
        licence: licence of the model card; None: not declared.
        concurrency: requests in flight that fill the batches.
        paid: False.
        adaptive: False.
        variant: the reasoning effort, if it is set.
        thinking_tokens: tokens that are added at first to the limit of a text without prefill; 0: the model does not
            think.

    """

    name = "transformers"
    concurrency = CONCURRENCY
    paid = False
    adaptive = False

    def __init__(
        self,
        network: Any,
        tokenizer: Any,
        *,
        model: str,
        revision: str | None,
        licence: str | None,
        settings: TransformersSettings | None = None,
    ) -> None:
        """Wrap a loaded model, and learn the dialect of its chat template.

        Args:
            network: causal model of transformers.
            tokenizer: its tokenizer, with its chat template, if it has one.
            model: see the attributes.
            revision: see the attributes.
            licence: see the attributes.
            settings: None: the defaults.

        Raises:
            BackendError: the chat template renders no chat.

        """
        settings = settings or TransformersSettings()
        self.model = model
        self.revision = revision
        self.licence = licence
        effort = settings.reasoning_effort
        self.variant: Mapping[str, Any] = {"reasoning_effort": effort} if effort else {}
        self._warn = settings.warn
        self._quiet_s = settings.quiet_s
        self._network = network
        self._tokenizer = tokenizer
        self._end_tokens = _end_tokens(network, tokenizer)
        self._chat = _learn_chat(tokenizer, model, effort)
        self.thinking_tokens = 0
        if self._chat.dialect.thinks:
            self.thinking_tokens = first_known(settings.thinking_tokens, THINKING_TOKENS)
        self._room = TokenRoom(self.thinking_tokens)
        self._reported: set[str] = set()
        self._report(dialect_notes(self._chat.dialect, effort, self.thinking_tokens))
        # One thread owns model, tokenizer and waiting rows; requests reach it through the inbox.
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="transformers")
        self._inbox: queue.SimpleQueue[QueuedRequest] = queue.SimpleQueue()
        self._waiting: list[BatchRow] = []
        self._sizers: dict[Hashable, BatchSizer] = {}
        self._closed = threading.Event()

    def token_limit(self, request: Request, cut_at: int | None = None) -> int:
        """Return the limit of the request, and the room for thoughts that replies have shown to be needed."""
        if request.prefill or not self._chat.dialect.thinks:
            return request.sampling.max_tokens
        if cut_at is not None:
            self._room.record_cut(request, cut_at)
        return self._room.limit(request)

    async def complete(self, request: Request) -> Reply:
        """Answer one request, in batches with other requests of the same sampling and stop strings.

        Candidate i is drawn with seed + i. The text depends on the request and the weights, up to the rounding of sums,
        which differs between shapes of a batch. In float32 on a CPU, 60 of 60 texts of 40 tokens were the same in
        batches of 1, 4 and 16; in bfloat16 and float16 nothing is promised.

        Temperature 0 is greedy, and its candidates are identical. Temperature, top_p, min_p and repetition_penalty that
        are None have the values of the model's generation config, else 1, 1, 0 and 1. Top-k is off unless that config
        sets it. A schema is added to the prompt and not enforced. `mean_logprob` is measured after the repetition
        penalty and before temperature and truncation. The call can be cancelled: its texts end at the next token, and
        the others of the batch go on.

        Candidates of a model that thinks may have `thinking_tokens` more, and more than that after a reply that was cut
        within its thought. They begin with the thought and its marks; a thought that was cut has no closing one.

        Raises:
            RequestError: the chat template refuses the messages, the request exceeds the context of the model, a
                candidate alone is too large for the memory of the device, or a token is scored as not a number.
            BackendError: the backend is closed.

        """
        if self._closed.is_set():
            raise _closed_error()
        queued = QueuedRequest(request, room=self.token_limit(request) - request.sampling.max_tokens)
        self._inbox.put(queued)
        self._worker.submit(self._serve)
        reply = await asyncio.wrap_future(queued.reply)
        self._report(NOTES[part] for part in reply.left_out)
        if reply.cut_at is not None:
            self._room.record_cut(request, reply.cut_at)
        return reply

    def stop(self) -> None:
        """Let the requests under way go on: those that wait have their place in a batch."""

    async def close(self) -> None:
        """End the batch at its next token, fail waiting requests and free the model; a second call does nothing."""
        self._closed.set()
        await asyncio.to_thread(self._worker.shutdown, cancel_futures=True)
        waiting = [row.queued for row in self._waiting]
        while not self._inbox.empty():
            waiting.append(self._inbox.get())
        for queued in waiting:
            queued.fail(_closed_error())
        self._waiting = []
        self._network = self._tokenizer = None

    def _serve(self) -> None:
        """Write batches until no row waits; runs in the worker thread, once per request."""
        while rows := self._next_batch():
            try:
                self._write(rows)
            except Exception as error:  # any error: otherwise the callers would wait for ever
                for row in rows:
                    row.queued.fail(error)

    def _next_batch(self) -> list[BatchRow]:
        """Choose the next batch, and wait a moment for rows that fill it; empty: no row waits."""
        while not self._inbox.empty():
            self._admit(self._inbox.get())
        while not self._closed.is_set():
            self._waiting = [row for row in self._waiting if not row.queued.reply.done()]
            if not self._waiting:
                return []
            size = self._sizer(self._waiting[0]).size
            rows = choose_rows(self._waiting, size)
            if len(rows) == size:
                return rows
            try:
                self._admit(self._inbox.get(timeout=self._quiet_s))
            except queue.Empty:
                return rows
        return []

    def _admit(self, queued: QueuedRequest) -> None:
        """Add the rows of a request to the waiting ones, or refuse the request."""
        try:
            chat = self._prompt(queued.request)
            prompt = self._tokenize(chat.text)
            thinking_tokens = self._fitting_room(queued, len(prompt))
        except Exception as error:  # any error concerns this request only
            queued.fail(error)
        else:
            queued.prompt, queued.chat, queued.thinking_tokens = prompt, chat, thinking_tokens
            self._waiting += [BatchRow(queued, candidate) for candidate in range(queued.rows)]

    def _sizer(self, row: BatchRow) -> BatchSizer:
        return self._sizers.setdefault(row.queued.group, BatchSizer())

    def _write(self, batch: Sequence[BatchRow]) -> None:
        """Write one batch; its rows stay in the queue until they are written, so none is lost if memory is exceeded."""
        queued = batch[0].queued
        sampling = queued.request.sampling
        sampling = replace(sampling, max_tokens=sampling.max_tokens + queued.thinking_tokens)
        rows = [
            PromptRow(row.queued.prompt, row.queued.request.seed + row.candidate, row.queued.chat.opening)
            for row in batch
        ]
        sampler = BatchSampler(
            self._tokenizer,
            rows,
            end_tokens=self._end_tokens,
            stop=(*queued.request.stop, *self._chat.dialect.stop),
            thinks=queued.chat.thinks,
            is_dropped=lambda number: self._closed.is_set() or batch[number].queued.reply.done(),
        )
        began = time.perf_counter()
        written = sample_batch(self._network, self._tokenizer, rows, sampling=sampling, sampler=sampler)
        if self._closed.is_set():
            return
        if written is None:
            if self._sizer(batch[0]).record_out_of_memory(len(batch)):
                queued.fail(_memory_error(len(rows[0].prompt), sampling.max_tokens))
            return
        tokens = sum(text.tokens for text in written)
        self._sizer(batch[0]).record_batch(len(batch), tokens / (time.perf_counter() - began))
        written_ids = set(map(id, batch))
        self._waiting = [row for row in self._waiting if id(row) not in written_ids]
        for row, text in zip(batch, written, strict=True):
            self._deliver(row, text)

    def _deliver(self, row: BatchRow, text: SampledText) -> None:
        """Store one text, and answer its request once all of its texts are written."""
        queued = row.queued
        if math.isnan(text.candidate.mean_logprob or 0.0):
            queued.fail(
                RequestError(
                    f"backend transformers: {self.model!r} scored a token nan, wanted a number; its weights are "
                    "damaged or too large for the float type of this device: take another model or device"
                )
            )
            return
        queued.written[row.candidate] = text
        if len(queued.written) < queued.rows:
            return
        texts = [queued.written[number % queued.rows] for number in range(queued.request.candidates)]
        candidates = tuple(text.candidate for text in texts)
        is_cut = queued.chat.thinks and all(
            candidate.finish == "length" and without_thoughts(candidate.text) is None for candidate in candidates
        )
        queued.answer(
            Reply(
                candidates=candidates,
                prompt_tokens=len(queued.prompt),
                completion_tokens=sum(text.tokens for text in texts),
                left_out=queued.chat.left_out,
                # None where the context bounds the room: the request cannot have more.
                cut_at=queued.request.sampling.max_tokens + queued.room
                if is_cut and queued.thinking_tokens == queued.room
                else None,
            )
        )

    def _prompt(self, request: Request) -> ChatPrompt:
        """Render the chat up to the beginning of the model's text."""
        messages = request.messages if request.schema is None else with_schema(request.messages, request.schema)
        try:
            # The prefill is no turn: templates that strip an assistant turn would change it.
            return self._chat.prompt(messages, request.prefill)
        except Exception as error:  # a template is code of the model's author
            raise RequestError(
                f"backend transformers: the chat template of {self.model!r} refuses the messages: {first_line(error)}"
            ) from error

    def _tokenize(self, text: str) -> list[int]:
        """Tokenize a prompt; a template writes the token at the beginning itself."""
        is_plain = self._chat.dialect.is_plain
        tokens: list[int] = self._tokenizer(text, add_special_tokens=is_plain)["input_ids"]
        while is_plain and tokens[-1] in self._end_tokens:
            tokens.pop()
        return tokens

    def _fitting_room(self, queued: QueuedRequest, prompt_tokens: int) -> int:
        """Return the room for a thought that the context leaves: at least `thinking_tokens`, if a thought may come.

        Raises:
            RequestError: the context leaves less.

        """
        limit: int | None = getattr(self._network.config.get_text_config(), "max_position_embeddings", None)
        max_tokens, needed = queued.request.sampling.max_tokens, min(queued.room, self.thinking_tokens)
        if limit is None or prompt_tokens + max_tokens + queued.room <= limit:
            return queued.room
        if prompt_tokens + max_tokens + needed > limit:
            thought = f" + {needed} thinking_tokens" if needed else ""
            raise RequestError(
                f"backend transformers: the request needs {prompt_tokens} prompt tokens + {max_tokens} max_tokens"
                f"{thought}, but {self.model!r} takes {limit}; lower max_tokens or shorten the prompt"
            )
        return max(needed, (limit - prompt_tokens - max_tokens) // ROOM_GRAIN * ROOM_GRAIN)

    def _report(self, notes: Iterable[str]) -> None:
        """Pass on notes that are new."""
        for note in notes:
            if note not in self._reported:
                self._reported.add(note)
                self._warn(f"backend transformers: {self.model!r} {note}")


def _learn_chat(tokenizer: Any, model: str, reasoning_effort: str | None) -> ChatRenderer:
    """Learn how the chat template of a tokenizer renders chats."""
    render = partial(tokenizer.apply_chat_template, tokenize=False)
    try:
        dialect = learn_dialect(render, templates_by_name(getattr(tokenizer, "chat_template", None)), reasoning_effort)
    except Exception as error:  # a template is code of the model's author
        raise BackendError(
            f"backend transformers: the chat template of {model!r} renders no chat: {first_line(error)}; "
            "repair it in a copy of the model, or take another model"
        ) from error
    return ChatRenderer(render, dialect)


def _end_tokens(network: Any, tokenizer: Any) -> set[int]:
    """Collect the tokens that end a turn; model and tokenizer often name only one of several."""
    configured = network.generation_config.eos_token_id
    tokens = configured if isinstance(configured, list) else [configured]
    return {token for token in (*tokens, tokenizer.eos_token_id) if token is not None}


def _closed_error() -> BackendError:
    return BackendError("backend transformers: it is closed and answers no more requests")


def _memory_error(prompt_tokens: int, max_tokens: int) -> RequestError:
    return RequestError(
        f"backend transformers: out of memory for 1 candidates of {prompt_tokens} + {max_tokens} tokens; "
        "request fewer or shorter texts, or take a smaller model"
    )


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, without a full stop."""
    return str(error).strip().partition("\n")[0].rstrip(".")
