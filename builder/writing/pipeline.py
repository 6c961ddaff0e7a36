"""From a plan to accepted rows, in the order of the plan, whatever the order in which replies arrive.

Each row is a task of its own that goes through its stages: persona layers, situation, expression. Tasks run ahead of
the row that is next in the plan by a bounded window. A row settles when all rows before it have: only then is it
compared with them for duplicates, so what is accepted depends on the replies alone and not on timing. Nothing here is
durable: a run that was cut off does all of it again, and the journal answers.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from personagen.builder.core.records import Provenance, Reject, Row, layers_of
from personagen.builder.llm.requests import Ask
from personagen.builder.planning.attribute_tables import persona_tables
from personagen.builder.planning.counterfactuals import counterfactual_persona
from personagen.builder.planning.event_dealing import event_of
from personagen.builder.planning.personas import Persona, draw_persona
from personagen.builder.planning.plan import Plan, RowPlan
from personagen.builder.planning.situations import Event, Scene, draw_scene
from personagen.builder.planning.taxonomy import Taxonomy
from personagen.builder.writing.attempts import Attempts, Draft, elaborate
from personagen.builder.writing.checks import TextRules
from personagen.builder.writing.duplicates import DuplicateIndex
from personagen.builder.writing.expression import (
    BARE,
    Checking,
    Grounding,
    Subject,
    Writing,
    beginnings,
    express,
    expression_request,
    lists,
)
from personagen.builder.writing.label_check import LabelCheck
from personagen.builder.writing.prompts import prompt_version
from personagen.metrics.texts.emotion_words import emotion_pattern

AHEAD = 2000
"""Rows that may be written but wait for an earlier one: how long a late reply holds nobody up, and what it may cost in
memory (some kilobytes a row)."""

SPARE = 256
"""Rows under way beyond the requests in flight at most, so that one is ready when a request comes back."""


@dataclass(frozen=True, slots=True)
class Job:
    """All that the rows of a run share.

    Attributes:
        plan: what to write.
        taxonomy: the emotions.
        ask: where the requests of a row go, by its turn: the lowest goes first.
        writing: how the backend's texts are asked for.
        model: name of the model, for the provenance.
        concurrency: requests in flight at most.
        grounding: what the prompt of a row shows beside its layers.
        check: reads the label of every text; None where nobody does.
        events: events that were dealt so far, by emotion and round.

    """

    plan: Plan
    taxonomy: Taxonomy
    ask: Callable[[int], Ask]
    writing: Writing
    model: str
    concurrency: int
    grounding: Callable[[RowPlan], Grounding] = lambda row: BARE
    check: LabelCheck | None = None
    events: dict[tuple[str, int], tuple[Event, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Settled:
    """A row of the plan that is done.

    Attributes:
        config: configuration that it belongs to.
        planned: its plan.
        row: None where the attempts were spent.
        rejects: replies that were refused on the way.

    """

    config: str
    planned: RowPlan
    row: Row | None
    rejects: tuple[Reject, ...]


async def settle(job: Job) -> AsyncGenerator[Settled, None]:
    """Yield every row of the plan, in order.

    Raises:
        BackendError: the model is gone; what it answered is in the journal.
        BudgetError: the budget is spent, likewise.

    """
    of = {
        row.counterfactual.original_id
        for splits in job.plan.counterfactuals.values()
        for rows in splits.values()
        for row in rows
        if row.counterfactual
    }
    with DuplicateIndex(job.plan.recipe.checks.near_duplicate) as index:
        window = _Window(job)
        attempts: dict[str, int] = {}
        try:
            window.fill()
            while window.rows:
                entry = window.rows[0]
                counterfactual = entry.planned.counterfactual is not None
                settled = await (
                    _settle_counterfactual(job, entry, attempts) if counterfactual else _settle_one(job, entry, index)
                )
                if settled.planned.id in of and settled.row is not None:
                    attempts[settled.planned.id] = settled.row.provenance.attempts - 1
                window.rows.popleft()
                window.fill()
                yield settled
                # Where many rows are done at once, replies that arrive meanwhile should not wait for all of them.
                await asyncio.sleep(0)
        finally:
            await window.cancel()


class _Window:
    """The rows from the one that settles next to the last one that was begun."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._planned = _planned(job.plan)
        self._under_way = 0
        self._most = job.concurrency + min(job.concurrency, SPARE)
        self.rows: deque[_Open] = deque()

    def fill(self) -> None:
        """Begin rows as long as there is room."""
        while self._under_way < self._most and len(self.rows) < self._most + AHEAD:
            entry = next(self._planned, None)
            if entry is None:
                return
            turn, config, row = entry
            task = asyncio.create_task(write_row(self._job, turn, row, 0))
            task.add_done_callback(self._done)
            self._under_way += 1
            self.rows.append(_Open(turn, config, row, task))

    def _done(self, task: "asyncio.Task[Written]") -> None:
        self._under_way -= 1
        if not task.cancelled():
            self.fill()

    async def cancel(self) -> None:
        """Give up what is under way."""
        self._planned = iter(())
        for left in self.rows:
            left.task.cancel()
        await asyncio.gather(*(left.task for left in self.rows), return_exceptions=True)


