"""Servers of real models, each in a process of its own: llama.cpp, `transformers serve`, and a LiteLLM proxy.

The last two run in an environment of their own, whose Python the environment variable of `OTHER_PYTHON` names:

    python -m venv ENV && ENV/bin/pip install torch==2.13.0
    ENV/bin/pip install 'transformers[serving]' 'litellm[proxy]'
    PERSONAGEN_SERVERS_PYTHON=ENV/bin/python pytest -m slow tests/flows/test_other_servers.py
"""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.helpers.releasing import ROOT

OTHER_PYTHON = "PERSONAGEN_SERVERS_PYTHON"
"""Environment variable with the Python that has `transformers serve` and LiteLLM."""

START_S = 120.0
"""Seconds in which a server must answer."""

QUIET = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "OMP_NUM_THREADS": "1",
}
"""No telemetry, and no network but loopback."""

PROXY_KEY = "sk-proxy-0123456789"
"""Key that the proxy wants."""


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RealServer:
    """A server in a process of its own during the `with` block; it can be ended and started again at its port.

    Attributes:
        url: base URL for a client, "/v1" included.
        starts: number of times that it was started.

    """

    def __init__(self, words: Sequence[str], port: int, *, health: str, cwd: Path, log: Path) -> None:
        """Describe a server.

        Args:
            words: its command.
            port: its port on 127.0.0.1.
            health: path that answers 200 once it is ready.
            cwd: working directory.
            log: file of its output.

        """
        self._words, self._cwd, self._log = list(words), cwd, log
        self._health = f"http://127.0.0.1:{port}{health}"
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://127.0.0.1:{port}/v1"
        self.starts = 0

    def __enter__(self) -> Self:
        """Start serving."""
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Stop serving."""
        self.kill()

    def start(self) -> None:
        """Start the process, and return once it answers.

        Raises:
            RuntimeError: it ended, or did not answer in time; with the end of its output.

        """
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                self._words, cwd=self._cwd, env=self._environment(), stdout=output, stderr=subprocess.STDOUT
            )
        end = time.monotonic() + START_S
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise RuntimeError(f"{self._words[:4]} does not answer: {self._log.read_text('utf-8')[-2000:]}")
            time.sleep(0.05)
        self.starts += 1

    def kill(self) -> None:
        """End the process at once, as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _environment(self) -> Mapping[str, str]:
        inherited = {name: value for name, value in os.environ.items() if name != "OPENAI_API_KEY"}
        return inherited | QUIET

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(self._health, timeout=5) as response:
                return bool(response.status == 200)
        except (urllib.error.URLError, OSError):
            return False


def llama_server(model: Path, log: Path) -> RealServer:
    """Describe llama.cpp's own server for a GGUF."""
    port = free_port()
    words = [sys.executable, "-m", "tests.helpers.real_models.llama_server", str(model), str(port)]
    return RealServer(words, port, health="/health", cwd=ROOT, log=log)


def transformers_serve(folder: Path, log: Path) -> RealServer:
    """Describe `transformers serve` for a folder of weights; the name of the model is that of the folder."""
    port = free_port()
    code = "from transformers.cli.transformers import main; main()"
    options = ["serve", folder.name, "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    return RealServer(
        [os.environ[OTHER_PYTHON], "-c", code, *options], port, health="/health", cwd=folder.parent, log=log
    )


def litellm_proxy(upstream: str, folder: Path) -> RealServer:
    """Describe a LiteLLM proxy in front of another server; it serves the model "m" and wants `PROXY_KEY`."""
    port = free_port()
    config = folder / "proxy.yaml"
    config.write_text(
        "model_list:\n"
        f"- {{model_name: m, litellm_params: {{model: openai/m, api_base: '{upstream}', api_key: none}}}}\n"
        "litellm_settings: {telemetry: false}\n"
        f"general_settings: {{master_key: {PROXY_KEY}}}\n",
        encoding="utf-8",
    )
    code = "from litellm import run_server; run_server()"
    options = ["--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    words = [os.environ[OTHER_PYTHON], "-c", code, *options]
    return RealServer(words, port, health="/health/liveliness", cwd=folder, log=folder / "proxy.log")
