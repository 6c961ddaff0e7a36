"""The flow, end to end: recipe -> plan -> rows in order -> shards -> manifest and card -> release."""

import asyncio
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from personagen.builder.core.errors import AllRejectedError, FolderError, GenerationError, PersonaGenError
from personagen.builder.core.file_names import CARD, MANIFEST
from personagen.builder.core.files import explain, write_text
from personagen.builder.core.progress import RunStatus as Status
from personagen.builder.core.records import Reject, layers_of
from personagen.builder.llm import Backend, Engine, connect, start_engine
from personagen.builder.llm.dispatcher import RetryTiming
from personagen.builder.planning.counterfactuals import add_counterfactuals
from personagen.builder.planning.plan import Plan, make_plan
from personagen.builder.planning.recipe import Recipe
from personagen.builder.release import shards
from personagen.builder.release.card import read_template, render_card
from personagen.builder.release.card_regions import merge_regions
from personagen.builder.release.columns import columns_of, layer_record, text_record
from personagen.builder.release.composition import Composition
from personagen.builder.release.manifest import RunCounts, make_manifest, same_release
from personagen.builder.release.run_folder import RunFolder, open_run
from personagen.builder.release.shards import Shards
from personagen.builder.writing.expression import writing_of
from personagen.builder.writing.label_check import LabelCheck, label_check
from personagen.builder.writing.pipeline import Job, Settled, settle
from personagen.metrics.texts.language import load_identifier

Progress = Callable[[Status], None]
"""Called after every settled row, and now and then in between."""

HOPELESS = 20
"""Rows given up before the first one is accepted, after which the run stops: each costs all its attempts."""

TICK = 0.5
"""Seconds between two looks at the run while no row settles."""


@dataclass(frozen=True, slots=True)
class Result:
    """What `generate` leaves.

    Attributes:
        folder: the release.
        manifest: its manifest.
        made: False where the release was complete already.

    """

    folder: Path
    manifest: Mapping[str, Any]
    made: bool


@dataclass(slots=True)
class Tally:
    """What has become of the rows so far."""

    accepted: int
    given_up: int
    leaked: int
    agreed: int
    rejects: Counter[tuple[str, str]]
    composition: Composition


def generate(
    recipe: Recipe,
    out: Path,
    *,
    progress: Progress,
    fresh: bool = False,
    reuse: bool = False,
    api_key: str | None = None,
) -> Result:
    """Make the release of a recipe, or go on with one that was cut off.

    Args:
        recipe: what to make.
        out: folder of the release.
        fresh: set an earlier run aside and begin anew.
        reuse: take over the journal of another recipe's run: what it answers is not asked again.
        progress: called with where the run is.
        api_key: see `connect`.

    Raises:
        FolderError: see `open_run`; or the disk is full.
        ReleaseError: the marks around what is hand-made in the card of the earlier release are not in order.
        BackendError: the model cannot be loaded or reached.
        BudgetError: the next request might exceed the budget.
        GenerationError: rows are missing when all attempts are spent.
        AllRejectedError: no reply was accepted.
        RecipeError: the emotion classifier cannot read an emotion of the recipe.

    """
    with open_run(out, recipe.fingerprint(), fresh=fresh, reuse=reuse) as run:
        known = same_release(run.out, recipe)
        if known is not None:
            return Result(run.out, known, made=False)
        run.keep_card()  # told before anything is paid for, if its notes cannot be kept
        _prepare(recipe)
        check = label_check(recipe)
        plan = add_counterfactuals(make_plan(recipe))
        backend = connect(recipe.backend, run.batches, api_key)
        return asyncio.run(generate_with(backend, plan, run, progress, check))


def _prepare(recipe: Recipe) -> None:
    """Load what is heavy before replies wait for it, the largest first: loading it takes more than keeping it."""
    read_template()  # a broken installation fails before anything is paid for
    if recipe.text.language is not None:
        load_identifier()
    shards.prepare()