def _planned(plan: Plan) -> Iterator[tuple[int, str, RowPlan]]:
    turn = 0
    for shard in plan.shards():
        for row in plan.rows(shard):
            yield turn, shard.config, row
            turn += 1


@dataclass(frozen=True, slots=True)
class Written:
    """Outcome of a row's stages: the row, None where the attempts were spent, and what was refused."""

    row: Row | None
    rejects: tuple[Reject, ...]


@dataclass(frozen=True, slots=True)
class _Open:
    """A row of the window and the task that writes it."""

    turn: int
    config: str
    planned: RowPlan
    task: "asyncio.Task[Written]"


async def _settle_one(job: Job, entry: _Open, index: DuplicateIndex) -> Settled:
    """Wait for a row, and write it again as long as it repeats an earlier one."""
    written = await entry.task
    rejects = list(written.rejects)
    while (row := written.row) is not None and (earlier := index.add(row.id, row.text)) is not None:
        attempt = row.provenance.attempts - 1
        rejects.append(Reject(row.id, "expression", "duplicate", attempt, row.text, earlier))
        written = await write_row(job, entry.turn, entry.planned, attempt + 1)
        rejects.extend(written.rejects)
    return Settled(entry.config, entry.planned, row, tuple(rejects))


async def _settle_counterfactual(job: Job, entry: _Open, attempts: Mapping[str, int]) -> Settled:
    """Wait for a counterfactual, which may repeat the other row word for word.

    Where the other one was accepted at a later attempt, as after a repetition, so is the counterfactual, with the
    same seed.
    """
    written = await entry.task
    rejects = list(written.rejects)
    counterfactual = entry.planned.counterfactual
    first = attempts.get(counterfactual.original_id, 0) if counterfactual else 0
    if written.row is not None and written.row.provenance.attempts - 1 < first:
        written = await write_row(job, entry.turn, entry.planned, first)
        rejects.extend(written.rejects)
    return Settled(entry.config, entry.planned, written.row, tuple(rejects))


async def write_row(job: Job, turn: int, row: RowPlan, first_attempt: int) -> Written:
    """Take a row through its stages; `turn` is its place in the plan."""
    rejects: list[Reject] = []
    recipe = job.plan.recipe
    ask = job.ask(turn)
    subject = await make_subject(job, row, ask, rejects.append)
    if subject is None:
        return Written(None, tuple(rejects))
    emotion = job.taxonomy[row.emotion]
    rules = TextRules(
        min_words=recipe.text.min_words,
        max_words=recipe.text.max_words,
        language=recipe.text.language,
        leak_words=emotion_pattern(row.emotion),
        reject_leaks=recipe.checks.leak == "reject",
    )
    grounding = job.grounding(row)
    request = expression_request(job.writing, recipe, row, emotion, subject, grounding)
    of = row.counterfactual.original_id if row.counterfactual else row.id
    tries = replace(_tries(job, row.id, "expression", rejects.append, of), first=first_attempt)
    begun = job.writing.template == "continuation" and not lists(row, grounding)
    starts = beginnings(recipe.seed, row, emotion, subject.scene, grounding.opening) if begun else ()
    recheck = None if job.check is None else partial(job.check, emotion=row.emotion)
    draft = await express(request, emotion, ask=ask, tries=tries, checks=Checking(rules, recheck), beginnings=starts)
    return Written(None if draft is None else _row(job, row, subject, draft), tuple(rejects))


