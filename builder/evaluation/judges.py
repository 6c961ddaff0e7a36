"""Language models as judges of texts, by the backends, the journal and the limits of generation.

question -> request -> journal, else backend -> reply -> journal -> answer
"""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from personagen.builder.core.errors import BackendError, FolderError, PersonaGenError, RecipeError, RequestError
from personagen.builder.core.event_loop import Runner, gather_or_cancel, run_blocking
from personagen.builder.core.files import explain, make_folder
from personagen.builder.core.progress import SILENT, Progress
from personagen.builder.llm import Engine, connect, start_engine
from personagen.builder.llm.requests import Ask, Message, Request, Sampling
from personagen.builder.llm.storage.opening import JournalFile
from personagen.builder.llm.trial import Trial, Trials
from personagen.builder.planning.recipe.sections import BackendChoice, Budgets
from personagen.builder.planning.suggestions import explain_refusal
from personagen.builder.release.run.space import require_floor
from personagen.metrics.human_likeness.judge import SAMPLES, Answer, Judge, Question, rate
from personagen.metrics.texts.cache import cache_folder

MAX_ANSWER_TOKENS = 16
"""Upper bound on the tokens of a sampled answer: a rating is one token, and some models write a word before it."""

TOP_LOGPROBS = 20
"""Tokens whose probabilities are requested: the maximum of OpenAI's API."""

KINDS = ("embedded", "openai", "transformers")
"""Backends that can judge."""

JUDGE_OPTIONS = {"--base-url": "--judge-url", "--max-tokens or --max-cost": "--judge-max-tokens"}
"""Options that errors of a backend and its budget name: option of a judge instead."""


