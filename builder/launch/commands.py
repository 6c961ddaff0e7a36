"""The command lines of the parts of a run, which all launchers start; they hold no secret."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from personagen.builder.core.errors import LaunchError
from personagen.builder.core.foreign_text import environment_secrets, holds_secret
from personagen.builder.segments.shared_folder import require_no_password
from personagen.builder.segments.store import CONTENT

MODULE = ("-P", "-m", "personagen")
"""Arguments of Python for the command; -P: a file of the working directory replaces no module."""


@dataclass(frozen=True, slots=True)
class PartCommands:
    """The command lines of all parts of a run.

    Attributes:
        recipe: absolute path of the recipe. None: every default.
        parts: number of parts.
        journals: URL or absolute path of the folder of journals.
        options: options of the recipe as they were given, each in one word (`--rows=70`).
        own_options: options that `fill` alone has, in the same form.
        work: absolute path of a folder, on the disk of each machine, in which each part has one for its own journal.
            None: a folder that `fill` chooses.

    """

    recipe: str | None
    parts: int
    journals: str
    options: tuple[str, ...] = ()
    own_options: tuple[str, ...] = ()
    work: str | None = None

    def fill_without_part(self) -> tuple[str, ...]:
        """Return the arguments of `personagen` that all parts have in common; `--part=I/N` and `--work` follow them."""
        return (*self._of("fill"), *self.own_options)

    def fill(self, part: int) -> tuple[str, ...]:
        """Return the arguments of `personagen` that fill a part."""
        work = () if self.work is None else (f"--work={self.work}/part-{part}-of-{self.parts}",)
        return (*self.fill_without_part(), f"--part={part}/{self.parts}", *work)

    def fill_all(self) -> tuple[tuple[str, ...], ...]:
        """Return the arguments of `personagen` for every part, in order."""
        return tuple(self.fill(part) for part in range(self.parts))

    def join(self, folder: str) -> tuple[str, ...]:
        """Return the arguments of `personagen` that write the release from the journals to a folder."""
        return (*self._of("generate"), f"--out={folder}")

    def _of(self, command: str) -> tuple[str, ...]:
        # The path is absolute, so that it is no option whatever its name begins with.
        return (command, *((self.recipe,) if self.recipe else ()), *self.options, f"--journals={self.journals}")


def make_commands(
    recipe: Path | None,
    parts: int,
    journals: str,
    options: Sequence[str] = (),
    own_options: Sequence[str] = (),
    work: Path | None = None,
) -> PartCommands:
    """Return the command lines of a run; local paths become absolute, because workers have other working directories.

    Args:
        recipe: path of the recipe. None: every default.
        parts: see `PartCommands`.
        journals: URL or path of the folder of journals.
        options: see `PartCommands`.
        own_options: see `PartCommands`.
        work: see `PartCommands`.

    Raises:
        FolderError: the address of the journals has a password.
        LaunchError: a word holds a secret, which other users of a machine could read in the list of processes.

    """
    if not is_url(journals):
        journals = str(Path(journals).absolute())
    require_no_password(journals, CONTENT)
    path = None if recipe is None else str(recipe.absolute())
    own_folder = None if work is None else str(work.absolute())
    commands = PartCommands(path, parts, journals, tuple(options), tuple(own_options), own_folder)
    secrets = environment_secrets()
    if any(holds_secret(word, secrets) for word in commands.fill(0)):
        raise LaunchError(
            "an option holds the value of a secret environment variable, which command lines show; leave it out: each "
            "worker reads its key from its environment or from --api-key-file"
        )
    return commands


def is_url(journals: str) -> bool:
    """Return whether journals are addressed by a URL, and not by a path."""
    return "://" in journals


def process_words(arguments: Sequence[str], python: str = sys.executable) -> tuple[str, ...]:
    """Return the words of a process that runs `personagen` with these arguments."""
    return (python, *MODULE, *arguments)


def require_complete(codes: Sequence[int | None], advice: str) -> None:
    """Raise LaunchError unless every part is complete.

    Args:
        codes: exit code of each part, negative for a signal. None: it has not run, or its engine says that it failed.
        advice: what completes the parts.

    """
    failed = {part: code for part, code in enumerate(codes) if code != 0}
    if failed:
        shown = ", ".join(f"{part}/{len(codes)} ({_outcome(code)})" for part, code in failed.items())
        noun = "part" if len(failed) == 1 else "parts"
        raise LaunchError(f"{len(failed)} of {len(codes)} parts are incomplete: {noun} {shown}; {advice}")


def _outcome(code: int | None) -> str:
    if code is None:
        return "not completed"
    return f"exit code {code}" if code >= 0 else f"killed by signal {-code}"
