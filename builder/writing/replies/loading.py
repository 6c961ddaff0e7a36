"""Load what checks the languages of texts while the first requests are under way."""

import asyncio
import sys
from collections.abc import Callable
from tempfile import gettempdir
from types import TracebackType
from typing import Self

from personagen.builder.core.errors import FolderError
from personagen.builder.core.event_loop import compute_in_thread
from personagen.builder.llm.requests import Ask, Reply, Request
from personagen.builder.writing.checks import is_surely_in
from personagen.metrics.texts.language import load_identifier

LOADING_SWITCH_S = 0.001
"""Interpreter's switch interval while a thread loads. With the usual 5 ms, loading beside a busy event loop took 7 s
and not 1 s, since the identifier unpacks its model in a thousand steps."""


class LoadingAhead:
    """Loader of the language identifier, and of what else a run needs; an async context manager.

    It loads in a thread from the first request on. If it fails, no paid reply is lost: replies are journaled before.
    """

    def __init__(self, language: str | None, further: Callable[[], None]) -> None:
        """Set up the loader.

        Args:
            language: ISO 639-1 code of the language that texts must be in. None: any.
            further: loads something else.

        """
        self._language = language
        self._further = further
        self._task: asyncio.Task[None] | None = None

    def wrap(self, ask: Ask) -> Ask:
        """Return an `Ask` whose replies wait for the identifier unless their own words show their language."""

        async def ask_and_load(request: Request) -> Reply:
            if self._task is None:
                self._task = asyncio.create_task(compute_in_thread(lambda: _load(self._language, self._further)))
            reply = await ask(request)
            if not self._task.done() and not all(is_surely_in(text.text, self._language) for text in reply.candidates):
                await self.finish()
            return reply

        return ask_and_load

    async def finish(self) -> None:
        """Wait until all is loaded, and raise the error of a load that failed."""
        if self._task is not None:
            if not self._task.done():
                await asyncio.wait([self._task])
            self._task.result()

    async def __aenter__(self) -> Self:
        """Return the loader."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cancel a load that has not ended."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


def _load(language: str | None, further: Callable[[], None]) -> None:
    """Load something else and, for texts in a certain language, the identifier of languages.

    Raises:
        FolderError: the identifier cannot unpack its model into a temporary file.

    """
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(LOADING_SWITCH_S)
    try:
        if language is not None:
            load_identifier()
        further()
    except OSError as error:
        raise FolderError(
            f"cannot load the identifier of languages: {error.strerror or error}; free some space in {gettempdir()}"
        ) from error
    finally:
        sys.setswitchinterval(interval_s)
