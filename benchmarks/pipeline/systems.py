"""The systems that are compared, and an environment of its own for each that is not PersonaGen."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

PACKAGES = {
    "aiohttp": "aiohttp",
    "personagen": "personagen",
    "datatrove": "datatrove",
    "curator": "bespokelabs-curator",
    "data_designer": "data-designer",
    "distilabel": "distilabel",
}
"""Systems and the package that each is, in the order of the tables."""

PEERS = ("datatrove", "curator", "data_designer", "distilabel")


@dataclass(frozen=True, slots=True)
class System:
    """A system that can be run.

    Attributes:
        name: key of PACKAGES, and name of its driver.
        python: interpreter of its environment.
        version: of its package.

    """

    name: str
    python: Path
    version: str

    def command(self, url: str, rows: int, in_flight: int, out: Path, *options: str) -> list[str]:
        """Spell the command that runs its driver."""
        words = [self.python, "-m", f"benchmarks.pipeline.drivers.{self.name}", url, rows, in_flight, out]
        return [*map(str, words), *options]


def prepare(name: str, peers: Path) -> System | str:
    """Make a system ready, once a requirements file; return why not where that fails.

    Args:
        name: key of PACKAGES.
        peers: folder for the environments; PersonaGen runs in the current one.

    """
    python = Path(sys.executable)
    if name != "personagen":
        python = peers / name / "bin" / "python"
        wanted = sys.version + (HERE / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
        stamp = peers / name / "installed.txt"
        if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
            print(f"installing {name} into {peers / name}", file=sys.stderr)
            failed = _install(name, peers / name)
            if failed:
                return failed
            stamp.write_text(wanted, encoding="utf-8")
    code = f"import importlib.metadata as m; print(m.version({PACKAGES[name]!r}))"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return System(name, python, done.stdout.strip()) if done.returncode == 0 else last_line(done.stderr)


def _install(name: str, folder: Path) -> str:
    """Make an environment; return the last line of the error, "" where there is none."""
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "-r"]
    for words in ([sys.executable, "-m", "venv", str(folder)], [*pip, str(HERE / "requirements" / f"{name}.txt")]):
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            return f"not installed: {last_line(done.stderr)}"
    return ""


def last_line(text: str, limit: int = 140) -> str:
    """Return the last line that says something, cut, without what would break a table."""
    lines = [line.strip() for line in text.replace("|", " ").splitlines() if line.strip(" \t│╭╮╰╯─|")]
    return lines[-1][:limit] if lines else "no message"
