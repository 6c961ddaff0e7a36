"""Whole runs against a server of a real model: a release, ratings, and a restart of the server in the middle."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import personagen as pg
from personagen.builder.core.progress import RunStatus
from personagen.builder.evaluation.judges import connect_judge
from personagen.metrics.human_likeness.dimensions import DIMENSIONS
from personagen.metrics.human_likeness.judge import Answer, question
from tests.helpers.flow import Recorder
from tests.helpers.real_models.servers import RealServer

SILLY = {"text": {"language": None, "min_words": 4}, "checks": {"attempts": 40}}
"""Requirements that a model of word pairs meets often enough."""

RATED = ["The postman carried a green ladder.", "We counted eleven boxes.", "My cousin painted the fence.", "Go on."]
"""Texts to rate."""

RESTART_ROWS = 10
"""Rows that are accepted before the server is restarted."""


def write(server: RealServer, out: Path, *, model: str = "m", rows: int = 28, **keys: Any) -> pg.Release:
    """Generate a release without progress."""
    options: dict[str, Any] = SILLY | {"progress": False} | keys
    return pg.generate(rows=rows, model=f"openai:{model}", base_url=server.url, out=out, **options)


def write_through_a_restart(
    server: RealServer, out: Path, *, restarted: RealServer | None = None, rows: int = 84, **keys: Any
) -> pg.Release:
    """Generate a release; a server is killed when some rows are accepted, and starts again beside the run.

    Args:
        server: the server that is asked.
        out: folder of the release.
        restarted: the server that is killed; None: the one that is asked.
        rows: rows of the release.
        keys: keys of the recipe, and arguments of `generate`.

    """
    starting: list[threading.Thread] = []
    killed = restarted or server

    def restart(status: RunStatus) -> None:
        if status.accepted >= RESTART_ROWS and not starting:
            killed.kill()
            starting.append(threading.Thread(target=killed.start))
            starting[0].start()

    release = write(server, out, rows=rows, progress=Recorder(restart), **keys)
    starting[0].join()
    return release


def rate_texts(
    server: RealServer, folder: Path, texts: Sequence[str], *, model: str = "m", key: str = "none"
) -> list[Answer]:
    """Ask the model for ratings of texts."""
    judge = connect_judge(f"openai:{model}", base_url=server.url, api_key=key, folder=folder)
    return judge([question(text, DIMENSIONS[0], seed) for seed, text in enumerate(texts)])