@dataclass(frozen=True, slots=True)
class ModelJudge:
    """A model that rates texts. Replies are journaled before they are used, and requested once.

    Attributes:
        name: kind of the backend and model: "openai:MODEL".
        choice: settings of the backend.
        journal: file of the replies.
        max_tokens: upper bound on the tokens of all replies in the journal; None: no limit.
        api_key: key of an endpoint; None: environment variable OPENAI_API_KEY.
        progress: receiver of the number of answered questions.
        run: runs the calls to the model.
        accept_lost_replies: whether replies that the journal has lost may be paid for again.

    """

    name: str
    choice: BackendChoice
    journal: Path
    max_tokens: int | None = None
    api_key: str | None = field(default=None, repr=False)
    progress: Progress = field(default=SILENT, repr=False)
    run: Runner = field(default=run_blocking, repr=False)
    accept_lost_replies: bool = False

    def __call__(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer questions, in their order; a question that the model refuses gets an answer with a problem.

        Raises:
            BackendError: the model cannot be loaded or reached.
            BudgetError: the next question might exceed `max_tokens`; answers so far are in the journal.
            FolderError: the journal cannot be written.

        """
        return self.run(self._answers(questions))

    def _file(self) -> JournalFile:
        """Return the journal with its options; a cache that was deleted as a whole was given up."""
        accept = self.accept_lost_replies or not self.journal.exists()
        return JournalFile(self.journal, accept, self.progress.warn, partial(require_floor, self.journal.parent))

    async def _answers(self, questions: Sequence[Question]) -> list[Answer]:
        backend = connect(self.choice, None, self.api_key, warn=self.progress.warn)
        limits = Budgets(max_tokens=self.max_tokens)
        try:
            async with start_engine(backend, self._file(), settings=self.choice, limits=limits) as engine:
                return await _ask_all(engine, questions, self.progress)
        except PersonaGenError as error:
            error.args = (with_judge_options(str(error)),)
            raise


def with_judge_options(message: str) -> str:
    """Replace the options that an error of a backend names by those of a judge."""
    for option, judge_option in JUDGE_OPTIONS.items():
        message = message.replace(option, judge_option)
    return message


def connect_judge(
    spec: str,
    *,
    base_url: str | None = None,
    api_key: str | None = None,
    folder: Path | None = None,
    max_tokens: int | None = None,
    accept_lost_replies: bool = False,
) -> ModelJudge:
    """Build a judge from the name of a model; nothing is loaded or sent yet.

    Args:
        spec: "embedded", "openai:MODEL" or "transformers:MODEL".
        base_url: endpoint; None: environment variable OPENAI_BASE_URL, or OpenAI's own.
        api_key: key of the endpoint; None: environment variable OPENAI_API_KEY.
        folder: folder of the journal; None: the folder `judge` in PersonaGen's cache.
        max_tokens: upper bound on the tokens of all replies in that journal; None: no limit.
        accept_lost_replies: see `ModelJudge`.

    Raises:
        RecipeError: the spec names no such backend, or the endpoint is no URL.
        FolderError: the folder cannot be created.

    """
    kind, _, model = spec.partition(":")
    if kind not in KINDS or (kind == "embedded") == bool(model):
        raise RecipeError(f"judge is {spec!r:.80}, wanted embedded, openai:MODEL or transformers:MODEL")
    try:
        choice = BackendChoice.model_validate({"kind": kind, "model": model or None, "base_url": base_url})
    except ValidationError as error:
        line = explain_refusal(error, BackendChoice).replace("base_url", "judge_url")
        raise RecipeError(f"judge {spec:.80}: {line}") from None
    folder = folder or cache_folder("judge")
    try:
        make_folder(folder)
    except OSError as error:
        raise FolderError(f"cannot make {folder}: {explain(error)}") from error
    journal = folder / "judge.sqlite"
    return ModelJudge(spec, choice, journal, max_tokens, api_key, accept_lost_replies=accept_lost_replies)


def connect_judges(specs: Sequence[str], progress: Progress, run: Runner, **options: Any) -> list[ModelJudge]:
    """Build a judge for each name that reports to `progress` and is run by `run`; for `options` see `connect_judge`."""
    return [replace(connect_judge(spec, **options), progress=progress, run=run) for spec in specs]


def rate_arms(
    texts: Mapping[str, Sequence[str]],
    real: Sequence[str],
    judges: Sequence[Judge],
    seed: int,
    progress: Progress,
) -> dict[str, dict[str, Any]]:
    """Rate the texts of several arms, each among the same real texts.

    Returns:
        By arm the result of the metric human-likeness; of an arm that cannot be rated, the reason under "problem".

    """
    from personagen.metrics.human_likeness import human_likeness

    results: dict[str, dict[str, Any]] = {}
    for arm, texts_of_arm in texts.items():
        progress.step(f"rating the human-likeness of {arm}")
        try:
            results[arm] = human_likeness(texts_of_arm, real, judges, seed=seed)
        except (ValueError, PersonaGenError) as error:
            results[arm] = {"problem": str(error)}
    return results


def request_of(question: Question, *, samples: int = 0) -> Request:
    """Return the request of a question: for probabilities of the first token, or for `samples` sampled answers."""
    return Request(
        messages=(Message("system", question.system), Message("user", question.user)),
        sampling=Sampling(max_tokens=MAX_ANSWER_TOKENS if samples else 1, temperature=1.0),
        seed=question.seed,
        candidates=samples or 1,
        top_logprobs=0 if samples else TOP_LOGPROBS,
    )


async def _ask_all(engine: Engine, questions: Sequence[Question], progress: Progress) -> list[Answer]:
    """Answer all questions; whether the first reply has probabilities decides how the others are requested.

    Raises:
        BackendError: a dozen questions were answered, and no answer has a rating.

    """
    if not questions:
        return []
    trial = Trials(paid=engine.backend.paid).of_stage("rating")
    first = await _answer(engine.ask(0), questions[0], trial, samples=0)
    samples = 0 if first.logprobs else SAMPLES
    answered = 0

    async def counted(work: Coroutine[Any, Any, Answer]) -> Answer:
        nonlocal answered
        answer = await work
        answered += 1
        progress.advance(answered, len(questions))
        return answer

    work = [
        _answer(engine.ask(priority), question, trial, samples=samples) for priority, question in enumerate(questions)
    ]
    return await gather_or_cancel([asyncio.create_task(counted(part)) for part in work])


async def _answer(ask: Ask, question: Question, trial: Trial, *, samples: int) -> Answer:
    if not await trial.begin():
        raise BackendError(f"no answer of the judge has a rating: {trial.reasons.total()} were useless; {trial.last}")
    try:
        answer = await _answer_once(ask, question, samples=samples)
    except BaseException:
        trial.cancel()
        raise
    if answer.problem is not None:
        trial.end("request", answer.problem)
    elif rate(answer).score is None:
        trial.end("no rating", "".join(answer.texts)[:80], unfit=True)
    else:
        trial.end(None)
    return answer


async def _answer_once(ask: Ask, question: Question, *, samples: int) -> Answer:
    try:
        reply = await ask(request_of(question, samples=samples))
    except RequestError as error:
        return Answer(problem=str(error))
    usable = [candidate for candidate in reply.candidates if candidate.problem is None]
    problem = reply.problem or next((candidate.problem for candidate in reply.candidates), None)
    if not usable:
        return Answer(problem=problem or "the reply is empty")
    texts = tuple(candidate.text for candidate in usable)
    return Answer(None if samples else usable[0].first_logprobs, texts)
