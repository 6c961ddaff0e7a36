"""The `transformers` backend: a causal language model of the Hub or of a local folder, run in this process.

torch and transformers are imported when a model is loaded, not before: they take seconds, and most runs need neither.
transformers comes by import_module, as Any: its own types are partial, and it is absent without the extra.
"""

import asyncio
import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from personagen.builder.errors import BackendError, RequestError
from personagen.builder.llm import Candidate, Reply, Request, Sampling, with_schema

# Files of a model folder that decide what the model writes; a README or a training log does not.
_WEIGHT_FILES = {".safetensors", ".bin", ".json", ".jinja", ".model", ".txt"}


class TransformersBackend:
    """Answers requests one at a time with a loaded model; built by `load_transformers`.

    Attributes:
        name: "transformers".
        model: Hub id or folder, as it was given.
        revision: commit of the Hub repository, or "sha256:" and a digest of the files of a local folder.
        licence: what the model card declares; None if it declares nothing.

    """

    def __init__(self, network: Any, tokenizer: Any, *, model: str, revision: str | None, licence: str | None) -> None:
        """Take a loaded network (a transformers causal model) and its tokenizer, which has a chat template."""
        self.name = "transformers"
        self.model = model
        self.revision = revision
        self.licence = licence
        self.concurrency = 1  # requests are answered one at a time
        self._network = network
        self._tokenizer = tokenizer
        self._ends = _end_tokens(network, tokenizer)
        # torch's random generator belongs to the process: one thread at a time, so that a seed fixes the text.
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="transformers")

    async def complete(self, request: Request) -> Reply:
        """Answer one request; the text depends on the request, the weights and the machine, not on earlier requests.

        Sampling: temperature 0 is greedy, and all candidates are then the same; None for temperature, top_p, min_p or
        repetition_penalty takes the value of the model's own generation config, else 1, 1, 0 and 1. Top-k is off
        unless that config sets it. A schema is put into the prompt and not enforced. `mean_logprob` is measured after
        the repetition penalty and before temperature and truncation.

        Raises:
            RequestError: the chat template refuses the messages, the request exceeds the context of the model, or the
                device is out of memory.

        """
        return await asyncio.get_running_loop().run_in_executor(self._worker, self._answer, request)

    async def close(self) -> None:
        """Wait for the request at work, then free the model."""
        await asyncio.to_thread(self._worker.shutdown, cancel_futures=True)
        self._network = self._tokenizer = None

    def _answer(self, request: Request) -> Reply:
        import torch

        prompt = self._tokenizer(self._prompt(request), return_tensors="pt", add_special_tokens=False)["input_ids"]
        self._check_length(prompt.shape[1], request.sampling.max_tokens)
        greedy = request.sampling.temperature == 0
        watch = _Watch(self._tokenizer, prompt.shape[1], ends=self._ends, stop=request.stop)
        torch.manual_seed(request.seed)
        prompt = prompt.to(self._network.device)
        try:
            with torch.inference_mode():
                rows = self._network.generate(
                    input_ids=prompt,
                    attention_mask=torch.ones_like(prompt),
                    generation_config=self._config(request.sampling, count=1 if greedy else request.candidates),
                    logits_processor=[watch.score],
                    stopping_criteria=[watch.ended],
                )
        except torch.OutOfMemoryError:
            raise RequestError(
                f"backend transformers: out of memory for {request.candidates} candidates of {prompt.shape[1]} + "
                f"{request.sampling.max_tokens} tokens; ask for fewer or shorter texts, or take a smaller model"
            ) from None
        written = watch.candidates(rows)
        if greedy:
            written *= request.candidates
        return Reply(
            candidates=tuple(candidate for candidate, _ in written),
            prompt_tokens=prompt.shape[1],
            completion_tokens=sum(tokens for _, tokens in written),
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

    def _config(self, sampling: Sampling, *, count: int) -> Any:
        """Complete the sampling with the model's own generation config, and with what is neutral after that."""
        make = import_module("transformers").GenerationConfig
        own = self._network.generation_config
        values: dict[str, Any] = {
            "max_new_tokens": sampling.max_tokens,
            "num_return_sequences": count,
            "repetition_penalty": _first(sampling.repetition_penalty, own.repetition_penalty, 1.0),
            "eos_token_id": sorted(self._ends),
            "pad_token_id": _first(self._tokenizer.pad_token_id, *sorted(self._ends), 0),
        }
        if sampling.temperature == 0:
            return make(do_sample=False, **values)
        return make(
            do_sample=True,
            temperature=_first(sampling.temperature, own.temperature, 1.0),
            top_p=_first(sampling.top_p, own.top_p, 1.0),
            min_p=_first(sampling.min_p, own.min_p),
            top_k=_first(own.top_k, 0),
            **values,
        )


class _Watch:
    """Follows one generation: where each candidate ends, and how likely its tokens were.

    transformers has both, but its stop strings also match text that begins in the prompt and fail on strings outside
    the vocabulary, and its scores keep the whole vocabulary for every token (a gigabyte for four long candidates).
    """

    def __init__(self, tokenizer: Any, start: int, *, ends: set[int], stop: tuple[str, ...]) -> None:
        """Watch tokens from position `start` on; `ends` are end-of-turn tokens, `stop` strings that end a text."""
        self._tokenizer = tokenizer
        self._start = start
        self._ends = ends
        self._stop = stop
        # A token that shows text holds at least one byte; a few more tokens cover special ones and split characters.
        self._tail = max((len(text.encode()) for text in stop), default=0) + 8
        self._lengths: dict[int, int] = {}
        self._logprobs: list[Any] = []
        self._scores: Any = None

    def score(self, input_ids: Any, scores: Any) -> Any:
        """Keep the log probabilities of the next token; the scores themselves stay as they are."""
        self._scores = scores.float().log_softmax(-1)
        return scores

    def ended(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        """Say for each candidate whether its last token ended it."""
        import torch

        self._logprobs.append(self._scores.gather(1, input_ids[:, -1:]).squeeze(1))
        length = input_ids.shape[1] - self._start
        for row, ids in enumerate(input_ids[:, self._start :].tolist()):
            if row not in self._lengths and (ids[-1] in self._ends or self._stops(ids[-self._tail :])):
                self._lengths[row] = length
        return torch.tensor([row in self._lengths for row in range(len(input_ids))], device=input_ids.device)

    def candidates(self, rows: Any) -> list[tuple[Candidate, int]]:
        """Give each candidate with the number of its tokens, an end token included."""
        logprobs = [step.tolist() for step in self._logprobs]
        found = []
        for row, ids in enumerate(rows.tolist()):
            length = self._lengths.get(row, len(ids) - self._start)
            written = ids[self._start : self._start + length]
            text = self._text(ids[: self._start], written[:-1] if written[-1] in self._ends else written)
            places = [text.index(stop) for stop in self._stop if stop in text]
            mean = sum(step[row] for step in logprobs[:length]) / length
            finish = "stop" if row in self._lengths else "length"
            found.append((Candidate(text[: min(places, default=len(text))], finish, mean), length))
        return found

    def _stops(self, tail: list[int]) -> bool:
        text = self._decode(tail) if self._stop else ""
        return any(stop in text for stop in self._stop)

    def _text(self, before: list[int], written: list[int]) -> str:
        """Decode after the end of the prompt: some tokenizers drop the space before the first word of a text."""
        lead = before[-8:]
        known, whole = self._decode(lead), self._decode(lead + written)
        return whole[len(known) :] if whole.startswith(known) else self._decode(written)

    def _decode(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))


def load_transformers(*, model: str) -> TransformersBackend:
    """Load a chat model: on the GPUs in bfloat16 if there are any, else on the CPU in float32.

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
    on_gpu = torch.cuda.is_available()
    placement = {"device_map": "auto", "dtype": torch.bfloat16} if on_gpu else {"dtype": torch.float32}
    try:
        with _quiet():
            # The commit is fixed first, so that weights and tokenizer come from the same one.
            commit = None if folder.is_dir() else _commit(model)
            # False and not the default None, at which transformers asks on the terminal.
            pinned = {"revision": commit, "trust_remote_code": False}
            tokenizer = transformers.AutoTokenizer.from_pretrained(source, **pinned)
            network = transformers.AutoModelForCausalLM.from_pretrained(source, **pinned, **placement)
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


def _first(*values: Any) -> Any:
    """Take the first value that is not None; None if all are."""
    return next((value for value in values if value is not None), None)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
