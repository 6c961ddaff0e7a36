"""Measure a release against a corpus of real texts, and add the scores to the release.

    texts of the release + reference -> diversity, realism, human-likeness, utility
                         + all bundled real slices -> utility beside plain sentences and real texts
    + their personas -> what the texts show of them
    -> scores.json -> card -> manifest

Each metric is added to the release as it ends, so that an interrupt keeps the finished ones. Slow intermediate results
are cached between calls: vectors by the hash of the text, replies of judges in their journal.
"""

import hashlib
import json
import re
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personagen.builder.core.errors import BackendError, PersonaGenError, ReleaseError, raise_as
from personagen.builder.core.event_loop import Runner, run_blocking
from personagen.builder.core.file_names import SCORES
from personagen.builder.core.flow_thread import run_in_thread
from personagen.builder.core.progress import SILENT, Progress
from personagen.builder.evaluation.judges import connect_judges
from personagen.builder.evaluation.samples.draws import SAMPLE, measured_sample, sample_sentence
from personagen.builder.evaluation.samples.encoding import load_vectors
from personagen.builder.evaluation.samples.whole import measure_whole
from personagen.builder.evaluation.score_tables.personas import PERSONAS, measure_personas
from personagen.builder.evaluation.scores import Scores, card_rows, read_scores
from personagen.builder.evaluation.slice_scores import below_floor, measure_slices
from personagen.builder.release.folder import check_release
from personagen.builder.release.manifest import classifier_facts
from personagen.builder.release.measuring import agreement_line, require_metrics_extra
from personagen.builder.release.results import add_results, read_results
from personagen.builder.release.run.space import require_floor, require_right_to_write
from personagen.builder.release.shown_texts import read_shown_ids, unshown
from personagen.builder.release.texts import Texts
from personagen.builder.version import __version__

if TYPE_CHECKING:
    from personagen.metrics.human_likeness.judge import Judge
    from personagen.metrics.texts.corpus import Corpus
    from personagen.metrics.texts.reference import Reference

    Corpora = tuple[Corpus, Corpus, Corpus | None]

FORMAT = "personagen-scores/1"
"""Version of the layout of `scores.json`."""

SLICES = "slices"
"""Key of `scores.json` for what the texts teach about the bundled corpora."""

OWN_KEYS = (SLICES, PERSONAS)
"""Keys of `scores.json` for results that are no metric."""

STEPS = {
    SLICES: "comparing with plain sentences and real texts",
    PERSONAS: "looking for the personas in their texts",
    "human_likeness": "computing human-likeness",
}
"""Names of steps that are not "computing" and the name of the metric."""

INTERRUPTED = "the evaluation was interrupted before it"
"""Why a metric is missing while the evaluation runs, and after an interrupt."""

SCORED_TEXTS = "scored_texts"
"""Key of the manifest for the sentence on which texts of the release were measured; absent: all."""

BELOW_FLOOR = "below_floor"
"""Key of the manifest for the corpora about which the texts teach less than plain sentences; absent: none."""


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """Settings of an evaluation.

    Attributes:
        reference: real texts: "goemotions", "xed" or "brighter" (parts of the package), a file, a release folder, or a
            dataset on the Hub.
        embeddings: name of a sentence-transformers model; None: the default model.
        judges: language models that rate texts, as "embedded", "openai:MODEL" or "transformers:MODEL"; empty:
            human-likeness is not measured.
        seed: seed of every draw.
        sample_size: texts per side of measures that take a sample; None: the default of each metric.
        judge_url: OpenAI-compatible endpoint of the judges; None: environment variable OPENAI_BASE_URL, or OpenAI.
        judge_max_tokens: upper bound on the tokens of all replies in the journal of a judge; None: no limit.
        accept_lost_replies: whether replies that a journal has lost may be paid for again.
        vectors: folder or fsspec address with the vectors that `encode` wrote; None: texts are encoded here.
        command: how to repeat the evaluation, recorded in the release; None: recorded as unknown.

    """

    reference: str = "goemotions"
    embeddings: str | None = None
    judges: tuple[str, ...] = ()
    seed: int = 0
    sample_size: int | None = None
    judge_url: str | None = None
    judge_max_tokens: int | None = None
    command: str | None = None
    accept_lost_replies: bool = False
    vectors: str | None = None


