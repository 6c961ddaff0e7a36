"""The experiment of the paper, on the user's own model, emotions and real texts: does conditioning on personas help?

    recipe + reference -> arms x seeds -> texts -> measures -> paired differences -> verdicts -> a folder

The folder holds what was found (results.json), the same as tables (results.md), the texts
of every arm, what was refused, and, in `run`, what must not be lost: the journal and the figures of every block.
"""

import asyncio
import json
import shlex
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personagen.builder.cli.progress import Status
from personagen.builder.core.errors import FolderError, GenerationError, PersonaGenError, RecipeError
from personagen.builder.core.file_names import (
    ARM_TEXTS,
    JOURNAL,
    LOCK,
    REJECTS,
    RESULTS,
    TABLES,
    arm_texts_path,
)
from personagen.builder.core.files import explain, redact_path, write_text
from personagen.builder.core.prices import Amount
from personagen.builder.evaluation.arms import ARMS, USES, Setting
from personagen.builder.evaluation.claims import judged
from personagen.builder.evaluation.comparison_tables import results_lines
from personagen.builder.evaluation.judges import connect_judge
from personagen.builder.evaluation.measure_arms import digest_of, measure_arms
from personagen.builder.evaluation.reference_parts import RealTexts, real_texts
from personagen.builder.evaluation.write_arms import VERBALIZED, Written, write_arms
from personagen.builder.llm import Backend, Engine, connect, start_engine
from personagen.builder.planning.plan import make_plan, split_quota
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.sections import Splits
from personagen.builder.planning.suggestions import did_you_mean
from personagen.builder.release.measuring import require_metrics_extra
from personagen.builder.release.run_folder import locked
from personagen.builder.version import __version__
from personagen.builder.writing.label_check import LabelCheck
from personagen.builder.writing.prompts import prompt_version

if TYPE_CHECKING:
    from personagen.metrics.emotion_classifiers.linear import Probe
    from personagen.metrics.human_likeness.judge import Judge
    from personagen.metrics.statistics.paired import Blocks

FORMAT = "personagen-comparison/1"
RUN = "run"
ROWS, SEEDS = 210, 3


@dataclass(frozen=True, slots=True)
class Options:
    """What to compare.

    Attributes:
        reference: real texts with labels; see `evaluate.Options`.
        rows: texts of every arm, all seeds together.
        seeds: parts of an arm that are written apart, each with personas and draws of its own.
        arms: names; None for all.
        embeddings: name of a sentence-transformers model; None for the default one.
        judges: see `evaluate.Options`; the same for `base_url`.
        base_url: endpoint of the judges.

    """

    reference: str = "goemotions"
    rows: int = ROWS
    seeds: int = SEEDS
    arms: tuple[str, ...] | None = None
    embeddings: str | None = None
    judges: tuple[str, ...] = ()
    base_url: str | None = None

    def command(self) -> str:
        """Write the command that compares so, less the recipe, without paths of this machine."""
        words = ["personagen", "compare", "--reference", redact_path(self.reference), "--rows", str(self.rows)]
        words += ["--seeds", str(self.seeds)]
        words += ["--arms", ",".join(self.arms)] if self.arms else []
        words += ["--embeddings", self.embeddings] if self.embeddings else []
        judges = [word for judge in self.judges for word in ("--judge", judge)]
        return shlex.join([*words, *(judges or ["--no-judge"])])


def compare(
    recipe: Recipe,
    options: Options,
    out: Path,
    *,
    progress: Callable[[Status], None],
    tell: Callable[[str], None],
    api_key: str | None = None,
) -> dict[str, Any]:
    """Write and measure every arm, judge the claims, and return `results.json`; the same call asks nothing twice.

    Args:
        recipe: model, emotions, checks, budget and the first seed; its rows, depth and splits are not used.
        options: what to compare.
        out: folder of the comparison.
        progress: called with where the writing is.
        tell: called with a line for each further step.
        api_key: see `connect`.

    Raises:
        RecipeError: the options do not go with the recipe or the reference.
        FolderError: `out` holds something else, is in use, or cannot be written.
        BackendError, BudgetError, GenerationError: see `generate`.

    """
    require_metrics_extra("plotly")
    arms = chosen_arms(options.arms)
    recipes = [part_recipe(recipe, options, number) for number in range(options.seeds)]
    most = {emotion: max(part.quota()[emotion] for part in recipes) for emotion in recipes[0].quota()}
    judges = [connect_judge(spec, base_url=options.base_url, api_key=api_key) for spec in options.judges]
    _see_folder(out)
    with locked(out / RUN):
        real = real_texts(options.reference, options.embeddings, most)
        settings = [_setting(part, real) for part in recipes]
        check = _check(recipe, real)
        backend = connect(recipe.backend, out / RUN / "batches", api_key)
        write = partial(write_arms, settings=settings, arms=arms, progress=progress, check=check)
        written = asyncio.run(_written(recipe, backend, out / RUN / JOURNAL, write))
        blocks, classifier = _measured(written, settings, real, out / RUN / "figures", tell)
        results: dict[str, Any] = _head(recipe, options, backend, real) | {
            "classifier": asdict(classifier.facts),
            "arms": {arm: _facts(arm, written, blocks[arm], recipe, options) for arm in arms},
            "claims": judged(blocks),
            "human_likeness": _human_likeness(written, real, judges, recipe.seed, tell),
        }
        _write(out, results := rounded(results), written, classifier)
        return results


