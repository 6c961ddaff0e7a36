"""Find the recipe whose texts teach a classifier most about the real texts of a reference.

    reference -> pool and test part -> profile and recipe -> arms -> scores on the pool -> best arm -> test part

A second call with the same arguments continues an interrupted one: it sends no request that the journal answers.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from personagen.builder.core.errors import BackendError, GenerationError, raise_as
from personagen.builder.core.event_loop import Runner, run_blocking
from personagen.builder.core.file_names import JOURNAL, MATCH_PROFILE, MATCH_RECIPE, RESUME
from personagen.builder.core.files import rounded
from personagen.builder.core.flow_thread import run_in_thread
from personagen.builder.core.progress import SILENT, Progress
from personagen.builder.core.result_table import ResultTable
from personagen.builder.evaluation.arms import WrittenArm, write_arms
from personagen.builder.evaluation.comparison import round_records
from personagen.builder.evaluation.matching.candidates import CandidateArm, candidate_arms, conditions_of
from personagen.builder.evaluation.matching.conclusions import choice_lines, warning_lines, worth_lines
from personagen.builder.evaluation.matching.match_results import (
    MatchedArm,
    MatchFacts,
    MatchResults,
    Yardstick,
    save_match,
)
from personagen.builder.evaluation.matching.preparation import (
    MIN_LABEL_ROWS,
    MatchSettings,
    PreparedMatch,
    prepare_match,
    warn_of_choices,
    write_recipe,
)
from personagen.builder.evaluation.matching.selection import ArmTexts, PoolScore, is_better, pool_scores
from personagen.builder.evaluation.matching.usable_texts import load_usable_texts, require_rows
from personagen.builder.evaluation.matching.yardsticks import SYNTHETIC, score_trained, train_all
from personagen.builder.llm import Engine, connect, start_engine
from personagen.builder.llm.storage.opening import JournalFile
from personagen.builder.planning.recipe import Recipe
from personagen.builder.release.measuring import require_metrics_extra
from personagen.builder.release.run.locking import locked, require_own_folder
from personagen.builder.release.run.space import journal_bytes, require_space
from personagen.builder.writing.prompts import prompt_version, templates_of

MIN_ARM_TEXTS = 8
"""Texts from which on an arm is scored."""


def match(
    recipe: Recipe,
    settings: MatchSettings,
    out: str | Path,
    *,
    progress: Progress = SILENT,
    api_key: str | None = None,
) -> MatchResults:
    """Measure real texts, write small arms, choose the best, and compare it with real training texts.

    Args:
        recipe: model, taxonomy, emotions, depth, checks, budget and seed; the labels of the reference decide on the
            emotions and quotas.
        settings: what to match.
        out: folder of the results.
        progress: receiver of counts, steps and warnings.
        api_key: key of the model's endpoint; None: environment variable OPENAI_API_KEY.

    Raises:
        RecipeError: the reference cannot be used, or the settings do not fit it.
        FolderError: `out` holds other files or the match of another reference, is in use, or cannot be written.
        BackendError, BudgetError: see `generate`.
        GenerationError: no arm has enough texts.

    """
    return _match(recipe, settings, Path(out), api_key, progress, run_blocking)


async def amatch(
    recipe: Recipe,
    settings: MatchSettings,
    out: str | Path,
    *,
    progress: Progress = SILENT,
    api_key: str | None = None,
) -> MatchResults:
    """Run `match` beside other work of the event loop: measures in a thread, calls of models in this loop."""
    return await run_in_thread(partial(_match, recipe, settings, Path(out), api_key), progress)


def _match(
    recipe: Recipe, settings: MatchSettings, out: Path, api_key: str | None, progress: Progress, run: Runner
) -> MatchResults:
    require_metrics_extra()
    recipe.single_backend("match")
    require_own_folder(out, "a match")
    progress.step(f"measuring {settings.reference}")
    texts = load_usable_texts(settings.reference, recipe)
    require_rows(settings.rows, len(texts.counts()), MIN_LABEL_ROWS)
    with locked(out / RESUME, [out / name for name in (MATCH_PROFILE, MATCH_RECIPE)]) as guard:
        journal = JournalFile(
            out / RESUME / JOURNAL, settings.accept_lost_replies, progress.warn, guard.require_in_place
        )
        instructs = not recipe.is_embedded
        most = candidate_arms(is_labelled=texts.is_labelled, examples=True, instructs=instructs)
        require_space(out, journal_bytes(recipe, (len(most) + 1) * settings.rows, out / RESUME / JOURNAL))
        prepared = prepare_match(recipe, settings, out, texts)
        warn_of_choices(prepared, progress)
        write = partial(_write, prepared, journal, api_key, progress, run)
        arms = candidate_arms(
            is_labelled=texts.is_labelled,
            examples=prepared.shows_examples,
            instructs=instructs,
        )
        written, model = write(arms)
        scores = _scores(prepared, written, progress)
        bare = _best([arm for arm in arms if arm.has_recipe], scores, prepared).without_persona()
        arms.append(bare)
        written |= write([bare])[0]
        scores |= _scores(prepared, {bare.name: written[bare.name]}, progress)
        return _finish(prepared, arms, written, scores, model, progress)


def _write(
    prepared: PreparedMatch,
    journal: JournalFile,
    api_key: str | None,
    progress: Progress,
    run: Runner,
    arms: Sequence[CandidateArm],
) -> tuple[dict[str, WrittenArm], dict[str, Any]]:
    """Write arms by one engine, and return them with the model; replies of the journal are not requested again."""
    matched, folder = prepared.matched, prepared.out / RESUME
    conditions = conditions_of(arms, matched, prepared.folds)
    choice = matched.single_backend("match")
    backend = connect(choice, folder / "batches", api_key, warn=progress.warn)
    starting = start_engine(backend, journal, settings=choice, limits=matched.budget, price=matched.price())

    async def write(running: AbstractAsyncContextManager[Engine]) -> dict[str, WrittenArm]:
        async with running as engine:
            written = await write_arms(engine, [prepared.rows], list(conditions), progress, conditions=conditions)
            return written[0]

    model = {"backend": backend.name, "name": backend.model, "revision": backend.revision}
    return run(write(starting)), model


def _scores(prepared: PreparedMatch, written: Mapping[str, WrittenArm], progress: Progress) -> dict[str, PoolScore]:
    """Score the arms that have enough texts."""
    import numpy as np

    scored = {name: arm for name, arm in written.items() if _reason(prepared, arm) is None}
    progress.step(f"scoring {len(scored)} arms on {len(prepared.parts.pool)} real texts")
    arms = {}
    for name, arm in scored.items():
        folds = np.array([prepared.folds.fold(text.id) for text in arm.texts], dtype=np.intp)
        arms[name] = ArmTexts(_encoded(prepared, arm), folds)
    return pool_scores(arms, prepared.parts, prepared.matched.seed)


def _encoded(prepared: PreparedMatch, arm: WrittenArm) -> Any:
    from personagen.metrics.texts.corpus import read_corpus

    with raise_as(GenerationError):
        labels = [text.label for text in arm.texts] if prepared.is_labelled else None
        return read_corpus([text.text for text in arm.texts], labels, prepared.parts.pool.model)


def _reason(prepared: PreparedMatch, arm: WrittenArm) -> str | None:
    """Return why an arm cannot be scored; None: it can."""
    labels = len({text.label for text in arm.texts})
    if len(arm.texts) >= MIN_ARM_TEXTS and (labels > 1 or not prepared.is_labelled):
        return None
    rejects = ", ".join(f"{reason} {count}" for reason, count in arm.reasons().items()) or "none"
    return f"{len(arm.texts)} texts of {labels} labels, wanted {MIN_ARM_TEXTS} of two (rejected: {rejects})"


def _best(arms: Sequence[CandidateArm], scores: Mapping[str, PoolScore], prepared: PreparedMatch) -> CandidateArm:
    """Return the arm with the best score, the first of equal ones. Raises GenerationError if no arm has a score."""
    scored = [arm for arm in arms if arm.name in scores]
    if not scored:
        raise GenerationError(
            "no arm has enough texts to be scored; try another model, or loosen the checks of the recipe"
        )
    best = scored[0]
    for arm in scored[1:]:
        best = arm if is_better(scores[arm.name], scores[best.name], is_labelled=prepared.is_labelled) else best
    return best


def _finish(
    prepared: PreparedMatch,
    arms: Sequence[CandidateArm],
    written: Mapping[str, WrittenArm],
    scores: Mapping[str, PoolScore],
    model: Mapping[str, Any],
    progress: Progress,
) -> MatchResults:
    """Choose the best arm, measure it on the test part, and save the results and its recipe."""
    labelled = prepared.is_labelled
    best = _best([arm for arm in arms if arm.has_recipe], scores, prepared)
    top = _best(arms, scores, prepared)
    lines = list(choice_lines(best.name, scores, None if top.has_recipe else top.name, is_labelled=labelled))
    progress.step(f"comparing {best.name} with real texts on the test part")
    arm = _encoded(prepared, written[best.name])
    measure = _tested if labelled else _distances
    yardsticks, test, warnings, more = measure(prepared, best.name, arm)
    result = MatchResults(
        folder=prepared.out.absolute(),
        facts=_facts(prepared, model),
        arms=round_records(MatchedArm, [_arm(prepared, one, written[one.name], scores) for one in arms]),
        best=best.name,
        yardsticks=yardsticks,
        test=rounded(test),
        conclusions=[*warnings, *lines, *more],
    )
    progress.step("writing the recipe and the results")
    write_recipe(prepared, best)
    save_match(result)
    return result


class _Tested(NamedTuple):
    """Result on the test part, and what is said of it: `warnings` before all other conclusions, `lines` after them."""

    yardsticks: ResultTable[Yardstick]
    test: dict[str, Any]
    warnings: list[str]
    lines: list[str]


def _tested(prepared: PreparedMatch, name: str, arm: Any) -> _Tested:
    """Score the best arm and all yardsticks on the test part."""
    from personagen.metrics.utility.floor import read_plain

    with raise_as(BackendError):
        plain = read_plain(prepared.parts.classes, prepared.parts.pool.model)
    trained, missing = train_all(arm, plain, prepared.parts, prepared.rows, prepared.matched.seed)
    scores, worth = score_trained(trained, prepared.parts, prepared.matched.seed)
    records = [
        Yardstick(
            kind,
            one.rows,
            one.value,
            *_ends(one.interval),
            one.difference,
            *_ends(one.difference_interval),
        )
        for kind, one in scores.items()
    ]
    records += [Yardstick(kind, None, None, reason=reason) for kind, reason in missing.items()]
    test = {"worth": {**asdict(worth), "words": worth.words()}}
    warnings, lines = list(warning_lines(name, scores)), list(worth_lines(name, scores, worth, missing))
    return _Tested(round_records(Yardstick, records), test, warnings, lines)


def _ends(interval: Sequence[float] | None) -> tuple[float | None, float | None]:
    return (None, None) if interval is None else (interval[0], interval[1])


def _distances(prepared: PreparedMatch, name: str, arm: Any) -> _Tested:
    """Compare the best arm of a reference without labels with the test part by MMD^2, beside the pool."""
    from personagen.metrics.realism.mmd import bandwidth, mmd2

    parts = prepared.parts
    width = bandwidth(parts.test.vectors, prepared.matched.seed)
    values = {
        kind: mmd2(one.vectors, parts.test.vectors, width) for kind, one in ((SYNTHETIC, arm), ("real", parts.pool))
    }
    reason = "the reference has no labels, so that no classifier can be trained or tested"
    test = {"worth": None, "reason": reason, "distance": values}
    line = (
        f"Distance from the test part (MMD²): {values[SYNTHETIC]:.4f} of the texts of {name}, {values['real']:.4f} of "
        f"the other real texts. What the texts are worth for training is not known: {reason}."
    )
    return _Tested(ResultTable(Yardstick, ()), test, [], [line])


def _facts(prepared: PreparedMatch, model: Mapping[str, Any]) -> MatchFacts:
    settings, texts, parts, matched = prepared.settings, prepared.texts, prepared.parts, prepared.matched
    return MatchFacts(
        command=settings.command,
        recipe=matched.fingerprint(),
        model=model,
        prompts=prompt_version(templates_of(matched), styled=True),
        reference={
            "name": texts.name,
            "digest": parts.digest(),
            "pool": len(parts.pool),
            "test": len(parts.test),
            "test_split": "of the reference" if parts.has_own_test else "drawn",
            "labels": texts.counts(),
            "mapped": dict(texts.mapped),
            "left_out": {**texts.left_out, "near test part": parts.near_test},
        },
        embeddings=parts.pool.model,
        rows=settings.rows,
        seed=matched.seed,
        labelled=texts.is_labelled,
        examples=prepared.shows_examples and texts.is_labelled,
    )


def _arm(
    prepared: PreparedMatch, arm: CandidateArm, written: WrittenArm, scores: Mapping[str, PoolScore]
) -> MatchedArm:
    score = scores.get(arm.name)
    low, high = _ends(score.interval if score else None)
    return MatchedArm(
        arm=arm.name,
        about=arm.about,
        texts=len(written.texts),
        missing=len(prepared.rows.rows) - len(written.texts),
        requests=len(written.usage.keys),
        tokens=written.usage.prompt_tokens + written.usage.completion_tokens,
        score=score.value if score else None,
        low=low,
        high=high,
        rejects=written.reasons(),
        reason=_reason(prepared, written),
    )
