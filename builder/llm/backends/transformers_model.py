"""The `transformers` backend: a causal language model of the Hub or of a local folder, run in this process.

Waiting requests are answered in batches: transformers_queue.py chooses them, transformers_sampling.py writes them.
torch and transformers are imported when a model is loaded: they take seconds, and most runs need neither. transformers
is imported by import_module, as Any: its own types are partial, and it is absent without the extra.
"""

import asyncio
import hashlib
import math
import queue
import threading
import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from personagen.builder.core.errors import BackendError, RequestError
from personagen.builder.llm.backends.transformers_queue import BatchRow, BatchSizer, QueuedRequest, choose_rows
from personagen.builder.llm.backends.transformers_sampling import (
    BatchSampler,
    PromptRow,
    SampledText,
    sample_batch,
)
from personagen.builder.llm.requests import Reply, Request, with_schema

CONCURRENCY = 128
"""Requests in flight: two batches of 64, so that one is ready when the other ends."""

# Files of a model folder that determine its texts, unlike a README or a training log.
_WEIGHT_FILES = {".safetensors", ".bin", ".json", ".jinja", ".model", ".txt"}


class TransformersBackend:
    """Answers requests in batches with a loaded model; built by `load_transformers`.

    Attributes:
        name: "transformers".
        model: Hub id or folder, as it was given.
        revision: commit of the Hub repository, or "sha256:" and a digest of the files of a local folder.
        licence: licence of the model card; None: not declared.
        concurrency: requests in flight that fill the batches.
        adaptive: False.
        variant: empty: no setting of a recipe changes its replies.

    """

    name = "transformers"
    concurrency = CONCURRENCY
    adaptive = False
    variant: Mapping[str, Any] = {}

    def __init__(
        self,
        network: Any,
        tokenizer: Any,
        *,
        model: str,
        revision: str | None,
        licence: str | None,
        quiet_s: float = 0.02,
    ) -> None:
        """Wrap a loaded model.

        Args:
            network: causal model of transformers.
            tokenizer: its tokenizer, with a chat template.
            model: see the attributes.
            revision: see the attributes.
            licence: see the attributes.
            quiet_s: seconds without a new request after which an incomplete batch is written; callers send their next
                requests one by one.

        """
        self.model = model
        self.revision = revision
        self.licence = licence
        self._quiet_s = quiet_s
        self._network = network
        self._tokenizer = tokenizer
        self._end_tokens = _end_tokens(network, tokenizer)
        # One thread owns model, tokenizer and waiting rows; requests reach it through the inbox.
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="transformers")
        self._inbox: queue.SimpleQueue[QueuedRequest] = queue.SimpleQueue()
        self._waiting: list[BatchRow] = []
        self._sizers: dict[Hashable, BatchSizer] = {}
        self._closed = threading.Event()

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

        Raises:
            RequestError: the chat template refuses the messages, the request exceeds the context of the model, a
                candidate alone is too large for the memory of the device, or a token is scored as not a number.
            BackendError: the backend is closed.

        """
        if self._closed.is_set():
            raise _closed_error()
        queued = QueuedRequest(request)
        self._inbox.put(queued)
        self._worker.submit(self._serve)
        return await asyncio.wrap_future(queued.reply)

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
            prompt = self._tokenizer(self._prompt(queued.request), add_special_tokens=False)["input_ids"]
            self._require_length(len(prompt), queued.request.sampling.max_tokens)
        except Exception as error:  # any error concerns this request only
            queued.fail(error)
        else:
            queued.prompt = prompt
            self._waiting += [BatchRow(queued, candidate) for candidate in range(queued.rows)]

    def _sizer(self, row: BatchRow) -> BatchSizer:
        return self._sizers.setdefault(row.queued.group, BatchSizer())

    def _write(self, batch: Sequence[BatchRow]) -> None:
        """Write one batch; its rows stay in the queue until they are written, so none is lost if memory is exceeded."""
        request = batch[0].queued.request
        rows = [PromptRow(row.queued.prompt, row.queued.request.seed + row.candidate) for row in batch]
        sampler = BatchSampler(
            self._tokenizer,
            rows,
            end_tokens=self._end_tokens,
            stop=request.stop,
            is_dropped=lambda number: self._closed.is_set() or batch[number].queued.reply.done(),
        )
        began = time.perf_counter()
        written = sample_batch(self._network, self._tokenizer, rows, sampling=request.sampling, sampler=sampler)
        if self._closed.is_set():
            return
        if written is None:
            if self._sizer(batch[0]).record_out_of_memory(len(batch)):
                batch[0].queued.fail(_memory_error(len(rows[0].prompt), request.sampling.max_tokens))
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
        queued.answer(
            Reply(
                candidates=tuple(text.candidate for text in texts),
                prompt_tokens=len(queued.prompt),
                completion_tokens=sum(text.tokens for text in texts),
            )
        )

    def _prompt(self, request: Request) -> str:
        """Render the chat up to the beginning of the model's text."""
        import jinja2

        messages = request.messages if request.schema is None else with_schema(request.messages, request.schema)
        try:
            # Only templates of reasoning models read enable_thinking: their thoughts are no part of a reply.
            rendered = self._tokenizer.apply_chat_template(
                [{"role": message.role, "content": message.content} for message in messages],
                tokenize=False,
                add_generation_prompt=True,
                enable_thinking=False,
            )
        except (jinja2.TemplateError, ValueError, TypeError) as error:
            raise RequestError(
                f"backend transformers: the chat template of {self.model!r} refuses the messages: {_first_line(error)}"
            ) from error
        # Not continue_final_message: templates that strip an assistant turn would change the prefill.
        return str(rendered) + request.prefill

    def _require_length(self, prompt_tokens: int, max_tokens: int) -> None:
        limit = getattr(self._network.config.get_text_config(), "max_position_embeddings", None)
        if limit is not None and prompt_tokens + max_tokens > limit:
            raise RequestError(
                f"backend transformers: the request needs {prompt_tokens} prompt tokens + {max_tokens} max_tokens, "
                f"but {self.model!r} takes {limit}; lower max_tokens or shorten the prompt"
            )