async def generate_with(
    backend: Backend,
    plan: Plan,
    run: RunFolder,
    progress: Progress,
    check: LabelCheck | None = None,
    timing: RetryTiming | None = None,
) -> Result:
    """Make a release with a connected backend, which is closed at the end; see `generate` and `start_engine`."""
    recipe = plan.recipe
    async with start_engine(
        backend, run.journal, settings=recipe.backend, limits=recipe.budget, price=recipe.price(), timing=timing
    ) as engine:
        shutil.rmtree(run.staging, ignore_errors=True)
        sizes = plan.table_sizes()
        names = recipe.chosen_taxonomy().names
        with Shards(run.staging, sizes, recipe.shard_rows, lambda config: columns_of(config, names)) as files:
            tally = await _write_rows(make_job(engine, plan, check), run, files, Reporter(engine, plan, progress))
            if tally.given_up or not tally.accepted:
                raise _shortfall(recipe, tally, run)
            written = files.written()
        facts = None if check is None else {**check.facts(), "agreement": round(tally.agreed / tally.accepted, 4)}
        counts = RunCounts(tally.rejects, tally.leaked, tally.composition.counts(), facts)
        manifest = make_manifest(backend, plan, written, counts, engine.usage())
        run.keep_card()  # again: somebody may have written in it while the run went on
        write_text(run.staging / CARD, merge_regions(render_card(manifest), run.kept_card()))
        write_text(run.staging / MANIFEST, json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
    run.publish()
    return Result(run.out, manifest, made=True)


def make_job(engine: Engine, plan: Plan, check: LabelCheck | None = None) -> Job:
    """Tie a plan to an engine."""
    taxonomy, writing = plan.recipe.chosen_taxonomy(), writing_of(plan.recipe)
    return Job(plan, taxonomy, engine.ask, writing, engine.backend.model, engine.concurrency, check=check)


class Reporter:
    """Tells how far a run is: after every row, and by its own clock while none settles."""

    def __init__(self, engine: Engine, plan: Plan, progress: Progress) -> None:
        """Take what is to be told, and to whom."""
        self._engine = engine
        self._wanted = sum(shard.stop - shard.start for shard in plan.shards())
        self._progress = progress

    def tell(self, tally: Tally) -> None:
        """Tell it now."""
        budget = self._engine.budget
        self._progress(
            Status(
                accepted=tally.accepted,
                wanted=self._wanted,
                refused=tally.rejects.total(),
                in_flight=self._engine.in_flight,
                tokens=budget.spent.tokens,
                cost=budget.cost,
            )
        )

    async def keep_telling(self, tally: Tally) -> None:
        """Tell it again and again, until cancelled."""
        while True:
            self.tell(tally)
            await asyncio.sleep(TICK)


async def _write_rows(job: Job, run: RunFolder, files: Shards, reporter: Reporter) -> Tally:
    """Write texts and layers as the rows settle, and all rejects; stops early where nothing is accepted."""
    tally = Tally(0, 0, 0, 0, Counter(), Composition(job.plan.recipe.depth))
    ticker = asyncio.create_task(reporter.keep_telling(tally))
    tables = _Tables(job, files)
    seen: set[tuple[str, str, int]] = set()
    try:
        with run.rejects.open("w", encoding="utf-8", newline="\n") as rejects:
            async with aclosing(settle(job)) as rows:
                async for settled in rows:
                    for reject in _new(settled.rejects, seen):
                        tally.rejects[reject.stage, reject.reason] += 1
                        rejects.write(json.dumps(asdict(reject)) + "\n")
                    _count(settled, tally)
                    tables.add(settled)
                    reporter.tell(tally)
                    if tally.given_up >= HOPELESS and not tally.accepted:
                        break
    except OSError as error:
        raise FolderError(f"cannot write {run.rejects}: {explain(error)}") from error
    finally:
        ticker.cancel()
    return tally


class _Tables:
    """Deals the rows to the tables of a release: each text to its own, each layer to its table when it first comes."""

    def __init__(self, job: Job, files: Shards) -> None:
        self._files = files
        self._ids = {name: number for number, name in enumerate(job.taxonomy.names)}
        self._depth = job.plan.deepest
        self._layers = layers_of(self._depth)
        self._met = bytearray(sum(job.plan.personas.values()))

    def add(self, settled: Settled) -> None:
        row, planned = settled.row, settled.planned
        if row is None:
            return
        of = None if planned.counterfactual is None else planned.counterfactual.original_id
        self._files.add(settled.config, planned.split, text_record(row, self._ids, of))
        if not self._layers or planned.depth != self._depth or planned.counterfactual is not None:
            return
        for layer in self._layers:
            if layer == "situational" or not self._met[planned.persona]:
                self._files.add(layer, planned.split, layer_record(layer, row, self._ids))
        self._met[planned.persona] = 1


def _new(rejects: Iterable[Reject], seen: set[tuple[str, str, int]]) -> Iterator[Reject]:
    """Leave out the rejects of a persona's layers that came with an earlier row of the same persona."""
    for reject in rejects:
        if reject.stage == "expression":
            yield reject
        elif (key := (reject.id, reject.stage, reject.attempt)) not in seen:
            seen.add(key)
            yield reject


def _count(settled: Settled, tally: Tally) -> None:
    if settled.row is None:
        tally.given_up += 1
    else:
        tally.accepted += 1
        tally.leaked += settled.row.provenance.leaked
        tally.agreed += settled.row.provenance.checker_label == settled.row.label
        if settled.planned.counterfactual is None:
            tally.composition.add(settled.row)


def _shortfall(recipe: Recipe, tally: Tally, run: RunFolder) -> PersonaGenError:
    reasons = ", ".join(f"{stage} {reason} {count}" for (stage, reason), count in tally.rejects.most_common())
    where = f"see {run.rejects}"
    if not tally.accepted:
        return AllRejectedError(
            f"no text was accepted: {tally.rejects.total()} replies were refused ({reasons}); {where}, then try "
            "another model or loosen the checks of the recipe"
        )
    return GenerationError(
        f"{tally.accepted} texts were accepted, {tally.given_up} rows were given up after {recipe.checks.attempts} "
        f"attempts each ({reasons}); {where}, then raise checks.attempts or loosen the checks: "
        "what was accepted is kept and not paid for again"
    )
