"""Results of a match: tables of records, conclusions in words, `match.json` and `match.md`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personagen.builder.core.errors import ReleaseError
from personagen.builder.core.file_names import MATCH_RECIPE, MATCH_RESULTS, MATCH_TABLES
from personagen.builder.core.files import write_json, write_text
from personagen.builder.core.foreign_text import printable
from personagen.builder.core.result_table import ResultTable
from personagen.builder.evaluation.comparison_tables import markdown_table, signed
from personagen.builder.evaluation.scores import format_number
from personagen.builder.release.formats.plain_json import as_records, read_plain_json, validated
from personagen.builder.release.formats.results_model import MatchContent, require_content
from personagen.builder.version import __version__

if TYPE_CHECKING:
    import pandas as pd

FORMAT = "personagen-match/1"
"""Version of the layout of `match.json`."""


@dataclass(frozen=True, slots=True)
class MatchedArm:
    """An arm and its score on the pool.

    Attributes:
        arm: name of the arm.
        about: what distinguishes it.
        texts: accepted texts.
        missing: rows of the plan without a text.
        requests: distinct requests.
        tokens: tokens of their prompts and replies.
        score: macro-F1 of a classifier trained on the texts, on real texts of the pool; without labels MMD^2, of which
            less is better. None: too few texts, see `reason`.
        low: lower end of the 95 % interval.
        high: upper end.
        rejects: rejected replies by reason.
        reason: why there is no score; None: there is one.

    """

    arm: str
    about: str
    texts: int
    missing: int
    requests: int
    tokens: int
    score: float | None
    low: float | None
    high: float | None
    rejects: Mapping[str, int]
    reason: str | None


@dataclass(frozen=True, slots=True)
class Yardstick:
    """Macro-F1 of one kind of training texts on the test part.

    Attributes:
        training: kind of the training texts: "synthetic", "real 50", "retrieval", ...
        rows: number of training texts; None: not measured.
        macro_f1: mean over draws of training texts; None: not measured, see `reason`.
        low: lower end of the 95 % interval; None: not measured, or the value does not vary.
        high: upper end.
        difference: macro-F1 less that of the best arm.
        difference_low: lower end of its 95 % interval.
        difference_high: upper end.
        reason: why it is not measured; None: it is.

    """

    training: str
    rows: int | None
    macro_f1: float | None
    low: float | None = None
    high: float | None = None
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class MatchFacts:
    """Inputs of a match.

    Attributes:
        command: how to repeat it; None: unknown.
        recipe: fingerprint of the recipe of the reference, before an arm is chosen.
        model: "backend", "name" and "revision" of the model.
        prompts: hash of the prompt templates.
        reference: name, digest, sizes of the parts, texts per label, mapped labels and texts that were left out.
        embeddings: name of the embedding model.
        rows: texts per arm.
        seed: seed of the division, the arms and the draws.
        labelled: whether the reference has labels.
        examples: whether real texts were sent to the model.
        personagen: version that measured.

    """

    command: str | None
    recipe: str
    model: Mapping[str, Any]
    prompts: str
    reference: Mapping[str, Any]
    embeddings: str
    rows: int
    seed: int
    labelled: bool
    examples: bool
    personagen: str = __version__


@dataclass(frozen=True, slots=True, repr=False)
class MatchResults:
    """Results of a match.

    Attributes:
        folder: absolute folder of the results.
        facts: inputs.
        arms: one record per arm.
        best: name of the arm of the recipe.
        yardsticks: one record per kind of training texts.
        test: result on the test part beside the yardsticks: `worth` with labels, `distance` without; see match.json.
        conclusions: the results in words.

    """

    folder: Path
    facts: MatchFacts
    arms: ResultTable[MatchedArm]
    best: str
    yardsticks: ResultTable[Yardstick]
    test: Mapping[str, Any]
    conclusions: Sequence[str]

    @property
    def recipe(self) -> Path:
        """File of the recipe of the best arm."""
        return self.folder / MATCH_RECIPE

    def to_pandas(self) -> "pd.DataFrame":
        """Return the yardsticks as a data frame."""
        return self.yardsticks.to_pandas()

    def __repr__(self) -> str:
        return f"<Match: {self.best}, of {len(self.arms)} arms>"

    def _repr_html_(self) -> str:
        return (self.yardsticks if self.facts.labelled else self.arms)._repr_html_()

    def to_json(self) -> dict[str, Any]:
        """Return the content of `match.json`."""
        facts = asdict(self.facts)
        return {
            "format": FORMAT,
            "personagen": facts.pop("personagen"),
            **facts,
            "arms": self.arms.to_dicts(),
            "best": self.best,
            "yardsticks": self.yardsticks.to_dicts(),
            **self.test,
            "conclusions": list(self.conclusions),
        }


def save_match(match: MatchResults) -> None:
    """Write `match.md`, and `match.json` last. Raises FolderError if a file cannot be written."""
    write_text(match.folder / MATCH_TABLES, "\n".join(_lines(match)) + "\n")
    write_json(match.folder / MATCH_RESULTS, match.to_json())


def read_match(folder: str | Path) -> MatchResults:
    """Read the folder of a match.

    Raises:
        ReleaseError: the folder holds no match, a torn one, or one of another version of PersonaGen.

    """
    folder = Path(folder)
    try:
        content = read_plain_json(folder, MATCH_RESULTS)
        if content["format"] != FORMAT:
            raise ReleaseError(
                f"{folder} has the format {content['format']!r:.60}, wanted {FORMAT}; run `match` again, which sends "
                "no request that its journal answers"
            )
        require_content(MatchContent, content)
        return MatchResults(
            folder=folder.absolute(),
            facts=validated(MatchFacts, {item.name: content[item.name] for item in fields(MatchFacts)}),
            arms=ResultTable(MatchedArm, as_records(MatchedArm, content["arms"])),
            best=content["best"],
            yardsticks=ResultTable(Yardstick, as_records(Yardstick, content["yardsticks"])),
            test={key: content[key] for key in ("worth", "reason", "distance") if key in content},
            conclusions=content["conclusions"],
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ReleaseError(f"cannot read the match {folder}: {error!r:.200}; run `match` again") from None


def _lines(match: MatchResults) -> Iterator[str]:
    facts = match.facts
    command = f"`{printable(facts.command)}`, " if facts.command else ""
    reference = facts.reference
    yield f"# Texts like those of {printable(reference['name'])}"
    yield ""
    yield (
        f"{facts.rows} texts per arm by {facts.model['name']} ({facts.model['backend']}); {reference['pool']} real "
        f"texts to work with and {reference['test']} to test on. Intervals are 95 %; "
        f"{command}PersonaGen {facts.personagen}."
    )
    yield ""
    yield from (f"- {line}" for line in match.conclusions)
    yield ""
    yield "## Arms"
    yield ""
    yield (
        "Macro-F1 of a classifier trained on the texts of the arm, on real texts that its prompts have not shown."
        if facts.labelled
        else "Distance of the texts from the real ones (MMD²); less is better. Content counts as much as style."
    )
    yield ""
    head = ["arm", "texts", "missing", "tokens", "macro-F1" if facts.labelled else "MMD²", "95 %"]
    yield from markdown_table(["", *head], [[arm.about, *_arm_cells(arm, match.best)] for arm in match.arms], "ll")
    if not match.yardsticks:
        return
    yield ""
    yield "## Test part"
    yield ""
    yield "Macro-F1 on real texts that nothing above has seen."
    yield ""
    yield from markdown_table(
        ["trained on", "texts", "macro-F1", "95 %", "less that of the arm", "95 %"],
        [_yardstick_cells(yardstick) for yardstick in match.yardsticks],
        "l",
    )


def _arm_cells(arm: MatchedArm, best: str) -> list[str]:
    name = f"**{arm.arm}**" if arm.arm == best else arm.arm
    score = arm.reason or format_number(arm.score)
    return [name, str(arm.texts), str(arm.missing or ""), str(arm.tokens), score, _range(arm.low, arm.high)]


def _yardstick_cells(yardstick: Yardstick) -> list[str]:
    if yardstick.macro_f1 is None:
        return [yardstick.training, "", yardstick.reason or "", "", "", ""]
    return [
        yardstick.training,
        str(yardstick.rows or ""),
        format_number(yardstick.macro_f1),
        _range(yardstick.low, yardstick.high),
        signed(yardstick.difference),
        _range(yardstick.difference_low, yardstick.difference_high, sign=True),
    ]


def _range(low: float | None, high: float | None, *, sign: bool = False) -> str:
    if low is None or high is None:
        return ""
    return f"{signed(low)} to {signed(high)}" if sign else f"{format_number(low)} to {format_number(high)}"
