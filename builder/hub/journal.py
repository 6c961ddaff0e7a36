"""The journal that is published with a release: the replies that make it again, found by replaying it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from personagen.builder.core.errors import ReleaseError
from personagen.builder.core.progress import Progress
from personagen.builder.hub.repo_files import FilesByPath, FileVersion
from personagen.builder.llm.storage.stored_replies import StoredReply
from personagen.builder.planning.recipe import Recipe
from personagen.builder.release.tables.shards import file_digest
from personagen.builder.replay import ReplaySettings, replay
from personagen.builder.segments.publication import FOLDER, PublishedJournal, write_journal
from personagen.builder.segments.segment import Origin


@dataclass(frozen=True, slots=True)
class JournalSize:
    """What is published of the replies of a release.

    Attributes:
        replies: number of replies.
        files: number of files.
        bytes: size of the files.
        license: licence of the dataset, which is that of the replies too. None: the recipe claims none.

    """

    replies: int
    files: int
    bytes: int
    license: str | None

    def __str__(self) -> str:
        """Return the size and the licence on one line."""
        files = "1 file" if self.files == 1 else f"{self.files:,} files"
        terms = self.license or "no licence: the terms of the model decide"
        return f"{self.replies:,} replies, {self.bytes:,} bytes in {files}, rejected texts included; {terms}"


@dataclass(frozen=True, slots=True)
class ReplayedJournal:
    """The files of a journal that has made its release again, by their paths in the repository, and their size."""

    files: FilesByPath
    size: JournalSize


def replayed_journal(
    folder: Path, manifest: Mapping[str, Any], recipe: Recipe | None, scratch: Path, progress: Progress
) -> ReplayedJournal:
    """Write the journal of a release into a folder, once it has made the release again.

    Args:
        folder: the release, with its run beside it.
        manifest: its manifest.
        recipe: its recipe. None: the one in the folder of the run.
        scratch: folder for the segments.
        progress: receives the counts, then the size and the licence.

    Raises:
        ReleaseError: the journal makes another release.
        PersonaGenError: the release cannot be replayed; see `replay`.

    """
    written: list[PublishedJournal] = []

    def write(origin: Origin, replies: Iterator[StoredReply]) -> None:
        written.append(write_journal(scratch, origin, replies))

    done = replay(manifest, ReplaySettings(recipe=recipe), folder=folder, progress=progress, on_replies=write)
    if done.differences:
        raise ReleaseError(
            f"{folder} is not what its journal makes: {done.problem()}; push it without --journal, or run its "
            "generate command again"
        )
    (journal,) = written
    licence = manifest.get("license") or {}
    name = licence.get("license_name") or licence.get("license")
    size = JournalSize(journal.replies, len(journal.paths), journal.bytes, name)
    progress.step(f"publishing the journal: {size}")
    files = {
        f"{FOLDER}/{path.name}": FileVersion(path.stat().st_size, file_digest(path), path=path)
        for path in journal.paths
    }
    return ReplayedJournal(files, size)
