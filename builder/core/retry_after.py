"""Parse the time that an HTTP server asks its clients to wait."""

import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a server asks to wait, 0 or more: retry-after-ms, else Retry-After (seconds or a date).

    Args:
        headers: response headers, looked up by lower-case name.

    Returns:
        None: neither header is present, or its value cannot be parsed.

    """
    try:
        if "retry-after-ms" in headers:
            seconds = float(headers["retry-after-ms"]) / 1000
        elif (value := headers.get("retry-after")) is None:
            return None
        elif re.fullmatch(r"\s*[\d.]+\s*", value):
            seconds = float(value)
        else:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return None
    return max(0.0, seconds) if seconds < float("inf") else None