def _head(recipe: Recipe, options: Options, backend: Backend, real: RealTexts) -> dict[str, Any]:
    """Tell what was compared, with what, against what."""
    return {
        "format": FORMAT,
        "personagen": __version__,
        "command": options.command(),
        "recipe": recipe.fingerprint(),
        "model": {"backend": backend.name, "name": backend.model, "revision": backend.revision},
        "prompts": prompt_version(),
        "reference": {"name": real.name, "digest": digest_of(real), **real.sizes()},
        "embeddings": real.held.model,
        "rows": options.rows,
        "seeds": options.seeds,
        "emotions": list(recipe.quota()),
    }


def chosen_arms(names: Sequence[str] | None) -> list[str]:
    """Put the names of arms in order, with those that they use.

    Raises:
        RecipeError: one is unknown, or no model writes an arm that is to be sampled.

    """
    wanted: set[str] = set()
    for name in names or ARMS:
        plain = name.removesuffix(VERBALIZED)
        if plain not in ARMS:
            raise RecipeError(f"unknown arm {name!r:.60}{did_you_mean(plain, ARMS)}; known: {', '.join(ARMS)}")
        if plain != name and plain in ("retrieval", "real"):
            raise RecipeError(f"arm {name!r} has nothing to sample: no model writes it; leave {VERBALIZED!r} out")
        wanted |= {name, *USES.get(plain, ())}
    return [name + end for name in ARMS for end in ("", VERBALIZED) if name + end in wanted]


def part_recipe(recipe: Recipe, options: Options, number: int) -> Recipe:
    """Make the recipe of one seed: the full method, its share of the rows, no splits.

    Raises:
        RecipeError: there are fewer than two rows an emotion.

    """
    names = recipe.chosen_taxonomy().names
    rows = options.rows // options.seeds + (number < options.rows % options.seeds)
    shares = {name: count / recipe.rows for name, count in recipe.quota().items()}
    quotas = split_quota(rows, shares) if recipe.quotas else None
    if rows < 2 * len(names) or min((quotas or {"": 2}).values()) < 2:
        raise RecipeError(
            f"--rows {options.rows} over {options.seeds} seeds gives {rows} texts a seed for {len(names)} emotions, "
            "wanted two or more of each; raise --rows, lower --seeds or name fewer --emotions"
        )
    return recipe.model_copy(
        update={
            "seed": recipe.seed + number,
            "rows": rows,
            "quotas": quotas,
            "depth": "situational",
            "ablations": (),
            "counterfactual": None,
            "splits": Splits(train=1, validation=0, test=0),
        }
    )


def _setting(part: Recipe, real: RealTexts) -> Setting:
    plan = make_plan(part)
    return Setting(part, real.pool, [row for shard in plan.shards() for row in plan.rows(shard)], {})


def _check(recipe: Recipe, real: RealTexts) -> LabelCheck | None:
    """Train the gate's classifier on the pool, where the recipe has a gate: the one that measures must be another."""
    if recipe.checks.label is None:
        return None
    from personagen.metrics.emotion_classifiers.linear import train_probe
    from personagen.metrics.texts.embeddings import encoder

    classifier = train_probe(real.pool, real.test, real.name, encoder(real.pool.model))
    return LabelCheck(classifier, reject=recipe.checks.label == "reject")


async def _written(
    recipe: Recipe, backend: Backend, journal: Path, write: Callable[[Engine], Awaitable[list[dict[str, Written]]]]
) -> list[dict[str, Written]]:
    running = start_engine(backend, journal, settings=recipe.backend, limits=recipe.budget, price=recipe.price())
    async with running as engine:
        return await write(engine)


def _measured(
    written: Sequence[Mapping[str, Written]],
    settings: Sequence[Setting],
    real: RealTexts,
    folder: Path,
    tell: Callable[[str], None],
) -> tuple[dict[str, dict[str, "Blocks"]], "Probe"]:
    _see_texts(written)
    texts = [{arm: each.texts for arm, each in part.items()} for part in written]
    rows = [[row.id for row in setting.rows] for setting in settings]
    return measure_arms(texts, rows, real, folder, tell)