def evaluate(
    folder: str | Path,
    settings: EvaluationSettings = EvaluationSettings(),
    *,
    progress: Progress = SILENT,
    api_key: str | None = None,
) -> Scores:
    """Measure a release, and add the scores to it: `scores.json`, the card, and the manifest that lists the file.

    Args:
        folder: the release; its files are checked against the manifest first.
        settings: how to measure.
        progress: receiver of steps and warnings.
        api_key: key of the judges' endpoint; None: environment variable OPENAI_API_KEY.

    Returns:
        The scores; their `content` is that of `scores.json`.

    Raises:
        ReleaseError: the folder is no release or was altered, or the marks of its card's regions are not in order.
        BackendError: a package is missing, or a judge cannot be reached.
        FolderError: the release cannot be written.

    """
    return _evaluate(Path(folder), settings, api_key, progress, run_blocking)


async def aevaluate(
    folder: str | Path,
    settings: EvaluationSettings = EvaluationSettings(),
    *,
    progress: Progress = SILENT,
    api_key: str | None = None,
) -> Scores:
    """Run `evaluate` beside other work of the event loop: measures in a thread, calls of judges in this loop."""
    return await run_in_thread(partial(_evaluate, Path(folder), settings, api_key), progress)


def _evaluate(
    folder: Path, settings: EvaluationSettings, api_key: str | None, progress: Progress, run: Runner
) -> Scores:
    require_metrics_extra()
    manifest = check_release(folder, scores=False)
    require_right_to_write(folder)  # before judges are paid
    require_floor(folder)
    load_vectors(settings.vectors, manifest, settings.embeddings, progress)
    sample, shown = measured_sample(folder, manifest, settings.seed), read_shown_ids(folder, manifest)
    texts = sample.texts
    without_shown = unshown(settings.reference, shown, manifest)
    reference = without_shown.reference
    if (warning := without_shown.warning()) is not None:
        progress.warn(warning)
    judges = connect_judges(
        settings.judges,
        progress,
        run,
        base_url=settings.judge_url,
        api_key=api_key,
        max_tokens=settings.judge_max_tokens,
        accept_lost_replies=settings.accept_lost_replies,
    )
    progress.step(f"measuring {sample.counted()} against {len(reference.texts)} of {reference.name}")
    corpora = _corpora(texts, reference, settings.embeddings)
    whole = measure_whole(folder, manifest, reference.texts).by_metric() if sample.is_part else {}
    load = _unshown_loader(shown, manifest)
    metrics = _metrics(texts, manifest, (reference, load), corpora, settings, judges)
    content = _content(manifest, settings, reference, metrics)
    if whole:
        content[SAMPLE] = sample.facts() | {"of_all_texts": {metric: [*figures] for metric, figures in whole.items()}}
    if warning is not None:
        content["reference"]["shown_in_prompts"] = warning
    keeps_finished = _continues(_stored(folder, manifest), content)
    failure: Exception | None = None
    for number, (name, compute) in enumerate(metrics.items()):
        progress.step(STEPS.get(name, f"computing {name}"))
        if number and keeps_finished:  # an interrupt keeps what is finished; a cancelled call has ended in `step`
            _save(folder, manifest, content)
        if name in OWN_KEYS:
            content[name] = compute()
        elif (failure := _measure(name, compute, content, progress)) is None:
            content["problems"].pop(name, None)
            content["results"][name] |= whole.get(name, {})
    progress.step(f"writing {SCORES} and the card")
    scores = _save(folder, manifest, content)
    if judges and failure is not None:
        raise BackendError(f"{failure}; all else was measured, see {folder / SCORES}")
    return scores


def _content(
    manifest: Mapping[str, Any], settings: EvaluationSettings, reference: "Reference", metrics: Iterable[str]
) -> dict[str, Any]:
    """Return the content of `scores.json` before anything is measured."""
    content = {
        "format": FORMAT,
        "personagen": __version__,
        "command": settings.command,
        "texts": manifest["configs"]["all"]["digest"],
        "reference": {"name": reference.name, "texts": len(reference.texts), "digest": digest_of(reference.texts)},
        "results": {},
        "problems": {name: INTERRUPTED for name in metrics if name not in OWN_KEYS},
        SLICES: {},
    }
    if predicted := agreement_line(classifier_facts(manifest)):
        content["predictions"] = predicted
    return content