def load_transformers(*, model: str) -> TransformersBackend:
    """Load a chat model: onto the GPUs, if any, in bfloat16 or else float16; onto the CPU in float32.

    No code of the model's repository is run (no trust_remote_code).

    Args:
        model: id on the Hub, downloaded at the first use, or path of a local folder.

    Raises:
        BackendError: the extra is not installed, the folder is missing, the id is unknown or the Hub out of reach,
            the model cannot be loaded, or its tokenizer has no chat template.

    """
    try:
        import torch

        transformers = import_module("transformers")
        broken_file = import_module("safetensors").SafetensorError
    except ImportError as error:
        raise BackendError(
            f"backend transformers: {_first_line(error)}; install it with pip install 'personagen[transformers]'"
        ) from error
    folder = Path(model).expanduser()
    if not folder.is_dir() and (model.startswith((".", "/", "~")) or model.count("/") > 1):
        raise BackendError(f"backend transformers: no folder {model!r}; name a model's folder or its id on the Hub")
    source = str(folder) if folder.is_dir() else model
    try:
        with _quiet():
            # The commit first, so that weights and tokenizer are of the same one.
            commit = None if folder.is_dir() else _commit(model)
            # False, not the default None, with which transformers prompts on the terminal.
            pinned = {"revision": commit, "trust_remote_code": False}
            tokenizer = transformers.AutoTokenizer.from_pretrained(source, **pinned)
            network = transformers.AutoModelForCausalLM.from_pretrained(source, **pinned, **_placement(torch))
            licence = _licence(source, commit)
    except (OSError, ValueError, ImportError, RuntimeError, KeyError, broken_file) as error:
        hint = "" if folder.is_dir() else "; check the id and the network, or give a local folder"
        raise BackendError(f"backend transformers: cannot load {model!r}: {_first_line(error)}{hint}") from error
    if not getattr(tokenizer, "chat_template", None):
        raise BackendError(
            f"backend transformers: {model!r} has no chat template, so it is no chat model; take its instruct variant"
        )
    network.eval()
    revision = f"sha256:{_digest(folder)}" if folder.is_dir() else commit
    return TransformersBackend(network, tokenizer, model=model, revision=revision, licence=licence)


def _placement(torch: Any) -> dict[str, Any]:
    """Return device map and float type of the weights: all GPUs, by accelerate, or the CPU."""
    if not torch.cuda.is_available():
        return {"dtype": torch.float32}
    # Older GPUs only emulate bfloat16, which is slow.
    has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
    return {"device_map": "auto", "dtype": torch.bfloat16 if has_bfloat16 else torch.float16}


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the progress bars and advice of transformers."""
    logging = import_module("transformers.utils.logging")
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _commit(model: str) -> str | None:
    """Return the commit of the default branch of a Hub repository; offline, the one in the cache."""
    hub = import_module("transformers.utils.hub")
    commit: str | None = hub.extract_commit_hash(hub.cached_file(model, "config.json"), None)
    return commit


def _licence(source: str, commit: str | None) -> str | None:
    """Read the licence from the model card, on the Hub or in a folder; None: not declared, or card unreadable."""
    from huggingface_hub import metadata_load

    lenient = {"_raise_exceptions_for_missing_entries": False, "_raise_exceptions_for_connection_errors": False}
    card = import_module("transformers.utils.hub").cached_file(source, "README.md", revision=commit, **lenient)
    try:
        data = (metadata_load(card) if card else None) or {}
    except (ValueError, yaml.YAMLError):
        return None
    licence = data.get("license_name") or data.get("license")
    return licence if isinstance(licence, str) else None


def _digest(folder: Path) -> str:
    """Hash names and contents of the files of a model, in about a second per gigabyte."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix in _WEIGHT_FILES:
            with path.open("rb") as file:
                digest.update(f"{path.name}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


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


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