def _see_texts(written: Sequence[Mapping[str, Written]]) -> None:
    """Refuse to measure an arm of which a seed has not two texts of two emotions."""
    for seed, part in enumerate(written):
        for arm, each in part.items():
            if len({text.label for text in each.texts}) < 2 or len(each.texts) < 4:
                reasons = ", ".join(f"{name} {count}" for name, count in each.reasons().items())
                raise GenerationError(
                    f"arm {arm} has {len(each.texts)} texts in seed {seed}, wanted 4 or more of two emotions: the rest "
                    f"was refused ({reasons}); try another model, loosen the checks, or leave the arm out with --arms"
                )


def _facts(
    arm: str,
    written: Sequence[Mapping[str, Written]],
    blocks: Mapping[str, "Blocks"],
    recipe: Recipe,
    options: Options,
) -> dict[str, Any]:
    """Tell what an arm took and what it got."""
    from personagen.metrics.statistics.paired import estimate

    parts = [part[arm] for part in written]
    count = sum(len(part.texts) for part in parts)
    amount = Amount(
        sum(part.spent.prompt_tokens for part in parts), sum(part.spent.completion_tokens for part in parts)
    )
    price = recipe.price()
    reasons = Counter(reject.reason for part in parts for reject in part.rejects)
    figures = {}
    for name, each in blocks.items():
        found = estimate(each)
        figures[name] = {"value": found.value, "low": found.low, "high": found.high, "blocks": each.wholes.tolist()}
    return {
        "texts": count,
        "missing": options.rows - count,
        "requests": sum(len(part.spent.keys) for part in parts),
        "prompt_tokens": amount.prompt,
        "completion_tokens": amount.completion,
        "tokens_per_text": amount.tokens / count,
        "cost_per_text": None if price is None else price.of(amount) / count,
        "rejects": dict(sorted(reasons.items())),
        "rejects_per_text": reasons.total() / count,
        "figures": figures,
    }


def _human_likeness(
    written: Sequence[Mapping[str, Written]],
    real: RealTexts,
    judges: Sequence["Judge"],
    seed: int,
    tell: Callable[[str], None],
) -> dict[str, Any] | None:
    """Have every arm judged among the same real texts; None without a judge."""
    if not judges:
        return None
    from personagen.metrics.human_likeness import human_likeness

    found: dict[str, Any] = {}
    for arm in written[0]:
        tell(f"human-likeness of {arm}")
        texts = [text.text for part in written for text in part[arm].texts]
        try:
            found[arm] = human_likeness(texts, real.held.texts, judges, seed=seed)
        except (ValueError, PersonaGenError) as error:
            found[arm] = {"problem": str(error)}
    return found


def rounded(value: Any) -> Any:
    """Round numbers to six digits that count: what lies beyond differs between processors."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, Mapping):
        return {key: rounded(each) for key, each in value.items()}
    return [rounded(each) for each in value] if isinstance(value, list | tuple) else value


def _write(
    out: Path, results: Mapping[str, Any], written: Sequence[Mapping[str, Written]], classifier: "Probe"
) -> None:
    """Write texts and rejects first, and what was found last."""
    try:
        (out / ARM_TEXTS).mkdir(exist_ok=True)
    except OSError as error:
        raise FolderError(f"cannot make {out / ARM_TEXTS}: {explain(error)}") from error
    for arm in results["arms"]:
        texts = [(seed, text) for seed, part in enumerate(written) for text in part[arm].texts]
        read = classifier.read([text.text for _, text in texts])
        lines = [
            {"seed": seed, **asdict(text), "prediction": made.label, "confidence": round(made.confidence, 4)}
            for (seed, text), made in zip(texts, read, strict=True)
        ]
        told = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        write_text(out / arm_texts_path(arm), told)
    refused = [
        json.dumps({"arm": arm, "seed": seed, **asdict(reject)}, ensure_ascii=False) + "\n"
        for seed, part in enumerate(written)
        for arm, each in part.items()
        for reject in each.rejects
    ]
    write_text(out / REJECTS, "".join(refused))
    write_text(out / TABLES, "\n".join(results_lines(results)) + "\n")
    write_text(out / RESULTS, json.dumps(results, indent=1, ensure_ascii=False) + "\n")


def _see_folder(out: Path) -> None:
    """Refuse a folder that holds something else than a comparison."""
    try:
        foreign = out.exists() and any(out.iterdir()) and not (out / RUN / LOCK).exists()
    except OSError as error:
        raise FolderError(f"cannot read {out}: {explain(error)}") from error
    if foreign:
        raise FolderError(f"{out} holds something else than a comparison; choose another folder with --out")
