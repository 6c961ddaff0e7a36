"""The state of a run: a small file with the fingerprint and the settings of its recipe."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from personagen.builder.core.errors import FolderError
from personagen.builder.core.file_names import JOURNAL, LOCK
from personagen.builder.core.files import write_text
from personagen.builder.planning.personas.tables import tables_id
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.recipe.differences import describe_differences, differ_in_rows_alone
from personagen.builder.release.run.locking import is_unused

FORMAT = "personagen-run/1"
STATE = "run.json"
KEPT_CARD = "card.md"
OURS = frozenset({LOCK, f"{STATE}.part", KEPT_CARD, f"{KEPT_CARD}.part"})
"""Files that may be in a run folder without `run.json`."""


@dataclass(frozen=True, slots=True)
class RunRecipe:
    """The recipe of a run, as far as its folder must know it.

    Attributes:
        fingerprint: fingerprint of the recipe.
        settings: its settings as plain data; see `Recipe.identity`. Empty: unknown.
        unstyled: fingerprint of the same recipe with `expression: shown`, which earlier versions gave it. None: it asks
            for no expression.
        personas: id of the tables that personas are drawn from; see `tables_id`. Empty: no row has a persona.
        base: fingerprint of the recipe of the release that gets further rows; see `grow`. None: the release is new.

    """

    fingerprint: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    unstyled: str | None = None
    personas: str = ""
    base: str | None = None

    def explain_other(self, fingerprint: str, settings: Mapping[str, Any], *, has_release: bool) -> str:
        """Explain how another recipe differs and how to continue its run, for an error about its folder.

        Args:
            fingerprint: fingerprint of the other recipe.
            settings: its settings. Empty: unknown.
            has_release: whether there is a release of it, which can get further rows.

        """
        differences = describe_differences(settings, self.settings) if settings and self.settings else ""
        problem = f"recipe {fingerprint}, this recipe is {self.fingerprint}"
        if differences:
            problem = f"another recipe: {differences}"
            if has_release and differ_in_rows_alone(settings, self.settings):
                problem += "; keep its texts and add rows with --append"
        # Releases of earlier versions, whose texts are all `shown`.
        is_shown = fingerprint == self.unstyled
        return (
            f"{problem}; {'add `expression: shown` to the recipe, or --expression shown, to continue it, ' * is_shown}"
        )


def run_recipe(recipe: Recipe) -> RunRecipe:
    """Return a recipe as far as the folder of its run must know it."""
    has_personas = any(depth != "none" for depth in (recipe.depth, *recipe.ablations))
    personas = tables_id() if has_personas else ""
    return RunRecipe(recipe.fingerprint(), recipe.identity(), _unstyled(recipe), personas)


def _unstyled(recipe: Recipe) -> str | None:
    """Return the fingerprint of a recipe with `expression: shown` and without a style. None: it has neither."""
    if recipe.mixture() is None:
        return None
    text = recipe.text.model_copy(update={"style": None})
    return recipe.model_copy(update={"expression": "shown", "text": text}).fingerprint()


def check_run(root: Path, recipe: RunRecipe) -> None:
    """Raise FolderError if a run folder is of another recipe or of another program; claim one without a reply.

    Earlier versions left `run.json` without bytes after a power cut in the first half minute of a run. The same command
    is likely to follow, so the recipe at hand claims such a run; replies to other requests are not touched.

    Args:
        root: folder of the run.
        recipe: the recipe at hand.

    """
    state = root / STATE
    first = "" if recipe.base is None else " in place of --append and with the rows that the release has"
    if not state.is_file():
        _require_no_foreign_file(root, first)
        claim(state, recipe)
        return
    try:
        text = state.read_text(encoding="utf-8")
        if not text.strip("\0"):
            claim(state, recipe)
            return
        data = json.loads(text)
        other, format_, settings = data["fingerprint"], data["format"], dict(data.get("recipe") or {})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FolderError(
            f"cannot read {state}: {error}; if the run is of this recipe, continue it with --reuse{first}, which keeps "
            "its replies"
        ) from error
    grows = recipe.base is not None and data.get("personas", "") == recipe.personas
    # A run that was to add other rows to the same release has replies that none of its texts needs.
    if format_ == FORMAT and (is_unused(root) or (grows and differ_in_rows_alone(settings, recipe.settings))):
        claim(state, recipe)
    elif format_ != FORMAT or other != recipe.fingerprint:
        raise FolderError(
            f"{root} has a run of {recipe.explain_other(str(other), settings, has_release='batches' in settings)}"
            "choose another folder with --out, set the old run aside with --fresh, or take over its replies by --reuse"
        )
    elif data.get("personas", "") != recipe.personas:
        raise FolderError(
            f"{root} has a run with other tables of personas, of another version of personagen: its replies fit no "
            "persona of this version; finish it with that version, set it aside with --fresh, or request new replies "
            "with --reuse"
        )


def _require_no_foreign_file(root: Path, first: str) -> None:
    foreign = [entry.name for entry in root.iterdir() if entry.name not in OURS]
    if JOURNAL in foreign:
        raise FolderError(
            f"{root} has a journal and no {STATE}; if the run is of this recipe, continue it with --reuse{first}, "
            "which keeps its replies"
        )
    if foreign:
        raise FolderError(f"{root} is not a run folder ({foreign[0]}); choose another folder with --out")


def claim(state: Path, recipe: RunRecipe) -> None:
    """Assign a run to a recipe."""
    data = {
        "format": FORMAT, "fingerprint": recipe.fingerprint, "recipe": recipe.settings, "personas": recipe.personas,
    }  # fmt: skip
    write_text(state, json.dumps({key: value for key, value in data.items() if value}) + "\n")


def is_run_of(root: Path, fingerprint: str) -> bool:
    """Return whether a run folder is of the recipe with this fingerprint; one that lost its bytes is."""
    try:
        text = (root / STATE).read_text(encoding="utf-8")
        return not text.strip("\0") or json.loads(text)["fingerprint"] == fingerprint
    except (OSError, ValueError, KeyError, TypeError):
        return False
