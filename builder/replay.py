"""Replay a release: build all of it again from its recipe and the replies of its models, without a call, and compare.

manifest -> recipe (of the segments, the run or the caller) + replies -> release in a temporary folder -> differences
"""

import json
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from personagen.builder.core.errors import (
    AllRejectedError,
    FolderError,
    GenerationError,
    MissingReplyError,
    RecipeError,
    ReleaseError,
)
from personagen.builder.core.event_loop import compute_in_thread, run_blocking
from personagen.builder.core.file_names import RECIPE
from personagen.builder.core.files import copy_file, explain, make_folder
from personagen.builder.core.foreign_text import quote
from personagen.builder.core.progress import SILENT, Progress
from personagen.builder.generate import write_release
from personagen.builder.llm import EngineModel
from personagen.builder.llm.journal_only import ModelIdentity, identity_of_model
from personagen.builder.llm.storage.opening import write_copy
from personagen.builder.llm.storage.stored_replies import StoredReply
from personagen.builder.planning.recipe import Recipe
from personagen.builder.planning.recipe.differences import describe_differences
from personagen.builder.planning.recipe.public import republished
from personagen.builder.release.folder import ADDED, written_files
from personagen.builder.release.manifest import differing_parts
from personagen.builder.release.model_facts import named_models
from personagen.builder.release.results import RESULT_FACTS
from personagen.builder.release.run.origin import origin_of
from personagen.builder.release.run.preparation import begun, prepare
from personagen.builder.release.run.replies import MissingRows, ReplySource, journal_models, models_of_run
from personagen.builder.release.run.run_folder import RunFolder, run_folder_of
from personagen.builder.release.run.space import require_space_for_release
from personagen.builder.segments.segment import Origin
from personagen.builder.segments.store import DamagedSegmentError, SegmentStore, open_store
from personagen.builder.version import __version__

MAX_NAMED = 5
"""Most differences that a message names."""

VERSIONED = ("personagen", "citation", "croissant", "digest")
"""Keys of a manifest that name the version, or follow from it."""

ANOTHER_COPY = "download it again, or name another copy with --journals"
"""Advice on a damaged segment."""

OnReplies = Callable[[Origin, Iterator[StoredReply]], None]
"""Receives the run of a release and the replies that the release uses, in the order of their keys."""


@dataclass(frozen=True, slots=True)
class ReplaySettings:
    """What a release is replayed from.

    Attributes:
        journals: folder, address or store of segments. None: the published journal of a repository, or the journal of
            the run of a folder.
        recipe: recipe of the release. None: the one in the segments, or in the folder of the run.

    """

    journals: str | SegmentStore | None = None
    recipe: Recipe | None = None


@dataclass(frozen=True, slots=True)
class Replay:
    """Result of a replay.

    Attributes:
        replies: distinct replies that the release is made of.
        differences: files and keys of the manifest that are not as they were made again; empty: there is none.
        not_compared: keys of the manifest that a generation does not make, or another version makes otherwise.

    """

    replies: int
    differences: tuple[str, ...]
    not_compared: tuple[str, ...]

    def problem(self) -> str:
        """Return the differences on one line; "": there is none."""
        further = len(self.differences) - MAX_NAMED
        named = "; ".join(self.differences[:MAX_NAMED])
        return named + (f"; and {further} more" if further > 0 else "")


def replay(
    manifest: Mapping[str, Any],
    settings: ReplaySettings,
    *,
    folder: Path | None = None,
    progress: Progress = SILENT,
    on_replies: OnReplies = lambda origin, replies: None,
) -> Replay:
    """Build a release again from its replies, without a call, and compare it with its manifest.

    Args:
        manifest: manifest of the release.
        settings: where its replies and its recipe are.
        folder: folder of the release, whose run is beside it. None: it is on the Hub.
        progress: receives the counts and the remarks.
        on_replies: receives the replies that the release uses, once it is built.

    Raises:
        ReleaseError: this version makes other requests, or the replies make no release.
        MissingReplyError: a reply is missing.
        RecipeError: the recipe is not at hand, or is another one.
        FolderError: there are no replies, or they are damaged or of another run; a file cannot be written.

    """
    return run_blocking(_replay(manifest, settings, folder, progress, on_replies))