async def make_subject(job: Job, row: RowPlan, ask: Ask, reject: Callable[[Reject], None]) -> Subject | None:
    """Build the layers of a row up to its depth; None where the model's prose of one was refused to the last."""
    layers = layers_of(row.depth)
    if not layers:
        return Subject(None, None)
    own = draw_persona(persona_tables(), job.plan.design, row.persona)
    who = await make_persona(job, row, own, layers, ask, reject)
    if who is None or "situational" not in layers:
        return None if who is None else Subject(who, None)
    what = await make_scene(job, row, own, who, ask, reject)
    return None if what is None else Subject(who, what)


async def make_persona(
    job: Job, row: RowPlan, own: Persona, layers: Sequence[str], ask: Ask, reject: Callable[[Reject], None]
) -> Persona | None:
    """Build a persona: drawn from the tables, then told by the model where the recipe says so.

    Of a counterfactual one attribute is another; the model's prose of it has the seeds of the other persona.
    """
    who = own if row.counterfactual is None else counterfactual_persona(own, row.counterfactual)
    for layer in ("demographic", "sociocultural"):
        if layer not in layers or layer not in job.plan.recipe.elaborated():
            continue
        facts = {"demographic": who.demographic, "sociocultural": who.sociocultural}
        # What is told before the change is told of both.
        id_ = own.id if layer == "demographic" and who.demographic == own.demographic else who.id
        prose = await elaborate(layer, ask, _tries(job, id_, layer, reject, own.id), **facts)
        if prose is None:
            return None
        if layer == "demographic":
            who = replace(who, demographic=replace(who.demographic, prose=prose))
        else:
            who = replace(who, sociocultural=replace(who.sociocultural, prose=prose))
    return who


async def make_scene(
    job: Job, row: RowPlan, own: Persona, who: Persona, ask: Ask, reject: Callable[[Reject], None]
) -> Scene | None:
    """Build the situation of a row: drawn from the bank, then told by the model where the recipe says so.

    That of a counterfactual is drawn for the other row's persona (`own`), and told of the counterfactual (`who`).
    """
    emotion = job.taxonomy[row.emotion]
    event = event_of(job.plan, emotion, row, job.events)
    what = draw_scene(emotion, event, own, seed=job.plan.recipe.seed, turn=row.turn, number=row.situation)
    if "situational" not in job.plan.recipe.elaborated():
        return what
    facts = {"demographic": who.demographic, "sociocultural": who.sociocultural, "scene": what}
    id_ = what.id if row.counterfactual is None else f"{who.id}-s{row.situation}"
    prose = await elaborate("situational", ask, _tries(job, id_, "situational", reject, what.id), **facts)
    return None if prose is None else replace(what, situational=replace(what.situational, prose=prose))


def _tries(job: Job, id_: str, stage: str, reject: Callable[[Reject], None], of: str) -> Attempts:
    recipe = job.plan.recipe
    return Attempts(id_, of, stage, recipe.seed, 0, recipe.checks.attempts, reject)


def _row(job: Job, planned: RowPlan, subject: Subject, draft: Draft) -> Row:
    who, what, layers = subject.persona, subject.scene, layers_of(planned.depth)
    return Row(
        id=planned.id,
        text=draft.verdict.text,
        label=planned.emotion,
        depth=planned.depth,
        intensity=planned.intensity,
        demographic=who.demographic if who else None,
        sociocultural=who.sociocultural if who and "sociocultural" in layers else None,
        situational=what.situational if what else None,
        persona_id=who.id if who else None,
        situation_id=what.id if what else None,
        provenance=Provenance(
            job.model,
            prompt_version(),
            draft.seed,
            draft.attempt + 1,
            draft.verdict.leaked,
            draft.verdict.label,
            draft.verdict.confidence,
        ),
    )
