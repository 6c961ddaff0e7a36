"""Find how many requests a server of unknown capacity can answer at once, and follow changes of that number.

The limit is a congestion window as in TCP, counted in requests. It grows by one per reply, and so doubles per round of
replies (slow start), up to a ceiling: TCP's slow-start threshold. There is no linear growth above the ceiling: a probe
of one more request is sent after some rounds, and the next probes are larger as long as they are answered.

Real servers refuse requests, and answer late, at random too. So a sign counts only if it depends on the limit:

- Refusals that are no more frequent than usual are background: the refused request waits, the others do not.
- A burst of far more refusals is overload: the limit drops by a fraction, and the ceiling to below the refused number.
  A burst is one event, however many requests it refuses, as a window reduces at most once per round trip in TCP. If
  refusals go on below the new ceiling, the burst was chance and the old ceiling returns: TCP, too, undoes a reduction
  after a spurious loss (RFC 4015).
- Refusals that stay frequent, and a latency that has grown, start an experiment with a lower limit. It stays if there
  are fewer refusals, or as many replies per second. Otherwise the old limit returns, and the refusals or the latency
  are normal for this server.
- Failures after a silence longer than replies take are an outage. Requests are sent one at a time until one is
  answered; then the limit grows from half of its ceiling before the outage.

A round is as many replies as the limit, or `MIN_ROUND_REPLIES` if that is more. An outcome counts for the limit under
which its request was sent. The module reads no clock: callers pass times, in seconds of any monotonic clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from personagen.builder.llm.admission.latencies import LimitSample, gains_from_limit, has_grown, upper_bound
from personagen.builder.llm.admission.outages import OutageDetector
from personagen.builder.llm.admission.refusals import Background, OverloadEvidence, has_fewer_refusals

BACKOFF = 0.75
"""Factor on the limit after an overload, and in an experiment with latencies."""

MILD_BACKOFF = 0.9
"""Factor on the limit after an overload shown by 503, which may be chance after all."""

TEST_BACKOFF = 0.95
"""Factor on the limit in an experiment with refusals, and least fraction of the rate of replies that must remain."""

MAX_BURST_BACKOFF = 0.5
"""Lower bound on the ceiling after one burst of refusals, as a fraction of the limit before."""

LATENCY_GROWTH = 2.0
"""Ratio of the latency to its minimum that starts an experiment."""

TESTED_REFUSALS = 0.02
"""Fraction of refused requests from which on experiments test whether a lower limit has fewer."""

MIN_TESTED = 5
"""Refused requests under one limit from which on they are tested."""

PROBE_ROUNDS = 10
"""Rounds at the ceiling before a probe above it; doubled after each refused probe."""

MAX_PROBE_ROUNDS = 40
"""Upper bound on `PROBE_ROUNDS` after refused probes: a ceiling ages."""

MAX_UNDOS = 3.0
"""Reductions that may be undone in a row."""

UNDO_REPLIES = 500
"""Replies per further reduction that may be undone: under a rate limit, refusals below the ceiling are not chance."""

CONFIRMING_REPLIES = 100
"""Replies without a refusal that confirm a lower ceiling; a refusal before them undoes the reduction."""

TEST_ROUNDS = 10
"""Rounds between two experiments with refusals; doubled after each one without fewer refusals."""

MAX_TEST_ROUNDS = 160
"""Upper bound on `TEST_ROUNDS` after such experiments."""

MAX_EXPERIMENT_ROUNDS = 8
"""Rounds after which an undecided experiment ends and the higher limit returns."""

PROVEN_ROUNDS = 3
"""Rounds of replies after which a limit counts as proven, if they are fewer than `CONFIRMING_REPLIES` replies."""

MIN_ROUND_REPLIES = 8
"""Lower bound on the replies per round."""


@dataclass(slots=True)
class _Experiment:
    """A lower limit on trial.

    Attributes:
        limit: the limit before, to return to.
        sample: outcomes under the limit before.
        by_refusals: whether refusals are compared; False: latencies.
        rounds: rounds under the lower limit so far.

    """

    limit: int
    sample: LimitSample
    by_refusals: bool
    rounds: int = 0


@dataclass(frozen=True, slots=True)
class _Reduction:
    """A reduction of the ceiling that is not confirmed yet, and may be undone.

    Attributes:
        ceiling: ceiling before, or the refused limit if it was a probe above the ceiling.
        refusals: refusals that were taken for overload, with 429 (True) and without.

    """

    ceiling: int
    refusals: Mapping[bool, int]


class AdaptiveConcurrency:
    """Adaptive limit on the requests in flight.

    Attributes:
        limit: requests that may be in flight now, 1 or more.
        maximum: upper bound on it.
        asked_pause_until: time until which the server asked for no requests; -inf: it never did.

    """

    def __init__(
        self, *, start: int, maximum: int, by_latency: bool = True, outages: OutageDetector | None = None
    ) -> None:
        """Start with `start` requests in flight and never exceed `maximum`.

        `by_latency`: whether growing latency starts experiments; False: only refusals change the limit. `outages`:
        detector of outages; None: one with the default times.
        """
        self.limit = min(start, maximum)
        self.maximum = maximum
        self.asked_pause_until = float("-inf")
        self._by_latency = by_latency
        self._ceiling = maximum
        self._changed_at = float("-inf")
        self._background = Background()
        self._evidence = OverloadEvidence()
        self._unconfirmed: _Reduction | None = None
        self._undos = MAX_UNDOS
        self._burst_excess = 0.0
        self._burst_floor = 1
        self._is_settled = False  # whether further reductions of the present burst leave the ceiling as it is
        self._outages = outages or OutageDetector()
        self._answered_ceiling = maximum  # ceiling at the last reply to a request sent under the present limit
        self._answered_limit = self.limit  # the limit then
        self._probe_after = PROBE_ROUNDS
        self._probe_step = 1
        self._rounds_at_ceiling = 0
        self._test_after = TEST_ROUNDS
        self._rounds_without_test = 0
        self._least_latency = float("inf")  # natural logarithm of seconds; an upper bound on the mean of a round
        self._experiment: _Experiment | None = None
        self._sample = LimitSample(self.limit)
        self._growing_to: int | None = None  # ceiling before an experiment that interrupted the growth of the limit
        self._begin_round()

    @property
    def paused_until(self) -> float:
        """Time until which no request may be sent, because the server asked for a pause or does not answer."""
        return max(self.asked_pause_until, self._outages.paused_until)

    @property
    def is_outage(self) -> bool:
        """Whether requests fail and none has been answered for longer than replies take."""
        return self._outages.is_outage

    def record_reply(self, sent: float, now: float, *, in_flight: int) -> None:
        """Record a reply to a request sent at `sent`; `in_flight`: requests in flight, this one included."""
        self._background.record_reply()
        self._undos = min(MAX_UNDOS, self._undos + 1 / UNDO_REPLIES)
        self._evidence.record_reply(self._background)
        if self.is_outage:  # from half of the limit before it, reply by reply
            self._ceiling = self._answered_ceiling
            self._set_limit(max(1, self._ceiling // 2), now)
        self._outages.record_reply(sent, now)
        if sent < self._changed_at:
            self._burst_excess = max(0.0, self._burst_excess - self._expected())
            return
        if 2 * in_flight >= self.limit < self._ceiling and self._experiment is None:
            self.limit += 1
            self._sample.is_constant = False
        self._answered_ceiling, self._answered_limit = self._ceiling, self.limit
        self._sample.add_reply(sent, now)
        if self._unconfirmed is not None and self._sample.replied >= CONFIRMING_REPLIES:
            self._background.remove_refusals(self._unconfirmed.refusals)
            self._unconfirmed = None
        self._round_replies += 1
        if self._round_replies >= self._round_size:
            self._end_round(now, full=in_flight >= self.limit)

    def record_refusal(self, sent: float, now: float, *, wait: float | None = None, limited: bool = True) -> None:
        """Record that the server refused a request.

        The wait pauses all requests if the refusal belongs to an overload or an outage.

        Args:
            sent: when it was sent.
            now: present time.
            wait: seconds that the server asks to wait; None: it does not ask.
            limited: whether the server says that this client sends too much (429); False: that it is busy (503).

        """
        if self._outages.is_late(sent, now):  # a timeout or a broken request, and no sign of load
            self.record_failure(now)
            return
        if sent < self._changed_at:
            self._extend_burst()
            if limited:
                self._pause(now, wait)
            return
        self._evidence.record_refusal(self._background, limited=limited)
        self._sample.refused += 1
        self.record_failure(now)
        if self.is_outage:
            self._pause(now, wait)
            return
        self._background.record_refusal(limited=limited)
        if self._evidence.is_overload:
            self._reduce(now, limited=limited)
            self._pause(now, wait)
            return
        if not limited and self._sample.replied >= MIN_ROUND_REPLIES:
            self._undo_ceiling()

    def record_failure(self, now: float) -> None:
        """Record a failure of any kind; in an outage, the limit is 1 until a request is answered."""
        if self._outages.record_failure(now, self.asked_pause_until):
            self._experiment = self._growing_to = self._unconfirmed = None
            self._evidence = OverloadEvidence()
            self._set_limit(1, now)

    def _pause(self, now: float, wait: float | None) -> None:
        if wait:
            self.asked_pause_until = max(self.asked_pause_until, now + wait)

    def _reduce(self, now: float, *, limited: bool) -> None:
        """Reduce the limit after an overload."""
        ceiling, refusals = max(self.limit, self._ceiling), self._evidence.refusals
        if self._unconfirmed is not None:
            ceiling = max(ceiling, self._unconfirmed.ceiling)
            refusals = {kind: count + self._unconfirmed.refusals[kind] for kind, count in refusals.items()}
        self._unconfirmed = _Reduction(ceiling, refusals)
        self._evidence = OverloadEvidence()
        limit, self._experiment, self._growing_to = self.limit, None, None
        if limit > self._ceiling:  # a probe failed
            self._probe_after = min(MAX_PROBE_ROUNDS, 2 * self._probe_after)
            limit = self._ceiling
            self._set_limit(limit, now)
        else:
            self._lower_ceiling(limit, limited=limited)
            self._set_limit(min(self._ceiling, max(1, int(limit * (BACKOFF if limited else MILD_BACKOFF)))), now)
        self._burst_excess = 0.0
        self._probe_step = 1

    def _lower_ceiling(self, limit: int, *, limited: bool) -> None:
        """Lower the ceiling below a limit under which requests were refused.

        It stays if the limit was proven by many replies: then the burst has another cause, or the capacity has changed
        and the next burst lowers the ceiling. Without a reply to a request that was sent since the last reduction, this
        one belongs to the same burst. Only a 429 then lowers the ceiling further, to half of the limit before it.
        """
        if self._sample.replied >= min(CONFIRMING_REPLIES, PROVEN_ROUNDS * limit):
            self._burst_floor, self._is_settled = limit, True
        elif self._sample.replied or not self._is_settled:
            self._burst_floor, self._is_settled = max(1, int(self._answered_limit * MAX_BURST_BACKOFF)), not limited
            self._ceiling = min(self._ceiling, max(self._burst_floor, limit - 1))

    def _undo_ceiling(self) -> None:
        """Return to the ceiling before the last reduction: refusals go on below the lower one, so they were chance."""
        if self._unconfirmed is not None and self._undos >= 1:
            self._undos -= 1
            self._ceiling, self._unconfirmed = max(self._ceiling, self._unconfirmed.ceiling), None

    def _extend_burst(self) -> None:
        """Lower the ceiling by a refusal of a request that was sent before the limit was reduced."""
        self._burst_excess += 1 - self._expected()
        if self._burst_excess >= 1:
            self._burst_excess -= 1
            self._ceiling = max(self._burst_floor, self._ceiling - 1)
            self.limit = min(self.limit, self._ceiling)

    def _end_round(self, now: float, *, full: bool) -> None:
        """End a round of replies: evaluate or start an experiment, or grow."""
        self._begin_round()
        if self._sample.refused:
            self._undo_ceiling()
        if self._experiment is not None:
            self._evaluate(self._experiment, now)
            return
        latencies = self._sample.latencies
        if latencies.count >= MIN_ROUND_REPLIES:
            self._least_latency = min(upper_bound(latencies), self._least_latency)
        self._rounds_without_test += 1
        if self._growing_to is not None and not self._has_slowed():
            self._ceiling, self._growing_to = self._growing_to, None
        if not full:
            return
        if self.limit > 1 and self._has_slowed():
            if self._sample.is_constant:
                self._begin_experiment(now, by_refusals=False)
            else:  # the latencies are measured with a constant limit first
                self._growing_to, self._ceiling = self._ceiling, self.limit
                self._set_limit(self.limit, now)
        elif self.limit > 1 and self._rounds_without_test >= self._test_after and self._has_many_refusals():
            self._begin_experiment(now, by_refusals=True)
        else:
            self._grow(now)

    def _begin_experiment(self, now: float, *, by_refusals: bool) -> None:
        """Lower the limit for as long as the comparison with the present one takes."""
        self._experiment = _Experiment(self.limit, self._sample, by_refusals)
        fraction = TEST_BACKOFF if by_refusals else BACKOFF
        self._set_limit(min(self.limit - 1, round(self.limit * fraction)), now)

    def _expected(self) -> float:
        """Return the fraction of requests that are refused by chance."""
        return self._background.fraction(limited=True) + self._background.fraction(limited=False)

    def _has_slowed(self) -> bool:
        """Return whether the latency has grown enough for an experiment."""
        return self._by_latency and has_grown(self._sample.latencies, self._least_latency, LATENCY_GROWTH)

    def _has_many_refusals(self) -> bool:
        """Return whether enough requests were refused under this limit to test whether a lower one has fewer."""
        sample = self._sample
        return sample.refused >= MIN_TESTED and sample.refused >= TESTED_REFUSALS * sample.ended

    def _evaluate(self, experiment: _Experiment, now: float) -> None:
        """End an experiment that is decided, or undecided for `MAX_EXPERIMENT_ROUNDS`."""
        experiment.rounds += 1
        before, sample = experiment.sample, self._sample
        if not experiment.by_refusals:
            gains = gains_from_limit(self.limit, sample.latencies, experiment.limit, before.latencies)
            keep = None if gains is None else not gains
        else:
            keep = has_fewer_refusals(before.refused / before.ended, sample.ended, sample.refused)
            if keep and sample.rate < TEST_BACKOFF * before.rate:
                keep = False
        if keep is None and experiment.rounds < MAX_EXPERIMENT_ROUNDS:
            return
        self._experiment = None
        self._rounds_without_test = 0
        if keep:
            self._growing_to = None
            self._ceiling, self._probe_after, self._probe_step = self.limit, PROBE_ROUNDS, 1
            self._rounds_at_ceiling = 0
            if experiment.by_refusals:
                self._background = Background()
                self._test_after = TEST_ROUNDS
            return
        if not experiment.by_refusals:
            self._least_latency = before.latencies.mean  # normal for this server
        else:
            self._test_after = min(MAX_TEST_ROUNDS, 2 * self._test_after)
        self._set_limit(experiment.limit, now)
        if self._growing_to is not None:
            self._ceiling, self._growing_to = self._growing_to, None

    def _grow(self, now: float) -> None:
        """Probe above the ceiling after enough rounds, in growing steps as long as probes are answered."""
        if self.limit > self._ceiling:
            if not self._sample.latencies.count:  # a queue shows in the latencies of the next round
                return
            self._ceiling = self.limit
            self._probe_step *= 2
            self._probe_after = PROBE_ROUNDS
            self._rounds_at_ceiling = MAX_PROBE_ROUNDS
        elif self.limit < self._ceiling:
            return
        else:
            self._rounds_at_ceiling += 1
        if self.limit < self.maximum and self._rounds_at_ceiling >= self._probe_after:
            self._rounds_at_ceiling = 0
            self._set_limit(min(self.maximum, self.limit + self._probe_step), now)

    def _set_limit(self, limit: int, now: float) -> None:
        """Change the limit; requests sent before are no evidence for the new one."""
        self.limit = max(1, limit)
        self._changed_at = now
        self._sample = LimitSample(self.limit)
        self._begin_round()

    def _begin_round(self) -> None:
        self._round_replies = 0
        self._round_size = max(self.limit, MIN_ROUND_REPLIES)
