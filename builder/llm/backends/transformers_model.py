"""The `transformers` backend: a causal language model of the Hub or of a local folder, run in this process.

Requests that wait are answered in batches: transformers_queue.py says which and how many, transformers_batch.py writes.
torch and transformers are imported when a model is loaded, not before: they take seconds, and most runs need neither.
transformers comes by import_module, as Any: its own types are partial, and it is absent without the extra.
"""

import asyncio
import hashlib
import math
import queue
import threading
import time
from collections.abc import Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from personagen.builder.core.errors import BackendError, RequestError
from personagen.builder.llm.backends.transformers_queue import Job, Pace, Row, choose_rows
from personagen.builder.llm.backends.transformers_sampling import Line, Watch, Written, write_batch
from personagen.builder.llm.requests import Reply, Request, with_schema

CONCURRENCY = 128
"""Requests that should be waiting so that batches fill: two batches of 64, so that one is ready when the other ends."""

QUIET = 0.02
"""Seconds without a new request after which a batch that is not full starts all the same: callers that got a reply
come back with their next request one after the other."""

# Files of a model folder that decide what the model writes; a README or a training log does not.
_WEIGHT_FILES = {".safetensors", ".bin", ".json", ".jinja", ".model", ".txt"}


class TransformersBackend:
    """Answers requests in batches with a loaded model; built by `load_transformers`.

    Attributes:
        name: "transformers".
        model: Hub id or folder, as it was given.
        revision: commit of the Hub repository, or "sha256:" and a digest of the files of a local folder.
        licence: what the model card declares; None if it declares nothing.
        concurrency: requests that should be waiting so that batches fill.
        adaptive: False: `concurrency` holds as it is; True: the number of requests in flight is to be found, as for a
            server that others use.

    """

    def __init__(self, network: Any, tokenizer: Any, *, model: str, revision: str | None, licence: str | None) -> None:
        """Take a loaded network (a transformers causal model) and its tokenizer, which has a chat template."""
        self.name = "transformers"
        self.model = model
        self.revision = revision
        self.licence = licence
        self.concurrency = CONCURRENCY
        self.adaptive = False
        self._network = network
        self._tokenizer = tokenizer
        self._ends = _end_tokens(network, tokenizer)
        # One thread has model, tokenizer and what waits to itself; requests reach it through the inbox.
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="transformers")
        self._inbox: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._waiting: list[Row] = []
        self._paces: dict[Hashable, Pace] = {}
        self._closed = threading.Event()

    async def complete(self, request: Request) -> Reply:
        """Answer one request, in batches with others that wait and have the same sampling and stop strings.

        Candidate i is drawn with seed + i. The text depends on the request and the weights, up to the rounding of sums,
        which is another in every shape of batch. In float32 on a CPU 60 of 60 texts of 40 tokens were the same in
        batches of 1, 4 and 16; in bfloat16 and float16 nothing is promised.

        Sampling: temperature 0 is greedy, and all candidates are then the same; None for temperature, top_p, min_p or
        repetition_penalty takes the value of the model's own generation config, else 1, 1, 0 and 1. Top-k is off
        unless that config sets it. A schema is put into the prompt and not enforced. `mean_logprob` is measured after
        the repetition penalty and before temperature and truncation. The call can be cancelled: its texts end at the
        next token, and the others of the batch go on.

        Raises:
            RequestError: the chat template refuses the messages, the request exceeds the context of the model, a
                candidate alone is too large for the memory of the device, or a token is scored as not a number.
            BackendError: the backend is closed.

        """
        if self._closed.is_set():
            raise _closed_error()
        job = Job(request)
        self._inbox.put(job)
        self._worker.submit(self._serve)
        return await asyncio.wrap_future(job.reply)

    async def close(self) -> None:
        """End the batch at work at its next token, fail all that wait, free the model; a second call does nothing."""
        self._closed.set()
        await asyncio.to_thread(self._worker.shutdown, cancel_futures=True)
        waiting = [row.job for row in self._waiting]
        while not self._inbox.empty():
            waiting.append(self._inbox.get())
        for job in waiting:
            job.fail(_closed_error())
        self._waiting = []
        self._network = self._tokenizer = None

    def _serve(self) -> None:
        """Write batches until nothing waits; runs in the worker thread, once for every request."""
        while rows := self._next_batch():
            try:
                self._write(rows)
            except Exception as error:  # whatever it is, those who wait for these rows have to know
                for row in rows:
                    row.job.fail(error)

    def _next_batch(self) -> list[Row]:
        """Choose the next batch, and wait a moment where it is not full; empty if nothing waits."""
        while not self._inbox.empty():
            self._admit(self._inbox.get())
        while not self._closed.is_set():
            self._waiting = [row for row in self._waiting if not row.job.reply.done()]
            if not self._waiting:
                return []
            size = self._pace(self._waiting[0]).size
            rows = choose_rows(self._waiting, size)
            if len(rows) == size:
                return rows
            try:
                self._admit(self._inbox.get(timeout=QUIET))
            except queue.Empty:
                return rows
        return []

    def _admit(self, job: Job) -> None:
        """Put the rows of a request among those that wait, or refuse it."""
        try:
            prompt = self._tokenizer(self._prompt(job.request), add_special_tokens=False)["input_ids"]
            self._check_length(len(prompt), job.request.sampling.max_tokens)
        except Exception as error:  # whatever it is, it is the business of this request alone
            job.fail(error)
        else:
            job.prompt = prompt
            self._waiting += [Row(job, candidate) for candidate in range(job.rows)]

    def _pace(self, row: Row) -> Pace:
        return self._paces.setdefault(row.job.group, Pace())

    def _write(self, rows: Sequence[Row]) -> None:
        """Write one batch. Its rows wait until they are written, so that none is lost if they do not fit."""
        request = rows[0].job.request
        lines = [Line(row.job.prompt, row.job.request.seed + row.candidate) for row in rows]
        watch = Watch(
            self._tokenizer,
            lines,
            ends=self._ends,
            stop=request.stop,
            is_dropped=lambda number: self._closed.is_set() or rows[number].job.reply.done(),
        )
        began = time.perf_counter()
        written = write_batch(self._network, self._tokenizer, lines, sampling=request.sampling, watch=watch)
        if self._closed.is_set():
            return
        if written is None:
            if self._pace(rows[0]).failed(len(rows)):
                rows[0].job.fail(_memory_error(len(lines[0].prompt), request.sampling.max_tokens))
            return
        tokens = sum(text.tokens for text in written)
        self._pace(rows[0]).succeeded(len(rows), tokens / (time.perf_counter() - began))
        gone = set(map(id, rows))
        self._waiting = [row for row in self._waiting if id(row) not in gone]
        for row, text in zip(rows, written, strict=True):
            self._deliver(row, text)

    def _deliver(self, row: Row, text: Written) -> None:
        """Keep one text, and answer the request where it was the last one."""
        job = row.job
        if math.isnan(text.candidate.mean_logprob or 0.0):
            job.fail(
                RequestError(
                    f"backend transformers: {self.model!r} scored a token nan, wanted a number; its weights are "
                    "damaged or too large for the float type of this device: take another model or device"
                )
            )
            return
        job.written[row.candidate] = text
        if len(job.written) < job.rows:
            return
        texts = [job.written[number % job.rows] for number in range(job.request.candidates)]
        job.answer(
            Reply(
                candidates=tuple(each.candidate for each in texts),
                prompt_tokens=len(job.prompt),
                completion_tokens=sum(each.tokens for each in texts),
            )
        )

    def _prompt(self, request: Request) -> str:
        """Render the chat up to the point where the model goes on."""
        import jinja2

        messages = request.messages if request.schema is None else with_schema(request.messages, request.schema)
        try:
            # enable_thinking is read by the templates of reasoning models only: their thoughts are no part of a reply.
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
        # Not continue_final_message: templates that trim an assistant turn would change the prefill.
        return str(rendered) + request.prefill

    def _check_length(self, prompt_tokens: int, max_tokens: int) -> None:
        limit = getattr(self._network.config.get_text_config(), "max_position_embeddings", None)
        if limit is not None and prompt_tokens + max_tokens > limit:
            raise RequestError(
                f"backend transformers: the request needs {prompt_tokens} prompt tokens + {max_tokens} max_tokens, "
                f"but {self.model!r} takes {limit}; lower max_tokens or shorten the prompt"
            )


