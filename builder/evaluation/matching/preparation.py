"""Prepare a match: divide the reference, and write its profile and its recipe."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from personagen.builder.core.errors import FolderError
from personagen.builder.core.file_names import MATCH_EXAMPLES, MATCH_LABEL_WORDS, MATCH_PROFILE, MATCH_RECIPE
from personagen.builder.core.files import explain, write_text
from personagen.builder.core.progress import Progress
from personagen.builder.evaluation.arms import ArmSetting, plan_arms
from personagen.builder.evaluation.matching.candidates import CandidateArm, RowFolds
from personagen.builder.evaluation.matching.label_words import label_words
from personagen.builder.evaluation.matching.parts import MatchParts, divide
from personagen.builder.evaluation.matching.recipes import matched_recipe, recipe_file, varied
from personagen.builder.evaluation.matching.usable_texts import UsableTexts, in_proportion
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.styles import OWN_FORM, write_examples
from personagen.metrics.style import measure_profile, write_profile

MATCH_ROWS = 140
"""Default number of texts per arm."""

MIN_LABEL_ROWS = 5
"""Texts per label of every arm: fewer train no classifier."""

PROFILE_TEXTS = 400
"""Texts per label whose features the profile holds."""


@dataclass(frozen=True, slots=True)
class MatchSettings:
    """Settings of a match.

    Attributes:
        reference: real texts, with labels or without; see `load_reference`.
        rows: texts per arm.
        examples: whether prompts may show real texts. None: if the reference is a file or folder of the user.
        embeddings: name of a sentence-transformers model; None: the default model.
        accept_lost_replies: whether replies that a journal has lost may be paid for again.
        command: how to repeat the match, recorded in the results; None: recorded as unknown.

    """

    reference: str
    rows: int = MATCH_ROWS
    examples: bool | None = None
    embeddings: str | None = None
    command: str | None = None
    accept_lost_replies: bool = False


@dataclass(frozen=True, slots=True)
class PreparedMatch:
    """Inputs of all steps of one match.

    Attributes:
        settings: settings of the user.
        out: folder of the results.
        texts: usable texts of the reference.
        parts: pool and test part.
        matched: recipe of the reference.
        rows: rows that all arms share, and the pool.
        folds: fold and real texts of each row.
        shows_examples: whether prompts may show real texts.

    """

    settings: MatchSettings
    out: Path
    texts: UsableTexts
    parts: MatchParts
    matched: Recipe
    rows: ArmSetting
    folds: RowFolds
    shows_examples: bool

    @property
    def is_labelled(self) -> bool:
        """Whether the reference has labels."""
        return self.texts.is_labelled


def prepare_match(recipe: Recipe, settings: MatchSettings, out: Path, texts: UsableTexts) -> PreparedMatch:
    """Divide the reference, and write its profile and its first recipe; both are those of the pool."""
    parts = divide(texts, settings.embeddings, recipe.seed)
    quota = in_proportion(dict(sorted(Counter(parts.pool.labels or ()).items())), settings.rows, MIN_LABEL_ROWS)
    profile = measure_profile(
        MATCH_PROFILE, OWN_FORM, parts.pool.texts, parts.pool.labels, per_label=PROFILE_TEXTS, seed=recipe.seed
    )
    _write_profile(out / MATCH_PROFILE, write_profile(profile))
    matched = matched_recipe(recipe, out / MATCH_PROFILE, settings.rows, quota)
    write_text(out / MATCH_RECIPE, recipe_file(matched, {}, _header(settings, texts, None)))
    rows = plan_arms(varied(matched, {}), parts.pool)
    shows_examples = texts.is_own if settings.examples is None else settings.examples
    return PreparedMatch(settings, out, texts, parts, matched, rows, RowFolds(rows.rows, parts), shows_examples)


def _write_profile(path: Path, table: str) -> None:
    """Write the profile; raise FolderError if the folder has the profile of another reference."""
    try:
        is_other = path.exists() and path.read_text(encoding="utf-8") != table
    except (OSError, UnicodeDecodeError) as error:
        reason = explain(error) if isinstance(error, OSError) else "no text in UTF-8"
        raise FolderError(f"cannot read {path}: {reason}") from error
    if is_other:
        raise FolderError(f"{path.parent} holds the match of other texts; choose another folder with --out")
    write_text(path, table)


def warn_of_choices(prepared: PreparedMatch, progress: Progress) -> None:
    """Warn of what a user may not expect: mapped labels, texts that are left out, real texts that are sent."""
    texts, parts = prepared.texts, prepared.parts
    if texts.mapped:
        pairs = ", ".join(f"{label} as {emotion}" for label, emotion in texts.mapped.items())
        progress.warn(f"labels count as emotions of the taxonomy: {pairs}")
    left_out = dict(texts.left_out) | ({"near the test part": parts.near_test} if parts.near_test else {})
    if left_out:
        progress.warn(f"texts left out: {', '.join(f'{reason} {count}' for reason, count in left_out.items())}")
    if prepared.shows_examples and texts.is_labelled:
        progress.warn(
            "prompts of some arms show real texts or words of the reference; --no-examples leaves these arms out"
        )


def write_recipe(prepared: PreparedMatch, best: CandidateArm) -> None:
    """Write the recipe of the best arm and, if its prompts show real texts, these."""
    changes = dict(best.changes)
    if best.shows == "examples":
        pairs = zip(prepared.parts.pool.labels or (), prepared.parts.pool.texts, strict=True)
        write_text(prepared.out / MATCH_EXAMPLES, write_examples(pairs))
        changes["text.examples"] = str((prepared.out / MATCH_EXAMPLES).absolute())
    if best.shows == "label words":
        words = label_words(prepared.parts.pool.texts, prepared.parts.pool.labels or ())
        table = write_examples((label, word) for label, own in words.items() for word in own)
        write_text(prepared.out / MATCH_LABEL_WORDS, table)
        changes["text.label_words"] = str((prepared.out / MATCH_LABEL_WORDS).absolute())
    header = _header(prepared.settings, prepared.texts, best)
    write_text(prepared.out / MATCH_RECIPE, recipe_file(prepared.matched, changes, header))


def _header(settings: MatchSettings, texts: UsableTexts, best: CandidateArm | None) -> list[str]:
    """Return the comment of the recipe's file: how it was made."""
    lines = [
        f"Made by `{settings.command or 'personagen match'}` from {texts.name}: style and fractions of expressions are "
        f"those of its texts ({MATCH_PROFILE}),",
        "quotas are in proportion to its labels. For more texts, raise rows and quotas alike.",
    ]
    if texts.mapped:
        pairs = ", ".join(f"{label}: {emotion}" for label, emotion in texts.mapped.items())
        lines.append(f"Labels of the reference by emotion: {pairs}.")
    lines.append("No arm is chosen yet." if best is None else f"Arm: {best.name} ({best.about}).")
    return lines
