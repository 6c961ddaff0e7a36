"""The flow, end to end: recipe -> plan -> rows in order -> shards -> manifest and card -> release."""

import asyncio
import json
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from personagen.builder.card import render_card
from personagen.builder.connect import connect
from personagen.builder.errors import AllRejectedError, FolderError, GenerationError, PersonaGenError
from personagen.builder.expression import writing_of
from personagen.builder.journal import Journal, journalled
from personagen.builder.llm import Backend
from personagen.builder.manifest import make_manifest, same_release
from personagen.builder.pipeline import Job, Settled, make_persona, make_scene, settle
from personagen.builder.plan import Plan, make_plan
from personagen.builder.recipe import Recipe
from personagen.builder.release import (
    Record,
    Written,
    explain,
    features_of,
    layer_shards,
    text_record,
    write_shard,
    write_text,
)
from personagen.builder.run_folder import RunFolder, open_run
from personagen.builder.schema import DEPTHS, LAYERS, SPLITS, Reject, layers_of

Progress = Callable[[int, int], None]
"""Called after every settled row with the rows accepted and the replies refused so far."""

HOPELESS = 20
"""Rows given up before the first one is accepted, after which the run stops: each costs all its attempts."""


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
    rejects: Counter[tuple[str, str]]


def generate(recipe: Recipe, out: Path, *, fresh: bool, progress: Progress) -> Result:
    """Make the release of a recipe, or go on with one that was cut off.

    Args:
        recipe: what to make.
        out: folder of the release.
        fresh: set an earlier run aside and begin anew.
        progress: called after every row.

    Raises:
        FolderError: see `open_run`; or the disk is full.
        BackendError: the model cannot be loaded or reached.
        GenerationError: rows are missing when all attempts are spent.
        AllRejectedError: no reply was accepted.

    """
    plan = make_plan(recipe)
    with open_run(out, recipe.fingerprint(), fresh=fresh) as run:
        known = same_release(run.out, recipe)
        if known is not None:
            return Result(run.out, known, made=False)
        backend = connect(recipe.backend, run.batches)
        return asyncio.run(generate_with(backend, plan, run, progress))


async def generate_with(backend: Backend, plan: Plan, run: RunFolder, progress: Progress) -> Result:
    """Make a release with a backend that is at hand; see `generate`. Closes the backend."""
    journal = Journal(run.journal)
    try:
        job = make_job(backend, plan, journal)
        shutil.rmtree(run.staging, ignore_errors=True)
        shards, tally = await _write_texts(job, run, progress)
        if tally.given_up or not tally.accepted:
            raise _shortfall(plan.recipe, tally, run)
        shards += [shard async for shard in _write_layers(job, run.staging)]
        manifest = make_manifest(backend, plan, shards, tally.rejects, tally.leaked, journal.usage())
        write_text(run.staging / "README.md", render_card(manifest))
        write_text(run.staging / "manifest.json", json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
    finally:
        await journal.drain()
        journal.close()
        await backend.close()
    run.publish()
    return Result(run.out, manifest, made=True)


def make_job(backend: Backend, plan: Plan, journal: Journal) -> Job:
    """Tie a plan to a backend and a journal."""
    concurrency = plan.recipe.backend.concurrency or backend.concurrency
    ask = journalled(backend, journal, asyncio.Semaphore(concurrency))
    return Job(plan, plan.recipe.chosen_taxonomy(), ask, writing_of(plan.recipe), backend.model, concurrency)


async def _write_texts(job: Job, run: RunFolder, progress: Progress) -> tuple[list[Written], Tally]:
    """Write the text shards as their rows settle, and all rejects; stops early where nothing is accepted."""
    tally = Tally(0, 0, 0, Counter())
    shards: list[Written] = []
    records: list[Record] = []
    progress(0, 0)
    seen: set[tuple[str, str, int]] = set()
    try:
        with run.rejects.open("w", encoding="utf-8", newline="\n") as rejects:
            async with aclosing(settle(job)) as rows:
                async for settled in rows:
                    for reject in _new(settled.rejects, seen):
                        tally.rejects[reject.stage, reject.reason] += 1
                        rejects.write(json.dumps(asdict(reject)) + "\n")
                    _count(settled, tally)
                    if settled.row is not None:
                        records.append(text_record(settled.row))
                    if settled.last and records:
                        features = features_of(settled.shard.config, LAYERS, job.taxonomy.names)
                        shards.append(write_shard(run.staging, settled.shard.path, records, features))
                        records = []
                    progress(tally.accepted, tally.rejects.total())
                    if tally.given_up >= HOPELESS and not tally.accepted:
                        break
    except OSError as error:
        raise FolderError(f"cannot write {run.rejects}: {explain(error)}") from error
    return shards, tally


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


async def _write_layers(job: Job, folder: Path) -> AsyncIterator[Written]:
    """Write the tables of personas and situations that the texts were conditioned on; the journal knows all prose."""
    recipe = job.plan.recipe
    depth = max((recipe.depth, *recipe.ablations), key=DEPTHS.index)
    for layer in layers_of(depth):
        records = _situations(job) if layer == "situational" else _personas(job, layer, layers_of(depth))
        counts = job.plan.personas
        if layer == "situational":
            counts = {split: sum(quota[split] for quota in job.plan.quotas.values()) for split in SPLITS}
        features = features_of(layer, LAYERS, job.taxonomy.names)
        for path, size in layer_shards(layer, counts, recipe.shard_rows):
            batch = [await anext(records) for _ in range(size)]
            yield write_shard(folder, path, batch, features)


async def _personas(job: Job, layer: str, layers: Sequence[str]) -> AsyncIterator[Record]:
    for number in range(sum(job.plan.personas.values())):
        who = await make_persona(job, number, layers, _ignore)
        assert who is not None, "its rows were accepted, so its layers were"
        yield {"persona_id": who.id, **asdict(who.demographic if layer == "demographic" else who.sociocultural)}


async def _situations(job: Job) -> AsyncIterator[Record]:
    shards = [shard for shard in job.plan.shards() if shard.emotion is not None]
    for split in SPLITS:
        for row in (row for shard in shards if shard.split == split for row in job.plan.rows(shard)):
            who = await make_persona(job, row.persona, LAYERS, _ignore)
            what = None if who is None else await make_scene(job, row, who, _ignore)
            assert who is not None and what is not None, "its row was accepted, so its layers were"
            yield {"situation_id": what.id, "persona_id": who.id, "label": row.emotion, **asdict(what.situational)}


def _ignore(_: Reject) -> None:
    """Drop a reject that was counted when its row was written."""