async def _replay(
    manifest: Mapping[str, Any],
    settings: ReplaySettings,
    folder: Path | None,
    progress: Progress,
    on_replies: OnReplies,
) -> Replay:
    with tempfile.TemporaryDirectory(prefix="personagen-") as scratch:
        out = Path(scratch) / "release"
        run = RunFolder(out, run_folder_of(out))
        make_folder(run.inputs)
        known = await compute_in_thread(lambda: _known_recipe(manifest, settings, folder, run))
        recipe = _recipe_of(manifest, await begun(known, lambda: run.inputs, progress))
        _report_versions(manifest, recipe, progress)
        plan, label_check = await compute_in_thread(lambda: prepare(recipe, run, progress))
        require_space_for_release(plan, run.out, run.root, run.journal)
        try:
            if settings.journals is None:
                models: Sequence[EngineModel] = journal_models(recipe, _identities(manifest, recipe))
                missing: MissingRows | None = MissingRows()
            else:
                source = ReplySource(settings.journals, calls=False)
                models, missing = await models_of_run(plan, run, source, progress)
            assert missing is not None, "no model may be called"
            missing.advice = "name all of its replies with --journals"
            identities = [identity_of_model(model.backend) for model in models]
            origin = replace(origin_of(plan, identities), personagen=manifest["personagen"])
            done = await write_release(
                models,
                plan,
                run,
                progress,
                label_check,
                missing=missing,
                on_written=lambda replies: on_replies(origin, replies),
            )
        except (GenerationError, AllRejectedError, MissingReplyError) as error:
            raise type(error)(f"the release cannot be replayed: {error}") from error
        except FolderError as error:
            if isinstance(damage := error.__cause__, DamagedSegmentError):
                raise FolderError(f"{damage}; {ANOTHER_COPY}") from error
            raise
        return _compared(manifest, done.manifest)


def _known_recipe(manifest: Mapping[str, Any], settings: ReplaySettings, folder: Path | None, run: RunFolder) -> Recipe:
    """Return the recipe that is given, or that of the replies; take over the journal of the release's own run."""
    if settings.journals is None:
        return _take_over(folder, run, settings.recipe)
    if settings.recipe is not None:
        return settings.recipe
    journals = settings.journals
    store = open_store(journals) if isinstance(journals, str) else journals
    return _recipe_in(store, manifest["fingerprint"])


def _recipe_in(store: SegmentStore, fingerprint: str) -> Recipe:
    """Return the recipe of a release from the header of one of its segments."""
    others = []
    damage = None
    for file in store.sizes():
        try:
            origin = store.header(file).origin
        except DamagedSegmentError as error:
            damage = error
            continue
        if origin.fingerprint == fingerprint:
            return republished(origin.recipe, f"the segments in {store.url}")
        others.append(origin.fingerprint)
    if damage is not None:
        raise FolderError(f"{damage}; {ANOTHER_COPY}") from damage
    if not others:
        raise FolderError(
            f"there is no segment in {store.url}; name the folder or address of the replies with --journals"
        )
    named = ", ".join(quote(other) for other in dict.fromkeys(others[:3]))
    raise FolderError(
        f"no segment in {store.url} is of the recipe of this release, {fingerprint}: they are of {named}; name its own "
        "with --journals"
    )


def _take_over(folder: Path | None, run: RunFolder, recipe: Recipe | None) -> Recipe:
    """Copy the journal of a release's own run, with the texts and the personas that it has kept; return its recipe."""
    assert folder is not None, "a release on the Hub has segments"
    own = RunFolder(folder, run_folder_of(folder))
    if not own.journal.is_file():
        raise FolderError(f"{own.root} has no journal to replay {folder} from; name its replies with --journals")
    if recipe is None:
        recipe = _kept_recipe(own)
    try:
        for pattern in (own.personas.name, "*.real-texts.json"):
            for path in own.inputs.glob(pattern):
                copy_file(path, run.inputs / path.name)
        with closing(sqlite3.connect(own.journal)) as database:
            write_copy(database, run.journal)
    except OSError as error:
        raise FolderError(f"cannot copy {own.root}: {explain(error)}") from error
    except sqlite3.Error as error:
        raise FolderError(
            f"cannot read {own.journal}: {error}; run the same generate command again, which mends the journal"
        ) from error
    return recipe


