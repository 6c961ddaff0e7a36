"""A language model as a judge of texts: the backends, the journal and the limits of generation, for questions.

question -> request -> journal, else gate and backend -> reply -> journal -> answer
"""

import asyncio
import sys
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from personagen.builder.core.errors import FolderError, RecipeError, RequestError
from personagen.builder.core.files import explain
from personagen.builder.llm import Engine, connect, start_engine
from personagen.builder.llm.dispatcher import all_of
from personagen.builder.llm.requests import Ask, Message, Request, Sampling
from personagen.builder.planning.sections import BackendChoice, Budgets
from personagen.metrics.human_likeness.judge import SAMPLES, Answer, Question
from personagen.metrics.texts.cache import cache_folder

MOST_TOKENS = 16
"""Of a drawn answer: a rating is one token, and some models say a word before it."""

TOP = 20
"""Tokens whose probabilities are asked for: the most that OpenAI tells."""

KINDS = ("embedded", "openai", "transformers")


@dataclass(frozen=True, slots=True)
class ModelJudge:
    """A judge behind a backend. Every reply is kept before it is used, so that no question is paid for twice.

    Attributes:
        name: the model, and where it runs.
        choice: the backend.
        journal: file of the replies.
        max_tokens: bound on the tokens of all replies in the journal; None for none.
        api_key: key of an endpoint; None takes OPENAI_API_KEY.

    """

    name: str
    choice: BackendChoice
    journal: Path
    max_tokens: int | None = None
    api_key: str | None = field(default=None, repr=False)

    def __call__(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer questions, in their order; a question that the model refuses has an answer with a problem.

        Raises:
            BackendError: the model cannot be loaded or reached.
            BudgetError: the bound would be exceeded; what was answered is kept.
            FolderError: the journal cannot be written.

        """
        return _run(self._answers(questions))

    async def _answers(self, questions: Sequence[Question]) -> list[Answer]:
        backend = connect(self.choice, None, self.api_key)
        limits = Budgets(max_tokens=self.max_tokens)
        async with start_engine(backend, self.journal, settings=self.choice, limits=limits) as engine:
            return await _ask_all(engine, questions)


def connect_judge(
    spec: str,
    *,
    base_url: str | None = None,
    api_key: str | None = None,
    folder: Path | None = None,
    max_tokens: int | None = None,
) -> ModelJudge:
    """Make a judge of a model; nothing is loaded or sent yet.

    Args:
        spec: "embedded", "openai:MODEL" or "transformers:MODEL".
        base_url: of the endpoint; None for that of the environment variable OPENAI_BASE_URL, or OpenAI's own.
        api_key: key of the endpoint; None takes OPENAI_API_KEY.
        folder: where replies are kept; None for the folder `judge` in PersonaGen's cache.
        max_tokens: bound on the tokens of all that was ever asked in that folder; None for none.

    Raises:
        RecipeError: the spec names no such backend.
        FolderError: the folder cannot be made.

    """
    kind, _, model = spec.partition(":")
    if kind not in KINDS or (kind == "embedded") == bool(model):
        raise RecipeError(f"judge is {spec!r:.80}, wanted embedded, openai:MODEL or transformers:MODEL")
    choice = BackendChoice.model_validate({"kind": kind, "model": model or None, "base_url": base_url})
    place = folder or cache_folder("judge")
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FolderError(f"cannot make {place}: {explain(error)}") from error
    return ModelJudge(spec, choice, place / "judge.sqlite", max_tokens, api_key)


def request_of(question: Question, *, samples: int = 0) -> Request:
    """Turn a question into a request: for probabilities of the first token, or for that many drawn answers."""
    return Request(
        messages=(Message("system", question.system), Message("user", question.user)),
        sampling=Sampling(max_tokens=MOST_TOKENS if samples else 1, temperature=1.0),
        seed=question.seed,
        candidates=samples or 1,
        top_logprobs=0 if samples else TOP,
    )


async def _ask_all(engine: Engine, questions: Sequence[Question]) -> list[Answer]:
    """Ask one question first: whether the model tells probabilities decides how all others are asked."""
    if not questions:
        return []
    first = await _answer(engine.ask(0), questions[0], samples=0)
    samples = 0 if first.logprobs else SAMPLES
    tasks = [
        asyncio.create_task(_answer(engine.ask(turn), question, samples=samples))
        for turn, question in enumerate(questions)
    ]
    return await _gathered(tasks)


async def _answer(ask: Ask, question: Question, *, samples: int) -> Answer:
    try:
        reply = await ask(request_of(question, samples=samples))
    except RequestError as error:
        return Answer(problem=str(error))
    if reply.problem is not None:
        return Answer(problem=reply.problem)
    texts = tuple(candidate.text for candidate in reply.candidates)
    return Answer(None if samples else reply.candidates[0].first_logprobs, texts)


async def _gathered(tasks: "Sequence[asyncio.Task[Answer]]") -> list[Answer]:
    """Wait for all answers, with a bar; the first failure ends the others."""
    from tqdm import tqdm

    with tqdm(total=len(tasks), unit="question", desc="judge", file=sys.stderr, disable=None) as bar:
        for task in tasks:
            task.add_done_callback(lambda _: bar.update())
        return await all_of(tasks)


def _run(work: "Coroutine[Any, Any, list[Answer]]") -> list[Answer]:
    """Run a coroutine; in a thread of its own where a loop is running already, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="personagen-judge") as pool:
        return pool.submit(asyncio.run, work).result()
