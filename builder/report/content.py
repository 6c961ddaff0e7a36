"""What a report shows: the texts of a release beside real ones, or those of all arms of a comparison."""

import json
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from personagen.builder.core.errors import PersonaGenError, ReleaseError
from personagen.builder.core.file_names import AUDIT, REJECTS, RESULTS, arm_texts_path
from personagen.builder.core.records import LAYERS
from personagen.builder.evaluation.audit_results import read_audit
from personagen.builder.evaluation.claims import FULL, counts
from personagen.builder.evaluation.comparison_tables import classifier_line, costs
from personagen.builder.release.folder import check_release, is_release
from personagen.builder.release.manifest import total_rejects
from personagen.builder.release.measuring import predictions, require_reference
from personagen.builder.release.run_folder import run_folder_of
from personagen.builder.release.texts import Texts, read_texts

SYNTHETIC, REAL = "synthetic", "real"
"""Kinds of texts in a release's report; those of a comparison are its arms, of which one has the same name."""

MOST = 3000
"""Texts of a page, shared evenly by all kinds."""

EXAMPLES = 20
"""Refused replies that are shown of each reason."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One text of the page.

    Attributes:
        source: its kind.
        id: of its row; empty for a real text.
        text: the text.
        label: the emotion that it should express; None for a real text without a label.
        reading: the emotion that the emotion classifier reads; None where none read it.
        confidence: how sure the classifier is, in [0, 1].
        persona: layers by name; empty where there are none.
        facts: what else is known, by name.

    """

    source: str
    id: str
    text: str
    label: str | None
    reading: str | None = None
    confidence: float | None = None
    persona: Mapping[str, Mapping[str, Any]] | None = None
    facts: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """All that a page is made of.

    Attributes:
        title: its heading.
        told: facts on top of the page, by name.
        emotions: labels in order.
        main: the kind of texts that the page is about.
        real: the kind that is real; None where there is none.
        counts: texts of each kind, of which `texts` is a sample.
        texts: what is shown, kind by kind.
        personas: layers of each persona of the main kind.
        rejects: refused replies by kind and reason.
        refused: examples of them by reason, as they are in the file of rejects.
        embeddings: model of the vectors; None for the default one.
        tables: what was found, by name: "results" and "costs" of a comparison; "scores", "audit", "findings" and
            "counterfactuals" of a release.
        notes: lines on what is not shown, and why.

    """

    title: str
    told: Mapping[str, str]
    emotions: Sequence[str]
    main: str
    real: str | None
    counts: Mapping[str, int]
    texts: Sequence[Shown]
    personas: Sequence[Mapping[str, Mapping[str, Any]]]
    rejects: Mapping[str, Mapping[str, int]]
    refused: Mapping[str, Sequence[Mapping[str, Any]]]
    embeddings: str | None
    tables: Mapping[str, Any]
    notes: Sequence[str]


def read_material(
    folder: Path, reference: str, embeddings: str | None, seed: int, tell: Callable[[str], None]
) -> Material:
    """Read a release or a comparison.

    Args:
        folder: either of them.
        reference: real texts that a release is held against; a comparison has its own.
        embeddings: of a release; a comparison was measured with its own.
        seed: of the sample.
        tell: called with a line for each step.

    Raises:
        ReleaseError: the folder is neither, or was altered.
        BackendError: the model of the embeddings cannot be loaded.

    """
    if is_release(folder):
        return _of_release(folder, reference, embeddings, seed, tell)
    if (folder / RESULTS).is_file():
        try:
            return _of_comparison(folder, seed)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ReleaseError(f"cannot read the comparison {folder}: {error!r:.200}; run `compare` again") from None
    raise ReleaseError(f"{folder} is neither a release nor a comparison; name what `generate` or `compare` wrote")