def _stored(folder: Path, manifest: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the content of `scores.json`; None: the release was not measured, or the file was altered."""
    try:
        return read_results(folder, manifest, "evaluation") if manifest.get("evaluation") else None
    except ReleaseError:
        return None


def _continues(stored: Mapping[str, Any] | None, content: dict[str, Any]) -> bool:
    """Begin with what an equal evaluation has measured, and return whether the finished part may be written at once.

    An evaluation by another command stays until the new one is complete.
    """
    if stored is None or stored.get("texts") != content["texts"]:
        return True
    if content["command"] is None or any(stored.get(key) != content[key] for key in ("format", "command", "reference")):
        return False
    content["results"] |= {name: result for name, result in stored["results"].items() if name in content["problems"]}
    for name in content["results"]:
        del content["problems"][name]
    content |= {name: stored[name] for name in OWN_KEYS if name in stored}
    return True


def _save(folder: Path, manifest: Mapping[str, Any], content: Mapping[str, Any]) -> Scores:
    """Add the scores so far to the release, and return them."""
    scores = read_scores(content)
    facts: dict[str, Any] = {"scores": card_rows(scores)}
    if below := below_floor(scores.slices):
        facts[BELOW_FLOOR] = below
    else:
        manifest = {key: value for key, value in manifest.items() if key != BELOW_FLOOR}
    if sentence := sample_sentence(content):
        facts[SCORED_TEXTS] = sentence
    else:
        manifest = {key: value for key, value in manifest.items() if key != SCORED_TEXTS}
    add_results(folder, manifest, "evaluation", content, facts)
    return scores


def _metrics(
    texts: Texts,
    manifest: Mapping[str, Any],
    references: "tuple[Reference, Callable[[str], Reference]]",
    corpora: "Corpora",
    settings: EvaluationSettings,
    judges: Sequence["Judge"],
) -> dict[str, Callable[[], Any]]:
    """Return the computation of each metric, of the slices and of the personas, by name.

    Judges, which may be slow, come last. `references` are the reference, and the loader of the bundled ones.
    """
    from personagen.metrics.diversity import diversity
    from personagen.metrics.human_likeness import human_likeness
    from personagen.metrics.realism import realism
    from personagen.metrics.utility import utility
    from personagen.metrics.utility.floor import read_plain

    (reference, load), (corpus, real, test) = references, corpora
    seed, size = settings.seed, settings.sample_size
    plain = read_plain(texts.labels, corpus.model)
    personas = texts.personas if any(texts.personas) else None
    metrics: dict[str, Callable[[], Any]] = {
        "diversity": lambda: diversity(corpus, real, seed=seed, sample_size=size, personas=personas),
        "realism": lambda: realism(corpus, real, seed=seed, sample_size=size),
        "utility": lambda: utility(corpus, real, test, seed=seed, plain=plain),
        SLICES: lambda: measure_slices(
            corpus,
            (reference.name, real, test),
            settings.embeddings,
            seed,
            load,
        ),
    }
    if personas:
        language = manifest["recipe"]["text"]["language"]
        metrics[PERSONAS] = lambda: measure_personas(texts, corpus, language, seed)
    if judges:
        metrics["human_likeness"] = lambda: human_likeness(
            texts.texts, reference.texts, judges, personas=personas, seed=seed, sample_size=size
        )
    return metrics


def _unshown_loader(shown: Collection[str], manifest: Mapping[str, Any]) -> "Callable[[str], Reference]":
    """Return a loader of real texts without those that the prompts have shown."""
    return lambda source: unshown(source, shown, manifest).reference


def _measure(
    name: str, compute: Callable[[], dict[str, Any]], content: dict[str, Any], progress: Progress
) -> Exception | None:
    """Add the result of a metric to the content, or return the error because of which it cannot be measured."""
    problem: Exception | None = None
    with warnings.catch_warnings(record=True, action="always", category=UserWarning) as caught:
        try:
            content["results"][name] = compute()
        except (ValueError, PersonaGenError) as error:
            problem = error
            content["results"].pop(name, None)
            content["problems"][name] = _published(error)
    for message in dict.fromkeys(str(warning.message) for warning in caught):
        progress.warn(message)
    return problem


def _published(error: Exception) -> str:
    """Return why a metric was not measured; of a failed judge the kind alone, since addresses are private."""
    if not isinstance(error, PersonaGenError):
        return str(error)
    status = re.search(r"\(([45]\d\d)\)", str(error))
    return f"the judge failed ({type(error).__name__}{f', status {status[1]}' if status else ''})"


def _corpora(texts: Texts, reference: "Reference", embeddings: str | None) -> "Corpora":
    """Encode the texts, the reference, and its test part; None: the reference has no labelled test part."""
    from personagen.metrics.texts.corpus import read_corpus

    with raise_as(BackendError):
        corpus = read_corpus(texts.texts, texts.labels, embeddings)
        real = read_corpus(reference.texts, reference.labels, embeddings, "reference_")
        if not (reference.test_texts and reference.test_labels):
            return corpus, real, None
        return corpus, real, read_corpus(reference.test_texts, reference.test_labels, embeddings, "test_")


def digest_of(texts: Sequence[str]) -> str:
    """Return a hash of texts in their order (16 hex digits), which identifies the corpus of a measurement."""
    return hashlib.sha256(json.dumps(list(texts)).encode()).hexdigest()[:16]
