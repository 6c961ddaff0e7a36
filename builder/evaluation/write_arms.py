"""Write the texts of all arms and seeds of a comparison: one engine, one journal, every reply counted where it is used.

seeds x arms -> tasks -> the pipeline of a release -> texts, rejects, tokens
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, field, replace

from personagen.builder.cli.progress import Status
from personagen.builder.core.event_loop import gather_or_cancel
from personagen.builder.core.records import LAYERS, Reject, Row
from personagen.builder.evaluation.arms import ARMS, Setting, Task, Text
from personagen.builder.generate import HOPELESS, make_job
from personagen.builder.llm import Engine
from personagen.builder.llm.requests import Ask, Reply, Request, request_key
from personagen.builder.llm.verbalized_sampling import verbalized
from personagen.builder.planning.plan import make_plan
from personagen.builder.writing.label_check import LabelCheck
from personagen.builder.writing.pipeline import settle

VERBALIZED = ":verbalized"
"""What the name of an arm ends with where its texts are drawn by verbalized sampling."""


@dataclass(slots=True)
class Spent:
    """What the model was asked for one arm: equal requests count once, and a reply of the journal like a new one."""

    keys: set[str] = field(default_factory=set)
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Written:
    """One arm in one seed.

    Attributes:
        texts: what was accepted, or taken; in the order of the plan.
        rejects: replies that were refused.
        spent: what was asked.

    """

    texts: list[Text]
    rejects: list[Reject] = field(default_factory=list)
    spent: Spent = field(default_factory=Spent)

    def reasons(self) -> dict[str, int]:
        """Count the rejects by reason."""
        return dict(sorted(Counter(reject.reason for reject in self.rejects).items()))


async def write_arms(
    engine: Engine,
    settings: Sequence[Setting],
    arms: Sequence[str],
    progress: Callable[[Status], None],
    check: LabelCheck | None = None,
) -> list[dict[str, Written]]:
    """Write every arm for every seed; the seeds side by side, the arms of a seed one after the other.

    Args:
        engine: what answers.
        settings: one a seed; what is in `earlier` is ignored.
        arms: names, each after those that it uses.
        progress: called after every row.
        check: reads the label of every text that is written; None where nobody does.

    Raises:
        BackendError, BudgetError, FolderError: as in `generate`; what was paid for is kept.

    """
    wanted = sum(len(setting.rows) for setting in settings) * len(arms)
    state = _State(engine, wanted, progress, check)
    return await gather_or_cancel([asyncio.create_task(_write_seed(setting, arms, state)) for setting in settings])


@dataclass(slots=True)
class _State:
    """How far the writing is, over all seeds."""

    engine: Engine
    wanted: int
    progress: Callable[[Status], None]
    check: LabelCheck | None
    accepted: int = 0
    refused: int = 0

    def tell(self, accepted: int, refused: int) -> None:
        self.accepted += accepted
        self.refused += refused
        engine, budget = self.engine, self.engine.budget
        self.progress(
            Status(self.accepted, self.wanted, self.refused, engine.in_flight, budget.spent.tokens, budget.cost)
        )


async def _write_seed(setting: Setting, arms: Sequence[str], state: _State) -> dict[str, Written]:
    found: dict[str, Written] = {}
    for name in arms:
        earlier = {arm: {text.id: text for text in written.texts} for arm, written in found.items()}
        work = ARMS[name.removesuffix(VERBALIZED)](replace(setting, earlier=earlier))
        if isinstance(work, Task):
            found[name] = await _write(work, state, apart=name.endswith(VERBALIZED))
        else:
            found[name] = Written(work)
            state.tell(len(work), 0)
    return found


async def _write(task: Task, state: _State, *, apart: bool) -> Written:
    """Have the texts of one arm written by the stages of a release; a row that is given up is left out."""
    written, given_up = Written([]), 0
    job = replace(make_job(state.engine, make_plan(task.recipe), state.check), grounding=task.grounding)
    whole = job.ask

    def ask(turn: int) -> Ask:
        counted = _counted(whole(turn), written.spent, lambda request: request_key(state.engine.backend, request))
        return verbalized(counted) if apart else counted

    async with aclosing(settle(replace(job, ask=ask))) as rows:
        async for settled in rows:
            written.rejects.extend(settled.rejects)
            if settled.row is not None:
                written.texts.append(_text(settled.row))
            state.tell(settled.row is not None, len(settled.rejects))
            given_up += settled.row is None
            if given_up >= HOPELESS and not written.texts:
                break  # each costs all its attempts
    return written


def _counted(ask: Ask, spent: Spent, key_of: Callable[[Request], str]) -> Ask:
    async def asked(request: Request) -> Reply:
        reply = await ask(request)
        key = key_of(request)
        if key in spent.keys:
            return reply
        spent.keys.add(key)
        spent.prompt_tokens += reply.prompt_tokens
        spent.completion_tokens += reply.completion_tokens
        return reply

    return asked


def _text(row: Row) -> Text:
    persona = {layer: asdict(part) for layer in LAYERS if (part := getattr(row, layer)) is not None}
    return Text(row.id, row.text, row.label, row.persona_id, persona)
