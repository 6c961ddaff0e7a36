"""Compare ways of conditioning a model on personas, on the user's own model, emotions and real texts.

    recipe + reference -> arms x seeds -> texts -> measures -> paired differences -> verdicts -> a folder

The folder holds the results (see `comparison.py`) and, in `run`, the state that a second call continues from: the
journal and the measures of every block.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personagen.builder.core.errors import GenerationError
from personagen.builder.core.event_loop import Runner, run_blocking
from personagen.builder.core.file_names import BEST_RECIPE, JOURNAL, RESULTS, RESUME, arm_recipe_path
from personagen.builder.core.files import rounded
from personagen.builder.core.flow_thread import run_in_thread
from personagen.builder.core.prices import Amount
from personagen.builder.core.progress import SILENT, Progress
from personagen.builder.core.result_table import ResultTable
from personagen.builder.evaluation.arms import (
    ArmSetting,
    ReferenceParts,
    TreatmentDelivery,
    WrittenArm,
    arm_recipe,
    best_arm,
    deliveries,
    ordered_arms,
    part_recipes,
    plan_arms,
    read_parts,
    recipe_text,
    require_memory,
    require_real_texts,
    write_arms,
)
from personagen.builder.evaluation.arms.delivery import NOT_DELIVERED
from personagen.builder.evaluation.claims import JudgedClaim, judge_claims
from personagen.builder.evaluation.comparison import (
    ArmCost,
    ArmFigure,
    ComparedReject,
    ComparedText,
    ComparisonFacts,
    ComparisonResults,
    ratings_of,
    round_records,
    save_comparison,
)
from personagen.builder.evaluation.comparison_tables import comparison_markdown
from personagen.builder.evaluation.judges import ModelJudge, connect_judges, rate_arms
from personagen.builder.evaluation.measure_arms import digest_of, measure_arms
from personagen.builder.llm import Backend, Engine, connect, start_engine
from personagen.builder.llm.storage.opening import JournalFile
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.recipe.recipe_files import resolve_source
from personagen.builder.release.measuring import require_metrics_extra
from personagen.builder.release.run.locking import locked, require_own_folder
from personagen.builder.release.run.space import journal_bytes, require_space
from personagen.builder.writing.label_check import LabelCheck
from personagen.builder.writing.prompts import prompt_version, templates_of

if TYPE_CHECKING:
    from personagen.metrics.emotion_classifiers import LinearClassifier
    from personagen.metrics.statistics.paired import Blocks

UTILITY = "tstr_macro_f1"
"""Measure of the best arm: macro-F1 on real texts of a classifier trained on the arm's texts."""

PREDICTED_TEXTS = 10_000
"""Texts whose vectors are in memory while their emotions are predicted."""

Written = Sequence[Mapping[str, WrittenArm]]
"""Texts by arm, one mapping per seed."""


@dataclass(frozen=True, slots=True)
class ComparisonSettings:
    """Settings of a comparison.

    Attributes:
        reference: real texts with labels; see `EvaluationSettings`.
        rows: texts per arm, over all seeds.
        seeds: parts of every arm that are written independently, each with its own personas and draws.
        arms: names of the arms; None: all.
        embeddings: name of a sentence-transformers model; None: the default model.
        judges: see `EvaluationSettings`.
        judge_url: see `EvaluationSettings`.
        judge_max_tokens: see `EvaluationSettings`.
        accept_lost_replies: whether replies that a journal has lost may be paid for again.
        command: how to repeat the comparison, recorded in the results; None: recorded as unknown.

    """

    reference: str = "goemotions"
    rows: int = 210
    seeds: int = 3
    arms: tuple[str, ...] | None = None
    embeddings: str | None = None
    judges: tuple[str, ...] = ()
    judge_url: str | None = None
    judge_max_tokens: int | None = None
    command: str | None = None
    accept_lost_replies: bool = False