def _kept_recipe(own: RunFolder) -> Recipe:
    path = own.root / RECIPE
    try:
        settings = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise RecipeError(
            f"{own.root} has no {RECIPE}; run the same generate command again, which writes it without a call, or give "
            "the recipe by --recipe FILE"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise RecipeError(f"cannot read {path}: {error}; give the recipe by --recipe FILE") from error
    return republished(settings if isinstance(settings, Mapping) else {"": settings}, str(path), own.inputs)


def _recipe_of(manifest: Mapping[str, Any], recipe: Recipe) -> Recipe:
    """Return the recipe of a release, with the batches that --append has added; raise RecipeError for another one."""
    there = manifest["recipe"]
    if recipe.batches is None and there.get("batches"):
        batches = tuple(there["batches"])
        recipe = recipe.model_copy(update={"rows": there["rows"], "quotas": None, "batches": batches})
    if recipe.fingerprint() != manifest["fingerprint"]:
        differences = describe_differences(there, recipe.identity())
        raise RecipeError(
            f"the recipe is not that of the release: {differences or 'this version reads it otherwise'}; give its own "
            "by --recipe FILE"
        )
    return recipe


def _report_versions(manifest: Mapping[str, Any], recipe: Recipe, progress: Progress) -> None:
    """Report another version that made the release; raise ReleaseError if this one sends other requests."""
    made_by = manifest["personagen"]
    if parts := [part for part in differing_parts(manifest, recipe) if part != "another licence"]:
        raise ReleaseError(
            f"the release has {' and '.join(parts)} than PersonaGen {__version__} and this recipe have, so its replies "
            f"answer other requests; replay it with PersonaGen {quote(made_by)}"
        )
    if made_by != __version__:
        progress.warn(
            f"the release was made by PersonaGen {quote(made_by)}, this is {__version__}; all is compared but what "
            f"names the version ({', '.join(VERSIONED)})"
        )


def _identities(manifest: Mapping[str, Any], recipe: Recipe) -> list[ModelIdentity]:
    """Return the models of a release, as the keys of their replies identify them."""
    models = named_models(manifest)
    return [
        ModelIdentity(model["backend"], model["name"], model["revision"], model["license"], choice.variant())
        for model, choice in zip(models, recipe.backends, strict=True)
    ]


def _compared(manifest: Mapping[str, Any], made: Mapping[str, Any]) -> Replay:
    """Compare the manifest of a release with that of its replay."""
    made = json.loads(json.dumps(made))
    skipped = _results_of(manifest) | ({*VERSIONED} if manifest["personagen"] != __version__ else set())
    differences = tuple(_differences(manifest, made, skipped))
    return Replay(made["usage"]["requests"], differences, tuple(sorted(skipped & {*manifest})))


def is_same_generation(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two manifests are of the same release, whatever results were added to it."""
    return not any(_differences(one, other, _results_of(one) | _results_of(other)))


def _results_of(manifest: Mapping[str, Any]) -> set[str]:
    """Return the keys of a manifest that results add or change; empty: it has none."""
    has_results = any(manifest.get(key) for key in ADDED)
    return {*ADDED, *RESULT_FACTS, "croissant", "digest"} if has_results else set()


def _differences(there: Mapping[str, Any], here: Mapping[str, Any], skipped: AbstractSet[str]) -> Iterator[str]:
    """Yield the files, then the keys of a manifest that differ from those of another one."""
    files, made = ({file["path"]: file for file in written_files(each)} for each in (there, here))
    for path in dict.fromkeys([*files, *made]):
        if files.get(path) != made.get(path):
            yield f"{path} is {'not made' if path not in made else 'missing' if path not in files else 'another one'}"
    for key in dict.fromkeys([*there, *here]):
        if key != "shards" and key not in skipped and there.get(key) != here.get(key):
            yield f"{key} of the manifest is another one"
