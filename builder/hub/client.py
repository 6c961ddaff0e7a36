"""Call the Hub: retry what its client does not retry, and turn every failure into one line."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from personagen.builder.core.errors import HubError, PersonaGenError
from personagen.builder.core.foreign_text import environment_secrets, printable, redact
from personagen.builder.core.progress import SILENT, Progress
from personagen.builder.core.retry_after import retry_after

if TYPE_CHECKING:
    from huggingface_hub import HfApi

Result = TypeVar("Result")

MAX_TRIES = 5
"""Tries of one call, the first one included."""

FIRST_PAUSE_S = 1.0
"""Pause before the second try; each later pause is twice as long."""

MAX_PAUSE_S = 16.0
"""Longest pause before a try, unless the Hub asks for more."""

MAX_RETRY_AFTER_S = 300.0
"""Longest `Retry-After` that is waited for."""

MAX_REASON_CHARS = 300
"""Upper bound on what a message quotes of an answer."""

TRANSIENT_STATUSES = frozenset({408, 409, 412, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})
"""Statuses after which a retry may succeed: timeouts, conflicts, rate limits, and failures of servers or gateways."""


class OversizedAnswer(Exception):  # noqa: N818 - what the Hub sent
    """An answer beyond `AnswerLimits`."""


@dataclass(frozen=True, slots=True)
class AnswerLimits:
    """Bounds on each answer of the Hub to a call.

    Attributes:
        max_bytes: bytes of an answer, data files aside; compressed ones may have a hundredth.
        max_pages: pages of a list, which may link to each other in a circle.
        max_s: seconds from its first to its last byte.
        silence_s: seconds without a byte, in either direction.

    """

    max_bytes: int = 256 * 2**20
    max_pages: int = 2_000
    max_s: float = 300.0
    silence_s: float = 300.0


@dataclass(frozen=True, slots=True)
class HubClient:
    """A client of the Hub with retries.

    Attributes:
        api: the client of `huggingface_hub`, with the user's token.
        sleep: waits for a number of seconds before a retry.
        progress: receives the bytes of large files: uploaded and total.
        limits: bounds on each answer.

    """

    api: "HfApi"
    sleep: Callable[[float], None] = time.sleep
    progress: Progress = SILENT
    limits: AnswerLimits = AnswerLimits()

    def with_retries(
        self,
        action: str,
        call: Callable[[], Result],
        *,
        pass_not_found: bool = False,
        recover: Callable[[], Result | None] | None = None,
    ) -> Result:
        """Return the result of a call, retried up to `MAX_TRIES` times.

        Args:
            action: what the call does, for messages.
            call: the call.
            pass_not_found: whether to raise the client's own error if a repository or revision does not exist.
            recover: returns the result of a call that took effect although it failed; None: it had no effect. It is
                called after every failure that is no refusal.

        Raises:
            HubError: the call was refused, or failed `MAX_TRIES` times.

        """
        for number in range(MAX_TRIES):
            with self.errors_as_lines(action, pass_not_found=pass_not_found):
                try:
                    return call()
                except Exception as error:
                    if recover is not None and not is_refusal(error) and (result := recover()) is not None:
                        return result
                    if number + 1 == MAX_TRIES or not is_transient(error):
                        raise
                    pause = pause_before_retry(action, error, number)
            self.sleep(pause)
        raise AssertionError("the last try returns or raises")

    def once(self, action: str, call: Callable[[], Result]) -> Result:
        """Return the result of a call that `huggingface_hub` retries itself. Raises HubError if it failed."""
        with self.errors_as_lines(action):
            return call()

    @contextmanager
    def errors_as_lines(self, action: str, *, pass_not_found: bool = False) -> Iterator[None]:
        """Raise errors of `huggingface_hub` as a HubError of one line."""
        from huggingface_hub import errors as hub

        from personagen.builder.hub.bounded_answers import bounded_answers

        try:
            with bounded_answers(self.limits):
                yield
        except PersonaGenError:
            raise
        except Exception as error:  # whatever the client makes of an answer: its parsers raise KeyError, TypeError, ...
            absent = isinstance(error, hub.RepositoryNotFoundError | hub.RevisionNotFoundError)
            if pass_not_found and absent and _status(error) == 404:
                raise
            # Without the original, whose request and answer may show the token in a traceback.
            raise HubError(_message(action, error, self.api)) from None


def connect(token: str | None, progress: Progress = SILENT) -> HubClient:
    """Return a client with a token: the argument, else HF_TOKEN, else that of `hf auth login`.

    Raises:
        HubError: there is no token, or the Hub is switched off.

    """
    from huggingface_hub import get_token

    client = connect_to_read(token, progress)
    if not (token or get_token()):
        raise HubError("no token for the Hub; log in with `hf auth login`, set HF_TOKEN, or give --token")
    return client


def connect_to_read(token: str | None, progress: Progress = SILENT) -> HubClient:
    """Return a client that can read public repositories without a token. Raises HubError if the Hub is switched off."""
    from huggingface_hub import HfApi, constants

    if constants.is_offline_mode():
        raise HubError("HF_HUB_OFFLINE is set, so the Hub cannot be asked; unset it")
    return HubClient(HfApi(token=token), progress=progress)


def is_transient(error: BaseException) -> bool:
    """Return whether the same call may succeed later."""
    cause = _cause(error)
    status = _status(cause)
    return isinstance(cause, _network_error()) if status is None else status in TRANSIENT_STATUSES


def is_refusal(error: BaseException) -> bool:
    """Return whether the Hub refused the call for good, so that it had no effect."""
    status = _status(error)
    return status is not None and 400 <= status < 500 and status not in TRANSIENT_STATUSES


def pause_before_retry(action: str, error: BaseException, number: int) -> float:
    """Return the seconds to wait after try `number` (from 0): exponential with jitter, at least `Retry-After`.

    Raises:
        HubError: `Retry-After` is more than `MAX_RETRY_AFTER_S`.

    """
    cause = _cause(error)
    requested = retry_after(getattr(getattr(cause, "response", None), "headers", {})) or 0.0
    if requested > MAX_RETRY_AFTER_S:
        raise HubError(
            f"cannot {action}: the Hub asks to wait {requested:.0f} s ({_status(cause)}); run the same command then"
        ) from None
    return max(requested, float(min(MAX_PAUSE_S, FIRST_PAUSE_S * 2**number)) * random.uniform(0.5, 1.0))


def _network_error() -> type[Exception]:
    import httpx2

    return httpx2.TransportError


def _cause(error: BaseException) -> BaseException:
    """Return the error of an upload that `huggingface_hub` has wrapped into a RuntimeError."""
    return error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ is not None else error


def _status(error: BaseException) -> int | None:
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


def _message(action: str, error: BaseException, api: "HfApi") -> str:
    cause = _cause(error)
    status = _status(cause)
    if status == 401:
        return f"cannot {action}: the Hub rejects the token, or requires one (401); log in again with `hf auth login`"
    if status == 403:
        return f"cannot {action}: the token has no permission for it (403); use one with write permission"
    if status == 404:
        return f"cannot {action}: it does not exist, or the token cannot see it (404); check the name and the token"
    if isinstance(cause, _network_error()):
        return (
            f"cannot {action}: no answer from {api.endpoint} ({type(cause).__name__}); check the network and try again"
        )
    if isinstance(cause, OversizedAnswer):
        return f"cannot {action}: {api.endpoint} sends {cause}; check HF_ENDPOINT and the network"
    reason = getattr(cause, "server_message", None) or str(cause)
    if status is None and isinstance(cause, LookupError | TypeError | AttributeError):
        reason = (
            f"{api.endpoint} gave an answer of an unexpected form ({type(cause).__name__}: {reason}); check HF_ENDPOINT"
        )
    prefix = f"{status}: " if status else ""
    return f"cannot {action}: {prefix}{_one_line(reason, api)}"


def _one_line(reason: Any, api: "HfApi") -> str:
    return printable(" ".join(redact(str(reason), _secrets(api)).split()))[:MAX_REASON_CHARS]


def _secrets(api: "HfApi") -> tuple[str, ...]:
    """Return the token of a client, and the secrets of the environment."""
    from huggingface_hub import get_token

    token = api.token if isinstance(api.token, str) else get_token()
    return (*((token,) if token else ()), *environment_secrets())