@dataclass(frozen=True, slots=True)
class MeasuredArms:
    """Figures of all arms.

    Attributes:
        blocks: values of blocks by arm and measure.
        classifier: emotion classifier that the figures come from.
        treatments: whether the arms show their treatments.

    """

    blocks: Mapping[str, Mapping[str, "Blocks"]]
    classifier: "LinearClassifier"
    treatments: Sequence[TreatmentDelivery]


def compare(
    recipe: Recipe,
    settings: ComparisonSettings,
    out: str | Path,
    *,
    progress: Progress = SILENT,
    api_key: str | None = None,
) -> ComparisonResults:
    """Write and measure every arm, judge the claims, and save the results in a folder.

    A second call with the same arguments continues an interrupted one: it sends no request that the journal answers.

    Args:
        recipe: model, emotions, personas, situations, prompts, checks, budget and the first seed; its rows, depth,
            splits and grounding are not used.
        settings: what to compare.
        out: folder of the comparison.
        progress: receiver of counts, steps and warnings.
        api_key: key of the model's endpoint and the judges'; None: environment variable OPENAI_API_KEY.

    Raises:
        RecipeError: the settings do not fit the recipe or the reference.
        FolderError: `out` holds other files, is in use, or cannot be written.
        BackendError, BudgetError, GenerationError: see `generate`.

    """
    return _compare(recipe, settings, Path(out), api_key, progress, run_blocking)


async def acompare(
    recipe: Recipe,
    settings: ComparisonSettings,
    out: str | Path,
    *,
    progress: Progress = SILENT,
    api_key: str | None = None,
) -> ComparisonResults:
    """Run `compare` beside other work of the event loop: measures in a thread, calls of models in this loop."""
    return await run_in_thread(partial(_compare, recipe, settings, Path(out), api_key), progress)


def _compare(
    recipe: Recipe,
    settings: ComparisonSettings,
    out: Path,
    api_key: str | None,
    progress: Progress,
    run: Runner,
) -> ComparisonResults:
    require_metrics_extra()
    choice = recipe.single_backend("compare")
    arms = ordered_arms(settings.arms, styled=recipe.mixture() is not None)
    require_memory(len(arms), settings.rows)
    recipes = part_recipes(recipe, settings.rows, settings.seeds)
    quota = {emotion: max(part.quota()[emotion] for part in recipes) for emotion in recipes[0].quota()}
    judges = connect_judges(
        settings.judges,
        progress,
        run,
        base_url=settings.judge_url,
        api_key=api_key,
        max_tokens=settings.judge_max_tokens,
        accept_lost_replies=settings.accept_lost_replies,
    )
    require_own_folder(out, "a comparison")
    with locked(out / RESUME) as guard:
        require_space(out, journal_bytes(recipe, len(arms) * settings.rows, out / RESUME / JOURNAL))
        parts = read_parts(settings.reference, settings.embeddings, quota)
        source = resolve_source(settings.reference, Path.cwd())
        arm_settings = [plan_arms(part, parts.pool, source) for part in recipes]
        require_real_texts(arms, recipes, source)
        check = _label_check(recipe, parts)
        backend = connect(choice, out / RESUME / "batches", api_key, warn=progress.warn)
        journal = JournalFile(
            out / RESUME / JOURNAL, settings.accept_lost_replies, progress.warn, guard.require_in_place
        )
        running = start_engine(backend, journal, settings=choice, limits=recipe.budget, price=recipe.price())
        written = run(_write(running, arm_settings, arms, progress, check))
        measured = _measure(written, arm_settings, parts, out / RESUME / "figures", progress)
        human_likeness = _rate(written, parts, judges, recipe.seed, progress)
        facts = _facts(recipe, settings, backend, parts, measured.classifier)
        comparison = _results(facts, recipe, written, measured, human_likeness)
        progress.step(f"writing {RESULTS} and the texts")
        files = _recipe_files(comparison, recipes[0], source)
        save_comparison(comparison, out, comparison_markdown(comparison), files)
        return comparison


