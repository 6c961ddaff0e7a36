"""All errors of PersonaGen.

PersonaGenError
├── RecipeError        a recipe, an option or a table asks for something impossible
├── FolderError        the output folder holds something else, is locked, or cannot be written
├── BackendError       the language model cannot be loaded or reached: no request can succeed
├── RequestError       one request was refused; others may succeed
├── TransientError     a request failed for now; the same request may succeed later
├── BudgetError        the budget is spent and rows are missing
├── GenerationError    all attempts are spent and rows are missing
├── AllRejectedError   every reply was rejected: change the model, the prompts or the checks
├── MissingReplyError  the journal lacks a reply, and no request may be sent
├── ReleaseError       a folder is no release, or a damaged one
├── LaunchError        a launcher's engine is missing or refuses, or parts of a run are incomplete
└── HubError           the Hub refuses, cannot be reached, or has other content than expected

A message is one line: what was wrong, got, wanted, what to do. The command line prints it and exits with 1.
"""

from collections.abc import Iterator
from contextlib import contextmanager


class PersonaGenError(Exception):
    """Base of all errors that PersonaGen reports to its user."""


class RecipeError(PersonaGenError):
    """A recipe, an option or a table asks for something impossible."""


class FolderError(PersonaGenError):
    """The output folder holds something else, is in use, or cannot be written."""


class BackendError(PersonaGenError):
    """The language model cannot be loaded or reached, so no request can succeed."""


class RequestError(PersonaGenError):
    """The backend refused one request (for example with a 400); its row fails and the run continues.

    Attributes:
        status: HTTP status of the refusal; None: not refused by a status.

    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        """Create the error of a refused request."""
        super().__init__(message)
        self.status = status


class TransientError(PersonaGenError):
    """A request failed in a way that may pass, so that it is retried.

    Attributes:
        overload: whether the server reported or showed that it is overloaded.
        limited: whether it said that this client sends too much (429), and not that it is busy (503).
        unreachable: whether there was no connection at all.
        wait: seconds that the server asked to wait; None: it did not ask.

    """

    def __init__(
        self,
        message: str,
        *,
        overload: bool = False,
        limited: bool = False,
        unreachable: bool = False,
        wait: float | None = None,
    ) -> None:
        """Create the error of a failed request."""
        super().__init__(message)
        self.overload = overload
        self.limited = limited
        self.unreachable = unreachable
        self.wait = wait


class BudgetError(PersonaGenError):
    """The next request might exceed the budget; replies so far are kept."""


class GenerationError(PersonaGenError):
    """All attempts are spent and rows are missing; accepted rows are kept."""


class AllRejectedError(PersonaGenError):
    """No reply was accepted, so that more requests would only cost more."""


class MissingReplyError(PersonaGenError):
    """The journal has no reply to a request, and no request may be sent."""


class ReleaseError(PersonaGenError):
    """A folder is not a release, or a part of it is missing or damaged."""


class LaunchError(PersonaGenError):
    """An engine that runs parts is missing or refuses, or parts are incomplete; shipped replies are kept."""


class HubError(PersonaGenError):
    """The Hub refuses a request, cannot be reached, or has other content than expected."""


@contextmanager
def raise_as(kind: type[PersonaGenError], prefix: str = "") -> Iterator[None]:
    """Raise a ValueError or ImportError of the metrics as an error of PersonaGen, with its message after `prefix`."""
    try:
        yield
    except (ValueError, ImportError) as error:
        raise kind(f"{prefix}{error}") from None
