"""Load a model of the `transformers` backend from the Hub or a folder, with its commit, licence and chat templates."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from personagen.builder.core.errors import BackendError
from personagen.builder.llm.backends.transformers_model import (
    TransformersBackend,
    TransformersSettings,
    first_line,
    ignore_warning,
)

# Files of a model folder that determine its texts, unlike a README or a training log.
_WEIGHT_FILES = {".safetensors", ".bin", ".json", ".jinja", ".model", ".txt"}
_LENIENT = {"_raise_exceptions_for_missing_entries": False, "_raise_exceptions_for_connection_errors": False}


def load_transformers(
    *,
    model: str,
    warn: Callable[[str], None] = ignore_warning,
    reasoning_effort: str | None = None,
    thinking_tokens: int | None = None,
) -> TransformersBackend:
    """Load a causal model: onto the GPUs, if any, in bfloat16 or else float16; onto the CPU in float32.

    No code of the model's repository is run (no trust_remote_code).

    Args:
        model: id on the Hub, downloaded at the first use, or path of a local folder.
        warn: see `TransformersSettings`.
        reasoning_effort: see `TransformersSettings`.
        thinking_tokens: see `TransformersSettings`.

    Raises:
        BackendError: the extra is not installed, the folder is missing, the id is unknown or the Hub out of reach,
            the model cannot be loaded, or its chat template renders no chat.

    """
    try:
        import torch

        transformers = import_module("transformers")
        broken_file = import_module("safetensors").SafetensorError
    except ImportError as error:
        hint = "install it with pip install 'personagen[transformers]'"
        raise BackendError(f"backend transformers: {first_line(error)}; {hint}") from error
    folder = _folder(model)
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
            tokenizer.chat_template = _templates(tokenizer, source, commit)
    except (OSError, ValueError, ImportError, RuntimeError, KeyError, broken_file) as error:
        hint = "" if folder.is_dir() else "; check the id and the network, or give a local folder"
        raise BackendError(f"backend transformers: cannot load {model!r}: {first_line(error)}{hint}") from error
    network.eval()
    revision = f"sha256:{_digest(folder)}" if folder.is_dir() else commit
    settings = TransformersSettings(reasoning_effort, thinking_tokens, warn)
    return TransformersBackend(network, tokenizer, model=model, revision=revision, licence=licence, settings=settings)


def _folder(model: str) -> Path:
    """Return the folder of a model; if it is none, the model is an id on the Hub."""
    folder = Path(model).expanduser()
    if not folder.is_dir() and (model.startswith((".", "/", "~")) or model.count("/") > 1):
        raise BackendError(f"backend transformers: no folder {model!r}; name a model's folder or its id on the Hub")
    return folder


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

    card = import_module("transformers.utils.hub").cached_file(source, "README.md", revision=commit, **_LENIENT)
    try:
        data = (metadata_load(card) if card else None) or {}
    except (ValueError, yaml.YAMLError):
        return None
    licence = data.get("license_name") or data.get("license")
    return licence if isinstance(licence, str) else None


def _digest(folder: Path) -> str:
    """Hash names and contents of the files of a model, in about a second per gigabyte."""
    digest = hashlib.sha256()
    paths = sorted(folder.iterdir())
    if not (folder / "chat_template.jinja").exists():
        paths += sorted((folder / "additional_chat_templates").glob("*.jinja"))
    for path in paths:
        if path.is_file() and path.suffix in _WEIGHT_FILES:
            with path.open("rb") as file:
                digest.update(f"{path.name}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def _templates(tokenizer: Any, source: str, commit: str | None) -> Any:
    """Return the chat template of a model, as text or by name, on the Hub or in a folder; None: it has none.

    Tokenizers read their own files only. Older models for images and text have the template in two of a processor.
    """
    if template := getattr(tokenizer, "chat_template", None):
        return template
    for name in ("chat_template.json", "processor_config.json"):
        path = import_module("transformers.utils.hub").cached_file(source, name, revision=commit, **_LENIENT)
        data = json.loads(Path(path).read_text(encoding="utf-8")) if path else None
        if isinstance(data, dict) and data.get("chat_template"):
            return data["chat_template"]
    return None
