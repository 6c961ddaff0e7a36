"""Parts that all drivers share: arguments, prompts, and the line of JSON that reports the result.

A driver runs in the environment of the system that it drives, so this file needs nothing but the standard library.
"""

import argparse
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BAD = "REFUSE-THIS"
"""The server answers a prompt that holds this with a 400; the same word stands in `server.py`."""

MODEL = "fake-1"


@dataclass(frozen=True, slots=True)
class Job:
    """What a driver is to do.

    Attributes:
        url: base URL of the server, "/v1" included.
        rows: prompts to answer, each by one call.
        in_flight: requests in flight at most.
        out: folder for results, journal and cache; a second run in the same folder goes on with the first.
        bad: whether one prompt of 50 is such that the server refuses it.
        depth: layers of a persona; PersonaGen only.
        system: system prompt; "": none.
        limit: limit on the tokens of a reply where the system has no default of its own; 0: none.

    """

    url: str
    rows: int
    in_flight: int
    out: Path
    bad: bool
    depth: str
    system: str = ""
    limit: int = 200

    def prompts(self) -> list[str]:
        """Word the prompts, each another one."""
        return [
            f"Write two sentences about item {number}." + (f" {BAD}" if self.bad and number % 50 == 7 else "")
            for number in range(self.rows)
        ]


def read_job() -> Job:
    """Read the arguments of a driver and make its folder."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("rows", type=int)
    parser.add_argument("in_flight", type=int)
    parser.add_argument("out", type=Path)
    parser.add_argument("--bad", action="store_true")
    parser.add_argument("--depth", default="none")
    parser.add_argument("--system", default="")
    parser.add_argument("--limit", type=int, default=200)
    job = Job(**vars(parser.parse_args()))
    job.out.mkdir(parents=True, exist_ok=True)
    return job


class _Words:
    def encode(self, text: str, **options: Any) -> list[str]:
        return text.split()


def count_words_as_tokens() -> None:
    """Keep tiktoken from downloading its tables: a word counts as a token."""
    import tiktoken

    tiktoken.get_encoding = lambda name: _Words()


def write_texts(job: Job, texts: Iterable[Any]) -> None:
    """Write the texts of a result to texts.json in the folder of the job; rows without a text are left out."""
    written = [text for text in texts if isinstance(text, str)]
    (job.out / "texts.json").write_text(json.dumps(written), encoding="utf-8")


def report(started: float, kept: int, listed: int | None = None) -> None:
    """Print the line that the benchmark reads, the last one of standard output.

    Args:
        started: when the system was called, by `time.perf_counter`.
        kept: rows in the result.
        listed: refused requests that the result lists with a reason; None where it has no such list.

    """
    print(json.dumps({"seconds": time.perf_counter() - started, "kept": kept, "listed": listed}), flush=True)
