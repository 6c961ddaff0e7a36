"""Write the texts of all arms and seeds of a comparison by one engine and one journal.

    seeds x arms -> tasks -> the pipeline of a release -> texts, rejects, tokens

Requests are counted per arm that uses the reply, whether it is new or from the journal.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial

from personagen.builder.core.event_loop import gather_or_cancel
from personagen.builder.core.progress import Progress
from personagen.builder.core.records import LAYERS, Reject, Row, layers_of
from personagen.builder.evaluation.arms.conditions import ARMS, Arm, ArmSetting, ArmText, WritingTask
from personagen.builder.evaluation.arms.layers import SharedLayers
from personagen.builder.evaluation.arms.recipes import VERBALIZED, as_verbalized
from personagen.builder.llm import Engine
from personagen.builder.llm.requests import Ask, Reply, Request, request_key
from personagen.builder.planning.plan import make_plan
from personagen.builder.writing.invention.stage import invent_events
from personagen.builder.writing.label_check import LabelCheck
from personagen.builder.writing.pipeline import write_rows
from personagen.builder.writing.reporting import RunReport, reporting


@dataclass(slots=True)
class ArmUsage:
    """Requests of one arm in one seed, equal ones counted once, and the tokens of their replies."""

    keys: set[str] = field(default_factory=set)
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class WrittenArm:
    """Texts of one arm in one seed.

    Attributes:
        texts: accepted or drawn texts, in the order of the plan.
        rejects: rejected replies.
        usage: requests and tokens.

    """

    texts: list[ArmText]
    rejects: list[Reject] = field(default_factory=list)
    usage: ArmUsage = field(default_factory=ArmUsage)

    def reasons(self) -> dict[str, int]:
        """Count the rejects by reason."""
        return dict(sorted(Counter(reject.reason for reject in self.rejects).items()))


async def write_arms(
    engine: Engine,
    settings: Sequence[ArmSetting],
    arms: Sequence[str],
    progress: Progress,
    check: LabelCheck | None = None,
    conditions: Mapping[str, Arm] = ARMS,
) -> list[dict[str, WrittenArm]]:
    """Write every arm in every seed: seeds in parallel, the arms of a seed in turn.

    Args:
        engine: answers the requests.
        settings: one per seed; `earlier` is ignored.
        arms: names, each after those that it uses.
        progress: receiver of the counts, after every row.
        check: compares the label of every written text against a classifier; None: no check.
        conditions: conditions of the arms by name.

    Returns:
        Texts by arm, one mapping per seed.

    Raises:
        BackendError, BudgetError, FolderError: as in `generate`; replies so far are in the journal.

    """
    wanted = sum(len(setting.rows) for setting in settings) * len(arms)
    counts = _ArmCounts()
    async with reporting(engine, wanted, lambda: (counts.accepted, counts.rejected), progress) as report:
        run = _ArmsRun(engine, check, conditions, counts, report)
        return await gather_or_cancel([asyncio.create_task(_write_seed(setting, arms, run)) for setting in settings])


@dataclass(slots=True)
class _ArmCounts:
    """Accepted rows and rejects over all arms and seeds."""

    accepted: int = 0
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class _ArmsRun:
    """Objects that all arms and seeds share."""

    engine: Engine
    check: LabelCheck | None
    conditions: Mapping[str, Arm]
    counts: _ArmCounts
    report: RunReport
    layers: SharedLayers = field(default_factory=SharedLayers)


async def _write_seed(setting: ArmSetting, arms: Sequence[str], run: _ArmsRun) -> dict[str, WrittenArm]:
    written: dict[str, WrittenArm] = {}
    for name in arms:
        earlier = {arm: {text.id: text for text in part.texts} for arm, part in written.items()}
        work = run.conditions[name.removesuffix(VERBALIZED)](replace(setting, earlier=earlier))
        if isinstance(work, WritingTask):
            verbalized = replace(work, recipe=as_verbalized(work.recipe))
            written[name] = await _write(verbalized if name.endswith(VERBALIZED) else work, run)
        else:
            written[name] = WrittenArm(work)
            run.counts.accepted += len(work)
            run.report.report()
    return written


async def _write(task: WritingTask, run: _ArmsRun) -> WrittenArm:
    """Write one arm by the pipeline of a release; rows that are given up are left out."""
    arm, part = WrittenArm([]), object()

    def wrap_ask(ask: Ask) -> Ask:
        return _counted(ask, arm.usage, lambda request: request_key(run.engine.backend, request))

    plan = make_plan(task.recipe)
    if "situational" in layers_of(plan.deepest):
        inventions = await invent_events(
            plan, lambda priority: wrap_ask(run.engine.ask(priority)), paid=run.engine.is_paid
        )
        plan = inventions.plan
    writing = write_rows(
        run.engine,
        plan,
        label_check=run.check,
        grounding_of=task.grounding,
        wrap_ask=wrap_ask,
        on_written=partial(run.report.add_written, part=part),
    )
    async with aclosing(writing) as rows:
        async for finalized in rows:
            arm.rejects.extend(finalized.rejects)
            if finalized.row is not None:
                arm.texts.append(_text(finalized.row, run.layers))
            run.counts.accepted += finalized.row is not None
            run.counts.rejected += len(finalized.rejects)
            run.report.add_finalized(finalized, part)
    return arm


def _counted(ask: Ask, usage: ArmUsage, key_of: Callable[[Request], str]) -> Ask:
    async def counted(request: Request) -> Reply:
        reply = await ask(request)
        key = key_of(request)
        if key not in usage.keys:
            usage.keys.add(key)
            usage.prompt_tokens += reply.prompt_tokens
            usage.completion_tokens += reply.completion_tokens
        return reply

    return counted


def _text(row: Row, layers: SharedLayers) -> ArmText:
    parts = {layer: part for layer in LAYERS if (part := getattr(row, layer)) is not None}
    return ArmText(row.id, row.text, row.label, row.persona_id, layers.of(parts), row.provenance.real_texts)
