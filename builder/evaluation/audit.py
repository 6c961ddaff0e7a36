"""Audit a release for bias: what of its texts goes with the attributes of their personas though nobody planned it.

    texts of the release -> outcomes x attributes -> shares of variance beyond the plan -> audit.json, card, manifest

The plan gives every persona its emotions without a look at the persona, so means of the labels are taken away, and
what is left is held against personas whose attributes are shuffled (see `metrics/statistics/association.py`).
"""

import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personagen.builder.core.errors import BackendError, ReleaseError
from personagen.builder.core.files import redact_path
from personagen.builder.evaluation.claims import LEVEL
from personagen.builder.evaluation.counterfactual_effects import counterfactual_lines, counterfactuals
from personagen.builder.evaluation.evaluate import digest_of
from personagen.builder.release.folder import check_release
from personagen.builder.release.measuring import predictions, require_metrics_extra
from personagen.builder.release.results import add_results
from personagen.builder.release.texts import Texts, read_texts
from personagen.builder.version import __version__

if TYPE_CHECKING:
    from personagen.metrics.statistics.association import Codes, Outcome, Table

FORMAT = "personagen-audit/1"

MOST = 20_000
"""Texts that are looked at: those of the first personas that have no more."""

SAYS: Mapping[str, str] = {
    "label": "the emotion that was asked for",
    "intensity": "the intensity that was asked for",
    "reading": "the emotion that the classifier reads",
    "sentiment": "sentiment, from -1 to 1",
    "length": "words of a text",
    "vocabulary": "the words that are used",
    "content": "what the text says, as a vector",
}
"""What is measured of each text."""

PLANNED = ("label", "intensity")
"""What the plan settles: the means of the labels are not taken away."""

NUMBERS = ("sentiment", "length")


