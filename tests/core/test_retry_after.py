"""The wait that a server names in its response headers."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from personagen.builder.core.retry_after import retry_after


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "7", "retry-after-ms": "20"}, 0.02),
        ({"retry-after": "-5"}, None),
        ({"retry-after-ms": "-5"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after-ms": "inf"}, None),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
    ],
)
def test_seconds(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_a_date_means_the_time_until_then() -> None:
    later = datetime.now(UTC) + timedelta(seconds=90)
    seconds = retry_after({"retry-after": format_datetime(later, usegmt=True)})
    assert seconds is not None
    assert 60 < seconds <= 90
