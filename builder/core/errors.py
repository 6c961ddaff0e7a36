"""Every error that PersonaGen raises on purpose.

PersonaGenError
├── RecipeError        a recipe, an option or a table says something that cannot be done
├── FolderError        the output folder holds something else, is locked, or cannot be written
├── BackendError       the language model cannot be loaded or reached: no request can succeed
├── RequestError       one request was refused; others may succeed
├── TransientError     a request failed for now; the same one may succeed later
├── BudgetError        the budget is spent and rows are still missing
├── GenerationError    the attempts are spent and rows are still missing
├── AllRejectedError   every reply was refused: the model, the prompts or the checks will not do
├── ReleaseError       a folder is no release, or a damaged one
└── HubError           the Hub refuses, cannot be reached, or holds something else than it should

A message is one line: what was wrong, what was found, what was wanted, what to do. The command line prints it and exits
with 1.
"""

from collections.abc import Iterator
from contextlib import contextmanager


class PersonaGenError(Exception):
    """Root of the tree: catch this to catch everything that PersonaGen reports to its user."""


class RecipeError(PersonaGenError):
    """A recipe, an option or a table says something that cannot be done."""


class FolderError(PersonaGenError):
    """The output folder holds something else, is in use, or cannot be written."""


class BackendError(PersonaGenError):
    """The language model cannot be loaded or reached, so no request can succeed."""


class RequestError(PersonaGenError):
    """The backend refused one request (a 400, say); the row fails, the run goes on."""


class TransientError(PersonaGenError):
    """A request failed in a way that may pass: it is sent again after a while.

    Attributes:
        overload: whether the server said or showed that it has too much to do.
        unreachable: whether there was no connection at all.
        wait: seconds that the server asked to wait; None where it did not say.

    """

    def __init__(
        self, message: str, *, overload: bool = False, unreachable: bool = False, wait: float | None = None
    ) -> None:
        """Say what failed, and how."""
        super().__init__(message)
        self.overload = overload
        self.unreachable = unreachable
        self.wait = wait


class BudgetError(PersonaGenError):
    """The next request might exceed the budget; what was paid for is kept."""


class GenerationError(PersonaGenError):
    """The attempts are spent and rows are still missing; what was accepted is kept."""


class AllRejectedError(PersonaGenError):
    """Not one reply was accepted, so that going on would only cost more."""


class ReleaseError(PersonaGenError):
    """A folder is not a release, or a part of it is missing or damaged."""


class HubError(PersonaGenError):
    """The Hub refuses something, cannot be reached, or holds something else than it should."""


@contextmanager
def raise_as(kind: type[PersonaGenError], prefix: str = "") -> Iterator[None]:
    """Raise a ValueError or ImportError of the metrics as an error of PersonaGen, with its message after `prefix`."""
    try:
        yield
    except (ValueError, ImportError) as error:
        raise kind(f"{prefix}{error}") from None