def load_transformers(*, model: str) -> TransformersBackend:
    """Load a chat model: on the GPUs if there are any, in bfloat16 or else float16; on the CPU in float32.

    No code of the model's repository is run (no trust_remote_code).

    Args:
        model: id on the Hub, which is downloaded at the first use, or path of a local folder.

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
        raise BackendError(f"backend transformers: no folder {model!r}; give a model's folder or its id on the Hub")
    source = str(folder) if folder.is_dir() else model
    try:
        with _quiet():
            # The commit is fixed first, so that weights and tokenizer come from the same one.
            commit = None if folder.is_dir() else _commit(model)
            # False and not the default None, at which transformers asks on the terminal.
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
    """Say where the weights go and as what: over all GPUs, by accelerate, or to the CPU."""
    if not torch.cuda.is_available():
        return {"dtype": torch.float32}
    # Older GPUs only emulate bfloat16, which is slow.
    fast = torch.cuda.is_bf16_supported(including_emulation=False)
    return {"device_map": "auto", "dtype": torch.bfloat16 if fast else torch.float16}


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the progress bars and advice of transformers off the terminal for a while."""
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
    """Find the commit that the default branch of a Hub repository stands at; offline, the one in the cache."""
    hub = import_module("transformers.utils.hub")
    commit: str | None = hub.extract_commit_hash(hub.cached_file(model, "config.json"), None)
    return commit


def _licence(source: str, commit: str | None) -> str | None:
    """Read the licence from the model card, whether on the Hub or in a folder; None where the card is unreadable."""
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
    """Hash names and contents of the files that make the model; takes about a second per gigabyte."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix in _WEIGHT_FILES:
            with path.open("rb") as file:
                digest.update(f"{path.name}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def _end_tokens(network: Any, tokenizer: Any) -> set[int]:
    """Collect the tokens that end a turn: model and tokenizer often name only one of several."""
    own = network.generation_config.eos_token_id
    ends = own if isinstance(own, list) else [own]
    return {token for token in (*ends, tokenizer.eos_token_id) if token is not None}


def _closed_error() -> BackendError:
    return BackendError("backend transformers: it is closed and answers no more requests")


def _memory_error(prompt_tokens: int, max_tokens: int) -> RequestError:
    return RequestError(
        f"backend transformers: out of memory for 1 candidates of {prompt_tokens} + {max_tokens} tokens; "
        "ask for fewer or shorter texts, or take a smaller model"
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
