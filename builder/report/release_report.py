"""Report on a release: its texts beside real ones, its personas, and the results of `evaluate` and `audit`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personagen.builder.core.errors import PersonaGenError, ReleaseError
from personagen.builder.core.progress import Progress
from personagen.builder.core.records import LAYERS
from personagen.builder.evaluation.audit_results import Audit, power_line, prediction_lines, read_audit
from personagen.builder.evaluation.claims import LEVEL
from personagen.builder.evaluation.samples.draws import read_persona_ids, sample_sentence
from personagen.builder.evaluation.samples.encoding import load_vectors, page_rows
from personagen.builder.evaluation.scores import Scores, read_saved_scores
from personagen.builder.release.cards.grounding import shown_count
from personagen.builder.release.cards.screening import profanity_line, screening_line
from personagen.builder.release.folder import check_release
from personagen.builder.release.manifest import events_line, total_rejects
from personagen.builder.release.measuring import ClassifierAccuracy, accuracy_line, predictions, require_reference
from personagen.builder.release.model_facts import named_models
from personagen.builder.release.results import read_results
from personagen.builder.release.run.run_folder import run_folder_of
from personagen.builder.release.shown_texts import shown_note
from personagen.builder.release.texts import Texts, draw_texts, stream_personas
from personagen.builder.release.verdicts import concerns, count_texts, verdicts
from personagen.builder.release.verdicts.sentences import audit_sentence, counterfactual_sentence
from personagen.builder.report.charts import (
    NOT_SIGNIFICANT,
    AssociationCell,
    ValueWithInterval,
    association_chart,
    interval_chart,
)
from personagen.builder.report.measured_sections import (
    expression_section,
    personas_section,
    realism_section,
    scores_section,
    utility_section,
)
from personagen.builder.report.persona_coverage import MAX_PERSONAS, CountedPersonas, conditioned_tables, count_personas
from personagen.builder.report.rejected_replies import RejectedReply, draw_examples, read_rejects
from personagen.builder.report.sections import (
    Section,
    persona_sections,
    rejects_section,
    text_sections,
)
from personagen.builder.report.text_groups import (
    COLOURS,
    MAX_TEXTS,
    REAL_COLOUR,
    Point,
    ReportText,
    TextGroup,
    project_texts,
    sample,
)

if TYPE_CHECKING:
    from personagen.metrics.texts.reference import Reference

SYNTHETIC = "synthetic"
REAL = "real"
"""Names of the two groups of texts."""


@dataclass(frozen=True, slots=True, eq=False)
class ReleaseReport:
    """Content of the page of a release.

    Attributes:
        title: heading of the page.
        facts: facts at its top, by name.
        verdicts: sentences on the results.
        concerns: reasons for caution.
        notes: reasons why a part is not shown.
        emotions: labels in order.
        groups: samples of the synthetic and of the real texts; the real ones are missing if none has a known label.
        points: position of every text on the map, group by group.
        personas: counts over all personas.
        rejects: number of rejected replies by reason.
        examples: rejected replies by reason.
        accuracy: how often the classifier that predicted the emotions is right; None: unknown.
        manifest: manifest of the release, with the results of `evaluate` and `audit` if they were run.
        audit: results of `audit`; None: not audited.
        scores: results of `evaluate`; None: not evaluated.

    """

    title: str
    facts: Mapping[str, str]
    verdicts: Sequence[str]
    concerns: Sequence[str]
    notes: Sequence[str]
    emotions: Sequence[str]
    groups: Sequence[TextGroup]
    points: Sequence[Point]
    personas: CountedPersonas
    rejects: Mapping[str, int]
    examples: Mapping[str, Sequence[RejectedReply]]
    accuracy: ClassifierAccuracy | None
    manifest: Mapping[str, Any]
    audit: Audit | None
    scores: Scores | None

    @property
    def accuracy_note(self) -> str:
        """How often the predictions in the table of texts are right; "": there are none."""
        predicted = any(text.prediction for group in self.groups for text in group.texts)
        return accuracy_line(self.accuracy) if predicted else ""

    @property
    def measures_sample(self) -> bool:
        """Whether scores or audit are those of a part of the texts."""
        is_part = self.scores is not None and sample_sentence(self.scores.content) is not None
        return is_part or (self.audit is not None and self.audit.sample is not None)

    def sections(self) -> Iterator[Section]:
        """Yield the sections of the page in order."""
        if self.scores is not None:
            yield utility_section(self.scores)
            yield realism_section(self.scores)
        yield expression_section(self.manifest)
        yield from text_sections(self.groups, self.points, self.emotions, SYNTHETIC, self.accuracy)
        yield from persona_sections(self.personas, conditioned_tables(self.manifest))
        yield personas_section(self.manifest, self.scores)
        if self.audit is not None:
            yield _audit_section(self.audit, self.manifest["findings"])
            yield _counterfactuals_section(self.audit, self.manifest["counterfactuals"])
        if self.scores is not None:
            yield scores_section(self.scores)
        yield rejects_section({SYNTHETIC: self.rejects}, {SYNTHETIC: COLOURS[0]}, self.examples)


def read_release_report(
    folder: Path, reference: str, embeddings: str | None, seed: int, progress: Progress, vectors: str | None = None
) -> ReleaseReport:
    """Read the report of a release; for the arguments and the errors see `write_report`."""
    manifest = check_release(folder)
    load_vectors(vectors, manifest, embeddings, progress)
    total, real_texts = count_texts(manifest), require_reference(reference)
    texts = draw_texts(folder, manifest, page_rows(total, seed))
    emotions = [emotion["name"] for emotion in manifest["taxonomy"]["emotions"]]
    progress.step("predicting emotions")
    synthetic, accuracy, prediction_problem = _synthetic_group(texts, total, manifest, reference, embeddings)
    real, reference_problem = _real_group(real_texts, emotions, seed)
    (audit, audit_problem), (scores, scores_problem) = _read_audit(folder, manifest), _read_scores(folder, manifest)
    examples, examples_problem = _read_examples(folder, seed)
    groups = [synthetic, real] if real else [synthetic]
    contents = None if scores is None else scores.content, None if audit is None else audit.to_json()
    personas = _count_personas(folder, manifest, seed)
    problems = (prediction_problem, reference_problem, audit_problem, scores_problem)
    progress.step(f"computing the map of {sum(len(group.texts) for group in groups)} texts")
    return ReleaseReport(
        title=manifest["name"],
        facts=_facts_of_release(manifest, total, personas.total, real_texts.name),
        verdicts=[verdict.text for verdict in verdicts(manifest, *contents)],
        concerns=concerns(manifest, *contents),
        notes=[*filter(None, (*problems, examples_problem, shown_note(reference, manifest)))],
        emotions=emotions,
        groups=groups,
        points=project_texts(groups, embeddings, seed),
        personas=personas,
        rejects=total_rejects(manifest),
        examples=examples,
        accuracy=accuracy,
        manifest=manifest,
        audit=audit,
        scores=scores,
    )


def _count_personas(folder: Path, manifest: Mapping[str, Any], seed: int) -> CountedPersonas:
    """Count the values of all personas, and draw those whose expected values the page shows."""
    ids = read_persona_ids(folder, manifest)
    drawn = set(sample(len({*ids.names} - {""}), MAX_PERSONAS, seed))
    return count_personas((layers for _, layers in stream_personas(folder, manifest)), drawn)


def _synthetic_group(
    drawn: Texts, total: int, manifest: Mapping[str, Any], reference: str, embeddings: str | None
) -> tuple[TextGroup, ClassifierAccuracy | None, str | None]:
    """Return the drawn texts of all as a group, the accuracy of their predictions, and why they have none."""
    predicted: list[tuple[str | None, float | None]] = [(None, None)] * len(drawn.texts)
    accuracy = problem = None
    try:
        results = predictions(drawn, manifest, reference, embeddings)
    except PersonaGenError as error:  # a reference that trains no classifier leaves the rest of the page as it is
        problem = f"Predicted emotions: {error}"
    else:
        accuracy = results.accuracy
        predicted = [(prediction.label, prediction.confidence) for prediction in results.predictions]
    shown = [
        ReportText(SYNTHETIC, row["id"], row["text"], label, *prediction, _layers_of(row), _facts_of_row(row))
        for row, label, prediction in zip(drawn.rows, drawn.labels, predicted, strict=True)
    ]
    return TextGroup(SYNTHETIC, shown, total, COLOURS[0]), accuracy, problem


def _real_group(reference: "Reference", emotions: Sequence[str], seed: int) -> tuple[TextGroup | None, str | None]:
    """Return a sample of the real texts of the release's emotions, or the reason why there are none."""
    labels: Sequence[str | None] = reference.labels or [None for _ in reference.texts]
    known = [row for row, label in enumerate(labels) if label is None or label in emotions]
    if not known:
        return None, (
            f"Real texts: {reference.name} has no texts of {', '.join(emotions)[:200]}; name texts with these labels, "
            "or without labels, with --reference"
        )
    rows = [known[index] for index in sample(len(known), MAX_TEXTS // 2, seed)]
    shown = [ReportText(REAL, "", reference.texts[row], labels[row]) for row in rows]
    return TextGroup(REAL, shown, len(known), REAL_COLOUR, real=True), None


def _read_audit(folder: Path, manifest: Mapping[str, Any]) -> tuple[Audit | None, str | None]:
    """Return the audit of a release, if there is one, or the reason why it cannot be shown."""
    if not manifest.get("audit"):
        return None, None
    try:
        return read_audit(read_results(folder, manifest, "audit")), None
    except ReleaseError as error:
        return None, f"Bias audit: {error}"


def _read_scores(folder: Path, manifest: Mapping[str, Any]) -> tuple[Scores | None, str | None]:
    """Return the scores of a release, if there are any, or the reason why they cannot be shown."""
    if not manifest.get("evaluation"):
        return None, None
    try:
        return read_saved_scores(read_results(folder, manifest, "evaluation")), None
    except ReleaseError as error:
        return None, f"Scores: {error}"


def _read_examples(folder: Path, seed: int) -> tuple[dict[str, list[RejectedReply]], str | None]:
    """Return rejected replies of the run, if its folder is there, or the reason why they cannot be shown."""
    try:
        return draw_examples(lambda: read_rejects(run_folder_of(folder)), seed), None
    except ReleaseError as error:
        return {}, f"Rejected replies: {error}"


def _facts_of_release(manifest: Mapping[str, Any], texts: int, personas: int, reference: str) -> dict[str, str]:
    usage, models = manifest["usage"], named_models(manifest)
    facts = {
        "texts": f"{texts:,}",
        "personas": f"{personas:,}",
        "model": ", ".join(f"{model['name']} ({_part_of(model)})" for model in models),
        "requests": f"{usage['requests']:,}",
        "tokens": f"{usage['prompt_tokens'] + usage['completion_tokens']:,}{_estimate_note(usage)}",
        "splits": ", ".join(f"{name} {count:,}" for name, count in manifest["configs"]["all"]["rows"].items()),
        "licence": _licence(manifest),
        "licence of the model": ", ".join(map(_licence_of_model, models)),
        "personal information and offence": f"{screening_line(manifest)} {profanity_line(manifest)}".strip(),
        "real texts": reference,
        "recipe": manifest["fingerprint"],
        "columns": f"version {manifest['version']}",
    }
    if shown := shown_count(manifest):
        facts["real texts in the prompts"] = shown
    if events := events_line(manifest):
        facts["events"] = events
    return facts | ({"cost": str(usage["cost"])} if usage.get("cost") is not None else {})


def _part_of(model: Mapping[str, Any]) -> str:
    """Return the backend of a model, and the texts that it wrote if there are several models."""
    if "rows" not in model:
        return str(model["backend"])
    return f"{model['backend']}, {model['rows']:,} texts, {100 * model['share']:.1f}% of each emotion"


def _licence_of_model(model: Mapping[str, Any]) -> str:
    licence = str(model.get("license", model.get("licence")) or "unknown")
    return f"{model['name']}: {licence}" if "rows" in model else licence


def _licence(manifest: Mapping[str, Any]) -> str:
    licence = manifest.get("license") or {}
    chosen = licence.get("license_name") or licence.get("license")
    link = licence.get("license_link")
    return f"{chosen}{f' ({link})' if link else ''}" if chosen else "none was chosen, so no permission is granted"


def _estimate_note(usage: Mapping[str, Any]) -> str:
    return f" ({usage['estimated']:,} replies estimated)" if usage.get("estimated") else ""


def _layers_of(row: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {layer: row[layer] for layer in LAYERS if row[layer] is not None}


def _facts_of_row(row: Mapping[str, Any]) -> dict[str, Any]:
    ids = {name: row[name] for name in ("intensity", "persona_id", "situation_id") if row[name] is not None}
    provenance = {name: value for name, value in row["provenance"].items() if value is not None}
    return ids | ({"leaked": "not checked"} if row["provenance"]["leaked"] is None else {}) | provenance


def _audit_section(audit: Audit, findings: Sequence[str]) -> Section:
    cells = {
        (record.attribute, record.outcome): AssociationCell(record.fraction, record.is_significant)
        for record in audit.associations
    }
    outcomes, attributes = list(audit.outcomes), audit.attributes
    power = power_line(audit)
    rows = [[cells.get((attribute, outcome)) for outcome in outcomes] for attribute in attributes]
    return Section(
        "audit",
        "Bias audit",
        "Fraction of the variance of each outcome that is associated with an attribute of the persona, beyond plan and "
        "chance. Only significant ones have a colour (*: p < 0.05, Holm-corrected).",
        audit_sentence(audit.to_json()) or "",
        chart=association_chart(attributes, outcomes, rows),
        lines=[
            *([audit.sample.sentence(audit.texts)] if audit.sample else []),
            *(findings or ["No association is significant."]),
            *([power] if power else []),
            *prediction_lines(audit),
        ],
    )


def _counterfactuals_section(audit: Audit, lines: Sequence[str]) -> Section:
    estimates: dict[str, dict[str, ValueWithInterval]] = {}
    for effect in audit.effects:
        change = f"{effect.attribute}: {effect.first} → {effect.second} ({effect.pairs})"
        is_significant = effect.p_corrected is not None and effect.p_corrected < LEVEL
        estimates.setdefault(effect.outcome, {})[change] = ValueWithInterval(
            effect.difference, effect.low, effect.high, None if is_significant else NOT_SIGNIFICANT
        )
    return Section(
        "counterfactuals",
        "Counterfactual pairs",
        "Effect of a change of one attribute of the persona and nothing else, with its 95 % interval. The number of "
        "pairs is given in brackets. Effects that are not significant are grey.",
        counterfactual_sentence(audit.to_json()) or "",
        chart=interval_chart(estimates, null=0.0),
        lines=lines,
    )