def _label_check(recipe: Recipe, parts: ReferenceParts) -> LabelCheck | None:
    """Train the classifier of the recipe's label check on the pool, since the one that measures must be independent."""
    if recipe.checks.label is None:
        return None
    from personagen.metrics.emotion_classifiers import train_linear
    from personagen.metrics.texts.embeddings import encoder

    classifier = train_linear(parts.pool, parts.test, parts.name, encoder(parts.pool.model))
    return LabelCheck(classifier, reject=recipe.checks.label == "reject")


async def _write(
    running: AbstractAsyncContextManager[Engine],
    settings: Sequence[ArmSetting],
    arms: Sequence[str],
    progress: Progress,
    check: LabelCheck | None,
) -> list[dict[str, WrittenArm]]:
    async with running as engine:
        return await write_arms(engine, settings, arms, progress, check)


def _measure(
    written: Written, settings: Sequence[ArmSetting], parts: ReferenceParts, folder: Path, progress: Progress
) -> MeasuredArms:
    _require_texts(written, settings)
    texts = [{name: arm.texts for name, arm in seed.items()} for seed in written]
    rows = [setting.rows for setting in settings]
    blocks, classifier = measure_arms(texts, rows, parts, folder, progress)
    return MeasuredArms(blocks, classifier, deliveries(written, rows, blocks))


def _require_texts(written: Written, settings: Sequence[ArmSetting]) -> None:
    """Raise GenerationError if an arm has fewer than four texts of two emotions in a seed and a wording."""
    for number, (seed, setting) in enumerate(zip(written, settings, strict=True)):
        wordings = {row.id: row.wording for row in setting.rows}
        for (name, arm), wording in product(seed.items(), sorted(set(wordings.values()), key=str)):
            texts = [text for text in arm.texts if wordings[text.id] == wording]
            if len({text.label for text in texts}) < 2 or len(texts) < 4:
                reasons = ", ".join(f"{reason} {count}" for reason, count in arm.reasons().items())
                place = f"seed {number}" if wording is None else f"seed {number} and wording {wording}"
                raise GenerationError(
                    f"arm {name} has {len(texts)} texts in {place}, wanted 4 or more of two emotions: the "
                    f"rest was rejected ({reasons}); try another model, loosen the checks, or leave the arm out with "
                    "--arms"
                )


def _facts(
    recipe: Recipe,
    settings: ComparisonSettings,
    backend: Backend,
    parts: ReferenceParts,
    classifier: "LinearClassifier",
) -> ComparisonFacts:
    return ComparisonFacts(
        command=settings.command,
        recipe=recipe.fingerprint(),
        model={"backend": backend.name, "name": backend.model, "revision": backend.revision},
        prompts=prompt_version(templates_of(recipe), styled=recipe.mixture() is not None),
        reference={"name": parts.name, "digest": digest_of(parts), **parts.sizes()},
        embeddings=parts.held.model,
        rows=settings.rows,
        seeds=settings.seeds,
        emotions=tuple(recipe.quota()),
        classifier=rounded(asdict(classifier.facts)),
        wordings=recipe.wordings(),
    )


def _rate(
    written: Written, parts: ReferenceParts, judges: Sequence[ModelJudge], seed: int, progress: Progress
) -> Mapping[str, Mapping[str, Any]] | None:
    """Have every arm rated among the same real texts; None: there is no judge."""
    if not judges:
        return None
    texts = {name: [text.text for seed in written for text in seed[name].texts] for name in written[0]}
    return rate_arms(texts, parts.held.texts, judges, seed, progress)


