"""Calls of the Hub: repeated where its client gives up at once, and told in one line where nothing helps."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from personagen.builder.core.errors import HubError
from personagen.builder.core.retry_after import retry_after

if TYPE_CHECKING:
    from huggingface_hub import HfApi

TRIES = 5
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 16.0
"""Seconds before the second try, and at most; each pause is twice the one before."""

LONGEST_WISH = 300.0
"""Seconds of `Retry-After` that are waited for; who asks for more is gone for now."""

PASSING = frozenset({408, 409, 412, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})
"""Statuses that may pass: busy, overtaken, too many requests, broken for now, and what gateways say of that."""


@dataclass(frozen=True, slots=True)
class Caller:
    """One user of the Hub.

    Attributes:
        api: the client, with the user's token.
        sleep: what waits between two tries.
        progress: called with the bytes of large files that were sent, and with all there are to send.

    """

    api: "HfApi"
    sleep: Callable[[float], None] = field(default=time.sleep)
    progress: Callable[[int, int], None] = field(default=lambda done, total: None)

    def patiently(
        self, what: str, call: Callable[[], Any], *, absent: bool = False, arrived: Callable[[], Any] | None = None
    ) -> Any:
        """Make a call that may be repeated, up to `TRIES` times.

        Args:
            what: what is done, for messages.
            call: does it.
            absent: raise what the client raises where a repository, revision or file is not there.
            arrived: looks, after a failure that is no refusal, whether it was done all the same; what it finds is given
                back, and None means that it was not. None looks nowhere.

        Raises:
            HubError: it cannot succeed, or did not in all these tries.

        """
        for number in range(TRIES):
            with self.told(what, absent=absent):
                try:
                    return call()
                except Exception as error:
                    if arrived is not None and not refused(error) and (found := arrived()) is not None:
                        return found
                    if number + 1 == TRIES or not passing(error):
                        raise
                    pause = wait_before(what, error, number)
            self.sleep(pause)
        raise AssertionError("the last try returns or raises")

    def once(self, what: str, call: Callable[[], Any]) -> Any:
        """Make a call that the client repeats by itself. Raises HubError where that did not help."""
        with self.told(what):
            return call()

    @contextmanager
    def told(self, what: str, *, absent: bool = False) -> Iterator[None]:
        """Turn errors of the client into one line."""
        from huggingface_hub import errors as hub

        try:
            yield
        except (hub.HfHubHTTPError, hub.HFValidationError, OSError, RuntimeError, ValueError, _network()) as error:
            gone = isinstance(error, hub.RepositoryNotFoundError | hub.RevisionNotFoundError | hub.EntryNotFoundError)
            if absent and gone and _status(error) == 404:
                raise
            raise HubError(_line(what, error, self.api)) from error


def connect(token: str | None) -> Caller:
    """Make a caller with a token: that of the argument, else of HF_TOKEN, else of `hf auth login`.

    Raises:
        HubError: there is no token, or the Hub is switched off.

    """
    from huggingface_hub import get_token

    caller = anybody(token)
    if not (token or get_token()):
        raise HubError("no token for the Hub; log in with `hf auth login`, set HF_TOKEN, or give --token")
    return caller


def anybody(token: str | None) -> Caller:
    """Make a caller that needs no token for what is public. Raises HubError where the Hub is switched off."""
    from huggingface_hub import HfApi, constants

    if constants.is_offline_mode():
        raise HubError("HF_HUB_OFFLINE is set, so the Hub cannot be asked; unset it")
    return Caller(HfApi(token=token))


def passing(error: BaseException) -> bool:
    """Tell whether the same call may succeed later."""
    cause = _cause(error)
    status = _status(cause)
    return isinstance(cause, _network()) if status is None else status in PASSING


def refused(error: BaseException) -> bool:
    """Tell whether the Hub said no, for good, so that nothing was done."""
    status = _status(error)
    return status is not None and 400 <= status < 500 and status not in PASSING


def wait_before(what: str, error: BaseException, number: int) -> float:
    """Seconds to wait after try `number`, from 0; not less than the Hub asks for.

    Raises:
        HubError: it asks for more than `LONGEST_WISH`.

    """
    cause = _cause(error)
    wished = retry_after(getattr(getattr(cause, "response", None), "headers", {})) or 0.0
    if wished > LONGEST_WISH:
        raise HubError(
            f"cannot {what}: the Hub asks to wait {wished:.0f} s ({_status(cause)}); run the same command then"
        ) from error
    return max(wished, float(min(LONGEST_PAUSE, FIRST_PAUSE * 2**number)) * random.uniform(0.5, 1.0))


def _network() -> type[Exception]:
    import httpx2

    return httpx2.TransportError


def _cause(error: BaseException) -> BaseException:
    """Look through the RuntimeError that the client makes of what went wrong in an upload."""
    return error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ is not None else error


def _status(error: BaseException) -> int | None:
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


def _line(what: str, error: BaseException, api: "HfApi") -> str:
    cause = _cause(error)
    status = _status(cause)
    if status == 401:
        return f"cannot {what}: the Hub does not take the token, or wants one (401); log in again with `hf auth login`"
    if status == 403:
        return f"cannot {what}: the token may not do that (403); take one with write permission"
    if status == 404:
        return f"cannot {what}: it is not there, or the token may not see it (404); check the name and the token"
    if isinstance(cause, _network()):
        return f"cannot {what}: no answer from {api.endpoint} ({type(cause).__name__}); check the network and try again"
    said = getattr(cause, "server_message", None) or str(cause)
    told = f"{status}: " if status else ""
    return f"cannot {what}: {told}{' '.join(said.split())[:300]}"
