"""Join segments into a journal: their union, whatever their order and however often a reply is among them."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from personagen.builder.core.errors import FolderError
from personagen.builder.core.foreign_text import quote
from personagen.builder.llm.journal_only import ModelIdentity
from personagen.builder.llm.storage.merging import Merged, open_for_merging
from personagen.builder.llm.storage.opening import JournalFile
from personagen.builder.planning.parts import Part
from personagen.builder.planning.recipe.differences import describe_differences
from personagen.builder.planning.recipe.public import files_of
from personagen.builder.segments.segment import Origin, SegmentName, parse_name, read_replies
from personagen.builder.segments.store import DamagedSegmentError, SegmentStore

MAX_NAMES = 3
"""Upper bound on the files that a warning names."""


@dataclass(frozen=True, slots=True)
class JoinRules:
    """Which segments a run takes.

    Attributes:
        origin: the run at hand; its models are unknown (empty) if no model is connected.
        any_recipe: whether replies to other recipes are taken too; they answer what requests are equal.
        accept_lost_replies: whether damaged segments are left out, and their replies paid for again.
        only: which segments are joined, by their names; None: all.

    """

    origin: Origin
    any_recipe: bool = False
    accept_lost_replies: bool = False
    only: Callable[[SegmentName], bool] | None = None


@dataclass(frozen=True, slots=True)
class Joined:
    """Result of a join.

    Attributes:
        files: segments that belong to the run, those that were joined before included.
        parts: parts that they are of.
        models: models that were asked, as the segments name them; empty: there is no segment.
        merged: what was new.
        doubled: files that have the content of another one.

    """

    files: tuple[str, ...]
    parts: tuple[Part, ...]
    models: tuple[ModelIdentity, ...]
    merged: Merged
    doubled: tuple[str, ...]


def join(store: SegmentStore, journal: JournalFile, rules: JoinRules) -> Joined:
    """Join the segments of a store into a journal; those that are in it already are not read again.

    All headers are checked before the first reply is joined.

    Raises:
        FolderError: a segment is of another recipe, of a newer version, of other models or damaged; the journal cannot
            be written.

    """
    names = dict(_chosen(store, rules))
    if rules.only is None:
        _warn_of_others(store, journal.warn)
    refusal = _Refusal(rules, journal.warn)
    models, damaged = _models(store, names, rules)
    files: dict[str, str] = {}
    with open_for_merging(journal) as merger:
        for file in models:
            digest = names[file].digest
            try:
                if digest not in files and not merger.has(digest):
                    with store.local(file) as path:
                        merger.add(digest, read_replies(path))
            except DamagedSegmentError as error:
                damaged[file] = error
            else:
                files.setdefault(digest, file)
    for file in damaged:
        if names[file].digest not in files:  # else a copy of it is whole
            refusal.of_damaged(damaged[file], names[file])
    doubled = [file for file in models if file not in damaged and files.get(names[file].digest) != file]
    parts = sorted({name.part for name in names.values()})
    used = next(iter(models.values()), ())
    return Joined(tuple(files.values()), tuple(parts), used, merger.merged, tuple(doubled))


def _warn_of_others(store: SegmentStore, warn: Callable[[str], None]) -> None:
    """Warn of files that are no segment; raise FolderError if one is, by another name."""
    files = store.others()
    for file in files:
        with suppress(DamagedSegmentError):
            store.header(file)
    if files:
        more = f" and {len(files) - MAX_NAMES:,} more" if len(files) > MAX_NAMES else ""
        shown = ", ".join(quote(file, limit=120) for file in files[:MAX_NAMES])
        warn(f"{store.url} has files that are no segments and are left out: {shown}{more}")


def _chosen(store: SegmentStore, rules: JoinRules) -> Iterator[tuple[str, SegmentName]]:
    for file in store.sizes():
        name = parse_name(file)
        if name is not None and (rules.only is None or rules.only(name)):
            yield file, name


def _models(
    store: SegmentStore, names: Iterable[str], rules: JoinRules
) -> tuple[dict[str, tuple[ModelIdentity, ...]], dict[str, DamagedSegmentError]]:
    """Return the models of every segment once its header is checked, and the errors of those that are damaged."""
    models: dict[str, tuple[ModelIdentity, ...]] = {}
    damaged: dict[str, DamagedSegmentError] = {}
    for file in names:
        known = rules.origin.models or next(iter(models.values()), ())
        try:
            models[file] = _models_of(store, file, replace(rules.origin, models=known), any_recipe=rules.any_recipe)
        except DamagedSegmentError as error:
            damaged[file] = error
    return models, damaged


def _models_of(store: SegmentStore, file: str, own: Origin, *, any_recipe: bool) -> tuple[ModelIdentity, ...]:
    try:
        origin = store.header(file).origin
        foreign = foreign_origin(origin, own, any_recipe=any_recipe)
        if foreign is not None:
            raise FolderError(f"segment {quote(file, limit=120)} in {store.url} {foreign.problem}; {foreign.advice}")
    except DamagedSegmentError:
        raise
    except FolderError:
        with store.local(file):  # an altered file may look like one of another run, and is reported as damaged
            pass
        raise
    return origin.models


@dataclass(frozen=True, slots=True)
class _Refusal:
    """What happens at a damaged segment."""

    rules: JoinRules
    warn: Callable[[str], None]

    def of_damaged(self, error: DamagedSegmentError, name: SegmentName) -> None:
        """Raise the error with its remedy, or warn where lost replies are accepted."""
        if not self.rules.accept_lost_replies:
            raise FolderError(
                f"{error}; remove it and run part {name.part} again on the machine that wrote it, which ships it anew, "
                "or leave it out and pay for its replies again with --accept-lost-replies"
            ) from error
        self.warn(f"{error}; it is left out, and its replies are requested again")


@dataclass(frozen=True, slots=True)
class ForeignOrigin:
    """Why the replies of another run are not those of this one.

    Attributes:
        problem: what differs, as the end of a sentence about a segment.
        advice: what to do about it where segments are joined.

    """

    problem: str
    advice: str


def foreign_origin(origin: Origin, own: Origin, *, any_recipe: bool = False) -> ForeignOrigin | None:
    """Return why the replies of another run are not those of this one; None: they are.

    Args:
        origin: run of a segment.
        own: the run at hand; without models it takes those of any.
        any_recipe: whether replies to another recipe are welcome.

    """
    if version_of(origin.personagen) > version_of(own.personagen):
        problem = f"is of PersonaGen {quote(origin.personagen)}, this is {own.personagen}"
        return ForeignOrigin(problem, "install that version")
    if any_recipe:
        return None
    if origin.fingerprint != own.fingerprint:
        differences = describe_differences(origin.recipe, own.recipe) or _of_files(origin, own)
        advice = "name another folder, or join its replies with generate --reuse"
        return ForeignOrigin(f"is of another recipe: {differences}", advice)
    if origin.material != own.material:
        return ForeignOrigin(
            f"is of other prompts, tables or personas, by PersonaGen {quote(origin.personagen)}: its replies answer "
            "other requests",
            "use the version and the files that it was written with",
        )
    if own.models and _keys(origin.models) != _keys(own.models):
        names = " and ".join(str(model) for model in origin.models)
        return ForeignOrigin(
            f"has replies of {quote(names, limit=200)}, wanted {' and '.join(map(str, own.models))}",
            "use the same model, revision and body on every machine, or name another folder with --journals",
        )
    return None


def _of_files(origin: Origin, own: Origin) -> str:
    """Return how two recipes with the same settings differ: by the content of their files, or by their version."""
    fingerprints = f"recipe {quote(origin.fingerprint)}, this recipe is {own.fingerprint}"
    files = ", ".join(quote(name) for name in files_of(own.recipe))
    return (
        f"{fingerprints}, whose settings are equal, so a file has another content ({files})" if files else fingerprints
    )


def _keys(models: Sequence[ModelIdentity]) -> list[ModelIdentity]:
    """Return models without their licence, which changes no request."""
    return [replace(model, licence=None, variant=dict(model.variant)) for model in models]


def version_of(text: str) -> tuple[int, ...]:
    """Return the numbers of a version; of a text that has none, the lowest."""
    return tuple(int(digits) for digits in re.findall(r"\d{1,9}", text)[:3])