def _results(
    facts: ComparisonFacts,
    recipe: Recipe,
    written: Written,
    measured: MeasuredArms,
    human_likeness: Mapping[str, Mapping[str, Any]] | None,
) -> ComparisonResults:
    """Build the tables; floats have six significant digits."""
    human_likeness = rounded(human_likeness)
    rejects = [
        ComparedReject(name, number, **asdict(reject))
        for number, seed in enumerate(written)
        for name, arm in seed.items()
        for reject in arm.rejects
    ]
    arms = round_records(ArmCost, (_cost(name, facts.rows, written, recipe) for name in written[0]))
    return ComparisonResults(
        facts=facts,
        arms=arms,
        figures=round_records(ArmFigure, _figures(measured.blocks)),
        claims=round_records(JudgedClaim, judge_claims(measured.blocks, measured.treatments)),
        ratings=ratings_of(human_likeness),
        texts=ResultTable(ComparedText, tuple(_texts(written, measured.classifier))),
        rejects=ResultTable(ComparedReject, tuple(rejects)),
        human_likeness=human_likeness,
        treatments=round_records(TreatmentDelivery, list(measured.treatments)),
        best=_best(measured, arms),
    )


def _best(measured: MeasuredArms, arms: ResultTable[ArmCost]) -> str | None:
    utility = {name: blocks[UTILITY] for name, blocks in measured.blocks.items() if UTILITY in blocks}
    return best_arm(
        {name: float(rounded(float(values.wholes.mean()))) for name, values in utility.items()},
        {cost.arm: cost.tokens_per_text for cost in arms},
        {part.arm for part in measured.treatments if part.outcome == NOT_DELIVERED},
    )


def _recipe_files(comparison: ComparisonResults, part: Recipe, source: str) -> dict[str, str]:
    """Return the recipes of the arms and of the best one by their paths in the folder."""
    files = {}
    for cost in comparison.arms:
        recipe = arm_recipe(cost.arm, part, source)
        if recipe is None:
            continue
        header = [
            f"Recipe of the arm {cost.arm!r}: `personagen generate` writes its texts in seed 0 of the comparison.",
            "rows, name and license may be changed; other rows are other texts.",
        ]
        files[arm_recipe_path(cost.arm)] = recipe_text(recipe, header)
        if cost.arm == comparison.best:
            why = f"It has the highest {UTILITY} of all arms that have a recipe and show their treatment."
            files[BEST_RECIPE] = recipe_text(recipe, [why, *header])
    return files


def _cost(name: str, rows: int, written: Written, recipe: Recipe) -> ArmCost:
    arms = [seed[name] for seed in written]
    count = sum(len(arm.texts) for arm in arms)
    amount = Amount(sum(arm.usage.prompt_tokens for arm in arms), sum(arm.usage.completion_tokens for arm in arms))
    price = recipe.price()
    reasons = Counter(reject.reason for arm in arms for reject in arm.rejects)
    return ArmCost(
        arm=name,
        texts=count,
        missing=rows - count,
        requests=sum(len(arm.usage.keys) for arm in arms),
        prompt_tokens=amount.prompt,
        completion_tokens=amount.completion,
        tokens_per_text=amount.tokens / count,
        cost_per_text=None if price is None else price.of(amount) / count,
        rejects_per_text=reasons.total() / count,
        rejects=dict(sorted(reasons.items())),
    )


def _figures(blocks: Mapping[str, Mapping[str, "Blocks"]]) -> Iterator[ArmFigure]:
    from personagen.metrics.statistics.paired import estimate

    for arm, measures in blocks.items():
        for measure, values in measures.items():
            mean = estimate(values)
            yield ArmFigure(arm, measure, mean.value, mean.low, mean.high, tuple(values.wholes.tolist()))


def _texts(written: Written, classifier: "LinearClassifier") -> Iterator[ComparedText]:
    for name in written[0]:
        texts = [(number, text) for number, seed in enumerate(written) for text in seed[name].texts]
        for start in range(0, len(texts), PREDICTED_TEXTS):
            part = texts[start : start + PREDICTED_TEXTS]
            predictions = classifier.predict([text.text for _, text in part])
            for (number, text), prediction in zip(part, predictions, strict=True):
                yield ComparedText(
                    name,
                    number,
                    text.id,
                    text.text,
                    text.label,
                    prediction.label,
                    round(prediction.confidence, 4),
                    text.persona_id,
                    text.persona,
                )