def _of_release(
    folder: Path, reference: str, embeddings: str | None, seed: int, tell: Callable[[str], None]
) -> Material:
    manifest = check_release(folder)
    whole, real = read_texts(folder, manifest), require_reference(reference)
    rows = sample(len(whole.texts), MOST // 2, seed)
    written = whole.take(rows)
    notes = []
    tell("predictions")
    read: list[tuple[str | None, float | None]] = [(None, None)] * len(rows)
    try:
        read = [(reading.label, reading.confidence) for reading in predictions(written, reference, embeddings)]
    except PersonaGenError as error:
        notes.append(f"Emotions that a classifier reads: {error}")
    emotions = [emotion["name"] for emotion in manifest["taxonomy"]["emotions"]]
    known = [row for row, label in enumerate(real.labels or [None] * len(real.texts)) if label in (None, *emotions)]
    if not known:
        notes.append(
            f"Real texts: {real.name} has no texts of {', '.join(emotions)[:200]}; name texts with these labels, or "
            "without labels, by --reference"
        )
    drawn = [known[place] for place in sample(len(known), MOST // 2, seed)]
    texts = [
        Shown(SYNTHETIC, row["id"], row["text"], label, *reading, layers_of_row(row), _facts(row))
        for row, label, reading in zip(written.rows, written.labels, read, strict=True)
    ]
    texts += [Shown(REAL, "", real.texts[row], real.labels[row] if real.labels else None) for row in drawn]
    return Material(
        title=f"{manifest['name']} {manifest['version']}",
        told=_told_of_release(manifest, whole, real.name),
        emotions=emotions,
        main=SYNTHETIC,
        real=REAL if known else None,
        counts={SYNTHETIC: len(whole.texts)} | ({REAL: len(known)} if known else {}),
        texts=texts,
        personas=list({row["persona_id"]: layers_of_row(row) for row in whole.rows if row["persona_id"]}.values()),
        rejects={SYNTHETIC: total_rejects(manifest)},
        refused=_examples(_lines(run_folder_of(folder) / REJECTS), seed),
        embeddings=embeddings,
        tables={
            "scores": manifest.get("scores"),
            "findings": manifest.get("findings"),
            "counterfactuals": manifest.get("counterfactuals"),
            "audit": read_audit(json.loads((folder / AUDIT).read_text(encoding="utf-8")))
            if manifest.get("audit")
            else None,
        },
        notes=notes,
    )


def _told_of_release(manifest: Mapping[str, Any], whole: Texts, reference: str) -> dict[str, str]:
    usage, model = manifest["usage"], manifest["model"]
    told = {
        "texts": f"{len(whole.texts):,}",
        "personas": f"{len({row['persona_id'] for row in whole.rows} - {None}):,}",
        "model": f"{model['name']} ({model['backend']})",
        "requests": f"{usage['requests']:,}",
        "tokens": f"{usage['prompt_tokens'] + usage['completion_tokens']:,}",
        "texts that name their emotion": f"{manifest['leaked']:,}",
        "real texts": reference,
        "recipe": manifest["fingerprint"],
    }
    return told | ({"cost": str(usage["cost"])} if usage.get("cost") is not None else {})


def layers_of_row(row: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Take the layers of a row of a release that it has."""
    return {layer: row[layer] for layer in LAYERS if row[layer] is not None}


def _facts(row: Mapping[str, Any]) -> dict[str, Any]:
    ids = {name: row[name] for name in ("intensity", "persona_id", "situation_id") if row[name] is not None}
    return ids | {name: value for name, value in row["provenance"].items() if value is not None}


def _of_comparison(folder: Path, seed: int) -> Material:
    results = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
    arms = list(results["arms"])
    written = {arm: list(_lines(folder / arm_texts_path(arm))) for arm in arms}
    texts = [
        Shown(
            arm,
            line["id"],
            line["text"],
            line["label"],
            line["reading"],
            line["confidence"],
            line["persona"],
            {"seed": line["seed"]} | ({"persona_id": line["persona_id"]} if line["persona_id"] else {}),
        )
        for arm, lines in written.items()
        for line in (lines[row] for row in sample(len(lines), MOST // len(arms), seed))
    ]
    main = FULL if FULL in arms else next((arm for arm in arms if arm != REAL), arms[0])
    personas = {(line["seed"], line["persona_id"]): line["persona"] for line in written[main] if line["persona"]}
    model, found = results["model"], counts(results["claims"])
    return Material(
        title="Does conditioning on personas help?",
        told={
            "verdicts": ", ".join(f"{count} {name}" for name, count in found.items()),
            "texts an arm": f"{results['rows']:,} in {results['seeds']} seeds",
            "model": f"{model['name']} ({model['backend']})",
            "real texts": results["reference"]["name"],
            "made by": results["command"],
            "emotion classifier": classifier_line(results["classifier"]),
        },
        emotions=results["emotions"],
        main=main,
        real=REAL if REAL in arms else None,
        counts={arm: len(lines) for arm, lines in written.items()},
        texts=texts,
        personas=list(personas.values()),
        rejects={arm: facts["rejects"] for arm, facts in results["arms"].items()},
        refused=_examples(_lines(folder / REJECTS), seed),
        embeddings=results["embeddings"],
        tables={"results": results, "costs": list(costs(results["arms"]))},
        notes=[],
    )


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """Read a file of JSON lines; nothing where there is no such file."""
    if path.is_file():
        with path.open(encoding="utf-8") as file:
            yield from map(json.loads, file)


def _examples(refused: Iterable[Mapping[str, Any]], seed: int) -> dict[str, list[Mapping[str, Any]]]:
    """Draw some refused replies of each reason."""
    by_reason: dict[str, list[Mapping[str, Any]]] = {}
    for reject in refused:
        by_reason.setdefault(reject["reason"], []).append(reject)
    return {
        reason: [some[row] for row in sample(len(some), EXAMPLES, seed)] for reason, some in sorted(by_reason.items())
    }


def sample(count: int, most: int, seed: int) -> list[int]:
    """Draw rows, in order; all where there are no more."""
    return sorted(random.Random(seed).sample(range(count), min(count, most)))
