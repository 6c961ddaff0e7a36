"""The world that the server plays: latency, faults, repeats and limits, as pure functions of request and time.

Every draw is a hash of the seed, the request body and, for faults, the number of the call with that body. So a retry is
a new draw, a system that sends other bodies meets the same fractions, and two runs of one system meet the same faults.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from statistics import NormalDist
from typing import Any

BAD = "REFUSE-THIS"
"""A prompt that contains this is answered with a 400, however often it is sent, where `bad_every` is set."""

FAULTS = ("429", "503", "500", "slow", "cut", "garbage", "reset")
"""Kinds of faults.

"429" and "503" are refused at once. The others come after the latency of the reply: "500" as an error, "cut" as half a
body, "garbage" as a body that is no JSON, "reset" as a reset connection. "slow" is a good reply, 20 times as late.
"""

AT_ONCE = ("429", "503")
"""Kinds of faults that are answered without delay."""

SLOW_FACTOR = 20
"""Factor on the latency of a "slow" reply."""

MAX_LOGNORMAL = 20.0
"""Upper bound on a drawn latency over its median, so that the span is not that of one request."""

POOL = 20
"""Texts that repeated replies are drawn from."""

VARIATIONS = ("{}", "{} Indeed.", "Well: {}", "{} That was all.")
"""Forms of a repeated text: word for word, and nearly."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How the server answers.

    Attributes:
        latency: seconds before a reply; the median where `sigma` is set.
        sigma: standard deviation of the logarithm of the latency (log-normal); 0: constant.
        slow_fraction: fraction of the request bodies that take `slow_latency` seconds instead.
        slow_latency: see `slow_fraction`.
        slow_every: seconds from the start of one slow period to that of the next; 0: none.
        slow_for: seconds that such a period lasts, at the end of each `slow_every`.
        slow_factor: factor on the latency of calls that arrive in such a period.
        faults: fraction of the calls with a fault, whatever the load.
        kinds: kinds of FAULTS, each as frequent as the others.
        repeats: fraction of the request bodies whose reply is drawn from a pool of POOL texts, with small variations.
        limits: (seconds since the first request, requests answered at a time) in order; one above gets a 429 at once.
        window: requests per window; one above gets a 429 at once. 0: no limit.
        window_s: seconds of such a window, from the first request on.
        retry_after: seconds in the Retry-After header of a 429; with a window, any number but 0 sends the seconds
            until the next one. 0: no header.
        bad_every: one of so many request seeds gets a 400, as does every prompt that contains BAD. 0 refuses none.
        seed: seed of all draws.

    """

    latency: float = 0.1
    sigma: float = 0.0
    slow_fraction: float = 0.0
    slow_latency: float = 2.0
    slow_every: float = 0.0
    slow_for: float = 0.0
    slow_factor: float = 1.0
    faults: float = 0.0
    kinds: Sequence[str] = FAULTS
    repeats: float = 0.0
    limits: Sequence[Sequence[float]] = ()
    window: int = 0
    window_s: float = 60.0
    retry_after: int = 0
    bad_every: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        """Reject unknown kinds: a typing error would remove the faults of a table."""
        if unknown := sorted(set(self.kinds) - set(FAULTS)):
            raise ValueError(f"unknown faults {unknown}, expected some of {FAULTS}")

    def draw(self, purpose: str, body: bytes, number: int = 0) -> float:
        """Draw from [0, 1) for a request body and the number of its call."""
        salt, person = str(self.seed).encode(), f"{purpose}{number}".encode()[:16]
        return int.from_bytes(blake2b(body, digest_size=8, salt=salt, person=person).digest(), "big") / 2**64

    def seconds(self, body: bytes) -> float:
        """Return how long the reply to a request body takes outside slow periods."""
        if self.slow_fraction and self.draw("slow", body) < self.slow_fraction:
            return self.slow_latency
        if not self.sigma:
            return self.latency
        quantile = min(max(self.draw("latency", body), 1e-9), 1 - 1e-9)
        return self.latency * min(math.exp(self.sigma * NormalDist().inv_cdf(quantile)), MAX_LOGNORMAL)

    def factor(self, at: float) -> float:
        """Return the factor on the latency of calls that arrive `at` seconds after the first request."""
        is_slow = self.slow_every and at % self.slow_every >= self.slow_every - self.slow_for
        return self.slow_factor if is_slow else 1.0

    def fault(self, body: bytes, number: int) -> str:
        """Draw the kind of fault of the call with this number among those with this body; "": none."""
        if not self.faults:
            return ""
        drawn = self.draw("fault", body, number)
        return self.kinds[int(drawn / self.faults * len(self.kinds))] if drawn < self.faults else ""

    def slots(self, at: float) -> float:
        """Return how many requests are answered at a time, `at` seconds after the first request."""
        return next((limit for start, limit in reversed(self.limits) if at >= start), math.inf)

    def is_bad(self, body: bytes, request: dict[str, Any]) -> bool:
        """Return whether a request gets a 400."""
        if not self.bad_every:
            return False
        seed = request.get("seed")
        return BAD.encode() in body or (seed is not None and seed % self.bad_every == 0)

    def repeated(self, body: bytes) -> tuple[int, int] | None:
        """Draw number of a text of the pool and number of its variation; None: the reply is one of its own."""
        if not self.repeats or self.draw("repeat", body) >= self.repeats:
            return None
        return int(self.draw("text", body) * POOL), int(self.draw("variation", body) * len(VARIATIONS))
