"""Keep every test offline and away from the user's caches; set before anything of Hugging Face is imported."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.helpers.command import Run
    from tests.helpers.servers.fake_openai import FakeOpenAI

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_EVALUATE_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["HF_UPDATE_DOWNLOAD_COUNTS"] = "0"
os.environ["HF_HOME"] = tempfile.mkdtemp(prefix="personagen-test-hf-")
os.environ["PERSONAGEN_CACHE"] = tempfile.mkdtemp(prefix="personagen-test-cache-")
# Two processes run tests side by side; with more threads each they would wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
for variable in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
    os.environ.pop(variable, None)
os.environ.pop("PERSONAGEN_RELEASE", None)

# A run in the background, or under nohup, has signals ignored, and so would every process that a test starts.
for number, handler in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGTERM, signal.SIG_DFL),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, handler)

if find_spec("hypothesis"):
    from hypothesis import settings

    settings.register_profile("no deadline", deadline=None)  # a loaded machine takes longer for an example
    settings.load_profile("no deadline")

NEEDS = {
    "metrics": "sentence_transformers",
    "evaluation": "sentence_transformers",
    "export/test_table.py": "sentence_transformers",
    "report": "plotly",
    "benchmarks": "sentence_transformers",
    "project": "importlinter",
    "flows/test_counterfactuals.py": "sentence_transformers",
    "flows/power/test_evaluations.py": "sentence_transformers",
    "hub/test_push_metric.py": "evaluate",
    "writing/test_label_check.py": "sentence_transformers",
    "api/test_kernel_judges.py": "sentence_transformers",
    "api/test_running_loop.py": "sentence_transformers",
    "flows/test_llama_server.py": "xllamacpp",
    "flows/test_other_servers.py": "xllamacpp",
    "llm/backends/test_embedded.py": "xllamacpp",
    "llm/backends/test_transformers_model.py": "transformers",
    "llm/backends/test_transformers_queue.py": "transformers",
    "llm/backends/test_transformers_sampling.py": "transformers",
    "llm/chat_templates": "transformers",
}
"""Tests, and the module of an extra without which they are not collected; the header of a run names them."""

NEEDS_VARIABLE = {
    "export/test_tools.py": "PERSONAGEN_TOOLS_PYTHON",
    "flows/test_other_servers.py": "PERSONAGEN_SERVERS_PYTHON",
}
"""Tests, and the environment variable without which they are not collected; tests/helpers says what it names."""

LEFT_OUT = [tests for tests, module in NEEDS.items() if find_spec(module) is None]
LEFT_OUT += [tests for tests, name in NEEDS_VARIABLE.items() if name not in os.environ and tests not in LEFT_OUT]
collect_ignore = LEFT_OUT


def pytest_report_header() -> str:
    """Name the tests that are left out because an extra or an environment is missing."""
    return f"left out, for want of an extra or an environment: {', '.join(LEFT_OUT) or 'none'}"


@pytest.fixture(scope="session")
def model() -> "Iterator[FakeOpenAI]":
    """A server that answers every request; for releases whose texts do not matter."""
    from tests.helpers.servers.fake_openai import FakeOpenAI

    with FakeOpenAI() as running:
        yield running


@pytest.fixture(scope="session")
def release(model: "FakeOpenAI", tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release `personagen` of 70 texts and two ablations, alone in a folder of its own; read only."""
    from tests.helpers.releasing import RECIPE, make_release

    return make_release(tmp_path_factory.mktemp("load") / "personagen", model.url, RECIPE)


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory
) -> "Run":
    """Run `personagen ...` in this process, in an empty working directory."""
    from tests.helpers.command import run_here

    return run_here(monkeypatch, capsys, tmp_path_factory)


@pytest.fixture
def encoded_corpora(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin with a cache in which the real encoder's vectors of the bundled slices are; workers share the encoding."""
    from tests.helpers.real_texts import encode_corpora

    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "encoded-corpora"
    encode_corpora(shared)
    shutil.copytree(shared, tmp_path / "encoded-corpora")
    monkeypatch.setenv("PERSONAGEN_CACHE", str(tmp_path / "encoded-corpora"))


@pytest.fixture
def beside(release: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in the folder that holds the release, as a user of `personagen generate` does."""
    monkeypatch.chdir(release.parent)
    return release


@pytest.fixture
def away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def other_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system than `tmp_path`, which is deleted at the end."""
    own = tmp_path.stat().st_dev
    others = [disk for disk in (Path("/dev/shm"), Path("/var/tmp")) if disk.is_dir() and disk.stat().st_dev != own]
    if not others:
        pytest.skip("there is no second file system that can be written: /dev/shm or /var/tmp")
    with tempfile.TemporaryDirectory(prefix="personagen-test-", dir=others[0]) as folder:
        yield Path(folder)


@pytest.fixture
def plain_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo what an import of `personagen_dataset` in this process has done to `load_dataset`."""
    import datasets

    current = datasets.load.dataset_module_factory
    original = getattr(current, "__wrapped__", current)
    monkeypatch.setattr(datasets.load, "dataset_module_factory", original)
    monkeypatch.setattr(datasets.inspect, "dataset_module_factory", original)