@dataclass(frozen=True, slots=True)
class Options:
    """How to audit.

    Attributes:
        reference: see `EvaluationSettings`; trains a classifier if the release has no predictions.
        embeddings: name of a sentence-transformers model; None for the default one.
        seed: of shuffles and halves.

    """

    reference: str = "goemotions"
    embeddings: str | None = None
    seed: int = 0

    def command(self, name: str) -> str:
        """Write the command that audits so, without paths of this machine."""
        words = ["personagen", "audit", name, "--reference", redact_path(self.reference), "--seed", str(self.seed)]
        return shlex.join([*words, *(["--embeddings", self.embeddings] if self.embeddings else [])])


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What was measured of the texts.

    Attributes:
        tables: by outcome, shape (n, k).
        words: the words of the columns of "vocabulary".
        personas: number of each text's persona.
        labels: number of each text's label.
        problems: by outcome, why it could not be measured.

    """

    tables: Mapping[str, "Table"]
    words: list[str]
    personas: "Codes"
    labels: "Codes"
    problems: Mapping[str, str]


def audit(folder: Path, options: Options, tell: Callable[[str], None]) -> dict[str, Any]:
    """Audit a release, and write what was found into it: `audit.json`, the card, the manifest that vouches for it.

    Args:
        folder: the release; every byte of its data is checked first.
        options: how to audit.
        tell: called with a line for each step.

    Returns:
        The content of `audit.json`.

    Raises:
        ReleaseError: the folder is no release or was altered; its texts have no personas; or the marks of its card are
            not in order.
        BackendError: a package is missing, or the reference cannot be loaded.
        FolderError: the release cannot be written to.

    """
    require_metrics_extra("vaderSentiment")
    manifest = check_release(folder, scores=False)
    whole = read_texts(folder, manifest)
    written = _first(whole)
    if not any(written.personas):
        raise ReleaseError(
            f"{folder} has no personas: its texts are of depth {manifest['recipe']['depth']!r}; audit a release of "
            "depth demographic or deeper"
        )
    measured = _measured(written, manifest, options, tell)
    tell(f"{len(written.texts)} texts, {len(written.personas[0])} attributes, {', '.join(measured.tables)}")
    attributes = _attributes(written, measured, options.seed)
    pairs = counterfactuals(folder, manifest, whole, options.reference, options.embeddings)
    found = {
        "format": FORMAT,
        "personagen": __version__,
        "command": options.command(manifest["name"]),
        "release": manifest["configs"]["all"]["digest"],
        "texts": len(written.texts),
        "digest": digest_of(written.texts),
        "outcomes": {name: SAYS[name] for name in measured.tables},
        "attributes": attributes,
        "counterfactual": pairs,
        "problems": dict(measured.problems),
    }
    told = {
        "findings": list(findings(found)),
        "counterfactuals": list(counterfactual_lines(pairs)),
        "audited_by": found["command"],
    }
    add_results(folder, manifest, "audit", found, told)
    return found


def _first(written: Texts) -> Texts:
    """Take the texts of the first personas, at most MOST, where there are more."""
    if len(written.texts) <= MOST:
        return written
    order = sorted(range(len(written.texts)), key=lambda row: (written.rows[row]["persona_id"] or "", row))[:MOST]
    return written.take(order)


def _measured(written: Texts, manifest: Mapping[str, Any], options: Options, tell: Callable[[str], None]) -> Measured:
    """Measure all outcomes; one that cannot be measured, or is not there, has its reason among the problems."""
    import numpy as np

    from personagen.metrics.statistics.association import categories, lengths, sentiment, vocabulary
    from personagen.metrics.texts.embeddings import embed

    tables: dict[str, Table] = {"label": categories(written.labels)}
    problems: dict[str, str] = {}
    intensities = [row["intensity"] for row in written.rows]
    if all(intensities):
        tables["intensity"] = categories(intensities)
    tell("predictions")
    try:
        found = predictions(written, options.reference, options.embeddings)
        tables["reading"] = categories([reading.label for reading in found])
    except ReleaseError as error:
        problems["reading"] = str(error)
    if manifest["recipe"]["text"]["language"] == "en":
        tables["sentiment"] = sentiment(written.texts)
    else:
        problems["sentiment"] = "the rules of sentiment are for English, and the recipe says another language or none"
    tables["length"] = lengths(written.texts)
    words, tables["vocabulary"] = vocabulary(written.texts)
    tell("vectors")
    try:
        tables["content"] = embed(written.texts, options.embeddings).vectors
    except (ValueError, ImportError) as error:
        raise BackendError(str(error)) from None
    personas = np.unique([row["persona_id"] for row in written.rows], return_inverse=True)[1]
    labels = np.unique(written.labels, return_inverse=True)[1]
    return Measured(tables, words, personas, labels, problems)


def _attributes(written: Texts, measured: Measured, seed: int) -> dict[str, dict[str, Any]]:
    """Hold every outcome against every attribute that varies, and correct p for the number of both."""
    names = [name for name in written.personas[0] if len({persona[name] for persona in written.personas}) > 1]
    found = {name: _attribute(name, written, measured, seed) for name in names}
    _correct(found)
    return found


def _attribute(name: str, written: Texts, measured: Measured, seed: int) -> dict[str, Any]:
    """Hold every outcome against one attribute, and describe the texts of each of its values."""
    import numpy as np

    from personagen.metrics.statistics.association import association, differences, distinctive

    kinds, values = np.unique([persona[name] for persona in written.personas], return_inverse=True)
    of_persona = np.zeros(int(measured.personas.max()) + 1, dtype=np.intp)
    of_persona[measured.personas] = values
    outcomes = {}
    for outcome_name, table in measured.tables.items():
        prepared = _prepared(outcome_name, table, measured)
        if prepared is not None:
            outcomes[outcome_name] = asdict(association(prepared, of_persona, seed))
    described: dict[str, dict[str, Any]] = {
        str(kind): {"texts": int((values == place).sum())} for place, kind in enumerate(kinds)
    }
    for number in (each for each in NUMBERS if each in measured.tables):
        found = differences(measured.tables[number], values, measured.personas, measured.labels)
        for kind, (mean, reach) in zip(described, found, strict=True):
            described[kind][number] = {"difference": mean, "low": mean - reach, "high": mean + reach}
    for kind, words in zip(described, distinctive(measured.words, measured.tables["vocabulary"], values), strict=True):
        described[kind]["words"] = words
    return {"outcomes": outcomes, "values": described}


def _prepared(name: str, table: "Table", measured: Measured) -> "Outcome | None":
    from personagen.metrics.statistics.association import outcome

    labels = None if name in PLANNED else measured.labels
    return outcome(table, measured.personas, labels, scaled=name != "content")


def _correct(attributes: Mapping[str, dict[str, Any]]) -> None:
    """Add the p that is corrected for the number of all attributes and outcomes (Holm)."""
    from personagen.metrics.statistics.paired import holm

    tests: list[dict[str, Any]] = [each for found in attributes.values() for each in found["outcomes"].values()]
    for test, corrected in zip(tests, holm([test["p"] for test in tests]), strict=True):
        test["p_corrected"] = corrected


def findings(found: Mapping[str, Any]) -> Iterator[str]:
    """Tell in a line each what goes with what, the largest share first."""
    rows = [
        (each["share"], attribute, name, each)
        for attribute, told in found["attributes"].items()
        for name, each in told["outcomes"].items()
        if each["p_corrected"] < LEVEL
    ]
    for share, attribute, name, each in sorted(rows, key=lambda row: (-row[0], row[1], row[2])):
        yield (
            f"{attribute} goes with {name} ({SAYS[name]}): {share:.2%} of its variance "
            f"[{each['low']:.2%}, {each['high']:.2%}], p {each['p_corrected']:.2g}{_where(found, attribute, name)}"
        )


def _where(found: Mapping[str, Any], attribute: str, name: str) -> str:
    """Name the values that stand out most: the two ends of a number, the words of each value."""
    values = found["attributes"][attribute]["values"]
    if name in NUMBERS:
        ends = sorted(values, key=lambda kind: (values[kind][name]["difference"], kind))
        low, high = ends[0], ends[-1]
        return f"; {high} {values[high][name]['difference']:+.2g}, {low} {values[low][name]['difference']:+.2g}"
    if name == "vocabulary":
        told = [f"{kind}: {', '.join(each['words'])}" for kind, each in values.items() if each["words"]]
        return f"; {'; '.join(told[:4])}" if told else ""
    return ""


def audit_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """Write a table of shares for the terminal, and the findings under it."""
    names = list(found["outcomes"])
    yield "share of variance beyond plan and chance, in per cent; * p < 0.05, corrected"
    yield "attribute     " + "".join(f"{name:>12}" for name in names)
    for attribute, told in found["attributes"].items():
        cells = (_cell(told["outcomes"].get(name)) for name in names)
        yield f"{attribute:<14}" + "".join(f"{cell:>12}" for cell in cells)
    yield from (f"not measured: {name}: {why}" for name, why in found["problems"].items())
    yield from counterfactual_lines(found["counterfactual"])
    lines = list(findings(found))
    yield from lines or [f"nothing was found in {found['texts']} texts"]


def _cell(each: Mapping[str, Any] | None) -> str:
    if each is None:
        return ""
    return f"{100 * each['share']:.2f}{'*' if each['p_corrected'] < LEVEL else ' '}"
